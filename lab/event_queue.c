#include "lab/event_queue.h"

#include "lab/large_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
    LEVELS = 64 / DIGIT_BITS,
    WORDS = DIGITS / 64,
    CHUNK_EVENTS = 31, /* with the link a chunk has 504 bytes */
    SLAB_CHUNKS_FIRST = 128,
    SLAB_CHUNKS_MOST = 8192, /* 4 MB; slabs double up to that */
    SORT_AT_ONCE = 512,      /* a bucket with more is spread first */
    INSERTION_MOST = 16,
    FETCH_AHEAD = 12,
};

struct chunk {
    struct chunk *next;
    struct event events[CHUNK_EVENTS];
};

struct slab {
    struct slab *next;
    size_t used; /* chunks that were given out */
    size_t count;
    struct chunk chunks[];
};

struct bucket {
    struct chunk *first;
    struct chunk *last;
    uint32_t last_count; /* events in the last chunk */
    uint32_t count;
};

/* Of the stretch that is being served, what came after it was begun. */
struct newcomer {
    struct event event;
    uint64_t order;
};

struct event_queue {
    size_t count;
    bool failed;
    /* The stretch of time being served, up to key `present`, in order. */
    struct event *sorted;
    size_t sorted_next;
    size_t sorted_count;
    size_t sorted_capacity;
    struct event *scratch; /* for merging; SORT_AT_ONCE events */
    struct newcomer *heap;
    size_t heap_count;
    size_t heap_capacity;
    uint64_t heap_order;
    /* A key is a time plus 1: so time 0 is after the present at the start. */
    uint64_t present;
    const char *memory;
    size_t memory_size;
    size_t memory_count;
    struct chunk *spare;
    struct slab *slabs;
    uint64_t occupied[LEVELS][WORDS];
    unsigned levels_occupied; /* a bit a level */
    struct bucket buckets[LEVELS][DIGITS];
};

struct event_queue *event_queue_new(void)
{
    struct event_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->sorted_capacity = SORT_AT_ONCE;
    queue->sorted = malloc(queue->sorted_capacity * sizeof *queue->sorted);
    queue->scratch = malloc(SORT_AT_ONCE * sizeof *queue->scratch);
    if (queue->sorted == NULL || queue->scratch == NULL) {
        event_queue_free(queue);
        return NULL;
    }
    return queue;
}

void event_queue_free(struct event_queue *queue)
{
    if (queue == NULL)
        return;
    while (queue->slabs != NULL) {
        struct slab *slab = queue->slabs;
        queue->slabs = slab->next;
        free(slab);
    }
    free(queue->sorted);
    free(queue->scratch);
    free(queue->heap);
    free(queue);
}

void event_queue_fetch_early(struct event_queue *queue, const void *memory, size_t size,
                             size_t count)
{
    queue->memory = memory;
    queue->memory_size = size;
    queue->memory_count = count;
}

size_t event_queue_count(const struct event_queue *queue)
{
    return queue->count;
}

bool event_queue_failed(const struct event_queue *queue)
{
    return queue->failed;
}

