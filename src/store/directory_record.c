/*
 * Hashes stand in keys where a text could be longer than a key may be; whoever reads such a key
 * compares the text itself, so that a collision costs a comparison and never confuses two names.
 */
#include "store/directory_record.h"

#include <unicase.h>
#include <uninorm.h>

#include "base/must.h"
#include "base/wire.h"

enum {
    FORMAT = 1,
    FORMAT_ACCOUNT = 3,
    FORMAT_SERVICES = 2, /* of an account: the first with services and a version of credentials */
    FORMAT_FORWARDS = 3, /* the first with a language and forwards */
    NUMBER_OCTETS = 8,
    SHA_1_OCTETS = 20,
    SHA_256_OCTETS = 32,
    FOLDED_MAX = 4 * DIRECTORY_NAME_MAX,
};

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("a record of the directory is malformed"));
}

/* --- Records --- */

struct str domain_encode(const struct domain *domain, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_VALUE_MAX);
    wire_put_u8(&buf, FORMAT);
    wire_put_u64(&buf, (uint64_t)domain->created);
    return buf_built(&buf);
}

struct err domain_decode(struct str name, struct str value, struct domain *domain_r)
{
    struct wire_in in = wire_in(value);
    uint8_t format = wire_get_u8(&in);
    struct domain domain = {.name = name, .created = (int64_t)wire_get_u64(&in)};
    if (!wire_end(&in) || format != FORMAT)
        return damaged();
    *domain_r = domain;
    return err_none();
}

static void texts_encode(const struct str *texts, size_t count, struct buf *to)
{
    wire_put_u32(to, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_str(to, texts[i]);
}

static struct err texts_decode(struct wire_in *in, size_t most, struct arena *arena,
                               struct str **texts_r, size_t *count_r)
{
    uint32_t count = wire_get_u32(in);
    if (in->bad || count > most)
        return damaged();
    if (count == 0)
        return err_none();
    struct str *texts = arena_take_array(arena, count, sizeof(*texts));
    if (!texts)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count; i++)
        texts[i] = wire_get_str(in);
    *texts_r = texts;
    *count_r = count;
    return err_none();
}

static void account_encode(const struct account *account, struct buf *to)
{
    wire_put_u64(to, (uint64_t)account->created);
    wire_put_str(to, account->address);
    wire_put_u64(to, account->id);
    wire_put_u64(to, account->inbox);
    wire_put_u64(to, account->quota);
    wire_put_u8(to, account->disabled);
    wire_put_str(to, account->name);
    wire_put_str(to, account->password);
    wire_put_u8(to, account->services_off);
    wire_put_u64(to, account->credential_version);
    wire_put_u8(to, (uint8_t)account->language);
    wire_put_u8(to, account->forwards_only);
    texts_encode(account->forwards, account->forward_count, to);
}

static struct err account_decode(struct wire_in *in, uint8_t format, struct arena *arena,
                                 struct account *account)
{
    account->created = (int64_t)wire_get_u64(in);
    account->address = wire_get_str(in);
    account->id = wire_get_u64(in);
    account->inbox = wire_get_u64(in);
    account->quota = wire_get_u64(in);
    account->disabled = wire_get_u8(in) != 0;
    account->name = wire_get_str(in);
    account->password = wire_get_str(in);
    if (format < FORMAT_SERVICES)
        return err_none();
    account->services_off = wire_get_u8(in);
    account->credential_version = wire_get_u64(in);
    in->bad |= account->services_off > SERVICES_ALL;
    if (format < FORMAT_FORWARDS)
        return err_none();
    uint8_t language = wire_get_u8(in);
    account->forwards_only = wire_get_u8(in) != 0;
    struct err e = texts_decode(in, DIRECTORY_FORWARDS_MAX, arena, &account->forwards,
                                &account->forward_count);
    if (err_is(e))
        return e;
    in->bad |= language >= ACCOUNT_LANGUAGES;
    in->bad |= account->forwards_only && account->forward_count == 0;
    account->language = (enum account_language)language;
    return err_none();
}

static void alias_encode(const struct alias *alias, struct buf *to)
{
    wire_put_u64(to, (uint64_t)alias->created);
    wire_put_str(to, alias->address);
    texts_encode(alias->targets, alias->target_count, to);
}

