/*
 * What an account is known by, changed. All of it is one record beside the account's, so that RCPT
 * never reads it, and each change of it writes both: the account's has the version that sessions
 * and cached successes are held against.
 *
 * The account has one salt for all its passwords, since SCRAM's first answer has to be given before
 * it is known which of them will be used (doc/access.md 3). So a salt stays for as long as an
 * application password has keys by it, whose password nobody can ask for again.
 */
#include "base/must.h"
#include "format/encodings.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"
#include "trust/password.h"

enum {
    DETAILS_MAX = 64 * 1024
};

/* --- Reading and staging --- */

struct err credentials_get(struct draft *draft, uint64_t account, struct credentials *credentials_r)
{
    struct str value;
    struct err e = draft_get(draft, key_number('c', account, str_null(), draft->arena), &value);
    if (e.code == ERR_NOT_FOUND) {
        *credentials_r = (struct credentials){0};
        return err_none();
    }
    return err_is(e) ? e : credentials_decode(value, draft->arena, credentials_r);
}

bool credentials_say_nothing(const struct credentials *credentials)
{
    return credentials->password.rounds == 0 && credentials->password.cram_secret.n == 0 &&
           credentials->app_password_count == 0 && credentials->certificate_count == 0;
}

struct err credentials_stage(struct draft *draft, uint64_t account,
                             const struct credentials *credentials)
{
    struct str key = key_number('c', account, str_null(), draft->arena), old;
    if (credentials_say_nothing(credentials)) {
        struct err e = draft_get(draft, key, &old);
        if (!err_is(e))
            draft_remove(draft, key);
        return e.code == ERR_NOT_FOUND ? err_none() : e;
    }
    struct str value = credentials_encode(credentials, draft->arena);
    if (!value.p)
        return err_make(ERR_OVER_LIMIT);
    draft_put(draft, key, value);
    return err_none();
}

struct err credentials_unstage(struct draft *draft, uint64_t account)
{
    struct credentials old;
    struct err e = credentials_get(draft, account, &old);
    for (size_t i = 0; !err_is(e) && i < old.certificate_count; i++)
        certificate_drop(draft, account, &old.certificates[i]);
    return err_is(e) ? e : credentials_stage(draft, account, &(struct credentials){0});
}

/* --- The password --- */

bool password_has_keys(const struct password_keys *keys)
{
    return keys->has_sha_1 || keys->has_sha_256;
}

bool password_is_salted_alike(const struct password_kept *a, const struct password_kept *b)
{
    return a->rounds == b->rounds && memcmp(a->salt, b->salt, SCRAM_SALT) == 0;
}

bool directory_salt_is_held(const struct credentials *credentials)
{
    bool any = false;
    for (size_t i = 0; i < credentials->app_password_count; i++)
        any |= password_has_keys(&credentials->app_passwords[i].keys);
    return any;
}

struct err password_kept_put(struct credentials *credentials, const struct password_kept *kept)
{
    struct password_kept now = kept ? *kept : (struct password_kept){0};
    if (!password_has_keys(&now.keys))
        now.rounds = 0;
    if (directory_salt_is_held(credentials)) {
        if (now.rounds && !password_is_salted_alike(&now, &credentials->password))
            return err_detail(ERR_CONFLICT, STR("application passwords have keys by another salt"));
        now.rounds = credentials->password.rounds;
        memcpy(now.salt, credentials->password.salt, SCRAM_SALT);
    }
    credentials->password = now;
    return err_none();
}

struct err password_stage(struct draft *draft, uint64_t account, const struct password_kept *kept)
{
    struct credentials credentials;
    struct err e = credentials_get(draft, account, &credentials);
    if (!err_is(e))
        e = password_kept_put(&credentials, kept);
    return err_is(e) ? e : credentials_stage(draft, account, &credentials);
}

struct keep {
    uint64_t account, version;
    struct str hash;
    const struct password_kept *kept;
};

