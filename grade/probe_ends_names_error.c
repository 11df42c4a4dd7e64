#include "grade/evidence.h"

#include <string.h>

/* Whether the program's output, either stream, has the text; case does not matter. */
static bool prints(const struct probe_run *run, const char *text)
{
    return (run->end->output != NULL && strcasestr(run->end->output, text) != NULL) ||
           (run->end->errors != NULL && strcasestr(run->end->errors, text) != NULL);
}

static void judge(const struct probe *probe, const struct probe_evidence *evidence,
                  struct judgement *judgement)
{
    const struct probe_run *run = &evidence->runs[0];
    (void)probe;
    if (run->flooded || run->end->timed_out || run->end->signal != 0 || run->entry_count == 0) {
        judgement_set(judgement, PROBE_NOT_APPLICABLE, "it never gave up by itself");
        return;
    }

    static const char *const names[] = {"429", "RateLimit", "rate_limit", "rate limit",
                                        "Too Many Requests"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!prints(run, names[i]))
            continue;
        judgement_set(judgement, PROBE_RIGHT, "it prints \"%s\"", names[i]);
        return;
    }
    if (run->end->output_bytes == 0)
        judgement_set(judgement, PROBE_WRONG, "it prints nothing");
    else
        judgement_set(judgement, PROBE_WRONG,
                      "nothing that it prints has 429, the class or the code");
}

extern const struct probe probe_ends_names_error;
const struct probe probe_ends_names_error = {
    .id = "ends/names-error",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MAJOR,
    .requirement = "What it prints tells that the rate limit was the cause: the status, the class "
                   "or the code.",
    .source = "koa-fin/sep#2, UKGovernmentBEIS/inspect_ai#5340",
    .sent = "429 without Retry-After, again and again",
    .cure = "Print or log the error that ended the call, not only that it failed.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
