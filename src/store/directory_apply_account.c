/*
 * Accounts of a text. What an account is known by (password, keys, application passwords,
 * certificates) stays where the text does not mention it, so that a text without secrets can be
 * kept where others read it; "none" takes away all application passwords, or certificates. Whatever
 * else is not mentioned gets its default: services are on, nothing is granted.
 *
 * A password that is another one takes along what was kept of the old, as it does by command.
 */
#include "store/directory_apply.h"

#include "store/directory_credential_text.h"
#include "store/directory_record.h"

/* --- Reading --- */

static struct err read_trouble(struct reading *reading, const struct text_field *field,
                               const char *words)
{
    return apply_trouble(reading->apply, field->line, words, STR(""));
}

/* An error whose detail is a literal, as one of this line. */
static struct err read_refuse(struct reading *reading, const struct text_field *field, struct err e)
{
    return err_is(e) ? read_trouble(reading, field, e.detail.p) : e;
}

static struct err access_of(struct reading *reading, struct wanted_access **access_r)
{
    struct wanted *wanted = reading->wanted;
    if (!wanted->access)
        wanted->access = arena_new(&reading->apply->parsed, struct wanted_access);
    *access_r = wanted->access;
    return wanted->access ? err_none() : err_make(ERR_OVER_LIMIT);
}

struct err apply_read_password(struct reading *reading, const struct text_field *field)
{
    reading->wanted->password = field->value;
    reading->wanted->has_password = true;
    return err_none();
}

struct err apply_read_scram(struct reading *reading, const struct text_field *field)
{
    struct wanted_access *access;
    struct err e = access_of(reading, &access);
    if (err_is(e))
        return e;
    access->has_scram = true;
    const char *wrong = text_to_scram(field->value, &access->kept, &access->kept.keys);
    return wrong ? read_trouble(reading, field, wrong) : err_none();
}

struct err apply_read_cram_secret(struct reading *reading, const struct text_field *field)
{
    struct wanted_access *access;
    struct err e = access_of(reading, &access);
    if (err_is(e))
        return e;
    access->has_cram_secret = true;
    const char *wrong =
        text_to_cram_secret(field->value, &reading->apply->parsed, &access->kept.cram_secret);
    return wrong ? read_trouble(reading, field, wrong) : err_none();
}

static struct err app_password_add(struct reading *reading, const struct text_field *field,
                                   struct wanted_access *access, const struct app_password *app)
{
    struct credentials *listed = &access->listed;
    if (!listed->app_passwords)
        listed->app_passwords =
            arena_take_array(&reading->apply->parsed, reading->block->count, sizeof(*app));
    if (!listed->app_passwords)
        return err_make(ERR_OVER_LIMIT);
    if (listed->app_password_count == DIRECTORY_APP_PASSWORDS_MAX)
        return read_trouble(reading, field, "an account has at most 50 application passwords");
    for (size_t i = 0; i < listed->app_password_count; i++)
        if (str_eq(listed->app_passwords[i].name, app->name))
            return apply_trouble(reading->apply, field->line,
                                 "two application passwords of one name:", app->name);
    listed->app_passwords[listed->app_password_count++] = *app;
    return err_none();
}

struct err apply_read_app_password(struct reading *reading, const struct text_field *field)
{
    struct wanted_access *access;
    struct app_password app;
    struct err e = access_of(reading, &access);
    if (err_is(e))
        return e;
    access->has_app_passwords = true;
    if (str_eq(field->value, STR("none")))
        return err_none();
    const char *wrong = text_to_app_password(field->value, &access->kept, &app);
    if (wrong)
        return read_trouble(reading, field, wrong);
    e = read_refuse(reading, field, app_password_check(&app));
    return err_is(e) ? e : app_password_add(reading, field, access, &app);
}

