/*
 * accept: COMMIT becomes durable, or it becomes nothing.
 *
 *   C1 asked      the message has arrived; its tokens, slabs and sizes are checked
 *   C2 known      the same was accepted from a session that ended unseen: the first id is the
 *                 answer, nothing is added
 *   C3 ordered    somebody has room; one commit: body, one record a recipient, notices, trace
 *   C4 durable    the answer leaves; the message is open (core/resent.h R1). Of SAML: once it was
 *                 shown, too
 *   C5 refused    the answer is an error; nothing of it will ever appear
 *
 * The answer leaves only from C2, C4 and C5.
 */
#include "core/transaction.h"

#include "base/must.h"
#include "core/departing.h"
#include "core/room.h"
#include "core/showing.h"
#include "core/signed.h"
#include "core/submission.h"
#include "core/told.h"
#include "core/upload.h"
#include "format/message_id.h"
#include "format/screen.h"

enum {
    DIGEST_SIZE = 32,
    RECEIVED_MAX = 4096,
    FACTS_MAX = 4096,
    /* What a reader gets at most (format/reencode.h): the smallest part that needs a label of ours
     * has ten octets and becomes 48. */
    SERVED_TIMES = 8,
    SERVED_MORE = 256,
};

/* --- C1: is what the edge says possible? --- */

static struct err commit_check(const struct request *request, const struct transaction *transaction,
                               const struct upload_slot *slot)
{
    const struct msg_commit *asked = &request->msg.commit;
    const struct conf *conf = request->peer->core->conf;
    if (asked->token.n != TRY_TOKEN_SIZE || asked->digest.n != DIGEST_SIZE ||
        asked->received.n > RECEIVED_MAX || asked->trace_facts.n > FACTS_MAX ||
        (asked->body_hash.n && asked->body_hash.n != DIGEST_SIZE) ||
        asked->body_type > BODY_BINARYMIME || asked->shown.n > SCREEN_OCTETS)
        return err_detail(ERR_BUS_BROKEN, STR("a commit with impossible fields"));
    /* The header of a submission may have grown since the edge held it against the limit. */
    uint64_t grown = transaction->login ? conf->smtp.header_size : 0;
    if (asked->size > conf->smtp.message_size + grown)
        return err_make(ERR_MESSAGE_TOO_LARGE);
    if (asked->served_extra > (SERVED_TIMES - 1) * asked->size + SERVED_MORE)
        return err_detail(ERR_BUS_BROKEN, STR("a commit of more than it can be served as"));
    if (asked->upload && (!slot || slot->dropped || slot->octets != asked->size))
        return err_detail(ERR_BUS_BROKEN, STR("a commit of no such upload"));
    if (asked->recipients_count == 0)
        return err_detail(ERR_BUS_BROKEN, STR("a commit for nobody"));
    for (size_t i = 0; i < asked->recipients_count; i++) {
        uint32_t token = asked->recipients[i].token;
        if (token == 0 || token > transaction->recipient_count)
            return err_detail(ERR_BUS_BROKEN, STR("a token that was not given out"));
    }
    return err_none();
}

/* --- C2: repetitions --- */

static struct err key_make(const struct request *request, struct transaction *transaction,
                           struct resent_key *key_r)
{
    const struct msg_commit *asked = &request->msg.commit;
    size_t count = asked->recipients_count;
    struct str *texts = arena_take_array(&transaction->arena, count + 1, sizeof(*texts));
    if (!texts)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        texts[i] = transaction_recipient(request, transaction, i)->text;
    /* What was shown is not the same as what is to be kept. */
    if (transaction->command != MAIL_MAIL)
        texts[count++] = mail_command_word(transaction->command);
    *key_r =
        resent_key(transaction->client, transaction->reverse_path, texts, count, asked->digest);
    return err_none();
}

/* --- C3: the commit --- */

