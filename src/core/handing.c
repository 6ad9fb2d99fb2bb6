/*
 * What was held for somebody here (FUTURERELEASE), at its time.
 *
 * Why its copies are no rows of mailboxes that are hidden until then: whoever looks at a mailbox
 * would have to know the time, and nobody could see, hold or remove what waits. As an entry of the
 * queue it is like all that waits. Who its recipients are was found when it was accepted, as for
 * those elsewhere; whether each can have it is found now, and the commit that puts the copies into
 * mailboxes is the one that ends the entry, so whatever dies, each gets one.
 */
#include "core/handing.h"

#include "core/core.h"
#include "core/errand.h"
#include "core/source.h"

#define HANDED_AGAIN (60 * US_PER_SECOND)

/* --- Who can have it --- */

/* Delivered-To is in the head since the message was accepted. */
static uint32_t named_at(const struct message_head *head, const struct queue_recipient *recipient)
{
    struct str named = recipient->given.n ? recipient->given : recipient->address;
    uint32_t at = 0;
    while (at < head->delivered_to_count && !str_eq(head->delivered_to[at], named))
        at++;
    return at;
}

static struct err room_judge(struct core *core, const struct account *account, uint64_t size,
                             struct arena *arena)
{
    struct usage usage;
    struct err e = mailbox_usage(core->engine, account->id, arena, &usage);
    const struct copy copy = {.quota = directory_quota(&core->directory, account),
                              .used = usage.octets};
    return err_is(e) ? e : err_make(copy_room(&copy, size));
}

/* An error that is told to nobody is ours. */
static struct err recipient_look(struct core *core, const struct handing *handing,
                                 const struct queue_recipient *recipient, struct arena *arena,
                                 struct handed *handed)
{
    struct addr addr;
    struct account account;
    struct err e = addr_parse(recipient->address, arena, &addr);
    if (!err_is(e))
        e = directory_account_show(&core->directory, &addr, arena, &account);
    if (e.code == ERR_NOT_FOUND)
        return err_make(ERR_MAILBOX_UNKNOWN);
    if (!err_is(e) && account.disabled)
        return err_make(ERR_MAILBOX_DISABLED);
    if (err_is(e))
        return e;
    uint32_t at = named_at(&handing->head, recipient);
    *handed = (struct handed){
        .account = account.id,
        .mailbox = account.inbox,
        .address = account.address,
        .delivered_to =
            at < handing->head.delivered_to_count ? handing->head.delivered_to[at] : STR(""),
        .recipient = at,
        .size = message_prefix_size(&handing->head, at) + handing->body_octets +
                handing->head.served_extra,
    };
    return room_judge(core, &account, handed->size, arena);
}

static struct msg_job_result result_of(uint32_t number, struct err e)
{
    const struct err_row *row = err_row(e.code);
    bool refused = err_is(e);
    return (struct msg_job_result){
        .number = number,
        .verdict = !refused               ? JOB_SENT
                   : row->smtp / 100 == 5 ? JOB_FAILED
                                          : JOB_LATER,
        .code = refused ? (uint16_t)row->smtp : 250,
        .status = refused ? str_from(row->enhanced) : STR("2.0.0"),
        .text = refused ? str_from(row->text) : STR("delivered"),
    };
}

static bool is_an_answer(struct err e)
{
    return !err_is(e) || e.code == ERR_MAILBOX_UNKNOWN || e.code == ERR_MAILBOX_DISABLED ||
           e.code == ERR_QUOTA_FULL || e.code == ERR_QUOTA_FULL_LATER;
}

static struct err all_look(struct core *core, const struct queue_entry *entry, struct arena *arena,
                           struct handing *handing, struct msg_job_result *results)
{
    for (size_t i = 0; i < entry->recipient_count; i++) {
        struct err e =
            recipient_look(core, handing, &entry->recipients[i], arena, &handing->handed[i]);
        if (!is_an_answer(e))
            return e;
        results[i] = result_of((uint32_t)i, e);
    }
    return err_none();
}

static struct err message_read(struct core *core, const struct queue_entry *entry,
                               struct arena *arena, struct handing *handing)
{
    struct source source = {.engine = core->engine, .blob = entry->blob};
    struct str record;
    struct err e = source_blob(&source, arena, &record, &handing->body_octets);
    return err_is(e) ? e : message_head_decode(record, arena, &handing->head);
}

/* --- Handing in --- */

void errand_hand_in(struct errand *errand, const struct queue_entry *entry, struct arena *arena)
{
    struct queue *queue = errand->queue;
    struct core *core = queue->core;
    size_t count = entry->recipient_count;
    struct handing handing = {.handed = arena_take_array(arena, count, sizeof(struct handed))};
    struct msg_job_result *results = arena_take_array(arena, count, sizeof(*results));
    const struct outcome outcome = {
        .given = errand->given, .handing = &handing, .results = results, .result_count = count};
    struct err e = err_make(results && handing.handed ? ERR_NONE : ERR_NO_MEMORY);
    errand->deciding = true;
    if (!err_is(e))
        e = message_read(core, entry, arena, &handing);
    if (!err_is(e))
        e = all_look(core, entry, arena, &handing, results);
    if (!err_is(e))
        e = outcome_record(queue, errand->one, &outcome);
    if (err_is(e)) { /* a mailbox may have gone meanwhile: all are looked for again */
        log_err(core->log, "not_handed_in", e);
        errand_take_back(errand, world_wall(core->world) + HANDED_AGAIN);
        return;
    }
    errand_end(errand);
    queue_turn(queue);
}

struct err handing_ops(const struct handing *handing, size_t number,
                       const struct queue_entry *entry, struct delivery *delivery)
{
    const struct handed *handed = &handing->handed[number];
    const struct mailbox_message message = {
        .blob = entry->blob,
        .recipient = handed->recipient,
        .size = handed->size,
        .internal_date = delivery->now,
        .message = entry->message,
    };
    if (!op_list_more(&delivery->ops, delivery->arena, MAILBOX_DELIVERY_OPS))
        return err_make(ERR_NO_MEMORY);
    mailbox_delivery_ops(handed->account, handed->mailbox, &message, delivery->arena,
                         &delivery->ops, NULL);
    return err_none();
}
