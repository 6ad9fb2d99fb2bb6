#include "core/explain.h"

#include "conf/routes.h"
#include "core/core.h"
#include "core/departing.h"

/* --- What a name is -------------------------------------------------------------------------- */

/* The command that shows what is at an address here; of a catch-all, that. */
static struct str shown_by(struct explain *explain, struct str text)
{
    struct directory *directory = &explain->core->directory;
    struct arena *arena = explain->arena;
    struct addr addr;
    union {
        struct account account;
        struct alias alias;
        struct mailing_list list;
        struct moved moved;
    } found;
    const char *what;
    if (err_is(addr_parse(text, arena, &addr)))
        return STR("veredus account list");
    if (!err_is(directory_account_show(directory, &addr, arena, &found.account)))
        what = "account";
    else if (!err_is(directory_alias_show(directory, &addr, arena, &found.alias)))
        what = "alias";
    else if (!err_is(directory_list_show(directory, &addr, arena, &found.list)))
        what = "list";
    else if (!err_is(directory_moved_show(directory, &addr, arena, &found.moved)))
        what = "moved";
    else
        return explain_text(explain, "veredus alias show @%.*s", STR_FMT(addr.domain));
    struct str shown = explain_address(explain, text);
    return explain_text(explain, "veredus %s show %.*s", what, STR_FMT(shown));
}

/* --- Refused --------------------------------------------------------------------------------- */

static struct str denying_block(struct explain *explain, const struct resolved *resolved)
{
    const struct transaction *transaction = explain->transaction;
    for (size_t i = 0; i < resolved->outside_count; i++) {
        const struct route_question question = {.recipient = resolved->outside[i].text,
                                                .sender = transaction->reverse_path,
                                                .account = transaction->account_address};
        bool unsure;
        const struct conf_route *block = conf_route_find(explain->core->conf, &question, &unsure);
        if (block && block->deny.n > 0)
            return explain_text(explain, "route %.*s { deny }", STR_FMT(block->name));
    }
    return STR("route { deny }");
}

static struct str reason_of(struct explain *explain, struct err e,
                            const struct envelope_found *found)
{
    struct str domain = found->addr.domain;
    switch ((unsigned)e.code) {
    case ERR_DESTINATION_DENIED:
        return denying_block(explain, &found->resolved);
    case ERR_RELAY_DENIED:
        return explain_text(explain, "smtp { relay_from }, domain %.*s { backup }",
                            STR_FMT(domain));
    case ERR_ACCESS_DENIED:
        return explain_text(explain, "domain %.*s { deny_from }", STR_FMT(domain));
    case ERR_NOT_SENDING:
        return STR("sending { processes = 0 }");
    case ERR_MAILBOX_MOVED:
        return shown_by(explain, explain->recipient);
    case ERR_MAILBOX_DISABLED:
    case ERR_QUOTA_FULL:
    case ERR_QUOTA_FULL_LATER:
        return shown_by(explain, explain->recipient);
    case ERR_MAILBOX_UNKNOWN:
        return explain_text(explain, "veredus account list %.*s, and alias, list, moved",
                            STR_FMT(domain));
    default:
        return STR("");
    }
}

static void refused_tell(struct explain *explain, struct err e, const struct envelope_found *found)
{
    const struct err_row *row = err_row(e.code);
    struct str more = e.code == ERR_MAILBOX_MOVED        ? found->resolved.moved_to
                      : e.code == ERR_DESTINATION_DENIED ? e.detail
                                                         : str_null();
    struct str colon = more.n > 0 ? STR(": ") : STR("");
    explain_say(explain, "recipient", EXPLAIN_REFUSES, reason_of(explain, e, found),
                explain_text(explain, "%d %s: %s%.*s%.*s", row->smtp, row->enhanced, row->text,
                             STR_FMT(colon), STR_FMT(more)));
}

/* --- Here ------------------------------------------------------------------------------------ */

