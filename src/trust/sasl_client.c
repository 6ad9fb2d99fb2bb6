/*
 * Each mechanism is a function of the state and the challenge, in one table: the longest has three
 * messages, and a state machine of its own for each would hide that.
 */
#include "trust/sasl_client.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/must.h"
#include "format/encodings.h"
#include "trust/prepare.h"
#include "trust/scram_hash.h"

enum {
    SALT_MOST = 1024,
    MESSAGE_ROOM = 4 * SASL_MESSAGE_MAX,
    CRAM_DIGEST = 16,
};

static struct err syntax(void)
{
    return err_make(ERR_SASL_SYNTAX);
}

/* --- Which ----------------------------------------------------------------------------------- */

/* The strongest first. */
static const enum sasl_mechanism order[] = {
    SASL_OAUTHBEARER,   SASL_XOAUTH2,     SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_1, SASL_CRAM_MD5,
    SASL_PLAIN,         SASL_LOGIN};

static bool takes_tokens(enum sasl_mechanism mechanism)
{
    return mechanism == SASL_OAUTHBEARER || mechanism == SASL_XOAUTH2;
}

static bool can(const struct sasl_identity *identity, enum sasl_mechanism mechanism)
{
    if (takes_tokens(mechanism) != identity->is_token)
        return false;
    if (mechanism == SASL_SCRAM_SHA_256_PLUS)
        return identity->binding_type.n > 0;
    return !sasl_rows[mechanism].shows_password || identity->encrypted || identity->in_machine;
}

enum sasl_mechanism sasl_client_choose(const struct sasl_identity *identity, unsigned offered,
                                       unsigned allowed)
{
    unsigned both = allowed ? offered & allowed : offered;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (both & 1u << order[i] && can(identity, order[i]))
            return order[i];
    return SASL_MECHANISMS;
}

/* --- What is in one message --------------------------------------------------------------------
 */

static struct err built(struct buf *buf, struct str *message_r)
{
    *message_r = buf_built(buf);
    return err_make(message_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

/* Names and secrets of these stand between NULs or ^A: one with such an octet would say more. */
static bool is_plain_text(struct str text)
{
    return text.n > 0 && text.n <= SASL_MESSAGE_MAX / 2 && str_index(text, '\0') < 0 &&
           str_index(text, '\1') < 0;
}

static struct err plain_begin(struct sasl_client *client, struct arena *arena, struct str *first_r)
{
    struct buf buf = buf_in(arena, MESSAGE_ROOM);
    buf_putc(&buf, '\0');
    buf_put(&buf, client->identity->user);
    buf_putc(&buf, '\0');
    buf_put(&buf, client->identity->secret);
    return built(&buf, first_r);
}

/* RFC 7628 3.1: a comma and an equals sign are escaped in the name. */
static void name_put(struct buf *buf, struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == ',')
            buf_put(buf, STR("=2C"));
        else if (name.p[i] == '=')
            buf_put(buf, STR("=3D"));
        else
            buf_putc(buf, name.p[i]);
    }
}

static struct err oauthbearer_begin(struct sasl_client *client, struct arena *arena,
                                    struct str *first_r)
{
    const struct sasl_identity *identity = client->identity;
    struct buf buf = buf_in(arena, MESSAGE_ROOM);
    buf_put(&buf, STR("n,a="));
    name_put(&buf, identity->user);
    buf_printf(&buf, ",\1host=%.*s\1port=%u\1auth=Bearer ", STR_FMT(identity->host),
               identity->port);
    buf_put(&buf, identity->secret);
    buf_put(&buf, STR("\1\1"));
    return built(&buf, first_r);
}

static struct err xoauth2_begin(struct sasl_client *client, struct arena *arena,
                                struct str *first_r)
{
    struct buf buf = buf_in(arena, MESSAGE_ROOM);
    buf_put(&buf, STR("user="));
    buf_put(&buf, client->identity->user);
    buf_put(&buf, STR("\1auth=Bearer "));
    buf_put(&buf, client->identity->secret);
    buf_put(&buf, STR("\1\1"));
    return built(&buf, first_r);
}

