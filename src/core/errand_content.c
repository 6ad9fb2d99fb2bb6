/*
 * The octets of a job's message, as its courier asks for them.
 */
#include "core/errand.h"

#include "core/core.h"
#include "core/source.h"
#include "store/message_head.h"

enum {
    /* A head with its list of mailboxes, and the body of a small message. */
    FETCH_ARENA = 3 * ENGINE_HEAD_MAX,
};

/* What stands in front: the entry's own fields, and Received. */
static struct err front_make(struct core *core, const struct errand *errand, struct str record,
                             struct arena *arena, struct str *front_r)
{
    struct message_head head;
    struct queue_entry entry = {.fields = STR("")};
    struct err e = message_head_decode(record, arena, &head);
    if (!err_is(e) && errand->has_fields)
        e = queue_read(core->engine, errand->one->message, errand->one->number, arena, &entry);
    if (err_is(e))
        return e;
    struct buf front = buf_in(arena, ENGINE_HEAD_MAX);
    buf_put(&front, entry.fields);
    buf_put(&front, head.received);
    *front_r = buf_built(&front);
    return err_make(front_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

static void front_keep(struct errand *errand, struct str front)
{
    errand->front = malloc(front.n + 1);
    if (!errand->front)
        return;
    if (front.n)
        memcpy(errand->front, front.p, front.n);
    errand->front_octets = front.n;
}

static struct err source_of(struct core *core, struct errand *errand, struct arena *arena,
                            struct source *source)
{
    struct str record;
    uint64_t body_octets;
    *source = (struct source){.engine = core->engine, .blob = errand->blob, .total = errand->total};
    if (errand->front) {
        source->front = str_make(errand->front, errand->front_octets);
        return err_none();
    }
    struct err e = source_blob(source, arena, &record, &body_octets);
    if (!err_is(e))
        e = front_make(core, errand, record, arena, &source->front);
    if (err_is(e))
        return e;
    if (source->front.n + body_octets != errand->total)
        return err_detail(ERR_STORE_DAMAGED, STR("a message is not as long as its entry says"));
    if (!source->body.p && !errand->front)
        front_keep(errand, source->front);
    return err_none();
}

void serve_job_fetch(struct request *request)
{
    const struct msg_job_fetch *asked = &request->msg.job_fetch;
    struct core *core = request->peer->core;
    struct errand *errand = errand_of(request, asked->job);
    struct msg answer = {.kind = MSG_job_fetched};
    struct err e = err_make(ERR_NOT_FOUND);
    if (errand) {
        struct source source;
        struct arena arena;
        errand->holds++;
        arena_init_from(&arena, FETCH_ARENA, &core->spares);
        e = source_of(core, errand, &arena, &source);
        if (!err_is(e))
            e = source_fill(request, &source, asked->slabs, asked->slabs_count, asked->offset,
                            &answer.job_fetched.octets);
        arena_done(&arena);
        errand_release(errand);
    }
    answer.job_fetched.error = (uint16_t)e.code;
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(request->peer, e);
    else if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(core->log, "job_not_read", e);
}
