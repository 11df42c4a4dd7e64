/* rule_fit: how well a family of rules explains the delays.
 *
 * The cost of a fit is minus the logarithm of how likely the delays are under it, for each number
 * that was fitted and what it had to be chosen from added (as in the minimum description length):
 * a difference of ln 1000 means a thousand times less likely. A rule says about each retry a range
 * [low, high]; a delay in it has the likelihood 1 / (high - low + 2 * tolerance), so that one with
 * wide ranges explains everything, badly, and one without jitter explains little, very well.
 *
 * A family is one file with a function of type rule_fitter and one row in the table in rule_fit.c.
 */
#ifndef TOOMANY_GRADE_RULE_FIT_H
#define TOOMANY_GRADE_RULE_FIT_H

#include "grade/rule_data.h"

struct rule_fit {
    bool fits;
    double cost;
    struct rule rule;      /* family, numbers, jitter */
    struct rule likeliest; /* the same with the numbers that fit best, not rounded */
    size_t numbers;        /* that were fitted */
    double chance; /* of ranges that are filled as badly as these, were the rule the true one */
};

/* Fits a family; leaves fit->fits false where it cannot explain the delays at all. */
typedef void rule_fitter(const struct rule_data *data, struct rule_fit *fit);

rule_fitter rule_fit_fixed;
rule_fitter rule_fit_linear;
rule_fitter rule_fit_exponential;
rule_fitter rule_fit_decorrelated;
rule_fitter rule_fit_compounding;

/* The best and, of the other families, the next best. */
struct rule_choice {
    struct rule_fit best;
    struct rule_fit next;
};
void rule_fit_all(const struct rule_data *data, struct rule_choice *choice);

/* What a number costs that was fitted to `count` delays, each of which tells it to within `width`
 * (a share of it, at most 1): it could have been anything from 1 ms to a minute and more (ten steps
 * of e), and is known to one part in count / width. */
double rule_fit_number_cost(size_t count, double width);

/* Takes *candidate for *fit when it is the better one. */
void rule_fit_take_better(struct rule_fit *fit, const struct rule_fit *candidate);

#endif
