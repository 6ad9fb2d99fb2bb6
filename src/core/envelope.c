/*
 * resolve, forget, verify: who are these recipients, and may this client know?
 *
 * The answer to RCPT is decided here and nowhere else. A stranger learns the same words for an
 * unknown name whatever the reason; what is not ours is relaying and refused (RFC 5321 3.6.2).
 */
#include "core/envelope.h"

#include "base/must.h"
#include "core/forwarding.h"
#include "core/route.h"
#include "core/showing.h"
#include "core/submission.h"

enum {
    /* Of one answer: a packet must hold it, whatever strangers ask (BUS_PACKET_MAX). */
    ANSWER_TEXTS = 64 * 1024,
    /* Octets of room in every mailbox: then no RCPT of the next seconds would be told 452. */
    ROOM_THAT_LASTS = 64 << 20,
};

/* --- Transactions --- */

static int transaction_order(const struct transaction *a, const struct transaction *b)
{
    return a->number < b->number ? -1 : a->number > b->number;
}

/* A tree and not a table: it takes no memory when the first transaction comes. */
RB_GENERATE_INTERNAL(transaction_tree, transaction, link, transaction_order,
                     __attribute__((unused)) static)

struct transaction *transaction_find(struct peer *peer, uint64_t number)
{
    struct transaction probe = {.number = number};
    return RB_FIND(transaction_tree, &peer->transactions, &probe);
}

static struct transaction *transaction_take(struct core *core)
{
    struct transaction *transaction = LIST_FIRST(&core->spare_transactions);
    struct arena arena;
    if (transaction) {
        LIST_REMOVE(transaction, link_kept);
        core->spare_transaction_count--;
        arena = transaction->arena;
    } else {
        transaction = malloc(sizeof(*transaction));
        arena_init_from(&arena, TRANSACTION_ARENA, &core->spares);
    }
    if (transaction)
        *transaction = (struct transaction){
            .magic = TRANSACTION_MAGIC, .core = core, .holds = 1, .arena = arena};
    return transaction;
}

static void transaction_give_back(struct transaction *transaction)
{
    struct core *core = transaction->core;
    transaction->magic = 0;
    if (core->spare_transaction_count < TRANSACTIONS_KEPT) {
        arena_reset(&transaction->arena);
        LIST_INSERT_HEAD(&core->spare_transactions, transaction, link_kept);
        core->spare_transaction_count++;
    } else {
        arena_done(&transaction->arena);
        free(transaction);
    }
}

void transactions_spare_free(struct core *core)
{
    struct transaction *transaction;
    while ((transaction = LIST_FIRST(&core->spare_transactions))) {
        LIST_REMOVE(transaction, link_kept);
        arena_done(&transaction->arena);
        free(transaction);
    }
    core->spare_transaction_count = 0;
}

void transaction_hold(struct transaction *transaction)
{
    transaction->holds++;
}

void transaction_release(struct transaction *transaction)
{
    must_be(transaction, TRANSACTION_MAGIC);
    if (--transaction->holds == 0)
        transaction_give_back(transaction);
}

void transaction_end(struct peer *peer, struct transaction *transaction)
{
    if (transaction->over)
        return;
    transaction->over = true;
    peer->transaction_octets -= transaction->counted;
    RB_REMOVE(transaction_tree, &peer->transactions, transaction);
    peer->transaction_count--;
    transaction_release(transaction);
}

void transactions_drop(struct peer *peer)
{
    struct transaction *transaction;
    while ((transaction = RB_MIN(transaction_tree, &peer->transactions)))
        transaction_end(peer, transaction);
}

static void transaction_count(struct peer *peer, struct transaction *transaction)
{
    if (transaction->over)
        return;
    peer->transaction_octets += transaction->arena.used - transaction->counted;
    transaction->counted = transaction->arena.used;
}

