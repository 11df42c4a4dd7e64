/* A thread that waits in a loop for another one that sleeps: it looks at no clock, and must end. */
#include "../programs/lines.h"

#include <stdatomic.h>

static atomic_bool is_done;

static void *finish(void *unused)
{
    (void)unused;
    usleep(100000);
    atomic_store(&is_done, true);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, finish, NULL);
    while (!atomic_load(&is_done))
        continue;
    pthread_join(thread, NULL);
    printf("done\n");
    return 0;
}
