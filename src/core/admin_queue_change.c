/*
 * queue hold, release, retry, remove, reroute; pause and resume. What is wanted is gathered on a
 * walk and changed a batch at a time, so a million entries are changed in as many small commits as
 * it takes, and others have their turn between them. What was changed stays so where it ends
 * early, and is told.
 */
#include "base/must.h"
#include "core/admin_queue.h"
#include "core/core.h"
#include "core/route.h"

struct changing {
    struct admin_call *call;
    struct queue_hand hand;
    struct queue_wish wish;
    struct queue_name names[QUEUE_CHANGES_MAX];
    size_t count;
    struct queue_changed changed;
    struct err e;
};

static bool batch_change(struct changing *changing)
{
    size_t count = changing->count;
    changing->count = 0;
    if (count)
        changing->e = queue_change(&changing->hand, &changing->wish, changing->names, count,
                                   &changing->changed);
    return !err_is(changing->e);
}

static bool change_each(void *arg, const struct queue_entry *entry, const struct queue_view *view)
{
    struct changing *changing = arg;
    (void)view;
    changing->names[changing->count++] =
        (struct queue_name){.message = entry->message, .number = entry->number};
    return changing->count < QUEUE_CHANGES_MAX || batch_change(changing);
}

/* "held 12 entries, 3 of them under way: when they are back" */
static int changed_show(struct admin_call *call, const char *done,
                        const struct queue_changed *changed)
{
    struct buf text = BUF_INIT(1024);
    if (call->admin->json) {
        json_t *object = json_object();
        json_put_text(object, "done", str_from(done));
        json_put_number(object, "entries", changed->changed);
        json_put_number(object, "under_way", changed->later);
        json_put_number(object, "unchanged", changed->same);
        json_put_number(object, "held_with_account", changed->kept);
        return admin_show(call, object);
    }
    buf_printf(&text, "%s %zu %s", done, changed->changed,
               changed->changed == 1 ? "entry" : "entries");
    if (changed->later)
        buf_printf(&text, ", %zu of them under way: that shows when their try is over",
                   changed->later);
    if (changed->same)
        buf_printf(&text, changed->same == 1 ? "; %zu stays as it was" : "; %zu stay as they were",
                   changed->same);
    if (changed->kept)
        buf_printf(&text, "; %zu stay held with their accounts (veredus account release)",
                   changed->kept);
    buf_putc(&text, '\n');
    admin_text(call, buf_str(&text));
    buf_done(&text);
    return ADMIN_OK;
}

static int wanted_read(struct admin_call *call, struct queue_wanted *wanted)
{
    bool all = admin_has(call, "--all");
    int code = queue_wanted_read(call, wanted);
    if (code)
        return code;
    if (!wanted->filtered && !all)
        return admin_refuse(call, ADMIN_USAGE,
                            "say which entries: ids, filters, or --all for every one", str_null());
    if (wanted->filtered && all)
        return admin_refuse(call, ADMIN_USAGE, "--all stands alone, without ids and filters",
                            str_null());
    return ADMIN_OK;
}

static int change(struct admin_call *call, struct queue_wish wish, const char *done)
{
    struct admin *admin = call->admin;
    struct queue_wanted wanted;
    struct changing *changing = arena_new(admin->arena, struct changing);
    int code = wanted_read(call, &wanted);
    if (code)
        return code;
    if (!changing)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    wish.operator= admin->operator;
    wish.named = wanted.id_count > 0;
    *changing = (struct changing){.call = call, .hand = queue_hand_of(admin), .wish = wish};
    struct err e = queue_walk(call, &wanted, change_each, changing);
    if (!err_is(e) && !err_is(changing->e))
        (void)batch_change(changing);
    if (!err_is(e))
        e = changing->e;
    code = changed_show(call, done, &changing->changed);
    if (!code)
        code = admin_fail(call, e);
    return code ? code : queue_unknown_tell(call, &wanted);
}

/* What people write about it; cut where the record has no more room. */
static struct str why_of(struct admin_call *call)
{
    struct str why = admin_value(call, "--why");
    return why.p ? str_head(why, QUEUE_WHY_MAX) : STR("");
}

int admin_queue_hold(struct admin_call *call)
{
    return change(call, (struct queue_wish){.kind = WISH_HOLD, .why = why_of(call)}, "held");
}

