/*
 * Why in slabs, and not copied out of them: the copy would cost as much as all that is saved for a
 * message of some size. Why the session waits for the answer: the first of these messages is the
 * one its client waits for.
 *
 * The timer is set once for many commands: when it is due it looks when the last one was.
 */
#include "edge/pop3/ahead.h"

#include "base/must.h"
#include "edge/slabs.h"

struct ahead_message {
    uint32_t row; /* place in the session's rows */
    uint32_t octets;
};

struct ahead {
    struct pop3_session *s;
    struct timer timer;
    int64_t used;        /* mono: by the last RETR in order */
    struct slabs *slabs; /* the pool that the slabs below are of */
    uint32_t slab[AHEAD_SLABS];
    uint32_t slab_count; /* 0: A1 */
    uint32_t at;         /* octet in the slabs where message `next` begins */
    struct ahead_message message[AHEAD_MOST];
    uint32_t next, count;
    bool asking; /* A2 */
};

/* A3 -> A1 */
static void drop(struct ahead *ahead)
{
    for (uint32_t i = 0; i < ahead->slab_count; i++)
        slabs_give(ahead->slabs, ahead->slab[i]);
    ahead->slab_count = ahead->count = ahead->next = ahead->at = 0;
}

void ahead_done(struct pop3_session *s)
{
    struct ahead *ahead = s->ahead;
    if (!ahead)
        return;
    must(!ahead->asking);
    drop(ahead);
    timer_clear(s->base.edge->loop, &ahead->timer);
    s->ahead = NULL;
    free(ahead);
}

static void kept_enough(struct timer *timer)
{
    struct ahead *ahead = timer->arg;
    struct loop *loop = ahead->s->base.edge->loop;
    if (ahead->asking)
        ahead->used = loop->now;
    if (loop->now - ahead->used < AHEAD_KEEP) {
        timer_set(loop, timer, ahead->used + AHEAD_KEEP);
        return;
    }
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

/* --- Asking --- */

/* As many slabs as may be had, and the messages from `row` on that fit in them. */
static void choose(struct ahead *ahead, uint32_t row, uint32_t most)
{
    const struct pop3_session *s = ahead->s;
    uint32_t share = slabs_left(ahead->slabs) / AHEAD_SHARE;
    uint64_t room = (uint64_t)(share < AHEAD_SLABS ? share : AHEAD_SLABS) * SLAB_SIZE, octets = 0;
    for (; row < s->row_count && ahead->count < most; row++) {
        if (s->rows[row].deleted)
            continue;
        if (s->rows[row].size > AHEAD_MESSAGE_MAX || s->rows[row].size > room - octets)
            break;
        octets += s->rows[row].size;
        ahead->message[ahead->count++].row = row;
    }
    while (ahead->slab_count < (octets + SLAB_SIZE - 1) / SLAB_SIZE &&
           slabs_take(ahead->slabs, &ahead->slab[ahead->slab_count]))
        ahead->slab_count++;
}

/* What core put into the slabs; false: that cannot be. */
static bool take(struct ahead *ahead, const struct msg_fetched_ahead *fetched)
{
    uint64_t octets = 0;
    if (fetched->messages_count > ahead->count)
        return false;
    ahead->count = (uint32_t)fetched->messages_count;
    for (uint32_t i = 0; i < ahead->count; i++)
        octets += ahead->message[i].octets = fetched->messages[i].octets;
    return ahead->count > 0 && octets <= (uint64_t)ahead->slab_count * SLAB_SIZE;
}

/* May yield. */
static struct err ask(struct ahead *ahead, struct arena *arena, struct msg *answer_r)
{
    struct pop3_session *s = ahead->s;
    struct msg_slab slabs[AHEAD_SLABS];
    struct msg_uid uids[AHEAD_MOST];
    for (uint32_t i = 0; i < ahead->slab_count; i++)
        slabs[i] = (struct msg_slab){.index = ahead->slab[i], .length = SLAB_SIZE};
    for (uint32_t i = 0; i < ahead->count; i++)
        uids[i].uid = s->rows[ahead->message[i].row].uid;
    struct msg question = {.kind = MSG_fetch_ahead,
                           .fetch_ahead = {.handle = s->handle,
                                           .uids = uids,
                                           .uids_count = ahead->count,
                                           .slabs = slabs,
                                           .slabs_count = ahead->slab_count}};
    return pop3_ask(s, &question, arena, answer_r);
}

/* May yield. A1 -> A2 -> A3, or A1 again. */
static void read_ahead(struct ahead *ahead, uint32_t row, uint32_t most)
{
    struct edge *edge = ahead->s->base.edge;
    struct msg answer;
    ahead->slabs = edge->slabs;
    if (!ahead->slabs)
        return;
    choose(ahead, row, most);
    struct arena *arena = ahead->slab_count ? edge_scratch_take(edge) : NULL;
    ahead->asking = true; /* A2 */
    bool held = arena && !err_is(ask(ahead, arena, &answer)) && take(ahead, &answer.fetched_ahead);
    ahead->asking = false;
    if (arena)
        edge_scratch_give(edge, arena);
    if (!held)
        drop(ahead);
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
    if (!ahead || ahead->next < ahead->count)
        return;
    uint32_t most = s->ahead_most ? 2u * s->ahead_most : AHEAD_FIRST;
    s->ahead_most = (uint8_t)(most < AHEAD_MOST ? most : AHEAD_MOST);
    read_ahead(ahead, number - 1, s->ahead_most);
    if (ahead->count == 0)
        s->retrieved = 0; /* not again with the next one */
}

/* --- Giving --- */

static void pieces_give(const struct ahead *ahead, uint32_t at, uint32_t octets,
                        void (*sink)(void *arg, struct str piece), void *arg)
{
    while (octets) {
        struct str slab = str_make(slabs_at(ahead->slabs, ahead->slab[at / SLAB_SIZE]), SLAB_SIZE);
        struct str piece = str_head(str_from_index(slab, at % SLAB_SIZE), octets);
        sink(arg, piece);
        at += (uint32_t)piece.n;
        octets -= (uint32_t)piece.n;
    }
}

bool ahead_give(struct pop3_session *s, const struct pop3_row *row,
                void (*sink)(void *arg, struct str piece), void *arg)
{
    struct ahead *ahead = s->ahead;
    bool given = false;
    if (!ahead)
        return false;
    while (ahead->next < ahead->count && !given) {
        const struct ahead_message *message = &ahead->message[ahead->next++];
        given = &s->rows[message->row] == row;
        if (given)
            pieces_give(ahead, ahead->at, message->octets, sink, arg);
        ahead->at += message->octets;
    }
    if (ahead->next == ahead->count)
        drop(ahead);
    return given;
}
