#include "lab/experiment.h"

#include "base/duration.h"
#include "lab/service.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX (366 * NS_PER_DAY)
#define REQUEST_TOKENS_DEFAULT 100
#define RATE_MIN 1e-6

static const char *const known[] = {
    "name",           "why",        "model", "quotas",   "service_time", "refusal_time",
    "request_tokens", "strategies", "load",  "duration", "drain",        "herd_window",
    "repetitions",    "seed",       NULL};

static void set_defaults(struct experiment *experiment)
{
    *experiment = (struct experiment){
        .model = "gpt-4o-mini",
        .refusal_time = distribution_constant(10 * NS_PER_MS),
        .request_tokens = distribution_constant(REQUEST_TOKENS_DEFAULT),
        .think_time = distribution_constant(0),
        .duration_ns = 10 * NS_PER_MINUTE,
        .drain_ns = NS_PER_MINUTE,
        .herd_window_ns = 10 * NS_PER_MS,
        .repetitions = 5,
        .seed = 1,
    };
    quota_limits_init(&experiment->limits);
}

void experiment_free(struct experiment *experiment)
{
    free(experiment->file);
    free(experiment->name);
    free(experiment->why);
    free(experiment->strategies);
    free(experiment->loads);
    distribution_free(&experiment->service_time);
    distribution_free(&experiment->refusal_time);
    distribution_free(&experiment->request_tokens);
    distribution_free(&experiment->think_time);
    arrivals_settings_free(&experiment->arrivals);
    *experiment = (struct experiment){0};
}

static bool wrong_member(const struct json_reader *reader, const cJSON *object, const char *pointer,
                         const char *name, const char *wanted)
{
    char place[JSON_POINTER_SIZE];
    return json_wrong(reader, json_pointer_member(place, pointer, name),
                      cJSON_GetObjectItemCaseSensitive(object, name), "%s", wanted);
}

/* A path in the file is relative to the file. */
static char *path_beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL)
        return strdup(path);
    size_t length = (size_t)(slash - file) + 1;
    size_t size = length + strlen(path) + 1;
    char *joined = malloc(size);
    if (joined != NULL)
        snprintf(joined, size, "%.*s%s", (int)length, file, path);
    return joined;
}

static bool read_texts(struct experiment *experiment, const struct json_reader *reader,
                       const cJSON *root)
{
    const char *name = NULL;
    const char *why = NULL;
    const char *model = experiment->model;
    if (!json_read_string(reader, root, "", "name", &name) ||
        !json_read_string(reader, root, "", "why", &why) ||
        !json_read_string(reader, root, "", "model", &model))
        return false;
    if (name == NULL || name[0] == '\0')
        return wrong_member(reader, root, "", "name", "a name that reports can show");
    size_t length = strlen(model);
    if (length == 0 || length >= EXPERIMENT_MODEL_SIZE)
        return wrong_member(reader, root, "", "model", "a model id of 1 to 95 bytes");
    memmove(experiment->model, model, length + 1);
    experiment->name = strdup(name);
    experiment->why = why != NULL ? strdup(why) : NULL;
    if (experiment->name == NULL || (why != NULL && experiment->why == NULL))
        return error_set_run(reader->error, reader->file, "out of memory");
    return true;
}

static bool read_quotas(struct experiment *experiment, const struct json_reader *reader,
                        const cJSON *root)
{
    const cJSON *object = NULL;
    const char *names[QUOTA_DIMENSION_COUNT + 1] = {0};
    if (!json_read_object(reader, root, "", "quotas", &object))
        return false;
    if (object == NULL)
        return wrong_member(reader, root, "", "quotas",
                            "the limits, such as {\"requests_per_minute\": 600}");
    size_t name_count = 0;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        if (i != QUOTA_IMAGES_PER_MINUTE) /* the requests of an experiment carry none */
            names[name_count++] = quota_dimension_name((enum quota_dimension)i);
    }
    if (!json_known_members(reader, object, "/quotas", names))
        return false;
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        const char *name = quota_dimension_name((enum quota_dimension)i);
        if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, name)))
            continue;
        if (!json_read_whole(reader, object, "/quotas", name, 1, QUOTA_LIMIT_MAX,
                             &experiment->limits.limit[i]))
            return false;
    }
    return true;
}

