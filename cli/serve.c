#include "cli/cli.h"

#include "clock/machine_timer.h"
#include "harness/scenario.h"
#include "mockserver/server.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static const char help[] =
    "Usage: toomany serve [OPTIONS]\n"
    "\n"
    "Runs the mock server. Its first line on stdout says where. SIGINT or SIGTERM\n"
    "ends it.\n"
    "\n"
    "  --port N         default 8429; 0 takes a free one\n"
    "  --host ADDR      default 127.0.0.1\n"
    "  --config FILE    quotas, models, script (the \"server\" object of a scenario)\n"
    "  --scenario FILE  the same, taken out of a scenario\n"
    "  --tier NAME      limits of a usage tier: free, 1, 2, 3, 4, 5\n"
    "  --journal FILE   writes what it saw and answered as JSON Lines (- for stdout)\n"
    "  --seed N         of ids, latencies and shares; default 1\n"
    "  --help\n"
    "\n"
    "While it runs (under http://127.0.0.1:8429/_toomany/):\n"
    "  health  journal  quotas (GET, PATCH)  tier (GET, PUT)  reset (POST)  metrics\n"
    "\n"
    "Exit status: 0 stopped, 2 wrong usage or a bad file, 3 it could not be carried\n"
    "out (port in use, ...).\n"
    "\n"
    "Example:\n"
    "  toomany serve --port 8429 &\n"
    "  export OPENAI_BASE_URL=http://127.0.0.1:8429/v1 OPENAI_API_KEY=any\n"
    "  python3 my_program.py\n"
    "  curl -X PATCH http://127.0.0.1:8429/_toomany/quotas \\\n"
    "    -d '{\"*\": {\"requests_per_minute\": 60}}'\n";

struct serve {
    const char *config_file;
    const char *scenario_file;
    const char *journal_file;
    const struct tier *tier; /* of the command line, or NULL */
    struct server_options server;
    struct config config;
    struct scenario scenario;
    bool has_scenario;
    FILE *journal;
};

static bool load_files(struct serve *serve, struct error *error)
{
    config_init(&serve->config);
    serve->server.config = &serve->config;
    if (serve->scenario_file != NULL) {
        if (!scenario_load(&serve->scenario, serve->scenario_file, error))
            return false;
        serve->has_scenario = true;
        serve->server.config = &serve->scenario.server;
        serve->server.marker_header = serve->scenario.client.marker_header;
        serve->server.marker_body = serve->scenario.client.marker_body;
        return true;
    }
    if (serve->config_file == NULL)
        return true;
    cJSON *root = json_load(serve->config_file, error);
    if (root == NULL)
        return false;
    struct json_reader reader = {.file = serve->config_file, .error = error};
    bool is_read = config_read(&serve->config, &reader, root, "");
    cJSON_Delete(root);
    return is_read;
}

/* What the command line says goes before what the file says. */
static bool load(struct serve *serve, struct error *error)
{
    if (!load_files(serve, error))
        return false;
    struct config *config = serve->has_scenario ? &serve->scenario.server : &serve->config;
    if (serve->tier != NULL)
        config->rules.tier = serve->tier;
    return true;
}

static bool open_journal(struct serve *serve, struct error *error)
{
    if (serve->journal_file == NULL)
        return true;
    bool is_stdout = strcmp(serve->journal_file, "-") == 0;
    serve->journal = is_stdout ? stdout : fopen(serve->journal_file, "we");
    if (serve->journal == NULL)
        return error_set_run(error, serve->journal_file, "%s", strerror(errno));
    setvbuf(serve->journal, NULL, _IOLBF, 0); /* a line is whole or not there */
    serve->server.journal_stream = serve->journal;
    return true;
}

struct ending {
    struct loop *loop;
    struct watch watch;
};

static void end(void *owner, uint32_t events)
{
    struct ending *ending = owner;
    (void)events;
    loop_stop(ending->loop);
}

/* Until the loop is stopped. A journal that cannot be written does not stop it: who has started a
 * server wants it to answer. */