static void trace_accepted(struct delivery *delivery, const struct transaction *transaction,
                           const struct msg_commit *asked, struct str try)
{
    struct trace_event *event = delivery_event(delivery, TRACED_accepted);
    trace_text(event, TRACE_client, transaction->client);
    trace_text(event, TRACE_helo, transaction->helo);
    trace_text(event, TRACE_protocol, str_from(transmission_word(transaction->transmission)));
    trace_text(event, TRACE_sender, transaction->reverse_path);
    trace_number(event, TRACE_size, asked->size);
    trace_text(event, TRACE_facts, asked->trace_facts);
    if (transaction->login)
        trace_text(event, TRACE_account, transaction->account_address);
    if (try.n)
        trace_text(event, TRACE_try, try);
}

static void trace_expansion(struct delivery *delivery, const struct accepted_recipient *recipient)
{
    if (recipient->moved_to.p) {
        struct trace_event *event = delivery_event(delivery, TRACED_forwarded);
        trace_text(event, TRACE_recipient, recipient->text);
        trace_text(event, TRACE_address, recipient->moved_to);
        return;
    }
    struct str list = str_null(), owner = str_null();
    if (recipient->copy_count) {
        list = recipient->copies[0].list;
        owner = recipient->copies[0].list_owner;
    } else if (recipient->outside_count) {
        list = recipient->outside[0].list;
        owner = recipient->outside[0].list_owner;
    }
    if (list.n) {
        struct trace_event *event = delivery_event(delivery, TRACED_expanded);
        trace_text(event, TRACE_list, list);
        trace_text(event, TRACE_recipient, recipient->text);
        trace_text(event, TRACE_owner, owner);
    }
}

/* One of several has no room: the others get the message, this is the end for it. */
static void trace_no_room(struct delivery *delivery, const struct transaction *transaction,
                          const struct accepted_recipient *recipient, enum err_code error)
{
    const struct err_row *row = err_row(error);
    struct trace_event *event = delivery_event(delivery, TRACED_refused);
    trace_text(event, TRACE_client, transaction->client);
    trace_text(event, TRACE_helo, transaction->helo);
    trace_text(event, TRACE_sender, transaction->reverse_path);
    trace_text(event, TRACE_recipient, recipient->text);
    trace_text(event, TRACE_command, STR("the end of the message"));
    trace_number(event, TRACE_reply, (uint64_t)row->smtp);
    trace_text(event, TRACE_status, str_from(row->enhanced));
    trace_text(event, TRACE_text, str_from(row->text));
}

static struct err body_put(struct request *request, struct transaction *transaction,
                           struct upload_slot *slot, struct blob_put *put_r)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct peer *peer = request->peer;
    struct engine *engine = peer->core->engine;
    if (slot) {
        struct err e = engine_upload_finish(engine, slot->upload);
        *put_r = (struct blob_put){.blob = slot->blob, .upload = slot->upload};
        return e;
    }
    struct iovec *parts = arena_take_array(&transaction->arena, asked->body_count, sizeof(*parts));
    if (!parts)
        return err_make(ERR_NO_MEMORY);
    if (!peer_slabs(peer, asked->body, asked->body_count, asked->size, parts))
        return err_detail(ERR_BUS_BROKEN, STR("a body out of range"));
    *put_r = (struct blob_put){
        .blob = engine_blob_new(engine), .body = parts, .body_parts = asked->body_count};
    return err_none();
}

static struct err message_put(struct request *request, struct transaction *transaction,
                              struct upload_slot *slot, const struct departing *departing,
                              struct str front, struct delivery *delivery)
{
    const struct msg_commit *asked = &request->msg.commit;
    if (delivery->copy_count == 0 && departing->count == 0)
        return err_none();
    struct message_head head = {
        .served_extra = asked->served_extra,
        .body_type = (enum body_type)asked->body_type,
        .return_path = transaction->reverse_path,
        .received = front,
        .summary = peer_slabs_copy(request->peer, asked->summary, asked->summary_count,
                                   &transaction->arena),
    };
    if (!head.summary.p)
        return err_detail(ERR_BUS_BROKEN, STR("a summary out of range"));
    struct blob_put put;
    struct err e = body_put(request, transaction, slot, &put);
    if (err_is(e))
        return e;
    delivery->upload = slot ? &slot->upload : NULL;
    e = delivery_put(delivery, &head, asked->size, put, delivery->copies, delivery->copy_count);
    return err_is(e) ? e
                     : departing_put(request, transaction, delivery, departing, put.blob,
                                     head.received.n);
}

