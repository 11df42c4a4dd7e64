#include "cli/serve.h"

#include "base/duration.h"
#include "base/large_pages.h"
#include "cli/cli.h"
#include "clock/machine_timer.h"
#include "mockserver/admin_guard.h"
#include "upstream/upstream.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct serve {
    struct serve_options options;
    struct serve_setup *setup;
    struct serve_journal journal;
    struct tls tls;
    struct upstream *upstream; /* or NULL */
    struct serve_recording recording;
    struct deadline record_due; /* when what has come is written */
    bool has_made_token;
    struct log log;
    struct loop loop;
    struct server *server;
    struct cli_stop *stop;
    struct watch stop_watch;
    struct watch hangup_watch; /* SIGHUP; its fd is -1 where that is nothing to it */
};

static int64_t wall_now(const struct serve *serve)
{
    return serve->loop.clock.wall_start_ns + loop_now(&serve->loop);
}

static const char *setup_file(const struct serve_options *options)
{
    return options->scenario_file != NULL ? options->scenario_file : options->config_file;
}

/* --- the set-up read again -------------------------------------------------------------------- */

static struct serve_setup *load_setup(const struct serve_options *options, struct error *error)
{
    struct serve_setup *setup = malloc(sizeof *setup);
    if (setup == NULL)
        error_set_run(error, "", "out of memory");
    else if (serve_setup_load(setup, options, error))
        return setup;
    free(setup);
    return NULL;
}

static void free_setup(struct serve_setup *setup)
{
    if (setup == NULL)
        return;
    serve_setup_free(setup);
    free(setup);
}

/* By signal or by the admin endpoint. A file that is bad changes nothing. */
static bool reload(void *owner, struct error *error)
{
    struct serve *serve = owner;
    char text[1400];
    const char *file = setup_file(&serve->options);
    struct serve_setup *setup = load_setup(&serve->options, error);
    const struct log_field fields[] = {log_text("file", file), {0}};
    if (setup == NULL) {
        log_event(&serve->log, wall_now(serve), LOG_ERROR, "reload_refused", fields,
                  "%s; the set-up stays as it was", error_text(error, text, sizeof text));
        return false;
    }
    bool is_taken = server_change_config(serve->server, serve_setup_config(setup), error);
    /* Even where memory ran out, what the server now goes by is the new one. */
    struct serve_setup *former = serve->setup;
    serve->setup = setup;
    free_setup(former);
    if (is_taken)
        log_event(&serve->log, wall_now(serve), LOG_INFO, "reloaded", fields,
                  "%s: read again, in force now", file);
    else
        log_event(&serve->log, wall_now(serve), LOG_ERROR, "reload_failed", fields, "%s",
                  error_text(error, text, sizeof text));
    return is_taken;
}

static void hang_up(void *owner, uint32_t events)
{
    struct serve *serve = owner;
    struct signalfd_siginfo which;
    struct error error;
    (void)events;
    if (read(serve->hangup_watch.fd, &which, sizeof which) != (ssize_t)sizeof which)
        return;
    if (setup_file(&serve->options) != NULL)
        reload(serve, &error);
    else
        loop_stop(&serve->loop); /* its terminal has gone */
}

static bool watch_hangup(struct serve *serve, struct error *error)
{
    sigset_t hangup;
    struct sigaction former;
    serve->hangup_watch = (struct watch){.fd = -1, .ready = hang_up, .owner = serve};
    /* As nohup wants it: a blocked signal would come nevertheless. */
    bool is_ignored = sigaction(SIGHUP, NULL, &former) == 0 && former.sa_handler == SIG_IGN;
    if (is_ignored && setup_file(&serve->options) == NULL)
        return true;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hangup, NULL);
    serve->hangup_watch.fd = signalfd(-1, &hangup, SFD_CLOEXEC | SFD_NONBLOCK);
    if (serve->hangup_watch.fd < 0)
        return error_set_run(error, "signalfd", "%s", strerror(errno));
    return loop_watch(&serve->loop, &serve->hangup_watch, EPOLLIN, error);
}

/* --- who may come in -------------------------------------------------------------------------- */

static bool write_authority(const struct serve *serve, struct error *error)
{
    const char *file = serve->options.tls_authority_file;
    FILE *stream = fopen(file, "we");
    if (stream == NULL)
        return error_set_run(error, file, "%s", strerror(errno));
    bool is_written = fputs(serve->tls.authority, stream) >= 0;
    is_written &= fclose(stream) == 0;
    return is_written || error_set_run(error, file, "%s", strerror(errno));
}