static struct err certificate_add(struct reading *reading, const struct text_field *field,
                                  struct wanted_access *access,
                                  const struct client_certificate *certificate)
{
    struct credentials *listed = &access->listed;
    if (!listed->certificates)
        listed->certificates =
            arena_take_array(&reading->apply->parsed, reading->block->count, sizeof(*certificate));
    if (!listed->certificates)
        return err_make(ERR_OVER_LIMIT);
    if (listed->certificate_count == DIRECTORY_CERTIFICATES_MAX)
        return read_trouble(reading, field, "an account has at most 20 certificates");
    for (size_t i = 0; i < listed->certificate_count; i++)
        if (str_eq(listed->certificates[i].name, certificate->name) ||
            memcmp(listed->certificates[i].fingerprint, certificate->fingerprint, SHA256_SIZE) == 0)
            return apply_trouble(
                reading->apply, field->line,
                "a certificate is given twice, or two of one name:", certificate->name);
    listed->certificates[listed->certificate_count++] = *certificate;
    return err_none();
}

struct err apply_read_certificate(struct reading *reading, const struct text_field *field)
{
    struct wanted_access *access;
    struct client_certificate certificate;
    struct err e = access_of(reading, &access);
    if (err_is(e))
        return e;
    access->has_certificates = true;
    if (str_eq(field->value, STR("none")))
        return err_none();
    const char *wrong = text_to_certificate(field->value, &certificate);
    if (wrong)
        return read_trouble(reading, field, wrong);
    e = read_refuse(reading, field, certificate_check(&certificate));
    return err_is(e) ? e : certificate_add(reading, field, access, &certificate);
}

struct err apply_read_quota(struct reading *reading, const struct text_field *field)
{
    return text_to_quota(field->value, &reading->wanted->quota)
               ? err_none()
               : apply_trouble(reading->apply, field->line,
                               "expected a size like 500M, none or default, not", field->value);
}

struct err apply_read_services(struct reading *reading, const struct text_field *field)
{
    uint8_t on;
    if (!text_to_services(field->value, &on))
        return apply_trouble(reading->apply, field->line,
                             "expected some of smtp,pop3,imap, or all or none, not", field->value);
    reading->wanted->services_off = (uint8_t)(SERVICES_ALL & ~on);
    return err_none();
}

struct err apply_read_disabled(struct reading *reading, const struct text_field *field)
{
    return apply_read_flag(reading, field, &reading->wanted->disabled);
}

struct err apply_read_grant(struct reading *reading, const struct text_field *field)
{
    struct wanted *wanted = reading->wanted;
    struct arena *arena = &reading->apply->parsed;
    if (!wanted->others)
        wanted->others = arena_take_array(arena, reading->block->count, sizeof(struct addr));
    if (!wanted->others)
        return err_make(ERR_OVER_LIMIT);
    if (wanted->other_count == DIRECTORY_GRANTS_MAX)
        return read_trouble(reading, field, "an account has at most 100 grants");
    struct err e =
        directory_name_parse(field->value, arena, &wanted->others[wanted->other_count++]);
    return e.code == ERR_ADDRESS_SYNTAX
               ? apply_trouble(reading->apply, field->line, "expected an address or @domain, not",
                               field->value)
               : e;
}

struct err apply_read_language(struct reading *reading, const struct text_field *field)
{
    return text_to_language(field->value, &reading->wanted->language)
               ? err_none()
               : apply_trouble(reading->apply, field->line, "expected en, zh or default, not",
                               field->value);
}

struct err apply_read_forward(struct reading *reading, const struct text_field *field)
{
    struct wanted *wanted = reading->wanted;
    if (!wanted->forwards)
        wanted->forwards = arena_take_array(&reading->apply->parsed, DIRECTORY_FORWARDS_MAX,
                                            sizeof(*wanted->forwards));
    if (!wanted->forwards)
        return err_make(ERR_OVER_LIMIT);
    if (wanted->forward_count == DIRECTORY_FORWARDS_MAX)
        return read_trouble(reading, field, "an account forwards to at most 10 addresses");
    return apply_read_addr(reading, field, &wanted->forwards[wanted->forward_count++]);
}

