#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int cli_fail(const char *command, const struct error *error)
{
    char text[1400];
    fprintf(stderr, "toomany %s: %s\n", command, error_text(error, text, sizeof text));
    return error->could_not_run ? CLI_COULD_NOT_RUN : CLI_USAGE;
}

int cli_misused(const char *command)
{
    fprintf(stderr, "Try `toomany %s --help`.\n", command);
    return CLI_USAGE;
}

bool cli_read_whole(const char *command, const char *option, const char *text, int64_t low,
                    int64_t high, int64_t *value)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && number >= low && number <= high) {
        *value = number;
        return true;
    }
    fprintf(stderr,
            "toomany %s: %s: found \"%s\", wanted a whole number from %" PRId64 " to %" PRId64 "\n",
            command, option, text, low, high);
    return false;
}

bool cli_read_seed(const char *command, const char *text, uint64_t *seed)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && text[0] != '-') {
        *seed = number;
        return true;
    }
    fprintf(stderr, "toomany %s: --seed: found \"%s\", wanted a whole number from 0 to 2^64-1\n",
            command, text);
    return false;
}

bool cli_read_time(const char *command, const char *text, enum check_time *time)
{
    static const char *const words[] = {"auto", "real", "virtual"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(words[i], text) == 0) {
            *time = (enum check_time)i;
            return true;
        }
    }
    fprintf(stderr, "toomany %s: --time: found \"%s\", wanted auto, virtual or real\n", command,
            text);
    return false;
}

bool cli_read_carrier(const char *command, const char *text, enum carrier_choice *carrier)
{
    static const char *const words[] = {"auto", "trace", "preload"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(words[i], text) == 0) {
            *carrier = (enum carrier_choice)i;
            return true;
        }
    }
    fprintf(stderr, "toomany %s: --carrier: found \"%s\", wanted auto, trace or preload\n", command,
            text);
    return false;
}

/* Signal handlers reach nothing but globals: this one is written once, before they are set. */
static struct cli_stop stop_state;

static void handle_stop(int signal_number)
{
    (void)signal_number;
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&stop_state.stopping, true);
    ssize_t written = write(stop_state.stop_fd, &one, sizeof one);
    (void)written;
    errno = saved;
}

bool cli_stop_on_signals(struct cli_stop **stop, struct error *error)
{
    stop_state.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_state.stop_fd < 0)
        return error_set_run(error, "eventfd", "%s", strerror(errno));
    struct sigaction action = {.sa_handler = handle_stop,
                               .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    *stop = &stop_state;
    return true;
}

bool cli_shared_path(const char *name, char *path, size_t size)
{
    static const char *const places[] = {"../share/toomany", "..", "../.."};
    char executable[1024];
    ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    if (length < 0)
        return false;
    executable[length] = '\0';
    char *slash = strrchr(executable, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char candidate[1200];
        snprintf(candidate, sizeof candidate, "%s/%s/%s", executable, places[i], name);
        char *resolved = realpath(candidate, NULL);
        if (resolved == NULL)
            continue;
        snprintf(path, size, "%s", resolved);
        free(resolved);
        return true;
    }
    return false;
}
