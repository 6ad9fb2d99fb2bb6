/*
 * SCRAM's computing (RFC 5802 3), with OpenSSL's HMAC over messages that are put together first:
 * they are short, and one call is simpler than a context that must be freed on every way out.
 *
 * A proof is computed to its end whoever it is for, so that nothing can be told from time.
 */
#include "trust/scram_hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/must.h"
#include "base/sha256.h"
#include "format/encodings.h"

enum {
    ROUNDS_DIGITS = 10,
    MESSAGES_MAX = 4 * SASL_MESSAGE_MAX, /* the AuthMessage: three of them, and commas */
};

struct err scram_keys_make(enum sasl_mechanism mechanism, struct str password,
                           const unsigned char salt[SCRAM_SALT], uint32_t rounds,
                           struct scram_keys *keys_r)
{
    if (rounds < SCRAM_ROUNDS_LEAST || rounds > SCRAM_ROUNDS_MOST || password.n > SASL_MESSAGE_MAX)
        return err_make(ERR_USAGE);
    unsigned char salted[SCRAM_HASH_MAX], client[SCRAM_HASH_MAX];
    *keys_r = (struct scram_keys){0};
    bool made = scram_salted(mechanism, password, str_make(salt, SCRAM_SALT), rounds, salted) &&
                scram_sign(mechanism, salted, STR("Client Key"), client) &&
                scram_digest(mechanism, client, keys_r->stored) &&
                scram_sign(mechanism, salted, STR("Server Key"), keys_r->server);
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(client, sizeof(client));
    return made ? err_none() : err_make(ERR_NO_MEMORY);
}

struct str scram_server_first(struct str client_nonce, const unsigned char random[SCRAM_NONCE],
                              const unsigned char salt[SCRAM_SALT], uint32_t rounds,
                              struct arena *arena)
{
    size_t most = client_nonce.n + base64_encoded_size(SCRAM_NONCE, true) +
                  base64_encoded_size(SCRAM_SALT, true) + sizeof("r=,s=,i=") + ROUNDS_DIGITS;
    struct buf buf = buf_in(arena, most);
    buf_put(&buf, STR("r="));
    buf_put(&buf, client_nonce);
    base64_print(&buf, str_make(random, SCRAM_NONCE));
    buf_put(&buf, STR(",s="));
    base64_print(&buf, str_make(salt, SCRAM_SALT));
    buf_put(&buf, STR(",i="));
    buf_put_u64(&buf, rounds);
    return buf_built(&buf);
}

/* AuthMessage (RFC 5802 3); str_null where there is no room. */
static struct str messages_joined(struct str bare, struct str server_first,
                                  struct str without_proof, struct arena *arena)
{
    struct buf buf = buf_in(arena, MESSAGES_MAX);
    buf_put(&buf, bare);
    buf_putc(&buf, ',');
    buf_put(&buf, server_first);
    buf_putc(&buf, ',');
    buf_put(&buf, without_proof);
    return buf_built(&buf);
}

static struct str server_final(struct str signature, struct arena *arena)
{
    struct buf buf = buf_in(arena, 2 + base64_encoded_size(SCRAM_HASH_MAX, true));
    buf_put(&buf, STR("v="));
    base64_print(&buf, signature);
    return buf_built(&buf);
}

bool scram_proves(enum sasl_mechanism mechanism, const struct scram_keys *keys, struct str bare,
                  struct str server_first, struct str without_proof, struct str proof,
                  struct arena *arena, struct str *server_final_r)
{
    size_t length = scram_length(mechanism);
    struct str messages = messages_joined(bare, server_first, without_proof, arena);
    unsigned char client[SCRAM_HASH_MAX], stored[SCRAM_HASH_MAX], signature[SCRAM_HASH_MAX];
    if (!messages.p || proof.n != length ||
        !scram_sign(mechanism, keys->stored, messages, client) ||
        !scram_sign(mechanism, keys->server, messages, signature))
        return false;
    for (size_t i = 0; i < length; i++)
        client[i] ^= (unsigned char)proof.p[i]; /* ClientSignature becomes ClientKey */
    bool proves = scram_digest(mechanism, client, stored) &&
                  str_eq_secret(str_make(stored, length), str_make(keys->stored, length));
    OPENSSL_cleanse(client, sizeof(client));
    if (proves)
        *server_final_r = server_final(str_make(signature, length), arena);
    return proves && server_final_r->p;
}

void scram_salt_made_up(const unsigned char key[32], struct str user,
                        unsigned char salt_r[SCRAM_SALT])
{
    /* HMAC (RFC 2104) by hand: OpenSSL's takes memory and can fail, and a salt there must be. */
    unsigned char inner[64], outer[64], made[SHA256_SIZE];
    for (size_t i = 0; i < sizeof(inner); i++) {
        unsigned char octet = i < 32 ? key[i] : 0;
        inner[i] = octet ^ 0x36;
        outer[i] = octet ^ 0x5c;
    }
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_feed(&sha256, str_make(inner, sizeof(inner)));
    sha256_feed(&sha256, user);
    sha256_end(&sha256, made);
    sha256_init(&sha256);
    sha256_feed(&sha256, str_make(outer, sizeof(outer)));
    sha256_feed(&sha256, str_make(made, sizeof(made)));
    sha256_end(&sha256, made);
    memcpy(salt_r, made, SCRAM_SALT);
}
