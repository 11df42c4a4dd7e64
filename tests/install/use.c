/* What a user's program does with the installed library, in the C and C++ that a compiler takes
 * by default: one call, with retries. run.sh compiles it as both. */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char error[256];
    struct toomany_client_options options = {};
    options.policy = TOOMANY_POLICY_EXPONENTIAL;
    options.jitter = TOOMANY_JITTER_NONE;
    options.base_ms = 1000;
    struct toomany_client *client = toomany_client_new(&options, error, sizeof error);
    if (client == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    struct toomany_reply reply;
    bool succeeded = toomany_chat(client, getenv("OPENAI_FINE_TUNED_MODEL"), "Hello", &reply);
    if (succeeded)
        puts(reply.content);
    else
        toomany_reply_print_error(&reply, stderr);
    toomany_reply_free(&reply);
    toomany_client_free(client);
    return succeeded ? 0 : 1;
}
