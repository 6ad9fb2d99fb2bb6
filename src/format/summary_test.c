#include "base/test.h"

#include "format/summary.h"

enum {
    BIG = 64 << 20
};

struct given {
    struct arena arena;  /* of the builder */
    struct arena viewed; /* of the reader */
    struct buf text;
    struct buf record;
    struct summary_limits limits;
    struct summary summary;
    struct summary_view view;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.limits = SUMMARY_LIMITS_DEFAULT};
    arena_init(&given.arena, SUMMARY_ARENA_MAX);
    arena_init(&given.viewed, BIG);
    buf_init(&given.text, BIG);
    buf_init(&given.record, BIG);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    arena_done(&given->viewed);
    buf_done(&given->text);
    buf_done(&given->record);
    return 0;
}

/* Sums the text up in pieces of `step` octets. */
static struct err sum(struct given *given, struct str text, size_t step)
{
    arena_reset(&given->arena);
    summary_init(&given->summary, &given->arena, &given->limits);
    while (text.n) {
        summary_feed(&given->summary, str_head(text, step));
        text = str_from_index(text, step);
    }
    return summary_end(&given->summary);
}

/* The whole way: sum, print, parse. */
static const struct summary_view *view_of(struct given *given, struct str text)
{
    assert_int_equal(sum(given, text, SIZE_MAX).code, ERR_NONE);
    buf_clear(&given->record);
    arena_reset(&given->viewed);
    summary_print(&given->summary, &given->record);
    assert_in_range(given->record.n, 1, given->summary.limits.record_bytes);
    struct err e = summary_parse(buf_str(&given->record), &given->viewed, &given->view);
    assert_int_equal(e.code, ERR_NONE);
    return &given->view;
}

static const struct summary_view *view_of_text(struct given *given)
{
    return view_of(given, buf_str(&given->text));
}

static struct str body_of(struct str text, const struct summary_part *part)
{
    return str_make(text.p + part->body_offset, part->body_length);
}

static void repeat(struct buf *buf, size_t times, struct str s)
{
    while (times--)
        buf_put(buf, s);
}

#define TWO_PARTS                                                                                  \
    "Received: by a;\r\n\tdate\r\nReceived: by b\r\nFrom: Bob <bob@b.test>\r\n"                    \
    "To: a@b.test,\r\n c@d.test\r\nSubject: =?utf-8?B?5L2g?=\r\nMIME-Version: 1.0\r\n"             \
    "Content-Type: multipart/mixed; boundary=\"b 1\"; x=\"a\\\"b\"\r\n\r\npreamble\r\n"            \
    "--b 1\r\n\r\nfirst\r\nline\r\n--b 1  \r\nContent-Type: image/PNG (a picture); name=x y.png\r" \
    "\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.png\r\n"   \
    "Content-ID: <i@b>\r\n\r\nAAAA\r\n\r\n--b 1--\r\nepilogue\r\n--b 1\r\n"

static void parts_are_found(void **state)
{
    struct str text = STR(TWO_PARTS);
    const struct summary_view *view = view_of(*state, text);
    assert_int_equal(view->part_count, 3);
    assert_int_equal(view->hops, 2);
    assert_int_equal(view->from_count, 1);
    assert_int_equal(view->field_count, 7);
    assert_int_equal(view->size, text.n);
    const struct summary_part *part = view->parts;
    assert_int_equal(part[0].kind, PART_MULTIPART);
    assert_str(params_get(part[0].content->type_params, STR("X")), STR("a\"b"));
    assert_str(part[0].envelope->value[ENVELOPE_TO], STR("a@b.test, c@d.test"));
    assert_str(part[0].envelope->value[ENVELOPE_SUBJECT], STR("=?utf-8?B?5L2g?="));
    assert_null(part[0].envelope->value[ENVELOPE_CC].p);
    assert_null(part[1].content);
    assert_str(body_of(text, &part[1]), STR("first\r\nline"));
    assert_int_equal(part[1].lines, 1);
    assert_str(body_of(text, &part[2]), STR("AAAA\r\n"));
    assert_str(params_get(part[2].content->type_params, STR("name")), STR("x y.png"));
    assert_str(params_get(part[2].content->disposition_params, STR("filename")), STR("a.png"));
    assert_str(summary_part_word(&part[2], CONTENT_SUBTYPE), STR("PNG"));
    assert_str(summary_part_word(&part[2], CONTENT_ENCODING), STR("base64"));
    assert_str(summary_part_word(&part[2], CONTENT_ID), STR("<i@b>"));
}