/* {"kind": "measured", "journal": PATH}; *is_journal tells whether it is one. */
static bool read_of_journal(const struct json_reader *reader, const cJSON *root, const char *name,
                            bool is_time, struct distribution *distribution, bool *is_journal)
{
    static const char *const members[] = {"kind", "journal", NULL};
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, name);
    const char *path = NULL;
    char pointer[JSON_POINTER_SIZE];
    json_pointer_member(pointer, "", name);
    *is_journal =
        cJSON_IsObject(object) && cJSON_GetObjectItemCaseSensitive(object, "journal") != NULL;
    if (!*is_journal)
        return true;
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "kind"));
    if (kind == NULL || strcmp(kind, "measured") != 0)
        return wrong_member(reader, object, pointer, "kind", "\"measured\", for a journal");
    if (!json_known_members(reader, object, pointer, members) ||
        !json_read_string(reader, object, pointer, "journal", &path))
        return false;
    char *beside = path_beside(reader->file, path);
    if (beside == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    struct distribution measured;
    bool is_read = is_time ? service_times_of_journal(&measured, beside, reader->error)
                           : service_tokens_of_journal(&measured, beside, reader->error);
    free(beside);
    if (!is_read)
        return false;
    distribution_free(distribution);
    *distribution = measured;
    return true;
}

static bool read_distributions(struct experiment *experiment, const struct json_reader *reader,
                               const cJSON *root)
{
    bool is_journal = false;
    if (cJSON_GetObjectItemCaseSensitive(root, "service_time") == NULL)
        return wrong_member(reader, root, "", "service_time",
                            "how long an answer takes, such as \"800ms\"");
    if (!read_of_journal(reader, root, "service_time", true, &experiment->service_time,
                         &is_journal) ||
        (!is_journal && !distribution_read(reader, root, "", "service_time", true, SERVICE_NS_MIN,
                                           SERVICE_NS_MAX, &experiment->service_time)))
        return false;
    if (!read_of_journal(reader, root, "request_tokens", false, &experiment->request_tokens,
                         &is_journal) ||
        (!is_journal && !distribution_read(reader, root, "", "request_tokens", false, 1,
                                           SERVICE_TOKENS_MAX, &experiment->request_tokens)))
        return false;
    return distribution_read(reader, root, "", "refusal_time", true, SERVICE_NS_MIN, SERVICE_NS_MAX,
                             &experiment->refusal_time);
}

static bool read_strategies(struct experiment *experiment, const struct json_reader *reader,
                            const cJSON *root)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "strategies");
    size_t shipped = 0;
    while (strategy_table()[shipped].name[0] != '\0')
        shipped++;
    const char *all = cJSON_GetStringValue(list);
    bool is_all = all != NULL && strcmp(all, "all") == 0;
    size_t count = is_all ? shipped : (size_t)(cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0);
    if (count == 0 || count > EXPERIMENT_STRATEGIES_MAX)
        return wrong_member(reader, root, "", "strategies",
                            "\"all\", or a list of 1 to 100 strategies");
    experiment->strategies = calloc(count, sizeof *experiment->strategies);
    if (experiment->strategies == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    if (is_all) {
        for (; experiment->strategy_count < count; experiment->strategy_count++) {
            struct strategy *strategy = &experiment->strategies[experiment->strategy_count];
            *strategy = strategy_table()[experiment->strategy_count];
            memcpy(strategy->label, strategy->name, sizeof strategy->label);
        }
        return true;
    }
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        json_pointer_item(place, "/strategies", experiment->strategy_count);
        struct strategy *strategy = &experiment->strategies[experiment->strategy_count];
        if (!strategy_from_json(strategy, reader, item, place))
            return false;
        for (size_t i = 0; i < experiment->strategy_count; i++) {
            if (strcmp(experiment->strategies[i].label, strategy->label) == 0)
                return json_wrong(reader, place, NULL,
                                  "a \"label\" of its own: there is another \"%s\"",
                                  strategy->label);
        }
        experiment->strategy_count++;
    }
    return true;
}

