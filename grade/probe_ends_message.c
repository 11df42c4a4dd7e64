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

    /* A part that no line break or escape stands in. */
    if (prints(run, "Rate limit reached for"))
        judgement_set(judgement, PROBE_RIGHT, "it prints \"Rate limit reached for ...\"");
    else
        judgement_set(judgement, PROBE_WRONG, "it does not print \"Rate limit reached for ...\"");
}

extern const struct probe probe_ends_message;
const struct probe probe_ends_message = {
    .id = "ends/message",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement = "What it prints has the server's own message, which names the limit.",
    .source = "koa-fin/sep#2",
    .sent = "429 without Retry-After, again and again",
    .cure = "Keep the body's error.message, and print it.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
