/*
 * account add|set|password|show|list|remove|hold|release|forward, mailbox list. What accounts log
 * in with is in admin_password.c and admin_access.c.
 */
#include "core/admin_queue.h"
#include "core/sending.h"
#include "store/directory_text.h"
#include "store/mailbox.h"

/* --- Commands --- */

/* null: the server's default. */
static void quota_put(json_t *object, uint64_t quota)
{
    if (quota == 0)
        json_put(object, "quota", json_null());
    else if (quota == QUOTA_NONE)
        json_put_text(object, "quota", STR("none"));
    else
        json_put_number(object, "quota", quota);
}

/* What the quota comes to, with the default as it is now. */
static void limit_put(json_t *object, uint64_t octets)
{
    if (octets)
        json_put_number(object, "limit", octets);
    else
        json_put_text(object, "limit", STR("none"));
}

/* null: the server's. */
static void language_put(json_t *object, enum account_language language)
{
    if (language == ACCOUNT_LANGUAGE_DEFAULT)
        json_put(object, "language", json_null());
    else
        json_put_text(object, "language", text_of_language(language));
}

static json_t *account_object(struct admin_call *call, const struct account *account)
{
    json_t *object = json_object();
    admin_put_name(call, object, "account", account->address);
    json_put_text(object, "name", account->name);
    quota_put(object, account->quota);
    json_put_flag(object, "disabled", account->disabled);
    json_put_flag(object, "no_password", account->password.n == 0);
    json_put(object, "forward", admin_addresses(call, account->forwards, account->forward_count));
    json_put_flag(object, "keeps_none", account->forwards_only);
    return object;
}

static const struct {
    struct str name;
    uint8_t service;
    unsigned field;
} SERVICES[] = {
    {STR_INIT("smtp"), SERVICE_SMTP, FIELD_SMTP},
    {STR_INIT("pop3"), SERVICE_POP3, FIELD_POP3},
    {STR_INIT("imap"), SERVICE_IMAP, FIELD_IMAP},
};

enum {
    SERVICE_COUNT = sizeof(SERVICES) / sizeof(SERVICES[0])
};

json_t *admin_services(uint8_t services)
{
    json_t *names = json_array();
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        if (services & SERVICES[i].service)
            json_array_append_new(names, json_text(SERVICES[i].name));
    return names;
}

/* "smtp=off,imap=on"; the last word about a service holds. */
static int switches_take(struct admin_call *call, struct str text, struct account *account,
                         unsigned *fields)
{
    while (text.p) {
        struct str word = str_cut(&text, ','), state = word;
        struct str name = str_cut(&state, '=');
        size_t i = 0;
        while (i < SERVICE_COUNT && !str_eq(SERVICES[i].name, name))
            i++;
        bool off = state.p && str_eq(state, STR("off"));
        if (i == SERVICE_COUNT || !state.p || (!off && !str_eq(state, STR("on"))))
            return admin_refuse(call, ADMIN_USAGE,
                                "expected smtp, pop3 or imap with =on or =off, not", word);
        account->services_off = (uint8_t)((account->services_off & ~SERVICES[i].service) |
                                          (off ? SERVICES[i].service : 0));
        *fields |= SERVICES[i].field;
    }
    return ADMIN_OK;
}

static int services_take(struct admin_call *call, struct account *account, unsigned *fields)
{
    int code = ADMIN_OK;
    for (size_t i = 0; !code && i < call->given_count; i++)
        if (str_eq(call->given[i].name, STR("--service")))
            code = switches_take(call, call->given[i].value, account, fields);
    return code;
}

static int language_take(struct admin_call *call, struct account *account, unsigned *fields)
{
    struct str text = admin_value(call, "--language");
    if (!text.p)
        return ADMIN_OK;
    if (!text_to_language(text, &account->language))
        return admin_refuse(call, ADMIN_USAGE, "expected en, zh or default, not", text);
    *fields |= FIELD_LANGUAGE;
    return ADMIN_OK;
}

static int fields_take(struct admin_call *call, struct account *account, unsigned *fields)
{
    int code = services_take(call, account, fields);
    if (!code)
        code = language_take(call, account, fields);
    if (code)
        return code;
    if (admin_has(call, "--name")) {
        account->name = admin_value(call, "--name");
        *fields |= FIELD_NAME;
    }
    if (admin_has(call, "--quota")) {
        *fields |= FIELD_QUOTA;
        return admin_quota(call, admin_value(call, "--quota"), &account->quota);
    }
    return ADMIN_OK;
}

