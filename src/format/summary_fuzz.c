/*
 * Properties: the same bytes give the same record whether they come at once or in random chunks;
 * what was printed is read back; work and record stay within their limits; a random record is
 * refused or sound, so that a plan can be made of it.
 */
#include "base/must.h"
#include "format/reencode.h"
#include "format/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Small enough to be met by small inputs. */
static const struct summary_limits limits = {
    .fields = 40,
    .header_bytes = 2000,
    .depth = 8,
    .parts = 30,
    .parameters = 10,
    .record_bytes = 100000,
};

/* The first octet is the seed of the cuts; 0 cuts nothing. */
static struct err sum(struct str text, uint32_t seed, struct arena *arena, struct buf *record)
{
    struct summary summary;
    size_t whole = text.n;
    summary_init(&summary, arena, &limits);
    while (text.n) {
        seed = seed * 1664525 + 1013904223;
        size_t step = 1 + (seed >> 24) % 37;
        struct str piece = str_head(text, record->max && seed % 7 == 0 ? 1 : step);
        summary_feed(&summary, piece);
        text = str_from_index(text, piece.n);
    }
    struct err e = summary_end(&summary);
    must(summary.steps <= 3 * whole + 200);
    if (!err_is(e))
        summary_print(&summary, record);
    return e;
}

static struct err sum_at_once(struct str text, struct arena *arena, struct buf *record)
{
    struct summary summary;
    summary_init(&summary, arena, &limits);
    summary_feed(&summary, text);
    struct err e = summary_end(&summary);
    if (!err_is(e))
        summary_print(&summary, record);
    return e;
}

static void view_check(const struct summary_view *view, struct str text)
{
    must(view->size == text.n && view->part_count <= limits.parts + 1);
    must(view->field_count <= limits.fields);
    for (uint32_t i = 1; i < view->part_count; i++) {
        const struct summary_part *part = &view->parts[i];
        const struct summary_part *parent = &view->parts[part->parent];
        must(part->header_offset >= parent->body_offset);
        must(part->body_offset + part->body_length <= parent->body_offset + parent->body_length);
    }
}

static void plan_check(const struct summary_view *view, struct arena *arena)
{
    struct reencode_plan plan;
    must(!err_is(reencode_plan(view, arena, &plan)));
    uint32_t at = 0;
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct reencode_segment *segment = &plan.segments[i];
        if (segment->kind == REENCODE_LITERAL)
            continue;
        must(segment->start >= at);
        at = segment->start + segment->length;
    }
    must(at <= view->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct str text = str_make(data + 1, n - 1);
    struct arena arena;
    struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
    struct summary_view view;
    arena_init(&arena, 8 << 20);
    if (!err_is(summary_parse(text, &arena, &view)))
        plan_check(&view, &arena);
    struct err e = sum_at_once(text, &arena, &one);
    must(sum(text, data[0] * 2654435761u, &arena, &two).code == e.code);
    must(str_eq(buf_str(&one), buf_str(&two)));
    must(e.code == ERR_NONE || e.code == ERR_HEADER_TOO_LARGE);
    if (!err_is(e)) {
        must(one.n <= limits.record_bytes);
        must(!err_is(summary_parse(buf_str(&one), &arena, &view)));
        view_check(&view, text);
        plan_check(&view, &arena);
    }
    buf_done(&one);
    buf_done(&two);
    arena_done(&arena);
    return 0;
}
