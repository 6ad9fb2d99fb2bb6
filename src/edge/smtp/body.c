/*
 * One pass: each run of octets goes through the digest, the summary and into shared memory while it
 * is still in the cache. Room is made before octets are looked at (smtp_body_room may yield), so
 * that nothing yields between reading from the stream's buffer and being done with it.
 */
#include "edge/smtp/body.h"

enum {
    PARKED_STEP = 64 /* octets that parked memory grows by at least */
};

void smtp_body_open(struct smtp_body *body, struct smtp_parking *parking)
{
    body->parking = parking;
    arena_init(&body->arena, SUMMARY_ARENA_MAX);
    buf_init(&body->record, (size_t)SMTP_SUMMARY_SLABS * SLAB_SIZE);
}

void smtp_body_close(struct smtp_body *body)
{
    arena_done(&body->arena);
    buf_done(&body->record);
}

/* --- Slabs ----------------------------------------------------------------------------------- */

void smtp_slabs_give(struct smtp_slab_list *list)
{
    while (list->count > 0)
        slabs_give(list->pool, list->at[--list->count].index);
    list->pool = NULL;
}

static void list_add(struct smtp_slab_list *list, struct slabs *pool, uint32_t index)
{
    must(list->count < SMTP_SUMMARY_SLABS && (!list->pool || list->pool == pool));
    list->pool = pool;
    list->at[list->count++] = (struct msg_slab){.index = index};
}

static size_t slabs_for(size_t octets)
{
    return (octets + SLAB_SIZE - 1) / SLAB_SIZE;
}

/* May yield. As many as each wants, at once, added to the lists; none where there is an error. */
static struct err slabs_for_both(struct edge *edge, struct smtp_slab_list *one, size_t of_one,
                                 struct smtp_slab_list *two, size_t of_two)
{
    uint32_t indexes[SMTP_BODY_SLABS + SMTP_SUMMARY_SLABS];
    must(of_one <= SMTP_BODY_SLABS && of_two <= SMTP_SUMMARY_SLABS);
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
    if (err_is(e) || of_one + of_two == 0)
        return e;
    struct slabs *pool = edge->slabs;
    e = slabs_wait_all(pool, of_one + of_two, edge->loop->now + SMTP_SLAB_WAIT, indexes);
    for (size_t i = 0; !err_is(e) && i < of_one + of_two; i++)
        list_add(i < of_one ? one : two, pool, indexes[i]);
    return e;
}

/* False: so many are not free now. */
static bool slabs_now(struct edge *edge, struct smtp_slab_list *list, size_t count)
{
    uint32_t index;
    if (!edge->core_up)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!slabs_take(edge->slabs, &index)) {
            smtp_slabs_give(list);
            return false;
        }
        list_add(list, edge->slabs, index);
    }
    return true;
}

static void slab_copy(struct smtp_slab_list *list, size_t i, struct str bytes)
{
    struct msg_slab *slab = &list->at[i];
    must(bytes.n <= SLAB_SIZE - slab->length);
    memcpy(slabs_at(list->pool, slab->index) + slab->length, bytes.p, bytes.n);
    slab->length += (uint32_t)bytes.n;
}

/* Into as many empty slabs as it fills. */
static void slabs_fill(struct smtp_slab_list *list, struct str octets)
{
    for (size_t i = 0; i < list->count; i++) {
        slab_copy(list, i, str_head(octets, SLAB_SIZE));
        octets = str_from_index(octets, SLAB_SIZE);
    }
    must(octets.n == 0);
}

static struct str slab_octets(const struct smtp_slab_list *list, size_t i)
{
    return str_make(slabs_at(list->pool, list->at[i].index), list->at[i].length);
}

struct err smtp_slabs_renew(struct edge *edge, struct smtp_slab_list *list)
{
    struct smtp_slab_list fresh = {.pool = NULL};
    struct err e = slabs_for_both(edge, &fresh, list->count, NULL, 0);
    if (err_is(e))
        return e;
    for (size_t i = 0; i < list->count; i++)
        slab_copy(&fresh, i, slab_octets(list, i));
    smtp_slabs_give(list);
    *list = fresh;
    return err_none();
}

/* --- Parked ---------------------------------------------------------------------------------- */

static size_t octets_held(const struct smtp_body *body)
{
    size_t n = body->parked.n;
    for (size_t i = 0; i < body->slabs.count; i++)
        n += body->slabs.at[i].length;
    return n;
}

uint64_t smtp_body_rate(const struct smtp_body *body, int64_t now)
{
    uint64_t milliseconds = (uint64_t)(now - body->since) / (NS_PER_SECOND / 1000) + 1;
    return body->raw * 1000000 / milliseconds;
}

