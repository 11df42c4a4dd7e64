#include "harness/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { NONE = -1, ANY_COUNTER = -1 };

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
    bool is_ambiguous;        /* somewhere a request could have continued one call or another */
    int64_t answered_last_ns; /* while looking: the latest end of an answer so far */
    bool is_open;             /* while looking: some answer never ended */
    int item_last;            /* while looking: the request before this one */
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

/* Failed attempts that a request could continue, in the order in which their answers ended. What
 * has been continued is left in its queue until it comes to the front. */
struct queue_id {
    const struct class *class;
    const struct lane *lane; /* NULL: on connections that are not used again */
    int counter;             /* what they said themselves, or ANY_COUNTER */
};

struct queue {
    struct queue_id id;
    int first;
    int last;
    UT_hash_handle hh;
};

/* A marker or an idempotency key of one run, and the last request that carried it. */
struct name_id {
    int run;
    int kind; /* enum call_grouping */
    char text[64];
};

struct name {
    struct name_id id;
    int item_last;
    UT_hash_handle hh;
};

/* One request in the making. Items stand in the order of arrival. */
struct item {
    const struct journal_entry *entry;
    struct class *class;
    struct lane *lane; /* whose item_last is, in the end, its last request */
    int run;
    int previous;      /* the attempt that it continues */
    bool is_continued; /* by a later one */
    int queue_next;
    enum call_grouping grouping;
};

struct search {
    struct item *items;
    int item_count;
    int *by_end; /* the items in the order in which they could be continued */
    bool by_connection;
    struct class *classes;
    struct lane *lanes;
    struct queue *queues;
    struct name *names;
};

static bool is_attempt(const struct journal_entry *entry)
{
    return strcmp(entry->method, "POST") == 0;
}

/* Whether both had been sent before the first was answered, although no time passed. */
static bool came_together(const struct journal_entry *first, const struct journal_entry *second)
{
    return first->pass != 0 && first->pass == second->pass &&
           first->connection != second->connection;
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
    class->item_last = NONE;
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
    bool overlaps = class->item_last != NONE &&
                    (class->is_open || entry->arrived_ns < class->answered_last_ns ||
                     came_together(search->items[class->item_last].entry, entry));
    bool returns = item->lane->item_last != NONE && item->lane->item_last != class->item_last;
    class->at_once = class->at_once || overlaps || returns;
    class->is_open = class->is_open || entry->answered_ns < 0;
    if (entry->answered_ns > class->answered_last_ns)
        class->answered_last_ns = entry->answered_ns;
    class->item_last = index;
    item->lane->item_last = index;
    return true;
}

/* A client that went away can try again before the server has seen it go. */
static int64_t continuable_from(const struct journal_entry *entry)
{
    if (entry->answered_ns < 0)
        return INT64_MAX;
    return entry->abandoned ? entry->arrived_ns : entry->answered_ns;
}

static bool can_be_continued(const struct journal_entry *entry)
{
    bool has_ended = entry->answered_ns >= 0;
    bool has_succeeded = entry->status >= 200 && entry->status < 300 && entry->code[0] == '\0' &&
                         !entry->abandoned && !entry->broken;
    return has_ended && !has_succeeded;
}

static int compare_ends(const void *a, const void *b, void *owner)
{
    const struct item *items = owner;
    int first = *(const int *)a;
    int second = *(const int *)b;
    int64_t first_ns = continuable_from(items[first].entry);
    int64_t second_ns = continuable_from(items[second].entry);
    if (first_ns != second_ns)
        return first_ns < second_ns ? -1 : 1;
    return first - second;
}

static struct queue *find_queue(const struct search *search, const struct class *class,
                                const struct lane *lane, int counter, struct queue_id *id)
{
    memset(id, 0, sizeof *id);
    id->class = class;
    id->lane = lane;
    id->counter = counter;
    struct queue *queue = NULL;
    HASH_FIND(hh, search->queues, id, sizeof *id, queue);
    return queue;
}

static bool enqueue(struct search *search, int index, int counter)
{
    struct item *item = &search->items[index];
    bool is_used_again = item->lane->item_last != index;
    const struct lane *lane = search->by_connection && is_used_again ? item->lane : NULL;
    struct queue_id id;
    struct queue *queue = find_queue(search, item->class, lane, counter, &id);
    if (queue == NULL) {
        queue = calloc(1, sizeof *queue);
        if (queue == NULL)
            return false;
        queue->id = id;
        queue->first = queue->last = NONE;
        HASH_ADD(hh, search->queues, id, sizeof queue->id, queue);
    }
    item->queue_next = NONE;
    if (queue->last == NONE)
        queue->first = index;
    else
        search->items[queue->last].queue_next = index;
    queue->last = index;
    return true;
}

