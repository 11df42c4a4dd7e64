/* child_signal: wakes every loop of the program whose thread has something to wait for.
 *
 * SIGCHLD says that a child, or a traced thread, has stopped or ended, but not whose it is, and a
 * program has one handler for all its threads. The handler makes an eventfd of each that is
 * registered readable; each then asks for its own.
 */
#ifndef TOOMANY_CLOCK_CHILD_SIGNAL_H
#define TOOMANY_CLOCK_CHILD_SIGNAL_H

#include <stdbool.h>

/* False when CHILD_SIGNALS_MAX are registered. `fd` is a non-blocking eventfd. */
bool child_signal_register(int fd);
void child_signal_unregister(int fd);

#endif