static void fields_cover_the_header(void **state)
{
    struct str text = STR("A: 1\r\n x\r\nno colon\r\n \r\nB : 2\r\n\r\nbody");
    const struct summary_view *view = view_of(*state, text);
    assert_int_equal(view->field_count, 3);
    assert_str(view->fields[0].name, STR("A"));
    assert_int_equal(view->fields[0].length, 10);
    assert_str(view->fields[1].name, STR(""));
    assert_str(view->fields[2].name, STR("B"));
    assert_str(body_of(text, &view->parts[0]), STR("body"));
    assert_true(view->flags & SUMMARY_HEADER_MALFORMED);
}

/* M11: only an empty line ends a header. */
static void header_ends_at_the_first_empty_line(void **state)
{
    static const struct {
        struct str text;
        uint32_t header_length, flags;
    } rows[] = {
        {STR_INIT("A: b\r\n \r\nC: d\r\n\r\nx"), 17, 0},
        {STR_INIT("A: b\r\nnot a field\r\n\r\nx"), 21, SUMMARY_HEADER_MALFORMED},
        {STR_INIT("A\0: b\r\n\r\nx"), 9,
         SUMMARY_HEADER_MALFORMED | SUMMARY_HAS_NUL | SUMMARY_HEADER_HAS_CONTROL |
             SUMMARY_FROM_AMBIGUOUS},
        {STR_INIT("Subject: a\rb\r\n\r\nx"), 16, SUMMARY_HAS_BARE_CR | SUMMARY_HEADER_HAS_CONTROL},
        {STR_INIT("A: b\n\nC: d\r\n\r\nx"), 14, SUMMARY_HAS_BARE_LF | SUMMARY_HEADER_HAS_CONTROL},
        {STR_INIT("\r\nx\ny"), 2, SUMMARY_HAS_BARE_LF},
        {STR_INIT(" A: b\r\n\r\n"), 9, SUMMARY_HEADER_MALFORMED | SUMMARY_FROM_AMBIGUOUS},
        {STR_INIT("A: b\r\nfrom : x\r\n\r\n"), 18,
         SUMMARY_HEADER_MALFORMED | SUMMARY_FROM_AMBIGUOUS},
        {STR_INIT("A: b\r\n"), 6, SUMMARY_HEADER_UNENDED},
        {STR_INIT("A: b"), 4, SUMMARY_HEADER_UNENDED},
        {STR_INIT(""), 0, SUMMARY_HEADER_UNENDED},
        {STR_INIT("A: \xc3\xa9\r\n\r\n"), 9, SUMMARY_HAS_8BIT | SUMMARY_HEADER_HAS_8BIT},
        {STR_INIT("A: b\r\n\r\n\xc3\r"), 8, SUMMARY_HAS_8BIT | SUMMARY_HAS_BARE_CR},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct summary_view *view = view_of(*state, rows[i].text);
        assert_int_equal(view->header_length, rows[i].header_length);
        assert_int_equal(view->flags, rows[i].flags);
    }
}

#define NESTED                                                                                     \
    "Subject: out\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"                     \
    "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: x@y.test\r\n"                        \
    "Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\n"             \
    "Content-Type: text/html\r\n\r\ntwo\r\n--i--\r\n\r\n--o\r\n\r\nthree\r\n--o--\r\n"

