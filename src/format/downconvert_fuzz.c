/*
 * Properties: cuts and counting change nothing; what comes out holds nothing that the peer cannot
 * take, but for bare CR and LF outside of leaves; our own summary sees the same tree of parts in
 * it, and each leaf decodes to the same octets as before.
 */
#include "base/must.h"
#include "format/downconvert.h"
#include "format/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ENOUGH = 16 << 20,
};

static const struct summary_limits limits = {
    .fields = 200,
    .header_bytes = 16000,
    .depth = 8,
    .parts = 60,
    .parameters = 10,
    .record_bytes = 1 << 20,
};

static bool sum(struct str text, struct arena *arena, struct summary_view *view_r)
{
    struct summary summary;
    summary_init(&summary, arena, &limits);
    summary_feed(&summary, text);
    return !err_is(summary_end(&summary)) && !err_is(summary_read_back(&summary, arena, view_r));
}

static void run(struct downconvert *convert, struct str text, uint32_t seed, struct buf *buf)
{
    downconvert_begin(convert);
    while (text.n) {
        seed = seed * 1664525 + 1013904223;
        struct str piece = str_head(text, seed % 5 ? 1 + (seed >> 24) % 9 : text.n);
        size_t before = convert->octets;
        downconvert_feed(convert, piece, buf);
        must(convert->octets - before <= DOWNCONVERT_TIMES * piece.n + DOWNCONVERT_MORE);
        text = str_from_index(text, piece.n);
    }
    downconvert_end(convert, buf);
}

static bool is_leaf(const struct summary_part *part)
{
    return part->kind == PART_LEAF || part->kind == PART_OPAQUE;
}

static struct str body_of(struct str text, const struct summary_part *part)
{
    return str_head(str_from_index(text, part->body_offset), part->body_length);
}

static void decode(struct str text, const struct summary_part *part, struct buf *buf)
{
    struct str label = summary_part_word(part, CONTENT_ENCODING);
    cfws_skip(&label);
    label = token_take(&label);
    buf_clear(buf);
    if (str_eq_nocase(label, STR("base64"))) {
        struct base64_decode in;
        base64_decode_init(&in);
        base64_decode_feed(&in, body_of(text, part), buf);
        base64_decode_end(&in, buf);
    } else if (str_eq_nocase(label, STR("quoted-printable"))) {
        struct quoted_printable_decode in;
        quoted_printable_decode_init(&in);
        quoted_printable_decode_feed(&in, body_of(text, part), buf);
        quoted_printable_decode_end(&in, buf);
    } else {
        buf_put(buf, body_of(text, part));
    }
}

static void parts_check(struct str before, const struct summary_view *was, struct str after,
                        const struct summary_view *is)
{
    struct buf one = BUF_INIT(ENOUGH), two = BUF_INIT(ENOUGH);
    must(was->part_count == is->part_count);
    for (uint32_t i = 0; i < was->part_count; i++) {
        struct str types[4];
        must(was->parts[i].kind == is->parts[i].kind &&
             was->parts[i].parent == is->parts[i].parent);
        summary_part_type(&was->parts[i], &types[0], &types[1]);
        summary_part_type(&is->parts[i], &types[2], &types[3]);
        must(str_eq(types[0], types[2]) && str_eq(types[1], types[3]));
        if (!is_leaf(&was->parts[i]))
            continue;
        decode(before, &was->parts[i], &one);
        decode(after, &is->parts[i], &two);
        must(str_eq(buf_str(&one), buf_str(&two)));
    }
    buf_done(&one);
    buf_done(&two);
}

static void convert_check(struct str text, const struct summary_view *was, enum downconvert_to to,
                          uint32_t seed, struct arena *arena)
{
    struct downconvert convert;
    enum downconvert_verdict verdict, again;
    must(!err_is(downconvert_init(&convert, was, to, arena)));
    downconvert_look(&convert, text);
    must(!err_is(downconvert_plan(&convert, &verdict)));
    must(downconvert_may_need(was, to) || verdict == DOWNCONVERT_NOT_NEEDED);
    if (verdict != DOWNCONVERT_CAN)
        return;
    struct buf slow = BUF_INIT(ENOUGH), fast = BUF_INIT(ENOUGH);
    struct summary_view is;
    run(&convert, text, seed, &slow);
    must(convert.octets == slow.n);
    run(&convert, text, 0, &fast);
    must(str_eq(buf_str(&slow), buf_str(&fast)));
    run(&convert, text, seed + 1, NULL);
    must(convert.octets == slow.n);
    must(to == DOWNCONVERT_TO_8BIT || str_is_ascii(buf_str(&slow)));
    if (sum(buf_str(&slow), arena, &is)) {
        parts_check(text, was, buf_str(&slow), &is);
        must(!err_is(downconvert_init(&convert, &is, to, arena)));
        downconvert_look(&convert, buf_str(&slow));
        must(!err_is(downconvert_plan(&convert, &again)) && again == DOWNCONVERT_NOT_NEEDED);
    }
    buf_done(&slow);
    buf_done(&fast);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct summary_view view;
    struct arena arena;
    if (n == 0 || n > 65536)
        return 0;
    struct str text = str_make(data + 1, n - 1);
    arena_init(&arena, ENOUGH);
    if (sum(text, &arena, &view)) {
        convert_check(text, &view, DOWNCONVERT_TO_7BIT, data[0], &arena);
        convert_check(text, &view, DOWNCONVERT_TO_8BIT, data[0], &arena);
    }
    arena_done(&arena);
    return 0;
}
