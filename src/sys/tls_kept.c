/*
 * A list by use, and lists by the first octet of the key: with TLS_RESUMABLE of them each has about
 * one.
 *
 * The digest takes the length of each text in front of it, so that no two askings run into one
 * another. TLSA records come from DNS in any order and are one set in each: their digests are added
 * up as numbers.
 */
#include "sys/tls_kept.h"

#include <sys/queue.h>

#include "base/wire.h"

enum {
    LISTS = 256,
    WORDS = SHA256_SIZE / sizeof(uint64_t)
};

struct kept {
    TAILQ_ENTRY(kept) by_use;
    LIST_ENTRY(kept) by_key;
    struct tls_kept_key key;
    SSL_SESSION *session;
    struct tls_verdict verdict;
    int64_t until;
};

struct tls_kept {
    TAILQ_HEAD(kept_uses, kept) uses; /* the latest last */
    LIST_HEAD(, kept) lists[LISTS];
    size_t count;
};

struct tls_kept *tls_kept_open(void)
{
    struct tls_kept *kept = calloc(1, sizeof(*kept));
    if (kept)
        TAILQ_INIT(&kept->uses);
    return kept;
}

static void forget(struct tls_kept *kept, struct kept *one)
{
    TAILQ_REMOVE(&kept->uses, one, by_use);
    LIST_REMOVE(one, by_key);
    kept->count--;
    SSL_SESSION_free(one->session);
    free(one);
}

void tls_kept_close(struct tls_kept *kept)
{
    if (!kept)
        return;
    struct kept *one;
    while ((one = TAILQ_FIRST(&kept->uses)))
        forget(kept, one);
    free(kept);
}

static struct kept *find(const struct tls_kept *kept, const struct tls_kept_key *key)
{
    struct kept *one;
    LIST_FOREACH (one, &kept->lists[key->octets[0]], by_key)
        if (memcmp(one->key.octets, key->octets, sizeof(key->octets)) == 0)
            return one;
    return NULL;
}

bool tls_kept_put(struct tls_kept *kept, const struct tls_kept_key *key, SSL_SESSION *session,
                  const struct tls_verdict *verdict, int64_t until)
{
    struct kept *one = find(kept, key);
    if (one)
        forget(kept, one);
    else if (kept->count == TLS_RESUMABLE)
        forget(kept, TAILQ_FIRST(&kept->uses));
    one = malloc(sizeof(*one));
    if (!one)
        return false;
    SSL_SESSION_up_ref(session);
    *one = (struct kept){.key = *key, .session = session, .verdict = *verdict, .until = until};
    TAILQ_INSERT_TAIL(&kept->uses, one, by_use);
    LIST_INSERT_HEAD(&kept->lists[key->octets[0]], one, by_key);
    kept->count++;
    return true;
}

SSL_SESSION *tls_kept_take(struct tls_kept *kept, const struct tls_kept_key *key, int64_t now,
                           struct tls_verdict *verdict_r)
{
    struct kept *one = find(kept, key);
    SSL_SESSION *session = one && one->until > now ? one->session : NULL;
    if (session) {
        SSL_SESSION_up_ref(session);
        *verdict_r = one->verdict;
    }
    if (session && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
        TAILQ_REMOVE(&kept->uses, one, by_use);
        TAILQ_INSERT_TAIL(&kept->uses, one, by_use);
    } else if (one) {
        forget(kept, one);
    }
    return session;
}

static void feed(struct sha256 *sha256, struct str text)
{
    uint64_t length = text.n;
    sha256_feed(sha256, str_make(&length, sizeof(length)));
    sha256_feed(sha256, text);
}

static void add_record(const struct tls_tlsa *record, uint64_t sum[WORDS])
{
    struct sha256 sha256;
    union {
        unsigned char octets[SHA256_SIZE];
        uint64_t words[WORDS];
    } digest;
    const unsigned char how[] = {record->usage, record->selector, record->matching};
    sha256_init(&sha256);
    feed(&sha256, str_make(how, sizeof(how)));
    feed(&sha256, record->data);
    sha256_end(&sha256, digest.octets);
    for (size_t i = 0; i < WORDS; i++)
        sum[i] += digest.words[i];
}

void tls_kept_key(const struct tls_peer *peer, struct tls_kept_key *key_r)
{
    struct sha256 sha256;
    uint64_t records[WORDS] = {0};
    const unsigned char how[] = {(unsigned char)peer->verify, (unsigned char)peer->least};
    for (size_t i = 0; i < peer->tlsa_count; i++)
        add_record(&peer->tlsa[i], records);
    sha256_init(&sha256);
    feed(&sha256, str_make(how, sizeof(how)));
    feed(&sha256, peer->destination);
    feed(&sha256, peer->name);
    feed(&sha256, peer->certificate);
    feed(&sha256, str_make(records, sizeof(records)));
    for (size_t i = 0; i < peer->name_count; i++)
        feed(&sha256, peer->names[i]);
    sha256_end(&sha256, key_r->octets);
}
