/*
 * One value for each key, rather than settings of their own for salt, rounds and halves: this is
 * how other servers write SCRAM keys, and a line that was copied without its neighbour is whole.
 */
#include "store/directory_credential_text.h"

#include "format/encodings.h"
#include "store/directory_text.h"
#include "trust/password.h"

enum {
    KEYS_MAX = 512, /* octets of keys as text */
};

/* --- SCRAM --- */

static struct scram_keys *keys_of(enum sasl_mechanism mechanism, struct password_keys *keys)
{
    return mechanism == SASL_SCRAM_SHA_1 ? &keys->sha_1 : &keys->sha_256;
}

static bool *has_of(enum sasl_mechanism mechanism, struct password_keys *keys)
{
    return mechanism == SASL_SCRAM_SHA_1 ? &keys->has_sha_1 : &keys->has_sha_256;
}

void text_put_scram(struct buf *to, enum sasl_mechanism mechanism, const struct password_kept *salt,
                    const struct password_keys *keys)
{
    struct password_keys copy = *keys;
    const struct scram_keys *of = keys_of(mechanism, &copy);
    size_t length = scram_length(mechanism);
    if (!*has_of(mechanism, &copy))
        return;
    buf_put(to, sasl_name(mechanism));
    buf_printf(to, "$%u:", (unsigned)salt->rounds);
    base64_print(to, str_make(salt->salt, SCRAM_SALT));
    buf_putc(to, '$');
    base64_print(to, str_make(of->stored, length));
    buf_putc(to, ':');
    base64_print(to, str_make(of->server, length));
}

/* Exactly so many octets. */
static bool octets_take(struct str text, unsigned char *to, size_t n)
{
    struct buf buf = BUF_INIT(KEYS_MAX);
    bool good = base64_parse(text, &buf) && buf.n == n;
    if (good)
        memcpy(to, buf.p, n);
    if (buf.p)
        str_wipe(str_make(buf.p, buf.n));
    buf_done(&buf);
    return good;
}

static bool salt_take(struct password_kept *salt, uint64_t rounds,
                      const unsigned char octets[SCRAM_SALT])
{
    if (salt->rounds)
        return salt->rounds == rounds && memcmp(salt->salt, octets, SCRAM_SALT) == 0;
    salt->rounds = (uint32_t)rounds;
    memcpy(salt->salt, octets, SCRAM_SALT);
    return true;
}

const char *text_to_scram(struct str text, struct password_kept *salt, struct password_keys *keys)
{
    static const char *const form = "expected SCRAM-SHA-256$ROUNDS:SALT$KEY:KEY";
    enum sasl_mechanism mechanism;
    unsigned char octets[SCRAM_SALT];
    uint64_t rounds;
    struct str name = str_cut(&text, '$'), salted = str_cut(&text, '$');
    struct str count = str_cut(&salted, ':'), stored = str_cut(&text, ':');
    if (!sasl_find(name, &mechanism) ||
        (mechanism != SASL_SCRAM_SHA_1 && mechanism != SASL_SCRAM_SHA_256))
        return form;
    if (!str_to_u64(count, &rounds) || rounds < SCRAM_ROUNDS_LEAST || rounds > SCRAM_ROUNDS_MOST)
        return "expected 4096 to 10000000 rounds of SCRAM";
    struct scram_keys *of = keys_of(mechanism, keys);
    size_t length = scram_length(mechanism);
    if (!octets_take(salted, octets, SCRAM_SALT) || !octets_take(stored, of->stored, length) ||
        !octets_take(text, of->server, length))
        return form;
    if (*has_of(mechanism, keys))
        return "two SCRAM keys of one kind";
    *has_of(mechanism, keys) = true;
    return salt_take(salt, rounds, octets) ? NULL
                                           : "the SCRAM keys of an account have one salt and one "
                                             "number of rounds";
}

const char *text_to_cram_secret(struct str text, struct arena *arena, struct str *secret_r)
{
    struct buf buf = buf_in(arena, TEXT_VALUE_MAX);
    if (!base64_parse(text, &buf) || buf.n == 0 || buf.n > PASSWORD_MAX)
        return "expected a password in base64";
    *secret_r = buf_built(&buf);
    return secret_r->p ? NULL : "there is no room for it";
}

/* --- Application passwords and certificates --- */

static void keys_put(struct buf *to, const struct password_kept *salt,
                     const struct password_keys *keys)
{
    if (!keys->has_sha_1 && !keys->has_sha_256)
        buf_putc(to, '-');
    text_put_scram(to, SASL_SCRAM_SHA_1, salt, keys);
    if (keys->has_sha_1 && keys->has_sha_256)
        buf_putc(to, ',');
    text_put_scram(to, SASL_SCRAM_SHA_256, salt, keys);
}

static const char *keys_take(struct str text, struct password_kept *salt,
                             struct password_keys *keys)
{
    const char *wrong = NULL;
    if (str_eq(text, STR("-")))
        return NULL;
    while (!wrong && text.p)
        wrong = text_to_scram(str_cut(&text, ','), salt, keys);
    return wrong;
}

void text_put_app_password(struct buf *to, const struct app_password *app,
                           const struct password_kept *salt)
{
    text_put_services(to, app->services);
    buf_putc(to, ' ');
    buf_put(to, app->hash);
    buf_putc(to, ' ');
    keys_put(to, salt, &app->keys);
    buf_putc(to, ' ');
    buf_put(to, app->name);
}

const char *text_to_app_password(struct str text, struct password_kept *salt,
                                 struct app_password *app_r)
{
    struct app_password app = {0};
    struct str services = str_cut(&text, ' ');
    app.hash = str_cut(&text, ' ');
    struct str keys = str_cut(&text, ' ');
    app.name = text;
    if (!app.name.p || !text_to_services(services, &app.services))
        return "expected SERVICES HASH KEYS NAME";
    const char *wrong = keys_take(keys, salt, &app.keys);
    if (!wrong)
        *app_r = app;
    return wrong;
}

void text_put_certificate(struct buf *to, const struct client_certificate *certificate)
{
    directory_fingerprint_print(to, certificate->fingerprint);
    buf_putc(to, ' ');
    buf_put(to, certificate->name);
}

const char *text_to_certificate(struct str text, struct client_certificate *certificate_r)
{
    struct client_certificate certificate = {0};
    struct str fingerprint = str_cut(&text, ' ');
    certificate.name = text;
    if (!text.p || !directory_fingerprint_parse(fingerprint, certificate.fingerprint))
        return "expected FINGERPRINT NAME";
    *certificate_r = certificate;
    return NULL;
}
