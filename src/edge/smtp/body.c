/*
 * One pass: each run of octets goes through the digest, the summary and into shared memory while it
 * is still in the cache. Room is made before octets are looked at (smtp_body_room may yield), so
 * that nothing yields between reading from the stream's buffer and being done with it.
 */
#include "edge/smtp/body.h"

void smtp_body_open(struct smtp_body *body)
{
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

/* May yield. */
static struct err slab_add(struct edge *edge, struct smtp_slab_list *list)
{
    must(list->count < SMTP_SUMMARY_SLABS);
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
    if (err_is(e))
        return e;
    struct slabs *pool = edge->slabs;
    if (list->pool && list->pool != pool)
        return err_make(ERR_BUS_BROKEN);
    uint32_t index;
    e = slabs_wait(pool, edge->loop->now + SMTP_SLAB_WAIT, &index);
    if (err_is(e))
        return e;
    list->pool = pool;
    list->at[list->count++] = (struct msg_slab){.index = index};
    return err_none();
}

static void slab_copy(struct smtp_slab_list *list, struct str bytes)
{
    struct msg_slab *slab = &list->at[list->count - 1];
    must(bytes.n <= SLAB_SIZE - slab->length);
    memcpy(slabs_at(list->pool, slab->index) + slab->length, bytes.p, bytes.n);
    slab->length += (uint32_t)bytes.n;
}

struct err smtp_slabs_fill(struct edge *edge, struct smtp_slab_list *list, struct str record)
{
    if (record.n > (size_t)SMTP_SUMMARY_SLABS * SLAB_SIZE)
        return err_make(ERR_HEADER_TOO_LARGE);
    while (record.n > 0) {
        struct err e = slab_add(edge, list);
        if (err_is(e))
            return e;
        slab_copy(list, str_head(record, SLAB_SIZE));
        record = str_from_index(record, SLAB_SIZE);
    }
    return err_none();
}

struct err smtp_slabs_renew(struct edge *edge, struct smtp_slab_list *list)
{
    struct smtp_slab_list fresh = {.pool = NULL};
    for (size_t i = 0; i < list->count; i++) {
        struct err e = slab_add(edge, &fresh);
        if (err_is(e)) {
            smtp_slabs_give(&fresh);
            return e;
        }
        slab_copy(&fresh, str_make(slabs_at(list->pool, list->at[i].index), list->at[i].length));
    }
    smtp_slabs_give(list);
    *list = fresh;
    return err_none();
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
    memset(body->last, 0, sizeof(body->last));
    body->refused = err_none();
    body->upload = 0;
    data_init(&body->reader, !chunked, normalise);
    sha256_init(&body->digest);
    summary_init(&body->summary, &body->arena, &limits);
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
    upload_drop(body);
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
    upload_drop(body);
}

/* May yield: what the slabs hold goes to core, which has it when it answers. */
static struct err upload_flush(struct smtp_body *body)
{
    struct edge *edge = body->edge;
    struct msg open = {.kind = MSG_upload_open}, data = {.kind = MSG_upload_data}, answer;
    struct err e = edge_core_wait(edge, edge->loop->now + EDGE_CORE_WAIT);
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

static size_t room_left(const struct smtp_body *body)
{
    const struct smtp_slab_list *list = &body->slabs;
    if (list->count == 0)
        return 0;
    size_t left = SLAB_SIZE - list->at[list->count - 1].length;
    /* A bare CR or LF may become two octets. */
    return body->reader.normalise ? left / 2 : left;
}

/* May yield. */
static struct err make_room(struct smtp_body *body)
{
    struct err e = err_none();
    bool stale = body->slabs.pool && body->slabs.pool != body->edge->slabs;
    if (stale)
        e = smtp_slabs_renew(body->edge, &body->slabs);
    if (!err_is(e) && body->slabs.count == SMTP_BODY_SLABS && room_left(body) == 0)
        e = upload_flush(body);
    if (!err_is(e) && room_left(body) == 0)
        e = slab_add(body->edge, &body->slabs);
    return e;
}

size_t smtp_body_room(struct smtp_body *body)
{
    if (!err_is(body->refused) && room_left(body) == 0) {
        struct err e = make_room(body);
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

static void take(struct smtp_body *body, struct str run)
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
    sha256_feed(&body->digest, run);
    slab_copy(&body->slabs, run);
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
    if (found == DATA_RUN && smtp_body_room(body) > 0)
        take(body, run);
}

void smtp_body_finish(struct smtp_body *body, uint64_t hops)
{
    if (body->chunked && !body->binary)
        finish_chunks(body);
    if (!body->binary && body->reader.nul)
        smtp_body_refuse(body, err_make(ERR_MESSAGE_HAS_NUL));
    struct err e = err_is(body->refused) ? body->refused : summary_end(&body->summary);
    if (!err_is(e) && body->summary.hops > hops)
        e = err_make(ERR_MAIL_LOOP);
    if (!err_is(e) && body->upload && body->slabs.count > 0)
        e = upload_flush(body);
    if (err_is(e))
        smtp_body_refuse(body, e);
}
