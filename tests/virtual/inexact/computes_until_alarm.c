/* A thread that computes until an alarm goes off: nobody waits for it in a call, and it must end.
 */
#include "../programs/lines.h"

int main(void)
{
    handle(SIGALRM, count_signal, 0);
    alarm(1);
    while (signals_seen == 0)
        continue;
    printf("done\n");
    return 0;
}