static uint64_t key_of(const struct event *event)
{
    return (uint64_t)event->at_ns + 1;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static struct slab *new_slab(struct slab *before)
{
    size_t count = before == NULL ? SLAB_CHUNKS_FIRST : before->count * 2;
    if (count > SLAB_CHUNKS_MOST)
        count = SLAB_CHUNKS_MOST;
    struct slab *slab = large_memory_new(sizeof(struct slab) + count * sizeof(struct chunk));
    if (slab == NULL)
        return NULL;
    slab->next = before;
    slab->used = 0;
    slab->count = count;
    return slab;
}

static struct chunk *take_chunk(struct event_queue *queue)
{
    struct chunk *chunk = queue->spare;
    if (chunk != NULL) {
        queue->spare = chunk->next;
        return chunk;
    }
    struct slab *slab = queue->slabs;
    if (slab == NULL || slab->used == slab->count) {
        slab = new_slab(slab);
        if (slab == NULL)
            return NULL;
        queue->slabs = slab;
    }
    return &slab->chunks[slab->used++];
}

static bool add_chunk(struct event_queue *queue, struct bucket *bucket)
{
    struct chunk *chunk = take_chunk(queue);
    if (chunk == NULL) {
        queue->failed = true;
        return false;
    }
    chunk->next = NULL;
    if (bucket->last != NULL)
        bucket->last->next = chunk;
    else
        bucket->first = chunk;
    bucket->last = chunk;
    bucket->last_count = 0;
    return true;
}

static bool append(struct event_queue *queue, unsigned level, struct event event)
{
    unsigned digit = (unsigned)(key_of(&event) >> (level * DIGIT_BITS)) & (DIGITS - 1);
    struct bucket *bucket = &queue->buckets[level][digit];
    bool is_full = bucket->last == NULL || bucket->last_count == CHUNK_EVENTS;
    if (is_full && !add_chunk(queue, bucket))
        return false;
    bucket->last->events[bucket->last_count++] = event;
    if (bucket->count++ == 0) {
        queue->occupied[level][digit / 64] |= UINT64_C(1) << (digit % 64);
        queue->levels_occupied |= 1U << level;
    }
    return true;
}

/* --- the heap of newcomers -------------------------------------------------------------------- */

static bool comes_before(const struct newcomer *a, const struct newcomer *b)
{
    if (a->event.at_ns != b->event.at_ns)
        return a->event.at_ns < b->event.at_ns;
    return a->order < b->order;
}

static bool heap_push(struct event_queue *queue, struct event event)
{
    if (queue->heap_count == queue->heap_capacity) {
        size_t capacity = queue->heap_capacity == 0 ? 64 : queue->heap_capacity * 2;
        struct newcomer *larger = realloc(queue->heap, capacity * sizeof *larger);
        if (larger == NULL) {
            queue->failed = true;
            return false;
        }
        queue->heap = larger;
        queue->heap_capacity = capacity;
    }
    if (queue->heap_count == 0)
        queue->heap_order = 0;
    struct newcomer newcomer = {.event = event, .order = queue->heap_order++};
    size_t place = queue->heap_count++;
    while (place > 0) {
        size_t parent = (place - 1) / 2;
        if (!comes_before(&newcomer, &queue->heap[parent]))
            break;
        queue->heap[place] = queue->heap[parent];
        place = parent;
    }
    queue->heap[place] = newcomer;
    return true;
}

static struct event heap_pop(struct event_queue *queue)
{
    struct newcomer *heap = queue->heap;
    struct event first = heap[0].event;
    struct newcomer last = heap[--queue->heap_count];
    size_t count = queue->heap_count;
    size_t place = 0;
    while (2 * place + 1 < count) {
        size_t child = 2 * place + 1;
        if (child + 1 < count && comes_before(&heap[child + 1], &heap[child]))
            child++;
        if (!comes_before(&heap[child], &last))
            break;
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = last;
    return first;
}

/* --- the present moves on --------------------------------------------------------------------- */

/* Keeps the order of equals, as all the sorting here. */
static void sort_by_insertion(struct event *events, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct event event = events[i];
        size_t place = i;
        for (; place > 0 && events[place - 1].at_ns > event.at_ns; place--)
            events[place] = events[place - 1];
        events[place] = event;
    }
}

static void merge(const struct event *from, size_t middle, size_t end, struct event *to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < end; i++) {
        bool takes_left = right == end || (left < middle && from[left].at_ns <= from[right].at_ns);
        to[i] = takes_left ? from[left] : from[right];
        left += takes_left;
        right += !takes_left;
    }
}

static void sort_by_merging(struct event *events, size_t count, struct event *scratch)
{
    for (size_t start = 0; start < count; start += INSERTION_MOST)
        sort_by_insertion(events + start,
                          count - start < INSERTION_MOST ? count - start : INSERTION_MOST);
    struct event *from = events;
    struct event *to = scratch;
    for (size_t width = INSERTION_MOST; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t left = count - start;
            size_t middle = left < width ? left : width;
            size_t end = left < 2 * width ? left : 2 * width;
            merge(from + start, middle, end, to + start);
        }
        struct event *other = from;
        from = to;
        to = other;
    }
    if (from != events)
        memcpy(events, from, count * sizeof *events);
}

/* The events of a bucket of `level` differ in the bytes below it: puts them in the order of the
 * highest of these, which leaves little to do. False, with nothing done, when it would leave much:
 * when many have that byte in common. */
static bool sort_by_digit(struct event *events, size_t count, unsigned level, struct event *scratch)
{
    uint16_t starts[DIGITS] = {0};
    unsigned shift = (level - 1) * DIGIT_BITS;
    for (size_t i = 0; i < count; i++)
        starts[(key_of(&events[i]) >> shift) & (DIGITS - 1)]++;
    unsigned sum = 0;
    for (unsigned digit = 0; digit < DIGITS; digit++) {
        unsigned here = starts[digit];
        if (here > INSERTION_MOST)
            return false;
        starts[digit] = (uint16_t)sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        scratch[starts[(key_of(&events[i]) >> shift) & (DIGITS - 1)]++] = events[i];
    memcpy(events, scratch, count * sizeof *events);
    sort_by_insertion(events, count);
    return true;
}

static void sort(struct event *events, size_t count, unsigned level, struct event *scratch)
{
    if (count <= INSERTION_MOST)
        sort_by_insertion(events, count);
    else if (!sort_by_digit(events, count, level, scratch))
        sort_by_merging(events, count, scratch);
}

static struct bucket take_first_bucket(struct event_queue *queue, unsigned *level, unsigned *digit)
{
    *level = (unsigned)__builtin_ctz(queue->levels_occupied);
    uint64_t *words = queue->occupied[*level];
    unsigned word = 0;
    while (words[word] == 0)
        word++;
    *digit = word * 64 + (unsigned)__builtin_ctzll(words[word]);
    words[word] &= words[word] - 1;
    uint64_t rest = 0;
    for (unsigned i = word; i < WORDS; i++)
        rest |= words[i];
    if (rest == 0)
        queue->levels_occupied &= ~(1U << *level);
    struct bucket bucket = queue->buckets[*level][*digit];
    queue->buckets[*level][*digit] = (struct bucket){0};
    return bucket;
}

static void give_back(struct event_queue *queue, struct chunk *chunk)
{
    chunk->next = queue->spare;
    queue->spare = chunk;
}

static bool spread(struct event_queue *queue, const struct bucket *bucket, unsigned level)
{
    struct chunk *chunk = bucket->first;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        if (next != NULL)
            __builtin_prefetch(next);
        uint32_t count = next != NULL ? CHUNK_EVENTS : bucket->last_count;
        for (uint32_t i = 0; i < count; i++) {
            if (!append(queue, level, chunk->events[i]))
                return false;
        }
        give_back(queue, chunk);
        chunk = next;
    }
    return true;
}

