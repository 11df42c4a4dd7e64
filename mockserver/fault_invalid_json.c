/* Status 200, a right Content-Length, and half of a JSON text: of the answer where that is JSON, in
 * the event that half of a stream ends with, or of an answer to another question. */
#include "mockserver/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Half of a stream in good order but for its last event. The half ends within a name or a text of
 * the JSON: behind a line break it goes back to a character of the event before. */
static void cut_last_event(struct answer *answer)
{
    char *body = NULL;
    size_t half = answer->body_length / 2;
    while (half > 0 && (answer->body[half - 1] == '\n' || answer->body[half - 1] == '}'))
        half--;
    if (asprintf(&body, "%.*s\n\ndata: [DONE]\n\n", (int)half, answer->body) < 0)
        body = NULL;
    answer_body(answer, body);
}

static void play_invalid_json(const struct fault *fault, struct fault_play *play)
{
    struct answer *answer = play->answer;
    (void)fault;
    answer_pieces(answer, NULL, 0);
    if (answer->stream != ANSWER_NOT_STREAMED) {
        answer->stream = ANSWER_NOT_STREAMED;
        cut_last_event(answer);
        return;
    }
    if (answer->body != NULL && answer->body[0] == '{')
        answer->body_length /= 2;
    else
        answer_body(answer, strdup("{\"id\": \"chatcmpl-1\", \"object\": \"chat.comp"));
    answer_header(answer, "content-type", "application/json");
}

extern const struct fault_kind fault_invalid_json;
const struct fault_kind fault_invalid_json = {
    .name = "invalid_json",
    .keys = (const char *const[]){NULL},
    .play = play_invalid_json,
};
