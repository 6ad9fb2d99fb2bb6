#include "edge/pop3/reader.h"

#include "base/must.h"
#include "edge/pop3/ahead.h"
#include "format/encodings.h"
#include "format/reencode.h"
#include "format/summary.h"
#include "role/slabs.h"

enum {
    PIECE_MAX = READER_SLABS * SLAB_SIZE,
    FETCH_MESSAGE = 0, /* of MSG_fetch */
    FETCH_SUMMARY = 1,
};

struct reader {
    struct pop3_session *s;
    const struct pop3_row *row;
    struct str before;
    bool begun;             /* `before` was sent */
    uint64_t total, prefix; /* of the stored message: prefix and body */
    bool binary;            /* parts of it may be */
    uint64_t lines_left;    /* of the body, or READER_ALL */
    bool in_body;
    bool stopped;       /* enough lines */
    unsigned at_break;  /* how much of CR LF the last octets were: 0, 1 (CR), 2 (CR LF) */
    bool line_is_empty; /* nothing since the last line break but, maybe, a CR */
    struct buf *text;   /* for the encoding of binary parts */
};

/* --- Out --- */

static bool ends_in(struct str text, char c)
{
    return text.n > 0 && text.p[text.n - 1] == c;
}

/* Does `text`, which follows on what was sent, end in a line break? */
static unsigned break_behind(const struct reader *r, struct str text)
{
    if (text.n == 0)
        return r->at_break;
    if (ends_in(text, '\n'))
        return ends_in(str_head(text, text.n - 1), '\r') || (text.n == 1 && r->at_break == 1) ? 2
                                                                                              : 0;
    return ends_in(text, '\r');
}

/* Where the next line begins with a dot, at or behind `from`; text.n: nowhere. */
static size_t dot_find(const struct reader *r, struct str text, size_t from)
{
    if (from == 0 && r->at_break == 2 && str_starts(text, STR(".")))
        return 0;
    for (;;) {
        ssize_t lf = str_find(str_from_index(text, from), STR("\n."));
        if (lf < 0)
            return text.n;
        from += (size_t)lf + 1;
        if (break_behind(r, str_head(text, from)) == 2)
            return from;
    }
}

/* Doubles the dot behind each CR LF. */
static void stuffed_out(struct reader *r, struct str text)
{
    struct stream *out = &r->s->stream;
    size_t sent = 0, dot;
    for (dot = dot_find(r, text, 0); dot < text.n; dot = dot_find(r, text, dot + 1)) {
        stream_put(out, str_head(str_from_index(text, sent), dot - sent));
        stream_put(out, STR("."));
        sent = dot;
    }
    stream_put(out, str_from_index(text, sent));
    r->at_break = break_behind(r, text);
}

/* Counts a line of header or body that ended; false: that was the last one wanted. */
static bool line_counted(struct reader *r)
{
    if (r->in_body)
        return --r->lines_left > 0;
    r->in_body = r->line_is_empty;
    return !r->in_body || r->lines_left > 0;
}

/* How much of `text` is still wanted; stops the reader behind the last line. */
static size_t wanted(struct reader *r, struct str text)
{
    size_t at = 0;
    while (at < text.n && !r->stopped) {
        ssize_t lf = str_index(str_from_index(text, at), '\n');
        size_t end = lf < 0 ? text.n : at + (size_t)lf + 1;
        bool line_ends = lf >= 0 && break_behind(r, str_head(text, end)) == 2;
        struct str line = str_head(str_from_index(text, at), end - at - line_ends);
        bool behind_cr = at == 0 && r->at_break == 1 && line.n > 0;
        if (behind_cr || (line.n > 0 && !str_eq(line, STR("\r"))))
            r->line_is_empty = false;
        if (line_ends) {
            r->stopped = !line_counted(r);
            r->line_is_empty = true;
        }
        at = end;
    }
    return at;
}

static void begin(struct reader *r)
{
    if (!r->begun)
        stream_put(&r->s->stream, r->before);
    r->begun = true;
}

static void piece_out(struct reader *r, struct str text)
{
    begin(r);
    if (r->lines_left != READER_ALL)
        text = str_head(text, r->stopped ? 0 : wanted(r, text));
    stuffed_out(r, text);
}

static void end(struct reader *r)
{
    begin(r);
    if (r->at_break != 2)
        stream_put(&r->s->stream, STR("\r\n"));
    stream_put(&r->s->stream, STR(".\r\n"));
}

