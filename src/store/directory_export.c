/*
 * What is written is what directory_apply needs to make the same directory elsewhere, and nothing
 * that only this store knows: no ids, no dates. So two servers with the same people have the same
 * text, and a text in version control changes only when the directory does.
 */
#include "format/encodings.h"
#include "store/directory_credential_text.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"
#include "store/directory_text.h"

enum {
    PIECE_MAX = 1024 * 1024, /* octets of one block without its members */
    EXPORT_MEMORY = 64 * 1024 * 1024,
};

struct export
{
    struct directory *directory;
    struct arena arena; /* of one block */
    void (*out)(void *arg, struct str text);
    void *arg;
};

static struct err put_out(struct export *export, struct buf *piece)
{
    bool over = buf_over(piece);
    if (!over)
        export->out(export->arg, buf_str(piece));
    buf_done(piece);
    return over ? err_make(ERR_NO_MEMORY) : err_none();
}

static void address_quote(struct buf *to, struct str address)
{
    struct buf shown = BUF_INIT(4 * ADDR_PATH_MAX);
    addr_text_display(&shown, address);
    text_quote(to, buf_over(&shown) ? address : buf_str(&shown));
    buf_done(&shown);
}

static void head_put(struct buf *to, const char *kind, struct str address)
{
    buf_printf(to, "\n%s ", kind);
    address_quote(to, address);
    buf_put(to, STR(" {\n"));
}

static void text_put(struct buf *to, const char *name, struct str text)
{
    if (!text.n)
        return;
    buf_printf(to, "    %s = ", name);
    text_quote(to, text);
    buf_putc(to, '\n');
}

static void address_put(struct buf *to, const char *name, struct str address)
{
    buf_printf(to, "    %s = ", name);
    address_quote(to, address);
    buf_putc(to, '\n');
}

/* --- Accounts --- */

static int by_app_name(const void *a, const void *b)
{
    return str_cmp(((const struct app_password *)a)->name, ((const struct app_password *)b)->name);
}

static int by_certificate_name(const void *a, const void *b)
{
    return str_cmp(((const struct client_certificate *)a)->name,
                   ((const struct client_certificate *)b)->name);
}

/* A value of a credential's text (directory_credential_text.h), which is built behind the name. */
static void value_put(struct buf *to, const char *name, struct buf *value)
{
    text_put(to, name, buf_str(value));
    to->over |= buf_over(value);
    buf_clear(value);
}

static void credentials_put(struct buf *to, struct credentials *credentials)
{
    struct buf value = BUF_INIT(TEXT_VALUE_MAX);
    const struct password_kept *password = &credentials->password;
    text_put_scram(&value, SASL_SCRAM_SHA_1, password, &password->keys);
    value_put(to, "scram", &value);
    text_put_scram(&value, SASL_SCRAM_SHA_256, password, &password->keys);
    value_put(to, "scram", &value);
    base64_print(&value, password->cram_secret);
    value_put(to, "cram_md5", &value);
    if (credentials->app_password_count)
        qsort(credentials->app_passwords, credentials->app_password_count,
              sizeof(*credentials->app_passwords), by_app_name);
    for (size_t i = 0; i < credentials->app_password_count; i++) {
        text_put_app_password(&value, &credentials->app_passwords[i], password);
        value_put(to, "app_password", &value);
    }
    if (credentials->certificate_count)
        qsort(credentials->certificates, credentials->certificate_count,
              sizeof(*credentials->certificates), by_certificate_name);
    for (size_t i = 0; i < credentials->certificate_count; i++) {
        text_put_certificate(&value, &credentials->certificates[i]);
        value_put(to, "certificate", &value);
    }
    buf_done(&value);
}

static void switches_put(struct buf *to, const struct account *account)
{
    if (account->quota) {
        buf_put(to, STR("    quota = "));
        text_put_quota(to, account->quota);
        buf_putc(to, '\n');
    }
    if (account->services_off) {
        buf_put(to, STR("    services = \""));
        text_put_services(to, (uint8_t)(SERVICES_ALL & ~account->services_off));
        buf_put(to, STR("\"\n"));
    }
    if (account->disabled)
        buf_put(to, STR("    disabled = yes\n"));
    if (account->language != ACCOUNT_LANGUAGE_DEFAULT)
        text_put(to, "language", text_of_language(account->language));
}

