#include "harness/suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct suite {
    const struct suite_options *options;
    struct results *results;
    bool *done;
    size_t next; /* to be begun */
    size_t told; /* for which `ended` has been called */
    pthread_mutex_t mutex;
};

static bool take_next(struct suite *suite, size_t *index)
{
    pthread_mutex_lock(&suite->mutex);
    bool is_stopping = suite->options->stopping != NULL && atomic_load(suite->options->stopping);
    bool has_more = !is_stopping && suite->next < suite->options->count;
    if (has_more)
        *index = suite->next++;
    pthread_mutex_unlock(&suite->mutex);
    return has_more;
}

static void tell(struct suite *suite, size_t index)
{
    pthread_mutex_lock(&suite->mutex);
    suite->done[index] = true;
    while (suite->told < suite->options->count && suite->done[suite->told]) {
        struct result *result = &suite->results->items[suite->told++];
        if (suite->options->ended != NULL)
            suite->options->ended(suite->options->owner, result);
    }
    pthread_mutex_unlock(&suite->mutex);
}

static void *work(void *argument)
{
    struct suite *suite = argument;
    size_t index = 0;
    while (take_next(suite, &index)) {
        const struct suite_item *item = &suite->options->items[index];
        struct check_options options = {
            .scenario = item->scenario,
            .command = item->command,
            .seed = item->seed,
            .time = suite->options->time,
            .carrier = suite->options->carrier,
            .stopping = suite->options->stopping,
            .stop_fd = suite->options->stop_fd,
            .journal_capacity = item->journal_capacity,
            .journal_seen = item->journal_seen,
            .owner = item->owner,
        };
        struct result *result = &suite->results->items[index];
        check_scenario(&options, result);
        result->repetition = item->repetition;
        tell(suite, index);
    }
    return NULL;
}

bool suite_run(const struct suite_options *options, struct results *results, struct error *error)
{
    struct suite suite = {
        .options = options,
        .results = results,
        .done = calloc(options->count + 1, sizeof(bool)),
        .mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    *results = (struct results){.items = calloc(options->count + 1, sizeof *results->items)};
    if (suite.done == NULL || results->items == NULL) {
        free(suite.done);
        return error_set_run(error, "", "out of memory");
    }
    pthread_t threads[SUITE_JOBS_MAX];
    int jobs = options->jobs < SUITE_JOBS_MAX ? options->jobs : SUITE_JOBS_MAX;
    int started = 0;
    for (; started + 1 < jobs && (size_t)started + 1 < options->count; started++) {
        if (pthread_create(&threads[started], NULL, work, &suite) != 0)
            break; /* fewer side by side, but all of them */
    }
    work(&suite);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    results->count = suite.next;
    results->interrupted = options->stopping != NULL && atomic_load(options->stopping);
    free(suite.done);
    return true;
}
