/*
 * Why SEND takes one recipient at a time: there is one reply for the message, and nobody who could
 * be told later about a second one whose terminal took nothing. 452 makes every client send to the
 * others in transactions of their own (RFC 5321 4.5.3.1.10).
 *
 * Why SAML shows behind the commit and the others in front of it: mail that is safe cannot be
 * shown twice, since a repetition is recognised; what is in front decides what the commit holds.
 */
#include "core/showing.h"

#include "base/must.h"
#include "conf/routes.h"
#include "core/terminals.h"

enum {
    USER_MAX = 32, /* octets of a name in utmp */
};

bool showing_is_allowed(const struct core *core, const struct transaction *transaction)
{
    const struct conf *conf = core->conf;
    if (transaction->command == MAIL_MAIL)
        return true;
    return conf->terminal.commands &&
           (transaction->login || conf_networks_hold(&conf->smtp.relay_from, transaction->client) ||
            conf_networks_hold(&conf->terminal.from, transaction->client));
}

/* --- Whose terminal -------------------------------------------------------------------------- */

/* As useradd(8) lets them be called, in lower case. */
static bool is_user_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool inside = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(inside && i > 0))
            return false;
    }
    return name.n > 0 && name.n <= USER_MAX;
}

/* Empty: nobody's. */
static struct str user_of(const struct conf *conf, const struct copy *copy)
{
    for (size_t i = 0; i < conf->terminal_user_count; i++)
        if (conf_people_hold(&conf->terminal_users[i].accounts, copy->address))
            return conf->terminal_users[i].name;
    struct str local = str_head(copy->address, (size_t)str_last_index(copy->address, '@'));
    bool is_his = is_user_name(local) && conf_people_hold(&conf->terminal.accounts, copy->address);
    return is_his ? local : str_make("", 0);
}

static bool may_be_shown(const struct copy *copy)
{
    return !copy->disabled && !copy->list.p;
}

/* --- RCPT ------------------------------------------------------------------------------------ */

/* May yield. */
static bool anybody_on(struct core *core, const struct resolved *resolved, struct arena *arena)
{
    for (size_t i = 0; i < resolved->count && i < SHOWINGS_MAX; i++) {
        struct str user = user_of(core->conf, &resolved->copies[i]);
        if (may_be_shown(&resolved->copies[i]) && user.n &&
            terminals_ask(&core->terminals, user, arena) == ERR_NONE)
            return true;
    }
    return false;
}

static bool is_for_want_of_room(struct err e)
{
    return e.code == ERR_QUOTA_FULL || e.code == ERR_QUOTA_FULL_LATER;
}

/* Is there a user behind the address whose terminal could be asked for? */
static struct err user_judge(const struct core *core, const struct resolved *resolved)
{
    bool list = false;
    for (size_t i = 0; i < resolved->count; i++) {
        if (may_be_shown(&resolved->copies[i]) && user_of(core->conf, &resolved->copies[i]).n)
            return err_none();
        list = list || resolved->copies[i].list.p;
    }
    if (resolved->forwarded)
        return err_make(ERR_MAILBOX_MOVED);
    return err_make(list ? ERR_LIST_NOT_USER : ERR_NO_TERMINAL);
}

static struct err send_judge(struct core *core, const struct transaction *transaction,
                             struct resolved *resolved, struct arena *arena)
{
    struct err e = user_judge(core, resolved);
    if (err_is(e))
        return e;
    if (transaction->recipient_count > 0)
        return err_make(ERR_TOO_MANY_RECIPIENTS);
    resolved->outside_count = 0;
    resolved->forwarded = false;
    return err_make(anybody_on(core, resolved, arena) ? ERR_NONE : ERR_USER_NOT_ON);
}

/* What is to be held until later is no message for a terminal. */
static bool is_mail(const struct transaction *transaction)
{
    return transaction->command == MAIL_MAIL || transaction->options.hold_until;
}

struct err showing_judge(struct core *core, const struct transaction *transaction,
                         struct resolved *resolved, struct err e, struct arena *arena,
                         struct str *words_r)
{
    enum mail_command command = transaction->command;
    *words_r = str_make("", 0);
    bool full = is_for_want_of_room(e);
    if (is_mail(transaction) || (err_is(e) && !(full && command != MAIL_SAML)))
        return e;
    if (command == MAIL_SEND)
        return send_judge(core, transaction, resolved, arena);
    bool on = anybody_on(core, resolved, arena);
    if (!on && !err_is(e))
        *words_r = STR("User not active now, so will do mail");
    return on && full ? err_none() : e;
}