/* What the log and the trace keep of a try, for whoever asks after it; empty: nobody may. */
struct try_names {
    struct str tag, text;
};

/* What its account sent is kept with the message, or neither is. */
static struct err sending_put(struct delivery *delivery, const struct transaction *transaction)
{
    const struct sender *sender = transaction->sends;
    if (!sender || sender->account & SENDER_LOCAL)
        return err_none();
    if (!op_list_more(&delivery->ops, delivery->arena, SENDING_OPS))
        return err_make(ERR_NO_MEMORY);
    sending_ops(sender->account, &sender->sending, delivery->arena, &delivery->ops);
    return err_none();
}

/* May yield. What stands in front of the body: our signatures before Received. */
static struct err front_sign(const struct request *request, struct transaction *transaction,
                             struct str header, struct str *front)
{
    struct arena *arena = &transaction->arena;
    struct str fields;
    struct err e = signed_fields(request, transaction, header, arena, &fields);
    if (err_is(e) || !fields.n)
        return e;
    struct buf text = buf_in(arena, fields.n + front->n);
    buf_put(&text, fields);
    buf_put(&text, *front);
    *front = buf_built(&text);
    return err_make(front->p ? ERR_NONE : ERR_NO_MEMORY);
}

/* May yield. The message itself: the copies, what goes elsewhere, what its sender is told at once.
 */
static struct err leave(struct request *request, struct transaction *transaction,
                        struct upload_slot *slot, const struct msg_outcome *outcomes,
                        struct delivery *delivery)
{
    struct departing departing;
    struct str header = str_make("", 0), front = request->msg.commit.received;
    struct err e = err_none();
    if (departing_any(request, transaction) || told_any(request, transaction, outcomes))
        e = arrived_header(request, slot, &transaction->arena, &header);
    if (!err_is(e))
        e = departing_tag(transaction, header);
    if (!err_is(e))
        e = departing_take(request, transaction, outcomes, header, &departing);
    if (!err_is(e) && departing.loop_count && departing.count + delivery->copy_count == 0)
        e = err_make(ERR_MAIL_LOOP);
    if (!err_is(e))
        e = departing_trace(&departing, delivery);
    if (!err_is(e) && departing.count)
        e = front_sign(request, transaction, header, &front);
    if (!err_is(e) && transaction->later)
        e = departing_stay(request, transaction, outcomes, delivery, &departing);
    if (!err_is(e))
        e = message_put(request, transaction, slot, &departing, front, delivery);
    return err_is(e) ? e : told_put(request, transaction, outcomes, &departing, header, delivery);
}

