#include "lab/event_queue.h"

#include "lab/large_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The key of time 0: after the present at the start, whatever the grain. */
#define KEY_OF_ZERO (UINT64_C(1) << DIGIT_BITS)

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
    PUSH_ASIDE_MOST = 32, /* events; with more the heap is faster */
    FETCH_AHEAD = 12,
    STRETCH_EVENTS = 64,        /* as many as a stretch should have */
    LOOKS_BETWEEN_TAKES = 4096, /* at least, at how dense the events are */
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

struct levels {
    uint64_t occupied[LEVELS][WORDS];
    unsigned any_occupied; /* a bit a level */
    struct bucket buckets[LEVELS][DIGITS];
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
    uint64_t present;
    unsigned grain; /* the bits of a key below its lowest digit */
    uint64_t taken_since_look;
    uint64_t present_at_look;
    const char *memory;
    size_t memory_size;
    size_t memory_count;
    struct chunk *spare;
    struct slab *slabs;
    struct levels *levels;
};

struct event_queue *event_queue_new(void)
{
    struct event_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->present = queue->present_at_look = KEY_OF_ZERO - 1;
    queue->levels = calloc(1, sizeof *queue->levels);
    queue->sorted_capacity = SORT_AT_ONCE;
    queue->sorted = malloc(queue->sorted_capacity * sizeof *queue->sorted);
    queue->scratch = malloc(SORT_AT_ONCE * sizeof *queue->scratch);
    if (queue->levels == NULL || queue->sorted == NULL || queue->scratch == NULL) {
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
    free(queue->levels);
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
    return (uint64_t)event->at_ns + KEY_OF_ZERO;
}

/* How many bits of a key tell apart what is in one bucket. */
static unsigned width_of(const struct event_queue *queue, unsigned level)
{
    return queue->grain + level * DIGIT_BITS;
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
    unsigned digit = (unsigned)(key_of(&event) >> width_of(queue, level)) & (DIGITS - 1);
    struct levels *levels = queue->levels;
    struct bucket *bucket = &levels->buckets[level][digit];
    bool is_full = bucket->last == NULL || bucket->last_count == CHUNK_EVENTS;
    if (is_full && !add_chunk(queue, bucket))
        return false;
    bucket->last->events[bucket->last_count++] = event;
    if (bucket->count++ == 0) {
        levels->occupied[level][digit / 64] |= UINT64_C(1) << (digit % 64);
        levels->any_occupied |= 1U << level;
    }
    return true;
}

/* Of an event that comes after the present. */
static unsigned level_of(const struct event_queue *queue, const struct event *event)
{
    uint64_t differs = (key_of(event) ^ queue->present) >> queue->grain;
    assert(differs != 0);
    return (63U - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
}

/* --- newcomers -------------------------------------------------------------------------------- */

/* Puts an event among those that are being served, after its equals, when few come after it. Not
 * once there is a heap: what is there came before it. */
static bool push_aside(struct event_queue *queue, struct event event)
{
    if (queue->heap_count > 0 || queue->sorted_count == queue->sorted_capacity)
        return false;
    struct event *events = queue->sorted;
    size_t least = queue->sorted_next;
    if (queue->sorted_count - least > PUSH_ASIDE_MOST)
        least = queue->sorted_count - PUSH_ASIDE_MOST;
    size_t place = queue->sorted_count;
    while (place > least && events[place - 1].at_ns > event.at_ns)
        place--;
    if (place == least && least > queue->sorted_next)
        return false;
    for (size_t i = queue->sorted_count; i > place; i--)
        events[i] = events[i - 1];
    events[place] = event;
    queue->sorted_count++;
    return true;
}

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

/* The events of a bucket differ in the lowest `width` bits of their keys: puts them in the order of
 * the highest of these, which leaves little to do. False, with nothing done, when it would leave
 * much: when many have these in common. */
static bool sort_by_digit(struct event *events, size_t count, unsigned width, struct event *scratch)
{
    uint16_t starts[DIGITS] = {0};
    unsigned shift = width > DIGIT_BITS ? width - DIGIT_BITS : 0;
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

static void sort(struct event *events, size_t count, unsigned width, struct event *scratch)
{
    if (count <= INSERTION_MOST)
        sort_by_insertion(events, count);
    else if (!sort_by_digit(events, count, width, scratch))
        sort_by_merging(events, count, scratch);
}

/* The place of the first one of a level that has one. */
static unsigned first_digit(const struct levels *levels, unsigned level)
{
    const uint64_t *words = levels->occupied[level];
    unsigned word = 0;
    while (words[word] == 0)
        word++;
    return word * 64 + (unsigned)__builtin_ctzll(words[word]);
}

static struct bucket take_bucket(struct levels *levels, unsigned level, unsigned digit)
{
    uint64_t *words = levels->occupied[level];
    words[digit / 64] &= ~(UINT64_C(1) << (digit % 64));
    uint64_t rest = 0;
    for (unsigned i = digit / 64; i < WORDS; i++)
        rest |= words[i];
    if (rest == 0)
        levels->any_occupied &= ~(1U << level);
    struct bucket bucket = levels->buckets[level][digit];
    levels->buckets[level][digit] = (struct bucket){0};
    return bucket;
}

static void give_back(struct event_queue *queue, struct chunk *chunk)
{
    chunk->next = queue->spare;
    queue->spare = chunk;
}

/* Over the buckets of the levels where the events belong, up to level_most. */
static bool spread(struct event_queue *queue, const struct bucket *bucket, unsigned level_most)
{
    struct chunk *chunk = bucket->first;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        if (next != NULL)
            __builtin_prefetch(next);
        uint32_t count = next != NULL ? CHUNK_EVENTS : bucket->last_count;
        for (uint32_t i = 0; i < count; i++) {
            unsigned level = level_of(queue, &chunk->events[i]);
            if (!append(queue, level < level_most ? level : level_most, chunk->events[i]))
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
    const struct levels *levels = queue->levels;
    if ((levels->any_occupied >> level & 1) == 0)
        return;
    const struct bucket *bucket = &levels->buckets[level][first_digit(levels, level)];
    uint32_t count = bucket->count < FETCH_AHEAD ? bucket->count : FETCH_AHEAD;
    for (uint32_t i = 0; i < count; i++)
        fetch(queue, &bucket->first->events[i]);
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
    /* In a bucket of one nanosecond there may be any number, and nothing to sort. */
    unsigned width = width_of(queue, level);
    if (width > 0)
        sort(queue->sorted, bucket->count, width, queue->scratch);
    for (size_t i = 0; i < FETCH_AHEAD && i < queue->sorted_count; i++)
        fetch(queue, &queue->sorted[i]);
    fetch_bucket_after(queue, level);
    return true;
}

/* --- the grain -------------------------------------------------------------------------------- */

/* Between two stretches. Events of the same time share a bucket, and keep their order. */
static bool change_grain(struct event_queue *queue, unsigned grain)
{
    struct levels *old = queue->levels;
    struct levels *levels = calloc(1, sizeof *levels);
    if (levels == NULL) {
        queue->failed = true;
        return false;
    }
    queue->levels = levels;
    queue->grain = grain;
    /* Back to the end of the grain before it: nothing lies between. */
    queue->present = ((queue->present + 1) >> grain << grain) - 1;
    bool is_spread = true;
    while (old->any_occupied != 0 && is_spread) {
        unsigned level = (unsigned)__builtin_ctz(old->any_occupied);
        const struct bucket bucket = take_bucket(old, level, first_digit(old, level));
        is_spread = spread(queue, &bucket, LEVELS - 1);
    }
    free(old);
    return is_spread;
}

/* Chooses the grain, and by it where the borders of the levels lie, so that the buckets of one
 * level have about as many events as a stretch should. Changes it only when that is off by a factor
 * of more than two, and at most once for each event that waits. */
static bool look_at_density(struct event_queue *queue)
{
    uint64_t stretches = queue->taken_since_look / STRETCH_EVENTS;
    uint64_t length = (queue->present - queue->present_at_look) / stretches;
    unsigned width = 63U - (unsigned)__builtin_clzll(length | 1);
    unsigned grain = width % DIGIT_BITS;
    unsigned distance = (grain - queue->grain) % DIGIT_BITS;
    queue->taken_since_look = 0;
    queue->present_at_look = queue->present;
    bool is_near = distance <= 1 || distance == DIGIT_BITS - 1;
    return is_near || change_grain(queue, grain);
}

/* Begins the next stretch. */
static bool move_on(struct event_queue *queue)
{
    uint64_t least = queue->count > LOOKS_BETWEEN_TAKES ? queue->count : LOOKS_BETWEEN_TAKES;
    if (queue->taken_since_look >= least && !look_at_density(queue))
        return false;
    for (;;) {
        unsigned level = (unsigned)__builtin_ctz(queue->levels->any_occupied);
        unsigned digit = first_digit(queue->levels, level);
        bool is_too_much = queue->levels->buckets[level][digit].count > SORT_AT_ONCE;
        if (is_too_much && level == 0 && queue->grain > 0) {
            if (!change_grain(queue, 0))
                return false;
            continue;
        }
        const struct bucket bucket = take_bucket(queue->levels, level, digit);
        if (is_too_much && level > 0) {
            if (!spread(queue, &bucket, level - 1))
                return false;
            continue;
        }
        /* The present becomes the last moment of the bucket. */
        uint64_t low_bits = (UINT64_C(1) << width_of(queue, level)) - 1;
        queue->present = key_of(&bucket.first->events[0]) | low_bits;
        return serve(queue, &bucket, level);
    }
}

/* --- the public functions --------------------------------------------------------------------- */

bool event_queue_put(struct event_queue *queue, struct event event)
{
    assert(event.at_ns >= 0);
    bool is_put = key_of(&event) <= queue->present
                      ? push_aside(queue, event) || heap_push(queue, event)
                      : append(queue, level_of(queue, &event), event);
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
    queue->taken_since_look++;
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