static struct err keep(struct draft *draft, void *arg)
{
    const struct keep *keep = arg;
    struct found found;
    struct credentials credentials;
    struct err e = account_get(draft, keep->account, &found);
    if (!err_is(e) && found.record.account.credential_version != keep->version)
        e = err_make(ERR_CONFLICT);
    if (!err_is(e) && keep->hash.p) {
        found.record.account.password = keep->hash;
        e = name_restage(draft, found.name, &found.record);
    }
    if (!err_is(e) && keep->kept)
        e = credentials_get(draft, keep->account, &credentials);
    if (err_is(e) || !keep->kept)
        return e;
    struct password_kept kept = *keep->kept;
    kept.cram_secret = credentials.password.cram_secret;
    e = password_kept_put(&credentials, &kept);
    return err_is(e) ? e : credentials_stage(draft, keep->account, &credentials);
}

struct err directory_password_keep(struct directory *directory, uint64_t account, uint64_t version,
                                   struct str hash, const struct password_kept *kept)
{
    struct keep change = {.account = account, .version = version, .hash = hash, .kept = kept};
    struct arena details;
    must(!hash.p || password_hash_is_known(hash));
    arena_init(&details, DETAILS_MAX);
    struct err e = directory_change(directory, &details, keep, &change);
    e.detail = str_null();
    arena_done(&details);
    return e;
}

/* --- Labels --- */

static struct err label_check(struct str label)
{
    if (label.n == 0 || label.n > DIRECTORY_LABEL_MAX || str_trim(label).n != label.n)
        return err_detail(ERR_NAME_REFUSED, STR("such a name has 1 to 100 octets, and no space at "
                                                "its ends"));
    return full_name_check(label);
}

/* --- Changes of what an account is known by --- */

struct credential_change {
    const struct addr *addr;
    struct err (*apply)(struct draft *, struct credential_change *, struct credentials *);
    uint64_t account; /* filled in for apply */
    struct app_password *app;
    const struct password_kept *kept;
    const struct client_certificate *certificate;
    struct str which;
};

static struct err credential_change(struct draft *draft, void *arg)
{
    struct credential_change *change = arg;
    struct found found;
    struct credentials credentials;
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, &found);
    if (!err_is(e))
        e = credentials_get(draft, found.record.account.id, &credentials);
    if (err_is(e))
        return e;
    change->account = found.record.account.id;
    e = change->apply(draft, change, &credentials);
    if (!err_is(e))
        e = credentials_stage(draft, change->account, &credentials);
    if (err_is(e))
        return e;
    found.record.account.credential_version++;
    return name_restage(draft, found.name, &found.record);
}

/* --- Application passwords --- */

/* As password_app_hash makes it. */
static bool is_app_hash(struct str hash)
{
    static const struct str prefix = STR_INIT("$app$");
    struct buf digest = BUF_INIT(2 * SHA256_SIZE);
    bool good = str_starts(hash, prefix) && base64_parse(str_from_index(hash, prefix.n), &digest) &&
                digest.n == SHA256_SIZE;
    buf_done(&digest);
    return good;
}

struct err app_password_check(const struct app_password *app)
{
    if (app->services == 0 || app->services > SERVICES_ALL)
        return err_detail(ERR_USAGE, STR("an application password is for at least one service"));
    if (!is_app_hash(app->hash))
        return err_detail(ERR_USAGE, STR("the hash of an application password is malformed"));
    return label_check(app->name);
}

static struct err app_salt_put(struct credentials *credentials, const struct app_password *app,
                               const struct password_kept *kept)
{
    if (!password_has_keys(&app->keys))
        return err_none();
    must(kept && kept->rounds);
    if (credentials->password.rounds && !password_is_salted_alike(&credentials->password, kept))
        return err_make(ERR_CONFLICT);
    credentials->password.rounds = kept->rounds;
    memcpy(credentials->password.salt, kept->salt, SCRAM_SALT);
    return err_none();
}