struct err apply_read_keep(struct reading *reading, const struct text_field *field)
{
    bool keep;
    struct err e = apply_read_flag(reading, field, &keep);
    reading->wanted->forwards_only = !keep;
    return e;
}

/* --- What it is known by --- */

static const struct app_password *app_password_like(const struct credentials *among,
                                                    struct str name)
{
    for (size_t i = 0; i < among->app_password_count; i++)
        if (str_eq(among->app_passwords[i].name, name))
            return &among->app_passwords[i];
    return NULL;
}

/* The password itself is another one: it gets another number, and was never used. */
static bool is_another(const struct app_password *app, const struct app_password *old)
{
    return !old || !str_eq_secret(app->hash, old->hash);
}

static bool same_keys(const struct password_keys *a, const struct password_keys *b)
{
    return str_eq_secret(str_make(a, sizeof(*a)), str_make(b, sizeof(*b)));
}

static struct err app_passwords_merge(struct draft *draft, uint64_t account,
                                      const struct credentials *listed, struct credentials *now,
                                      bool *changed)
{
    struct credentials old = *now;
    struct err e = err_none();
    now->app_passwords = NULL;
    now->app_password_count = 0;
    for (size_t i = 0; !err_is(e) && i < listed->app_password_count; i++) {
        struct app_password app = listed->app_passwords[i];
        const struct app_password *before = app_password_like(&old, app.name);
        bool another = is_another(&app, before);
        *changed |=
            another || app.services != before->services || !same_keys(&app.keys, &before->keys);
        if (!another) {
            app.id = before->id;
            app.created = before->created;
        }
        e = app_password_put(draft, now, &app);
    }
    for (size_t i = 0; i < old.app_password_count; i++) {
        const struct app_password *before = &old.app_passwords[i];
        const struct app_password *app = app_password_like(listed, before->name);
        if (app && !is_another(app, before))
            continue;
        app_password_drop(draft, account, before->id);
        *changed = true;
    }
    return e;
}

static const struct client_certificate *certificate_like(const struct credentials *among,
                                                         const struct client_certificate *like)
{
    for (size_t i = 0; i < among->certificate_count; i++)
        if (memcmp(among->certificates[i].fingerprint, like->fingerprint, SHA256_SIZE) == 0)
            return &among->certificates[i];
    return NULL;
}

static struct err certificates_merge(struct draft *draft, uint64_t account,
                                     const struct credentials *listed, struct credentials *now,
                                     bool *changed)
{
    struct credentials old = *now;
    struct err e = err_none();
    now->certificates = NULL;
    now->certificate_count = 0;
    for (size_t i = 0; i < old.certificate_count; i++)
        if (!certificate_like(listed, &old.certificates[i])) {
            certificate_drop(draft, account, &old.certificates[i]);
            *changed = true;
        }
    for (size_t i = 0; !err_is(e) && i < listed->certificate_count; i++) {
        struct client_certificate certificate = listed->certificates[i];
        const struct client_certificate *before = certificate_like(&old, &certificate);
        *changed |= !before || !str_eq(before->name, certificate.name);
        certificate.created = before ? before->created : 0;
        e = certificate_put(draft, account, now, &certificate);
    }
    return e;
}

/* Keys that the text does not give stay, and must be by the salt of those that it gives. */
static struct err salt_merge(const struct wanted_access *access, struct credentials *now)
{
    struct password_kept *password = &now->password;
    bool stay = (!access->has_scram && password_has_keys(&password->keys)) ||
                (!access->has_app_passwords && directory_salt_is_held(now));
    bool any = password_has_keys(&password->keys) || directory_salt_is_held(now);
    if (access->kept.rounds) {
        if (stay && !password_is_salted_alike(&access->kept, password))
            return err_detail(ERR_CONFIG, STR("SCRAM keys that stay are by another salt: give "
                                              "scram and app_password, both"));
        password->rounds = access->kept.rounds;
        memcpy(password->salt, access->kept.salt, SCRAM_SALT);
    }
    if (!any)
        password->rounds = 0;
    return err_none();
}