static void a_message_in_a_message_has_its_own_envelope(void **state)
{
    struct str text = STR(NESTED);
    const struct summary_view *view = view_of(*state, text);
    static const uint32_t parents[] = {0, 0, 1, 2, 2, 0};
    assert_int_equal(view->part_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(view->parts[i].parent, parents[i]);
    assert_int_equal(view->parts[1].kind, PART_MESSAGE);
    assert_str(view->parts[2].envelope->value[ENVELOPE_SUBJECT], STR("in"));
    assert_str(view->parts[0].envelope->value[ENVELOPE_SUBJECT], STR("out"));
    assert_str(body_of(text, &view->parts[3]), STR("one"));
    assert_str(body_of(text, &view->parts[4]), STR("two"));
    assert_str(body_of(text, &view->parts[5]), STR("three"));
}

static void a_digest_holds_messages(void **state)
{
    const struct summary_view *view =
        view_of(*state, STR("Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n"
                            "Subject: one\r\n\r\nx\r\n--d--\r\n"));
    assert_int_equal(view->part_count, 3);
    assert_int_equal(view->parts[1].kind, PART_MESSAGE);
    assert_str(view->parts[2].envelope->value[ENVELOPE_SUBJECT], STR("one"));
}

static void what_is_not_a_multipart_stays_closed(void **state)
{
    static const struct {
        struct str text;
        uint32_t kind;
    } rows[] = {
        {STR_INIT("Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx"), PART_OPAQUE},
        {STR_INIT("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nx"), PART_OPAQUE},
        {STR_INIT("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nx"),
         PART_OPAQUE},
        {STR_INIT("Content-Type: message/delivery-status\r\n\r\nx"), PART_LEAF},
        {STR_INIT("Content-Type: multipart\r\n\r\nx"), PART_LEAF},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct summary_view *view = view_of(*state, rows[i].text);
        assert_int_equal(view->part_count, 1);
        assert_int_equal(view->parts[0].kind, rows[i].kind);
    }
}

static void parts_end_where_their_parent_ends(void **state)
{
    /* The inner multipart's last part begins with the line that the outer delimiter follows. */
    const struct summary_view *view =
        view_of(*state, STR("Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
                            "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n--o--\r\n"));
    assert_int_equal(view->part_count, 3);
    assert_int_equal(view->parts[2].body_length, 0);
}

/* M05: a boundary that is used inside again belongs to the outermost part that has it. */
static void equal_and_prefixed_boundaries(void **state)
{
    struct str text = STR("Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\n"
                          "Content-Type: message/rfc822\r\n\r\n"
                          "Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\n\r\n"
                          "mine\r\n--bound\r\n"
                          "Content-Type: multipart/mixed; boundary=bou\r\n\r\n--bou\r\n\r\nin\r\n"
                          "--bound\r\n\r\nout");
    const struct summary_view *view = view_of(*state, text);
    static const uint32_t parents[] = {0, 0, 1, 0, 0, 4, 0};
    assert_int_equal(view->part_count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(view->parts[i].parent, parents[i]);
    assert_str(body_of(text, &view->parts[3]), STR("mine"));
    assert_str(body_of(text, &view->parts[5]), STR("in"));
    assert_str(body_of(text, &view->parts[6]), STR("out"));
}

static void a_binary_part_may_hold_anything(void **state)
{
    struct str text = STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                          "Content-Transfer-Encoding: binary\r\n\r\n"
                          "\0\n--b\n\r\r\n\r--b\r\n--bc\r\n --b\r\n--b--");
    const struct summary_view *view = view_of(*state, text);
    assert_int_equal(view->part_count, 2);
    assert_str(body_of(text, &view->parts[1]), STR("\0\n--b\n\r\r\n\r--b\r\n--bc\r\n --b"));
    assert_int_equal(view->flags, SUMMARY_HAS_NUL | SUMMARY_HAS_BARE_CR | SUMMARY_HAS_BARE_LF);
}

static void any_chunking_gives_one_record(void **state)
{
    static const struct str rows[] = {
        STR_INIT(TWO_PARTS),
        STR_INIT(NESTED),
        STR_INIT("A: b\r\n\r\n\r\r\n\n\r"),
        STR_INIT("A: b\r"),
    };
    struct given *given = *state;
    struct buf pieces = BUF_INIT(BIG);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        view_of(given, rows[i]);
        for (size_t step = 1; step < 40; step++) {
            assert_int_equal(sum(given, rows[i], step).code, ERR_NONE);
            buf_clear(&pieces);
            summary_print(&given->summary, &pieces);
            assert_str(buf_str(&pieces), buf_str(&given->record));
        }
    }
    buf_done(&pieces);
}

static void an_ordinary_message_needs_a_few_kilobytes(void **state)
{
    struct given *given = *state;
    assert_int_equal(sum(given, STR(TWO_PARTS), SIZE_MAX).code, ERR_NONE);
    assert_in_range(given->arena.used, 1, 8 << 10);
    assert_in_range(sizeof(struct summary), 1, 1 << 10);
}