static struct err envelope_take(struct transaction *transaction, const struct msg_resolve *asked)
{
    struct arena *arena = &transaction->arena;
    transaction->transmission = (enum transmission)asked->transmission;
    transaction->command = (enum mail_command)asked->command;
    transaction->client = arena_str(arena, asked->client);
    transaction->helo = arena_str(arena, asked->helo);
    transaction->reverse_path = arena_str(arena, asked->reverse_path);
    transaction->asked = arena_str(arena, asked->asked);
    if (arena_over(arena))
        return err_make(ERR_NO_MEMORY);
    must(mail_options_read(transaction->asked, &transaction->options));
    if (asked->reverse_path.n == 0)
        return err_none();
    return addr_parse(transaction->reverse_path, arena, &transaction->sender);
}

static struct err transaction_begin(struct peer *peer, const struct msg_resolve *asked,
                                    uint64_t message, struct transaction **transaction_r)
{
    if (peer->transaction_count >= PEER_TRANSACTIONS_MAX)
        return err_make(ERR_OVER_LIMIT);
    struct transaction *transaction = transaction_take(peer->core);
    if (!transaction)
        return err_make(ERR_NO_MEMORY);
    transaction->number = asked->transaction;
    transaction->message = message;
    struct err e = envelope_take(transaction, asked);
    if (err_is(e)) {
        transaction_release(transaction);
        return e;
    }
    RB_INSERT(transaction_tree, &peer->transactions, transaction);
    peer->transaction_count++;
    *transaction_r = transaction;
    return err_none();
}

static struct err recipient_add(struct transaction *transaction, const struct addr *addr,
                                const struct msg_address *named, const struct resolved *resolved,
                                uint32_t *token_r)
{
    struct arena *arena = &transaction->arena;
    if (transaction->recipient_count == transaction->recipient_room) {
        size_t room = transaction->recipient_room ? transaction->recipient_room * 2 : 4;
        struct accepted_recipient *recipients = arena_take_array(arena, room, sizeof(*recipients));
        if (!recipients)
            return err_make(ERR_TOO_MANY_RECIPIENTS);
        if (transaction->recipient_count)
            memcpy(recipients, transaction->recipients,
                   transaction->recipient_count * sizeof(*recipients));
        transaction->recipients = recipients;
        transaction->recipient_room = room;
    }
    transaction->recipients[transaction->recipient_count++] = (struct accepted_recipient){
        .addr = *addr,
        .text = named->text,
        .asked = named->asked,
        .copies = resolved->copies,
        .copy_count = resolved->count,
        .outside = resolved->outside,
        .outside_count = resolved->outside_count,
        .moved_to = resolved->forwarded ? resolved->moved_to : str_null()};
    *token_r = (uint32_t)transaction->recipient_count;
    return err_none();
}

/* --- resolve --- */

static void refuse(struct msg_answer *answer, struct err e)
{
    e = err_told(e);
    answer->error = (uint16_t)e.code;
    answer->reply = (uint16_t)err_row(e.code)->smtp;
}

/* <postmaster>, the one recipient without a domain (RFC 5321 4.5.1), or an address. */
static struct err recipient_parse(struct str text, struct arena *arena, struct addr *addr_r)
{
    if (!str_eq_nocase(text, STR("postmaster")))
        return addr_parse(text, arena, addr_r);
    *addr_r = (struct addr){.local = STR("postmaster"), .kind = ADDR_LOCAL_ONLY};
    return err_none();
}

static bool room_lasts(const struct resolved *resolved)
{
    for (size_t i = 0; i < resolved->count; i++) {
        const struct copy *copy = &resolved->copies[i];
        if (copy_room(copy, ROOM_THAT_LASTS) != ERR_NONE)
            return false;
    }
    return true;
}

static void refuse_recipient(struct msg_answer *answer, struct err e,
                             const struct resolved *resolved)
{
    refuse(answer, e);
    if (e.code == ERR_DESTINATION_DENIED)
        answer->text = e.detail;
    if (e.code == ERR_MAILBOX_MOVED)
        answer->text = resolved->moved_to;
    if (e.code == ERR_NOT_SENDING)
        answer->text = STR("this server does not send to other servers");
}