static int skip_continued(const struct search *search, int index)
{
    while (index != NONE && search->items[index].is_continued)
        index = search->items[index].queue_next;
    return index;
}

/* 0, 1, or 2 for more than one; *first is the one whose answer ended first. */
static int count_open(struct search *search, const struct class *class, const struct lane *lane,
                      int counter, int *first)
{
    struct queue_id id;
    struct queue *queue = find_queue(search, class, lane, counter, &id);
    if (queue == NULL)
        return 0;
    queue->first = skip_continued(search, queue->first);
    if (queue->first == NONE) {
        queue->last = NONE;
        return 0;
    }
    *first = queue->first;
    struct item *item = &search->items[queue->first];
    item->queue_next = skip_continued(search, item->queue_next);
    if (item->queue_next == NONE)
        queue->last = queue->first;
    return item->queue_next == NONE ? 1 : 2;
}

static void link_items(struct search *search, int previous, int index, enum call_grouping grouping)
{
    search->items[previous].is_continued = true;
    search->items[index].previous = previous;
    search->items[index].grouping = grouping;
}

/* Looks for the attempt that `index` continues, among those that said `counter`. */
static void find_previous(struct search *search, int index, int counter)
{
    struct item *item = &search->items[index];
    int own = NONE;
    int other = NONE;
    int own_count =
        search->by_connection ? count_open(search, item->class, item->lane, counter, &own) : 0;
    int other_count = count_open(search, item->class, NULL, counter, &other);
    bool is_retry_by_counter = counter != ANY_COUNTER;
    if (own_count + other_count == 0)
        return;
    if (own_count + other_count == 1 && (!item->class->at_once || is_retry_by_counter)) {
        link_items(search, own_count == 1 ? own : other, index, item->grouping);
    } else if (own_count == 1) {
        link_items(search, own, index, GROUPED_BY_CONNECTION);
    } else {
        link_items(search, own_count > 0 ? own : other, index, GROUPED_AMBIGUOUS);
        item->class->is_ambiguous = true;
    }
}

/* Goes through the requests in order of arrival, with those queued that had failed by then. First
 * the retries that say so by their counter; then all others, which continue what is left. */
static bool link_by_body(struct search *search, bool by_counter)
{
    int ended = 0;
    for (int i = 0; i < search->item_count; i++) {
        const struct item *item = &search->items[i];
        for (; ended < search->item_count; ended++) {
            int index = search->by_end[ended];
            const struct item *open = &search->items[index];
            if (continuable_from(open->entry) > item->entry->arrived_ns || index >= i ||
                came_together(open->entry, item->entry))
                break;
            bool is_open = can_be_continued(open->entry) && !has_name(open->entry);
            if (is_open &&
                !enqueue(search, index, by_counter ? open->entry->retry_count : ANY_COUNTER))
                return false;
        }
        bool has_counter = item->entry->retry_count > 0;
        if (!has_name(item->entry) && item->previous == NONE && has_counter == by_counter)
            find_previous(search, i, by_counter ? item->entry->retry_count - 1 : ANY_COUNTER);
    }
    return true;
}

static bool link_by_name(struct search *search, int index)
{
    struct item *item = &search->items[index];
    const struct journal_entry *entry = item->entry;
    bool is_marker = entry->call_marker[0] != '\0';
    struct name_id id;
    memset(&id, 0, sizeof id);
    id.run = item->run;
    id.kind = is_marker ? GROUPED_BY_MARKER : GROUPED_BY_IDEMPOTENCY;
    snprintf(id.text, sizeof id.text, "%s",
             is_marker ? entry->call_marker : entry->idempotency_key);
    item->grouping = (enum call_grouping)id.kind;
    struct name *name = NULL;
    HASH_FIND(hh, search->names, &id, sizeof id, name);
    if (name != NULL) {
        link_items(search, name->item_last, index, item->grouping);
        name->item_last = index;
        return true;
    }
    name = calloc(1, sizeof *name);
    if (name == NULL)
        return false;
    name->id = id;
    name->item_last = index;
    HASH_ADD(hh, search->names, id, sizeof name->id, name);
    return true;
}

static struct attempt make_attempt(const struct journal_entry *entry, const struct attempt *before)
{
    struct attempt attempt = {
        .sequence = entry->sequence,
        .connection = entry->connection,
        .arrived_ns = entry->arrived_ns,
        .answered_ns = entry->answered_ns,
        .delay_ns = -1,
        .status = entry->first_byte_ns >= 0 && !entry->broken ? entry->status : 0,
        .retry_after_ns = entry->retry_after_ns,
        .retry_count = entry->retry_count,
        .throttled = entry->status == 429,
        .by_quota = entry->decision == JOURNAL_THROTTLED,
        .starts_loop = entry->retry_count <= 0,
        .abandoned = entry->abandoned,
    };
    snprintf(attempt.code, sizeof attempt.code, "%s", entry->code);
    if (before != NULL) {
        /* An attempt that came before the last answer had ended did not wait at all. */
        bool waited = before->answered_ns >= 0 && entry->arrived_ns > before->answered_ns;
        attempt.delay_ns = waited ? entry->arrived_ns - before->answered_ns : 0;
    }
    return attempt;
}

