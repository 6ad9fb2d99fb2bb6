/*
 * A line that begins with "--" must be held against all open boundaries, up to a hundred, without
 * a hundred comparisons: an attacker nests a hundred multiparts and sends nothing but such lines.
 * So the boundaries are kept sorted by length and octets, and a line is found by bisection. A hash
 * was weighed: without a secret seed its collisions can be made to order.
 */
#include "base/must.h"
#include "format/summary_inside.h"

enum {
    FRAMES_AT_FIRST = 8,
};

bool stack_push(struct summary *summary, struct summary_part *part, uint32_t index)
{
    if (summary->frame_count == summary->frame_cap) {
        uint32_t cap = summary->frame_cap ? 2 * summary->frame_cap : FRAMES_AT_FIRST;
        struct summary_frame *frames = arena_take_array(summary->arena, cap, sizeof(*frames));
        if (!frames)
            return false;
        if (summary->frame_count)
            memcpy(frames, summary->frames, summary->frame_count * sizeof(*frames));
        summary->frames = frames;
        summary->frame_cap = cap;
    }
    must(summary->frame_count <= SUMMARY_DEPTH_MAX);
    summary->frames[summary->frame_count++] = (struct summary_frame){.part = part, .index = index};
    return true;
}

void stack_pop(struct summary *summary)
{
    must(summary->frame_count > 0);
    stack_boundary_close(summary, summary->frame_count - 1);
    summary->frame_count--;
}

static int boundary_cmp(struct summary *summary, struct str a, struct str b)
{
    summary->steps++;
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    summary->steps += a.n / OCTETS_PER_STEP;
    return memcmp(a.p, b.p, a.n);
}

/* Where `text` is in the order, or where it would go; *found_r says which. */
static uint32_t order_find(struct summary *summary, struct str text, bool *found_r)
{
    uint32_t low = 0, high = summary->boundary_count;
    *found_r = false;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        struct str there = summary->frames[summary->boundary_order[middle]].boundary;
        int order = boundary_cmp(summary, text, there);
        *found_r |= order == 0;
        if (order <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void stack_boundary_open(struct summary *summary, struct str boundary)
{
    bool found;
    uint32_t at = order_find(summary, boundary, &found);
    if (found)
        return;
    uint8_t *order = summary->boundary_order;
    memmove(order + at + 1, order + at, summary->boundary_count - at);
    order[at] = (uint8_t)(summary->frame_count - 1);
    summary->boundary_count++;
    summary->steps += (summary->boundary_count - at) / OCTETS_PER_STEP;
    stack_top(summary)->boundary = boundary;
}

void stack_boundary_close(struct summary *summary, uint32_t level)
{
    struct summary_frame *frame = &summary->frames[level];
    if (!frame->boundary.p)
        return;
    bool found;
    uint32_t at = order_find(summary, frame->boundary, &found);
    must(found && summary->boundary_order[at] == level);
    uint8_t *order = summary->boundary_order;
    summary->boundary_count--;
    memmove(order + at, order + at + 1, summary->boundary_count - at);
    summary->steps += (summary->boundary_count - at) / OCTETS_PER_STEP;
    frame->boundary = str_null();
}

static ssize_t level_of(struct summary *summary, struct str text)
{
    bool found;
    uint32_t at = order_find(summary, text, &found);
    return found ? summary->boundary_order[at] : -1;
}

ssize_t stack_match(struct summary *summary, struct str line, bool *closes_r)
{
    *closes_r = false;
    if (summary->boundary_count == 0 || !str_starts(line, STR("--")))
        return -1;
    struct str text = str_trim(line);
    if (text.n <= 2)
        return -1;
    text = str_from_index(text, 2);
    ssize_t opened = level_of(summary, text);
    if (!str_ends(text, STR("--")))
        return opened;
    ssize_t closed = level_of(summary, str_head(text, text.n - 2));
    *closes_r = closed >= 0 && (opened < 0 || closed < opened);
    return *closes_r ? closed : opened;
}
