#include "core/explain.h"

#include "core/core.h"

/* --- Who ------------------------------------------------------------------------------------- */

/* Texts of the message's envelope live as long as the answer. */
static int path_read(struct explain *explain, struct str text)
{
    struct transaction *transaction = explain->transaction;
    struct buf path = buf_in(explain->arena, ADDR_PATH_MAX);
    transaction->sender = (struct addr){.kind = ADDR_NULL};
    if (text.n == 0 || str_eq(text, STR("<>")))
        return ADMIN_OK;
    int code = admin_addr(explain->call, text, &transaction->sender);
    if (code)
        return code;
    if (transaction->sender.local.n == 0)
        return admin_refuse(explain->call, ADMIN_DATA, "nobody sends as", text);
    addr_print(&path, &transaction->sender);
    transaction->reverse_path = buf_built(&path);
    return ADMIN_OK;
}

/* Whose address it is: where its mail comes to one account and nowhere else. 0: nobody's. */
static uint64_t owner_of(struct explain *explain)
{
    struct resolved resolved;
    const struct addr *sender = &explain->transaction->sender;
    if (sender->kind == ADDR_NULL)
        return 0;
    struct err e = directory_resolve(&explain->core->directory, sender, 0, str_null(),
                                     explain->arena, &resolved);
    return !err_is(e) && resolved.kind == RESOLVED_FOUND && resolved.count == 1
               ? resolved.copies[0].account
               : 0;
}

static int named_account(struct explain *explain, struct str text, struct account *account_r)
{
    struct addr addr;
    int code = admin_addr(explain->call, text, &addr);
    if (code)
        return code;
    return admin_fail(explain->call, directory_account_show(&explain->core->directory, &addr,
                                                            explain->arena, account_r));
}

/* --- By a log-in ----------------------------------------------------------------------------- */

static struct str show(struct explain *explain, const char *what)
{
    return explain_text(explain, "veredus account %s %.*s", what, STR_FMT(explain->account));
}

static void log_in_tell(struct explain *explain, const struct account *account)
{
    struct str who = explain_address(explain, account->address);
    if (account->disabled)
        explain_say(explain, "account", EXPLAIN_REFUSES, show(explain, "set --enable"),
                    explain_text(explain, "%.*s is disabled: nobody logs in as it", STR_FMT(who)));
    else if (account->services_off & SERVICE_SMTP)
        explain_say(explain, "account", EXPLAIN_REFUSES, show(explain, "set --service smtp=on"),
                    explain_text(explain, "%.*s may not be used to send", STR_FMT(who)));
    else
        explain_say(explain, "account", EXPLAIN_OK, show(explain, "show"),
                    explain_text(explain, "%.*s logs in and sends it", STR_FMT(who)));
}

static void ownership_tell(struct explain *explain, const struct account *account)
{
    const struct transaction *transaction = explain->transaction;
    bool may = transaction->sender.kind == ADDR_NULL;
    struct err e = err_none();
    if (!may)
        e = directory_may_send(&explain->core->directory, account->id, &transaction->sender,
                               explain->arena, &may);
    struct str path = explain_address(explain, transaction->reverse_path);
    bool own = str_eq(transaction->reverse_path, account->address);
    if (err_is(e))
        explain_say(explain, "sender", EXPLAIN_UNKNOWN, STR(""), str_from(err_row(e.code)->text));
    else if (!may)
        explain_say(explain, "sender", EXPLAIN_REFUSES,
                    explain_text(explain, "veredus account grant add %.*s %.*s",
                                 STR_FMT(account->address), STR_FMT(transaction->reverse_path)),
                    explain_text(explain,
                                 "553 5.7.1: %.*s is not its address, nor one that was granted",
                                 STR_FMT(path)));
    else
        explain_say(
            explain, "sender", EXPLAIN_OK,
            own ? show(explain, "show") : show(explain, "grant list"),
            explain_text(explain,
                         own ? "%.*s is its own address" : "%.*s is an address that it may send as",
                         STR_FMT(path)));
}

static struct str limits_text(struct explain *explain)
{
    const struct conf *conf = explain->core->conf;
    return explain_text(explain,
                        "submission { recipients_per_hour = %llu, recipients_per_day = %llu }",
                        (unsigned long long)conf->submission.recipients_per_hour,
                        (unsigned long long)conf->submission.recipients_per_day);
}

static void verdict_tell(struct explain *explain, const struct sender *sender,
                         enum sender_verdict verdict, uint64_t left)
{
    switch (verdict) {
    case SENDER_IS_HELD:
        explain_say(explain, "limits", EXPLAIN_REFUSES, show(explain, "release"),
                    explain_text(explain, "450 4.7.1: the account is on hold: %.*s",
                                 STR_FMT(sending_why(&sender->sending))));
        break;
    case SENDER_LIMIT:
        explain_say(explain, "limits", EXPLAIN_REFUSES, limits_text(explain),
                    STR("450 4.7.1: the account has sent as much as it may"));
        break;
    case SENDER_BRAKE:
        explain_say(explain, "limits", EXPLAIN_REFUSES,
                    STR("submission { brake_least, brake_factor }"),
                    STR("450 4.7.1: that is far above the account's habit, which would put it on "
                        "hold"));
        break;
    case SENDER_MAY:
        explain_say(explain, "limits", EXPLAIN_OK, limits_text(explain),
                    explain_text(explain, "it may send to %llu recipients more now",
                                 (unsigned long long)left));
        break;
    }
}

