/* Many calls at once, and a limit on how many are in flight.
 *
 *     semaphore                      6 calls, at most 2 at a time
 *     semaphore --limit 0            all at once: the broken form
 *     semaphore --limit 4 --calls 20
 */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 1000, MESSAGE_SIZE = 40 };

static int option(int argc, char **argv, const char *name, int otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return atoi(argv[i + 1]);
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    static char texts[CALLS_MAX][MESSAGE_SIZE];
    static const char *messages[CALLS_MAX];
    static struct toomany_reply replies[CALLS_MAX];
    int limit = option(argc, argv, "--limit", 2);
    int calls = option(argc, argv, "--calls", 6);
    if (limit < 0 || calls < 1 || calls > CALLS_MAX) {
        fprintf(stderr, "usage: semaphore [--limit N] [--calls 1..%d]\n", CALLS_MAX);
        return 2;
    }

    char error[256];
    struct toomany_client_options options = {
        .policy = TOOMANY_POLICY_NONE,
        .max_in_flight = limit,
    };
    struct toomany_client *client = toomany_client_new(&options, error, sizeof error);
    if (client == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }

    for (int i = 0; i < calls; i++) {
        snprintf(texts[i], MESSAGE_SIZE, "Say hello to number %d.", i + 1);
        messages[i] = texts[i];
    }
    const char *model = getenv("OPENAI_FINE_TUNED_MODEL");
    bool succeeded = toomany_chat_all(client, model, messages, (size_t)calls, replies);
    for (int i = 0; i < calls; i++) {
        if (replies[i].succeeded)
            printf("call %d: %s\n", i + 1, replies[i].content);
        else
            toomany_reply_print_error(&replies[i], stderr);
        toomany_reply_free(&replies[i]);
    }
    toomany_client_free(client);
    return succeeded ? 0 : 1;
}
