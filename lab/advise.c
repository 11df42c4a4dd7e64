#include "lab/advise.h"

#include "lab/report_words.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A difference that is too small to be worth a word. */
#define GAIN_WORTH_SAYING 0.02
/* Fewer than this throttled: nobody runs into the quota. */
#define THROTTLED_HARDLY 0.005

static double mean_of(const struct cell_result *cell, enum measure measure, double if_unknown)
{
    double mean = cell->measures[measure].mean;
    return isnan(mean) ? if_unknown : mean;
}

static bool loses_few(const struct cell_result *cell)
{
    return mean_of(cell, MEASURE_CALLS_LOST, 1) <= ADVISE_LOST_ALLOWED;
}

/* Whether it can be compared with others. */
static bool is_candidate(const struct cell_result *cell)
{
    return cell->repetitions > 0 && !cell->is_cut_short;
}

bool advise_feeds(const struct cell_result *cell)
{
    return mean_of(cell, MEASURE_QUOTA_SHARE, 0) >= ADVISE_SHARE_WANTED && loses_few(cell);
}

static int rank(const struct cell_result *cell)
{
    return advise_feeds(cell) ? 2 : loses_few(cell) ? 1 : 0;
}

double advise_wait_s(const struct sweep *sweep, const struct cell_result *cell)
{
    double refusal_s = sweep->experiment->refusal_time.mean * 1e-9;
    double refused_per_s =
        mean_of(cell, MEASURE_ATTEMPTS, 0) * mean_of(cell, MEASURE_THROTTLED_SHARE, 0);
    double calls_per_s = mean_of(cell, MEASURE_OFFERED, 0);
    double refused = calls_per_s > 0 ? refused_per_s / calls_per_s : 0;
    return mean_of(cell, MEASURE_WAITED, INFINITY) + refused * refusal_s;
}

bool advise_is_better(const struct sweep *sweep, const struct cell_result *cell,
                      const struct cell_result *than)
{
    if (rank(cell) != rank(than))
        return rank(cell) > rank(than);
    /* Without a limit there is no share. */
    enum measure goodput = isnan(cell->measures[MEASURE_QUOTA_SHARE].mean)
                               ? MEASURE_GOODPUT_REQUESTS
                               : MEASURE_QUOTA_SHARE;
    double gets = mean_of(cell, goodput, 0);
    double gets_than = mean_of(than, goodput, 0);
    if (rank(cell) < 2 && gets != gets_than)
        return gets > gets_than;
    double waited = advise_wait_s(sweep, cell);
    double waited_than = advise_wait_s(sweep, than);
    if (waited != waited_than)
        return waited < waited_than;
    return mean_of(cell, MEASURE_COMPLETION_P99, INFINITY) <
           mean_of(than, MEASURE_COMPLETION_P99, INFINITY);
}

/* Whether the repetitions leave it open which of the two waits longer. */
static bool waits_alike(const struct sweep *sweep, const struct cell_result *one,
                        const struct cell_result *other)
{
    const struct estimate *waited = &one->measures[MEASURE_WAITED];
    const struct estimate *waited_other = &other->measures[MEASURE_WAITED];
    double room = (waited->high - waited->low + waited_other->high - waited_other->low) / 2;
    return waited->has_interval && waited_other->has_interval &&
           fabs(advise_wait_s(sweep, one) - advise_wait_s(sweep, other)) <= room;
}

const struct cell_result *advise_best_of(const struct sweep *sweep, size_t strategy)
{
    const struct cell_result *best = NULL;
    for (size_t i = 0; i < sweep->experiment->load_count; i++) {
        const struct cell_result *cell = sweep_cell(sweep, strategy, i);
        if (is_candidate(cell) && (best == NULL || advise_is_better(sweep, cell, best)))
            best = cell;
    }
    return best;
}

const struct cell_result *advise_best(const struct sweep *sweep)
{
    const struct cell_result *least = NULL;
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        const struct cell_result *cell = advise_best_of(sweep, i);
        if (cell != NULL && (least == NULL || advise_is_better(sweep, cell, least)))
            least = cell;
    }
    if (least == NULL || !advise_feeds(least))
        return least;
    const struct cell_result *best = least;
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct cell_result *cell = &sweep->cells[i];
        if (is_candidate(cell) && advise_feeds(cell) && waits_alike(sweep, cell, least) &&
            mean_of(cell, MEASURE_COMPLETION_P99, INFINITY) <
                mean_of(best, MEASURE_COMPLETION_P99, INFINITY))
            best = cell;
    }
    return best;
}

