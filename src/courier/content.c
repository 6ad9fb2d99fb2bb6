/*
 * A slab is given back as soon as its octets were taken: slabs are few, and the peer may be slow.
 */
#include "courier/content.h"

struct lent {
    struct slabs *pool;
    uint32_t indexes[CONTENT_SLABS];
    size_t count;
};

void content_begin(struct content *content, struct job *job, enum content_form form,
                   struct downconvert *convert)
{
    *content = (struct content){.job = job, .form = form, .convert = convert};
    buf_init(&content->piece, convert ? 2 * CONTENT_CONVERTED_MAX : CONTENT_PIECE_MAX);
    buf_init(&content->converted, CONTENT_CONVERTED_MAX);
    if (convert)
        downconvert_begin(convert);
    stuffing_init(&content->stuffing, form == CONTENT_DOTS);
}

void content_done(struct content *content)
{
    buf_done(&content->piece);
    buf_done(&content->converted);
}

static void give_back(struct lent *lent)
{
    for (size_t i = 0; i < lent->count; i++)
        slabs_give(lent->pool, lent->indexes[i]);
    lent->count = 0;
}

/* Slabs for what is left, of the pool of the core that is there now. */
static struct err lend(struct content *content, uint64_t octets, int64_t deadline,
                       struct lent *lent_r)
{
    struct courier *courier = content->job->courier;
    size_t count = (size_t)(octets + SLAB_SIZE - 1) / SLAB_SIZE;
    *lent_r = (struct lent){.count = 0};
    struct err e = courier_core_wait(courier, deadline);
    if (err_is(e))
        return e;
    lent_r->pool = courier->slabs;
    e = slabs_wait_all(lent_r->pool, count, deadline, lent_r->indexes);
    lent_r->count = err_is(e) ? 0 : count;
    return e;
}

static struct err ask(struct content *content, struct lent *lent, uint64_t *octets_r)
{
    struct job *job = content->job;
    struct courier *courier = job->courier;
    struct msg_slab slabs[CONTENT_SLABS];
    for (size_t i = 0; i < lent->count; i++)
        slabs[i] = (struct msg_slab){.index = lent->indexes[i], .length = SLAB_SIZE};
    struct msg msg = {.kind = MSG_job_fetch,
                      .job_fetch = {.job = job->order->job,
                                    .offset = content->at,
                                    .slabs = slabs,
                                    .slabs_count = lent->count}};
    struct msg answer;
    if (!courier->core_up || courier->slabs != lent->pool || courier->core->over) {
        /* Its end is told soon, if we let it. */
        fiber_sleep_until(courier->loop, courier->loop->now);
        return err_make(ERR_BUS_BROKEN);
    }
    struct arena none; /* the answer borrows nothing */
    arena_init(&none, 1024);
    struct err e = link_ask(courier->core, &msg, &none, &answer);
    arena_done(&none);
    if (err_is(e))
        return e;
    *octets_r = answer.job_fetched.octets;
    return err_make((enum err_code)answer.job_fetched.error);
}

static struct str converted(struct content *content, struct str octets, bool last)
{
    buf_clear(&content->converted);
    downconvert_feed(content->convert, octets, &content->converted);
    if (last)
        downconvert_end(content->convert, &content->converted);
    content->piece.over |= buf_over(&content->converted);
    return buf_str(&content->converted);
}

static void take(struct content *content, struct str octets, bool last)
{
    if (content->convert)
        octets = converted(content, octets, last);
    struct stuffing *stuffing = &content->stuffing;
    if (content->form == CONTENT_AS_IS)
        buf_put(&content->piece, octets);
    else
        stuffing_feed(stuffing, octets, &content->piece);
    if (last && content->form != CONTENT_AS_IS)
        stuffing_end(stuffing, &content->piece);
}

/* What came, as far as the message reaches. */
static struct err taken(struct content *content, struct lent *lent, uint64_t octets)
{
    uint64_t size = content->job->order->size;
    if (octets == 0 || octets > lent->count * SLAB_SIZE || octets > size - content->at)
        return err_detail(ERR_STORE_DAMAGED, STR("core has other octets than it said"));
    for (size_t i = 0; octets > 0; i++) {
        size_t n = octets < SLAB_SIZE ? (size_t)octets : SLAB_SIZE;
        content->at += n;
        octets -= n;
        take(content, str_make(slabs_at(lent->pool, lent->indexes[i]), n), content->at == size);
    }
    content->ended = content->at == size;
    return buf_over(&content->piece) ? err_make(ERR_NO_MEMORY) : err_none();
}

static struct err fetch(struct content *content, uint64_t until, int64_t deadline)
{
    struct lent lent;
    uint64_t octets = 0;
    struct err e = lend(content, until - content->at, deadline, &lent);
    if (!err_is(e))
        e = ask(content, &lent, &octets);
    if (!err_is(e))
        e = taken(content, &lent, octets);
    give_back(&lent);
    return e;
}

static bool may_ask_again(const struct courier *courier, struct err e, int64_t deadline)
{
    return e.code == ERR_BUS_BROKEN && courier->loop->now < deadline;
}

struct err content_next(struct content *content)
{
    struct courier *courier = content->job->courier;
    int64_t deadline = courier->loop->now + COURIER_CORE_WAIT;
    uint64_t size = content->job->order->size, from = content->at;
    uint64_t most = content->convert ? SLAB_SIZE : CONTENT_PIECE;
    uint64_t until = size - from < most ? size : from + most;
    buf_clear(&content->piece);
    if (size == 0) {
        take(content, STR(""), true);
        content->ended = true;
        return err_none();
    }
    struct err e = err_none();
    while (content->at < until && (!err_is(e) || may_ask_again(courier, e, deadline)))
        e = fetch(content, until, deadline);
    if (e.code == ERR_NOT_FOUND)
        content->job->unknown = true;
    return e;
}
