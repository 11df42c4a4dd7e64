/* A thread that waits by looking at a clock, and one that sleeps beside it. */
#include "../programs/lines.h"

static void *nap(void *unused)
{
    (void)unused;
    usleep(50000);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, nap, NULL);
    int64_t start = now_ns();
    while (now_ns() - start < 200 * MS)
        continue;
    pthread_join(thread, NULL);
    printf("done\n");
    return 0;
}