/* A route that refuses it is known before anything is promised. */
static struct err way_judge(const struct core *core, const struct transaction *transaction,
                            struct arena *arena, const struct resolved *resolved)
{
    for (size_t i = 0; i < resolved->outside_count && core->conf->route_count > 0; i++) {
        struct str words = route_denies(core->conf, transaction->reverse_path,
                                        transaction->account_address, resolved->outside[i].text);
        if (words.n > 0)
            return err_detail(ERR_DESTINATION_DENIED, arena_str(arena, words));
    }
    return err_none();
}

/* Elsewhere: for whom we relay the address is its own target. */
static struct err relay(const struct core *core, const struct policy *policy,
                        const struct addr *addr, struct str text, struct arena *arena,
                        struct resolved *resolved)
{
    if (resolved->kind == RESOLVED_RELAY && policy_relays(core->conf, policy)) {
        resolved->outside = arena_new(arena, struct outside);
        if (!resolved->outside)
            return err_make(ERR_TOO_MANY_RECIPIENTS);
        *resolved->outside = (struct outside){.addr = *addr, .text = text};
        resolved->outside_count = 1;
        resolved->refusal = err_none();
    }
    if (resolved->outside_count && core->conf->sending.processes == 0)
        return err_make(ERR_NOT_SENDING);
    return err_none();
}

struct err envelope_find(struct core *core, const struct transaction *transaction,
                         const struct envelope_question *question, struct arena *arena,
                         struct envelope_found *found_r)
{
    struct resolved *resolved = &found_r->resolved;
    struct addr *addr = &found_r->addr;
    bool null_path = transaction->reverse_path.n == 0;
    *found_r = (struct envelope_found){.addr.kind = ADDR_LOCAL_ONLY};
    struct err e = recipient_parse(question->recipient, arena, addr);
    found_r->policy = policy_of(core->conf, addr, transaction->client, transaction->login != 0);
    if (!err_is(e))
        e = err_make(policy_judge(&found_r->policy));
    if (!err_is(e))
        e = forwarding_is_back(core, addr, arena, &found_r->back);
    if (!err_is(e) && found_r->back)
        e = forwarding_back(core, addr, null_path, arena, resolved);
    else if (!err_is(e))
        e = directory_resolve(&core->directory, addr, question->size, question->server, arena,
                              resolved);
    if (!err_is(e))
        e = relay(core, &found_r->policy, addr, question->recipient, arena, resolved);
    if (!err_is(e))
        e = way_judge(core, transaction, arena, resolved);
    return err_is(e) ? e : resolved->refusal;
}

static void resolve_one(struct core *core, struct transaction *transaction,
                        const struct msg_resolve *question, const struct msg_address *asked,
                        struct msg_answer *answer)
{
    struct arena *arena = &transaction->arena;
    const struct msg_address named = {.text = arena_str(arena, asked->text),
                                      .asked = arena_str(arena, asked->asked)};
    const struct envelope_question one = {
        .recipient = named.text, .server = question->server, .size = question->size};
    struct envelope_found found = {.resolved.refusal = err_none()};
    const struct resolved *resolved = &found.resolved;
    struct err e = named.text.p && named.asked.p
                       ? envelope_find(core, transaction, &one, arena, &found)
                       : err_make(ERR_TOO_MANY_RECIPIENTS);
    struct str words;
    e = showing_judge(core, transaction, &found.resolved, e, arena, &words);
    if (!err_is(e))
        e = recipient_add(transaction, &found.addr, &named, resolved, &answer->token);
    if (err_is(e)) {
        refuse_recipient(answer, e, resolved);
        return;
    }
    answer->error = ERR_NONE;
    answer->reply = resolved->forwarded ? 251 : 250;
    answer->text = resolved->forwarded ? resolved->moved_to : words;
    /* Who is relayed for is asked each time, and where a message to a rewritten sender goes. */
    answer->lasts = !resolved->forwarded && !found.back && resolved->kind == RESOLVED_FOUND &&
                    policy_is_for_all(&found.policy) && room_lasts(resolved) &&
                    transaction->command == MAIL_MAIL;
}

