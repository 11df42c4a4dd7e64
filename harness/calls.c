#include "harness/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { NONE = -1 };

/* Requests that only their bodies could tell apart: same run, body, path, model and key. */
struct class_id {
    uint64_t body_digest;
    int run;
    char path[64];
    char model[96];
    char key_tail[8];
};

struct class
{
    struct class_id id;
    bool at_once;             /* calls ran at the same time */
    int counter_max;          /* the highest retry counter among them; -1 none */
    int64_t answered_last_ns; /* while looking: the latest end of an answer so far */
    bool is_open;             /* while looking: some answer never ended */
    int item_last;            /* while looking: the request before this one */
    int call_first;           /* its calls, as a list */
    UT_hash_handle hh;
};

/* The requests of one class on one connection. */
struct lane_id {
    struct class *class;
    uint64_t connection;
};

struct lane {
    struct lane_id id;
    int item_last;
    UT_hash_handle hh;
};

/* A marker or an idempotency key of one run, and the call that carries it. */
struct name_id {
    int run;
    int kind; /* enum call_grouping */
    char text[64];
};

struct name {
    struct name_id id;
    int call;
    UT_hash_handle hh;
};

/* One request in the making: its entry, which run, which call it was given to. */
struct item {
    const struct journal_entry *entry;
    struct class *class;
    struct lane *lane; /* whose item_last is, in the end, its last request */
    int run;
    int call;
    enum call_grouping grouping;
};

struct search {
    struct item *items;
    int item_count;
    int *call_last; /* the last request that was given to each call */
    int *call_next; /* the next call of the same class */
    int call_count;
    struct class *classes;
    struct lane *lanes;
    struct name *names;
};

static bool is_attempt(const struct journal_entry *entry)
{
    return strcmp(entry->method, "POST") == 0;
}

static int run_of(const struct journal_entry *entry, const uint64_t *run_lasts, size_t run_count)
{
    for (size_t i = 0; i < run_count; i++) {
        if (entry->sequence <= run_lasts[i])
            return (int)i;
    }
    return run_count > 0 ? (int)run_count - 1 : 0;
}

static bool has_name(const struct journal_entry *entry)
{
    return entry->call_marker[0] != '\0' || entry->idempotency_key[0] != '\0';
}

static struct class *find_class(struct search *search, const struct item *item)
{
    struct class_id id;
    memset(&id, 0, sizeof id); /* hashed whole */
    id.body_digest = item->entry->body_digest;
    id.run = item->run;
    snprintf(id.path, sizeof id.path, "%s", item->entry->path);
    snprintf(id.model, sizeof id.model, "%s", item->entry->model);
    snprintf(id.key_tail, sizeof id.key_tail, "%s", item->entry->key_tail);
    struct class *class = NULL;
    HASH_FIND(hh, search->classes, &id, sizeof id, class);
    if (class != NULL)
        return class;
    class = calloc(1, sizeof *class);
    if (class == NULL)
        return NULL;
    class->id = id;
    class->counter_max = NONE;
    class->item_last = NONE;
    class->call_first = NONE;
    HASH_ADD(hh, search->classes, id, sizeof class->id, class);
    return class;
}

static struct lane *find_lane(struct search *search, const struct item *item)
{
    struct lane_id id;
    memset(&id, 0, sizeof id);
    id.class = item->class;
    id.connection = item->entry->connection;
    struct lane *lane = NULL;
    HASH_FIND(hh, search->lanes, &id, sizeof id, lane);
    if (lane != NULL)
        return lane;
    lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return NULL;
    lane->id = id;
    lane->item_last = NONE;
    HASH_ADD(hh, search->lanes, id, sizeof lane->id, lane);
    return lane;
}

/* Calls ran at the same time when a request came before the answers to others had ended, or when
 * a connection is used, then another, then the first again (X Y X; X X Y shows nothing). */
static bool look_at(struct search *search, int index)
{
    struct item *item = &search->items[index];
    item->class = find_class(search, item);
    if (item->class == NULL)
        return false;
    item->lane = find_lane(search, item);
    if (item->lane == NULL)
        return false;
    struct class *class = item->class;
    const struct journal_entry *entry = item->entry;
    bool overlaps =
        class->item_last != NONE && (class->is_open || entry->arrived_ns < class->answered_last_ns);
    bool returns = item->lane->item_last != NONE && item->lane->item_last != class->item_last;
    class->at_once = class->at_once || overlaps || returns;
    if (entry->retry_count > class->counter_max)
        class->counter_max = entry->retry_count;
    class->is_open = class->is_open || entry->answered_ns < 0;
    if (entry->answered_ns > class->answered_last_ns)
        class->answered_last_ns = entry->answered_ns;
    class->item_last = index;
    item->lane->item_last = index;
    return true;
}