static void copy_tell(struct explain *explain, const struct copy *copy)
{
    struct str who = explain_address(explain, copy->address);
    struct str by = copy->list.p ? copy->list : explain->recipient;
    struct str show = explain_text(explain, "veredus account show %.*s", STR_FMT(who));
    const char *how = copy->list.p ? ", by the list " : str_eq(by, copy->address) ? "" : ", by ";
    struct str way = how[0] ? explain_address(explain, by) : STR("");
    if (copy->disabled)
        explain_say(explain, "here", EXPLAIN_NOTE, show,
                    explain_text(explain, "%.*s%s%.*s gets no copy: the account is disabled",
                                 STR_FMT(who), how, STR_FMT(way)));
    else if (copy_room(copy, explain->size) != ERR_NONE)
        explain_say(explain, "here", EXPLAIN_NOTE, show,
                    explain_text(explain, "%.*s%s%.*s has no room for it", STR_FMT(who), how,
                                 STR_FMT(way)));
    else
        explain_say(explain, "here", EXPLAIN_OK, show,
                    explain_text(explain, "delivered to the mailbox of %.*s%s%.*s", STR_FMT(who),
                                 how, STR_FMT(way)));
    explain->here = true;
}

static void copies_tell(struct explain *explain, const struct resolved *resolved)
{
    for (size_t i = 0; i < resolved->count && i < EXPLAIN_COPIES; i++)
        copy_tell(explain, &resolved->copies[i]);
    if (resolved->count > EXPLAIN_COPIES)
        explain_say(
            explain, "here", EXPLAIN_NOTE, STR(""),
            explain_text(explain, "and to %zu mailboxes more", resolved->count - EXPLAIN_COPIES));
}

/* --- Elsewhere ------------------------------------------------------------------------------- */

static void on_tell(struct explain *explain, const struct resolved *resolved,
                    const struct outside *outside)
{
    struct str to = explain_address(explain, outside->text);
    struct str given = explain_address(explain, outside->given);
    struct str list = outside->list.p ? explain_address(explain, outside->list) : STR("");
    if (outside->list.p)
        explain_say(explain, "recipient", EXPLAIN_OK,
                    explain_text(explain, "veredus list show %.*s", STR_FMT(list)),
                    explain_text(explain, "%.*s is a member elsewhere of the list %.*s",
                                 STR_FMT(to), STR_FMT(list)));
    else if (outside->given.n > 0)
        explain_say(explain, "recipient", EXPLAIN_OK, shown_by(explain, outside->given),
                    explain_text(explain, "%.*s leads to %.*s%s", STR_FMT(given), STR_FMT(to),
                                 resolved->forwarded ? ", which is told to the sender (251)" : ""));
    else
        explain_say(explain, "recipient", EXPLAIN_OK, STR("veredus domain list"),
                    explain_text(explain, "%.*s is at no domain of this server", STR_FMT(to)));
}

static void outside_tell(struct explain *explain, const struct resolved *resolved)
{
    for (size_t i = 0; i < resolved->outside_count && i < EXPLAIN_COPIES; i++) {
        const struct outside *outside = &resolved->outside[i];
        explain->about = outside->text;
        on_tell(explain, resolved, outside);
        explain_way(explain, outside);
    }
    explain->about = STR("");
    explain->elsewhere = resolved->outside_count > 0;
    if (resolved->outside_count > EXPLAIN_COPIES)
        explain_say(explain, "recipient", EXPLAIN_NOTE, STR(""),
                    explain_text(explain, "and %zu addresses more elsewhere",
                                 resolved->outside_count - EXPLAIN_COPIES));
}

/* --- All ------------------------------------------------------------------------------------- */

/* Without a domain it is the postmaster's, as for RCPT. */
static int recipient_read(struct explain *explain)
{
    struct admin_call *call = explain->call;
    struct buf path = buf_in(explain->arena, ADDR_PATH_MAX);
    struct addr addr;
    if (str_eq_nocase(call->words[1], STR("postmaster"))) {
        explain->recipient = STR("postmaster");
        return ADMIN_OK;
    }
    int code = admin_addr(call, call->words[1], &addr);
    if (code)
        return code;
    if (addr.local.n == 0)
        return admin_refuse(call, ADMIN_DATA, "nobody is written to as", call->words[1]);
    addr_print(&path, &addr);
    explain->recipient = buf_built(&path);
    return ADMIN_OK;
}

int explain_recipient(struct explain *explain)
{
    struct envelope_found *found = arena_new(explain->arena, struct envelope_found);
    int code = recipient_read(explain);
    if (code || !found)
        return code ? code : admin_fail(explain->call, err_make(ERR_NO_MEMORY));
    const struct envelope_question question = {
        .recipient = explain->recipient, .server = STR(""), .size = explain->size};
    struct err e =
        envelope_find(explain->core, explain->transaction, &question, explain->arena, found);
    if (err_is(e)) {
        refused_tell(explain, e, found);
        return ADMIN_OK;
    }
    copies_tell(explain, &found->resolved);
    outside_tell(explain, &found->resolved);
    return ADMIN_OK;
}