static bool search_init(struct search *search, const struct journal *journal,
                        const uint64_t *run_lasts, size_t run_count)
{
    size_t count = journal_count(journal);
    search->items = calloc(count + 1, sizeof *search->items);
    search->by_end = calloc(count + 1, sizeof *search->by_end);
    if (search->items == NULL || search->by_end == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct journal_entry *entry = journal_at(journal, i);
        if (!is_attempt(entry))
            continue;
        int index = search->item_count++;
        search->by_end[index] = index;
        search->items[index] = (struct item){
            .entry = entry,
            .run = run_of(entry, run_lasts, run_count),
            .previous = NONE,
            .queue_next = NONE,
            .grouping = entry->retry_count >= 0 ? GROUPED_BY_COUNTER : GROUPED_BY_BODY,
        };
        if (!look_at(search, index))
            return false;
    }
    qsort_r(search->by_end, (size_t)search->item_count, sizeof *search->by_end, compare_ends,
            search->items);
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

static void free_queues(struct search *search)
{
    FREE_HASH(queue, search->queues);
}

static void search_free(struct search *search)
{
    FREE_HASH(class, search->classes);
    FREE_HASH(lane, search->lanes);
    FREE_HASH(name, search->names);
    free_queues(search);
    free(search->items);
    free(search->by_end);
}

static bool link_all(struct search *search)
{
    for (int i = 0; i < search->item_count; i++) {
        if (has_name(search->items[i].entry) && !link_by_name(search, i))
            return false;
    }
    if (!link_by_body(search, true))
        return false;
    free_queues(search);
    return link_by_body(search, false);
}

static void add_attempt(struct call *call, const struct item *item)
{
    const struct attempt *before =
        call->attempt_count > 0 ? &call->attempts[call->attempt_count - 1] : NULL;
    struct attempt attempt = make_attempt(item->entry, before);
    attempt.starts_loop |= before == NULL; /* whatever its counter says, nothing came before it */
    call->loop_attempts += attempt.starts_loop;
    if (item->grouping > call->grouping || call->attempt_count == 0)
        call->grouping = item->grouping;
    /* One wrong guess makes others look certain: all that could have been meant is marked. */
    if (item->class->is_ambiguous && !has_name(item->entry))
        call->grouping = GROUPED_AMBIGUOUS;
    call->attempts[call->attempt_count++] = attempt;
    call->run = item->run;
    snprintf(call->model, sizeof call->model, "%s", item->entry->model);
}

/* Numbers the calls in the order of their first attempts; sizes[call] is its attempts. */
static int number_calls(const struct search *search, int *call_of, size_t *sizes)
{
    int call_count = 0;
    for (int i = 0; i < search->item_count; i++) {
        int previous = search->items[i].previous;
        call_of[i] = previous == NONE ? call_count++ : call_of[previous];
        sizes[call_of[i]]++;
    }
    return call_count;
}

static bool make_calls(const struct search *search, int *call_of, size_t *sizes,
                       struct call **calls, size_t *call_count)
{
    int count = number_calls(search, call_of, sizes);
    *calls = calloc((size_t)count + 1, sizeof **calls);
    if (*calls == NULL)
        return false;
    *call_count = (size_t)count;
    for (int i = 0; i < count; i++) {
        (*calls)[i].attempts = calloc(sizes[i], sizeof *(*calls)[i].attempts);
        if ((*calls)[i].attempts == NULL)
            return false;
    }
    for (int i = 0; i < search->item_count; i++)
        add_attempt(&(*calls)[call_of[i]], &search->items[i]);
    return true;
}

bool calls_find(const struct calls_input *input, struct call **calls, size_t *call_count)
{
    struct search search = {.by_connection = input->by_connection};
    *calls = NULL;
    *call_count = 0;
    size_t count = journal_count(input->journal) + 1;
    int *call_of = calloc(count, sizeof *call_of);
    size_t *sizes = calloc(count, sizeof *sizes);
    bool complete = call_of != NULL && sizes != NULL &&
                    search_init(&search, input->journal, input->run_lasts, input->run_count) &&
                    link_all(&search) && make_calls(&search, call_of, sizes, calls, call_count);
    search_free(&search);
    free(call_of);
    free(sizes);
    return complete;
}
