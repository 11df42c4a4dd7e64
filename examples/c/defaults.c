/* The client library as it is when nothing is asked for: exponential backoff with full jitter, at
 * most 3 attempts, Retry-After heeded, a used-up quota not retried. `toomany grade` finds nothing
 * wrong. */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char error[256];
    struct toomany_client *client = toomany_client_new(NULL, error, sizeof error);
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
