/*
 * The brake looks at what a message would make of the hour, so the first one too many is not sent.
 * It is held in memory before anything is written: while the notice is on its way to the disk the
 * account's other messages are refused already.
 */
#include "core/sending.h"

#include "base/must.h"
#include "core/core.h"
#include "core/delivery.h"
#include "core/queue.h"
#include "format/date.h"

enum {
    NOTICE_ARENA = 512 * 1024,
    NOTICE_COPIES = 2 * DELIVERY_OWNERS_MAX,
    SCRATCH = 64 * 1024,
    WHY_MAX = SENDING_WHY_MAX,
};

#define RELEASED_FOR (24 * 3600 * US_PER_SECOND)

/* --- In memory --- */

void senders_init(struct senders *senders, struct engine *engine, struct world *world)
{
    *senders = (struct senders){.engine = engine, .world = world};
    TAILQ_INIT(&senders->unused);
}

static void forget(struct senders *senders, struct sender *sender)
{
    TAILQ_REMOVE(&senders->unused, sender, link);
    senders->unused_count--;
    HASH_DEL(senders->all, sender);
    free(sender);
}

void senders_done(struct senders *senders)
{
    while (!TAILQ_EMPTY(&senders->unused))
        forget(senders, TAILQ_FIRST(&senders->unused));
    must(!senders->all);
}

static struct sender *find(struct senders *senders, uint64_t account)
{
    struct sender *sender;
    HASH_FIND(hh, senders->all, &account, sizeof(account), sender);
    return sender;
}

static struct sender *use(struct senders *senders, struct sender *sender)
{
    if (sender->users++ == 0) {
        TAILQ_REMOVE(&senders->unused, sender, link);
        senders->unused_count--;
    }
    return sender;
}

static struct sender *add(struct senders *senders, uint64_t account, const struct sending *sending)
{
    struct sender *sender = calloc(1, sizeof(*sender));
    if (!sender)
        return NULL;
    sender->account = account;
    sender->sending = *sending;
    sender->users = 1;
    HASH_ADD(hh, senders->all, account, sizeof(sender->account), sender);
    if (HASH_ADDED(sender))
        return sender;
    free(sender);
    return NULL;
}

struct err senders_take(struct senders *senders, uint64_t account, struct sender **sender_r)
{
    struct sender *sender = find(senders, account);
    struct sending sending;
    if (!sender) {
        struct arena scratch;
        arena_init(&scratch, SCRATCH);
        struct err e = sending_read(senders->engine, account, &scratch, &sending);
        arena_done(&scratch);
        if (err_is(e))
            return e;
        sender = find(senders, account); /* somebody else may have read it meanwhile */
    }
    sender = sender ? use(senders, sender) : add(senders, account, &sending);
    if (!sender)
        return err_make(ERR_NO_MEMORY);
    *sender_r = sender;
    return err_none();
}

bool senders_holds(struct senders *senders, uint64_t account)
{
    const struct sender *sender = find(senders, account);
    return sender && sender->sending.held != 0;
}

void senders_give(struct senders *senders, struct sender *sender)
{
    must(sender->users > 0);
    if (--sender->users > 0)
        return;
    TAILQ_INSERT_TAIL(&senders->unused, sender, link);
    if (++senders->unused_count > SENDERS_KEPT)
        forget(senders, TAILQ_FIRST(&senders->unused));
}

/* --- Limits --- */

static uint64_t less(uint64_t most, uint64_t sent)
{
    return most > sent ? most - sent : 0;
}

/* After sending_move. */
static uint64_t left(const struct sending *sending, const struct conf *conf, int64_t now)
{
    uint64_t hour = less(conf->submission.recipients_per_hour, sending_last_hour(sending, now));
    uint64_t day = less(conf->submission.recipients_per_day, sending_last_day(sending, now));
    return hour < day ? hour : day;
}

struct err sender_left(struct senders *senders, struct sender *sender, const struct conf *conf,
                       uint64_t *left_r)
{
    int64_t now = world_wall(senders->world);
    sending_move(&sender->sending, now);
    *left_r = left(&sender->sending, conf, now);
    return err_make(sender->sending.held ? ERR_SENDING_HELD : ERR_NONE);
}

static bool is_above(const struct sending *sending, uint64_t hour, uint64_t least, uint64_t factor)
{
    return least > 0 && hour > least && hour > factor * sending_habit(sending);
}

static bool is_above_habit(const struct sending *sending, const struct conf *conf,
                           const struct sender_load *load, int64_t now)
{
    if (load->local || (sending->released && now < sending->released + RELEASED_FOR))
        return false;
    uint64_t hour = sending_last_hour(sending, now) + load->recipients;
    return is_above(sending, hour, conf->submission.brake_least, conf->submission.brake_factor) ||
           (load->from_new_network && is_above(sending, hour, conf->submission.brake_new_least,
                                               conf->submission.brake_new_factor));
}

enum sender_verdict sender_would(struct sender *sender, const struct conf *conf,
                                 const struct sender_load *load, int64_t now)
{
    struct sending *sending = &sender->sending;
    sending_move(sending, now);
    if (sending->held)
        return SENDER_IS_HELD;
    if (is_above_habit(sending, conf, load, now))
        return SENDER_BRAKE;
    return load->recipients > left(sending, conf, now) ? SENDER_LIMIT : SENDER_MAY;
}

enum sender_verdict sender_add(struct senders *senders, struct sender *sender,
                               const struct conf *conf, const struct sender_load *load, int64_t now)
{
    enum sender_verdict verdict = sender_would(sender, conf, load, now);
    (void)senders;
    if (verdict == SENDER_MAY)
        sending_add(&sender->sending, load->recipients);
    return verdict;
}

