#include "clock/deadline.h"

#include <assert.h>
#include <stdlib.h>

void deadlines_init(struct deadlines *deadlines)
{
    *deadlines = (struct deadlines){0};
}

void deadlines_free(struct deadlines *deadlines)
{
    free(deadlines->heap);
    deadlines_init(deadlines);
}

static bool is_before(const struct deadline *a, const struct deadline *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct deadlines *deadlines, struct deadline *deadline, size_t position)
{
    deadlines->heap[position] = deadline;
    deadline->position = position;
}

static void sift_up(struct deadlines *deadlines, struct deadline *deadline, size_t position)
{
    while (position > 1 && is_before(deadline, deadlines->heap[position / 2])) {
        place(deadlines, deadlines->heap[position / 2], position);
        position /= 2;
    }
    place(deadlines, deadline, position);
}

static void sift_down(struct deadlines *deadlines, struct deadline *deadline, size_t position)
{
    for (;;) {
        size_t child = position * 2;
        if (child > deadlines->count)
            break;
        if (child < deadlines->count &&
            is_before(deadlines->heap[child + 1], deadlines->heap[child]))
            child++;
        if (!is_before(deadlines->heap[child], deadline))
            break;
        place(deadlines, deadlines->heap[child], position);
        position = child;
    }
    place(deadlines, deadline, position);
}

/* To where it belongs, from a position around which all others are in order. */
static void sift(struct deadlines *deadlines, struct deadline *deadline, size_t position)
{
    if (position > 1 && is_before(deadline, deadlines->heap[position / 2]))
        sift_up(deadlines, deadline, position);
    else
        sift_down(deadlines, deadline, position);
}

static bool make_room(struct deadlines *deadlines)
{
    if (deadlines->count + 1 < deadlines->capacity)
        return true;
    size_t capacity = deadlines->capacity == 0 ? 64 : deadlines->capacity * 2;
    struct deadline **heap = realloc(deadlines->heap, capacity * sizeof(struct deadline *));
    if (heap == NULL)
        return false;
    deadlines->heap = heap;
    deadlines->capacity = capacity;
    return true;
}

bool deadlines_set(struct deadlines *deadlines, struct deadline *deadline, int64_t at_ns)
{
    assert(deadline->fire != NULL);
    bool is_new = deadline->position == 0;
    if (is_new && !make_room(deadlines))
        return false;
    deadline->at_ns = at_ns;
    deadline->order = deadlines->order_next++;
    sift(deadlines, deadline, is_new ? ++deadlines->count : deadline->position);
    return true;
}

void deadlines_cancel(struct deadlines *deadlines, struct deadline *deadline)
{
    size_t position = deadline->position;
    if (position == 0)
        return;
    assert(deadlines->heap[position] == deadline);
    struct deadline *last = deadlines->heap[deadlines->count--];
    deadline->position = 0;
    if (last != deadline)
        sift(deadlines, last, position);
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
    return deadlines->count == 0 ? NULL : deadlines->heap[1];
}