/* M01, M02 */
static void top_level_header_limits(void **state)
{
    struct given *given = *state;
    for (size_t n = 999; n <= 1001; n++) {
        buf_clear(&given->text);
        repeat(&given->text, n, STR("To: a@b\r\n"));
        buf_put(&given->text, STR("\r\nbody"));
        assert_int_equal(sum(given, buf_str(&given->text), 4096).code,
                         n > 1000 ? ERR_HEADER_TOO_LARGE : ERR_NONE);
    }
    for (size_t n = (256 << 10) - 1; n <= (256 << 10) + 1; n++) {
        buf_clear(&given->text);
        buf_put(&given->text, STR("X: "));
        repeat(&given->text, n - 5, STR("x"));
        buf_put(&given->text, STR("\r\n\r\nbody"));
        enum err_code expected = n > 256 << 10 ? ERR_HEADER_TOO_LARGE : ERR_NONE;
        assert_int_equal(sum(given, buf_str(&given->text), SIZE_MAX).code, expected);
        assert_int_equal(sum(given, buf_str(&given->text), 1000).code, expected);
    }
}

static void one_huge_header_is_refused_in_flat_memory(void **state)
{
    struct given *given = *state;
    repeat(&given->text, 4 << 20, STR("x\r\n "));
    assert_int_equal(sum(given, buf_str(&given->text), 8192).code, ERR_HEADER_TOO_LARGE);
    assert_in_range(given->arena.used, 0, 1 << 20);
}

static void an_endless_header_line_is_refused_before_its_end(void **state)
{
    struct given *given = *state;
    repeat(&given->text, 300 << 10, STR("x"));
    summary_init(&given->summary, &given->arena, &given->limits);
    assert_int_equal(summary_feed(&given->summary, buf_str(&given->text)).code,
                     ERR_HEADER_TOO_LARGE);
}

static uint64_t steps_of(struct given *given, enum err_code expected)
{
    assert_int_equal(sum(given, buf_str(&given->text), 16384).code, expected);
    assert_in_range(given->summary.steps, 0, 3 * given->text.n + 100);
    return given->summary.steps;
}

/* Doubling the input must not more than double the work: T(2n)/T(n) <= 2.2. */
static void assert_linear(struct given *given, size_t n, struct str head, struct str repeated)
{
    uint64_t steps[2];
    for (size_t i = 0; i < 2; i++) {
        buf_clear(&given->text);
        buf_put(&given->text, head);
        repeat(&given->text, n << i, repeated);
        steps[i] = steps_of(given, ERR_NONE);
    }
    assert_true(steps[1] * 10 <= steps[0] * 22);
}

static void work_is_linear(void **state)
{
    struct given *given = *state;
    given->limits.fields = 600000;
    given->limits.header_bytes = 16 << 20;
    arena_init(&given->arena, BIG);
    assert_linear(given, 50000, STR(""), STR("To: a@b\r\n"));
    assert_linear(given, 100000, STR("To: a@b\r\n"), STR(" ,a@b\r\n"));
    assert_linear(given, 20000, STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n"),
                  STR("--b\r\n\r\n"));
    assert_linear(given, 5000, STR(""), STR("Content-Type: message/rfc822\r\n\r\n"));
    assert_linear(given, 20000, STR("Content-Disposition: a"), STR("; filename*0=x"));
}

/* M05: a hundred open boundaries, and nothing but lines that look like them. */
static void a_hundred_boundaries_cost_one_search(void **state)
{
    struct given *given = *state;
    for (int i = 0; i < 99; i++)
        buf_printf(&given->text, "%sContent-Type: multipart/x; boundary=%c%.*s\r\n\r\n--%c%.*s\r\n",
                   i ? "" : "A: b\r\n", 'a' + i % 26, i / 26, "xyz", 'a' + i % 26, i / 26, "xyz");
    size_t head = given->text.n;
    repeat(&given->text, 100000, STR("--A\r\n--B--\r\n--\r\n"));
    assert_in_range(steps_of(given, ERR_NONE), 1, 3 * given->text.n);
    assert_int_equal(given->summary.part_count, 100);
    /* And a deep part that is opened again and again. */
    buf_cut(&given->text, head);
    repeat(&given->text, 5000, STR("Content-Type: multipart/x; boundary=q\r\n\r\n--uxyz\r\n"));
    assert_in_range(steps_of(given, ERR_NONE), 1, 3 * given->text.n);
}