int admin_account_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct str made = str_null();
    unsigned fields = 0;
    struct account account = {.name = STR(""), .disabled = admin_has(call, "--disabled")};
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = fields_take(call, &account, &fields);
    if (!code)
        code = admin_password(call, 0, true, &account, &fields, &made);
    if (!code)
        code = admin_fail(call,
                          directory_account_add(admin->directory, &addr, &account, admin->arena));
    return code ? code : admin_account_done(call, "added", admin_stored(call, &addr), made);
}

/* Its password and switches, changed in one step: so that nobody logs in between two of them. */
static int change(struct admin_call *call, const struct addr *addr, uint64_t id,
                  struct account *values, unsigned fields)
{
    struct admin *admin = call->admin;
    struct str made = str_null();
    int code = admin_password(call, id, false, values, &fields, &made);
    if (!code && !fields)
        return admin_refuse(call, ADMIN_USAGE, "say what to change", str_null());
    if (!code)
        code = admin_fail(
            call, directory_account_set(admin->directory, addr, values, fields, admin->arena));
    return code ? code : admin_account_done(call, "changed", admin_stored(call, addr), made);
}

int admin_account_set(struct admin_call *call)
{
    struct addr addr;
    unsigned fields = 0;
    struct account old, account = {.disabled = admin_has(call, "--disable")};
    if (admin_has(call, "--disable") && admin_has(call, "--enable"))
        return admin_refuse(call, ADMIN_USAGE, "one of --enable and --disable is enough",
                            str_null());
    if (admin_has(call, "--disable") || admin_has(call, "--enable"))
        fields |= FIELD_DISABLED;
    int code = admin_account(call, &addr, &old);
    if (!code)
        code = fields_take(call, &account, &fields);
    return code ? code : change(call, &addr, old.id, &account, fields);
}

int admin_account_password(struct admin_call *call)
{
    struct addr addr;
    struct account old, account = {0};
    if (!admin_has(call, "--password-stdin") && !admin_has(call, "--new"))
        return admin_refuse(call, ADMIN_USAGE, "say --password-stdin or --new", str_null());
    int code = admin_account(call, &addr, &old);
    return code ? code : change(call, &addr, old.id, &account, 0);
}

int admin_account(struct admin_call *call, struct addr *addr_r, struct account *account_r)
{
    struct admin *admin = call->admin;
    int code = admin_addr(call, call->words[0], addr_r);
    return code ? code
                : admin_fail(call, directory_account_show(admin->directory, addr_r, admin->arena,
                                                          account_r));
}

static void sending_put(json_t *object, struct sending *sending, int64_t now)
{
    sending_move(sending, now);
    json_put_number(object, "sent_last_day", sending_last_day(sending, now));
    json_put_number(object, "sent_a_day", sending_habit(sending));
    json_put_flag(object, "held", sending->held != 0);
    if (!sending->held)
        return;
    json_put_time(object, "held_since", sending->held);
    json_put_text(object, "held_why", sending_why(sending));
}

int admin_account_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct account account;
    struct usage usage;
    struct sending sending;
    int code = admin_account(call, &addr, &account);
    if (!code)
        code = admin_fail(call, mailbox_usage(admin->engine, account.id, admin->arena, &usage));
    if (!code)
        code = admin_fail(call, sending_read(admin->engine, account.id, admin->arena, &sending));
    if (code)
        return code;
    json_t *object = account_object(call, &account);
    limit_put(object, directory_quota(admin->directory, &account));
    json_put_number(object, "used", usage.octets);
    json_put_number(object, "messages", usage.messages);
    json_put_number(object, "id", account.id);
    json_put_time(object, "created", account.created);
    json_put(object, "services", admin_services((uint8_t)(SERVICES_ALL & ~account.services_off)));
    language_put(object, account.language);
    code = admin_access_put(call, object, &account);
    if (code) {
        json_decref(object);
        return code;
    }
    sending_put(object, &sending, world_wall(admin->loop->world));
    return admin_show(call, object);
}

/* "held account bob@example.test and 12 entries of the queue" */
static int held_show(struct admin_call *call, const char *done, struct str account, size_t entries)
{
    if (call->admin->json) {
        json_t *object = json_object();
        json_put_text(object, "done", str_from(done));
        admin_put_name(call, object, "account", account);
        json_put_number(object, "entries", entries);
        return admin_show(call, object);
    }
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    buf_printf(&text, "%s account ", done);
    addr_text_display(&text, account);
    if (entries)
        buf_printf(&text, " and %zu %s of the queue", entries, entries == 1 ? "entry" : "entries");
    buf_putc(&text, '\n');
    admin_text(call, buf_str(&text));
    buf_done(&text);
    return ADMIN_OK;
}

