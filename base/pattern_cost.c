#include "base/pattern_cost.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const int64_t TOO_MUCH = PATTERN_COST_MAX + 1;

static int64_t bounded(int64_t cost)
{
    return cost < TOO_MUCH ? cost : TOO_MUCH;
}

/* Behind a bracket expression that begins at `at`. */
static const char *after_bracket(const char *at)
{
    at++;
    if (*at == '^')
        at++;
    if (*at == ']')
        at++;
    while (*at != '\0' && *at != ']') {
        /* [:alpha:], [.a.], [=a=] */
        if (*at == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '=')) {
            const char end[] = {at[1], ']', '\0'};
            const char *found = strstr(at + 2, end);
            if (found != NULL)
                at = found + 1;
        }
        at++;
    }
    return *at == ']' ? at + 1 : at;
}

/* How often a quantifier at *at copies, and goes on behind it; 0 where there is none. */
static int64_t read_copies(const char **at)
{
    if (**at == '*' || **at == '?') {
        ++*at;
        return 1;
    }
    if (**at == '+') {
        ++*at;
        return 2;
    }
    if (**at != '{' || !(isdigit((unsigned char)(*at)[1]) || (*at)[1] == ','))
        return 0;
    int64_t most = 1;
    for (++*at; **at != '\0' && **at != '}';) {
        if (!isdigit((unsigned char)**at)) {
            ++*at;
            continue;
        }
        char *end;
        long number = strtol(*at, &end, 10);
        *at = end;
        int64_t copies = bounded(number) + 1;
        most = copies > most ? copies : most;
    }
    if (**at == '}')
        ++*at;
    return most;
}

int64_t pattern_cost(const char *pattern)
{
    int64_t before[PATTERN_DEPTH_MAX]; /* the cost of what stands before each open group */
    size_t depth = 0;
    int64_t cost = 0; /* of this group so far, without its last atom */
    int64_t last = 0; /* of that */
    for (const char *at = pattern; *at != '\0' && cost + last <= PATTERN_COST_MAX;) {
        int64_t copies = read_copies(&at);
        if (copies > 0) {
            last = bounded(last * copies);
            if (read_copies(&at) > 0)
                return TOO_MUCH;
        } else if (*at == '(') {
            if (depth == PATTERN_DEPTH_MAX)
                return TOO_MUCH;
            before[depth++] = bounded(cost + last);
            cost = 0;
            last = 0;
            at++;
        } else if (*at == ')' && depth > 0) {
            last = bounded(cost + last);
            cost = before[--depth];
            at++;
        } else {
            cost = bounded(cost + last);
            last = 1;
            at = *at == '[' ? after_bracket(at) : at + (*at == '\\' && at[1] != '\0' ? 2 : 1);
        }
    }
    cost += last;
    while (depth > 0)
        cost = bounded(cost + before[--depth]);
    return bounded(cost);
}
