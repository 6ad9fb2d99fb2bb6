/*
 * What a mailbox session asks: rows and removal; octets are in fetch.c. The view is the session's
 * own (the edge keeps the rows it was given); here every question is answered from what is durable
 * now.
 */
#include "core/login.h"

#include "base/must.h"
#include "core/delivery.h"
#include "store/trace.h"

enum {
    ROWS_PAGE = 2000,
    EXPUNGE_TRIES = 5,
    EXPUNGE_OPS_PER_UID = MAILBOX_EXPUNGE_OPS + 1, /* and the event of its message, */
    EXPUNGE_OPS_MORE = MAILBOX_EXPUNGE_MORE + 1,   /* and what the trace has grown by */
    EXPUNGE_ARENA = 64 * 1024,
    EXPUNGE_ARENA_PER_OP = 512, /* octets for an operation, its key, what it removes or writes */
};

_Static_assert(MAILBOX_EXPUNGE_MAX *EXPUNGE_OPS_PER_UID + EXPUNGE_OPS_MORE <= ENGINE_COMMIT_OPS_MAX,
               "all that one session may remove is one commit");

/* --- mailbox_open --- */

static struct err mailbox_choose(struct request *request, struct login *login, struct str asked)
{
    struct str name;
    struct mailbox mailbox;
    struct err e = mailbox_name_parse(asked, &request->arena, &name);
    if (!err_is(e))
        e = mailbox_find(request->peer->core->engine, login->account, name, &request->arena,
                         &mailbox);
    if (err_is(e))
        return e;
    login->open = mailbox.id;
    login->uid_validity = mailbox.uid_validity;
    return err_none();
}

static struct err rows_read(struct request *request, struct login *login,
                            struct msg_mailbox_rows *rows)
{
    const struct msg_mailbox_open *asked = &request->msg.mailbox_open;
    struct mailbox_row *found;
    size_t count;
    bool more;
    struct err e = err_none();
    if (asked->from_uid == 0)
        e = mailbox_choose(request, login, asked->mailbox);
    if (!err_is(e) && login->open == 0)
        e = err_make(ERR_COMMAND_ORDER);
    if (!err_is(e))
        e = mailbox_rows(request->peer->core->engine, login->open, asked->from_uid, ROWS_PAGE,
                         &request->arena, &found, &count, &more);
    if (err_is(e))
        return e;
    rows->rows = arena_take_array(&request->arena, count, sizeof(struct msg_row));
    if (!rows->rows)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        rows->rows[i] = (struct msg_row){.uid = found[i].uid, .size = found[i].size};
    rows->rows_count = count;
    rows->more = more;
    rows->uid_validity = login->uid_validity;
    return err_none();
}

void serve_mailbox_open(struct request *request)
{
    struct login *login = login_find(request->peer, request->msg.mailbox_open.handle);
    struct msg answer = {.kind = MSG_mailbox_rows};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = rows_read(request, login, &answer.mailbox_rows);
        login_release(login);
    }
    answer.mailbox_rows.error = (uint16_t)e.code;
    request_answer(request, &answer);
}

/* --- expunge --- */

static struct err pages_add(struct request *request, struct uid_set *set)
{
    const struct msg_expunge *asked = &request->msg.expunge;
    size_t need = set->count + asked->uids_count;
    if (need > MAILBOX_EXPUNGE_MAX)
        return err_make(ERR_OVER_LIMIT);
    if (need > set->room) {
        uint32_t *uids = realloc(set->uids, need * sizeof(*uids));
        if (!uids)
            return err_make(ERR_NO_MEMORY);
        set->uids = uids;
        set->room = need;
    }
    for (size_t i = 0; i < asked->uids_count; i++)
        set->uids[set->count++] = asked->uids[i].uid;
    return err_none();
}

