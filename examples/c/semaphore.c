/* Many calls at once, and a limit on how many are in flight.
 *
 *     semaphore                      6 calls, at most 2 at a time
 *     semaphore --limit 0            all at once: the broken form
 *     semaphore --limit 4 --calls 20
 *     semaphore --max-retries 2       a call that is throttled waits as Retry-After asks
 */
#include <toomany/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 1000, MESSAGE_SIZE = 40 };

static int option(int argc, char **argv, const char *name, int otherwise)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], name, length) != 0)
            continue;
        if (argv[i][length] == '=')
            return (int)strtol(argv[i] + length + 1, NULL, 10);
        if (argv[i][length] == '\0' && i + 1 < argc)
            return (int)strtol(argv[i + 1], NULL, 10);
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
    int max_retries = option(argc, argv, "--max-retries", 0);
    if (limit < 0 || calls < 1 || calls > CALLS_MAX || max_retries < 0) {
        fprintf(stderr, "usage: semaphore [--limit N] [--calls 1..%d] [--max-retries N]\n",
                CALLS_MAX);
        return 2;
    }

    char error[256];
    struct toomany_client_options options = {
        .policy = max_retries > 0 ? TOOMANY_POLICY_EXPONENTIAL : TOOMANY_POLICY_NONE,
        .max_attempts = max_retries + 1,
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