/* The account first: nothing of it leaves from then on, whatever becomes of the rest. */
static struct err hold_all(struct admin *admin, struct senders *senders, uint64_t account,
                           struct str why, struct queue_changed *changed)
{
    const struct queue_hand hand = queue_hand_of(admin);
    struct err e = senders_hold(senders, account, why, admin->arena);
    if (err_is(e))
        return e;
    e = queue_follow(&hand, senders, account, changed);
    if (err_is(e) && hand.queue)
        queue_account_changed(hand.queue, account);
    return e;
}

static int hold(struct admin_call *call, struct str why, const char *done)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct account account;
    struct senders offline;
    struct queue_changed changed = {.changed = 0};
    int code = admin_account(call, &addr, &account);
    if (code)
        return code;
    if (!admin->senders)
        senders_init(&offline, admin->engine, admin->loop->world);
    struct err e =
        hold_all(admin, admin->senders ? admin->senders : &offline, account.id, why, &changed);
    if (!admin->senders)
        senders_done(&offline);
    code = admin_fail(call, e);
    return code ? code : held_show(call, done, account.address, changed.changed);
}

int admin_account_hold(struct admin_call *call)
{
    struct str why = admin_value(call, "--why");
    return hold(call, why.n ? why : STR("by an operator"), "held");
}

int admin_account_release(struct admin_call *call)
{
    return hold(call, str_null(), "released");
}

static json_t *account_of(struct admin_call *call, const struct name *name)
{
    json_t *object = account_object(call, &name->account);
    json_put(object, "services_off", admin_services(name->account.services_off));
    return object;
}

int admin_account_list(struct admin_call *call)
{
    return admin_names(call, NAME_ACCOUNT, account_of);
}

int admin_account_remove(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_fail(call, directory_account_remove(admin->directory, &addr, admin->arena));
    return code ? code : admin_done(call, "removed", "account", admin_stored(call, &addr));
}

/* --- Where its mail goes on to --- */

static int keep_take(struct admin_call *call, enum forward_keep *keep_r)
{
    bool keep = admin_has(call, "--keep"), none = admin_has(call, "--no-keep");
    *keep_r = keep ? FORWARD_KEEP : none ? FORWARD_KEEP_NONE : FORWARD_KEEP_AS_IS;
    return keep && none ? admin_refuse(call, ADMIN_USAGE, "one of --keep and --no-keep is enough",
                                       str_null())
                        : ADMIN_OK;
}

int admin_forward_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr, target;
    enum forward_keep keep;
    int code = keep_take(call, &keep);
    if (!code)
        code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_addr(call, call->words[1], &target);
    if (!code)
        code = admin_fail(
            call, directory_forward_add(admin->directory, &addr, &target, keep, admin->arena));
    return code ? code : admin_done(call, "added", "forward", admin_stored(call, &target));
}

int admin_forward_remove(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr, target;
    int code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code = admin_addr(call, call->words[1], &target);
    if (!code)
        code = admin_fail(call,
                          directory_forward_remove(admin->directory, &addr, &target, admin->arena));
    return code ? code : admin_done(call, "removed", "forward", admin_stored(call, &target));
}

int admin_forward_set(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    enum forward_keep keep;
    int code = keep_take(call, &keep);
    if (!code && keep == FORWARD_KEEP_AS_IS)
        return admin_refuse(call, ADMIN_USAGE, "say --keep or --no-keep", str_null());
    if (!code)
        code = admin_addr(call, call->words[0], &addr);
    if (!code)
        code =
            admin_fail(call, directory_forward_keep(admin->directory, &addr, keep, admin->arena));
    return code ? code : admin_done(call, "changed", "account", admin_stored(call, &addr));
}

int admin_forward_list(struct admin_call *call)
{
    struct addr addr;
    struct account account;
    int code = admin_account(call, &addr, &account);
    if (code)
        return code;
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; i < account.forward_count; i++) {
        json_t *object = json_object();
        admin_put_name(call, object, "forward", account.forwards[i]);
        admin_list_item(&list, object);
    }
    return admin_list_close(&list, err_none());
}

int admin_mailbox_list(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct account account;
    struct mailbox *mailboxes;
    size_t count = 0;
    int code = admin_account(call, &addr, &account);
    if (code)
        return code;
    struct err e = mailbox_list(admin->engine, account.id, admin->arena, &mailboxes, &count);
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        json_t *object = json_object();
        json_put_text(object, "mailbox", mailboxes[i].name);
        json_put_number(object, "id", mailboxes[i].id);
        json_put_number(object, "uid_validity", mailboxes[i].uid_validity);
        admin_list_item(&list, object);
    }
    return admin_list_close(&list, e);
}