static bool prepare_tls(struct serve *serve, const char *host, struct error *error)
{
    const struct serve_options *options = &serve->options;
    const char *certificate_file = options->tls_certificate_file;
    const char *authority_file = options->tls_authority_file;
    if (certificate_file == NULL && authority_file == NULL)
        return true;
    if (!tls_is_supported())
        return error_set_run(error, "--tls", "this libmicrohttpd was built without TLS");
    if (certificate_file != NULL)
        return tls_load(&serve->tls, certificate_file, options->tls_key_file, error);
    return tls_make(&serve->tls, host, wall_now(serve) / NS_PER_S, error) &&
           write_authority(serve, error);
}

/* Nobody else knows it, so it is told once. */
static void tell_token(const struct serve *serve)
{
    const char *token = serve->options.admin_token;
    const struct log_field fields[] = {log_text("token", token), {0}};
    if (serve->has_made_token)
        log_event(&serve->log, wall_now(serve), LOG_INFO, "admin_token_made", fields,
                  "the admin endpoints want \"Authorization: Bearer %s\"", token);
}

static void tell_trust(const struct serve *serve)
{
    const char *file = serve->options.tls_authority_file;
    const struct log_field fields[] = {log_text("file", file), {0}};
    if (file != NULL)
        log_event(
            &serve->log, wall_now(serve), LOG_INFO, "certificate_made", fields,
            "clients trust it by %s: curl --cacert %s; SSL_CERT_FILE=%s (Python, Go, OpenSSL); "
            "NODE_EXTRA_CA_CERTS=%s (Node.js)",
            file, file, file, file);
}

/* Elsewhere than on loopback nobody may administer without a token. */
static bool prepare_token(struct serve *serve, const char *host, struct error *error)
{
    unsigned char bytes[16];
    char *token = NULL;
    if (serve->options.admin_token != NULL || admin_guard_is_loopback(host))
        return true;
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
        (token = malloc(2 * sizeof bytes + 1)) == NULL)
        return error_set_run(error, "--admin-token", "none could be made; give one");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    serve->options.admin_token = token;
    serve->has_made_token = true;
    return true;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void end(void *owner, uint32_t events)
{
    struct serve *serve = owner;
    (void)events;
    loop_stop(&serve->loop);
}

/* Until the loop is stopped. A journal that cannot be written does not stop it: who has started a
 * server wants it to answer. */
static void answer_requests(struct serve *serve)
{
    const struct journal *journal = server_journal(serve->server);
    bool is_told = false;
    while (!serve->loop.stopping) {
        loop_turn(&serve->loop, -1);
        if (is_told || !journal_stream_failed(journal))
            continue;
        is_told = true;
        const struct log_field fields[] = {log_text("file", serve->journal.file), {0}};
        log_event(&serve->log, wall_now(serve), LOG_ERROR, "journal_failed", fields,
                  "%s: the journal could not be written (disk full?); serving goes on without it",
                  serve->journal.file);
    }
}

static void say_where(const struct serve *serve)
{
    const char *url = server_base_url(serve->server);
    const struct log_field fields[] = {
        log_text("url", url), log_text("version", TOOMANY_VERSION), {0}};
    printf("toomany: serving %s\n", url);
    fflush(stdout);
    if (serve->log.is_json) /* for people the line above says it */
        log_event(&serve->log, wall_now(serve), LOG_INFO, "serving", fields, "serving %s", url);
    tell_trust(serve);
    tell_token(serve);
}

static void say_end(const struct serve *serve)
{
    uint64_t requests = journal_total(server_journal(serve->server));
    const struct log_field fields[] = {log_number("requests", (int64_t)requests), {0}};
    log_event(&serve->log, wall_now(serve), LOG_INFO, "stopped", fields,
              "stopped after %" PRIu64 " requests", requests);
}

static bool prepare_upstream(struct serve *serve, struct error *error)
{
    const struct serve_options *options = &serve->options;
    const char *key = options->upstream_key_env != NULL ? getenv(options->upstream_key_env) : NULL;
    if (!serve_recording_open(&serve->recording, options, key, error))
        return false;
    if (options->upstream_url == NULL)
        return true;
    const struct upstream_options upstream = {
        .base_url = options->upstream_url,
        .api_key = key,
        .silence_ns = options->upstream_timeout_ns,
        .wants_plain = options->record_file != NULL,
    };
    serve->upstream = upstream_new(&serve->loop, &upstream, error);
    return serve->upstream != NULL;
}

/* Who kills the server loses of what was recorded what came in the last while. */
static void write_recording(void *owner, int64_t now_ns)
{
    enum { WHILE_S = 5 };
    struct serve *serve = owner;
    struct error error;
    char text[1400];
    (void)now_ns;
    if (recorder_has_news(serve->recording.recorder) &&
        !serve_recording_write(&serve->recording, &error))
        log_event(&serve->log, wall_now(serve), LOG_ERROR, "record_failed", NULL, "%s",
                  error_text(&error, text, sizeof text));
    loop_after(&serve->loop, &serve->record_due, WHILE_S * NS_PER_S);
}