static bool read_loads(struct experiment *experiment, const struct json_reader *reader,
                       const cJSON *list, const char *pointer)
{
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    bool is_open = experiment->is_open;
    if (count == 0 || count > EXPERIMENT_LOADS_MAX)
        return json_wrong(reader, pointer, list, "a list of 1 to %d numbers", EXPERIMENT_LOADS_MAX);
    experiment->loads = calloc((size_t)count, sizeof *experiment->loads);
    if (experiment->loads == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    const cJSON *item;
    cJSON_ArrayForEach (item, list) {
        char place[JSON_POINTER_SIZE];
        double load = cJSON_IsNumber(item) ? item->valuedouble : 0;
        double before =
            experiment->load_count > 0 ? experiment->loads[experiment->load_count - 1] : 0;
        bool is_right = is_open
                            ? load >= RATE_MIN && load <= EXPERIMENT_RATE_MAX
                            : load >= 1 && load <= EXPERIMENT_WORKERS_MAX && load == floor(load);
        json_pointer_item(place, pointer, experiment->load_count);
        if (!is_right)
            return json_wrong(reader, place, item, "%s",
                              is_open ? "calls per second, 0.000001 to 10000000"
                                      : "a whole number of workers, 1 to 20000000");
        if (load <= before)
            return json_wrong(reader, place, item, "more than the one before it");
        experiment->loads[experiment->load_count++] = load;
    }
    return true;
}

static bool read_weights(struct arrivals_settings *arrivals, const struct json_reader *reader,
                         const cJSON *object, const char *pointer)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "weights");
    double sum = 0;
    int count = 0;
    const cJSON *item = NULL;
    bool is_right = cJSON_IsArray(list) && cJSON_GetArraySize(list) == ARRIVALS_HOURS;
    if (is_right) {
        cJSON_ArrayForEach (item, list) {
            double weight = cJSON_IsNumber(item) ? item->valuedouble : -1;
            is_right = is_right && weight >= 0 && weight <= 1e9;
            arrivals->weights[count++] = weight;
            sum += weight;
        }
    }
    if (!is_right || !(sum > 0))
        return wrong_member(reader, object, pointer, "weights",
                            "24 numbers, one an hour, 0 and more, not all 0");
    for (int i = 0; i < ARRIVALS_HOURS; i++)
        arrivals->weights[i] *= ARRIVALS_HOURS / sum;
    return true;
}

static bool read_trace(struct arrivals_settings *arrivals, const struct json_reader *reader,
                       const cJSON *object, const char *pointer)
{
    const char *path = NULL;
    if (!json_read_string(reader, object, pointer, "file", &path))
        return false;
    if (path == NULL)
        return wrong_member(reader, object, pointer, "file",
                            "the path of a CSV file or a journal (.jsonl)");
    char *beside = path_beside(reader->file, path);
    if (beside == NULL)
        return error_set_run(reader->error, reader->file, "out of memory");
    bool is_read = arrivals_read_trace(arrivals, beside, reader->error);
    free(beside);
    return is_read;
}

static bool read_length(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *name, int64_t low_ns, int64_t high_ns, int64_t *ns)
{
    char low[DURATION_TEXT_SIZE];
    char high[DURATION_TEXT_SIZE];
    char place[JSON_POINTER_SIZE];
    int64_t value_ns = *ns;
    if (!json_read_duration(reader, object, pointer, name, &value_ns))
        return false;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item != NULL && (value_ns < low_ns || value_ns > high_ns))
        return json_wrong(reader, json_pointer_member(place, pointer, name), item,
                          "a duration from %s to %s", duration_text(low_ns, low),
                          duration_text(high_ns, high));
    *ns = value_ns;
    return true;
}

static bool read_arrivals(struct experiment *experiment, const struct json_reader *reader,
                          const cJSON *load)
{
    static const char *const kinds[] = {"poisson", "bursts", "diurnal", "trace", NULL};
    static const char *const members[][4] = {{"kind", NULL},
                                             {"kind", "every", NULL},
                                             {"kind", "day", "weights", NULL},
                                             {"kind", "file", NULL}};
    static const char pointer[] = "/load/arrivals";
    struct arrivals_settings *arrivals = &experiment->arrivals;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(load, "arrivals");
    int kind = ARRIVALS_POISSON;
    if (item == NULL)
        return true;
    if (cJSON_IsString(item)) {
        if (strcmp(item->valuestring, "poisson") == 0)
            return true;
        return json_wrong(reader, pointer, item,
                          "\"poisson\", or an object whose kind is \"bursts\", \"diurnal\" or "
                          "\"trace\"");
    }
    if (!json_read_object(reader, load, "/load", "arrivals", &item) ||
        !json_read_word(reader, item, pointer, "kind", kinds, &kind) ||
        !json_known_members(reader, item, pointer, members[kind]))
        return false;
    arrivals->kind = (enum arrivals_kind)kind;
    arrivals->every_ns = 10 * NS_PER_S;
    arrivals->day_ns = NS_PER_DAY;
    switch (arrivals->kind) {
    case ARRIVALS_POISSON:
        break;
    case ARRIVALS_BURSTS:
        return read_length(reader, item, pointer, "every", NS_PER_MS, NS_PER_DAY,
                           &arrivals->every_ns);
    case ARRIVALS_DIURNAL:
        return read_length(reader, item, pointer, "day", NS_PER_S, NS_PER_DAY, &arrivals->day_ns) &&
               read_weights(arrivals, reader, item, pointer);
    case ARRIVALS_TRACE:
        return read_trace(arrivals, reader, item, pointer);
    }
    return true;
}

