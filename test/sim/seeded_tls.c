/*
 * A provider of our own was weighed for the randomness: it would have to be the parent of every
 * generator of the default library context, and there is more than one. The method of before 3.0 is
 * asked in front of all of them, for keys, nonces and blinding too.
 *
 * libssl puts the age of a ticket, by time(), into what it says. The executable's own `time` stands
 * before libc's for every library, as the linker exports what those want.
 *
 * What libssl and libcrypto take is none of the memory that fake_memory counts, so what a role has
 * not given back when it is killed is found in a list of its own: contexts, connections, sessions.
 * What our code frees itself, in a role that lives, is struck off there.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "seeded_tls.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <time.h>

#include "base/must.h"
#include "sys/tls.h"

enum {
    NO_TIME = 1767225600 /* 2026-01-01, where the fake world begins */
};

/* --- Randomness and time --------------------------------------------------------------------- */

static struct {
    struct fake_random random;
    struct fake_world *fake;
    bool prepared;
} seeded;

static int bytes_give(unsigned char *to, int n)
{
    fake_random_fill(&seeded.random, to, (size_t)n);
    return 1;
}

static int status_tell(void)
{
    return 1;
}

static const RAND_METHOD method = {
    .bytes = bytes_give, .pseudorand = bytes_give, .status = status_tell};

void seeded_tls_begin(struct fake_world *fake)
{
    if (!seeded.prepared)
        must(tls_prepare() && RAND_set_rand_method(&method) == 1);
    seeded.prepared = true;
    seeded.fake = fake;
    fake_world_random(fake, "openssl", &seeded.random);
}

void seeded_tls_end(void)
{
    seeded.fake = NULL;
}

time_t time(time_t *to)
{
    time_t now = seeded.fake ? (time_t)(world_wall(&seeded.fake->world) / US_PER_SECOND) : NO_TIME;
    if (to)
        *to = now;
    return now;
}

/* --- What roles have of it ------------------------------------------------------------------- */

enum kind { /* in the order in which they go */
    KIND_CONNECTION,
    KIND_SESSION,
    KIND_CONTEXT,
    KIND_METHOD,
    KINDS
};

struct taken {
    LIST_ENTRY(taken) link;
    struct fake_memory *memory;
    void *at;
};

static LIST_HEAD(, taken) taken[KINDS];

SSL *__real_SSL_new(SSL_CTX *context);
void __real_SSL_free(SSL *ssl);
SSL_CTX *__real_SSL_CTX_new(const SSL_METHOD *how);
void __real_SSL_CTX_free(SSL_CTX *context);
int __real_SSL_SESSION_up_ref(SSL_SESSION *session);
void __real_SSL_SESSION_free(SSL_SESSION *session);
BIO_METHOD *__real_BIO_meth_new(int type, const char *name);
void __real_BIO_meth_free(BIO_METHOD *bio);
void __real_fake_memory_close(struct fake_memory *memory);

SSL *__wrap_SSL_new(SSL_CTX *context);
void __wrap_SSL_free(SSL *ssl);
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *how);
void __wrap_SSL_CTX_free(SSL_CTX *context);
int __wrap_SSL_SESSION_up_ref(SSL_SESSION *session);
void __wrap_SSL_SESSION_free(SSL_SESSION *session);
BIO_METHOD *__wrap_BIO_meth_new(int type, const char *name);
void __wrap_BIO_meth_free(BIO_METHOD *bio);
void __wrap_fake_memory_close(struct fake_memory *memory);

/* The driver's own is its own to free. */
static void note(enum kind kind, void *at)
{
    struct fake_memory *memory = fake_memory_charge(NULL);
    if (memory && at) {
        struct taken *one = malloc(sizeof(*one));
        must(one);
        *one = (struct taken){.memory = memory, .at = at};
        LIST_INSERT_HEAD(&taken[kind], one, link);
    }
    fake_memory_charge(memory);
}

static void strike(enum kind kind, const void *at)
{
    struct taken *one;
    LIST_FOREACH (one, &taken[kind], link) {
        if (one->at != at)
            continue;
        LIST_REMOVE(one, link);
        free(one);
        return;
    }
}

static void give_back(enum kind kind, void *at)
{
    switch (kind) {
    case KIND_CONNECTION:
        __real_SSL_free(at);
        break;
    case KIND_SESSION:
        __real_SSL_SESSION_free(at);
        break;
    case KIND_CONTEXT:
        __real_SSL_CTX_free(at);
        break;
    case KIND_METHOD:
        __real_BIO_meth_free(at);
        break;
    case KINDS:
        break;
    }
}

void __wrap_fake_memory_close(struct fake_memory *memory)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct taken *one = LIST_FIRST(&taken[kind]);
        while (one) {
            struct taken *next = LIST_NEXT(one, link);
            if (one->memory == memory) {
                LIST_REMOVE(one, link);
                give_back(kind, one->at);
                free(one);
            }
            one = next;
        }
    }
    __real_fake_memory_close(memory);
}

SSL *__wrap_SSL_new(SSL_CTX *context)
{
    SSL *ssl = __real_SSL_new(context);
    note(KIND_CONNECTION, ssl);
    return ssl;
}

void __wrap_SSL_free(SSL *ssl)
{
    strike(KIND_CONNECTION, ssl);
    __real_SSL_free(ssl);
}

SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *how)
{
    SSL_CTX *context = __real_SSL_CTX_new(how);
    note(KIND_CONTEXT, context);
    return context;
}

void __wrap_SSL_CTX_free(SSL_CTX *context)
{
    strike(KIND_CONTEXT, context);
    __real_SSL_CTX_free(context);
}

int __wrap_SSL_SESSION_up_ref(SSL_SESSION *session)
{
    note(KIND_SESSION, session);
    return __real_SSL_SESSION_up_ref(session);
}

void __wrap_SSL_SESSION_free(SSL_SESSION *session)
{
    strike(KIND_SESSION, session);
    __real_SSL_SESSION_free(session);
}

BIO_METHOD *__wrap_BIO_meth_new(int type, const char *name)
{
    BIO_METHOD *bio = __real_BIO_meth_new(type, name);
    note(KIND_METHOD, bio);
    return bio;
}

void __wrap_BIO_meth_free(BIO_METHOD *bio)
{
    strike(KIND_METHOD, bio);
    __real_BIO_meth_free(bio);
}
