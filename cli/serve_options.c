#include "cli/serve.h"

#include "base/duration.h"
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: toomany serve [OPTIONS]\n"
    "\n"
    "Runs the mock server; its first line on stdout says where. SIGINT or SIGTERM\n"
    "ends it, SIGHUP makes it read its file again.\n"
    "\n"
    "  --port N, --host ADDR  default 8429 (0: a free one) and 127.0.0.1\n"
    "  --config FILE          quotas, models, script (the \"server\" of a scenario)\n"
    "  --scenario FILE        the same, taken out of a scenario\n"
    "  --tier NAME            limits of a usage tier: free, 1, 2, 3, 4, 5\n"
    "  --threads N            that serve; default 1; not with --upstream, --record\n"
    "  --seed N               of ids, latencies and shares; default 1\n"
    "  --api-key KEY          others get 401; once for each key that is good\n"
    "  --admin-token TOKEN    wanted at /_toomany/; made for a host beyond loopback\n"
    "  --tls-cert FILE --tls-key FILE, or --tls-self-signed FILE-TO-TRUST\n"
    "  --journal FILE         what it saw and answered, as JSON Lines (-: stdout)\n"
    "  --upstream URL         asks this server for what is admitted\n"
    "  --upstream-key-env NAME, --upstream-timeout TIME (of silence; default 600s)\n"
    "  --record FILE          writes what was answered as a scenario\n"
    "  --log-format text|json, --log-level error|warning|info|debug\n"
    "  --max-header-bytes N, --max-body-bytes N, --max-connections N,\n"
    "  --max-address-connections N, --max-idle TIME, --max-request-time TIME,\n"
    "  --max-journal-entries N, --max-journal-bytes N    bounds: docs/server.md\n"
    "  --help\n"
    "\n"
    "While it runs (under http://127.0.0.1:8429/_toomany/): health, journal,\n"
    "metrics, quotas (GET, PATCH), tier (GET, PUT), reset (POST), reload (POST)\n"
    "Exit status: 0 stopped, 2 wrong usage or bad file, 3 it could not be carried out\n"
    "\n"
    "Example:\n"
    "  toomany serve --port 8429 --tier 1 &\n"
    "  OPENAI_BASE_URL=http://127.0.0.1:8429/v1 OPENAI_API_KEY=k python3 program.py\n";

enum option_id {
    PORT = 1000,
    HOST,
    CONFIG,
    SCENARIO,
    TIER,
    SEED,
    THREADS,
    API_KEY,
    ADMIN_TOKEN,
    TLS_CERT,
    TLS_KEY,
    TLS_SELF_SIGNED,
    JOURNAL,
    MAX_JOURNAL_BYTES,
    MAX_JOURNAL_ENTRIES,
    MAX_HEADER_BYTES,
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    MAX_ADDRESS_CONNECTIONS,
    MAX_IDLE,
    MAX_REQUEST_TIME,
    UPSTREAM,
    UPSTREAM_KEY_ENV,
    UPSTREAM_TIMEOUT,
    RECORD,
    LOG_FORMAT,
    LOG_LEVEL,
    HELP,
};

static const struct option known[] = {
    {"port", required_argument, NULL, PORT},
    {"host", required_argument, NULL, HOST},
    {"config", required_argument, NULL, CONFIG},
    {"scenario", required_argument, NULL, SCENARIO},
    {"tier", required_argument, NULL, TIER},
    {"seed", required_argument, NULL, SEED},
    {"threads", required_argument, NULL, THREADS},
    {"api-key", required_argument, NULL, API_KEY},
    {"admin-token", required_argument, NULL, ADMIN_TOKEN},
    {"tls-cert", required_argument, NULL, TLS_CERT},
    {"tls-key", required_argument, NULL, TLS_KEY},
    {"tls-self-signed", required_argument, NULL, TLS_SELF_SIGNED},
    {"journal", required_argument, NULL, JOURNAL},
    {"max-journal-bytes", required_argument, NULL, MAX_JOURNAL_BYTES},
    {"max-journal-entries", required_argument, NULL, MAX_JOURNAL_ENTRIES},
    {"max-header-bytes", required_argument, NULL, MAX_HEADER_BYTES},
    {"max-body-bytes", required_argument, NULL, MAX_BODY_BYTES},
    {"max-connections", required_argument, NULL, MAX_CONNECTIONS},
    {"max-address-connections", required_argument, NULL, MAX_ADDRESS_CONNECTIONS},
    {"max-idle", required_argument, NULL, MAX_IDLE},
    {"max-request-time", required_argument, NULL, MAX_REQUEST_TIME},
    {"upstream", required_argument, NULL, UPSTREAM},
    {"upstream-key-env", required_argument, NULL, UPSTREAM_KEY_ENV},
    {"upstream-timeout", required_argument, NULL, UPSTREAM_TIMEOUT},
    {"record", required_argument, NULL, RECORD},
    {"log-format", required_argument, NULL, LOG_FORMAT},
    {"log-level", required_argument, NULL, LOG_LEVEL},
    {"help", no_argument, NULL, HELP},
    {0},
};