bool advise_raised(const struct sweep *sweep, const struct cell_result *best,
                   struct experiment *raised)
{
    enum quota_dimension limit = sweep->bound.limit;
    if (limit >= QUOTA_DIMENSION_COUNT)
        return false;
    *raised = *sweep->experiment;
    raised->strategies = &sweep->experiment->strategies[best->strategy];
    raised->strategy_count = 1;
    raised->limits.limit[limit] *= ADVISE_RAISE_FACTOR;
    return raised->limits.limit[limit] <= QUOTA_LIMIT_MAX;
}

/* --- sentences -------------------------------------------------------------------------------- */

struct sentences {
    char *text;
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentences *sentences,
                                                      const char *format, ...)
{
    va_list arguments;
    size_t room = ADVISE_TEXT_SIZE - sentences->length;
    va_start(arguments, format);
    int length = vsnprintf(sentences->text + sentences->length, room, format, arguments);
    va_end(arguments);
    assert(length >= 0);
    sentences->length += (size_t)length < room ? (size_t)length : room - 1;
}

static const char *label_of(const struct sweep *sweep, const struct cell_result *cell)
{
    return sweep->experiment->strategies[cell->strategy].label;
}

static const char *load_of(const struct sweep *sweep, const struct cell_result *cell,
                           char text[LAB_WORDS_SIZE])
{
    return lab_words_load(sweep->experiment, sweep->experiment->loads[cell->load], text);
}

static void say_rate(struct sentences *sentences, const struct cell_result *cell,
                     enum measure goodput)
{
    char rate[LAB_WORDS_SIZE];
    say(sentences, "%s %s", lab_words_rate(cell->measures[goodput].mean, rate),
        measure_describe(goodput)->unit);
}

static void say_what_it_gets(struct sentences *sentences, const struct sweep *sweep,
                             const struct cell_result *cell)
{
    char share[LAB_WORDS_SIZE];
    char waited[LAB_WORDS_SIZE];
    char p99[LAB_WORDS_SIZE];
    say_rate(sentences, cell, lab_goodput_measure(sweep));
    say(sentences, ", %s of the quota; a call waits %s on average",
        lab_words_share(cell->measures[MEASURE_QUOTA_SHARE].mean, share),
        lab_words_seconds(advise_wait_s(sweep, cell), waited));
    if (!isnan(cell->measures[MEASURE_COMPLETION_P99].mean))
        say(sentences, ", and 99 %% are complete within %s",
            lab_words_seconds(cell->measures[MEASURE_COMPLETION_P99].mean, p99));
}

/* Strategies that feed the quota with a wait that the repetitions cannot tell from the best. */
static void say_equals(struct sentences *sentences, const struct sweep *sweep,
                       const struct cell_result *best)
{
    const char *before = " The repetitions cannot tell its wait from that of ";
    size_t said = 0;
    for (size_t i = 0; i < sweep->experiment->strategy_count; i++) {
        const struct cell_result *cell = advise_best_of(sweep, i);
        char load[LAB_WORDS_SIZE];
        if (cell == NULL || i == best->strategy || !advise_feeds(cell) ||
            !waits_alike(sweep, cell, best))
            continue;
        say(sentences, "%s\"%s\" with %s", said == 0 ? before : ", ", label_of(sweep, cell),
            load_of(sweep, cell, load));
        said++;
    }
    if (said > 0)
        say(sentences, ".");
}

static void say_obstacle(struct sentences *sentences, const struct sweep *sweep,
                         const struct cell_result *best)
{
    const struct experiment *experiment = sweep->experiment;
    bool is_highest = best->load + 1 == experiment->load_count;
    char share[LAB_WORDS_SIZE];
    char late[LAB_WORDS_SIZE];
    if (measures_are_late(best))
        say(sentences,
            " This machine was too slow: what was due came %s late on average. --simulate has no "
            "such limit.",
            lab_words_seconds(mean_of(best, MEASURE_LATE, 0), late));
    else if (!loses_few(best))
        say(sentences, " Every strategy lost more than %g %% of its calls; this one lost %s.",
            ADVISE_LOST_ALLOWED * 100,
            lab_words_share(best->measures[MEASURE_CALLS_LOST].mean, share));
    else if (is_highest && mean_of(best, MEASURE_THROTTLED_SHARE, 0) <= THROTTLED_HARDLY)
        say(sentences,
            " It was hardly throttled at the highest load of the experiment: the load is the "
            "limit, not the quota. Try %s.",
            experiment->is_open ? "higher rates" : "more workers");
    else if (is_highest)
        say(sentences, " It was the highest load of the experiment; try %s.",
            experiment->is_open ? "higher rates" : "more workers");
    else
        say(sentences, " More load made it no better: try loads between these, or another rule.");
}