/* May yield: until the client has taken most of what was sent. */
static struct err room_make(struct reader *r)
{
    struct pop3_session *s = r->s;
    bool room = s->stream.unsent < STREAM_OUT_SOFT || stream_drain(&s->stream, pop3_deadline(s));
    return room ? err_none() : err_make(ERR_PEER_GONE);
}

/* --- In: octets from core --- */

/* What a piece of a part is given to. It lies in a slab: nothing waits while it is looked at, so
 * that a client that does not read holds none. */
typedef struct err (*piece_sink)(void *arg, struct str piece);

struct slab_row {
    struct slabs *slabs;
    struct msg_slab list[READER_SLABS];
    size_t count;
};

/* Waits for the first one only: who holds some and waits for more could wait for ever. */
static struct err slabs_borrow(struct pop3_session *s, struct slab_row *row, size_t count)
{
    struct edge *edge = s->base.edge;
    uint32_t index;
    *row = (struct slab_row){.slabs = edge->slabs};
    if (!row->slabs)
        return err_make(ERR_BUS_BROKEN);
    struct err e = slabs_wait(row->slabs, edge->loop->now + EDGE_CORE_WAIT, &index);
    if (err_is(e))
        return e;
    do
        row->list[row->count++] = (struct msg_slab){.index = index, .length = SLAB_SIZE};
    while (row->count < count && slabs_take(row->slabs, &index));
    return e;
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
    return octets && !err_is(e) ? err_make(ERR_BUS_BROKEN) : e;
}

static struct err slabs_fill(struct reader *r, const struct slab_row *row, uint8_t part,
                             uint64_t at, struct msg_fetched *fetched_r)
{
    struct msg_slab list[READER_SLABS];
    struct edge *edge = r->s->base.edge;
    struct arena *arena = edge_scratch_take(edge);
    struct msg answer;
    if (!arena)
        return err_make(ERR_NO_MEMORY);
    memcpy(list, row->list, sizeof(list));
    struct msg question = {.kind = MSG_fetch,
                           .fetch = {.handle = r->s->base.login.handle,
                                     .uid = r->row->uid,
                                     .part = part,
                                     .offset = at,
                                     .slabs = list,
                                     .slabs_count = row->count}};
    struct err e = pop3_ask(r->s, &question, arena, &answer);
    if (!err_is(e))
        *fetched_r = answer.fetched;
    edge_scratch_give(edge, arena);
    return err_is(e) ? e : err_make((enum err_code)fetched_r->error);
}

/* May yield. One question: up to `most` octets of a part from `at` on, as many as core gives. */
static struct err piece_fetch(struct reader *r, uint8_t part, uint64_t at, uint64_t most,
                              piece_sink sink, void *arg, struct msg_fetched *fetched_r)
{
    uint64_t count = (most + SLAB_SIZE - 1) / SLAB_SIZE;
    struct slab_row row;
    struct err e = slabs_borrow(r->s, &row, count < READER_SLABS ? (size_t)count : READER_SLABS);
    if (err_is(e))
        return e;
    e = slabs_fill(r, &row, part, at, fetched_r);
    if (part == FETCH_MESSAGE && !err_is(e)) {
        r->total = fetched_r->total;
        r->prefix = fetched_r->prefix;
        r->binary = fetched_r->binary;
    }
    if (fetched_r->octets > most)
        fetched_r->octets = most;
    if (!err_is(e))
        e = slabs_pass(&row, fetched_r->octets, sink, arg);
    slabs_return(&row);
    return e;
}

/* May yield. Octets from..until of the stored message, in order. */
static struct err range_fetch(struct reader *r, uint64_t from, uint64_t until, piece_sink sink,
                              void *arg)
{
    struct err e = room_make(r);
    while (from < until && !err_is(e) && !r->stopped) {
        struct msg_fetched fetched = {.octets = 0};
        e = piece_fetch(r, FETCH_MESSAGE, from, until - from, sink, arg, &fetched);
        if (!err_is(e) && fetched.octets == 0)
            e = err_make(ERR_STORE_DAMAGED);
        from += fetched.octets;
        if (!err_is(e))
            e = room_make(r);
    }
    return e;
}

static struct err plain_sink(void *arg, struct str piece)
{
    piece_out(arg, piece);
    return err_none();
}

/* --- Messages with binary parts --- */

struct encoding {
    struct reader *r;
    struct base64_encode encode;
    struct buf *text;
    bool held; /* a CR LF that is sent only if something follows */
};