/* In memory of its own for this many octets, which are no fewer than it has. */
static struct err park(struct smtp_body *body, size_t room)
{
    uint64_t rate = smtp_body_rate(body, body->edge->loop->now);
    struct err e = smtp_parking_resize(body->parking, &body->parked, room > 0 ? room : 1, rate);
    if (err_is(e))
        return e;
    for (size_t i = 0; i < body->slabs.count; i++)
        smtp_parked_put(&body->parked, slab_octets(&body->slabs, i));
    smtp_slabs_give(&body->slabs);
    return err_none();
}

struct err smtp_body_rest(struct smtp_body *body)
{
    bool keeps = !body->begun || !body->slabs.pool || !slabs_short(body->slabs.pool);
    return keeps ? err_none() : park(body, octets_held(body));
}

/* Grows by halves, for a drip must not cost a copy of what is there; where memory is short, by what
 * is wanted. */
static struct err park_more(struct smtp_body *body, size_t wanted)
{
    size_t held = octets_held(body), most = SMTP_PARKED_MAX - held;
    size_t spare = held / 2 + PARKED_STEP;
    if (body->reader.normalise)
        wanted = wanted < most ? 2 * wanted : most;
    if (wanted < spare && held + spare <= smtp_parking_left(body->parking, &body->parked))
        wanted = spare;
    return park(body, held + (wanted < most ? wanted : most));
}

/* May yield. */
static struct err unpark(struct smtp_body *body, struct smtp_slab_list *also, size_t count)
{
    struct smtp_slab_list *list = &body->slabs;
    struct err e = slabs_for_both(body->edge, list, slabs_for(body->parked.n), also, count);
    if (err_is(e))
        return e;
    if (body->parked.p)
        slabs_fill(list, str_make(body->parked.p, body->parked.n));
    smtp_parked_free(body->parking, &body->parked);
    return err_none();
}

struct err smtp_body_settle(struct smtp_body *body, struct str record, struct smtp_slab_list *list)
{
    if (record.n > (size_t)SMTP_SUMMARY_SLABS * SLAB_SIZE)
        return err_make(ERR_HEADER_TOO_LARGE);
    struct err e = err_none();
    size_t count = slabs_for(record.n);
    if (body->parked.p || !slabs_now(body->edge, list, count)) {
        /* Two who each hold what the other waits for would wait in vain. */
        if (body->slabs.count > 0)
            (void)park(body, octets_held(body));
        e = unpark(body, list, count);
    }
    if (!err_is(e))
        slabs_fill(list, record);
    return e;
}

/* --- A message ------------------------------------------------------------------------------- */

void smtp_body_begin(struct smtp_body *body, struct edge *edge, const struct conf *conf,
                     bool chunked, bool binary, bool normalise)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    limits.fields = (uint32_t)conf->smtp.header_fields;
    limits.header_bytes = (uint32_t)conf->smtp.header_size;
    body->edge = edge;
    body->begun = true;
    body->chunked = chunked;
    body->binary = binary;
    body->limit = conf->smtp.message_size;
    body->size = body->raw = 0;
    body->since = edge->loop->now;
    memset(body->last, 0, sizeof(body->last));
    body->refused = err_none();
    body->upload = 0;
    body->submitted = NULL;
    body->is_signed = false;
    body->head = NULL;
    data_init(&body->reader, !chunked, normalise);
    sha256_init(&body->digest);
    summary_init(&body->summary, &body->arena, &limits);
}

void smtp_body_submit(struct smtp_body *body, struct smtp_submitted *submitted)
{
    body->submitted = submitted;
}

void smtp_body_sign(struct smtp_body *body)
{
    body->is_signed = true;
    dkim_hash_begin(&body->signed_hash);
}

void smtp_body_look(struct smtp_body *body, struct buf *head)
{
    body->head = head;
}

static void upload_drop(struct smtp_body *body)
{
    struct msg msg = {.kind = MSG_upload_drop, .upload_drop = {.upload = body->upload}};
    if (body->upload && body->upload_since == body->edge->core_since)
        edge_tell(body->edge, &msg);
    body->upload = 0;
}

void smtp_body_end(struct smtp_body *body)
{
    if (!body->begun)
        return;
    smtp_slabs_give(&body->slabs);
    smtp_parked_free(body->parking, &body->parked);
    upload_drop(body);
    smtp_submitted_done(body->submitted);
    body->submitted = NULL;
    arena_reset(&body->arena);
    if (body->record.cap > SLAB_SIZE)
        buf_done(&body->record);
    body->begun = false;
}

void smtp_body_refuse(struct smtp_body *body, struct err why)
{
    if (err_is(body->refused))
        return;
    body->refused = why;
    smtp_slabs_give(&body->slabs);
    smtp_parked_free(body->parking, &body->parked);
    upload_drop(body);
    smtp_submitted_done(body->submitted);
}

