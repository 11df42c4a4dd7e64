/* drawn_client: a synthetic client whose rule is drawn at random, and the delays that it waits.
 *
 * Written from the rules' definitions and apart from what grade/ knows of them: it draws a delay,
 * and never asks for a range. */
#ifndef TOOMANY_TESTS_DRAWN_CLIENT_H
#define TOOMANY_TESTS_DRAWN_CLIENT_H

#include "base/duration.h"
#include "base/random.h"
#include "grade/rule.h"

#include <math.h>
#include <stdio.h>

enum {
    DRAWN_FIXED,
    DRAWN_LINEAR,
    DRAWN_EXPONENTIAL,
    DRAWN_DECORRELATED,
    DRAWN_COMPOUNDING,
    DRAWN_KINDS,
};

enum drawn_jitter { DRAWN_NONE, DRAWN_SHARE, DRAWN_FULL, DRAWN_ADDED, DRAWN_JITTERS };

enum drawn_rounding { ROUND_NS, ROUND_MS, ROUND_FLOAT, ROUNDINGS };

struct drawn_client {
    int kind;
    enum drawn_jitter jitter;
    double base_s;
    double growth; /* step in s, or factor */
    double cap_s;  /* HUGE_VAL: none */
    double share_low;
    double share_high;
    double added_s;
    enum drawn_rounding rounding;
};

static double drawn_between(struct random *random, double low, double high)
{
    return low + (high - low) * random_unit(random);
}

static double drawn_log_between(struct random *random, double low, double high)
{
    return exp(drawn_between(random, log(low), log(high)));
}

/* Delays grow well past the cap where there is one, so that it shows. */
static void drawn_choose_cap(struct drawn_client *client, struct random *random)
{
    client->cap_s = HUGE_VAL;
    if (random_below(random, 2) == 0)
        return;
    double retry = drawn_between(random, 2.5, 5);
    if (client->kind == DRAWN_LINEAR)
        client->cap_s = client->base_s + client->growth * retry;
    else if (client->kind == DRAWN_EXPONENTIAL)
        client->cap_s = client->base_s * pow(client->growth, retry);
    else if (client->kind == DRAWN_DECORRELATED)
        client->cap_s = client->base_s * drawn_between(random, 8, 30);
    else if (client->kind == DRAWN_COMPOUNDING)
        client->cap_s = client->base_s * pow(client->growth, retry + 2);
}

static void drawn_choose_jitter(struct drawn_client *client, struct random *random)
{
    client->share_low = client->share_high = 1;
    client->added_s = 0;
    client->jitter = (enum drawn_jitter)random_below(random, DRAWN_JITTERS);
    if (client->kind == DRAWN_COMPOUNDING)
        client->jitter = DRAWN_SHARE;
    switch (client->jitter) {
    case DRAWN_SHARE: /* minus, plus, or around */
        if (random_below(random, 3) > 0)
            client->share_low = drawn_between(random, 0.5, 0.9);
        if (client->share_low == 1 || random_below(random, 2) == 0)
            client->share_high = drawn_between(random, 1.1, 2);
        break;
    case DRAWN_FULL:
        client->share_low = 0;
        break;
    case DRAWN_ADDED:
        client->added_s = client->base_s * drawn_between(random, 0.2, 2);
        break;
    default:
        break;
    }
    if (client->kind == DRAWN_COMPOUNDING && client->share_low < 1) {
        client->share_high = client->share_high > 1 ? client->share_high : 1.5;
        client->share_low = 1;
    }
}

static struct drawn_client drawn_client_next(struct random *random)
{
    struct drawn_client client = {0};
    client.kind = (int)random_below(random, DRAWN_KINDS);
    client.base_s = drawn_log_between(random, 0.1, 10);
    client.growth = client.kind == DRAWN_LINEAR ? client.base_s * drawn_log_between(random, 0.25, 4)
                    : client.kind == DRAWN_DECORRELATED ? drawn_between(random, 2, 4)
                                                        : drawn_between(random, 1.3, 4);
    drawn_choose_cap(&client, random);
    drawn_choose_jitter(&client, random);
    client.rounding = (enum drawn_rounding)random_below(random, ROUNDINGS);
    return client;
}

static int64_t drawn_rounded(const struct drawn_client *client, double s)
{
    switch (client->rounding) {
    case ROUND_MS:
        return (int64_t)llround(s * 1000) * NS_PER_MS;
    case ROUND_FLOAT:
        return (int64_t)llround((double)(float)s * 1e9);
    default:
        return (int64_t)llround(s * 1e9);
    }
}

/* The delays of one call. */
static void drawn_run(const struct drawn_client *client, struct random *random, size_t count,
                      int64_t delays_ns[])
{
    double bare_s = client->base_s;
    double before_s = bare_s;
    for (size_t i = 0; i < count; i++) {
        double s = bare_s < client->cap_s ? bare_s : client->cap_s;
        if (client->kind == DRAWN_DECORRELATED) {
            s = drawn_between(random, client->base_s, before_s * client->growth);
            s = s < client->cap_s ? s : client->cap_s;
        } else if (client->kind == DRAWN_COMPOUNDING) {
            s = before_s * client->growth *
                drawn_between(random, client->share_low, client->share_high);
            s = s < client->cap_s ? s : client->cap_s;
        } else {
            s = s * drawn_between(random, client->share_low, client->share_high) +
                drawn_between(random, 0, client->added_s);
        }
        before_s = s;
        if (client->kind == DRAWN_LINEAR)
            bare_s += client->growth;
        else if (client->kind == DRAWN_EXPONENTIAL)
            bare_s *= client->growth;
        delays_ns[i] = drawn_rounded(client, s);
    }
}

static const char *drawn_text(const struct drawn_client *client, char text[200])
{
    static const char *const kinds[] = {"fixed", "linear", "exponential", "decorrelated",
                                        "compounding"};
    snprintf(text, 200,
             "%s base %.4g growth %.4g cap %.4g share %.4g to %.4g added %.4g rounding %d",
             kinds[client->kind], client->base_s, client->growth, client->cap_s, client->share_low,
             client->share_high, client->added_s, (int)client->rounding);
    return text;
}

#endif