/* The CR LF behind the last line belongs to what follows the part. */
static struct err encoded_out(struct encoding *encoding)
{
    struct str text = buf_str(encoding->text);
    if (buf_over(encoding->text))
        return err_make(ERR_NO_MEMORY);
    if (text.n == 0)
        return err_none();
    if (encoding->held)
        piece_out(encoding->r, STR("\r\n"));
    encoding->held = str_ends(text, STR("\r\n"));
    piece_out(encoding->r, str_head(text, text.n - (encoding->held ? 2 : 0)));
    buf_clear(encoding->text);
    return err_none();
}

static struct err base64_sink(void *arg, struct str piece)
{
    struct encoding *encoding = arg;
    base64_encode_feed(&encoding->encode, piece, encoding->text);
    return encoded_out(encoding);
}

static struct err base64_send(struct reader *r, uint64_t from, uint64_t until)
{
    struct encoding encoding = {.r = r, .text = r->text};
    buf_clear(r->text);
    base64_encode_init(&encoding.encode, true);
    struct err e = range_fetch(r, from, until, base64_sink, &encoding);
    if (!err_is(e)) {
        base64_encode_end(&encoding.encode, encoding.text);
        e = encoded_out(&encoding);
    }
    return e;
}

static struct err segment_send(struct reader *r, const struct reencode_segment *segment)
{
    uint64_t from = r->prefix + segment->start, until = from + segment->length;
    switch (segment->kind) {
    case REENCODE_LITERAL:
        piece_out(r, segment->literal);
        return room_make(r);
    case REENCODE_RAW:
        return range_fetch(r, from, until, plain_sink, r);
    case REENCODE_BASE64:
        return base64_send(r, from, until);
    case REENCODE_QUOTED:
        break;
    }
    return err_make(ERR_STORE_DAMAGED);
}

static struct err record_sink(void *arg, struct str piece)
{
    return buf_put(arg, piece) ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err summary_fetch(struct reader *r, struct buf *record)
{
    struct msg_fetched fetched = {.total = 1};
    struct err e = err_none();
    while (record->n < fetched.total && !err_is(e)) {
        e = piece_fetch(r, FETCH_SUMMARY, record->n, PIECE_MAX, record_sink, record, &fetched);
        if (!err_is(e) && fetched.octets == 0)
            e = err_make(ERR_STORE_DAMAGED);
    }
    return e;
}

static struct err reencoded_in(struct reader *r, struct arena *arena)
{
    struct buf record = buf_in(arena, READER_RECORD_MAX);
    struct summary_view view;
    struct reencode_plan plan;
    struct err e = summary_fetch(r, &record);
    if (!err_is(e))
        e = summary_parse(buf_built(&record), arena, &view);
    if (!err_is(e))
        e = reencode_plan(&view, arena, &plan);
    if (!err_is(e))
        e = range_fetch(r, 0, r->prefix, plain_sink, r);
    struct buf text = buf_in(arena, 4 * SLAB_SIZE);
    r->text = &text;
    for (uint32_t i = 0; !err_is(e) && !r->stopped && i < plan.count; i++)
        e = segment_send(r, &plan.segments[i]);
    return e;
}

static struct err reencoded_send(struct reader *r)
{
    struct edge *edge = r->s->base.edge;
    struct arena *arena = edge_scratch_take(edge);
    if (!arena)
        return err_make(ERR_NO_MEMORY);
    struct err e = reencoded_in(r, arena);
    edge_scratch_give(edge, arena);
    return e;
}

/* --- The whole of it --- */

static struct err first_sink(void *arg, struct str piece)
{
    struct reader *r = arg;
    if (!r->binary)
        piece_out(r, piece);
    return err_none();
}

static void held_sink(void *arg, struct str piece)
{
    piece_out(arg, piece);
}

static struct err message_send(struct reader *r)
{
    if (ahead_give(r->s, r->row, held_sink, r))
        return err_none();
    struct msg_fetched first = {.octets = 0};
    struct err e = piece_fetch(r, FETCH_MESSAGE, 0, r->row->size, first_sink, r, &first);
    if (err_is(e))
        return e;
    return r->binary ? reencoded_send(r) : range_fetch(r, first.octets, r->total, plain_sink, r);
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
        pop3_cut(s, e.code == ERR_PEER_GONE ? "not-reading" : "read-failed");
    return r.begun ? err_none() : e;
}