struct err app_password_put(struct draft *draft, struct credentials *credentials,
                            const struct app_password *app)
{
    size_t count = credentials->app_password_count;
    struct app_password *apps = arena_take_array(draft->arena, count + 1, sizeof(*apps));
    if (!apps)
        return err_make(ERR_OVER_LIMIT);
    if (count)
        memcpy(apps, credentials->app_passwords, count * sizeof(*apps));
    apps[count] = *app;
    credentials->app_passwords = apps;
    credentials->app_password_count = count + 1;
    if (app->id)
        return err_none();
    apps[count].created = world_wall(draft->directory->world);
    return draft_number(draft, STR("#app-password"), &apps[count].id);
}

static struct err app_add(struct draft *draft, struct credential_change *change,
                          struct credentials *credentials)
{
    const struct app_password *app = change->app;
    struct err e = app_password_check(app);
    if (err_is(e))
        return e;
    if (credentials->app_password_count >= DIRECTORY_APP_PASSWORDS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("an account has at most 50 application passwords"));
    for (size_t i = 0; i < credentials->app_password_count; i++)
        if (str_eq(credentials->app_passwords[i].name, app->name))
            return err_detail(
                ERR_EXISTS,
                detail_of(draft, "there is already an application password ", app->name));
    struct app_password added = {
        .services = app->services, .name = app->name, .hash = app->hash, .keys = app->keys};
    e = app_salt_put(credentials, app, change->kept);
    if (!err_is(e))
        e = app_password_put(draft, credentials, &added);
    if (!err_is(e))
        change->app->id = credentials->app_passwords[credentials->app_password_count - 1].id;
    return e;
}

struct err directory_app_password_add(struct directory *directory, const struct addr *addr,
                                      struct app_password *app, const struct password_kept *kept,
                                      struct arena *arena)
{
    struct credential_change change = {.addr = addr, .apply = app_add, .app = app, .kept = kept};
    return directory_change(directory, arena, credential_change, &change);
}

void app_password_drop(struct draft *draft, uint64_t account, uint64_t id)
{
    draft_remove_in(draft, mailbox_account_partition(account),
                    key_number('a', id, str_null(), draft->arena));
}

static struct err app_remove(struct draft *draft, struct credential_change *change,
                             struct credentials *credentials)
{
    struct app_password *apps = credentials->app_passwords;
    size_t count = credentials->app_password_count, at = 0;
    uint64_t id = 0;
    while (at < count && !str_eq(apps[at].name, change->which))
        at++;
    if (at == count && str_to_u64(change->which, &id))
        for (at = 0; at < count && apps[at].id != id; at++)
            ;
    if (at == count)
        return err_detail(ERR_NOT_FOUND,
                          detail_of(draft, "no such application password: ", change->which));
    app_password_drop(draft, change->account, apps[at].id);
    memmove(apps + at, apps + at + 1, (count - at - 1) * sizeof(*apps));
    credentials->app_password_count--;
    return err_none();
}

struct err directory_app_password_remove(struct directory *directory, const struct addr *addr,
                                         struct str which, struct arena *arena)
{
    struct credential_change change = {.addr = addr, .apply = app_remove, .which = which};
    return directory_change(directory, arena, credential_change, &change);
}

/* --- Certificates --- */

struct err certificate_put(struct draft *draft, uint64_t account, struct credentials *credentials,
                           const struct client_certificate *certificate)
{
    size_t count = credentials->certificate_count;
    struct client_certificate *all = arena_take_array(draft->arena, count + 1, sizeof(*all));
    if (!all)
        return err_make(ERR_OVER_LIMIT);
    if (count)
        memcpy(all, credentials->certificates, count * sizeof(*all));
    all[count] = *certificate;
    credentials->certificates = all;
    credentials->certificate_count = count + 1;
    if (certificate->created)
        return err_none();
    all[count].created = world_wall(draft->directory->world);
    struct str fingerprint = str_make(all[count].fingerprint, SHA256_SIZE);
    draft_put(draft, key_certificate(fingerprint, account, draft->arena), STR(""));
    return err_none();
}

