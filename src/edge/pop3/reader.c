#include "edge/pop3/reader.h"

#include "base/must.h"
#include "edge/slabs.h"
#include "format/encodings.h"
#include "format/reencode.h"
#include "format/summary.h"

enum {
    PIECE_MAX = READER_SLABS * SLAB_SIZE,
    LINE_WITH_BREAK = ENCODED_LINE + 2,
};

struct reader {
    struct pop3_session *s;
    const struct pop3_row *row;
    struct str before;
    bool begun;             /* `before` was sent */
    uint64_t total, prefix; /* of the stored message: prefix and body */
    uint64_t lines_left;
    bool in_body;
    bool stopped;       /* enough lines */
    unsigned at_break;  /* how much of CR LF the last octets were: 0, 1 (CR), 2 (CR LF) */
    bool line_is_empty; /* nothing since the last line break */
};

/* --- Out --- */

/* The next line break of `text`, or its end: how many octets up to and with it. */
static size_t line_length(struct str text)
{
    ssize_t lf = str_index(text, '\n');
    return lf < 0 ? text.n : (size_t)lf + 1;
}

/* Counts what ends a line of header or body; false: that was the last one wanted. */
static bool line_counted(struct reader *r, bool empty)
{
    if (!r->in_body) {
        r->in_body = empty;
        return !(r->in_body && r->lines_left == 0);
    }
    return r->lines_left == READER_ALL || --r->lines_left > 0;
}

static void octets_out(struct reader *r, struct str text)
{
    struct stream *out = &r->s->stream;
    while (text.n && !r->stopped) {
        struct str part = str_head(text, line_length(text));
        text = str_from_index(text, part.n);
        if (r->at_break == 2 && part.p[0] == '.')
            stream_put(out, STR("."));
        if (r->at_break == 2)
            r->line_is_empty = true;
        bool crlf = part.p[part.n - 1] == '\n' &&
                    (part.n > 1 ? part.p[part.n - 2] == '\r' : r->at_break == 1);
        bool only_break = part.n == 2 || (part.n == 1 && r->at_break == 1);
        bool empty = crlf && r->line_is_empty && only_break;
        if (!(part.n == 1 && part.p[0] == '\r'))
            r->line_is_empty = false;
        stream_put(out, part);
        r->at_break = crlf ? 2 : part.p[part.n - 1] == '\r' ? 1 : 0;
        if (crlf && !line_counted(r, empty))
            r->stopped = true;
    }
}

static void begin(struct reader *r)
{
    if (!r->begun)
        stream_put(&r->s->stream, r->before);
    r->begun = true;
}

/* May yield. */
static struct err piece_out(struct reader *r, struct str text)
{
    struct pop3_session *s = r->s;
    begin(r);
    octets_out(r, text);
    if (s->stream.out.n >= STREAM_OUT_SOFT && !stream_drain(&s->stream, pop3_deadline(s)))
        return err_make(ERR_PEER_GONE);
    return err_none();
}

static void end(struct reader *r)
{
    begin(r);
    if (r->at_break != 2)
        stream_put(&r->s->stream, STR("\r\n"));
    stream_put(&r->s->stream, STR(".\r\n"));
}

/* --- In: octets from core --- */

/* What a piece of a part is given to; may yield. */
typedef struct err (*piece_sink)(void *arg, struct str piece);

struct slab_row {
    struct slabs *slabs;
    struct msg_slab list[READER_SLABS];
    size_t count;
};

static struct err slabs_borrow(struct pop3_session *s, struct slab_row *row, size_t count)
{
    struct edge *edge = s->base.edge;
    row->slabs = edge->slabs;
    row->count = 0;
    if (!row->slabs)
        return err_make(ERR_BUS_BROKEN);
    while (row->count < count) {
        uint32_t index;
        struct err e = slabs_wait(row->slabs, edge->loop->now + EDGE_CORE_WAIT, &index);
        if (err_is(e))
            return e;
        row->list[row->count++] = (struct msg_slab){.index = index, .length = SLAB_SIZE};
    }
    return err_none();
}

static void slabs_return(struct slab_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        slabs_give(row->slabs, row->list[i].index);
}

static struct err slabs_pass(const struct slab_row *row, uint64_t octets, piece_sink sink,
                             void *arg)
{
    struct err e = err_none();
    for (size_t i = 0; i < row->count && octets && !err_is(e); i++) {
        size_t n = octets < row->list[i].length ? (size_t)octets : row->list[i].length;
        e = sink(arg, str_make(slabs_at(row->slabs, row->list[i].index), n));
        octets -= n;
    }
    return e;
}

/* One question: up to PIECE_MAX octets of a part from `at` on. */
static struct err piece_fetch(struct reader *r, uint8_t part, uint64_t at, uint64_t most,
                              piece_sink sink, void *arg, uint64_t *got_r)
{
    struct pop3_session *s = r->s;
    size_t count = most >= PIECE_MAX ? READER_SLABS : (size_t)((most + SLAB_SIZE - 1) / SLAB_SIZE);
    struct slab_row row;
    struct arena arena;
    arena_init(&arena, SLAB_SIZE);
    struct err e = slabs_borrow(s, &row, count ? count : 1);
    struct msg question = {.kind = MSG_fetch,
                           .fetch = {.handle = s->handle,
                                     .uid = r->row->uid,
                                     .part = part,
                                     .offset = at,
                                     .slabs = row.list,
                                     .slabs_count = row.count}};
    struct msg answer;
    if (!err_is(e))
        e = edge_ask(s->base.edge, &question, &arena, &answer);
    if (!err_is(e))
        e = err_make((enum err_code)answer.fetched.error);
    if (!err_is(e)) {
        const struct msg_fetched *fetched = &answer.fetched;
        uint64_t octets = fetched->octets < most ? fetched->octets : most;
        r->total = fetched->total;
        r->prefix = fetched->prefix;
        *got_r = octets;
        e = octets <= row.count * (uint64_t)SLAB_SIZE ? slabs_pass(&row, octets, sink, arg)
                                                      : err_make(ERR_BUS_BROKEN);
    }
    slabs_return(&row);
    arena_done(&arena);
    return e;
}

