/* The fixed program: up to 3 attempts, and 1 s and 2 s (2 ** attempt) between them. When the last
 * one fails too, its error is shown whole: a program that swallows it hides an outage. */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>

static void tell(void *owner, const struct toomany_wait *wait)
{
    (void)owner;
    fprintf(stderr, "attempt %d failed with %d; retrying in %.1f s\n", wait->attempt, wait->status,
            (double)wait->wait_ms / 1000);
}

int main(void)
{
    char error[256];
    struct toomany_client_options options = {
        .policy = TOOMANY_POLICY_EXPONENTIAL,
        .max_attempts = 3,
        .base_ms = 1000,
        .factor = 2,
        .jitter = TOOMANY_JITTER_NONE, /* one program; with many, take TOOMANY_JITTER_FULL */
        .ignore_retry_after = true,
        .on_wait = tell,
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

    toomany_reply_free(&reply);
    toomany_client_free(client);
    return succeeded ? 0 : 1;
}
