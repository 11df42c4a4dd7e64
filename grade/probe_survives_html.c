#include "grade/judges.h"

extern const struct probe probe_survives_html;
const struct probe probe_survives_html = {
    .id = "survives/html",
    .group = GROUP_SURVIVES,
    .severity = SEVERITY_MAJOR,
    .requirement = "The HTML page of a proxy is not taken for an answer.",
    .source = "openai-python, openai-node, openai-go: connection errors are retried or raised",
    .sent = "502 with an HTML page, then 200",
    .cure = "Go by the status before the body is read.",
    .server =
        "{\"script\": [{\"answer\": {\"fault\": \"proxy_page\", \"status\": 502}, \"times\": 1}]}",
    .judge = judge_survives,
};