static struct err deliver(struct request *request, struct transaction *transaction,
                          struct upload_slot *slot, const struct msg_outcome *outcomes,
                          const struct try_names *names, const struct showing *showing)
{
    const struct msg_commit *asked = &request->msg.commit;
    size_t copies = 0, count = asked->recipients_count;
    for (size_t i = 0; i < count; i++)
        copies += transaction_recipient(request, transaction, i)->copy_count;
    struct delivery delivery;
    struct err e = delivery_init(&delivery, request->peer->core, &transaction->arena,
                                 transaction->message, copies, 1 + count);
    struct addr *addrs = arena_take_array(&transaction->arena, count, sizeof(*addrs));
    if (err_is(e) || !addrs)
        return err_make(ERR_NO_MEMORY);
    transaction->later = transaction->options.hold_until * US_PER_SECOND > delivery.now;
    delivery.later = transaction->later;
    trace_accepted(&delivery, transaction, asked, names->text);
    e = showing_trace(showing, &delivery);
    if (err_is(e))
        return e;
    for (size_t i = 0; i < count; i++) {
        const struct accepted_recipient *recipient = transaction_recipient(request, transaction, i);
        addrs[i] = recipient->addr;
        if (outcomes[i].error) {
            trace_no_room(&delivery, transaction, recipient, (enum err_code)outcomes[i].error);
            continue;
        }
        trace_expansion(&delivery, recipient);
        delivery_take_copies(&delivery, recipient->copies, recipient->copy_count, false);
    }
    for (size_t i = 0; i < count; i++) {
        const struct accepted_recipient *recipient = transaction_recipient(request, transaction, i);
        if (!outcomes[i].error)
            delivery_take_copies(&delivery, recipient->copies, recipient->copy_count, true);
    }
    e = leave(request, transaction, slot, outcomes, &delivery);
    if (!err_is(e))
        e = delivery_notices(&delivery);
    if (!err_is(e))
        e = sending_put(&delivery, transaction);
    return err_is(e) ? e
                     : delivery_commit(&delivery, &transaction->sender, addrs, count, names->tag);
}

/* --- The whole of it --- */

static void log_accepted(const struct request *request, const struct transaction *transaction,
                         uint64_t message, bool repeated)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(message, id);
    log_event(request->peer->core->log, LOG_INFO, repeated ? "repeated" : "accepted",
              log_str("id", str_make(id, sizeof(id))), log_str("client", transaction->client),
              log_str("from", transaction->reverse_path),
              log_u64("recipients", request->msg.commit.recipients_count),
              log_u64("size", request->msg.commit.size));
}

static bool any_refused(const struct msg_committed *committed)
{
    for (size_t i = 0; i < committed->outcomes_count; i++)
        if (committed->outcomes[i].error)
            return true;
    return false;
}

static struct err room(struct request *request, const struct transaction *transaction,
                       struct msg_committed *committed)
{
    return room_judge(transaction, request->msg.commit.size, committed->outcomes,
                      committed->outcomes_count);
}

/* SEND and SOML, in front of the commit: mail is what nobody was shown. */
static struct err show_first(struct request *request, struct transaction *transaction,
                             struct msg_committed *committed, struct showing *showing)
{
    if (transaction->command != MAIL_SEND && transaction->command != MAIL_SOML)
        return err_none();
    showing_run(request, transaction, showing);
    if (transaction->command == MAIL_SEND)
        return err_make(showing->count ? ERR_NONE : ERR_USER_NOT_ON);
    return room(request, transaction, committed);
}

/* What was shown cannot be taken back: where nothing else was to be kept it is no failure that its
 * trace is not. */
static struct err shown_anyway(const struct core *core, const struct transaction *transaction,
                               const struct showing *showing, struct err e)
{
    if (!err_is(e) || e.code == ERR_BUS_BROKEN || !showing->count || !showing_is_all(transaction))
        return e;
    log_err(core->log, "showing_not_traced", e);
    return err_none();
}

/* C3 to C4. *known_r: an answer that was lost may be given again; not where some recipients were
 * refused, for the token and the key say nothing of whom. */
static struct err deliver_counted(struct request *request, struct transaction *transaction,
                                  struct upload_slot *slot, struct try_token token,
                                  struct resent_key key, struct msg_committed *committed,
                                  bool *known_r)
{
    unsigned char tag[TRY_TAG_SIZE];
    char text[TRY_TEXT_SIZE];
    struct try_names names = {.tag = str_null(), .text = str_null()};
    struct showing showing = {.count = 0};
    struct err e = show_first(request, transaction, committed, &showing);
    if (err_is(e))
        return e;
    *known_r = !any_refused(committed);
    committed->message = transaction->message;
    if (*known_r) {
        resent_tag(tag, token, transaction->message, key);
        resent_try_print(token, key, text);
        names = (struct try_names){str_make(tag, sizeof(tag)), str_make(text, sizeof(text))};
    }
    e = deliver(request, transaction, slot, committed->outcomes, &names, &showing);
    return shown_anyway(request->peer->core, transaction, &showing, e);
}