struct err certificate_check(const struct client_certificate *certificate)
{
    return label_check(certificate->name);
}

static struct err certificate_add(struct draft *draft, struct credential_change *change,
                                  struct credentials *credentials)
{
    const struct client_certificate *certificate = change->certificate;
    struct err e = certificate_check(certificate);
    if (err_is(e))
        return e;
    if (credentials->certificate_count >= DIRECTORY_CERTIFICATES_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("an account has at most 20 certificates"));
    for (size_t i = 0; i < credentials->certificate_count; i++) {
        const struct client_certificate *old = &credentials->certificates[i];
        if (str_eq(old->name, certificate->name) ||
            memcmp(old->fingerprint, certificate->fingerprint, SHA256_SIZE) == 0)
            return err_detail(
                ERR_EXISTS,
                detail_of(draft, "it has this certificate, or another of this name: ", old->name));
    }
    struct client_certificate added = *certificate;
    added.created = 0;
    return certificate_put(draft, change->account, credentials, &added);
}

struct err directory_certificate_add(struct directory *directory, const struct addr *addr,
                                     const struct client_certificate *certificate,
                                     struct arena *arena)
{
    struct credential_change change = {
        .addr = addr, .apply = certificate_add, .certificate = certificate};
    return directory_change(directory, arena, credential_change, &change);
}

void certificate_drop(struct draft *draft, uint64_t account,
                      const struct client_certificate *certificate)
{
    struct str fingerprint = str_make(certificate->fingerprint, SHA256_SIZE);
    draft_remove(draft, key_certificate(fingerprint, account, draft->arena));
}

static struct err certificate_remove(struct draft *draft, struct credential_change *change,
                                     struct credentials *credentials)
{
    struct client_certificate *all = credentials->certificates;
    size_t count = credentials->certificate_count, at = 0;
    unsigned char fingerprint[SHA256_SIZE];
    while (at < count && !str_eq(all[at].name, change->which))
        at++;
    if (at == count && directory_fingerprint_parse(change->which, fingerprint))
        for (at = 0; at < count && memcmp(all[at].fingerprint, fingerprint, SHA256_SIZE) != 0; at++)
            ;
    if (at == count)
        return err_detail(ERR_NOT_FOUND, detail_of(draft, "no such certificate: ", change->which));
    certificate_drop(draft, change->account, &all[at]);
    memmove(all + at, all + at + 1, (count - at - 1) * sizeof(*all));
    credentials->certificate_count--;
    return err_none();
}

struct err directory_certificate_remove(struct directory *directory, const struct addr *addr,
                                        struct str which, struct arena *arena)
{
    struct credential_change change = {.addr = addr, .apply = certificate_remove, .which = which};
    return directory_change(directory, arena, credential_change, &change);
}

static int digit_of(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool directory_fingerprint_parse(struct str text, unsigned char fingerprint_r[SHA256_SIZE])
{
    static const struct str prefix = STR_INIT("SHA256:");
    unsigned char octets[SHA256_SIZE];
    size_t digits = 0;
    if (str_starts_nocase(text, prefix))
        text = str_from_index(text, prefix.n);
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        if (text.p[i] == ':' && digits && digits % 2 == 0 && i + 1 < text.n)
            continue;
        if (digit < 0 || digits == 2 * SHA256_SIZE)
            return false;
        octets[digits / 2] = (unsigned char)(digits % 2 ? octets[digits / 2] << 4 | digit : digit);
        digits++;
    }
    if (digits != 2 * SHA256_SIZE)
        return false;
    memcpy(fingerprint_r, octets, SHA256_SIZE);
    return true;
}

void directory_fingerprint_print(struct buf *to, const unsigned char fingerprint[SHA256_SIZE])
{
    for (size_t i = 0; i < SHA256_SIZE; i++)
        buf_printf(to, "%02x", fingerprint[i]);
}