static struct err alias_decode(struct wire_in *in, struct arena *arena, struct alias *alias)
{
    alias->created = (int64_t)wire_get_u64(in);
    alias->address = wire_get_str(in);
    return texts_decode(in, DIRECTORY_TARGETS_MAX, arena, &alias->targets, &alias->target_count);
}

static void list_encode(const struct mailing_list *list, struct buf *to)
{
    wire_put_u64(to, (uint64_t)list->created);
    wire_put_str(to, list->address);
    wire_put_u64(to, list->id);
    wire_put_u8(to, list->expandable);
    wire_put_str(to, list->name);
    wire_put_str(to, list->owner);
}

static void list_decode(struct wire_in *in, struct mailing_list *list)
{
    list->created = (int64_t)wire_get_u64(in);
    list->address = wire_get_str(in);
    list->id = wire_get_u64(in);
    list->expandable = wire_get_u8(in) != 0;
    list->name = wire_get_str(in);
    list->owner = wire_get_str(in);
}

static void moved_encode(const struct moved *moved, struct buf *to)
{
    wire_put_u64(to, (uint64_t)moved->created);
    wire_put_str(to, moved->address);
    wire_put_u8(to, moved->forward);
    wire_put_str(to, moved->to);
}

static void moved_decode(struct wire_in *in, struct moved *moved)
{
    moved->created = (int64_t)wire_get_u64(in);
    moved->address = wire_get_str(in);
    moved->forward = wire_get_u8(in) != 0;
    moved->to = wire_get_str(in);
}

/* The newest of each kind. */
static uint8_t format_of(unsigned kind)
{
    return kind == NAME_ACCOUNT ? FORMAT_ACCOUNT : FORMAT;
}

struct str name_encode(const struct name *name, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_VALUE_MAX);
    wire_put_u8(&buf, format_of(name->kind));
    wire_put_u8(&buf, (uint8_t)name->kind);
    switch (name->kind) {
    case NAME_ACCOUNT:
        account_encode(&name->account, &buf);
        break;
    case NAME_ALIAS:
        alias_encode(&name->alias, &buf);
        break;
    case NAME_LIST:
        list_encode(&name->list, &buf);
        break;
    case NAME_MOVED:
        moved_encode(&name->moved, &buf);
        break;
    }
    return buf_built(&buf);
}

struct err name_decode(struct str value, struct arena *arena, struct name *name_r)
{
    struct wire_in in = wire_in(value);
    struct name name = {0};
    struct err e = err_none();
    uint8_t format = wire_get_u8(&in), kind = wire_get_u8(&in);
    if (in.bad || kind < NAME_ACCOUNT || kind > NAME_MOVED || format < FORMAT ||
        format > format_of(kind))
        return damaged();
    name.kind = (enum name_kind)kind;
    if (kind == NAME_ACCOUNT)
        e = account_decode(&in, format, arena, &name.account);
    else if (kind == NAME_ALIAS)
        e = alias_decode(&in, arena, &name.alias);
    else if (kind == NAME_LIST)
        list_decode(&in, &name.list);
    else
        moved_decode(&in, &name.moved);
    if (err_is(e))
        return e;
    if (!wire_end(&in))
        return damaged();
    *name_r = name;
    return err_none();
}

struct str name_address(const struct name *name)
{
    switch (name->kind) {
    case NAME_ACCOUNT:
        return name->account.address;
    case NAME_ALIAS:
        return name->alias.address;
    case NAME_LIST:
        return name->list.address;
    case NAME_MOVED:
        break;
    }
    return name->moved.address;
}

/* --- Credentials --- */

static void octets_get(struct wire_in *in, unsigned char *to, size_t n)
{
    struct str octets = wire_get_octets(in, n);
    if (octets.n == n)
        memcpy(to, octets.p, n);
}

static void keys_encode(const struct password_keys *keys, struct buf *to)
{
    wire_put_u8(to, (uint8_t)(keys->has_sha_1 | keys->has_sha_256 << 1));
    if (keys->has_sha_1) {
        buf_put(to, str_make(keys->sha_1.stored, SHA_1_OCTETS));
        buf_put(to, str_make(keys->sha_1.server, SHA_1_OCTETS));
    }
    if (keys->has_sha_256) {
        buf_put(to, str_make(keys->sha_256.stored, SHA_256_OCTETS));
        buf_put(to, str_make(keys->sha_256.server, SHA_256_OCTETS));
    }
}

