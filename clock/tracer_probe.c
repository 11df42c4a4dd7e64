/* Whether programs can be carried at all: it is tried once, on a child of our own. */
#include "clock/carrier.h"
#include "clock/tracer_state.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_once_t probe_once = PTHREAD_ONCE_INIT;
static const char *probe_reason;

/* A child that sleeps behind the filter, traced as clients are. */
static void probe(void)
{
#if defined(__x86_64__)
    struct sock_filter filter[FILTER_LENGTH_MAX];
    struct sock_fprog program = {.len = (unsigned short)traced_call_filter(filter),
                                 .filter = filter};
    int ready[2];
    probe_reason = "out of descriptors";
    if (pipe2(ready, O_CLOEXEC) != 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        bool filtered = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
        ssize_t written = write(ready[1], &filtered, 1);
        (void)written;
        for (;;)
            pause();
    }
    bool filtered = false;
    ssize_t got = read(ready[0], &filtered, 1);
    bool is_traced = pid > 0 && ptrace(PTRACE_SEIZE, pid, NULL, (long)PTRACE_O_EXITKILL) == 0;
    probe_reason = got != 1 || !filtered ? "this system does not let a program filter its system "
                                           "calls (seccomp)"
                   : !is_traced          ? "this system does not let a program trace its children "
                                           "(ptrace)"
                                         : NULL;
    close(ready[0]);
    close(ready[1]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
#else
    probe_reason = "virtual time for programs needs Linux on x86-64";
#endif
}

const char *tracer_unavailable(void)
{
    if (carrier_in_way() != NULL)
        return carrier_in_way();
    pthread_once(&probe_once, probe);
    return probe_reason;
}