static bool has_succeeded(const struct journal_entry *entry)
{
    return entry->status >= 200 && entry->status < 300 && !entry->abandoned;
}

static bool has_ended_before(const struct journal_entry *first, const struct journal_entry *second)
{
    return first->answered_ns >= 0 && first->answered_ns <= second->arrived_ns;
}

/* Whether `item` can be the next attempt of the call whose last attempt is `last`. */
static bool can_continue(const struct item *item, const struct item *last, int last_index)
{
    if (has_succeeded(last->entry) || !has_ended_before(last->entry, item->entry))
        return false;
    int counter = item->entry->retry_count;
    int last_counter = last->entry->retry_count;
    if (counter > 0)
        return last_counter == counter - 1;
    if (!item->class->at_once)
        return true;
    /* The SDK starts anew only after it has given up, with its counter at the highest. */
    if (counter == 0 && last_counter < item->class->counter_max)
        return false;
    /* A call that goes on later on its own connection is not continued on another one now. */
    return item->lane == last->lane || last->lane->item_last == last_index;
}

struct choice {
    int candidate_count;
    int candidate; /* the one whose answer ended first */
    int on_connection_count;
    int on_connection;
    int64_t answered_ns;
};

static struct choice find_candidates(const struct search *search, const struct item *item)
{
    struct choice choice = {.candidate = NONE, .on_connection = NONE};
    for (int call = item->class->call_first; call != NONE; call = search->call_next[call]) {
        int last_index = search->call_last[call];
        const struct item *last = &search->items[last_index];
        if (!can_continue(item, last, last_index))
            continue;
        if (choice.candidate_count++ == 0 || last->entry->answered_ns < choice.answered_ns) {
            choice.candidate = call;
            choice.answered_ns = last->entry->answered_ns;
        }
        if (last->lane == item->lane) {
            choice.on_connection_count++;
            choice.on_connection = call;
        }
    }
    return choice;
}

static void give(struct search *search, int index, int call, enum call_grouping grouping)
{
    struct item *item = &search->items[index];
    if (call == NONE) {
        call = search->call_count++;
        search->call_next[call] = item->class->call_first;
        if (!has_name(item->entry))
            item->class->call_first = call;
    }
    item->call = call;
    item->grouping = grouping;
    search->call_last[call] = index;
}

static bool give_by_name(struct search *search, int index)
{
    const struct journal_entry *entry = search->items[index].entry;
    bool is_marker = entry->call_marker[0] != '\0';
    struct name_id id;
    memset(&id, 0, sizeof id);
    id.run = search->items[index].run;
    id.kind = is_marker ? GROUPED_BY_MARKER : GROUPED_BY_IDEMPOTENCY;
    snprintf(id.text, sizeof id.text, "%s",
             is_marker ? entry->call_marker : entry->idempotency_key);
    struct name *name = NULL;
    HASH_FIND(hh, search->names, &id, sizeof id, name);
    if (name != NULL) {
        give(search, index, name->call, (enum call_grouping)id.kind);
        return true;
    }
    name = calloc(1, sizeof *name);
    if (name == NULL)
        return false;
    give(search, index, NONE, (enum call_grouping)id.kind);
    name->id = id;
    name->call = search->items[index].call;
    HASH_ADD(hh, search->names, id, sizeof name->id, name);
    return true;
}

static void give_by_body(struct search *search, int index)
{
    const struct item *item = &search->items[index];
    struct choice choice = find_candidates(search, item);
    bool has_counter = item->entry->retry_count >= 0;
    enum call_grouping certain = has_counter ? GROUPED_BY_COUNTER : GROUPED_BY_BODY;
    bool is_retry_by_counter = item->entry->retry_count > 0;
    if (choice.candidate_count == 0)
        give(search, index, NONE, certain);
    else if (choice.candidate_count == 1 && (!item->class->at_once || is_retry_by_counter))
        give(search, index, choice.candidate, certain);
    else if (choice.on_connection_count == 1)
        give(search, index, choice.on_connection, GROUPED_BY_CONNECTION);
    else
        give(search, index, choice.candidate, GROUPED_AMBIGUOUS);
}

