/*
 * Why in slabs, and not copied out of them: the copy would cost as much as all that is saved for a
 * message of some size. Why no fiber of its own waits for the answer: the session's does, when it
 * needs it, and mostly it is there then.
 *
 * The timer is set once for many commands: when it is due it looks when the last one was.
 */
#include "edge/pop3/ahead.h"

#include "base/must.h"
#include "role/slabs.h"

struct ahead_message {
    uint32_t row; /* place in the session's rows */
    uint32_t octets;
};

/* Messages of one question, in slabs. */
struct batch {
    struct slabs *pool; /* whose slabs they are */
    uint32_t slab[AHEAD_SLABS];
    uint32_t slab_count;
    uint32_t at; /* octet in the slabs where message `next` begins */
    struct ahead_message message[AHEAD_MOST];
    uint32_t next, count;
};

struct ahead {
    struct pop3_session *s;
    struct timer timer;
    int64_t used; /* mono: by the last RETR in order */
    struct batch held, coming;
    bool asked;   /* A2: for `coming` */
    bool waiting; /* the session's fiber, for the answer */
    bool no_more; /* behind what is held there is nothing to ask for */
    struct link_call call;
    struct msg question, answer;
    struct msg_slab slabs[AHEAD_SLABS];
    struct msg_uid uids[AHEAD_MOST];
    struct arena *arena;
};

static void drop(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->slab_count; i++)
        slabs_give(batch->pool, batch->slab[i]);
    batch->slab_count = batch->count = batch->next = batch->at = 0;
}

/* --- Asking --- */

/* As many slabs as may be had, and the messages from `row` on that fit in them. False: none. */
static bool choose(struct batch *batch, const struct pop3_session *s, uint32_t row, uint32_t most)
{
    batch->pool = s->base.edge->slabs;
    uint32_t share = slabs_left(batch->pool) / AHEAD_SHARE;
    uint64_t room = (uint64_t)(share < AHEAD_SLABS ? share : AHEAD_SLABS) * SLAB_SIZE, octets = 0;
    for (; row < s->row_count && batch->count < most; row++) {
        if (s->rows[row].deleted)
            continue;
        if (s->rows[row].size > AHEAD_MESSAGE_MAX || s->rows[row].size > room - octets)
            break;
        octets += s->rows[row].size;
        batch->message[batch->count++].row = row;
    }
    while (batch->slab_count < (octets + SLAB_SIZE - 1) / SLAB_SIZE &&
           slabs_take(batch->pool, &batch->slab[batch->slab_count]))
        batch->slab_count++;
    return batch->slab_count > 0;
}

static void question_make(struct ahead *ahead)
{
    const struct batch *batch = &ahead->coming;
    for (uint32_t i = 0; i < batch->slab_count; i++)
        ahead->slabs[i] = (struct msg_slab){.index = batch->slab[i], .length = SLAB_SIZE};
    for (uint32_t i = 0; i < batch->count; i++)
        ahead->uids[i].uid = ahead->s->rows[batch->message[i].row].uid;
    ahead->question = (struct msg){.kind = MSG_fetch_ahead,
                                   .fetch_ahead = {.handle = ahead->s->base.login.handle,
                                                   .uids = ahead->uids,
                                                   .uids_count = batch->count,
                                                   .slabs = ahead->slabs,
                                                   .slabs_count = batch->slab_count}};
}

/* -> A2, where there is something to ask for. */
static void ask(struct ahead *ahead, uint32_t row)
{
    struct pop3_session *s = ahead->s;
    struct edge *edge = s->base.edge;
    ahead->no_more = true;
    if (!edge->core_up || edge->core_since != s->base.login.core_since)
        return;
    uint32_t most = s->ahead_most ? 2u * s->ahead_most : AHEAD_FIRST;
    s->ahead_most = (uint8_t)(most < AHEAD_MOST ? most : AHEAD_MOST);
    if (!choose(&ahead->coming, s, row, s->ahead_most) ||
        !(ahead->arena = edge_scratch_take(edge))) {
        drop(&ahead->coming);
        return;
    }
    question_make(ahead);
    ahead->asked = true; /* A2 */
    link_ask_begin(edge->core, &ahead->call, &ahead->question, ahead->arena, &ahead->answer);
}

/* What core put into the slabs; false: nothing, or what cannot be. */
static bool take(struct batch *batch, const struct msg_fetched_ahead *fetched)
{
    uint64_t octets = 0;
    if (fetched->messages_count > batch->count)
        return false;
    batch->count = (uint32_t)fetched->messages_count;
    for (uint32_t i = 0; i < batch->count; i++)
        octets += batch->message[i].octets = fetched->messages[i].octets;
    return batch->count > 0 && octets <= (uint64_t)batch->slab_count * SLAB_SIZE;
}