static void onward_put(struct buf *to, const struct account *account)
{
    for (size_t i = 0; i < account->forward_count; i++)
        address_put(to, "forward", account->forwards[i]);
    if (account->forwards_only)
        buf_put(to, STR("    keep = no\n"));
}

static struct err account_put(struct export *export, struct buf *to, const struct account *account)
{
    struct credentials credentials;
    struct str *grants = NULL;
    size_t count = 0;
    struct err e =
        directory_credentials(export->directory, account->id, &export->arena, &credentials);
    if (!err_is(e))
        e = directory_grant_list(export->directory, account->id, &export->arena, &grants, &count);
    if (err_is(e))
        return e;
    head_put(to, "account", account->address);
    text_put(to, "name", account->name);
    text_put(to, "password", account->password);
    credentials_put(to, &credentials);
    switches_put(to, account);
    for (size_t i = 0; i < count; i++)
        address_put(to, "send_as", grants[i]);
    onward_put(to, account);
    return err_none();
}

/* --- Whoever leads somewhere --- */

static void alias_put(struct buf *to, const struct alias *alias)
{
    head_put(to, "alias", alias->address);
    for (size_t i = 0; i < alias->target_count; i++)
        address_put(to, "to", alias->targets[i]);
}

static struct err leavers_put(struct export *export, struct buf *to,
                              const struct mailing_list *list)
{
    struct unsubscribed *leavers;
    size_t count = 0;
    struct buf value = BUF_INIT(TEXT_VALUE_MAX);
    struct err e =
        directory_unsubscribed(export->directory, list, &export->arena, &leavers, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        directory_unsubscribed_print(&leavers[i], &value);
        value_put(to, "unsubscribed", &value);
    }
    buf_done(&value);
    return e;
}

static struct err list_put(struct export *export, struct buf *to, const struct mailing_list *list)
{
    struct str *members;
    size_t count = 0;
    head_put(to, "list", list->address);
    text_put(to, "name", list->name);
    address_put(to, "owner", list->owner);
    buf_printf(to, "    expandable = %s\n", list->expandable ? "yes" : "no");
    struct err e = directory_members(export->directory, list, &export->arena, &members, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++)
        address_put(to, "member", members[i]);
    return err_is(e) ? e : leavers_put(export, to, list);
}

static void moved_put(struct buf *to, const struct moved *moved)
{
    head_put(to, "moved", moved->address);
    address_put(to, moved->forward ? "forward" : "refer", moved->to);
}

static struct err name_put(void *arg, const struct name *name)
{
    struct export *export = arg;
    struct buf piece = BUF_INIT(8 * PIECE_MAX);
    struct err e = err_none();
    arena_reset(&export->arena);
    switch (name->kind) {
    case NAME_ACCOUNT:
        e = account_put(export, &piece, &name->account);
        break;
    case NAME_ALIAS:
        alias_put(&piece, &name->alias);
        break;
    case NAME_LIST:
        e = list_put(export, &piece, &name->list);
        break;
    case NAME_MOVED:
        moved_put(&piece, &name->moved);
        break;
    }
    buf_put(&piece, STR("}\n"));
    if (!err_is(e))
        return put_out(export, &piece);
    buf_done(&piece);
    return e;
}

static struct err domain_put(void *arg, const struct domain *domain)
{
    struct export *export = arg;
    struct buf piece = BUF_INIT(PIECE_MAX);
    buf_put(&piece, STR("\ndomain "));
    address_quote(&piece, domain->name);
    buf_put(&piece, STR(" {\n}\n"));
    return put_out(export, &piece);
}

struct err directory_export(struct directory *directory, void (*out)(void *arg, struct str text),
                            void *arg)
{
    struct export export = {.directory = directory, .out = out, .arg = arg};
    out(arg, STR("# The people of this mail server, for `veredus apply`. Passwords are hashes.\n"));
    arena_init(&export.arena, EXPORT_MEMORY);
    struct err e = directory_domains(directory, domain_put, &export);
    if (!err_is(e))
        e = directory_names(directory, str_null(), name_put, &export);
    arena_done(&export.arena);
    return e;
}
