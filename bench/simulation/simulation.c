/* How fast the simulation is: N callers with a think time, half of whose requests are throttled.
 *
 *     bench_simulation CALLERS SECONDS
 *
 * prints callers, attempts, events, seconds of processor time and the most memory in bytes, as
 * JSON. bench/simulation/model.py is the same model in SimPy; bench/simulation/run prints both.
 */
#include "lab/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double processor_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Not ru_maxrss: that one begins with what the program had that started this one. */
static long memory_most_bytes(void)
{
    long kilobytes = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmHWM:", strlen("VmHWM:")) == 0)
            kilobytes = strtol(line + strlen("VmHWM:"), NULL, 10);
    }
    if (status != NULL)
        fclose(status);
    return kilobytes * 1024;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: bench_simulation CALLERS SECONDS\n", stderr);
        return 2;
    }
    long callers = strtol(argv[1], NULL, 10);
    char text[1024];
    snprintf(text, sizeof text,
             "{\"name\": \"speed\", \"quotas\": {\"requests_per_minute\": %ld},"
             " \"service_time\": {\"kind\": \"exponential\", \"mean\": \"800ms\"},"
             " \"strategies\": [\"full-jitter\"],"
             " \"load\": {\"workers\": [%ld],"
             "            \"think_time\": {\"kind\": \"exponential\", \"mean\": \"10s\"},"
             "            \"ramp\": \"10s\"},"
             " \"duration\": \"%ss\", \"drain\": \"0s\", \"repetitions\": 1}",
             callers * 3, callers, argv[2]);
    struct experiment experiment;
    struct sweep sweep;
    struct error error;
    const struct sweep_options options = {.jobs = 1};
    double begun_s = processor_s();
    if (!experiment_parse(&experiment, text, strlen(text), "bench", &error) ||
        !sweep_run(&sweep, &experiment, &options, &error)) {
        char message[1024];
        fprintf(stderr, "bench_simulation: %s\n", error_text(&error, message, sizeof message));
        return 2;
    }
    double used_s = processor_s() - begun_s;
    printf("{\"callers\": %ld, \"attempts\": %" PRIu64 ", \"throttled\": %" PRIu64
           ", \"events\": %" PRIu64 ", \"seconds\": %.6f, \"memory\": %ld}\n",
           callers, sweep.runs[0].attempts, sweep.runs[0].throttled, sweep.events, used_s,
           memory_most_bytes());
    sweep_free(&sweep);
    experiment_free(&experiment);
    return 0;
}