static bool start_server(struct serve *serve, struct error *error)
{
    const struct serve_options *options = &serve->options;
    const char *host = options->host != NULL ? options->host : "127.0.0.1";
    if (!prepare_tls(serve, host, error) || !prepare_token(serve, host, error) ||
        !prepare_upstream(serve, error))
        return false;
    struct server_options server = {
        .config = serve_setup_config(serve->setup),
        .host = host,
        .port = options->port,
        .seed = options->seed,
        .threads = options->threads,
        .bounds = options->bounds,
        .tls_certificate = serve->tls.certificate,
        .tls_key = serve->tls.key,
        .admin_token = options->admin_token,
        .reload = setup_file(options) != NULL ? reload : NULL,
        .reload_owner = serve,
        .backend = serve->upstream != NULL ? upstream_backend(serve->upstream) : NULL,
        .recorder = serve->recording.recorder,
        .log = &serve->log,
        .journal_capacity =
            options->journal_entries != 0 ? options->journal_entries : SERVE_JOURNAL_ENTRIES,
        .journal_when_full = JOURNAL_DROP_OLDEST,
        .journal_stream = serve->journal.stream,
        .journal_stream_bytes_max = options->journal_bytes_max,
        .journal_stream_next = serve_journal_next,
        .journal_stream_owner = &serve->journal,
    };
    if (serve->setup->has_scenario) {
        server.marker_header = serve->setup->scenario.client.marker_header;
        server.marker_body = serve->setup->scenario.client.marker_body;
    }
    serve->server = server_new(&serve->loop, &server, error);
    return serve->server != NULL;
}

static bool serve_until_stopped(struct serve *serve, struct error *error)
{
    serve->stop_watch = (struct watch){.fd = serve->stop->stop_fd, .ready = end, .owner = serve};
    if (!start_server(serve, error) || !watch_hangup(serve, error) ||
        !loop_watch(&serve->loop, &serve->stop_watch, EPOLLIN, error))
        return false;
    /* Not before: what has been taken so far is seldom looked at. */
    void *before_pages = large_pages_for_heap(SERVE_HEAP_BYTES);
    say_where(serve);
    serve->record_due = (struct deadline){.fire = write_recording, .owner = serve};
    if (serve->recording.recorder != NULL)
        write_recording(serve, loop_now(&serve->loop));
    answer_requests(serve);
    server_end_threads(serve->server);
    say_end(serve);
    free(before_pages);
    return true;
}

/* True when the journal is whole. */
static bool stop_server(struct serve *serve)
{
    bool is_whole = serve->server == NULL || !journal_stream_failed(server_journal(serve->server));
    if (serve->server != NULL) {
        server_free(serve->server);
        serve->server = NULL;
    }
    loop_cancel(&serve->loop, &serve->record_due);
    upstream_free(serve->upstream);
    if (serve->hangup_watch.fd > 0) {
        loop_unwatch(&serve->loop, &serve->hangup_watch);
        close(serve->hangup_watch.fd);
    }
    loop_free(&serve->loop);
    return is_whole;
}

static bool run(struct serve *serve, struct error *error)
{
    if (!loop_init(&serve->loop, CLOCK_REAL, error))
        return false;
    bool is_done = serve_until_stopped(serve, error);
    bool is_whole = stop_server(serve);
    if (is_done && !serve_recording_write(&serve->recording, error))
        is_done = false;
    is_whole &= serve_journal_close(&serve->journal);
    if (is_done && !is_whole)
        return error_set_run(error, serve->journal.file,
                             "the journal could not be written whole (disk full?)");
    return is_done;
}

/* Before there is a loop, too. */
static int fail(const struct serve *serve, const struct error *error)
{
    char text[1400];
    if (!serve->log.is_json)
        return cli_fail("serve", error);
    log_event(&serve->log, machine_wall_s() * NS_PER_S, LOG_ERROR, "failed", NULL, "%s",
              error_text(error, text, sizeof text));
    return error->could_not_run ? CLI_COULD_NOT_RUN : CLI_USAGE;
}

int cli_serve(int argc, char **argv)
{
    struct serve serve = {.hangup_watch.fd = -1};
    struct error error = {0};
    int status = serve_options_read(&serve.options, argc, argv);
    serve.log = (struct log){.stream = stderr,
                             .speaker = "toomany serve",
                             .level = serve.options.log_level,
                             .is_json = serve.options.log_is_json};
    if (status == CLI_DONE) {
        serve.setup = load_setup(&serve.options, &error);
        if (serve.setup == NULL || !serve_journal_open(&serve.journal, &serve.options, &error) ||
            !cli_stop_on_signals(&serve.stop, &error) || !run(&serve, &error))
            status = fail(&serve, &error);
    }
    serve_journal_close(&serve.journal);
    serve_recording_free(&serve.recording);
    tls_free(&serve.tls);
    free_setup(serve.setup);
    serve_options_free(&serve.options);
    return status < 0 ? CLI_DONE : status;
}