static int uid_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* In order, each once. */
static void uids_tidy(struct uid_set *set)
{
    size_t kept = 0;
    if (set->count)
        qsort(set->uids, set->count, sizeof(*set->uids), uid_order);
    for (size_t i = 0; i < set->count; i++)
        if (i == 0 || set->uids[i] != set->uids[i - 1])
            set->uids[kept++] = set->uids[i];
    set->count = kept;
}

static struct str protocol_name(enum listen_protocol protocol)
{
    return protocol == LISTEN_POP3 ? STR("POP3") : STR("-");
}

/* May yield. Each message's trace tells who removed this copy. */
static struct err removals_trace(struct core *core, const struct login *login,
                                 const struct mailbox_removed *removed, size_t count,
                                 struct arena *arena, struct op_list *ops)
{
    struct str name;
    struct err e = mailbox_name(core->engine, login->open, arena, &name);
    int64_t now = world_wall(core->world);
    struct trace_growth growth = trace_growth(now);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        struct trace_event event = trace_event(TRACED_removed, now);
        trace_text(&event, TRACE_mailbox, name);
        trace_text(&event, TRACE_account, login->address);
        trace_number(&event, TRACE_uid, removed[i].uid);
        trace_text(&event, TRACE_protocol, protocol_name(login->protocol));
        trace_text(&event, TRACE_client, login->client);
        trace_add(&growth, removed[i].message, &event, arena, ops);
    }
    trace_grown(&growth, arena, ops);
    return e;
}

static struct err expunge_once(struct core *core, const struct login *login,
                               const struct uid_set *set, size_t *removed_r)
{
    struct arena arena;
    struct mailbox_removed *removed;
    size_t room = set->count * EXPUNGE_OPS_PER_UID + EXPUNGE_OPS_MORE;
    arena_init(&arena, EXPUNGE_ARENA + room * EXPUNGE_ARENA_PER_OP);
    struct op_list ops = op_list_take(&arena, room);
    struct err e = mailbox_expunge_ops(core->engine, login->account, login->open, set->uids,
                                       set->count, &arena, &ops, &removed, removed_r);
    if (!err_is(e) && *removed_r)
        e = removals_trace(core, login, removed, *removed_r, &arena, &ops);
    if (!err_is(e) && (ops.over || arena_over(&arena)))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e) && *removed_r) {
        struct commit commit = {.ops = ops.ops, .op_count = ops.count};
        e = engine_commit_wait(core->engine, &commit);
    }
    arena_done(&arena);
    return e;
}

static struct err expunge_all(struct core *core, const struct login *login, struct uid_set *set)
{
    struct err e = err_none();
    size_t removed = 0;
    if (login->open == 0)
        return err_make(ERR_COMMAND_ORDER);
    uids_tidy(set);
    for (int i = 0; i < EXPUNGE_TRIES; i++) {
        e = expunge_once(core, login, set, &removed);
        if (e.code != ERR_CONFLICT)
            break; /* else another session removed one of them meanwhile: that is no error */
    }
    if (!err_is(e))
        log_event(core->log, LOG_INFO, "expunged", log_str("account", login->address),
                  log_str("client", login->client), log_u64("messages", removed));
    return e;
}

static struct err expunge(struct request *request, struct login *login)
{
    struct err e = pages_add(request, &login->expunge);
    if (!err_is(e) && request->msg.expunge.more)
        return e;
    /* Taken out before we wait: another question of this handle may come meanwhile. */
    struct uid_set set = login->expunge;
    login->expunge = (struct uid_set){.uids = NULL};
    if (!err_is(e))
        e = expunge_all(request->peer->core, login, &set);
    free(set.uids);
    return e;
}

void serve_expunge(struct request *request)
{
    struct login *login = login_find(request->peer, request->msg.expunge.handle);
    struct msg answer = {.kind = MSG_expunged};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = expunge(request, login);
        login_release(login);
    }
    answer.expunged.error = (uint16_t)e.code;
    request_answer(request, &answer);
}