static const struct cell_result *highest_goodput(const struct sweep *sweep, enum measure goodput)
{
    const struct cell_result *highest = NULL;
    for (size_t i = 0; i < sweep->cell_count; i++) {
        const struct cell_result *cell = &sweep->cells[i];
        if (is_candidate(cell) && loses_few(cell) &&
            (highest == NULL || mean_of(cell, goodput, 0) > mean_of(highest, goodput, 0)))
            highest = cell;
    }
    return highest;
}

static double gain(const struct cell_result *cell, const struct cell_result *before,
                   enum measure goodput)
{
    double then = mean_of(before, goodput, 0);
    return then > 0 ? mean_of(cell, goodput, 0) / then - 1 : 0;
}

/* The load that is advised now, and, where it brings more, the least load that brings nearly as
 * much as the highest. */
static const struct cell_result *least_load_near(const struct sweep *raised, enum measure goodput,
                                                 const struct cell_result *most)
{
    for (size_t i = 0; i < most->load; i++) {
        const struct cell_result *cell = sweep_cell(raised, 0, i);
        if (is_candidate(cell) && loses_few(cell) &&
            mean_of(cell, goodput, 0) >= mean_of(most, goodput, 0) * (1 - GAIN_WORTH_SAYING))
            return cell;
    }
    return most;
}

static void say_raise(struct sentences *sentences, const struct sweep *sweep,
                      const struct sweep *raised, const struct cell_result *best)
{
    enum measure goodput = lab_goodput_measure(sweep);
    enum quota_dimension limit = raised->bound.limit;
    const struct cell_result *same = sweep_cell(raised, 0, best->load);
    const struct cell_result *most = highest_goodput(raised, goodput);
    char text[LAB_WORDS_SIZE];
    char load[LAB_WORDS_SIZE];
    if (same == NULL || same->repetitions == 0)
        return;
    say(sentences, " Twice the %s would bring ", lab_words_limit(sweep->bound.limit, text));
    double with_same = gain(same, best, goodput);
    if (with_same < GAIN_WORTH_SAYING) {
        say(sentences, "next to nothing with %s", load_of(raised, same, load));
    } else {
        say_rate(sentences, same, goodput);
        say(sentences, " with %s (%+.0f %%)", load_of(raised, same, load), with_same * 100);
    }
    if (most != NULL && gain(most, best, goodput) > with_same + GAIN_WORTH_SAYING) {
        most = least_load_near(raised, goodput, most);
        say(sentences, ", and ");
        say_rate(sentences, most, goodput);
        say(sentences, " with %s (%+.0f %%)", load_of(raised, most, load),
            gain(most, best, goodput) * 100);
    }
    say(sentences, ", by simulation");
    if (limit != sweep->bound.limit && limit < QUOTA_DIMENSION_COUNT)
        say(sentences, "; the limit that binds is then the %s", lab_words_limit(limit, text));
    say(sentences, ".");
}

const char *advise_text(const struct sweep *sweep, const struct sweep *raised,
                        char text[ADVISE_TEXT_SIZE])
{
    struct sentences sentences = {.text = text};
    const struct cell_result *best = advise_best(sweep);
    char load[LAB_WORDS_SIZE];
    text[0] = '\0';
    if (best == NULL) {
        say(&sentences, "Nothing was run to its end, so there is nothing to advise.");
        return text;
    }
    if (!sweep->is_complete)
        say(&sentences, "From what was run to its end before the stop: ");
    if (isinf(sweep->bound.requests_per_s)) {
        say(&sentences,
            "This quota sets no limit, so there is none to reach; the most was served by \"%s\" "
            "with %s.",
            label_of(sweep, best), load_of(sweep, best, load));
        return text;
    }
    if (advise_feeds(best))
        say(&sentences, "Take \"%s\" with %s: ", label_of(sweep, best), load_of(sweep, best, load));
    else
        say(&sentences,
            "Nothing here reaches %.0f %% of the quota with at most %g %% of the calls lost. "
            "Nearest is \"%s\" with %s: ",
            ADVISE_SHARE_WANTED * 100, ADVISE_LOST_ALLOWED * 100, label_of(sweep, best),
            load_of(sweep, best, load));
    say_what_it_gets(&sentences, sweep, best);
    say(&sentences, ".");
    if (advise_feeds(best))
        say_equals(&sentences, sweep, best);
    else
        say_obstacle(&sentences, sweep, best);
    /* Beside a slow machine any simulation looks like a gain. */
    if (raised != NULL && !measures_are_late(best))
        say_raise(&sentences, sweep, raised, best);
    return text;
}