/* `now` is what it is known by, and becomes what it is to be known by. */
static struct err access_merge(struct draft *draft, const struct wanted *wanted, uint64_t account,
                               bool new_password, struct credentials *now, struct buf *what)
{
    static const struct wanted_access nothing;
    const struct wanted_access *access = wanted->access ? wanted->access : &nothing;
    const struct password_kept old = now->password;
    struct password_kept *password = &now->password;
    bool app_passwords = false, certificates = false;
    struct err e = err_none();
    if (new_password || access->has_scram)
        password->keys = access->kept.keys;
    if (new_password || access->has_cram_secret)
        password->cram_secret = access->kept.cram_secret;
    if (access->has_app_passwords)
        e = app_passwords_merge(draft, account, &access->listed, now, &app_passwords);
    if (!err_is(e) && access->has_certificates)
        e = certificates_merge(draft, account, &access->listed, now, &certificates);
    if (!err_is(e))
        e = salt_merge(access, now);
    apply_differs(what,
                  !same_keys(&old.keys, &password->keys) ||
                      (password_has_keys(&old.keys) && !password_is_salted_alike(&old, password)),
                  "SCRAM keys");
    apply_differs(what, !str_eq_secret(old.cram_secret, password->cram_secret), "CRAM-MD5 secret");
    apply_differs(what, app_passwords, "application passwords");
    apply_differs(what, certificates, "certificates");
    return e;
}

/* --- What it may send as --- */

static bool is_granted(struct draft *draft, uint64_t account, const struct wanted *wanted,
                       struct str key)
{
    for (size_t i = 0; i < wanted->other_count; i++)
        if (str_eq(grant_key(draft, account, &wanted->others[i]), key))
            return true;
    return false;
}