/* May yield where it is not answered. A2 -> A1: what came takes the place of what was held. */
static void collect(struct ahead *ahead)
{
    ahead->waiting = true;
    struct err e = link_ask_end(&ahead->call);
    ahead->waiting = ahead->asked = ahead->no_more = false;
    drop(&ahead->held);
    if (!err_is(e) && take(&ahead->coming, &ahead->answer.fetched_ahead)) {
        ahead->held = ahead->coming;
        ahead->coming.slab_count = 0; /* they are the other's now */
    }
    drop(&ahead->coming);
    edge_scratch_give(ahead->s->base.edge, ahead->arena);
}

bool ahead_is_asked(const struct pop3_session *s)
{
    return s->ahead && s->ahead->asked;
}

void ahead_wait(struct pop3_session *s)
{
    if (ahead_is_asked(s))
        collect(s->ahead);
}

/* --- The session's side --- */

void ahead_done(struct pop3_session *s)
{
    struct ahead *ahead = s->ahead;
    if (!ahead)
        return;
    must(!ahead->asked);
    drop(&ahead->held);
    timer_clear(s->base.edge->loop, &ahead->timer);
    s->ahead = NULL;
    free(ahead);
}

static void kept_enough(struct timer *timer)
{
    struct ahead *ahead = timer->arg;
    struct loop *loop = ahead->s->base.edge->loop;
    bool answered = !ahead->asked || (link_ask_answered(&ahead->call) && !ahead->waiting);
    if (!answered)
        ahead->used = loop->now;
    if (loop->now - ahead->used < AHEAD_KEEP) {
        timer_set(loop, timer, ahead->used + AHEAD_KEEP);
        return;
    }
    ahead_wait(ahead->s);
    ahead->s->retrieved = 0; /* a slow client begins anew: most would be read in vain */
    ahead_done(ahead->s);
}

static struct ahead *ahead_of(struct pop3_session *s)
{
    struct loop *loop = s->base.edge->loop;
    if (!s->ahead && (s->ahead = calloc(1, sizeof(*s->ahead)))) {
        s->ahead->s = s;
        s->ahead->timer = (struct timer){.run = kept_enough, .arg = s->ahead};
        timer_set(loop, &s->ahead->timer, loop->now + AHEAD_KEEP);
    }
    if (s->ahead)
        s->ahead->used = loop->now;
    return s->ahead;
}

/* May yield. Nothing is held: what was asked for, or else what is asked for now. */
static void refill(struct ahead *ahead, uint32_t row)
{
    if (!ahead->asked)
        ask(ahead, row);
    if (ahead->asked)
        collect(ahead);
    if (ahead->held.count == 0)
        ahead->s->retrieved = 0; /* not again with the next one */
}

void ahead_follow(struct pop3_session *s, uint32_t number)
{
    bool in_order = number == s->retrieved + 1 && s->retrieved > 0;
    s->retrieved = number;
    if (!in_order) {
        s->ahead_most = 0;
        return;
    }
    struct ahead *ahead = ahead_of(s);
    if (!ahead)
        return;
    const struct batch *held = &ahead->held;
    if (held->count == 0)
        refill(ahead, number - 1);
    else if (!ahead->asked && !ahead->no_more && held->next >= held->count / 2)
        ask(ahead, held->message[held->count - 1].row + 1);
}

/* --- Giving --- */

static void pieces_give(const struct batch *batch, uint32_t at, uint32_t octets,
                        void (*sink)(void *arg, struct str piece), void *arg)
{
    while (octets) {
        struct str slab = str_make(slabs_at(batch->pool, batch->slab[at / SLAB_SIZE]), SLAB_SIZE);
        struct str piece = str_head(str_from_index(slab, at % SLAB_SIZE), octets);
        sink(arg, piece);
        at += (uint32_t)piece.n;
        octets -= (uint32_t)piece.n;
    }
}

bool ahead_give(struct pop3_session *s, const struct pop3_row *row,
                void (*sink)(void *arg, struct str piece), void *arg)
{
    bool given = false;
    if (!s->ahead)
        return false;
    struct batch *held = &s->ahead->held;
    while (held->next < held->count && !given) {
        const struct ahead_message *message = &held->message[held->next++];
        given = &s->rows[message->row] == row;
        if (given)
            pieces_give(held, held->at, message->octets, sink, arg);
        held->at += message->octets;
    }
    if (held->next == held->count)
        drop(held);
    return given;
}