static bool read_open_load(struct experiment *experiment, const struct json_reader *reader,
                           const cJSON *load)
{
    static const char *const members[] = {"rates", "arrivals", NULL};
    const cJSON *rates = cJSON_GetObjectItemCaseSensitive(load, "rates");
    experiment->is_open = true;
    if (!json_known_members(reader, load, "/load", members) ||
        !read_arrivals(experiment, reader, load))
        return false;
    /* A trace has a rate of its own. */
    if (rates == NULL && experiment->arrivals.kind == ARRIVALS_TRACE) {
        experiment->loads = malloc(sizeof *experiment->loads);
        if (experiment->loads == NULL)
            return error_set_run(reader->error, reader->file, "out of memory");
        experiment->loads[0] = arrivals_trace_rate(&experiment->arrivals);
        experiment->load_count = 1;
        return true;
    }
    return read_loads(experiment, reader, rates, "/load/rates");
}

static bool read_load(struct experiment *experiment, const struct json_reader *reader,
                      const cJSON *root)
{
    static const char *const members[] = {"workers", "think_time", "ramp", NULL};
    const cJSON *load = NULL;
    if (!json_read_object(reader, root, "", "load", &load))
        return false;
    bool has_workers = cJSON_GetObjectItemCaseSensitive(load, "workers") != NULL;
    bool is_open = cJSON_GetObjectItemCaseSensitive(load, "rates") != NULL ||
                   cJSON_GetObjectItemCaseSensitive(load, "arrivals") != NULL;
    if (has_workers == is_open)
        return wrong_member(reader, root, "", "load",
                            "either {\"workers\": [...]} or {\"rates\": [...], \"arrivals\": ...}");
    if (is_open)
        return read_open_load(experiment, reader, load);
    return json_known_members(reader, load, "/load", members) &&
           read_loads(experiment, reader, cJSON_GetObjectItemCaseSensitive(load, "workers"),
                      "/load/workers") &&
           distribution_read(reader, load, "/load", "think_time", true, 0, SERVICE_NS_MAX,
                             &experiment->think_time) &&
           read_length(reader, load, "/load", "ramp", 0, NS_PER_DAY, &experiment->ramp_ns);
}

static bool read_root(struct experiment *experiment, const struct json_reader *reader,
                      const cJSON *root)
{
    int64_t repetitions = experiment->repetitions;
    int64_t seed = (int64_t)experiment->seed;
    if (!json_known_members(reader, root, "", known) || !read_texts(experiment, reader, root) ||
        !read_quotas(experiment, reader, root) || !read_distributions(experiment, reader, root) ||
        !read_strategies(experiment, reader, root) || !read_load(experiment, reader, root) ||
        !read_length(reader, root, "", "duration", NS_PER_MS, DURATION_MAX,
                     &experiment->duration_ns) ||
        !read_length(reader, root, "", "drain", 0, DURATION_MAX, &experiment->drain_ns) ||
        !read_length(reader, root, "", "herd_window", NS_PER_US, NS_PER_DAY,
                     &experiment->herd_window_ns) ||
        !json_read_whole(reader, root, "", "repetitions", 1, EXPERIMENT_REPETITIONS_MAX,
                         &repetitions) ||
        !json_read_whole(reader, root, "", "seed", 0, INT64_C(1) << 53, &seed))
        return false;
    experiment->repetitions = (int)repetitions;
    experiment->seed = (uint64_t)seed;
    return true;
}

static bool read_json(struct experiment *experiment, const cJSON *root, const char *file,
                      struct error *error)
{
    const struct json_reader reader = {.file = file, .error = error};
    experiment->file = strdup(file);
    if (experiment->file == NULL)
        return error_set_run(error, file, "out of memory");
    return read_root(experiment, &reader, root);
}

bool experiment_load(struct experiment *experiment, const char *path, struct error *error)
{
    set_defaults(experiment);
    cJSON *root = json_load(path, error);
    bool is_read = root != NULL && read_json(experiment, root, path, error);
    cJSON_Delete(root);
    return is_read;
}

