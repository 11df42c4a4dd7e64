#include "lab/sweep.h"

#include "base/duration.h"
#include "clock/machine_timer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 256, PROGRESS_MS = 100, FULL_PROGRESS = 1000000 };

struct pool_of_jobs {
    struct sweep *sweep;
    const struct sweep_options *options;
    sweep_runner *runner;
    size_t runs_total;
    size_t runs_taken;
    size_t runs_done;
    int jobs_left; /* threads that have not ended */
    bool has_failed;
    struct error error; /* of the first run that failed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs;
    int job_count;
};

/* A thread. */
struct job {
    struct pool_of_jobs *pool;
    pthread_t thread;
    size_t run; /* under way; runs_total: none */
    atomic_uint_least32_t progress;
};

static bool is_stopped(const struct pool_of_jobs *pool)
{
    return pool->options->stop != NULL && atomic_load(pool->options->stop);
}

/* False when there is nothing more to run. */
static bool take_run(struct job *job)
{
    struct pool_of_jobs *pool = job->pool;
    pthread_mutex_lock(&pool->lock);
    bool is_taken = pool->runs_taken < pool->runs_total && !pool->has_failed && !is_stopped(pool);
    job->run = is_taken ? pool->runs_taken++ : pool->runs_total;
    atomic_store(&job->progress, 0);
    pthread_mutex_unlock(&pool->lock);
    return is_taken;
}

static struct run_order order_of(struct job *job)
{
    const struct sweep *sweep = job->pool->sweep;
    const struct sweep_options *options = job->pool->options;
    const struct experiment *experiment = sweep->experiment;
    size_t cell = job->run / (size_t)experiment->repetitions;
    int repetition = (int)(job->run % (size_t)experiment->repetitions);
    size_t strategy = sweep->cells[cell].strategy;
    size_t load = sweep->cells[cell].load;
    bool is_journalled = options->journal != NULL && repetition == 0 &&
                         strategy == options->journal_strategy && load == options->journal_load;
    return (struct run_order){
        .experiment = experiment,
        .strategy = &sweep->strategies[strategy],
        .load = experiment->loads[load],
        .seed = experiment_seed(experiment, repetition),
        .journal = is_journalled ? options->journal : NULL,
        .live = options->live,
        .stop = options->stop,
        .progress = &job->progress,
    };
}

static void *work(void *owner)
{
    struct job *job = owner;
    struct pool_of_jobs *pool = job->pool;
    while (take_run(job)) {
        struct error error = {0};
        const struct run_order order = order_of(job);
        bool is_run = pool->runner(&order, &pool->sweep->runs[job->run], &error);
        pthread_mutex_lock(&pool->lock);
        if (!is_run && !pool->has_failed)
            pool->error = error;
        pool->has_failed |= !is_run;
        pool->runs_done += is_run;
        job->run = pool->runs_total;
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_lock(&pool->lock);
    pool->jobs_left--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the lock held. */
static struct sweep_progress progress_of(const struct pool_of_jobs *pool)
{
    const struct sweep *sweep = pool->sweep;
    struct sweep_progress progress = {.runs_done = pool->runs_done, .runs_total = pool->runs_total};
    double done = (double)pool->runs_done;
    for (int i = 0; i < pool->job_count; i++) {
        struct job *job = &pool->jobs[i];
        if (job->run >= pool->runs_total)
            continue;
        const struct cell_result *cell =
            &sweep->cells[job->run / (size_t)sweep->experiment->repetitions];
        progress.strategy = &sweep->strategies[cell->strategy];
        progress.load = sweep->experiment->loads[cell->load];
        done += (double)atomic_load(&job->progress) / FULL_PROGRESS;
    }
    progress.share = done < (double)pool->runs_total ? done / (double)pool->runs_total : 1;
    return progress;
}

static void tell_progress(struct pool_of_jobs *pool)
{
    if (pool->options->on_progress == NULL)
        return;
    const struct sweep_progress progress = progress_of(pool);
    pthread_mutex_unlock(&pool->lock);
    pool->options->on_progress(pool->options->owner, &progress);
    pthread_mutex_lock(&pool->lock);
}

/* Until all threads have ended. This is about what a person sees, so it is by the machine's own
 * time. */
static void watch(struct pool_of_jobs *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->jobs_left > 0) {
        int64_t until_ns = machine_now() + PROGRESS_MS * NS_PER_MS;
        struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
        pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
        if (pool->jobs_left > 0)
            tell_progress(pool);
    }
    tell_progress(pool);
    pthread_mutex_unlock(&pool->lock);
}

static int count_of_jobs(const struct sweep_options *options, size_t runs)
{
    long jobs = options->jobs > 0 ? options->jobs : sysconf(_SC_NPROCESSORS_ONLN);
    if (jobs < 1)
        jobs = 1;
    if (jobs > JOBS_MAX)
        jobs = JOBS_MAX;
    return (size_t)jobs < runs ? (int)jobs : (int)runs;
}

static bool start_jobs(struct pool_of_jobs *pool, struct error *error)
{
    int started = 0;
    for (; started < pool->job_count; started++) {
        struct job *job = &pool->jobs[started];
        job->pool = pool;
        job->run = pool->runs_total;
        pthread_mutex_lock(&pool->lock);
        pool->jobs_left++;
        pthread_mutex_unlock(&pool->lock);
        if (pthread_create(&job->thread, NULL, work, job) == 0)
            continue;
        pthread_mutex_lock(&pool->lock);
        pool->jobs_left--;
        pthread_mutex_unlock(&pool->lock);
        break;
    }
    /* Fewer threads than asked for do the same work. */
    pool->job_count = started;
    return started > 0 || error_set_run(error, "", "no thread could be started");
}

static bool run_all(struct pool_of_jobs *pool, struct error *error)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pool->lock, NULL);
    bool is_run = start_jobs(pool, error);
    if (is_run) {
        watch(pool);
        for (int i = 0; i < pool->job_count; i++)
            pthread_join(pool->jobs[i].thread, NULL);
    }
    if (is_run && pool->has_failed) {
        *error = pool->error;
        is_run = false;
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    return is_run;
}

static bool allocate(struct sweep *sweep)
{
    const struct experiment *experiment = sweep->experiment;
    size_t repetitions = (size_t)experiment->repetitions;
    sweep->cell_count = experiment->strategy_count * experiment->load_count;
    sweep->strategies = calloc(experiment->strategy_count, sizeof *sweep->strategies);
    sweep->cells = calloc(sweep->cell_count, sizeof *sweep->cells);
    sweep->runs = calloc(sweep->cell_count * repetitions, sizeof *sweep->runs);
    return sweep->strategies != NULL && sweep->cells != NULL && sweep->runs != NULL;
}

static void prepare(struct sweep *sweep)
{
    const struct experiment *experiment = sweep->experiment;
    sweep->bound = experiment_bound(experiment, experiment->duration_ns);
    for (size_t i = 0; i < experiment->strategy_count; i++) {
        sweep->strategies[i] = experiment->strategies[i];
        experiment_tell_quota(experiment, &sweep->strategies[i]);
    }
    for (size_t i = 0; i < sweep->cell_count; i++) {
        sweep->cells[i].strategy = i / experiment->load_count;
        sweep->cells[i].load = i % experiment->load_count;
    }
}

/* In the order of the cells, whoever ran them: sums of floating point depend on the order. */
static bool combine(struct sweep *sweep)
{
    size_t repetitions = (size_t)sweep->experiment->repetitions;
    double *scratch = malloc(repetitions * sizeof *scratch);
    if (scratch == NULL)
        return false;
    sweep->is_complete = true;
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct run_result *runs = &sweep->runs[i * repetitions];
        measures_combine(&sweep->cells[i], runs, (int)repetitions, scratch);
        sweep->is_complete &= sweep->cells[i].is_complete;
        for (size_t j = 0; j < repetitions; j++)
            sweep->events += runs[j].events;
    }
    free(scratch);
    return true;
}