static void resolve_all(struct core *core, struct transaction *transaction,
                        const struct msg_resolve *asked, struct msg_answer *answers)
{
    size_t texts = 0;
    uint64_t left;
    struct err e = submission_left(transaction, &left);
    if (!err_is(e) && !showing_is_allowed(core, transaction))
        e = err_make(ERR_NOT_ALLOWED);
    for (size_t i = 0; i < asked->recipients_count; i++) {
        if (!err_is(e) && transaction->recipient_count >= left)
            e = err_make(ERR_SENDING_LIMIT);
        if (err_is(e)) {
            refuse(&answers[i], e);
            continue;
        }
        resolve_one(core, transaction, asked, &asked->recipients[i], &answers[i]);
        texts += answers[i].text.n;
        if (texts > ANSWER_TEXTS)
            answers[i].text = str_null(); /* The reply does without the path. */
    }
}

/* Could an edge have read this from a client? */
static bool is_possible(const struct msg_resolve *asked)
{
    struct mail_options mail;
    struct rcpt_options rcpt;
    if (asked->transmission >= TRANSMISSION_COUNT || asked->command >= MAIL_COMMANDS ||
        !mail_options_read(asked->asked, &mail))
        return false;
    if (asked->command == MAIL_SEND && asked->asked.n)
        return false;
    for (size_t i = 0; i < asked->recipients_count; i++)
        if (!rcpt_options_read(asked->recipients[i].asked, &rcpt))
            return false;
    return true;
}

void serve_resolve(struct request *request)
{
    const struct msg_resolve *asked = &request->msg.resolve;
    struct peer *peer = request->peer;
    struct msg answer = {.kind = MSG_resolved};
    struct msg_resolved *resolved = &answer.resolved;
    if (!is_possible(asked)) {
        peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("an envelope that cannot be")));
        return;
    }
    resolved->answers =
        arena_take_array(&request->arena, asked->recipients_count, sizeof(struct msg_answer));
    if (!resolved->answers) {
        peer_cut(peer, err_make(ERR_NO_MEMORY));
        return;
    }
    struct transaction *transaction = transaction_find(peer, asked->transaction);
    struct err e = err_none();
    if (!transaction)
        e = transaction_begin(peer, asked, core_message_id(peer->core), &transaction);
    if (!err_is(e))
        e = submission_enter(peer, asked->login, transaction);
    if (e.code == ERR_BUS_BROKEN) {
        peer_cut(peer, e);
        return;
    }
    if (!err_is(e) && peer->transaction_octets > PEER_TRANSACTION_OCTETS)
        e = err_make(ERR_OVER_LIMIT);
    if (err_is(e)) {
        resolved->answers_count = asked->recipients_count;
        for (size_t i = 0; i < asked->recipients_count; i++)
            refuse(&resolved->answers[i], e);
        request_answer(request, &answer);
        return;
    }
    transaction_hold(transaction);
    resolved->message = transaction->message;
    resolved->answers_count = asked->recipients_count;
    resolve_all(peer->core, transaction, asked, resolved->answers);
    transaction_count(peer, transaction);
    request_answer(request, &answer);
    transaction_release(transaction);
}

/* --- RESOLVE within COMMIT --- */

uint64_t peer_id_give(struct peer *peer)
{
    uint64_t id = core_message_id(peer->core);
    if (peer->id_count == PEER_IDS_MAX)
        memmove(peer->ids, peer->ids + 1, --peer->id_count * sizeof(*peer->ids));
    peer->ids[peer->id_count++] = id;
    return id;
}

/* The youngest are used first (edge/smtp/known.h). */
static bool id_take(struct peer *peer, uint64_t id)
{
    for (size_t i = peer->id_count; i-- > 0;) {
        if (peer->ids[i] != id)
            continue;
        memmove(peer->ids + i, peer->ids + i + 1, (--peer->id_count - i) * sizeof(*peer->ids));
        return true;
    }
    return false;
}

