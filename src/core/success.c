/*
 * Why places in groups and no lists: an entry is 32 octets, a look-up reads one group of eight, and
 * there is nothing that could leak or dangle. What stands in the table is an HMAC, of which time
 * would tell nothing to who does not know the key; it is compared as secrets are all the same.
 */
#include "core/success.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/must.h"
#include "base/wire.h"

enum {
    GROUP = 8,
    TAG = 24,
    DIGEST = 32,
    GROUPS = SUCCESSES_MOST / GROUP,
    TEXT_MAX = 2048, /* octets of a password, and of the two numbers */
};

struct success {
    unsigned char tag[TAG];
    int64_t at; /* 0: free */
};

struct successes {
    unsigned char key[SUCCESS_KEY];
    struct success places[GROUPS][GROUP];
};

struct successes *successes_open(const unsigned char key[SUCCESS_KEY])
{
    struct successes *successes = calloc(1, sizeof(*successes));
    if (successes)
        memcpy(successes->key, key, SUCCESS_KEY);
    return successes;
}

void successes_close(struct successes *successes)
{
    if (!successes)
        return;
    explicit_bzero(successes->key, SUCCESS_KEY);
    free(successes);
}

/* false: no password is that long, or there is no memory. */
static bool digest_of(const struct successes *successes, const struct success_of *of,
                      unsigned char digest_r[DIGEST])
{
    char text[TEXT_MAX];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    unsigned n = DIGEST;
    wire_put_u64(&buf, of->account);
    wire_put_u64(&buf, of->version);
    buf_put(&buf, of->password);
    bool made = !buf_over(&buf) && HMAC(EVP_sha256(), successes->key, SUCCESS_KEY,
                                        (unsigned char *)buf.p, buf.n, digest_r, &n);
    explicit_bzero(text, sizeof(text));
    must(!made || n == DIGEST);
    return made;
}

static size_t group_of(const unsigned char digest[DIGEST])
{
    return key_get_u32(digest + TAG) % GROUPS;
}

static bool is_tag(const struct success *success, const unsigned char digest[DIGEST])
{
    return success->at != 0 && str_eq_secret(str_make(success->tag, TAG), str_make(digest, TAG));
}

bool success_known(const struct successes *successes, const struct success_of *of, int64_t since)
{
    unsigned char digest[DIGEST];
    if (!digest_of(successes, of, digest))
        return false;
    const struct success *group = successes->places[group_of(digest)];
    for (size_t i = 0; i < GROUP; i++)
        if (is_tag(&group[i], digest))
            return group[i].at >= since;
    return false;
}

void success_note(struct successes *successes, const struct success_of *of, int64_t now)
{
    unsigned char digest[DIGEST];
    if (!digest_of(successes, of, digest))
        return;
    struct success *group = successes->places[group_of(digest)], *place = &group[0];
    for (size_t i = 0; i < GROUP; i++) {
        if (group[i].at < place->at)
            place = &group[i];
    }
    for (size_t i = 0; i < GROUP; i++) {
        if (is_tag(&group[i], digest))
            place = &group[i];
    }
    memcpy(place->tag, digest, TAG);
    place->at = now > 0 ? now : 1;
}