void sender_take_back(struct sender *sender, uint32_t recipients, int64_t then)
{
    sending_take_back(&sender->sending, then, recipients);
}

/* --- The brake --- */

static void why_print(const struct sending *sending, const struct sender_load *load, int64_t now,
                      struct buf *to)
{
    buf_put_u64(to, sending_last_hour(sending, now) + load->recipients);
    buf_put(to, STR(" recipients within an hour"));
    if (load->from_new_network)
        buf_put(to, STR(", sent from a network that is new to the account"));
    buf_put(to, STR("; on the days on which it sends it has "));
    buf_put_u64(to, sending_habit(sending));
}

static void notice_print(struct delivery *delivery, struct str address,
                         const struct sending *sending, struct buf *to)
{
    delivery_notice_begin(delivery, address, STR("Sending from your account is on hold"), to);
    buf_put(to, STR("Mail that is sent from the account\r\n\r\n  "));
    buf_put(to, address);
    buf_put(to, STR("\r\n\r\nis on hold since "));
    date_print(to, sending->held / US_PER_SECOND, 0);
    buf_put(to, STR(":\r\n"));
    buf_put(to, sending_why(sending));
    buf_put(to,
            STR(".\r\n\r\n"
                "If that was you, tell your administrator. If it was not, somebody else knows\r\n"
                "your password: change it first.\r\n\r\n"
                "For the administrator: `veredus trace` with the address shows what was sent.\r\n"
                "What waits to be sent elsewhere is held, too: `veredus queue list --account`\r\n"
                "with the address shows it, `veredus queue remove --account` removes it.\r\n"
                "`veredus account release` lets the account send again, and what waits go.\r\n"));
}

/* Those who are to be told: the owner and the postmaster, each once. */
static size_t recipients_find(struct delivery *delivery, struct str address, struct addr addrs[2])
{
    struct str names[] = {address, delivery->core->conf->server.postmaster};
    size_t found = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct copy *copies;
        size_t count;
        bool named =
            names[i].n > 0 && !err_is(addr_parse(names[i], delivery->arena, &addrs[found]));
        if (!named)
            addrs[found] = (struct addr){.local = STR("postmaster"), .kind = ADDR_LOCAL_ONLY};
        if (err_is(delivery_notice_copies(delivery, &addrs[found], &copies, &count)))
            continue;
        delivery_take_copies(delivery, copies, count, false);
        found += named;
    }
    return found;
}

static struct err notice_commit(struct delivery *delivery, struct sender *sender,
                                struct str address)
{
    struct addr addrs[2], nobody = {.kind = ADDR_NULL};
    struct buf text = BUF_INIT(SCRATCH);
    size_t count = recipients_find(delivery, address, addrs);
    notice_print(delivery, address, &sender->sending, &text);
    struct str message = buf_copy(&text, delivery->arena);
    buf_done(&text);
    struct err e = message.p ? err_none() : err_make(ERR_NO_MEMORY);
    if (!err_is(e) && delivery->copy_count > 0)
        e = delivery_text_put(delivery, message, delivery->copies, delivery->copy_count);
    struct trace_event *event = delivery_event(delivery, TRACED_held);
    trace_text(event, TRACE_account, address);
    trace_text(event, TRACE_text, sending_why(&sender->sending));
    sending_ops(sender->account, &sender->sending, delivery->arena, &delivery->ops);
    return err_is(e) ? e : delivery_commit(delivery, &nobody, addrs, count, str_null());
}

static void held_tell(struct core *core, const struct sending *sending, struct str address)
{
    struct trace_event event = trace_event(TRACED_held, sending->held);
    trace_text(&event, TRACE_account, address);
    trace_text(&event, TRACE_text, sending_why(sending));
    audit_tell(&core->audit, &event);
    log_event(core->log, LOG_WARN, "sending_held", log_str("account", address),
              log_str("why", sending_why(sending)));
}

void sender_brake(struct core *core, struct sender *sender, struct str address,
                  const struct sender_load *load)
{
    char room[WHY_MAX];
    struct buf why = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    int64_t now = world_wall(core->world);
    struct arena arena;
    struct delivery delivery;
    why_print(&sender->sending, load, now, &why);
    sending_hold(&sender->sending, now, buf_str(&why));
    held_tell(core, &sender->sending, address);
    arena_init_from(&arena, NOTICE_ARENA, &core->spares);
    struct err e = delivery_init(&delivery, core, &arena, core_message_id(core), NOTICE_COPIES, 1);
    if (!err_is(e) && !op_list_more(&delivery.ops, &arena, SENDING_OPS))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        e = notice_commit(&delivery, sender, address);
    if (err_is(e))
        log_err(core->log, "notice_not_kept", e);
    arena_done(&arena);
    queue_account_changed(core->queue, sender->account);
}

/* --- Operators --- */

struct err senders_hold(struct senders *senders, uint64_t account, struct str why,
                        struct arena *arena)
{
    struct sender *sender;
    struct err e = senders_take(senders, account, &sender);
    if (err_is(e))
        return e;
    int64_t now = world_wall(senders->world);
    const struct sending before = sender->sending;
    if (why.p)
        sending_hold(&sender->sending, now, why);
    else
        sending_release(&sender->sending, now);
    struct op_list ops = op_list_take(arena, SENDING_OPS);
    sending_ops(account, &sender->sending, arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    e = ops.over ? err_make(ERR_NO_MEMORY) : engine_commit_wait(senders->engine, &commit);
    if (err_is(e)) {
        sender->sending.held = before.held;
        sender->sending.released = before.released;
        sender->sending.why_length = before.why_length;
        memcpy(sender->sending.why, before.why, sizeof(before.why));
    }
    senders_give(senders, sender);
    return e;
}