/* What is a whole number: where each goes, and what it may be. */
static bool read_bound(struct serve_options *options, int id, const char *text)
{
    static const struct {
        int id;
        const char *name;
        int64_t low, high;
    } bounds[] = {
        {THREADS, "--threads", 1, SERVER_THREADS_MAX},
        {MAX_JOURNAL_BYTES, "--max-journal-bytes", 1, INT64_C(1) << 50},
        {MAX_JOURNAL_ENTRIES, "--max-journal-entries", 1, 100000000},
        {MAX_HEADER_BYTES, "--max-header-bytes", 1024, 1048576},
        {MAX_BODY_BYTES, "--max-body-bytes", 1, 1073741824},
        {MAX_CONNECTIONS, "--max-connections", 1, 1000000},
        {MAX_ADDRESS_CONNECTIONS, "--max-address-connections", 1, 1000000},
    };
    int64_t value = 0;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (bounds[i].id == id &&
            !cli_read_whole("serve", bounds[i].name, text, bounds[i].low, bounds[i].high, &value))
            return false;
    }
    if (id == THREADS)
        options->threads = (unsigned int)value;
    if (id == MAX_JOURNAL_BYTES)
        options->journal_bytes_max = value;
    if (id == MAX_JOURNAL_ENTRIES)
        options->journal_entries = (size_t)value;
    if (id == MAX_HEADER_BYTES)
        options->bounds.header_bytes = (size_t)value;
    if (id == MAX_BODY_BYTES)
        options->bounds.body_bytes = (size_t)value;
    if (id == MAX_CONNECTIONS)
        options->bounds.connections = (unsigned int)value;
    if (id == MAX_ADDRESS_CONNECTIONS)
        options->bounds.connections_per_address = (unsigned int)value;
    return true;
}

static bool read_time(const char *name, const char *text, int64_t *ns)
{
    if (duration_parse(text, ns) && *ns > 0)
        return true;
    fprintf(stderr, "toomany serve: %s: found \"%s\", wanted a time such as 500ms, 60s or 30m\n",
            name, text);
    return false;
}

static bool read_log_word(struct serve_options *options, int id, const char *text)
{
    if (id == LOG_FORMAT) {
        options->log_is_json = strcmp(text, "json") == 0;
        if (options->log_is_json || strcmp(text, "text") == 0)
            return true;
        fprintf(stderr, "toomany serve: --log-format: found \"%s\", wanted text or json\n", text);
        return false;
    }
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(log_level_names[i], text) != 0)
            continue;
        options->log_level = (enum log_level)i;
        return true;
    }
    fprintf(stderr,
            "toomany serve: --log-level: found \"%s\", wanted error, warning, info or debug\n",
            text);
    return false;
}

/* Other users of the machine can read a command line. */
static char *take_secret(char *text)
{
    char *copy = strdup(text);
    memset(text, '*', strlen(text));
    return copy;
}

static bool is_secret(const char *option, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            fprintf(stderr,
                    "toomany serve: %s: wanted visible ASCII characters: it goes into a header\n",
                    option);
            return false;
        }
    }
    if (*text == '\0')
        fprintf(stderr, "toomany serve: %s: is empty\n", option);
    return *text != '\0';
}

static bool read_secret(struct serve_options *options, int id, char *text)
{
    if (id == ADMIN_TOKEN) {
        if (!is_secret("--admin-token", text))
            return false;
        free(options->admin_token);
        options->admin_token = take_secret(text);
        return true;
    }
    if (!is_secret("--api-key", text))
        return false;
    if (options->api_key_count == CONFIG_KEYS_MAX) {
        fprintf(stderr, "toomany serve: --api-key: at most %d\n", CONFIG_KEYS_MAX);
        return false;
    }
    options->api_keys[options->api_key_count++] = take_secret(text);
    return true;
}