static struct attempt make_attempt(const struct journal_entry *entry, const struct attempt *before)
{
    struct attempt attempt = {
        .sequence = entry->sequence,
        .connection = entry->connection,
        .arrived_ns = entry->arrived_ns,
        .answered_ns = entry->answered_ns,
        .delay_ns = -1,
        .status = entry->first_byte_ns >= 0 ? entry->status : 0,
        .retry_after_ns = entry->retry_after_ns,
        .retry_count = entry->retry_count,
        .throttled = entry->status == 429,
        .by_quota = entry->decision == JOURNAL_THROTTLED,
        .starts_loop = entry->retry_count <= 0,
        .abandoned = entry->abandoned,
    };
    snprintf(attempt.code, sizeof attempt.code, "%s", entry->code);
    if (before != NULL && before->answered_ns >= 0) {
        /* An attempt that came before the last answer had ended did not wait at all. */
        int64_t delay_ns = entry->arrived_ns - before->answered_ns;
        attempt.delay_ns = delay_ns > 0 ? delay_ns : 0;
    }
    return attempt;
}

static bool add_attempt(struct call *call, const struct item *item)
{
    struct attempt *attempts =
        realloc(call->attempts, (call->attempt_count + 1) * sizeof *attempts);
    if (attempts == NULL)
        return false;
    call->attempts = attempts;
    const struct attempt *before =
        call->attempt_count > 0 ? &attempts[call->attempt_count - 1] : NULL;
    attempts[call->attempt_count] = make_attempt(item->entry, before);
    if (attempts[call->attempt_count].starts_loop)
        call->loop_attempts++;
    if (item->grouping > call->grouping || call->attempt_count == 0)
        call->grouping = item->grouping;
    call->attempt_count++;
    call->run = item->run;
    snprintf(call->model, sizeof call->model, "%s", item->entry->model);
    return true;
}

static bool search_init(struct search *search, const struct journal *journal,
                        const uint64_t *run_lasts, size_t run_count)
{
    size_t count = journal_count(journal) + 1;
    search->items = calloc(count, sizeof *search->items);
    search->call_last = calloc(count, sizeof *search->call_last);
    search->call_next = calloc(count, sizeof *search->call_next);
    if (search->items == NULL || search->call_last == NULL || search->call_next == NULL)
        return false;
    for (size_t i = 0; i + 1 < count; i++) {
        const struct journal_entry *entry = journal_at(journal, i);
        if (!is_attempt(entry))
            continue;
        search->items[search->item_count] =
            (struct item){.entry = entry, .run = run_of(entry, run_lasts, run_count), .call = NONE};
        if (!look_at(search, search->item_count++))
            return false;
    }
    return true;
}

#define FREE_HASH(type, head)                                                                      \
    do {                                                                                           \
        struct type *item_;                                                                        \
        struct type *next_;                                                                        \
        HASH_ITER (hh, head, item_, next_) {                                                       \
            HASH_DEL(head, item_);                                                                 \
            free(item_);                                                                           \
        }                                                                                          \
    } while (0)

static void search_free(struct search *search)
{
    FREE_HASH(class, search->classes);
    FREE_HASH(lane, search->lanes);
    FREE_HASH(name, search->names);
    free(search->items);
    free(search->call_last);
    free(search->call_next);
}

static bool give_all(struct search *search)
{
    for (int i = 0; i < search->item_count; i++) {
        if (!has_name(search->items[i].entry))
            give_by_body(search, i);
        else if (!give_by_name(search, i))
            return false;
    }
    return true;
}

bool calls_find(const struct journal *journal, const uint64_t *run_lasts, size_t run_count,
                struct call **calls, size_t *call_count)
{
    struct search search = {0};
    *calls = NULL;
    *call_count = 0;
    bool complete = search_init(&search, journal, run_lasts, run_count) && give_all(&search);
    if (complete) {
        *calls = calloc((size_t)search.call_count + 1, sizeof **calls);
        complete = *calls != NULL;
        *call_count = complete ? (size_t)search.call_count : 0;
    }
    for (int i = 0; i < search.item_count && complete; i++)
        complete = add_attempt(&(*calls)[search.items[i].call], &search.items[i]);
    search_free(&search);
    return complete;
}