static struct err grants_merge(struct draft *draft, uint64_t account, const struct wanted *wanted,
                               bool *changed)
{
    struct draft_walk walk;
    struct entry entry;
    struct str value;
    struct err e =
        draft_walk_open(&walk, draft, key_number('a', account, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        if (!is_granted(draft, account, wanted, entry.key)) {
            draft_remove(draft, arena_str(draft->arena, entry.key));
            *changed = true;
        }
    draft_walk_done(&walk);
    if (e.code == ERR_NOT_FOUND)
        e = err_none();
    for (size_t i = 0; !err_is(e) && i < wanted->other_count; i++) {
        e = draft_get(draft, grant_key(draft, account, &wanted->others[i]), &value);
        if (e.code != ERR_NOT_FOUND)
            continue;
        *changed = true;
        e = grant_stage(draft, account, &wanted->others[i]);
    }
    return e;
}

/* --- Where its mail goes on to --- */

/* In the record, which is staged by whoever asks. */
static struct err forwards_merge(struct draft *draft, struct wanted *wanted, struct found *found,
                                 bool *changed_r)
{
    const struct account *account = &found->record.account;
    struct str *texts;
    size_t count;
    struct err e = addresses_print(draft, wanted->forwards, wanted->forward_count, &texts, &count);
    if (err_is(e))
        return e;
    bool same = count == account->forward_count && wanted->forwards_only == account->forwards_only;
    for (size_t i = 0; same && i < count; i++)
        same = str_eq(texts[i], account->forwards[i]);
    *changed_r = !same;
    wanted->staged = !same;
    if (!same)
        forwards_put(draft, found, texts, count, wanted->forwards_only);
    return err_none();
}

/* Of an account that was staged a moment ago. */
static struct err forwards_make(struct draft *draft, struct wanted *wanted)
{
    struct found found;
    bool changed;
    if (wanted->forward_count == 0)
        return err_none();
    struct err e = name_get(draft, wanted->name, &found);
    if (!err_is(e))
        e = forwards_merge(draft, wanted, &found, &changed);
    return err_is(e) ? e : name_restage(draft, found.name, &found.record);
}

/* --- Staging --- */

static struct err account_make(struct apply *apply, struct draft *draft, struct wanted *wanted,
                               struct account *account)
{
    struct credentials now = {0};
    struct buf what = BUF_INIT(APPLY_WORDS_MAX);
    bool changed;
    apply_tell_added(apply, wanted);
    struct err e = account_stage(draft, &wanted->addr, account);
    if (!err_is(e) && wanted->access)
        e = access_merge(draft, wanted, account->id, true, &now, &what);
    buf_done(&what);
    if (!err_is(e) && wanted->access)
        e = credentials_stage(draft, account->id, &now);
    if (!err_is(e))
        e = grants_merge(draft, account->id, wanted, &changed);
    return err_is(e) ? e : forwards_make(draft, wanted);
}

static unsigned fields_differ(const struct account *old, const struct account *account,
                              struct buf *what)
{
    unsigned fields = 0;
    if (apply_differs(what, !str_eq(old->name, account->name), "name"))
        fields |= FIELD_NAME;
    if (apply_differs(what, old->quota != account->quota, "quota"))
        fields |= FIELD_QUOTA;
    if (apply_differs(what, old->services_off != account->services_off, "services"))
        fields |= FIELD_SERVICES;
    if (apply_differs(what, old->disabled != account->disabled, "disabled"))
        fields |= FIELD_DISABLED;
    if (apply_differs(what, old->language != account->language, "language"))
        fields |= FIELD_LANGUAGE;
    return fields;
}

/* `what` gets what is to be changed. */
static struct err account_change(struct draft *draft, struct found *found, struct wanted *wanted,
                                 const struct account *account, struct buf *what)
{
    const struct account *old = &found->record.account;
    struct credentials now;
    bool granted = false, forwards = false;
    unsigned fields = 0;
    struct err e = err_none();
    if (apply_differs(what,
                      wanted->has_password && !str_eq_secret(old->password, account->password),
                      "password"))
        fields = FIELD_PASSWORD;
    fields |= fields_differ(old, account, what);
    size_t before = what->n;
    bool access = wanted->access || fields & FIELD_PASSWORD;
    if (access)
        e = credentials_get(draft, old->id, &now);
    if (!err_is(e) && access)
        e = access_merge(draft, wanted, old->id, fields & FIELD_PASSWORD, &now, what);
    bool known_otherwise = what->n > before || fields & FIELD_PASSWORD;
    if (!err_is(e))
        e = grants_merge(draft, old->id, wanted, &granted);
    apply_differs(what, granted, "send_as");
    if (!err_is(e))
        e = forwards_merge(draft, wanted, found, &forwards);
    apply_differs(what, forwards, "forward");
    if (err_is(e) || (!fields && !known_otherwise && !forwards))
        return e;
    return account_restage(draft, found, account, fields, known_otherwise ? &now : NULL);
}

struct err apply_account(struct apply *apply, struct draft *draft, struct wanted *wanted)
{
    struct found found;
    struct account account = {.name = wanted->full_name,
                              .password = wanted->password,
                              .quota = wanted->quota,
                              .services_off = wanted->services_off,
                              .language = wanted->language,
                              .disabled = wanted->disabled};
    struct err e = apply_there(draft, wanted, NAME_ACCOUNT, &found);
    if (e.code == ERR_NOT_FOUND)
        return account_make(apply, draft, wanted, &account);
    if (err_is(e))
        return e;
    struct buf what = BUF_INIT(APPLY_WORDS_MAX);
    e = account_change(draft, &found, wanted, &account, &what);
    if (!err_is(e))
        apply_tell_changed(apply, wanted, &what);
    buf_done(&what);
    return e;
}
