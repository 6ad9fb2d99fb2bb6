/*
 * Why an end is kept until core says that it is durable: a link takes what is sent into a socket,
 * and a core that dies reads no more of it. What is kept goes to the next core as a whole, behind
 * hello. An ordinary message whose client went on is not kept: a core that does not know it does
 * what is right.
 */
#include "edge/edge.h"

/* An end that waits for core to keep it. */
struct edge_ended {
    TAILQ_ENTRY(edge_ended) link;
    struct edge_try try;
    int64_t at; /* mono */
};

static void ended_forget(struct edge *edge, struct edge_ended *ended)
{
    TAILQ_REMOVE(&edge->tries_ended, ended, link);
    edge->tries_ended_count--;
    free(ended);
}

/* Without memory core is told once, and that is all. */
static void ended_keep(struct edge *edge, const struct edge_try *try)
{
    if (edge->tries_ended_count == EDGE_TRIES_KEPT)
        ended_forget(edge, TAILQ_FIRST(&edge->tries_ended));
    struct edge_ended *ended = malloc(sizeof *ended);
    if (!ended)
        return;
    *ended = (struct edge_ended){.try = *try, .at = edge->loop->now};
    TAILQ_INSERT_TAIL(&edge->tries_ended, ended, link);
    edge->tries_ended_count++;
}

void edge_tries_close(struct edge *edge)
{
    while (!TAILQ_EMPTY(&edge->tries_ended))
        ended_forget(edge, TAILQ_FIRST(&edge->tries_ended));
}

/* --- To core --------------------------------------------------------------------------------- */

/* `tries` in the making. */
struct telling {
    struct edge *edge;
    size_t count;
    struct msg_try_end tries[EDGE_TRIES_MOST];
};

static void telling_send(struct telling *telling)
{
    struct msg msg = {.kind = MSG_tries,
                      .tries = {.tries = telling->tries, .tries_count = telling->count}};
    if (telling->count > 0)
        (void)link_send(telling->edge->core, &msg);
    telling->count = 0;
}

static void telling_add(struct telling *telling, const struct edge_try *try)
{
    if (telling->count == EDGE_TRIES_MOST)
        telling_send(telling);
    telling->tries[telling->count++] =
        (struct msg_try_end){.token = str_make(try->token, sizeof try->token),
                             .message = try->message,
                             .end = (uint8_t)try->end};
}

void edge_tries_tell(struct edge *edge)
{
    const struct edge_try *open;
    struct edge_ended *ended = TAILQ_FIRST(&edge->tries_ended), *next;
    int64_t oldest = world_mono(edge->world) - edge->conf->smtp.resent_window;
    struct telling *telling = malloc(sizeof *telling);
    if (!telling)
        return;
    telling->edge = edge;
    telling->count = 0;
    for (; ended; ended = next) {
        next = TAILQ_NEXT(ended, link);
        if (ended->at < oldest)
            ended_forget(edge, ended);
        else
            telling_add(telling, &ended->try);
    }
    TAILQ_FOREACH (open, &edge->tries_open, link)
        telling_add(telling, open);
    telling_send(telling);
    free(telling);
}

void edge_tries_kept(struct edge *edge, const struct msg_tries_kept *kept)
{
    struct edge_ended *ended;
    for (size_t i = 0; i < kept->tries_count; i++) {
        /* Core keeps them in the order they were said: it is the first. */
        TAILQ_FOREACH (ended, &edge->tries_ended, link)
            if (str_eq(kept->tries[i].token, str_make(ended->try.token, sizeof ended->try.token)))
                break;
        if (ended)
            ended_forget(edge, ended);
    }
}

/* --- What sessions say ----------------------------------------------------------------------- */

void edge_try_open(struct edge *edge, struct edge_try *try)
{
    must(try->message != 0);
    try->end = TRY_OPEN;
    TAILQ_INSERT_TAIL(&edge->tries_open, try, link);
}

/* Core knows it before the client has the reply to what it went on with: if we die in between, the
 * same bytes once more are another message. */
static void take_place(struct edge *edge)
{
    if (edge->core_up)
        link_take_place(edge->core);
}

static void try_over(struct edge *edge, struct edge_try *try, enum try_end end)
{
    try->end = end;
    ended_keep(edge, try);
    take_place(edge);
    struct msg_try_end said = {.token = str_make(try->token, sizeof try->token),
                               .message = try->message,
                               .end = (uint8_t)end};
    struct msg msg = {.kind = MSG_tries, .tries = {.tries = &said, .tries_count = 1}};
    if (edge->core)
        (void)link_send(edge->core, &msg);
}

static void seen_tell(struct edge *edge)
{
    struct msg msg = {.kind = MSG_seen,
                      .seen = {.messages = edge->seen, .messages_count = edge->seen_count}};
    if (edge->seen_count > 0)
        edge_tell(edge, &msg);
    edge->seen_count = 0;
}

static void seen_flush(struct task *task)
{
    seen_tell(task->arg);
}

static void seen(struct edge *edge, uint64_t message)
{
    if (edge->seen_count == EDGE_TRIES_MOST)
        seen_tell(edge);
    edge->seen[edge->seen_count++] = (struct msg_message_name){.message = message};
    take_place(edge);
    edge->seen_flush.run = seen_flush;
    edge->seen_flush.arg = edge;
    loop_soon(edge->loop, &edge->seen_flush);
}

void edge_try_seen(struct edge *edge, struct edge_try *try)
{
    TAILQ_REMOVE(&edge->tries_open, try, link);
    if (try->repeated || !edge->core_up)
        try_over(edge, try, TRY_SEEN);
    else
        seen(edge, try->message);
    try->message = 0;
}

void edge_try_unseen(struct edge *edge, struct edge_try *try)
{
    TAILQ_REMOVE(&edge->tries_open, try, link);
    try_over(edge, try, TRY_UNSEEN);
    try->message = 0;
}