static void answer_requests(struct loop *loop, const struct server *server, const char *file)
{
    bool is_told = false;
    while (!loop->stopping) {
        loop_turn(loop, -1);
        if (is_told || !journal_stream_failed(server_journal(server)))
            continue;
        is_told = true;
        fprintf(stderr,
                "toomany serve: %s: the journal could not be written (disk full?); serving goes on "
                "without it\n",
                file);
    }
}

static bool serve_until_stopped(struct serve *serve, struct cli_stop *stop, struct error *error)
{
    struct loop loop;
    if (!loop_init(&loop, CLOCK_REAL, error))
        return false;
    struct server *server = server_new(&loop, &serve->server, error);
    if (server == NULL) {
        loop_free(&loop);
        return false;
    }
    struct ending ending = {&loop, {.fd = stop->stop_fd, .ready = end, .owner = &ending}};
    bool watched = loop_watch(&loop, &ending.watch, EPOLLIN, error);
    if (watched) {
        printf("toomany: serving %s\n", server_base_url(server));
        fflush(stdout);
        answer_requests(&loop, server, serve->journal_file);
        fprintf(stderr, "toomany serve: stopped after %" PRIu64 " requests\n",
                journal_total(server_journal(server)));
    }
    bool failed = journal_stream_failed(server_journal(server));
    server_free(server);
    loop_free(&loop);
    if (serve->journal != NULL && fflush(serve->journal) != 0)
        failed = true;
    if (watched && failed)
        return error_set_run(error, serve->journal_file,
                             "the journal could not be written whole (disk full?)");
    return watched;
}

static int read_options(struct serve *serve, int argc, char **argv)
{
    enum { PORT = 1000, HOST, CONFIG, SCENARIO, TIER, JOURNAL, SEED, HELP };
    static const struct option options[] = {
        {"port", required_argument, NULL, PORT},
        {"host", required_argument, NULL, HOST},
        {"config", required_argument, NULL, CONFIG},
        {"scenario", required_argument, NULL, SCENARIO},
        {"tier", required_argument, NULL, TIER},
        {"journal", required_argument, NULL, JOURNAL},
        {"seed", required_argument, NULL, SEED},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int64_t port = 8429;
    serve->server.seed = 1;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == PORT && !cli_read_whole("serve", "--port", optarg, 0, 65535, &port))
            return CLI_USAGE;
        if (option == SEED && !cli_read_seed("serve", optarg, &serve->server.seed))
            return CLI_USAGE;
        if (option == HOST)
            serve->server.host = optarg;
        if (option == CONFIG)
            serve->config_file = optarg;
        if (option == SCENARIO)
            serve->scenario_file = optarg;
        if (option == TIER) {
            serve->tier = tier_find(optarg);
            if (serve->tier == NULL) {
                fprintf(stderr, "toomany serve: --tier %s: wanted one of " TIER_NAMES "\n", optarg);
                return CLI_USAGE;
            }
        }
        if (option == JOURNAL)
            serve->journal_file = optarg;
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return cli_misused("serve");
    }
    serve->server.port = (uint16_t)port;
    if (optind < argc) {
        fprintf(stderr, "toomany serve: \"%s\" is not an option\n", argv[optind]);
        return cli_misused("serve");
    }
    if (serve->config_file != NULL && serve->scenario_file != NULL) {
        fputs("toomany serve: give --config or --scenario, not both\n", stderr);
        return CLI_USAGE;
    }
    return CLI_DONE;
}

int cli_serve(int argc, char **argv)
{
    struct serve serve = {0};
    struct error error = {0};
    struct cli_stop *stop = NULL;
    int status = read_options(&serve, argc, argv);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    serve.server.journal_when_full = JOURNAL_DROP_OLDEST;
    if (!load(&serve, &error) || !open_journal(&serve, &error) ||
        !cli_stop_on_signals(&stop, &error) || !serve_until_stopped(&serve, stop, &error))
        status = cli_fail("serve", &error);
    if (serve.journal != NULL && serve.journal != stdout)
        fclose(serve.journal);
    if (serve.has_scenario)
        scenario_free(&serve.scenario);
    config_free(&serve.config);
    return status;
}