bool experiment_parse(struct experiment *experiment, const char *text, size_t length,
                      const char *file, struct error *error)
{
    set_defaults(experiment);
    cJSON *root = json_parse(text, length, file, error);
    bool is_read = root != NULL && read_json(experiment, root, file, error);
    cJSON_Delete(root);
    return is_read;
}

/* --- a part of it ----------------------------------------------------------------------------- */

static bool has_label(const struct experiment *experiment, const char *label)
{
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        if (strcmp(experiment->strategies[i].label, label) == 0)
            return true;
    }
    return false;
}

static bool no_such_strategy(const struct experiment *experiment, const char *label,
                             struct error *error)
{
    char names[512] = "";
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s\"%s\"", i > 0 ? ", " : "",
                 experiment->strategies[i].label);
    }
    return error_set(error, experiment->file, "it has no strategy \"%s\", only %s", label, names);
}

static bool no_such_load(const struct experiment *experiment, double load, struct error *error)
{
    char loads[512] = "";
    for (size_t i = 0; i < experiment->load_count; i++) {
        size_t used = strlen(loads);
        snprintf(loads + used, sizeof loads - used, "%s%g", i > 0 ? ", " : "",
                 experiment->loads[i]);
    }
    return error_set(error, experiment->file, "it has no load of %g %s, only %s", load,
                     experiment->is_open ? "calls/s" : "workers", loads);
}

static bool is_among(const char *const labels[], size_t count, const char *label)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(labels[i], label) == 0)
            return true;
    }
    return false;
}

static bool choose_load(struct experiment *experiment, double load, struct error *error)
{
    for (size_t i = 0; i < experiment->load_count; i++) {
        if (experiment->loads[i] == load) {
            experiment->loads[0] = load;
            experiment->load_count = 1;
            return true;
        }
    }
    return no_such_load(experiment, load, error);
}

bool experiment_choose(struct experiment *experiment, const char *const labels[],
                       size_t label_count, double load, struct error *error)
{
    for (size_t i = 0; i < label_count; i++) {
        if (!has_label(experiment, labels[i]))
            return no_such_strategy(experiment, labels[i], error);
    }
    if (load != 0 && !choose_load(experiment, load, error))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        if (label_count == 0 || is_among(labels, label_count, experiment->strategies[i].label))
            experiment->strategies[kept++] = experiment->strategies[i];
    }
    experiment->strategy_count = kept;
    return true;
}

/* --- what follows from it --------------------------------------------------------------------- */

struct experiment_bound experiment_bound(const struct experiment *experiment, int64_t duration_ns)
{
    struct experiment_bound bound = {
        .requests_per_s = INFINITY, .tokens_per_s = INFINITY, .limit = QUOTA_DIMENSION_COUNT};
    for (int i = 0; i < QUOTA_DIMENSION_COUNT; i++) {
        enum quota_dimension dimension = (enum quota_dimension)i;
        double limit = (double)experiment->limits.limit[i];
        double window_ns = (double)quota_dimension_window_ns(dimension);
        if (experiment->limits.limit[i] == QUOTA_UNLIMITED)
            continue;
        double per_s = limit * 1e9 / (double)duration_ns;
        if (window_ns > 0)
            per_s += limit * 1e9 / window_ns;
        if (dimension == QUOTA_CONCURRENT_REQUESTS)
            per_s = limit * 1e9 / experiment->service_time.mean;
        if (quota_dimension_counts_tokens(dimension))
            per_s /= experiment->request_tokens.mean;
        if (per_s < bound.requests_per_s) {
            bound.requests_per_s = per_s;
            bound.limit = dimension;
        }
    }
    bound.tokens_per_s = bound.requests_per_s * experiment->request_tokens.mean;
    return bound;
}

static int64_t known_limit(const struct experiment *experiment, enum quota_dimension dimension)
{
    int64_t limit = experiment->limits.limit[dimension];
    return limit == QUOTA_UNLIMITED ? 0 : limit;
}

void experiment_tell_quota(const struct experiment *experiment, struct strategy *strategy)
{
    strategy_know_quota(strategy, known_limit(experiment, QUOTA_REQUESTS_PER_MINUTE),
                        known_limit(experiment, QUOTA_TOKENS_PER_MINUTE));
}

uint64_t experiment_seed(const struct experiment *experiment, int repetition)
{
    struct random random;
    assert(repetition >= 0);
    random_seed(&random, experiment->seed, (uint64_t)repetition);
    return random_bits(&random);
}