/* M03 */
static void depth_ends_in_an_opaque_leaf(void **state)
{
    struct given *given = *state;
    for (int n = 99; n <= 101; n++) {
        buf_clear(&given->text);
        repeat(&given->text, (size_t)n, STR("Content-Type: message/rfc822\r\n\r\n"));
        buf_put(&given->text, STR("A: b\r\n\r\nx"));
        const struct summary_view *view = view_of_text(given);
        assert_int_equal(view->part_count, n > 100 ? 101 : n + 1);
        const struct summary_part *last = &view->parts[view->part_count - 1];
        assert_int_equal(last->kind, n > 100 ? PART_OPAQUE : PART_LEAF);
    }
    buf_clear(&given->text);
    for (int i = 0; i < 10000; i++)
        buf_printf(&given->text, "Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n", i,
                   i);
    const struct summary_view *view = view_of_text(given);
    assert_int_equal(view->part_count, 101);
    assert_int_equal(view->parts[100].kind, PART_OPAQUE);
    steps_of(given, ERR_NONE);
}

/* M04 */
static void parts_end_in_one_opaque_rest(void **state)
{
    struct given *given = *state;
    for (size_t n = 9998; n <= 10001; n++) {
        buf_clear(&given->text);
        buf_put(&given->text, STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
        repeat(&given->text, n, STR("--b\r\n\r\n"));
        buf_put(&given->text, STR("--b--\r\n"));
        const struct summary_view *view = view_of_text(given);
        bool rest = n > 9999;
        assert_int_equal(view->part_count, rest ? 10001 : n + 1);
        assert_int_equal(view->flags, rest ? SUMMARY_HAS_REST : 0);
        const struct summary_part *last = &view->parts[view->part_count - 1];
        assert_int_equal(last->kind, rest ? PART_OPAQUE : PART_LEAF);
        if (rest)
            assert_int_equal(last->body_offset + last->body_length, view->size);
    }
    repeat(&given->text, 100000, STR("--b\r\n\r\n"));
    steps_of(given, ERR_NONE);
}

static void a_record_never_passes_its_limit(void **state)
{
    struct given *given = *state;
    buf_put(&given->text, STR("Content-Type: multipart/mixed; boundary=b\r\nX: "));
    repeat(&given->text, 250000, STR("x"));
    buf_put(&given->text, STR("\r\n\r\n"));
    for (size_t i = 0; i < 5000; i++) {
        buf_put(&given->text, STR("--b\r\nContent-Description: "));
        repeat(&given->text, 1000, STR("y"));
        buf_put(&given->text, STR("\r\n\r\n"));
    }
    const struct summary_view *view = view_of_text(given);
    assert_in_range(view->part_count, 300, 600);
    assert_true(view->flags & SUMMARY_HAS_REST);
    buf_clear(&given->text);
    buf_put(&given->text, STR("Content-Disposition: a"));
    repeat(&given->text, 60000, STR(";a=b"));
    buf_put(&given->text, STR("\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"));
    for (size_t i = 0; i < 200; i++) {
        buf_put(&given->text, STR("--b\r\nContent-Type: a/b"));
        repeat(&given->text, 1001, STR(";a="));
        buf_put(&given->text, STR("\r\n\r\n"));
    }
    view = view_of_text(given);
    assert_int_equal(view->parts[0].content->disposition_params.n, 1000);
    assert_int_equal(view->parts[1].content->type_params.n, 1000);
}

/* The parts that cost most memory for their place in the record, behind the largest header: what
 * passes the limits degrades, it is not refused. */
static void no_message_needs_a_larger_arena(void **state)
{
    static const struct {
        struct str type, part;
    } rows[] = {
        {STR_INIT("mixed"), STR_INIT("--b\r\nContent-Transfer-Encoding: a\r\n\r\n")},
        {STR_INIT("mixed"), STR_INIT("--b\r\nContent-Type: a/b\r\n\r\n")},
        {STR_INIT("mixed"), STR_INIT("--b\r\nContent-Disposition: a;b=\r\n\r\n")},
        {STR_INIT("digest"), STR_INIT("--b\r\nContent-ID:\r\n\r\nContent-ID:\r\nCc:\r\n\r\n")},
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&given->text);
        buf_put(&given->text, STR("To: "));
        repeat(&given->text, 250000, STR("x"));
        buf_printf(&given->text, "\r\nContent-Type: multipart/%.*s; boundary=b\r\n\r\n",
                   STR_FMT(rows[i].type));
        repeat(&given->text, 12000, rows[i].part);
        assert_int_equal(sum(given, buf_str(&given->text), 1000).code, ERR_NONE);
        assert_true(given->summary.flags & SUMMARY_HAS_REST);
    }
    /* Without the large header, the most parts. */
    buf_clear(&given->text);
    buf_put(&given->text, STR("Content-Type: multipart/digest; boundary=b\r\n\r\n"));
    repeat(&given->text, 12000, rows[3].part);
    assert_int_equal(sum(given, buf_str(&given->text), 1000).code, ERR_NONE);
    assert_in_range(given->arena.used, 0, SUMMARY_ARENA_MAX * 3 / 4);
}