static void amount_tell(struct explain *explain, const struct account *account)
{
    struct core *core = explain->core;
    const struct sender_load load = {.recipients = 1};
    struct sender *sender;
    uint64_t left = 0;
    struct err e = senders_take(&core->senders, account->id, &sender);
    if (err_is(e)) {
        explain_say(explain, "limits", EXPLAIN_UNKNOWN, STR(""), str_from(err_row(e.code)->text));
        return;
    }
    (void)sender_left(&core->senders, sender, core->conf, &left); /* held: so it is told below */
    verdict_tell(explain, sender, sender_would(sender, core->conf, &load, world_wall(core->world)),
                 left);
    senders_give(&core->senders, sender);
}

static void account_tell(struct explain *explain, const struct account *account)
{
    struct transaction *transaction = explain->transaction;
    transaction->login = 1; /* somebody's: nothing looks it up */
    transaction->account = account->id;
    transaction->account_address = account->address;
    explain->account = account->address;
    log_in_tell(explain, account);
    ownership_tell(explain, account);
    amount_tell(explain, account);
}

/* --- Without ------------------------------------------------------------------------------- */

static void client_tell(struct explain *explain, struct str client)
{
    explain->transaction->client = client;
    if (conf_networks_hold(&explain->core->conf->smtp.relay_from, client))
        explain_say(
            explain, "client", EXPLAIN_OK, STR("smtp { relay_from }"),
            explain_text(explain, "%.*s may send to anybody without a log-in", STR_FMT(client)));
    else
        explain_say(explain, "client", EXPLAIN_NOTE, STR("smtp { relay_from }"),
                    explain_text(explain,
                                 "%.*s may send to those here alone; what the checks of its name "
                                 "and the lists say of it is not looked at",
                                 STR_FMT(client)));
}

/* One that smtp.relay_from names; empty: it names none. */
static struct str relay_client(struct explain *explain)
{
    const struct conf_networks *networks = &explain->core->conf->smtp.relay_from;
    struct buf text = buf_in(explain->arena, NETWORK_TEXT);
    const struct network *first = networks->count ? &networks->list[0] : NULL;
    for (size_t i = 0; i < networks->list_count && !first; i++)
        first = networks->lists[i]->count ? &networks->lists[i]->list[0] : NULL;
    if (!first)
        return STR("");
    network_print(first, &text);
    struct str printed = buf_built(&text);
    ssize_t slash = str_index(printed, '/');
    return slash < 0 ? printed : str_head(printed, (size_t)slash);
}

static void nobody_tell(struct explain *explain)
{
    const struct conf *conf = explain->core->conf;
    struct transaction *transaction = explain->transaction;
    struct str client = relay_client(explain);
    struct str path = explain_address(explain, transaction->reverse_path);
    bool report = transaction->sender.kind == ADDR_NULL;
    transaction->client = client;
    transaction->login = client.n == 0; /* what comes behind it is told as if he might */
    transaction->local = client.n == 0;
    if (report)
        explain_say(explain, "sender", EXPLAIN_OK, STR(""),
                    STR("<> is whom reports come from: of this server, or of one that may relay"));
    else if (client.n > 0)
        explain_say(explain, "sender", EXPLAIN_OK, STR("smtp { relay_from }"),
                    explain_text(explain,
                                 "%.*s is no account's; a client that may relay sends as anybody",
                                 STR_FMT(path)));
    else if (conf->submission.local)
        explain_say(explain, "sender", EXPLAIN_OK, STR("submission { local = yes }"),
                    explain_text(explain,
                                 "%.*s is no account's; programs of this host send as anybody, "
                                 "and nobody does by the network",
                                 STR_FMT(path)));
    else
        explain_say(explain, "sender", EXPLAIN_REFUSES, STR("smtp { relay_from = \"\" }"),
                    explain_text(explain,
                                 "550 5.7.1: %.*s is no account's, and nobody may relay without "
                                 "one",
                                 STR_FMT(path)));
}

/* --- All ------------------------------------------------------------------------------------- */

static void size_tell(struct explain *explain)
{
    uint64_t most = explain->core->conf->smtp.message_size;
    if (explain->size == 0)
        return;
    explain_say(explain, "size", explain->size > most ? EXPLAIN_REFUSES : EXPLAIN_OK,
                explain_text(explain, "smtp { message_size = %llu }", (unsigned long long)most),
                explain->size > most
                    ? STR("552 5.3.4: it is larger than what is taken")
                    : STR("it is not too large here; the other side's limit shows when it is "
                          "called"));
}

int explain_sender(struct explain *explain)
{
    struct admin_call *call = explain->call;
    struct str as = admin_value(call, "--account"), client = admin_value(call, "--client");
    struct account account;
    struct network network;
    int code = path_read(explain, call->words[0]);
    if (!code && client.p && !network_address(client, &network))
        code = admin_refuse(call, ADMIN_USAGE, "no IP address:", client);
    if (!code && as.p)
        code = named_account(explain, as, &account);
    if (code)
        return code;
    uint64_t owner = as.p || client.p ? 0 : owner_of(explain);
    if (client.p)
        client_tell(explain, client);
    else if (as.p || (owner && !err_is(directory_account_by_id(&explain->core->directory, owner,
                                                               explain->arena, &account))))
        account_tell(explain, &account);
    else
        nobody_tell(explain);
    size_tell(explain);
    return ADMIN_OK;
}
