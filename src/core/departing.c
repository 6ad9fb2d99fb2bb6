/*
 * Why NOTIFY is weighed here and not by the queue: only here it is known how many places an address
 * leads to.
 */
#include "core/departing.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/forwarding.h"
#include "format/header.h"

bool departing_is_trusted(const struct core *core, const struct transaction *transaction)
{
    return transaction->login ||
           conf_networks_hold(&core->conf->smtp.relay_from, transaction->client);
}

enum departing_kind departing_kind(const struct accepted_recipient *recipient)
{
    size_t here = 0, elsewhere = 0, of_lists = 0;
    for (size_t i = 0; i < recipient->copy_count; i++) {
        bool of_list = recipient->copies[i].list.p != NULL;
        of_lists += of_list;
        here += !of_list;
    }
    for (size_t i = 0; i < recipient->outside_count; i++) {
        bool of_list = recipient->outside[i].list.p != NULL;
        of_lists += of_list;
        elsewhere += !of_list;
    }
    if (elsewhere == 0)
        return DEPARTING_STAYS;
    return elsewhere == 1 && here + of_lists == 0 ? DEPARTING_GOES_ON : DEPARTING_EXPANDED;
}

/* --- Targets --- */

/* What was asked for without a report of success; who asked for nothing else wants none at all. */
static struct str without_success(struct str asked, struct arena *arena)
{
    struct rcpt_options options;
    if (!rcpt_options_read(asked, &options) || !(options.notify & DSN_NOTIFY_SUCCESS))
        return asked;
    options.notify &= (uint8_t)~DSN_NOTIFY_SUCCESS;
    if (!options.notify)
        options.notify = DSN_NOTIFY_NEVER;
    return rcpt_options_keep(&options, arena);
}

/* What all targets are made from. */
struct taking {
    struct core *core;
    struct arena *arena;
    struct departing *departing;
    struct loop_marks marks;
    bool rewrites; /* the message's sender is elsewhere */

    /* What is the same for all members of a list, and costs a hash: of `given`. */
    struct str given, mark;
    bool looped;
    struct str asked; /* of the recipient, where it came by no list */
};

/* Did it come by this address before, and which field would tell if it does again? */
static void given_take(struct taking *taking, struct str given)
{
    const struct loop_keys *key = &taking->core->forward.loop;
    if (str_eq(given, taking->given))
        return;
    struct buf field = buf_in(taking->arena, LOOP_FIELD);
    loop_mark_print(&taking->marks, key, given, &field);
    taking->given = given;
    taking->mark = buf_built(&field);
    taking->looped = loop_marks_found(&taking->marks, key, given);
}

static struct str asked_of(const struct accepted_recipient *recipient, struct arena *arena)
{
    return departing_kind(recipient) == DEPARTING_EXPANDED
               ? without_success(recipient->asked, arena)
               : recipient->asked;
}

static struct err target_add(struct taking *taking, const struct accepted_recipient *recipient,
                             const struct outside *outside)
{
    struct departing *departing = taking->departing;
    bool own = str_eq(recipient->text, outside->text);
    const struct outgoing_target target = {
        .address = outside->text,
        .domain = outside->addr.domain,
        .given = own ? str_make("", 0) : recipient->text,
        .asked = outside->list.p ? str_make("", 0) : taking->asked,
        .sender = outside->list.p ? outside->list_owner : str_null(),
        .fields = outside->given.n ? taking->mark : str_make("", 0),
        .forward = outside->forward && taking->rewrites,
    };
    departing->targets[departing->count++] = target;
    return err_make(target.asked.p && target.fields.p ? ERR_NONE : ERR_NO_MEMORY);
}

static struct err outside_take(struct taking *taking, const struct accepted_recipient *recipient,
                               const struct outside *outside)
{
    struct departing *departing = taking->departing;
    if (outside->given.n)
        given_take(taking, outside->given);
    if (!outside->given.n || !taking->looped)
        return target_add(taking, recipient, outside);
    departing->loops[departing->loop_count++] =
        (struct departing_loop){.recipient = recipient, .outside = outside};
    return err_none();
}

static size_t outside_count(const struct request *request, const struct transaction *transaction)
{
    size_t count = 0;
    for (size_t i = 0; i < request->msg.commit.recipients_count; i++)
        count += transaction_recipient(request, transaction, i)->outside_count;
    return count;
}

bool departing_any(const struct request *request, const struct transaction *transaction)
{
    return outside_count(request, transaction) > 0;
}

static struct err all_take(const struct request *request, struct transaction *transaction,
                           const struct msg_outcome *outcomes, struct taking *taking)
{
    struct err e = err_none();
    for (size_t i = 0; i < request->msg.commit.recipients_count; i++) {
        const struct accepted_recipient *recipient = transaction_recipient(request, transaction, i);
        taking->asked = asked_of(recipient, taking->arena);
        for (size_t j = 0; j < recipient->outside_count && !outcomes[i].error && !err_is(e); j++)
            e = outside_take(taking, recipient, &recipient->outside[j]);
    }
    return e;
}