/* May yield: what there is goes to core, which has it when it answers. */
static struct err upload_flush(struct smtp_body *body)
{
    struct edge *edge = body->edge;
    struct msg open = {.kind = MSG_upload_open}, data = {.kind = MSG_upload_data}, answer;
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
    if (!err_is(e) && body->parked.p)
        e = unpark(body, NULL, 0);
    if (err_is(e))
        return e;
    /* An earlier core took the first part along; or it holds the slabs no more. */
    if ((body->upload && body->upload_since != edge->core_since) || body->slabs.pool != edge->slabs)
        return err_make(ERR_TRY_LATER);
    if (!body->upload) {
        body->upload = ++edge->uploads;
        body->upload_since = edge->core_since;
        open.upload_open.upload = body->upload;
        edge_tell(edge, &open);
    }
    data.upload_data.upload = body->upload;
    data.upload_data.slabs = body->slabs.at;
    data.upload_data.slabs_count = body->slabs.count;
    e = edge_ask(edge, &data, &body->arena, &answer);
    if (!err_is(e) && body->upload_since != edge->core_since)
        e = err_make(ERR_BUS_BROKEN);
    if (!err_is(e) && answer.kind == MSG_upload_taken)
        e = err_make(answer.upload_taken.error);
    smtp_slabs_give(&body->slabs);
    return e;
}

/* May yield. With core is then all of it, also where room was made and nothing came. */
static struct err upload_finish(struct smtp_body *body)
{
    if (octets_held(body) > 0)
        return upload_flush(body);
    smtp_slabs_give(&body->slabs);
    return err_none();
}

static size_t room_left(const struct smtp_body *body)
{
    const struct smtp_slab_list *list = &body->slabs;
    size_t left = body->parked.room - body->parked.n;
    if (list->count > 0)
        left = SLAB_SIZE - list->at[list->count - 1].length;
    /* A bare CR or LF may become two octets. */
    return body->reader.normalise ? left / 2 : left;
}

static bool is_full(const struct smtp_body *body)
{
    bool most = body->slabs.count == SMTP_BODY_SLABS || body->parked.room == SMTP_PARKED_MAX;
    return most && room_left(body) == 0;
}

/* May yield. A slab, or where none is free: memory of its own. */
static struct err grow(struct smtp_body *body, size_t wanted)
{
    struct err e = err_none();
    if (body->parked.p)
        return park_more(body, wanted);
    if (!body->edge->core_up)
        e = edge_core_wait(body->edge, body->edge->loop->now + EDGE_CORE_WAIT);
    uint32_t index;
    bool stale = body->slabs.pool && body->slabs.pool != body->edge->slabs;
    if (err_is(e) || stale || !slabs_take(body->edge->slabs, &index))
        return err_is(e) ? e : park_more(body, wanted);
    list_add(&body->slabs, body->edge->slabs, index);
    return err_none();
}

/* May yield. */
static struct err make_room(struct smtp_body *body, size_t wanted)
{
    struct err e = err_none();
    bool stale = body->slabs.pool && body->slabs.pool != body->edge->slabs;
    if (stale)
        e = smtp_slabs_renew(body->edge, &body->slabs);
    if (!err_is(e) && is_full(body))
        e = upload_flush(body);
    if (!err_is(e) && room_left(body) == 0)
        e = grow(body, wanted);
    return e;
}

static bool is_held(const struct smtp_body *body)
{
    return body->submitted && !body->submitted->whole;
}

size_t smtp_body_room(struct smtp_body *body, size_t wanted)
{
    if (is_held(body) && !err_is(body->refused))
        return SLAB_SIZE;
    if (!err_is(body->refused) && room_left(body) == 0) {
        struct err e = make_room(body, wanted);
        if (err_is(e))
            smtp_body_refuse(body, e);
    }
    return err_is(body->refused) ? SIZE_MAX : room_left(body);
}

static void last_keep(struct smtp_body *body, struct str run)
{
    if (run.n == 0)
        return;
    body->last[0] = run.n > 1 ? run.p[run.n - 2] : body->last[1];
    body->last[1] = run.p[run.n - 1];
}

bool smtp_body_ends_line(const struct smtp_body *body)
{
    return body->size == 0 || str_eq(str_make(body->last, sizeof(body->last)), STR("\r\n"));
}

/* The summary has seen it, and knows where the header ends. */
static void hash_for_signature(struct smtp_body *body, struct str run)
{
    uint64_t header = body->summary.header_length, before = body->size - run.n;
    if (header && header <= body->size)
        dkim_hash_update(&body->signed_hash,
                         str_from_index(run, header > before ? (size_t)(header - before) : 0));
}

