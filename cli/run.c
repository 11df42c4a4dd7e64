#include "cli/cli.h"

#include "base/duration.h"
#include "clock/machine_timer.h"
#include "clock/carrier.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
    "Usage: toomany run [OPTIONS] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs any program in virtual time: it sleeps, times out and reads clocks as ever,\n"
    "but nobody waits. When all of its threads and processes wait, the clock moves to\n"
    "the earliest moment at which one is due; while one works, it stands still.\n"
    "\n"
    "  --time KIND     auto, the default, runs in real time where virtual time\n"
    "                  cannot be had, and says so; virtual then fails; or real\n"
    "  --carrier KIND  trace or preload (a library); auto, the default, traces where\n"
    "                  that is permitted\n"
    "  --summary       says on stderr how much time passed for the program\n"
    "  --help\n"
    "\n"
    "The program has the caller's standard input, output and error. Processes that it\n"
    "leaves behind end with it. The file that TOOMANY_CLOCK_LOG names gets a line for\n"
    "each move of the clock.\n"
    "\n"
    "Exit status: that of the program, or 128 and the number of the signal that ended\n"
    "it; 2 wrong usage, 3 it could not be started, or not be carried to its end.\n"
    "\n"
    "Example:\n"
    "  toomany run --summary -- sh -c 'sleep 600; date'\n";

struct run_command {
    enum check_time time;
    enum carrier_choice choice;
    bool summary;
    char **command;

    struct loop loop;
    struct carrier *carrier;
    FILE *log;
    pid_t pid;
    int pid_fd;
    struct watch exit_watch;
    struct watch stop_watch;
    bool has_ended;
    int status;
};

static pid_t forward_to; /* for the handler: the program, once it runs */

/* A signal of the terminal has reached the program too; one that somebody sent to us has not. */
static void forward(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    if (info->si_code <= 0 && forward_to > 0)
        kill(forward_to, signal_number);
    errno = saved;
}

static int read_options(struct run_command *run, int argc, char **argv)
{
    enum { TIME = 1000, CARRIER, SUMMARY, HELP };
    static const struct option options[] = {{"time", required_argument, NULL, TIME},
                                            {"carrier", required_argument, NULL, CARRIER},
                                            {"summary", no_argument, NULL, SUMMARY},
                                            {"help", no_argument, NULL, HELP},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == TIME && !cli_read_time("run", optarg, &run->time))
            return CLI_USAGE;
        if (option == CARRIER && !cli_read_carrier("run", optarg, &run->choice))
            return CLI_USAGE;
        if (option == SUMMARY)
            run->summary = true;
        if (option == HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return cli_misused("run");
    }
    run->command = argv + optind;
    if (run->command[0] != NULL)
        return CLI_DONE;
    fputs("toomany run: a command is missing, as in `toomany run -- sleep 600`\n", stderr);
    return cli_misused("run");
}

_Noreturn static void become(char **command)
{
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command); /* there is one: read_options(). NOLINT(clang-analyzer-core.*) */
    fprintf(stderr, "toomany run: %s: %s\n", command[0],
            errno == ENOENT ? "command not found" : strerror(errno));
    _exit(CLI_COULD_NOT_RUN);
}

static void exit_ready(void *owner, uint32_t events)
{
    struct run_command *run = owner;
    (void)events;
    if (waitpid(run->pid, &run->status, WNOHANG) != run->pid)
        return;
    run->has_ended = true;
    loop_unwatch(&run->loop, &run->exit_watch);
}

static bool start(struct run_command *run, struct error *error)
{
    const char *log = getenv("TOOMANY_CLOCK_LOG");
    if (log != NULL && log[0] != '\0' && (run->log = fopen(log, "ae")) == NULL)
        return error_set_run(error, log, "TOOMANY_CLOCK_LOG: %s", strerror(errno));
    struct carrier_options options = {.log = run->log};
    if (!loop_expect_guests(&run->loop, error))
        return false;
    run->loop.clock.wall_start_ns = machine_wall_s() * NS_PER_S;
    run->carrier = carrier_new(run->choice, &run->loop, &options, error);
    if (run->carrier == NULL)
        return false;
    char **environment = carrier_environment(run->carrier, (const char *const *)environ);
    if (environment == NULL)
        return error_set_run(error, "", "out of memory");
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* who has lost its parent becomes ours, and is carried on */
    pid_t parent = getpid();
    run->pid = fork();
    if (run->pid < 0)
        return error_set_run(error, "fork", "%s", strerror(errno));
    if (run->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || !carrier_enter(run->carrier))
            _exit(CLI_COULD_NOT_RUN); /* the parent says why */
        environ = environment;
        become(run->command);
    }
    free(environment);
    forward_to = run->pid;
    if (!carrier_attach(run->carrier, run->pid, error))
        return false;
    run->pid_fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    run->exit_watch = (struct watch){.fd = run->pid_fd, .ready = exit_ready, .owner = run};
    return loop_watch(&run->loop, &run->exit_watch, EPOLLIN, error);
}

static void tell(const struct run_command *run, int64_t wall_ns)
{
    struct carrier_summary summary = carrier_summary(run->carrier);
    char passed[DURATION_TEXT_SIZE];
    char wall[DURATION_TEXT_SIZE];
    if (summary.let_go != NULL)
        fprintf(stderr, "toomany run: in real time from %s on: %s\n",
                duration_text(summary.let_go_ns, passed), summary.let_go);
    if (!run->summary)
        return;
    fprintf(stderr,
            "toomany run: %s passed for the program, in %s of real time, with %" PRIu64
            " jumps of the clock and %" PRIu64 " stops of the program",
            duration_text(loop_now(&run->loop), passed), duration_text(wall_ns, wall),
            summary.jumps, summary.stops);
    if (summary.crept_ns > 0)
        fprintf(stderr, "; %s of it crept, because it computes while it waits",
                duration_text(summary.crept_ns, passed));
    fputc('\n', stderr);
}

static int carry(struct run_command *run)
{
    struct error error = {0};
    struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
    int64_t started_ns = machine_now();
    if (!loop_init(&run->loop, CLOCK_VIRTUAL, &error))
        return cli_fail("run", &error);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    bool started = start(run, &error);
    while (started && !run->has_ended)
        loop_turn(&run->loop, -1);
    int status = CLI_COULD_NOT_RUN;
    if (!started)
        status = cli_fail("run", &error);
    else if (WIFEXITED(run->status))
        status = WEXITSTATUS(run->status);
    else
        status = 128 + WTERMSIG(run->status);
    if (started)
        tell(run, machine_now() - started_ns);
    if (started && run->time == CHECK_TIME_VIRTUAL && carrier_summary(run->carrier).let_go != NULL)
        status = CLI_COULD_NOT_RUN;
    carrier_free(run->carrier);
    if (run->log != NULL)
        fclose(run->log);
    loop_free(&run->loop);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct run_command run = {0};
    int status = read_options(&run, argc, argv);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    const char *reason = run.time == CHECK_TIME_REAL ? "as asked" : carrier_unavailable(run.choice);
    if (reason == NULL)
        return carry(&run);
    if (run.time == CHECK_TIME_VIRTUAL) {
        fprintf(stderr, "toomany run: --time virtual cannot be had: %s\n", reason);
        return CLI_COULD_NOT_RUN;
    }
    if (run.time == CHECK_TIME_AUTO)
        fprintf(stderr, "toomany run: in real time, because %s\n", reason);
    become(run.command);
}
