/*
 * The secret is kept beside what is said of it, so that a judge knows what was tried; `proves` says
 * from which line on the server could know it.
 */
#include "auth.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/must.h"

enum {
    SHA = 32,
    SALT_MAX = 64,
    ROUNDS_MOST = 100000,
};

static void base64_put(struct buf *to, const void *octets, size_t n)
{
    unsigned char text[AUTH_LINE_MAX];
    must(4 * n / 3 + 4 < sizeof(text));
    must(buf_put(to,
                 str_make((const char *)text,
                          (size_t)EVP_EncodeBlock(text, (const unsigned char *)octets, (int)n))));
}

/* Octets that were decoded; -1: it is none. */
static ssize_t base64_get(struct str text, unsigned char *to, size_t most)
{
    size_t filled = 0;
    if (text.n % 4 || 3 * text.n / 4 > most)
        return -1;
    while (filled < 2 && filled < text.n && text.p[text.n - 1 - filled] == '=')
        filled++;
    int n = EVP_DecodeBlock(to, (const unsigned char *)text.p, (int)text.n);
    return n < 0 ? -1 : n - (ssize_t)filled;
}

static void text_keep(char *to, size_t size, struct str text)
{
    must(text.n < size);
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
}

struct auth auth_make(enum auth_way way, bool smtp, struct str name, struct str secret,
                      struct fake_random *random)
{
    struct auth auth = {.way = way == AUTH_USER_PASS && smtp ? AUTH_PLAIN : way, .smtp = smtp};
    text_keep(auth.name, sizeof(auth.name), name);
    text_keep(auth.secret, sizeof(auth.secret), secret);
    snprintf(auth.nonce, sizeof(auth.nonce), "%016llx",
             (unsigned long long)fake_random_next(random));
    return auth;
}

/* --- First lines ------------------------------------------------------------------------------ */

static void plain_put(const struct auth *auth, struct buf *line)
{
    char text[2 * AUTH_NAME_MAX + 2];
    size_t name = strlen(auth->name), secret = strlen(auth->secret);
    text[0] = '\0';
    memcpy(text + 1, auth->name, name + 1);
    memcpy(text + name + 2, auth->secret, secret);
    base64_put(line, text, name + secret + 2);
}

void auth_begin(struct auth *auth, struct buf *line)
{
    char first[sizeof(auth->bare) + 3];
    switch (auth->way) {
    case AUTH_USER_PASS:
        buf_printf(line, "USER %s", auth->name);
        break;
    case AUTH_PLAIN:
        buf_printf(line, "AUTH PLAIN ");
        plain_put(auth, line);
        auth->proves = true;
        break;
    case AUTH_SCRAM:
        snprintf(auth->bare, sizeof(auth->bare), "n=%s,r=%s", auth->name, auth->nonce);
        snprintf(first, sizeof(first), "n,,%s", auth->bare);
        buf_printf(line, "AUTH SCRAM-SHA-256 ");
        base64_put(line, first, strlen(first));
        break;
    case AUTH_BROKEN:
        buf_printf(line, "AUTH PLAIN AG1v=bmE");
        break;
    case AUTH_LOGIN:
    case AUTH_CANCEL:
    case AUTH_WAYS:
        buf_printf(line, "AUTH LOGIN");
        break;
    }
}

/* --- SCRAM (RFC 5802 3) ----------------------------------------------------------------------- */

static void hmac(const unsigned char key[SHA], const char *text, unsigned char out[SHA])
{
    must(HMAC(EVP_sha256(), key, SHA, (const unsigned char *)text, strlen(text), out, NULL));
}

/* The value of "x=..." in a line of SCRAM. */
static struct str value_of(const char *line, char name)
{
    struct str rest = str_from(line);
    while (rest.n) {
        struct str part = str_cut(&rest, ',');
        if (part.n > 2 && part.p[0] == name && part.p[1] == '=')
            return str_from_index(part, 2);
    }
    return str_null();
}

static bool salted_make(const struct auth *auth, unsigned char salted[SHA])
{
    unsigned char salt[SALT_MAX];
    uint64_t rounds;
    ssize_t n = base64_get(value_of(auth->server_first, 's'), salt, sizeof(salt));
    if (n <= 0 || !str_to_u64(value_of(auth->server_first, 'i'), &rounds) || rounds > ROUNDS_MOST)
        return false;
    return PKCS5_PBKDF2_HMAC(auth->secret, (int)strlen(auth->secret), salt, (int)n, (int)rounds,
                             EVP_sha256(), SHA, salted);
}

/* Answers server-first-message; what the server must say at last is kept. */
static bool proof_put(struct auth *auth, struct buf *line)
{
    unsigned char salted[SHA], key[SHA], stored[SHA], proof[SHA];
    char without[400], signed_text[900], final[600];
    struct str nonce = value_of(auth->server_first, 'r');
    if (!str_starts(nonce, str_from(auth->nonce)) || !salted_make(auth, salted))
        return false;
    snprintf(without, sizeof(without), "c=biws,r=%.*s", STR_FMT(nonce));
    snprintf(signed_text, sizeof(signed_text), "%s,%s,%s", auth->bare, auth->server_first, without);
    hmac(salted, "Client Key", key);
    must(EVP_Digest(key, SHA, stored, NULL, EVP_sha256(), NULL));
    hmac(stored, signed_text, proof);
    for (size_t i = 0; i < SHA; i++)
        proof[i] ^= key[i];
    hmac(salted, "Server Key", key);
    hmac(key, signed_text, auth->server_signature);
    struct buf text = {.p = final, .cap = sizeof(final), .max = sizeof(final)};
    buf_printf(&text, "%s,p=", without);
    base64_put(&text, proof, SHA);
    base64_put(line, text.p, text.n);
    auth->proves = true;
    return true;
}

static bool is_its_signature(const struct auth *auth, const char *last)
{
    unsigned char signature[SHA + 3];
    return base64_get(value_of(last, 'v'), signature, sizeof(signature)) == SHA &&
           memcmp(signature, auth->server_signature, SHA) == 0;
}

/* A server that says no says so behind the proof; here it claims to be the one. */
static bool scram_next(struct auth *auth, struct str challenge, struct buf *line)
{
    char text[sizeof(auth->server_first)];
    ssize_t n = base64_get(challenge, (unsigned char *)text, sizeof(text) - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    if (auth->step++ == 0) {
        memcpy(auth->server_first, text, (size_t)n + 1);
        return proof_put(auth, line);
    }
    auth->impostor = !is_its_signature(auth, text);
    return true;
}

/* --- Other lines ------------------------------------------------------------------------------ */

static bool login_next(struct auth *auth, struct buf *line)
{
    const char *word = auth->step++ == 0 ? auth->name : auth->secret;
    if (auth->way == AUTH_CANCEL) {
        buf_putc(line, '*');
        return true;
    }
    auth->proves = auth->step > 1;
    base64_put(line, word, strlen(word));
    return auth->step <= 2;
}

bool auth_next(struct auth *auth, struct str reply, struct buf *line)
{
    struct str go_on = auth->smtp ? STR("334 ") : STR("+ ");
    if (auth->way == AUTH_USER_PASS) {
        if (auth->step++ > 0 || !str_starts(reply, STR("+OK")))
            return false;
        auth->proves = true;
        return buf_printf(line, "PASS %s", auth->secret);
    }
    if (!str_starts(reply, go_on))
        return false;
    if (auth->way == AUTH_SCRAM)
        return scram_next(auth, str_from_index(reply, go_on.n), line);
    return (auth->way == AUTH_LOGIN || auth->way == AUTH_CANCEL) && login_next(auth, line);
}