struct err departing_take(const struct request *request, struct transaction *transaction,
                          const struct msg_outcome *outcomes, struct str header,
                          struct departing *departing_r)
{
    struct arena *arena = &transaction->arena;
    size_t room = outside_count(request, transaction);
    *departing_r = (struct departing){.count = 0};
    if (room == 0)
        return err_none();
    departing_r->targets = arena_take_array(arena, room, sizeof(*departing_r->targets));
    departing_r->loops = arena_take_array(arena, room, sizeof(*departing_r->loops));
    struct taking *taking = arena_new(arena, struct taking);
    if (!departing_r->targets || !departing_r->loops || !taking)
        return err_make(ERR_NO_MEMORY);
    *taking =
        (struct taking){.core = request->peer->core, .arena = arena, .departing = departing_r};
    loop_marks_read(header, &taking->marks);
    struct err e =
        forwarding_rewrites(taking->core, &transaction->sender, arena, &taking->rewrites);
    return err_is(e) ? e : all_take(request, transaction, outcomes, taking);
}

/* Several of them are none: "MUST NOT appear" (RFC 8689 3), and what is meant nobody knows. */
static bool says_no(struct str header)
{
    struct header_field field;
    char room[sizeof "No"];
    struct buf value = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (!header_find_only(header, STR("TLS-Required"), &field))
        return false;
    header_unfold(field.value, &value);
    return !buf_over(&value) && str_eq_nocase(buf_str(&value), STR("No"));
}

struct err departing_tag(struct transaction *transaction, struct str header)
{
    struct mail_options *options = &transaction->options;
    if (options->require_tls || !says_no(header))
        return err_none();
    options->tls_optional = true;
    transaction->asked = mail_options_keep(options, &transaction->arena);
    return err_make(transaction->asked.p ? ERR_NONE : ERR_NO_MEMORY);
}

/* --- Those here, who get it later --- */

bool departing_waits(const struct transaction *transaction,
                     const struct accepted_recipient *recipient)
{
    bool direct = false;
    for (size_t i = 0; i < recipient->copy_count; i++)
        direct |= !recipient->copies[i].list.p;
    return transaction->later && direct;
}

static struct err copy_stay(struct transaction *transaction, const struct copy *copy,
                            struct str asked, struct departing *departing)
{
    struct addr addr;
    struct err e = addr_parse(copy->address, &transaction->arena, &addr);
    if (err_is(e))
        return e;
    departing->targets[departing->count++] = (struct outgoing_target){
        .address = copy->address,
        .domain = addr.domain,
        .given = str_eq(copy->delivered_to, copy->address) ? str_make("", 0) : copy->delivered_to,
        .asked = copy->list.p ? str_make("", 0) : asked,
        .sender = copy->list.p ? copy->list_owner : str_null(),
        .here = true,
    };
    return err_make(asked.p ? ERR_NONE : ERR_NO_MEMORY);
}

/* The delivery's copies that a recipient led to: they stand there in this order, each account once
 * (delivery_take_copies). Success is told about the first alone. */
static struct err recipient_stays(struct transaction *transaction,
                                  const struct accepted_recipient *recipient,
                                  const struct delivery *delivery, bool of_lists, size_t *at,
                                  struct departing *departing)
{
    struct str asked = asked_of(recipient, &transaction->arena);
    struct err e = err_none();
    for (size_t i = 0; i < recipient->copy_count && *at < delivery->copy_count && !err_is(e); i++) {
        const struct copy *copy = &delivery->copies[*at];
        if ((recipient->copies[i].list.p != NULL) != of_lists ||
            recipient->copies[i].account != copy->account)
            continue;
        e = copy_stay(transaction, copy, asked, departing);
        asked = without_success(asked, &transaction->arena);
        ++*at;
    }
    return e;
}

struct err departing_stay(const struct request *request, struct transaction *transaction,
                          const struct msg_outcome *outcomes, const struct delivery *delivery,
                          struct departing *departing)
{
    size_t all = departing->count + delivery->copy_count, at = 0;
    size_t count = request->msg.commit.recipients_count;
    struct outgoing_target *targets =
        arena_take_array(&transaction->arena, all, sizeof(*departing->targets));
    struct err e = err_make(targets ? ERR_NONE : ERR_NO_MEMORY);
    if (targets && departing->count)
        memcpy(targets, departing->targets, departing->count * sizeof(*targets));
    departing->targets = targets;
    for (size_t i = 0; i < 2 * count && !err_is(e); i++)
        if (!outcomes[i % count].error)
            e = recipient_stays(transaction, transaction_recipient(request, transaction, i % count),
                                delivery, i >= count, &at, departing);
    must(err_is(e) || at == delivery->copy_count);
    return e;
}

struct err departing_trace(const struct departing *departing, struct delivery *delivery)
{
    struct err e = delivery_room_for_events(delivery, departing->loop_count);
    for (size_t i = 0; i < departing->loop_count && !err_is(e); i++) {
        struct trace_event *event = delivery_event(delivery, TRACED_looped);
        trace_text(event, TRACE_recipient, departing->loops[i].outside->text);
        trace_text(event, TRACE_address, departing->loops[i].outside->given);
    }
    return e;
}

/* --- Entries --- */

struct err departing_put(const struct request *request, const struct transaction *transaction,
                         struct delivery *delivery, const struct departing *departing, blob_id blob,
                         size_t front)
{
    const struct msg_commit *asked = &request->msg.commit;
    const struct outgoing message = {
        .message = transaction->message,
        .blob = blob,
        .size = front + asked->size,
        .sender = transaction->reverse_path,
        .account = transaction->account,
        .account_address = transaction->account_address,
        .body_type = asked->body_type,
        .asked = transaction->asked,
        .utf8 = transmission_is_utf8(transaction->transmission),
        .trusted = departing_is_trusted(request->peer->core, transaction),
    };
    return outgoing_put(delivery, &message, departing->targets, departing->count);
}
