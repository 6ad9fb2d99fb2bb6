/*
 * Two fibers, one for each direction: each waits for octets, hands them on, and waits until they
 * are taken, so a side that does not read slows the other one down. A core that dies ends nothing
 * here: the courier brings its job to an end for the next one. A fiber that waits for octets
 * cannot be called off, so each looks once a second whether the other has ended.
 */
#include "edge/smtp/reversed.h"

#include <errno.h>

#define LOOK_EACH NS_PER_SECOND
#define LAST_WORDS (10 * NS_PER_SECOND) /* for a 221, once the courier has said QUIT and gone */

struct reversed {
    struct smtp_session *s;
    struct stream line; /* to the courier */
    int64_t moved;      /* mono: when octets passed last */
    int64_t until;      /* mono: where one side has ended */
    bool answered;      /* the client was the last to say something */
    bool left;          /* the courier has said QUIT and gone */
    struct fiber_start back;
    struct wait back_over;
};

/* What is not awaited is not looked at. */
static void ignore(struct stream *stream)
{
    (void)stream;
}

static bool may_go_on(const struct reversed *r)
{
    const struct smtp_session *s = r->s;
    int64_t now = s->base.edge->loop->now;
    return !s->stopping && now < r->until && !(r->left && r->answered) && !s->base.login.over &&
           now - r->moved < smtp_conf(s)->smtp.command_timeout;
}

/* May yield. False: nothing more passes this way. */
static bool pass(struct reversed *r, struct stream *from, struct stream *to)
{
    struct loop *loop = r->s->base.edge->loop;
    struct str octets = stream_pending(from);
    if (octets.n == 0) {
        int failed = stream_await(from, loop->now + LOOK_EACH);
        return !failed || failed == -ETIMEDOUT;
    }
    stream_put(to, octets);
    stream_take(from, octets.n);
    r->moved = loop->now;
    r->answered = from == &r->s->stream;
    while (may_go_on(r) && to->unsent > 0 && to->seen != STREAM_BROKEN)
        if (stream_flush(to, loop->now + LOOK_EACH))
            break;
    return to->seen != STREAM_BROKEN;
}

/* May yield, until one side has ended or it is not to go on. */
static void pass_all(struct reversed *r, struct stream *from, struct stream *to, int64_t linger)
{
    bool more = true;
    while (more && may_go_on(r))
        more = pass(r, from, to);
    int64_t until = r->s->base.edge->loop->now + linger;
    if (until < r->until)
        r->until = until;
}

static void back_run(void *arg)
{
    struct reversed *r = arg;
    pass_all(r, &r->line, &r->s->stream, LAST_WORDS);
    r->left = true;
    wait_over(&r->back_over);
}

void smtp_reverse(struct smtp_session *s, int line)
{
    struct edge *edge = s->base.edge;
    struct reversed r = {.s = s, .moved = edge->loop->now, .until = INT64_MAX};
    if (stream_init(&r.line, edge->loop, edge->streams, line, ignore, &r) < 0) {
        edge->world->ops->close(edge->world, line);
        smtp_cut(s, "collecting");
        return;
    }
    s->state = SMTP_REVERSED; /* S2 -> S12 */
    stream_pause(&r.line);
    stream_release(&s->stream);
    r.back = (struct fiber_start){.run = back_run, .arg = &r};
    fiber_run(edge->fibers, &r.back);
    pass_all(&r, &s->stream, &r.line, 0);
    wait_for(&r.back_over);
    stream_done(&r.line);
    if (s->stream.seen == STREAM_OPEN)
        smtp_close_after_reply(s, "collected"); /* S12 -> S8 */
    else
        smtp_cut(s, "collected"); /* S12 -> S9 */
}
