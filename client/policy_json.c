#include "client/policy_json.h"

#include "base/duration.h"

/* A delay below this is a hot loop; one above waits longer than any run. */
#define DELAY_NS_MIN NS_PER_MS
#define DELAY_NS_MAX NS_PER_DAY

static const char *const known[] = {"kind",
                                    "max_attempts",
                                    "base",
                                    "factor",
                                    "cap",
                                    "jitter",
                                    "honour_retry_after",
                                    "retry_after_cap",
                                    "retry_after_above_cap",
                                    "delay_min",
                                    "total",
                                    NULL};

/* In the order of their enums. */
static const char *const kinds[] = {"none", "fixed", "exponential", NULL};
static const char *const jitters[] = {"none", "full", "equal", "decorrelated", "quarter", NULL};
static const char *const above_caps[] = {"give_up", "backoff", "clamp", NULL};

static bool read_delay(const struct json_reader *reader, const cJSON *object, const char *pointer,
                       const char *name, int64_t low_ns, int64_t high_ns, int64_t *ns)
{
    int64_t value_ns = *ns;
    if (!json_read_duration(reader, object, pointer, name, &value_ns))
        return false;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item != NULL && (value_ns < low_ns || value_ns > high_ns)) {
        char place[JSON_POINTER_SIZE];
        char low[DURATION_TEXT_SIZE];
        char high[DURATION_TEXT_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, name), item,
                          "a duration from %s to %s", duration_text(low_ns, low),
                          duration_text(high_ns, high));
    }
    *ns = value_ns;
    return true;
}

static bool read_kind(struct retry_policy *policy, const struct json_reader *reader,
                      const cJSON *object, const char *pointer)
{
    int kind = -1;
    if (!json_read_word(reader, object, pointer, "kind", kinds, &kind))
        return false;
    if (kind < 0) {
        char place[JSON_POINTER_SIZE];
        return json_wrong(reader, json_pointer_member(place, pointer, "kind"), NULL,
                          "\"none\", \"fixed\" or \"exponential\"");
    }
    policy->kind = (enum retry_kind)kind;
    return true;
}

static bool refuse_keys(const struct json_reader *reader, const cJSON *object, const char *pointer,
                        const char *const keys[], const char *kind)
{
    char place[JSON_POINTER_SIZE];
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (cJSON_GetObjectItemCaseSensitive(object, keys[i]) == NULL)
            continue;
        error_set(reader->error, json_pointer_member(place, pointer, keys[i]),
                  "a policy of kind \"%s\" has no use for this", kind);
        error_prefix_place(reader->error, reader->file);
        return false;
    }
    return true;
}

/* What the kind has no use for. */
static bool check_fits_kind(const struct retry_policy *policy, const struct json_reader *reader,
                            const cJSON *object, const char *pointer)
{
    static const char *const useless_for_none[] = {"base",
                                                   "factor",
                                                   "cap",
                                                   "jitter",
                                                   "honour_retry_after",
                                                   "retry_after_cap",
                                                   "retry_after_above_cap",
                                                   "delay_min",
                                                   "total",
                                                   NULL};
    static const char *const useless_for_fixed[] = {"factor", "cap", NULL};
    if (policy->kind == RETRY_NONE)
        return refuse_keys(reader, object, pointer, useless_for_none, kinds[RETRY_NONE]);
    if (policy->kind == RETRY_EXPONENTIAL)
        return true;
    if (!refuse_keys(reader, object, pointer, useless_for_fixed, kinds[RETRY_FIXED]))
        return false;
    if (policy->jitter != RETRY_JITTER_DECORRELATED)
        return true;
    char place[JSON_POINTER_SIZE];
    return json_wrong(
        reader, json_pointer_member(place, pointer, "jitter"),
        cJSON_GetObjectItemCaseSensitive(object, "jitter"),
        "\"none\", \"full\", \"equal\" or \"quarter\" (\"decorrelated\" grows, \"fixed\" "
        "does not)");
}

bool retry_policy_override(struct retry_policy *policy, const struct json_reader *reader,
                           const cJSON *object, const char *pointer)
{
    struct retry_policy read = *policy;
    int64_t attempts_max = read.kind == RETRY_NONE ? 1 : read.attempts_max;
    int64_t attempts_high = read.kind == RETRY_NONE ? 1 : RETRY_ATTEMPTS_MAX;
    int jitter = (int)read.jitter;
    int above_cap = (int)read.above_cap;
    if (!json_read_whole(reader, object, pointer, "max_attempts", 1, attempts_high,
                         &attempts_max) ||
        !json_read_word(reader, object, pointer, "jitter", jitters, &jitter) ||
        !json_read_number(reader, object, pointer, "factor", 1, RETRY_FACTOR_MAX, &read.factor) ||
        !read_delay(reader, object, pointer, "base", DELAY_NS_MIN, DELAY_NS_MAX, &read.base_ns))
        return false;
    /* A cap that was not said must not refuse a base above it. */
    if (read.cap_ns < read.base_ns)
        read.cap_ns = read.base_ns;
    if (!read_delay(reader, object, pointer, "cap", read.base_ns, DELAY_NS_MAX, &read.cap_ns) ||
        !json_read_bool(reader, object, pointer, "honour_retry_after", &read.honours_retry_after) ||
        !read_delay(reader, object, pointer, "retry_after_cap", 0, DURATION_NS_MAX,
                    &read.retry_after_cap_ns) ||
        !json_read_word(reader, object, pointer, "retry_after_above_cap", above_caps, &above_cap) ||
        !read_delay(reader, object, pointer, "delay_min", 0, DELAY_NS_MAX, &read.delay_min_ns) ||
        !read_delay(reader, object, pointer, "total", DELAY_NS_MIN, DURATION_NS_MAX,
                    &read.total_ns))
        return false;
    read.attempts_max = (int)attempts_max;
    read.jitter = (enum retry_jitter)jitter;
    read.above_cap = (enum retry_above_cap)above_cap;
    if (!check_fits_kind(&read, reader, object, pointer))
        return false;
    *policy = read;
    return true;
}

bool retry_policy_from_json(struct retry_policy *policy, const struct json_reader *reader,
                            const cJSON *object, const char *pointer)
{
    struct retry_policy read = retry_policy_default();
    if (!json_known_members(reader, object, pointer, known) ||
        !read_kind(&read, reader, object, pointer) ||
        !retry_policy_override(&read, reader, object, pointer))
        return false;
    *policy = read;
    return true;
}
