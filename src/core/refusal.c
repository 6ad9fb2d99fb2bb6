/*
 * forget and refused: what came to nothing. A refusal is told to the trace under an id of its own,
 * so that "where is my message" has an answer also when it never became one. These commits are
 * nobody's promise: they share a group with those that are, and where they fail nothing is lost but
 * a line of the trace. How many an edge may send a second is bounded there.
 */
#include "core/transaction.h"

#include "store/trace.h"

static void commit_ops(struct core *core, struct op_list *ops)
{
    if (ops->over)
        return;
    struct commit commit = {.ops = ops->ops, .op_count = ops->count};
    struct err e = engine_commit_wait(core->engine, &commit);
    if (err_is(e))
        log_err(core->log, "refusal_not_traced", e);
}

/* --- refused --- */

static struct trace_event refusal_event(const struct msg_refused *refused, int64_t now)
{
    const struct err_row *row = err_row((enum err_code)refused->error);
    struct trace_event event = trace_event(TRACED_refused, now);
    trace_text(&event, TRACE_client, refused->client);
    trace_text(&event, TRACE_helo, refused->helo);
    trace_text(&event, TRACE_sender, refused->reverse_path);
    trace_text(&event, TRACE_recipient, refused->recipient);
    trace_text(&event, TRACE_command, refused->command);
    trace_number(&event, TRACE_reply, (uint64_t)row->smtp);
    trace_text(&event, TRACE_status, str_from(row->enhanced));
    trace_text(&event, TRACE_text, refused->text.n ? refused->text : str_from(row->text));
    return event;
}

void serve_refused(struct request *request)
{
    const struct msg_refused *refused = &request->msg.refused;
    struct core *core = request->peer->core;
    struct arena *arena = &request->arena;
    struct addr sender, recipient;
    struct trace_event event = refusal_event(refused, world_wall(core->world));
    audit_tell(&core->audit, &event);
    bool has_sender =
        refused->reverse_path.n && !err_is(addr_parse(refused->reverse_path, arena, &sender));
    bool has_recipient =
        refused->recipient.n && !err_is(addr_parse(refused->recipient, arena, &recipient));
    if (!has_sender && !has_recipient)
        return;                                      /* nobody could look for it by an address */
    if (has_recipient && !refused->reverse_path.n) { /* RCPT comes behind MAIL: the null path */
        sender = (struct addr){.kind = ADDR_NULL};
        has_sender = true;
    }
    struct op_list ops = op_list_take(arena, trace_ops_count(1, 1));
    trace_ops(core_message_id(core), &event, 1, has_sender ? &sender : NULL, &recipient,
              has_recipient, arena, &ops);
    commit_ops(core, &ops);
}

/* --- forget --- */

static void trace_abandoned(struct core *core, struct transaction *transaction, struct str why)
{
    struct arena *arena = &transaction->arena;
    size_t count = transaction->recipient_count;
    struct addr *recipients = arena_take_array(arena, count, sizeof(*recipients));
    if (!recipients || count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        recipients[i] = transaction->recipients[i].addr;
    struct trace_event event = trace_event(TRACED_abandoned, world_wall(core->world));
    trace_text(&event, TRACE_client, transaction->client);
    trace_text(&event, TRACE_helo, transaction->helo);
    trace_text(&event, TRACE_sender, transaction->reverse_path);
    trace_text(&event, TRACE_text, why);
    struct op_list ops = op_list_take(arena, trace_ops_count(1, count));
    trace_ops(transaction->message, &event, 1, &transaction->sender, recipients, count, arena,
              &ops);
    commit_ops(core, &ops);
}

void serve_forget(struct request *request)
{
    const struct msg_forget *forget = &request->msg.forget;
    struct peer *peer = request->peer;
    struct transaction *transaction = transaction_find(peer, forget->transaction);
    if (!transaction)
        return;
    transaction_hold(transaction);
    transaction_end(peer, transaction);
    if (forget->why.n)
        trace_abandoned(peer->core, transaction, forget->why);
    transaction_release(transaction);
}
