#include "grade/rule_data.h"

/* A continuous jitter meets one value so often by a chance of less than the tolerance's share of
 * its range, squared. */
enum { CLAMPED_MIN = 3 };

static bool is_clamped_value(const struct rule_data *data, double delay_ns, double clamp_ns)
{
    double distance_ns = delay_ns > clamp_ns ? delay_ns - clamp_ns : clamp_ns - delay_ns;
    return distance_ns <= 2 * data->tolerance_ns;
}

bool rule_data_is_top(const struct rule_data *data, double delay_ns)
{
    return data->has_top && is_clamped_value(data, delay_ns, data->most_ns);
}

bool rule_data_is_bottom(const struct rule_data *data, double delay_ns)
{
    return data->has_bottom && is_clamped_value(data, delay_ns, data->least_ns);
}

static void count_delay(struct rule_data *data, struct rule_index *at, double delay_ns)
{
    if (rule_data_is_top(data, delay_ns)) {
        at->at_top++;
    } else if (rule_data_is_bottom(data, delay_ns)) {
        at->at_bottom++;
    } else {
        at->least_ns = at->count == 0 || delay_ns < at->least_ns ? delay_ns : at->least_ns;
        at->most_ns = at->count == 0 || delay_ns > at->most_ns ? delay_ns : at->most_ns;
        at->count++;
    }
}

static void find_extremes(struct rule_data *data)
{
    data->least_ns = 0;
    data->most_ns = 0;
    bool first = true;
    for (size_t i = 0; i < data->run_count; i++) {
        for (size_t j = 0; j < data->runs[i].count; j++) {
            double delay_ns = (double)data->runs[i].delays_ns[j];
            data->least_ns = first || delay_ns < data->least_ns ? delay_ns : data->least_ns;
            data->most_ns = first || delay_ns > data->most_ns ? delay_ns : data->most_ns;
            first = false;
        }
    }
}

static void summarise(struct rule_data *data)
{
    data->delay_count = 0;
    data->index_count = 0;
    find_extremes(data);
    for (size_t k = 0; k < RULE_DELAYS_MAX; k++)
        data->at[k] = (struct rule_index){0};
    for (size_t i = 0; i < data->run_count; i++) {
        const struct rule_run *run = &data->runs[i];
        data->delay_count += run->count;
        data->index_count = run->count > data->index_count ? run->count : data->index_count;
        for (size_t j = 0; j < run->count; j++)
            count_delay(data, &data->at[j], (double)run->delays_ns[j]);
    }
}

void rule_data_collect(struct rule_data *data, const struct rule_observation observations[],
                       size_t count)
{
    *data = (struct rule_data){.tolerance_ns = 1};
    for (size_t i = 0; i < count && data->run_count < RULE_RUNS_MAX; i++) {
        const struct rule_observation *seen = &observations[i];
        if (seen->retry_after_ns >= 0)
            continue;
        size_t delay_count =
            seen->delay_count < RULE_DELAYS_MAX ? seen->delay_count : RULE_DELAYS_MAX;
        data->runs[data->run_count++] = (struct rule_run){seen->delays_ns, delay_count};
        if ((double)seen->tolerance_ns > data->tolerance_ns)
            data->tolerance_ns = (double)seen->tolerance_ns;
    }
    summarise(data);
}

void rule_data_drop_first(struct rule_data *data)
{
    for (size_t i = 0; i < data->run_count; i++) {
        if (data->runs[i].count > 0) {
            data->runs[i].delays_ns++;
            data->runs[i].count--;
        }
    }
    summarise(data);
}

bool rule_data_clamped(struct rule_data *clamped, const struct rule_data *data, bool top,
                       bool bottom)
{
    *clamped = *data;
    clamped->has_top = top;
    clamped->has_bottom = bottom;
    summarise(clamped);
    size_t at_top = 0;
    size_t at_bottom = 0;
    for (size_t k = 0; k < clamped->index_count; k++) {
        at_top += clamped->at[k].at_top;
        at_bottom += clamped->at[k].at_bottom;
    }
    return (!top || at_top >= CLAMPED_MIN) && (!bottom || at_bottom >= CLAMPED_MIN) &&
           at_top + at_bottom < data->delay_count;
}

bool rule_data_is_same_in_all_runs(const struct rule_data *data)
{
    for (size_t k = 0; k < data->index_count; k++) {
        if (data->at[k].most_ns - data->at[k].least_ns > 2 * data->tolerance_ns)
            return false;
    }
    return true;
}