static struct err deliver_new(struct request *request, struct transaction *transaction,
                              struct upload_slot *slot, struct try_token token,
                              struct resent_key key, struct msg_committed *committed, bool *known_r)
{
    bool kept = transaction->command == MAIL_MAIL || transaction->command == MAIL_SAML;
    struct err e = kept ? room(request, transaction, committed) : err_none();
    if (!err_is(e))
        e = submission_count(request, transaction);
    if (err_is(e))
        return e;
    e = deliver_counted(request, transaction, slot, token, key, committed, known_r);
    submission_counted(request, transaction, !err_is(e));
    return e;
}

/* May yield. SAML, behind the commit: a terminal that takes nothing is no failure. */
static void show_behind(struct request *request, struct transaction *transaction)
{
    struct showing showing;
    if (transaction->command != MAIL_SAML)
        return;
    showing_run(request, transaction, &showing);
    showing_trace_late(&showing, transaction);
}

/* C2, or C3 to C4. `key`: of the message; the caller's flight is around it. */
static struct err accept_try(struct request *request, struct transaction *transaction,
                             struct upload_slot *slot, struct resent_key key,
                             struct msg_committed *committed)
{
    struct peer *peer = request->peer;
    struct resent *resent = peer->core->resent;
    struct try_token token;
    memcpy(token.octets, request->msg.commit.token.p, sizeof(token.octets));
    committed->message = resent_find(resent, key);
    committed->repeated = committed->message != 0;
    bool known = true;
    if (committed->repeated) {
        resent_repeat(resent, peer, token, committed->message, key);
    } else {
        struct err e = deliver_new(request, transaction, slot, token, key, committed, &known);
        if (err_is(e))
            return e;
        if (known)
            resent_open(resent, peer, token, committed->message, key);
        show_behind(request, transaction);
    }
    if (known && peer->gone) /* nobody is left to say it */
        resent_unseen(resent, peer, committed->message);
    return err_none();
}

static struct err accept_message(struct request *request, struct transaction *transaction,
                                 struct upload_slot *slot, struct msg_committed *committed)
{
    struct resent *resent = request->peer->core->resent;
    struct err e = commit_check(request, transaction, slot);
    struct resent_key key;
    if (!err_is(e))
        e = submission_judge(request, transaction);
    if (!err_is(e))
        e = key_make(request, transaction, &key);
    if (err_is(e))
        return e;
    struct resent_flight flight;
    resent_flight_begin(resent, request->peer, key, &flight);
    if (request->peer->gone)
        resent_flight_lose(resent, &flight);
    e = accept_try(request, transaction, slot, key, committed);
    resent_flight_end(resent, &flight);
    if (err_is(e))
        return e;
    log_accepted(request, transaction, committed->message, committed->repeated);
    return err_none();
}

static void outcomes_set(const struct request *request, struct msg_committed *committed,
                         struct err e)
{
    for (size_t i = 0; i < committed->outcomes_count; i++)
        committed->outcomes[i] = (struct msg_outcome){
            .token = request->msg.commit.recipients[i].token, .error = (uint16_t)e.code};
}

/* The transaction, where there is one, is the caller's to release; also with an error. */
static struct err transaction_take_over(struct request *request, struct msg_committed *committed,
                                        struct transaction **transaction_r)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct peer *peer = request->peer;
    size_t count = asked->addresses_count ? asked->addresses_count : asked->recipients_count;
    committed->outcomes = arena_take_array(&request->arena, count, sizeof(struct msg_outcome));
    if (!committed->outcomes)
        return err_make(ERR_NO_MEMORY);
    if (asked->addresses_count > 0) {
        struct err e = transaction_of_addresses(request, transaction_r, committed->outcomes);
        if (*transaction_r)
            committed->outcomes_count = count;
        return e;
    }
    *transaction_r = transaction_find(peer, asked->transaction);
    if (!*transaction_r)
        return err_detail(ERR_BUS_BROKEN, STR("a commit of no such transaction"));
    transaction_hold(*transaction_r);
    transaction_end(peer, *transaction_r);
    committed->outcomes_count = count;
    outcomes_set(request, committed, err_none());
    return err_none();
}

