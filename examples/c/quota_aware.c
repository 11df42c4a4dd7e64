/* Tells a rate limit, which waiting mends, from a used-up quota (insufficient_quota), which it does
 * not: the library never retries that one, so there is one attempt and a clear word. */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_quota_used_up(const struct toomany_reply *reply)
{
    return reply->error_type != NULL && strcmp(reply->error_type, "insufficient_quota") == 0;
}

int main(void)
{
    char error[256];
    struct toomany_client_options options = {
        .policy = TOOMANY_POLICY_EXPONENTIAL,
        .max_attempts = 3,
        .base_ms = 1000,
        .jitter = TOOMANY_JITTER_NONE,
    };
    struct toomany_client *client = toomany_client_new(&options, error, sizeof error);
    if (client == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }

    struct toomany_reply reply;
    const char *model = getenv("OPENAI_FINE_TUNED_MODEL");
    bool succeeded = toomany_chat(client, model, "Say hello.", &reply);
    if (succeeded)
        puts(reply.content);
    else
        toomany_reply_print_error(&reply, stderr);
    if (!succeeded && is_quota_used_up(&reply))
        fprintf(stderr, "raise the quota or the plan, waiting does not help\n");

    toomany_reply_free(&reply);
    toomany_client_free(client);
    return succeeded ? 0 : 1;
}