/* --- The message ----------------------------------------------------------------------------- */

static bool was_shown(const struct showing *showing, const struct copy *copy)
{
    for (size_t i = 0; i < showing->count; i++)
        if (showing->at[i].copy->account == copy->account)
            return true;
    return false;
}

/* May yield. */
static void show(const struct request *request, struct transaction *transaction,
                 const struct copy *copy, struct showing *showing)
{
    struct core *core = request->peer->core;
    struct arena *arena = &transaction->arena;
    struct str line, user = arena_str(arena, user_of(core->conf, copy));
    if (!user.n || !may_be_shown(copy) || was_shown(showing, copy))
        return;
    const struct msg_terminal_show what = {
        .user = user, .sender = transaction->reverse_path, .text = request->msg.commit.shown};
    if (terminals_show(&core->terminals, &what, arena, &line) != ERR_NONE)
        return;
    showing->at[showing->count].copy = copy;
    showing->at[showing->count].user = user;
    showing->at[showing->count++].line = line;
}

/* May yield. */
static void show_all(const struct request *request, struct transaction *transaction,
                     struct showing *showing)
{
    struct loop *loop = request->peer->core->loop;
    int64_t until = loop->now + SHOWINGS_WAIT;
    size_t asked = 0;
    for (size_t r = 0; r < transaction->recipient_count; r++) {
        const struct accepted_recipient *recipient = &transaction->recipients[r];
        for (size_t i = 0; i < recipient->copy_count; i++)
            if (asked++ < SHOWINGS_MAX && loop->now < until)
                show(request, transaction, &recipient->copies[i], showing);
    }
}

/* The others move up in an array of their own: what was shown points into the first one. */
static void copies_drop(struct transaction *transaction, const struct showing *showing)
{
    bool all = transaction->command == MAIL_SEND;
    for (size_t r = 0; r < transaction->recipient_count; r++) {
        struct accepted_recipient *recipient = &transaction->recipients[r];
        struct copy *kept =
            arena_take_array(&transaction->arena, recipient->copy_count, sizeof(*kept));
        size_t count = 0;
        if (!kept && !all)
            continue; /* kept twice, and not lost */
        for (size_t i = 0; i < recipient->copy_count && !all; i++)
            if (!was_shown(showing, &recipient->copies[i]))
                kept[count++] = recipient->copies[i];
        recipient->copies = kept;
        recipient->copy_count = count;
    }
}

void showing_run(const struct request *request, struct transaction *transaction,
                 struct showing *showing_r)
{
    showing_r->count = 0;
    if (is_mail(transaction))
        return;
    if (!request->msg.commit.again)
        show_all(request, transaction, showing_r);
    if (transaction->command != MAIL_SAML)
        copies_drop(transaction, showing_r);
}

bool showing_is_all(const struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->recipient_count; i++)
        if (transaction->recipients[i].copy_count || transaction->recipients[i].outside_count)
            return false;
    return true;
}

/* --- The trace ------------------------------------------------------------------------------- */

struct err showing_trace(const struct showing *showing, struct delivery *delivery)
{
    struct err e = showing->count ? delivery_room_for_events(delivery, showing->count) : err_none();
    for (size_t i = 0; i < showing->count && !err_is(e); i++) {
        struct trace_event *event = delivery_event(delivery, TRACED_shown);
        trace_text(event, TRACE_address, showing->at[i].copy->delivered_to);
        trace_text(event, TRACE_user, showing->at[i].user);
        trace_text(event, TRACE_text, showing->at[i].line);
    }
    return e;
}

void showing_trace_late(const struct showing *showing, struct transaction *transaction)
{
    struct delivery delivery;
    struct core *core = transaction->core;
    if (showing->count == 0)
        return;
    struct err e = delivery_init(&delivery, core, &transaction->arena, transaction->message, 0, 1);
    if (!err_is(e))
        e = showing_trace(showing, &delivery);
    if (!err_is(e))
        e = delivery_commit(&delivery, NULL, NULL, 0, str_null());
    if (err_is(e))
        log_err(core->log, "showing_not_traced", e);
}
