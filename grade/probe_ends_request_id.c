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

    const struct journal_entry *last = &run->entries[run->entry_count - 1];
    bool is_printed = last->request_id[0] != '\0' && prints(run, last->request_id);
    judgement_set(judgement, PROBE_INFORMATIONAL, "it %s the request id of the last answer",
                  is_printed ? "prints" : "does not print");
}

extern const struct probe probe_ends_request_id;
const struct probe probe_ends_request_id = {
    .id = "ends/request-id",
    .group = GROUP_ENDS,
    .severity = SEVERITY_MINOR,
    .requirement =
        "What it prints has the request id, which OpenAI's support asks for (a fact, not judged).",
    .source = "OpenAI, API reference, Debugging requests",
    .sent = "429 without Retry-After, again and again",
    .cure = "Print the header x-request-id of the last answer.",
    .server = "{\"script\": [{\"answer\": " REFUSAL_WITHOUT_WAIT ", \"times\": "
              "\"forever\"}]}",
    .asks_nothing = true,
    .judge = judge,
};
