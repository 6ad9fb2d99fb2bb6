/*
 * Why a question that finds no room is sent by the link and not by the fiber that asks: the fiber
 * would have to look at the link again after waiting, and the link may be gone by then. So a call
 * lives on the asker's stack, the link knows it, and the fiber is woken once, with the result.
 *
 * Why an answer is copied whole and decoded there: the asker's arena outlives the packet, and what
 * was decoded borrows from where it was decoded from. One copy of some hundred octets.
 *
 * A cut is told later, by a task: the mistake may be found deep in a call of the owner's, who must
 * not find its link gone when that call returns.
 */
#include "bus/link.h"

#include <errno.h>

#include "base/must.h"

enum {
    ARENA = 1024 * 1024, /* the largest list a packet can hold, decoded */
};

struct link_packet {
    STAILQ_ENTRY(link_packet) next;
    size_t n;
    char octets[];
};

static int call_order(const struct link_call *a, const struct link_call *b)
{
    return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_INTERNAL(link_calls, link_call, by_number, call_order, __attribute__((unused)) static)

/* --- The end --------------------------------------------------------------------------------- */

static void answered(struct link_call *call, struct err result)
{
    call->result = result;
    wait_over(&call->wait);
}

static void calls_end(struct link *link)
{
    struct err broken = err_detail(ERR_BUS_BROKEN, STR("the link to another role ended"));
    struct link_call *call;
    while ((call = RB_MIN(link_calls, &link->calls))) {
        RB_REMOVE(link_calls, &link->calls, call);
        answered(call, broken);
    }
    while ((call = TAILQ_FIRST(&link->waiting))) {
        TAILQ_REMOVE(&link->waiting, call, by_turn);
        answered(call, broken);
    }
}

static void end(struct task *task)
{
    struct link *link = task->arg;
    must_be(link, LINK_MAGIC);
    calls_end(link);
    link->owner->ended(link, link->why);
}

void link_cut(struct link *link, struct err why)
{
    must_be(link, LINK_MAGIC);
    if (link->over)
        return;
    link->over = true;
    link->why = why;
    watch_want(link->loop, &link->watch, 0);
    loop_soon(link->loop, &link->end);
}

static struct link_packet *queue_take(struct link *link)
{
    struct link_packet *packet = STAILQ_FIRST(&link->queue);
    STAILQ_REMOVE_HEAD(&link->queue, next);
    link->queued -= packet->n;
    return packet;
}

static void packet_free(struct link_packet *packet)
{
    explicit_bzero(packet->octets, packet->n);
    free(packet);
}

static void out_wipe(struct link *link)
{
    if (link->out.n)
        explicit_bzero(link->out.p, link->out.n);
    buf_clear(&link->out);
}

void link_done(struct link *link)
{
    must_be(link, LINK_MAGIC);
    if (link->done)
        *link->done = true;
    link->magic = 0;
    calls_end(link);
    task_cancel(link->loop, &link->flush);
    task_cancel(link->loop, &link->end);
    watch_end(link->loop, &link->watch);
    link->loop->world->ops->close(link->loop->world, link->watch.handle);
    while (!STAILQ_EMPTY(&link->queue))
        packet_free(queue_take(link));
    out_wipe(link);
    buf_done(&link->out);
    arena_done(&link->arena);
    explicit_bzero(link->in, link->in_most); /* no more: pages that nobody touched stay untouched */
    free(link->in);
}

/* --- Sending --------------------------------------------------------------------------------- */

/* What is in the packet being filled goes to the end of the queue. */
static bool out_queue(struct link *link)
{
    if (link->out.n == 0)
        return true;
    struct link_packet *packet = malloc(sizeof(*packet) + link->out.n);
    if (!packet)
        return false;
    packet->n = link->out.n;
    memcpy(packet->octets, link->out.p, packet->n);
    STAILQ_INSERT_TAIL(&link->queue, packet, next);
    link->queued += packet->n;
    out_wipe(link);
    return true;
}

/* The kernel has no memory for a packet: the link is as whole as before. */
static bool is_not_now(ssize_t failed)
{
    return failed == -EAGAIN || failed == -ENOBUFS || failed == -ENOMEM;
}

/* True: gone. False: not now, or never (the link is cut then). */
static bool packet_send(struct link *link, struct str packet, int pass)
{
    struct world *world = link->loop->world;
    ssize_t sent = world->ops->packet_send(world, link->watch.handle, packet, pass);
    if (sent >= 0) {
        link->packets_out++;
        return true;
    }
    if (!is_not_now(sent))
        link_cut(link, err_os((int)-sent, STR("sending to another role")));
    return false;
}

static bool queue_send(struct link *link)
{
    while (!link->over && !STAILQ_EMPTY(&link->queue)) {
        struct link_packet *packet = STAILQ_FIRST(&link->queue);
        if (!packet_send(link, str_make(packet->octets, packet->n), -1))
            return false;
        packet_free(queue_take(link));
    }
    return !link->over;
}

static bool all_send(struct link *link)
{
    if (!queue_send(link))
        return false;
    if (link->out.n == 0)
        return true;
    if (!packet_send(link, buf_str(&link->out), -1))
        return false;
    out_wipe(link);
    return true;
}

/* On false nothing of the message is in the packet. */
static bool out_put(struct link *link, const struct msg *msg)
{
    size_t before = link->out.n;
    msg_encode(&link->out, msg);
    if (!buf_over(&link->out))
        return true;
    explicit_bzero(link->out.p + before, link->out.n - before);
    buf_cut(&link->out, before);
    link->out.over = false;
    return false;
}

static struct err message_queue(struct link *link, const struct msg *msg)
{
    if (link->over)
        return err_detail(ERR_BUS_BROKEN, STR("the link to another role ended"));
    if (!out_put(link, msg)) {
        if (!out_queue(link))
            return err_make(ERR_NO_MEMORY);
        if (!out_put(link, msg))
            return err_detail(ERR_OVER_LIMIT, STR("a message is longer than a packet"));
    }
    link->messages_out++;
    loop_at_turn_end(link->loop, &link->flush);
    return err_none();
}

static bool has_room(const struct link *link)
{
    return link->queued + link->out.n < LINK_OUT_MAX;
}

void link_take_place(struct link *link)
{
    if (!link->over)
        loop_at_turn_end(link->loop, &link->flush);
}

struct err link_send(struct link *link, const struct msg *msg)
{
    must_be(link, LINK_MAGIC);
    must(msg_senders(msg->kind) & 1u << link->own && !msg_carries(msg->kind));
    if (!link->over && !has_room(link))
        return err_detail(ERR_OVER_LIMIT, STR("another role does not read"));
    return message_queue(link, msg);
}

/* `ready` is called when there is. */
static struct err no_room_now(struct link *link)
{
    watch_want(link->loop, &link->watch, READY_READ | READY_WRITE);
    return err_detail(ERR_OVER_LIMIT, STR("another role does not read"));
}

struct err link_send_handle(struct link *link, const struct msg *msg, int handle)
{
    must_be(link, LINK_MAGIC);
    must(msg_senders(msg->kind) & 1u << link->own && msg_carries(msg->kind) && handle >= 0);
    if (!link->over && !all_send(link) && !link->over)
        return no_room_now(link);
    if (link->over)
        return err_detail(ERR_BUS_BROKEN, STR("the link to another role ended"));
    if (!out_put(link, msg))
        return err_detail(ERR_OVER_LIMIT, STR("a message is longer than a packet"));
    bool sent = packet_send(link, buf_str(&link->out), handle);
    out_wipe(link);
    if (!sent && !link->over)
        return no_room_now(link);
    if (!sent)
        return err_detail(ERR_BUS_BROKEN, STR("the link to another role ended"));
    link->messages_out++;
    return err_none();
}

/* --- Asking ---------------------------------------------------------------------------------- */

/* Not a number that is out still; after four thousand million calls they begin again. */
static uint32_t free_number(struct link *link)
{
    struct link_call probe;
    do
        probe.number = ++link->last_call;
    while (RB_FIND(link_calls, &link->calls, &probe));
    return probe.number;
}

static struct err call_begin(struct link *link, struct link_call *call)
{
    call->number = free_number(link);
    msg_set_call(call->question, call->number);
    struct err e = message_queue(link, call->question);
    if (!err_is(e))
        RB_INSERT(link_calls, &link->calls, call);
    return e;
}

void link_ask_begin(struct link *link, struct link_call *call, struct msg *msg, struct arena *arena,
                    struct msg *answer_r)
{
    must_be(link, LINK_MAGIC);
    must(msg_senders(msg->kind) & 1u << link->own && msg_answer_kind(msg->kind) != MSG_COUNT);
    *call = (struct link_call){.question = msg, .arena = arena, .answer_r = answer_r};
    if (!link->over && (!has_room(link) || !TAILQ_EMPTY(&link->waiting))) {
        TAILQ_INSERT_TAIL(&link->waiting, call, by_turn);
    } else {
        struct err e = call_begin(link, call);
        if (err_is(e))
            answered(call, e);
    }
}

bool link_ask_answered(const struct link_call *call)
{
    return call->wait.done;
}

struct err link_ask_end(struct link_call *call)
{
    wait_for(&call->wait);
    return call->result;
}

struct err link_ask(struct link *link, struct msg *msg, struct arena *arena, struct msg *answer_r)
{
    struct link_call call;
    link_ask_begin(link, &call, msg, arena, answer_r);
    return link_ask_end(&call);
}

static void waiting_begin(struct link *link)
{
    struct link_call *call;
    while (!link->over && has_room(link) && (call = TAILQ_FIRST(&link->waiting))) {
        TAILQ_REMOVE(&link->waiting, call, by_turn);
        struct err e = call_begin(link, call);
        if (err_is(e))
            answered(call, e);
    }
}

static void flush(struct link *link)
{
    bool empty;
    do {
        empty = all_send(link);
        waiting_begin(link);
    } while (empty && !link->over && link->out.n);
    if (link->over)
        return;
    watch_want(link->loop, &link->watch, empty ? READY_READ : READY_READ | READY_WRITE);
    if (empty && link->owner->drained)
        link->owner->drained(link);
}

static void flush_task(struct task *task)
{
    struct link *link = task->arg;
    must_be(link, LINK_MAGIC);
    if (!link->over)
        flush(link);
}

/* --- Receiving ------------------------------------------------------------------------------- */

static bool answer_take(struct link *link, struct wire_in *from, uint32_t number)
{
    struct link_call probe = {.number = number}, *call;
    call = RB_FIND(link_calls, &link->calls, &probe);
    if (!call) {
        link_cut(link, err_detail(ERR_BUS_BROKEN, STR("an answer nobody asked for")));
        return false;
    }
    struct str copy = arena_str(call->arena, from->rest);
    struct wire_in in = wire_in(copy);
    struct err e = copy.p ? msg_decode(&in, link->peer, call->arena, call->answer_r)
                          : err_make(ERR_OVER_LIMIT);
    if (!err_is(e) && call->answer_r->kind != msg_answer_kind(call->question->kind))
        e = err_detail(ERR_BUS_BROKEN, STR("an answer to another question"));
    if (e.code == ERR_BUS_BROKEN) {
        link_cut(link, e);
        return false;
    }
    RB_REMOVE(link_calls, &link->calls, call);
    answered(call, e);
    return true;
}

/* False: the link is over or gone. */
static bool message_give(struct link *link, struct wire_in *from, int *passed)
{
    struct msg msg;
    struct err e = msg_decode(from, link->peer, &link->arena, &msg);
    if (!err_is(e) && msg_carries(msg.kind) != (*passed >= 0))
        e = err_detail(ERR_BUS_BROKEN, STR("a handle too many or too few"));
    if (err_is(e)) {
        link_cut(link, e);
        return false;
    }
    bool done = false;
    int handle = *passed;
    *passed = -1;
    link->done = &done;
    link->owner->got(link, &msg, handle);
    if (done)
        return false;
    link->done = NULL;
    arena_reset(&link->arena);
    return !link->over;
}

/* The next message of a packet: cut out first, so that what is copied for an answer is only it. */
static bool message_take(struct link *link, struct wire_in *from, int *passed)
{
    struct wire_in head = *from;
    struct str rest = from->rest;
    uint32_t number;
    wire_get_str(&head);
    struct wire_in one = wire_in(head.bad ? rest : str_head(rest, rest.n - head.rest.n));
    *from = head;
    link->messages_in++;
    if (*passed < 0 && msg_answers_peek(one, &number))
        return answer_take(link, &one, number);
    return message_give(link, &one, passed);
}

/* False: the link is over or gone. */
static bool packet_take(struct link *link, size_t n, int passed)
{
    struct loop *loop = link->loop;
    struct wire_in from = wire_in(str_make(link->in, n));
    bool on = true;
    link->packets_in++;
    while (on && from.rest.n)
        on = message_take(link, &from, &passed);
    if (passed >= 0)
        loop->world->ops->close(loop->world, passed);
    if (on)
        explicit_bzero(link->in, n);
    return on;
}

/* As packet_take. */
static bool packet_receive(struct link *link)
{
    struct world *world = link->loop->world;
    int passed = -1;
    ssize_t n =
        world->ops->packet_recv(world, link->watch.handle, link->in, BUS_PACKET_MAX, &passed);
    if (n > 0) {
        if ((size_t)n > link->in_most)
            link->in_most = (size_t)n;
        return packet_take(link, (size_t)n, passed);
    }
    if (n == 0)
        link_cut(link, err_detail(ERR_PEER_GONE, STR("the other end was closed")));
    else if (n == -EMSGSIZE || n == -EBADMSG)
        link_cut(link, err_detail(ERR_BUS_BROKEN, STR("no packet of ours")));
    else if (!is_not_now(n))
        link_cut(link, err_os((int)-n, STR("receiving from another role")));
    return false;
}

static void ready(struct watch *watch, unsigned what)
{
    struct link *link = watch->arg;
    must_be(link, LINK_MAGIC);
    if (link->over)
        return;
    if (what & READY_WRITE)
        flush(link);
    if (link->over || !(what & READY_READ))
        return;
    for (int i = 0; i < LINK_PACKETS_A_TURN; i++)
        if (!packet_receive(link))
            return;
}

int link_init(struct link *link, struct loop *loop, int handle, enum bus_role own,
              enum bus_role peer, const struct link_owner *owner, void *arg)
{
    *link = (struct link){
        .magic = LINK_MAGIC,
        .loop = loop,
        .own = own,
        .peer = peer,
        .owner = owner,
        .arg = arg,
        .watch = {.handle = handle, .want = READY_READ, .ready = ready, .arg = link},
        .flush = {.run = flush_task, .arg = link},
        .end = {.run = end, .arg = link},
        .out = BUF_INIT(BUS_PACKET_MAX),
    };
    RB_INIT(&link->calls);
    STAILQ_INIT(&link->queue);
    TAILQ_INIT(&link->waiting);
    arena_init(&link->arena, ARENA);
    link->in = malloc(BUS_PACKET_MAX);
    /* All at once: where it grew it would leave octets behind. */
    bool room = link->in && buf_room(&link->out, BUS_PACKET_MAX);
    int failed = room ? watch_begin(loop, &link->watch) : -ENOMEM;
    if (failed) {
        free(link->in);
        link->in = NULL;
        buf_done(&link->out);
        link->magic = 0;
    }
    return failed;
}
