/*
 * Parts stand in the order of the message, and a part's header comes before its body and its body
 * before the next part's header, so one walk over the parts gives the segments in order. What lies
 * between two changes is one raw segment, however many parts it holds.
 */
#include "format/reencode.h"

#include "base/must.h"
#include "format/encodings.h"

enum {
    SEGMENTS_PER_PART = 5, /* raw, label, raw, base64, CR LF */
    EMPTY_LINE = 2,        /* octets of the line that ends a header */
};

struct planner {
    struct reencode_segment *segments;
    uint32_t count;
    uint32_t at; /* octets of the stored message that are planned */
    uint64_t served;
};

/* A leaf's place of the label is known only where it is binary or unfit. */
static bool is_changed(const struct summary_part *part)
{
    return part->unfit || part->encoding_length > 0;
}

static bool is_encoded(const struct summary_part *part)
{
    return is_changed(part) && (part->kind == PART_LEAF || part->kind == PART_OPAQUE);
}

bool reencode_needed(const struct summary_view *view)
{
    for (uint32_t i = 0; i < view->part_count; i++)
        if (is_changed(&view->parts[i]))
            return true;
    return false;
}

static void segment_add(struct planner *planner, struct reencode_segment segment)
{
    if (segment.length == 0 && segment.literal.n == 0)
        return;
    planner->segments[planner->count++] = segment;
    planner->served += segment.served;
}

static void raw_until(struct planner *planner, uint32_t end)
{
    must(end >= planner->at);
    segment_add(planner, (struct reencode_segment){.kind = REENCODE_RAW,
                                                   .start = planner->at,
                                                   .length = end - planner->at,
                                                   .served = end - planner->at});
    planner->at = end;
}

static void literal_add(struct planner *planner, struct str literal)
{
    segment_add(planner, (struct reencode_segment){
                             .kind = REENCODE_LITERAL, .literal = literal, .served = literal.n});
}

static void encoded_until(struct planner *planner, uint32_t end, enum reencode_kind kind,
                          uint32_t part)
{
    uint32_t n = end - planner->at;
    uint64_t served = kind == REENCODE_BASE64 ? base64_encoded_size(n, true) : 0;
    segment_add(planner, (struct reencode_segment){.kind = kind,
                                                   .start = planner->at,
                                                   .length = n,
                                                   .served = served ? served - 2 : 0,
                                                   .part = part});
    planner->at = end;
}

static bool has_mime_version(const struct summary_view *view)
{
    for (uint32_t i = 0; i < view->field_count; i++)
        if (str_eq_nocase(view->fields[i].name, STR("MIME-Version")))
            return true;
    return false;
}

static bool has_header(const struct summary_part *part)
{
    return part->body_offset - part->header_offset >= EMPTY_LINE;
}

static struct str label_of(const struct summary_view *view, const struct summary_part *part)
{
    if (is_encoded(part) && !has_header(part))
        return STR("Content-Type: application/octet-stream\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\n");
    if (part->unfit && part->depth == 0 && !has_mime_version(view))
        return STR("MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n");
    if (is_encoded(part))
        return STR("Content-Transfer-Encoding: base64\r\n");
    return view->flags & SUMMARY_HAS_8BIT ? STR("Content-Transfer-Encoding: 8bit\r\n")
                                          : STR("Content-Transfer-Encoding: 7bit\r\n");
}

static void part_add(struct planner *planner, const struct summary_view *view, uint32_t i,
                     const struct reencode_change *change)
{
    const struct summary_part *part = &view->parts[i];
    uint32_t header_end = part->body_offset - (has_header(part) ? EMPTY_LINE : 0);
    if (change->label.n > 0) {
        raw_until(planner, change->label_length ? change->label_start : header_end);
        literal_add(planner, change->label);
        planner->at += change->label_length;
    }
    if (change->body == REENCODE_RAW || part->body_length == 0)
        return;
    raw_until(planner, part->body_offset);
    encoded_until(planner, part->body_offset + part->body_length, change->body, i);
    if (planner->at == view->size && change->body == REENCODE_BASE64)
        literal_add(planner, STR("\r\n"));
}

static bool is_kept(const struct reencode_change *change)
{
    return change->label.n == 0 && change->body == REENCODE_RAW;
}

struct err reencode_plan_changes(const struct summary_view *view,
                                 const struct reencode_change *changes, struct arena *arena,
                                 struct reencode_plan *plan_r)
{
    size_t changed = 0;
    for (uint32_t i = 0; i < view->part_count; i++)
        changed += !is_kept(&changes[i]);
    struct planner planner = {0};
    planner.segments =
        arena_take_array(arena, changed * SEGMENTS_PER_PART + 1, sizeof(*planner.segments));
    if (!planner.segments)
        return err_make(ERR_OVER_LIMIT);
    for (uint32_t i = 0; i < view->part_count; i++)
        if (!is_kept(&changes[i]))
            part_add(&planner, view, i, &changes[i]);
    raw_until(&planner, view->size);
    *plan_r = (struct reencode_plan){planner.segments, planner.count, planner.served};
    return err_none();
}

struct err reencode_plan(const struct summary_view *view, struct arena *arena,
                         struct reencode_plan *plan_r)
{
    struct reencode_change *changes = arena_take_array(arena, view->part_count, sizeof(*changes));
    if (!changes)
        return err_make(ERR_OVER_LIMIT);
    for (uint32_t i = 0; i < view->part_count; i++) {
        const struct summary_part *part = &view->parts[i];
        changes[i] = (struct reencode_change){
            .label = is_changed(part) ? label_of(view, part) : str_null(),
            .label_start = part->encoding_start,
            .label_length = part->encoding_length,
            .body = is_encoded(part) ? REENCODE_BASE64 : REENCODE_RAW,
        };
    }
    return reencode_plan_changes(view, changes, arena, plan_r);
}