static bool read_tier(struct serve_options *options, const char *text)
{
    options->tier = tier_find(text);
    if (options->tier == NULL)
        fprintf(stderr, "toomany serve: --tier %s: wanted one of " TIER_NAMES "\n", text);
    return options->tier != NULL;
}

static bool read_port(struct serve_options *options, const char *text)
{
    int64_t port = 0;
    if (!cli_read_whole("serve", "--port", text, 0, 65535, &port))
        return false;
    options->port = (uint16_t)port;
    return true;
}

static void read_text(struct serve_options *options, int id, const char *text)
{
    const struct {
        int id;
        const char **target;
    } texts[] = {
        {HOST, &options->host},
        {CONFIG, &options->config_file},
        {SCENARIO, &options->scenario_file},
        {TLS_CERT, &options->tls_certificate_file},
        {TLS_KEY, &options->tls_key_file},
        {TLS_SELF_SIGNED, &options->tls_authority_file},
        {JOURNAL, &options->journal_file},
        {UPSTREAM, &options->upstream_url},
        {UPSTREAM_KEY_ENV, &options->upstream_key_env},
        {RECORD, &options->record_file},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].id == id)
            *texts[i].target = text;
    }
}

static bool read_option(struct serve_options *options, int id, char *text)
{
    switch (id) {
    case PORT:
        return read_port(options, text);
    case TIER:
        return read_tier(options, text);
    case SEED:
        return cli_read_seed("serve", text, &options->seed);
    case API_KEY:
    case ADMIN_TOKEN:
        return read_secret(options, id, text);
    case MAX_IDLE:
        return read_time("--max-idle", text, &options->bounds.idle_ns);
    case UPSTREAM_TIMEOUT:
        return read_time("--upstream-timeout", text, &options->upstream_timeout_ns);
    case MAX_REQUEST_TIME:
        return read_time("--max-request-time", text, &options->bounds.request_ns);
    case LOG_FORMAT:
    case LOG_LEVEL:
        return read_log_word(options, id, text);
    default:
        read_text(options, id, text);
        return read_bound(options, id, text);
    }
}

/* Options that do not go together. */
static bool check(const struct serve_options *options)
{
    const char *wrong = NULL;
    if (options->config_file != NULL && options->scenario_file != NULL)
        wrong = "give --config or --scenario, not both";
    else if ((options->tls_certificate_file == NULL) != (options->tls_key_file == NULL))
        wrong = "--tls-cert and --tls-key go together";
    else if (options->tls_certificate_file != NULL && options->tls_authority_file != NULL)
        wrong = "give --tls-cert with --tls-key or --tls-self-signed, not both";
    else if (options->journal_bytes_max > 0 &&
             (options->journal_file == NULL || strcmp(options->journal_file, "-") == 0))
        wrong = "--max-journal-bytes wants --journal FILE";
    else if (options->upstream_url == NULL &&
             (options->upstream_key_env != NULL || options->upstream_timeout_ns > 0))
        wrong = "--upstream-key-env and --upstream-timeout want --upstream URL";
    else if (options->upstream_key_env != NULL && getenv(options->upstream_key_env) == NULL)
        wrong = "--upstream-key-env: there is no such variable in the environment";
    else if (options->threads > 1 && options->upstream_url != NULL)
        wrong = "--threads: with --upstream only one serves";
    else if (options->threads > 1 && options->record_file != NULL)
        wrong = "--threads: with --record only one serves";
    if (wrong != NULL)
        fprintf(stderr, "toomany serve: %s\n", wrong);
    return wrong == NULL;
}

int serve_options_read(struct serve_options *options, int argc, char **argv)
{
    *options = (struct serve_options){.port = 8429, .seed = 1, .log_level = LOG_INFO};
    int id;
    while ((id = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (id == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (id == '?')
            return cli_misused("serve");
        if (!read_option(options, id, optarg))
            return CLI_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "toomany serve: \"%s\" is not an option\n", argv[optind]);
        return cli_misused("serve");
    }
    return check(options) ? CLI_DONE : CLI_USAGE;
}

static void free_secret(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void serve_options_free(struct serve_options *options)
{
    for (size_t i = 0; i < options->api_key_count; i++)
        free_secret(options->api_keys[i]);
    free_secret(options->admin_token);
    *options = (struct serve_options){0};
}