static struct err tokens_take(const struct msg_answer *answers, size_t count,
                              struct msg_recipient *tokens, struct msg_outcome *outcomes)
{
    enum err_code refused = ERR_NONE;
    for (size_t i = 0; i < count; i++) {
        tokens[i].token = answers[i].token;
        outcomes[i] = (struct msg_outcome){.token = answers[i].token, .error = answers[i].error};
        if (answers[i].error != ERR_NONE)
            refused = ERR_TRY_LATER; /* and then RCPT is answered with the reason */
    }
    return err_make(refused);
}

struct err transaction_of_addresses(struct request *request, struct transaction **transaction_r,
                                    struct msg_outcome *outcomes_r)
{
    struct msg_commit *commit = &request->msg.commit;
    struct peer *peer = request->peer;
    const struct msg_resolve asked = {
        .transaction = commit->transaction,
        .transmission = commit->transmission,
        .client = commit->client,
        .server = commit->server,
        .helo = commit->helo,
        .reverse_path = commit->reverse_path,
        .size = commit->size,
        .asked = commit->asked,
        .recipients = commit->addresses,
        .recipients_count = commit->addresses_count,
    };
    size_t count = asked.recipients_count;
    struct msg_answer *answers = arena_take_array(&request->arena, count, sizeof(*answers));
    struct msg_recipient *tokens = arena_take_array(&request->arena, count, sizeof(*tokens));
    if (!answers || !tokens)
        return err_make(ERR_NO_MEMORY);
    if (peer->role != ROLE_MX || commit->recipients_count > 0 || !is_possible(&asked) ||
        transaction_find(peer, asked.transaction))
        return err_detail(ERR_BUS_BROKEN, STR("addresses where there are tokens"));
    if (!id_take(peer, commit->message))
        return err_make(ERR_NOT_FOUND);
    struct transaction *transaction;
    struct err e = transaction_begin(peer, &asked, commit->message, &transaction);
    if (err_is(e))
        return e;
    transaction_hold(transaction);
    transaction_end(peer, transaction);
    resolve_all(peer->core, transaction, &asked, answers);
    e = tokens_take(answers, count, tokens, outcomes_r);
    commit->recipients = tokens;
    commit->recipients_count = count;
    *transaction_r = transaction;
    return e;
}

/* --- verify --- */

static bool may_ask(const struct core *core, struct str client)
{
    return core->conf->smtp.verify == CONF_VERIFY_OPEN ||
           conf_networks_hold(&core->conf->smtp.verify_from, client);
}

/* Which reply a VRFY or EXPN gets (RFC 5321 3.5.3): the errors' own, but for what answers. */
static uint16_t verify_reply(struct err e, bool expand)
{
    switch ((int)e.code) {
    case ERR_NONE:
        return 250;
    case ERR_USER_NOT_LIST:
        return expand ? 550 : 250;
    default:
        return (uint16_t)err_row(e.code)->smtp;
    }
}

static size_t lines_octets(const struct directory_lines *lines)
{
    size_t octets = 0;
    for (size_t i = 0; i < lines->count; i++)
        octets += lines->lines[i].n;
    return octets;
}

void serve_verify(struct request *request)
{
    const struct msg_verify *asked = &request->msg.verify;
    struct core *core = request->peer->core;
    struct msg answer = {.kind = MSG_verified};
    struct msg_verified *verified = &answer.verified;
    struct directory_lines lines = {.lines = NULL};
    struct err e = err_make(ERR_ACCESS_DENIED);
    if (may_ask(core, asked->client))
        e = asked->expand
                ? directory_expand(&core->directory, asked->text, &request->arena, &lines)
                : directory_verify(&core->directory, asked->text, &request->arena, &lines);
    if (lines_octets(&lines) > ANSWER_TEXTS) {
        e = err_make(ERR_OVER_LIMIT);
        lines.count = 0;
    }
    verified->error = (uint16_t)e.code;
    verified->reply = lines.forwarded ? 251 : verify_reply(e, asked->expand);
    verified->lines = arena_take_array(&request->arena, lines.count, sizeof(struct msg_text_line));
    verified->lines_count = verified->lines ? lines.count : 0;
    for (size_t i = 0; i < verified->lines_count; i++)
        verified->lines[i].text = lines.lines[i];
    request_answer(request, &answer);
}