/* Octets from..until of the stored message, in order. */
static struct err range_fetch(struct reader *r, uint64_t from, uint64_t until, piece_sink sink,
                              void *arg)
{
    struct err e = err_none();
    while (from < until && !err_is(e) && !r->stopped) {
        uint64_t got = 0;
        e = piece_fetch(r, 0, from, until - from, sink, arg, &got);
        if (!err_is(e) && got == 0)
            e = err_make(ERR_STORE_DAMAGED);
        from += got;
    }
    return e;
}

static struct err plain_sink(void *arg, struct str piece)
{
    return piece_out(arg, piece);
}

/* --- Messages with binary parts --- */

struct encoding {
    struct reader *r;
    struct base64_encode encode;
    struct buf text;
    bool held; /* a CR LF that is sent only if something follows */
};

/* The CR LF behind the last line belongs to what follows the part. */
static struct err encoded_out(struct encoding *encoding)
{
    struct str text = buf_str(&encoding->text);
    struct err e = err_none();
    if (text.n == 0)
        return e;
    if (encoding->held)
        e = piece_out(encoding->r, STR("\r\n"));
    encoding->held = str_ends(text, STR("\r\n"));
    if (!err_is(e))
        e = piece_out(encoding->r, str_head(text, text.n - (encoding->held ? 2 : 0)));
    buf_clear(&encoding->text);
    return e;
}

static struct err base64_sink(void *arg, struct str piece)
{
    struct encoding *encoding = arg;
    base64_encode_feed(&encoding->encode, piece, &encoding->text);
    return buf_over(&encoding->text) ? err_make(ERR_NO_MEMORY) : encoded_out(encoding);
}

static struct err base64_send(struct reader *r, uint64_t from, uint64_t until)
{
    struct encoding encoding = {.r = r, .text = BUF_INIT(4 * SLAB_SIZE)};
    base64_encode_init(&encoding.encode, true);
    struct err e = range_fetch(r, from, until, base64_sink, &encoding);
    if (!err_is(e)) {
        base64_encode_end(&encoding.encode, &encoding.text);
        e = encoded_out(&encoding);
    }
    buf_done(&encoding.text);
    return e;
}

static struct err segment_send(struct reader *r, const struct reencode_segment *segment)
{
    uint64_t from = r->prefix + segment->start, until = from + segment->length;
    switch (segment->kind) {
    case REENCODE_LITERAL:
        return piece_out(r, segment->literal);
    case REENCODE_RAW:
        return range_fetch(r, from, until, plain_sink, r);
    case REENCODE_BASE64:
        return base64_send(r, from, until);
    }
    return err_make(ERR_STORE_DAMAGED);
}

static struct err record_sink(void *arg, struct str piece)
{
    return buf_put(arg, piece) ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err summary_fetch(struct reader *r, struct buf *record)
{
    uint64_t at = 0, got = 0, total = 1;
    struct err e = err_none();
    while (at < total && !err_is(e)) {
        uint64_t was_total = r->total, was_prefix = r->prefix;
        e = piece_fetch(r, 1, at, PIECE_MAX, record_sink, record, &got);
        total = r->total;
        r->total = was_total;
        r->prefix = was_prefix;
        at += got;
        if (!err_is(e) && got == 0)
            e = err_make(ERR_STORE_DAMAGED);
    }
    return e;
}

static struct err reencoded_send(struct reader *r)
{
    struct arena arena;
    struct buf record = BUF_INIT(READER_ARENA);
    struct summary_view view;
    struct reencode_plan plan;
    arena_init(&arena, READER_ARENA);
    struct err e = summary_fetch(r, &record);
    if (!err_is(e))
        e = summary_parse(buf_str(&record), &arena, &view);
    if (!err_is(e))
        e = reencode_plan(&view, &arena, &plan);
    if (!err_is(e))
        e = range_fetch(r, 0, r->prefix, plain_sink, r);
    for (uint32_t i = 0; !err_is(e) && !r->stopped && i < plan.count; i++)
        e = segment_send(r, &plan.segments[i]);
    arena_done(&arena);
    buf_done(&record);
    return e;
}

/* --- The whole of it --- */

static struct err nothing_sink(void *arg, struct str piece)
{
    (void)arg;
    (void)piece;
    return err_none();
}

/* The row's size is that of the message as served: where it differs from what is stored, parts of
 * it are binary. */
static struct err message_send(struct reader *r)
{
    uint64_t got;
    struct err e = piece_fetch(r, 0, 0, 0, nothing_sink, r, &got);
    if (err_is(e))
        return e;
    return r->total == r->row->size ? range_fetch(r, 0, r->total, plain_sink, r)
                                    : reencoded_send(r);
}

struct err reader_send(struct pop3_session *s, const struct pop3_row *row, uint64_t lines,
                       struct str before)
{
    struct reader r = {.s = s,
                       .row = row,
                       .before = before,
                       .lines_left = lines,
                       .at_break = 2,
                       .line_is_empty = true};
    struct err e = message_send(&r);
    if (!err_is(e))
        end(&r);
    else if (r.begun)
        pop3_cut(s, "read-failed");
    return r.begun ? err_none() : e;
}