int admin_queue_release(struct admin_call *call)
{
    return change(call, (struct queue_wish){.kind = WISH_RELEASE}, "released");
}

int admin_queue_retry(struct admin_call *call)
{
    return change(call, (struct queue_wish){.kind = WISH_RETRY}, "made due");
}

int admin_queue_remove(struct admin_call *call)
{
    const struct queue_wish wish = {
        .kind = WISH_REMOVE, .why = why_of(call), .report = admin_has(call, "--report")};
    if (wish.report && !call->admin->core)
        return admin_refuse(call, ADMIN_UNAVAILABLE,
                            "senders are told by the server: start it, or leave out --report",
                            str_null());
    return change(call, wish, "removed");
}

/* --- reroute --- */

static bool is_port(struct str text)
{
    uint64_t port;
    return text.n > 0 && text.n <= 5 && str_to_u64(text, &port) && port > 0 && port <= UINT16_MAX;
}

/* "host:port" or "[address]:port", as the courier reads it. */
static bool is_host_port(struct admin_call *call, struct str text)
{
    ssize_t colon = str_last_index(text, ':');
    struct network network;
    struct str host;
    if (colon <= 0 || !is_port(str_from_index(text, (size_t)colon + 1)))
        return false;
    struct str name = str_head(text, (size_t)colon);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        return network_address(str_make(name.p + 1, name.n - 2), &network);
    return network_address(name, &network) ? str_index(name, ':') < 0
                                           : !err_is(host_parse(name, call->admin->arena, &host));
}

/* "@NAME" of a route block; `rest`: "@NAME/domain", too. */
static bool is_block(const struct admin_call *call, struct str text, bool rest)
{
    if (!str_starts(text, STR("@")) || text.n > ROUTE_DESTINATION_MAX)
        return false;
    struct str name = str_from_index(text, 1), domain = name;
    return conf_route_named(call->admin->conf, rest ? str_cut(&domain, '/') : name) != NULL;
}

int admin_queue_reroute(struct admin_call *call)
{
    struct str to = admin_value(call, "--to"), host = to;
    if (to.p && str_starts(to, STR("lmtp:")))
        host = str_from_index(to, 5);
    bool known =
        to.p && (str_eq(to, STR("mx")) || str_eq(to, STR("configured")) ||
                 is_block(call, to, false) || (to.n <= ADDR_PATH_MAX && is_host_port(call, host)));
    if (!known && to.p && str_starts(to, STR("@")))
        return admin_refuse(call, ADMIN_NO_HOST, "no route block has this name:", to);
    if (!known)
        return admin_refuse(
            call, ADMIN_USAGE,
            to.p ? "expected --to host:port, lmtp:host:port, @ROUTE, mx or configured, not"
                 : "expected --to host:port, lmtp:host:port, @ROUTE, mx or configured",
            to);
    const struct queue_wish wish = {.kind = WISH_REROUTE,
                                    .route = str_eq(to, STR("configured")) ? STR("") : to};
    return change(call, wish, "rerouted");
}

/* --- pause, resume --- */

/* A domain as it is stored, a route block, or a host as an operator writes it; empty: all. */
static int destination_read(struct admin_call *call, struct str *destination_r)
{
    *destination_r = STR("");
    if (call->count == 0)
        return ADMIN_OK;
    *destination_r = call->words[0];
    if (is_block(call, call->words[0], true) ||
        (str_index(call->words[0], ':') >= 0 && call->words[0].n <= ADDR_PATH_MAX))
        return ADMIN_OK;
    return admin_domain_name(call, call->words[0], destination_r);
}

static int paused_show(struct admin_call *call, const char *done, struct str destination)
{
    return destination.n ? admin_done(call, done, "destination", destination)
                         : admin_done(call, done, "queue:", STR("all destinations"));
}

int admin_queue_pause(struct admin_call *call)
{
    const struct queue_hand hand = queue_hand_of(call->admin);
    struct str destination;
    int code = destination_read(call, &destination);
    if (!code)
        code = admin_fail(call, queue_pause(&hand, destination, why_of(call)));
    return code ? code : paused_show(call, "paused", destination);
}

int admin_queue_resume(struct admin_call *call)
{
    const struct queue_hand hand = queue_hand_of(call->admin);
    struct str destination;
    int code = destination_read(call, &destination);
    if (!code)
        code = admin_fail(call, queue_resume(&hand, destination));
    return code ? code : paused_show(call, "resumed", destination);
}