/* There is room for them. */
static void keep(struct smtp_body *body, struct str run)
{
    body->size += run.n;
    last_keep(body, run);
    if (err_is(body->refused))
        return;
    if (body->size > body->limit) {
        smtp_body_refuse(body, err_make(ERR_MESSAGE_TOO_LARGE));
        return;
    }
    struct err e = summary_feed(&body->summary, run);
    if (err_is(e)) {
        smtp_body_refuse(body, e);
        return;
    }
    if (body->is_signed)
        hash_for_signature(body, run);
    if (body->head)
        buf_put(body->head, str_head(run, body->head->max - body->head->n));
    if (body->parked.p)
        smtp_parked_put(&body->parked, run);
    else
        slab_copy(&body->slabs, body->slabs.count - 1, run);
}

/* The held header is put right; the limit moves as it grows or shrinks. */
static struct err put_right(struct smtp_body *body, struct str behind)
{
    struct smtp_submitted *submitted = body->submitted;
    struct str header = str_make(body->parked.p, body->parked.n);
    struct err e = smtp_submitted_put_right(submitted, header, behind);
    if (err_is(e))
        return e;
    body->limit = body->limit - header.n + submitted->header.n;
    smtp_parked_free(body->parking, &body->parked);
    return err_none();
}

static struct err hold(struct smtp_body *body, struct str run)
{
    bool ended;
    struct str header = str_head(run, submission_scan(&body->submitted->scan, run, &ended));
    size_t held = body->parked.n + header.n;
    if (held > body->limit)
        return err_make(ERR_MESSAGE_TOO_LARGE);
    if (held > SMTP_PARKED_MAX || held > body->submitted->facts.most)
        return err_make(ERR_HEADER_TOO_LARGE);
    struct err e = err_none();
    if (held > body->parked.room)
        e = park_more(body, header.n);
    if (err_is(e))
        return e;
    smtp_parked_put(&body->parked, header);
    return ended ? put_right(body, str_from_index(run, header.n)) : err_none();
}

static void take(struct smtp_body *body, struct str run)
{
    struct smtp_submitted *submitted = body->submitted;
    if (!err_is(body->refused))
        sha256_feed(&body->digest, run);
    if (!submitted || submitted->passed || err_is(body->refused)) {
        keep(body, run);
        return;
    }
    struct err e = submitted->whole ? smtp_submitted_more(submitted, run) : hold(body, run);
    if (err_is(e))
        smtp_body_refuse(body, e);
}

void smtp_body_pass(struct smtp_body *body)
{
    struct smtp_submitted *submitted = body->submitted;
    if (!submitted || !submitted->whole || submitted->passed)
        return;
    while (!err_is(body->refused)) {
        size_t room = smtp_body_room(body, SLAB_SIZE);
        struct str next = smtp_submitted_next(submitted, room);
        if (next.n == 0)
            break;
        keep(body, next);
    }
    submitted->passed = true;
    smtp_submitted_done(submitted);
}

enum data_found smtp_body_feed(struct smtp_body *body, struct str *input)
{
    size_t before = input->n;
    enum data_found found;
    struct str run;
    if (body->binary) {
        take(body, *input);
        *input = str_from_index(*input, input->n);
        found = DATA_MORE;
    } else {
        while ((found = data_next(&body->reader, input, &run)) == DATA_RUN)
            take(body, run);
    }
    body->raw += before - input->n;
    return found;
}

/* May yield. A CR as the last octet of the last chunk. */
static void finish_chunks(struct smtp_body *body)
{
    struct str run;
    enum data_found found = data_finish(&body->reader, &run);
    if (found == DATA_BARE)
        smtp_body_refuse(body, err_make(ERR_BARE_NEWLINE));
    if (found == DATA_RUN && smtp_body_room(body, run.n) > 0)
        take(body, run);
}

/* May yield. A message without a body ends while its header is held. */
static void finish_header(struct smtp_body *body)
{
    struct err e = err_none();
    if (is_held(body) && !err_is(body->refused))
        e = put_right(body, str_null());
    if (err_is(e))
        smtp_body_refuse(body, e);
    smtp_body_pass(body);
}

void smtp_body_finish(struct smtp_body *body, uint64_t hops)
{
    if (body->chunked && !body->binary)
        finish_chunks(body);
    finish_header(body);
    if (!body->binary && body->reader.nul)
        smtp_body_refuse(body, err_make(ERR_MESSAGE_HAS_NUL));
    struct err e = err_is(body->refused) ? body->refused : summary_end(&body->summary);
    if (!err_is(e) && body->summary.hops > hops)
        e = err_make(ERR_MAIL_LOOP);
    if (!err_is(e) && body->upload)
        e = upload_finish(body);
    if (err_is(e))
        smtp_body_refuse(body, e);
}