static struct err commit_run(struct request *request, struct transaction *transaction,
                             struct msg_committed *committed)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct peer *peer = request->peer;
    struct upload_slot *slot = asked->upload ? upload_find(peer, asked->upload) : NULL;
    bool ours = slot && !slot->busy;
    if (ours)
        slot->busy = true;
    struct err e = accept_message(request, transaction, ours ? slot : NULL, committed);
    if (ours) {
        slot->busy = false;
        upload_forget(peer, slot);
    }
    if (err_is(e))
        outcomes_set(request, committed, err_told(e));
    return e;
}

void serve_commit(struct request *request)
{
    struct peer *peer = request->peer;
    struct transaction *transaction = NULL;
    struct msg answer = {.kind = MSG_committed};
    struct err e = transaction_take_over(request, &answer.committed, &transaction);
    if (!err_is(e))
        e = commit_run(request, transaction, &answer.committed);
    if (transaction)
        transaction_release(transaction);
    answer.committed.error = (uint16_t)err_told(e).code;
    if (e.code == ERR_SENDER_NOT_OWNED)
        answer.committed.text = e.detail;
    answer.committed.next = err_is(e) ? 0 : peer_id_give(peer);
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(peer, e);
    else if (err_is(e))
        log_err(peer->core->log, "not_accepted", e);
}

void serve_ask_commit(struct request *request)
{
    struct msg answer = {.kind = MSG_committed};
    const struct msg_ask_commit *asked = &request->msg.ask_commit;
    bool repeated;
    uint64_t message = resent_ask(request->peer->core->resent, request->peer, asked->token,
                                  asked->message, &repeated);
    answer.committed.repeated = repeated;
    answer.committed.message = message;
    answer.committed.error = message ? ERR_NONE : ERR_NOT_FOUND;
    request_answer(request, &answer);
}

void serve_seen(struct request *request)
{
    const struct msg_seen *seen = &request->msg.seen;
    for (size_t i = 0; i < seen->messages_count; i++)
        resent_seen(request->peer->core->resent, request->peer, seen->messages[i].message);
}

/* false: no edge of ours says this. */
static bool report_of(const struct msg_try_end *said, struct try_report *report_r)
{
    if (said->token.n != TRY_TOKEN_SIZE || said->end >= TRY_ENDS)
        return false;
    *report_r = (struct try_report){.message = said->message, .end = (enum try_end)said->end};
    memcpy(report_r->token.octets, said->token.p, TRY_TOKEN_SIZE);
    return true;
}

/* May yield: until it is durable. An end that cannot be made so is said again to the next core. */
void serve_tries(struct request *request)
{
    struct peer *peer = request->peer;
    const struct msg_tries *said = &request->msg.tries;
    size_t count = said->tries_count, kept = 0;
    struct try_report *reports = arena_take_array(&request->arena, count, sizeof(*reports));
    struct msg_try_name *names = arena_take_array(&request->arena, count, sizeof(*names));
    for (size_t i = 0; reports && names && i < count; i++) {
        if (!report_of(&said->tries[i], &reports[i])) {
            peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("no such end of a try")));
            return;
        }
        if (reports[i].end != TRY_OPEN)
            names[kept++].token = said->tries[i].token;
    }
    if (!reports || !names || err_is(resent_reported(peer->core->resent, peer, reports, count)) ||
        peer->gone)
        return;
    struct msg msg = {.kind = MSG_tries_kept, .tries_kept = {.tries = names, .tries_count = kept}};
    struct err e = kept > 0 ? link_send(&peer->link, &msg) : err_none();
    if (err_is(e))
        peer_cut(peer, e);
}