/* --- CRAM-MD5, LOGIN ------------------------------------------------------------------------- */

static struct err cram_step(struct sasl_client *client, struct str challenge, struct arena *arena,
                            struct str *answer_r)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct str secret = client->identity->secret;
    if (client->state != SASL_CLIENT_BEGUN || challenge.n == 0)
        return syntax();
    if (!HMAC(EVP_md5(), secret.p, (int)secret.n, (const unsigned char *)challenge.p, challenge.n,
              digest, &n) ||
        n != CRAM_DIGEST)
        return err_make(ERR_NO_MEMORY);
    struct buf buf = buf_in(arena, SASL_MESSAGE_MAX);
    buf_put(&buf, client->identity->user);
    buf_putc(&buf, ' ');
    for (size_t i = 0; i < CRAM_DIGEST; i++)
        buf_printf(&buf, "%02x", digest[i]);
    client->state = SASL_CLIENT_DONE;
    return built(&buf, answer_r);
}

/* Whatever it asks for, and in whatever words: first the name, then the password. */
static struct err login_step(struct sasl_client *client, struct arena *arena, struct str *answer_r)
{
    bool first = client->state == SASL_CLIENT_BEGUN;
    if (!first && client->state != SASL_CLIENT_FIRST)
        return syntax();
    *answer_r = arena_str(arena, first ? client->identity->user : client->identity->secret);
    client->state = first ? SASL_CLIENT_FIRST : SASL_CLIENT_DONE;
    return err_make(answer_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

/* --- SCRAM ----------------------------------------------------------------------------------- */

static struct err scram_begin(struct sasl_client *client, bool would_bind, struct arena *arena,
                              struct str *first_r)
{
    const struct sasl_identity *identity = client->identity;
    struct str user;
    struct err e = prepare_name(identity->user, arena, &user);
    if (err_is(e))
        return e;
    struct buf buf = buf_in(arena, SASL_MESSAGE_MAX);
    if (client->mechanism == SASL_SCRAM_SHA_256_PLUS)
        buf_printf(&buf, "p=%.*s,,", STR_FMT(identity->binding_type));
    else
        buf_put(&buf, would_bind ? STR("y,,") : STR("n,,"));
    size_t gs2 = buf.n;
    buf_put(&buf, STR("n="));
    name_put(&buf, user);
    buf_put(&buf, STR(",r="));
    buf_put(&buf, str_make(client->nonce, sizeof client->nonce));
    e = built(&buf, first_r);
    client->gs2 = str_head(*first_r, gs2);
    client->bare = str_from_index(*first_r, gs2);
    return e;
}

/* server-first-message (RFC 5802 7). */
struct server_first {
    struct str nonce, salt;
    uint32_t rounds;
};

static struct str attribute_take(struct str *rest, char name)
{
    struct str attribute = str_cut(rest, ',');
    if (attribute.n < 3 || attribute.p[0] != name || attribute.p[1] != '=')
        return str_null();
    return str_from_index(attribute, 2);
}

static struct err server_first_parse(const struct sasl_client *client, struct str message,
                                     struct arena *arena, struct server_first *first_r)
{
    struct str rest = message, nonce = str_make(client->nonce, sizeof client->nonce);
    uint64_t rounds;
    if (message.n > SASL_MESSAGE_MAX)
        return syntax();
    first_r->nonce = attribute_take(&rest, 'r');
    struct str salt = attribute_take(&rest, 's'), count = attribute_take(&rest, 'i');
    /* Ours with something behind it: another one is an answer to somebody else. */
    if (!str_starts(first_r->nonce, nonce) || first_r->nonce.n == nonce.n ||
        !str_is_printable_ascii(first_r->nonce) || !salt.p || salt.n > SALT_MOST ||
        !str_to_u64(count, &rounds) || rounds < SCRAM_ROUNDS_LEAST ||
        rounds > SASL_CLIENT_ROUNDS_MOST)
        return syntax();
    struct buf buf = buf_in(arena, salt.n + 3);
    bool good = base64_parse(salt, &buf);
    first_r->salt = buf_built(&buf);
    first_r->rounds = (uint32_t)rounds;
    return good && first_r->salt.p ? err_none() : syntax();
}

/* client-final-message-without-proof: what our gs2 header bound goes into it. */
static void without_proof_put(const struct sasl_client *client, struct str nonce,
                              struct arena *arena, struct buf *to)
{
    struct buf bound = buf_in(arena, client->gs2.n + SASL_BINDING_MAX);
    buf_put(&bound, client->gs2);
    if (client->mechanism == SASL_SCRAM_SHA_256_PLUS)
        buf_put(&bound, client->identity->binding);
    buf_put(to, STR("c="));
    base64_print(to, buf_str(&bound));
    buf_put(to, STR(",r="));
    buf_put(to, nonce);
}

/* RFC 5802 3: ClientProof, and the signature that the server owes. */
static bool proof_make(struct sasl_client *client, struct str password,
                       const struct server_first *first, struct str messages,
                       unsigned char proof_r[SCRAM_HASH_MAX])
{
    enum sasl_mechanism mechanism = client->mechanism;
    size_t length = scram_length(mechanism);
    unsigned char salted[SCRAM_HASH_MAX], key[SCRAM_HASH_MAX], stored[SCRAM_HASH_MAX],
        signature[SCRAM_HASH_MAX];
    bool made = scram_salted(mechanism, password, first->salt, first->rounds, salted) &&
                scram_sign(mechanism, salted, STR("Client Key"), proof_r) &&
                scram_digest(mechanism, proof_r, stored) &&
                scram_sign(mechanism, stored, messages, signature) &&
                scram_sign(mechanism, salted, STR("Server Key"), key) &&
                scram_sign(mechanism, key, messages, client->server);
    for (size_t i = 0; made && i < length; i++)
        proof_r[i] ^= signature[i];
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(stored, sizeof stored);
    return made;
}

static struct err scram_prove(struct sasl_client *client, struct str challenge, struct arena *arena,
                              struct str *answer_r)
{
    struct server_first first;
    struct str password;
    unsigned char proof[SCRAM_HASH_MAX];
    struct err e = server_first_parse(client, challenge, arena, &first);
    if (!err_is(e))
        e = prepare_password(client->identity->secret, arena, &password);
    if (err_is(e))
        return e;
    struct buf final = buf_in(arena, SASL_MESSAGE_MAX), messages = buf_in(arena, MESSAGE_ROOM);
    without_proof_put(client, first.nonce, arena, &final);
    buf_printf(&messages, "%.*s,%.*s,%.*s", STR_FMT(client->bare), STR_FMT(challenge),
               STR_FMT(buf_str(&final)));
    bool made =
        !buf_over(&messages) && proof_make(client, password, &first, buf_str(&messages), proof);
    if (password.p != client->identity->secret.p) /* plain ASCII is not copied */
        str_wipe(password);
    if (!made)
        return err_make(ERR_NO_MEMORY);
    buf_put(&final, STR(",p="));
    base64_print(&final, str_make(proof, scram_length(client->mechanism)));
    client->state = SASL_CLIENT_LAST;
    return built(&final, answer_r);
}

/* "v=..."; "e=..." says why not, and is no proof either. */
static bool server_proves(const struct sasl_client *client, struct str message)
{
    unsigned char room[4 * SCRAM_HASH_MAX];
    struct buf signature = {.p = (char *)room, .cap = sizeof room, .max = sizeof room};
    struct str rest = message, text = attribute_take(&rest, 'v');
    return text.p && text.n <= base64_encoded_size(SCRAM_HASH_MAX, true) &&
           base64_parse(text, &signature) &&
           str_eq_secret(buf_str(&signature),
                         str_make(client->server, scram_length(client->mechanism)));
}

static struct err scram_step(struct sasl_client *client, struct str challenge, struct arena *arena,
                             struct str *answer_r)
{
    if (client->state == SASL_CLIENT_FIRST)
        return scram_prove(client, challenge, arena, answer_r);
    if (client->state != SASL_CLIENT_LAST || !server_proves(client, challenge))
        return syntax();
    client->proved = true;
    client->state = SASL_CLIENT_DONE;
    *answer_r = STR("");
    return err_none();
}

/* --- All ------------------------------------------------------------------------------------- */

/* What a server says against a token is answered, and then it says the same as an error (RFC 7628
 * 3.2.3). */
static struct err token_step(struct sasl_client *client, struct str *answer_r)
{
    if (client->state != SASL_CLIENT_LAST)
        return syntax();
    client->state = SASL_CLIENT_DONE;
    *answer_r = client->mechanism == SASL_OAUTHBEARER ? STR("\1") : STR("");
    return err_none();
}

static void nonce_make(struct sasl_client *client, const unsigned char *random)
{
    char room[4 * SASL_CLIENT_NONCE]; /* what encodes asks for more than it fills */
    struct buf buf = {.p = room, .cap = sizeof room, .max = sizeof room};
    base64_print(&buf, str_make(random, SASL_CLIENT_NONCE));
    must(buf.n == sizeof client->nonce);
    memcpy(client->nonce, room, sizeof client->nonce);
}

struct err sasl_client_begin(struct sasl_client *client, enum sasl_mechanism mechanism,
                             const struct sasl_identity *identity, bool would_bind,
                             const unsigned char random[SASL_CLIENT_NONCE], struct arena *arena,
                             struct str *first_r)
{
    *client = (struct sasl_client){.mechanism = mechanism, .identity = identity};
    *first_r = str_null();
    must(mechanism < SASL_MECHANISMS && mechanism != SASL_EXTERNAL);
    if (!is_plain_text(identity->user) || !is_plain_text(identity->secret))
        return syntax();
    if (mechanism == SASL_LOGIN || mechanism == SASL_CRAM_MD5)
        return err_none();
    client->state = sasl_is_scram(mechanism) ? SASL_CLIENT_FIRST : SASL_CLIENT_LAST;
    if (sasl_is_scram(mechanism)) {
        nonce_make(client, random);
        return scram_begin(client, would_bind, arena, first_r);
    }
    if (mechanism == SASL_PLAIN)
        return plain_begin(client, arena, first_r);
    return mechanism == SASL_XOAUTH2 ? xoauth2_begin(client, arena, first_r)
                                     : oauthbearer_begin(client, arena, first_r);
}

struct err sasl_client_step(struct sasl_client *client, struct str challenge, struct arena *arena,
                            struct str *answer_r)
{
    *answer_r = str_null();
    if (challenge.n > SASL_MESSAGE_MAX)
        return syntax();
    if (sasl_is_scram(client->mechanism))
        return scram_step(client, challenge, arena, answer_r);
    if (takes_tokens(client->mechanism))
        return token_step(client, answer_r);
    if (client->mechanism == SASL_CRAM_MD5)
        return cram_step(client, challenge, arena, answer_r);
    return client->mechanism == SASL_LOGIN ? login_step(client, arena, answer_r) : syntax();
}

bool sasl_client_end(struct sasl_client *client, struct str with_success)
{
    if (!sasl_is_scram(client->mechanism))
        return client->mechanism == SASL_PLAIN || takes_tokens(client->mechanism) ||
               client->state == SASL_CLIENT_DONE;
    if (client->state == SASL_CLIENT_LAST && server_proves(client, with_success))
        client->proved = true;
    return client->proved;
}
