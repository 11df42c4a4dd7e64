/* rule: what rule a client's delays follow, found from the delays alone.
 *
 * A pure core. It gets the delays of several runs, each one call of the client that was refused
 * again and again, and says which family of rules fits them best, with its numbers, how sure each
 * of them is, and which client is known to wait like that.
 *
 *     3 runs refused without Retry-After:   437 ms, 901 ms   466 ms, 790 ms   391 ms, 988 ms
 *     family                                exponential
 *     base, factor, jitter                  0.5 s (0.49 to 0.54), 2 (1.9 to 2.2), subtractive
 *     share                                 0.75 to 1 of the delay
 *     known                                 openai-python
 *
 * Delay n (from 0) without jitter is
 *
 *     none           there is no retry
 *     immediate      0
 *     fixed          base
 *     linear         base + n * step, at most cap
 *     exponential    base * factor^n, at most cap
 *     decorrelated   drawn from base to factor * the delay before (at first: the base), at most cap
 *     compounding    the delay before (at first: the base) times factor, jitter and all
 *     header-driven  what Retry-After asks; without the header there is no retry
 *     unknown        something else, or too little was seen to tell
 *
 * With jitter it is drawn evenly from share_low * delay to share_high * delay, or, where the jitter
 * is additive, from delay to delay + jitter_ns. One range can be said in several ways (0.5 s minus
 * up to a quarter is 0.375 s plus up to a third): of these it takes the one with the rounder
 * numbers.
 *
 * Numbers come with the range in which they lie with 95 % certainty; inside it the value is the
 * roundest, because people write rules. Nothing is guessed: where two families explain the delays
 * nearly as well, `certainty` says questionable and `other` names the second; where none explains
 * them, the family is unknown.
 */
#ifndef TOOMANY_GRADE_RULE_H
#define TOOMANY_GRADE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RULE_RUNS_MAX = 64,   /* more are not read: by then every number is sure */
    RULE_DELAYS_MAX = 64, /* of one run; more are not read */
    RULE_SENTENCE_SIZE = 640,
    RULE_ALSO_MAX = 8,
};

/* One call of the client, refused until it gave up or the battery had seen enough. */
struct rule_observation {
    const int64_t *delays_ns; /* from the end of an answer to the arrival of the next attempt */
    size_t delay_count;
    int64_t retry_after_ns; /* asked for by every refusal of the run; -1: no such header was sent */
    int64_t tolerance_ns;   /* how far what was seen may be from what the client meant to wait: its
                               rounding to ms in virtual time, the machine's noise in real time */
    bool gave_up;           /* the client ended it; false: it was served, or cut off */
};

enum rule_family {
    RULE_UNKNOWN,
    RULE_NONE,
    RULE_IMMEDIATE,
    RULE_FIXED,
    RULE_LINEAR,
    RULE_EXPONENTIAL,
    RULE_DECORRELATED,
    RULE_COMPOUNDING,
    RULE_HEADER_DRIVEN,
    RULE_FAMILY_COUNT,
};

enum rule_jitter {
    RULE_JITTER_UNKNOWN,      /* too few runs to tell, or the family has none */
    RULE_JITTER_NONE,         /* the delays are the same in each run */
    RULE_JITTER_FULL,         /* from 0, or from the floor, to the delay */
    RULE_JITTER_EQUAL,        /* from half the delay to the delay */
    RULE_JITTER_SUBTRACTIVE,  /* from share_low of the delay to the delay */
    RULE_JITTER_PROPORTIONAL, /* from the delay to share_high of it */
    RULE_JITTER_AROUND,       /* from share_low to share_high, the delay in the middle */
    RULE_JITTER_ADDITIVE,     /* from the delay to delay + jitter_ns, whatever the delay is */
    RULE_JITTER_REPEATED,     /* uneven, but the same in each run: a fixed seed spreads nobody */
    RULE_JITTER_COUNT,
};

enum rule_certainty {
    RULE_SURE,         /* the next best family is at least a thousand times less likely, or a
                          known client decides between them */
    RULE_QUESTIONABLE, /* `other` explains the delays nearly as well, or they are too few */
};

/* A number of the rule. known is false where the rule has none or the delays do not show it. */
struct rule_number {
    bool known;
    double value;
    double likeliest; /* before it was rounded */
    double low;       /* with 95 % certainty it is from low to high */
    double high;
};

/* What the client makes of Retry-After. */
enum rule_header {
    RULE_HEADER_UNSEEN,  /* none was sent */
    RULE_HEADER_IGNORED, /* the delays are those without the header */
    RULE_HEADER_HONOURED,
    RULE_HEADER_CLAMPED,  /* honoured, but cut to header_most_ns */
    RULE_HEADER_BACKOFF,  /* honoured up to header_most_ns, own backoff above it */
    RULE_HEADER_GIVES_UP, /* honoured up to header_most_ns, no retry above it */
    RULE_HEADER_FLOOR,    /* the longer of the two: never earlier than asked */
    RULE_HEADER_OTHER,    /* none of these */
    RULE_HEADER_COUNT,
};

struct rule {
    enum rule_family family;
    enum rule_certainty certainty;
    enum rule_family other; /* when questionable: the family that fits nearly as well, or UNKNOWN */
    bool first_immediate;   /* the first retry comes at once; the rule holds from the second on */
    struct rule_number base_ns;
    struct rule_number step_ns; /* linear only */
    struct rule_number factor;
    struct rule_number cap_ns;   /* known only where delays have reached it */
    bool cap_is_last;            /* it cuts what jitter has drawn, not what jitter draws from */
    struct rule_number floor_ns; /* no delay is below it */
    enum rule_jitter jitter;
    bool jitter_even; /* false: not spread evenly over its range (Gaussian, say) */
    struct rule_number share_low;
    struct rule_number share_high;
    struct rule_number jitter_ns;    /* additive only */
    struct rule_number attempts_max; /* the first one counted; known when the client gave up */
    enum rule_header header;
    struct rule_number header_most_ns; /* longest Retry-After that was seen to be honoured (low) and
                                          shortest that was not (high) */
    const struct known_client *known;  /* NULL: nobody we know (grade/known_client.h) */
    /* Others of whom what was seen is true as well; NULL after the last. */
    const struct known_client *known_also[RULE_ALSO_MAX + 1];
    double shortest_ns; /* of all delays that were seen without the header */
    double longest_ns;
    size_t run_count;   /* what it was found from: runs without the header, */
    size_t delay_count; /* and their delays */
};

/* The runs and delays per run from which the numbers come out within 5 % whatever the jitter. With
 * fewer the families are as right, but the ranges are wider, and more rules are questionable: of
 * clients with drawn rules (test_rule.c) one number in a thousand is farther off with 60 runs, one
 * in a hundred with 40, one in twenty with 20. A rule without jitter is known from two runs of
 * three delays, and the official SDKs from five runs of two. */
enum { RULE_RUNS_WANTED = 60, RULE_DELAYS_WANTED = 8 };

/* Fills *rule from `count` observations, in any order. */
void rule_infer(struct rule *rule, const struct rule_observation observations[], size_t count);

/* The rule in one sentence, without a full stop, as "1 s, doubled each time, without jitter;
 * ignores Retry-After"; that of a known client by its name and its numbers. Returns text. */
const char *rule_sentence(const struct rule *rule, char text[RULE_SENTENCE_SIZE]);

/* One or two words, as reports show them: "exponential". */
const char *rule_family_word(enum rule_family family);
const char *rule_jitter_word(enum rule_jitter jitter);
const char *rule_header_word(enum rule_header header);

#endif
