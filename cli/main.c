#include "cli/cli.h"

#include "harness/process.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    const char *does;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"demo", "shows a broken and a fixed client side by side, throttled for real", cli_demo},
    {"check", "runs a program against scenarios and judges its retries", cli_check},
    {"grade", "gives a program a report card: how it behaves under rate limits", cli_grade},
    {"serve", "runs the mock server alone", cli_serve},
    {"call", "makes a call with our own client and a retry policy", cli_call},
    {"run", "runs any program in virtual time: nobody waits", cli_run},
    {"load", "measures which strategy gets how much of a quota, real or simulated", cli_load},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *stream)
{
    fputs("toomany tests how programs behave under OpenAI's rate limits (HTTP 429).\n\n"
          "Usage: toomany COMMAND [OPTIONS]\n\n",
          stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-7s %s\n", commands[i].name, commands[i].does);
    fputs("\n  toomany COMMAND --help   explains one\n"
          "  toomany --version\n\n"
          "Example: toomany check scenarios/r3-fixed-recovers.json -- python3 my_program.py\n\n"
          "Exit status: 0 all held, 1 an expectation did not hold, 2 wrong usage or a bad\n"
          "file, 3 it could not be carried out.\n",
          stream);
}

/* Where we were started with one of them closed, the next descriptor that we open, such as that of
 * a timer, would take its number, and reports would be written to it. What is opened here instead
 * can be neither read nor written, so that this is noticed. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_PATH);
    }
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    setlocale(LC_CTYPE, "");  /* what the terminal can show; numbers stay as in C */
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is a failed write, not our end */
    process_adopt_orphans();
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("toomany " TOOMANY_VERSION);
        return CLI_DONE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        char name[32]; /* getopt_long puts it before its messages */
        snprintf(name, sizeof name, "toomany %s", commands[i].name);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "toomany: there is no command \"%s\"; see `toomany --help`\n", argv[1]);
    return CLI_USAGE;
}