bool sweep_run(struct sweep *sweep, const struct experiment *experiment,
               const struct sweep_options *options, struct error *error)
{
    *sweep = (struct sweep){.experiment = experiment};
    if (!allocate(sweep)) {
        sweep_free(sweep);
        return error_set_run(error, experiment->file, "out of memory for %zu runs",
                             sweep->cell_count * (size_t)experiment->repetitions);
    }
    prepare(sweep);
    struct pool_of_jobs pool = {
        .sweep = sweep,
        .options = options,
        .runner = options->runner != NULL ? options->runner : simulation_run,
        .runs_total = sweep->cell_count * (size_t)experiment->repetitions,
    };
    pool.job_count = count_of_jobs(options, pool.runs_total);
    pool.jobs = calloc((size_t)pool.job_count, sizeof *pool.jobs);
    bool is_run = pool.jobs != NULL || error_set_run(error, experiment->file, "out of memory");
    is_run = is_run && run_all(&pool, error) &&
             (combine(sweep) || error_set_run(error, experiment->file, "out of memory"));
    free(pool.jobs);
    if (!is_run)
        sweep_free(sweep);
    return is_run;
}

void sweep_free(struct sweep *sweep)
{
    free(sweep->strategies);
    free(sweep->cells);
    free(sweep->runs);
    *sweep = (struct sweep){0};
}

const struct cell_result *sweep_cell(const struct sweep *sweep, size_t strategy, size_t load)
{
    if (strategy >= sweep->experiment->strategy_count || load >= sweep->experiment->load_count)
        return NULL;
    return &sweep->cells[strategy * sweep->experiment->load_count + load];
}