static void keys_decode(struct wire_in *in, struct password_keys *keys)
{
    uint8_t has = wire_get_u8(in);
    in->bad |= has > 3;
    keys->has_sha_1 = has & 1;
    keys->has_sha_256 = has & 2;
    if (keys->has_sha_1) {
        octets_get(in, keys->sha_1.stored, SHA_1_OCTETS);
        octets_get(in, keys->sha_1.server, SHA_1_OCTETS);
    }
    if (keys->has_sha_256) {
        octets_get(in, keys->sha_256.stored, SHA_256_OCTETS);
        octets_get(in, keys->sha_256.server, SHA_256_OCTETS);
    }
}

struct str credentials_encode(const struct credentials *credentials, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_VALUE_MAX);
    const struct password_kept *password = &credentials->password;
    wire_put_u8(&buf, FORMAT);
    buf_put(&buf, str_make(password->salt, SCRAM_SALT));
    wire_put_u32(&buf, password->rounds);
    keys_encode(&password->keys, &buf);
    wire_put_str(&buf, password->cram_secret);
    wire_put_u32(&buf, (uint32_t)credentials->app_password_count);
    for (size_t i = 0; i < credentials->app_password_count; i++) {
        const struct app_password *app = &credentials->app_passwords[i];
        wire_put_u64(&buf, app->id);
        wire_put_u64(&buf, (uint64_t)app->created);
        wire_put_u8(&buf, app->services);
        wire_put_str(&buf, app->name);
        wire_put_str(&buf, app->hash);
        keys_encode(&app->keys, &buf);
    }
    wire_put_u32(&buf, (uint32_t)credentials->certificate_count);
    for (size_t i = 0; i < credentials->certificate_count; i++) {
        const struct client_certificate *certificate = &credentials->certificates[i];
        wire_put_u64(&buf, (uint64_t)certificate->created);
        wire_put_str(&buf, certificate->name);
        buf_put(&buf, str_make(certificate->fingerprint, SHA256_SIZE));
    }
    return buf_built(&buf);
}

static struct err app_passwords_decode(struct wire_in *in, struct arena *arena,
                                       struct credentials *credentials)
{
    uint32_t count = wire_get_u32(in);
    if (in->bad || count > DIRECTORY_APP_PASSWORDS_MAX)
        return damaged();
    struct app_password *app = arena_take_array(arena, count, sizeof(*app));
    if (!app)
        return err_make(ERR_OVER_LIMIT);
    credentials->app_passwords = app;
    credentials->app_password_count = count;
    for (uint32_t i = 0; i < count; i++, app++) {
        app->id = wire_get_u64(in);
        app->created = (int64_t)wire_get_u64(in);
        app->services = wire_get_u8(in);
        app->name = wire_get_str(in);
        app->hash = wire_get_str(in);
        keys_decode(in, &app->keys);
        in->bad |= app->services > SERVICES_ALL;
    }
    return err_none();
}

static struct err certificates_decode(struct wire_in *in, struct arena *arena,
                                      struct credentials *credentials)
{
    uint32_t count = wire_get_u32(in);
    if (in->bad || count > DIRECTORY_CERTIFICATES_MAX)
        return damaged();
    struct client_certificate *certificate = arena_take_array(arena, count, sizeof(*certificate));
    if (!certificate)
        return err_make(ERR_OVER_LIMIT);
    credentials->certificates = certificate;
    credentials->certificate_count = count;
    for (uint32_t i = 0; i < count; i++, certificate++) {
        certificate->created = (int64_t)wire_get_u64(in);
        certificate->name = wire_get_str(in);
        octets_get(in, certificate->fingerprint, SHA256_SIZE);
    }
    return err_none();
}

