/*
 * Why NOTIFY is weighed here and not by the queue: only here it is known how many places an address
 * leads to.
 */
#include "core/departing.h"

#include "conf/conf.h"

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

static struct err target_of(const struct accepted_recipient *recipient,
                            const struct outside *outside, struct arena *arena,
                            struct outgoing_target *target_r)
{
    bool own = str_eq(recipient->text, outside->text), of_list = outside->list.p != NULL;
    bool expanded = departing_kind(recipient) == DEPARTING_EXPANDED;
    *target_r = (struct outgoing_target){
        .address = outside->text,
        .domain = outside->addr.domain,
        .given = own ? str_make("", 0) : recipient->text,
        .asked = of_list    ? str_make("", 0)
                 : expanded ? without_success(recipient->asked, arena)
                            : recipient->asked,
        .sender = of_list ? outside->list_owner : str_null(),
    };
    return err_make(target_r->asked.p ? ERR_NONE : ERR_NO_MEMORY);
}

struct err departing_take(const struct request *request, struct transaction *transaction,
                          const struct msg_outcome *outcomes, struct departing *departing_r)
{
    size_t count = request->msg.commit.recipients_count, room = 0;
    struct arena *arena = &transaction->arena;
    *departing_r = (struct departing){.count = 0};
    for (size_t i = 0; i < count; i++)
        room += transaction_recipient(request, transaction, i)->outside_count;
    if (room == 0)
        return err_none();
    departing_r->targets = arena_take_array(arena, room, sizeof(*departing_r->targets));
    struct err e = err_make(departing_r->targets ? ERR_NONE : ERR_NO_MEMORY);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        const struct accepted_recipient *recipient = transaction_recipient(request, transaction, i);
        for (size_t j = 0; j < recipient->outside_count && !outcomes[i].error && !err_is(e); j++)
            e = target_of(recipient, &recipient->outside[j], arena,
                          &departing_r->targets[departing_r->count++]);
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
        .body_type = asked->body_type,
        .asked = transaction->asked,
        .utf8 = transmission_is_utf8(transaction->transmission),
        .trusted = departing_is_trusted(request->peer->core, transaction),
    };
    return outgoing_put(delivery, &message, departing->targets, departing->count);
}
