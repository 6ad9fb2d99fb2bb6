/*
 * CRAM-MD5. HMAC-MD5 is not broken as a keyed hash, but the server must keep the secret itself,
 * which is why it is off unless it is configured. OpenSSL may come without MD5 (FIPS): then no
 * proof fits.
 */
#include "trust/sasl.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/buf.h"

enum {
    DIGEST = 16,
    CHALLENGE_MAX = 512
};

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct err sasl_cram_parse(struct str message, struct str *user_r, unsigned char digest_r[16])
{
    ssize_t space = str_last_index(message, ' '); /* a name may have spaces */
    struct str digits = str_from_index(message, (size_t)(space + 1));
    if (message.n > SASL_MESSAGE_MAX || space < 0 || digits.n != 2 * DIGEST)
        return err_make(ERR_SASL_SYNTAX);
    *user_r = str_head(message, (size_t)space);
    if (!sasl_name_is_valid(*user_r))
        return err_make(ERR_SASL_SYNTAX);
    for (size_t i = 0; i < DIGEST; i++) {
        int high = hex_value(digits.p[2 * i]), low = hex_value(digits.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_make(ERR_SASL_SYNTAX);
        digest_r[i] = (unsigned char)(high << 4 | low);
    }
    return err_none();
}

struct str cram_challenge(const unsigned char random[16], int64_t wall, struct str host,
                          struct arena *arena)
{
    struct buf buf = buf_in(arena, CHALLENGE_MAX);
    buf_putc(&buf, '<');
    for (size_t i = 0; i < 16; i++)
        buf_printf(&buf, "%02x", random[i]);
    buf_putc(&buf, '.');
    buf_put_u64(&buf, (uint64_t)wall);
    buf_putc(&buf, '@');
    buf_put(&buf, host);
    buf_putc(&buf, '>');
    return buf_built(&buf);
}

bool cram_proves(struct str secret, struct str challenge, const unsigned char digest[16])
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool computed = HMAC(EVP_md5(), secret.p, (int)secret.n, (const unsigned char *)challenge.p,
                         challenge.n, expected, &n) &&
                    n == DIGEST;
    bool same = computed && str_eq_secret(str_make(expected, DIGEST), str_make(digest, DIGEST));
    OPENSSL_cleanse(expected, sizeof(expected));
    return same;
}