static void fetch(const struct event_queue *queue, const struct event *event)
{
    if (event->who < queue->memory_count)
        __builtin_prefetch(queue->memory + event->who * queue->memory_size, 1);
}

/* Of the bucket that is probably next, while this one is served. */
static void fetch_bucket_after(const struct event_queue *queue, unsigned level)
{
    const uint64_t *words = queue->occupied[level];
    for (unsigned word = 0; word < WORDS; word++) {
        if (words[word] == 0)
            continue;
        unsigned digit = word * 64 + (unsigned)__builtin_ctzll(words[word]);
        const struct bucket *bucket = &queue->buckets[level][digit];
        uint32_t count = bucket->count < FETCH_AHEAD ? bucket->count : FETCH_AHEAD;
        for (uint32_t i = 0; i < count; i++)
            fetch(queue, &bucket->first->events[i]);
        return;
    }
}

static bool serve(struct event_queue *queue, const struct bucket *bucket, unsigned level)
{
    if (bucket->count > queue->sorted_capacity) {
        free(queue->sorted);
        queue->sorted_capacity = 0;
        queue->sorted = malloc(bucket->count * sizeof *queue->sorted);
        if (queue->sorted == NULL) {
            queue->failed = true;
            return false;
        }
        queue->sorted_capacity = bucket->count;
    }
    struct event *to = queue->sorted;
    struct chunk *chunk = bucket->first;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        uint32_t count = next != NULL ? CHUNK_EVENTS : bucket->last_count;
        memcpy(to, chunk->events, count * sizeof *to);
        to += count;
        give_back(queue, chunk);
        chunk = next;
    }
    queue->sorted_next = 0;
    queue->sorted_count = bucket->count;
    /* On level 0 all have the same time, and there may be any number. */
    if (level > 0)
        sort(queue->sorted, bucket->count, level, queue->scratch);
    for (size_t i = 0; i < FETCH_AHEAD && i < queue->sorted_count; i++)
        fetch(queue, &queue->sorted[i]);
    fetch_bucket_after(queue, level);
    return true;
}

/* Begins the next stretch. */
static bool move_on(struct event_queue *queue)
{
    for (;;) {
        unsigned level;
        unsigned digit;
        struct bucket bucket = take_first_bucket(queue, &level, &digit);
        if (level > 0 && bucket.count > SORT_AT_ONCE) {
            if (!spread(queue, &bucket, level - 1))
                return false;
            continue;
        }
        /* The present becomes the last moment of the bucket. */
        uint64_t low_bits = (UINT64_C(1) << (level * DIGIT_BITS)) - 1;
        queue->present = key_of(&bucket.first->events[0]) | low_bits;
        return serve(queue, &bucket, level);
    }
}

/* --- the public functions --------------------------------------------------------------------- */

bool event_queue_put(struct event_queue *queue, struct event event)
{
    assert(event.at_ns >= 0);
    uint64_t key = key_of(&event);
    bool is_put;
    if (key <= queue->present) {
        is_put = heap_push(queue, event);
    } else {
        unsigned highest = 63U - (unsigned)__builtin_clzll(key ^ queue->present);
        is_put = append(queue, highest / DIGIT_BITS, event);
    }
    queue->count += is_put;
    return is_put;
}

bool event_queue_take(struct event_queue *queue, struct event *event)
{
    if (queue->count == 0 || queue->failed)
        return false;
    bool has_sorted = queue->sorted_next < queue->sorted_count;
    if (!has_sorted && queue->heap_count == 0) {
        if (!move_on(queue))
            return false;
        has_sorted = true;
    }
    queue->count--;
    if (has_sorted && (queue->heap_count == 0 ||
                       queue->sorted[queue->sorted_next].at_ns <= queue->heap[0].event.at_ns)) {
        *event = queue->sorted[queue->sorted_next++];
        if (queue->sorted_next + FETCH_AHEAD <= queue->sorted_count)
            fetch(queue, &queue->sorted[queue->sorted_next + FETCH_AHEAD - 1]);
    } else {
        *event = heap_pop(queue);
    }
    return true;
}