struct err credentials_decode(struct str value, struct arena *arena,
                              struct credentials *credentials_r)
{
    struct wire_in in = wire_in(value);
    struct credentials credentials = {0};
    struct password_kept *password = &credentials.password;
    uint8_t format = wire_get_u8(&in);
    octets_get(&in, password->salt, SCRAM_SALT);
    password->rounds = wire_get_u32(&in);
    keys_decode(&in, &password->keys);
    password->cram_secret = wire_get_str(&in);
    if (format != FORMAT)
        return damaged();
    struct err e = app_passwords_decode(&in, arena, &credentials);
    if (!err_is(e))
        e = certificates_decode(&in, arena, &credentials);
    if (err_is(e))
        return e;
    if (!wire_end(&in))
        return damaged();
    *credentials_r = credentials;
    return err_none();
}

/* --- Keys --- */

struct str key_of(char kind, struct str rest, struct arena *arena)
{
    if (!rest.p)
        return str_null();
    char *key = arena_take(arena, 1 + rest.n);
    if (!key)
        return str_null();
    key[0] = kind;
    if (rest.n)
        memcpy(key + 1, rest.p, rest.n);
    return str_make(key, 1 + rest.n);
}

struct str key_number(char kind, uint64_t number, struct str rest, struct arena *arena)
{
    unsigned char *key = arena_take(arena, 1 + NUMBER_OCTETS + rest.n);
    if (!key)
        return str_null();
    key[0] = (unsigned char)kind;
    key_put_u64(key + 1, number);
    if (rest.n)
        memcpy(key + 1 + NUMBER_OCTETS, rest.p, rest.n);
    return str_make(key, 1 + NUMBER_OCTETS + rest.n);
}

struct str key_number_pair(char kind, uint64_t first, uint64_t second, struct arena *arena)
{
    unsigned char octets[NUMBER_OCTETS];
    key_put_u64(octets, second);
    return key_number(kind, first, str_make(octets, sizeof(octets)), arena);
}

uint64_t key_number_at(struct str key, size_t at)
{
    must(key.n >= at + NUMBER_OCTETS);
    return key_get_u64((const unsigned char *)key.p + at);
}

struct str name_of_addr(const struct addr *addr, struct arena *arena)
{
    struct buf folded = buf_in(arena, ENGINE_KEY_MAX), name = buf_in(arena, ENGINE_KEY_MAX);
    addr_local_key(addr, &folded);
    ssize_t at = str_last_index(buf_str(&folded), '@');
    must(at >= 0 || buf_over(&folded));
    if (at >= 0) {
        buf_put(&name, str_from_index(buf_str(&folded), (size_t)at + 1));
        buf_putc(&name, '@');
        buf_put(&name, str_head(buf_str(&folded), (size_t)at));
    }
    name.over |= folded.over;
    return buf_built(&name);
}

/* A domain has no '@', a literal neither. */
struct str name_domain(struct str name)
{
    return str_cut(&name, '@');
}

struct str name_local(struct str name)
{
    str_cut(&name, '@');
    return name;
}

struct str key_name(struct str name, struct arena *arena)
{
    return key_of('n', name, arena);
}

struct str key_local(struct str local, struct str domain, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_KEY_MAX);
    buf_putc(&buf, 'l');
    buf_put(&buf, local);
    buf_putc(&buf, '\0');
    buf_put(&buf, domain);
    return buf_built(&buf);
}

struct str key_certificate(struct str fingerprint, uint64_t account, struct arena *arena)
{
    unsigned char key[1 + SHA256_SIZE + NUMBER_OCTETS] = "f";
    must(fingerprint.n == SHA256_SIZE);
    memcpy(key + 1, fingerprint.p, SHA256_SIZE);
    key_put_u64(key + 1 + SHA256_SIZE, account);
    return arena_str(arena, str_make(key, sizeof(key)));
}

struct str full_name_fold(struct str full_name, struct arena *arena)
{
    uint8_t folded[FOLDED_MAX];
    size_t n = sizeof(folded);
    uint8_t *at =
        u8_casefold((const uint8_t *)full_name.p, full_name.n, NULL, UNINORM_NFC, folded, &n);
    struct str copy = arena_str(arena, at ? str_make(at, n) : full_name);
    if (at && at != folded)
        free(at);
    return copy;
}

struct str key_full_name(struct str full_name, uint64_t account, struct arena *arena)
{
    return key_number_pair('w', str_hash(full_name_fold(full_name, arena)), account, arena);
}