static void assert_nested(const struct summary_view *view)
{
    for (uint32_t i = 0; i < view->part_count; i++) {
        const struct summary_part *part = &view->parts[i];
        const struct summary_part *parent = &view->parts[part->parent];
        uint64_t end = (uint64_t)part->body_offset + part->body_length;
        assert_in_range(part->body_offset, part->header_offset, view->size);
        assert_in_range(end, part->body_offset, view->size);
        assert_in_range(end, 0, (uint64_t)parent->body_offset + parent->body_length);
        if (i)
            assert_in_range(part->header_offset, parent->body_offset, view->size);
    }
}

static void a_damaged_record_is_refused(void **state)
{
    struct given *given = *state;
    view_of(given, STR(NESTED));
    struct str record = buf_str(&given->record);
    for (size_t n = 0; n < record.n; n++) {
        arena_reset(&given->viewed);
        struct err e = summary_parse(str_head(record, n), &given->viewed, &given->view);
        assert_int_equal(e.code, ERR_STORE_DAMAGED);
    }
    /* Any octet changed: refused, or still nested. */
    for (size_t i = 0; i < record.n; i++) {
        char kept = given->record.p[i];
        for (int change = 1; change < 256; change++) {
            given->record.p[i] = (char)(kept ^ change);
            arena_reset(&given->viewed);
            if (!err_is(summary_parse(record, &given->viewed, &given->view)))
                assert_nested(&given->view);
        }
        given->record.p[i] = kept;
    }
}

static void a_full_arena_is_an_error(void **state)
{
    struct given *given = *state;
    for (size_t cap = 0; cap < 6000; cap += 16) {
        arena_init(&given->arena, cap);
        enum err_code code = sum(given, STR(NESTED), 7).code;
        assert_true(code == ERR_OVER_LIMIT || code == ERR_NONE);
        assert_int_equal(code != ERR_NONE, arena_over(&given->arena));
        arena_done(&given->arena);
    }
}

#define given_test(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        given_test(parts_are_found),
        given_test(fields_cover_the_header),
        given_test(header_ends_at_the_first_empty_line),
        given_test(a_message_in_a_message_has_its_own_envelope),
        given_test(a_digest_holds_messages),
        given_test(what_is_not_a_multipart_stays_closed),
        given_test(parts_end_where_their_parent_ends),
        given_test(equal_and_prefixed_boundaries),
        given_test(a_binary_part_may_hold_anything),
        given_test(any_chunking_gives_one_record),
        given_test(an_ordinary_message_needs_a_few_kilobytes),
        given_test(top_level_header_limits),
        given_test(one_huge_header_is_refused_in_flat_memory),
        given_test(an_endless_header_line_is_refused_before_its_end),
        given_test(work_is_linear),
        given_test(a_hundred_boundaries_cost_one_search),
        given_test(depth_ends_in_an_opaque_leaf),
        given_test(parts_end_in_one_opaque_rest),
        given_test(a_record_never_passes_its_limit),
        given_test(no_message_needs_a_larger_arena),
        given_test(a_damaged_record_is_refused),
        given_test(a_full_arena_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
