/*
 * A list: there are few, and each is looked for once for a job.
 */
#include "core/secrets.h"

#include <sys/queue.h>

#include <openssl/crypto.h>

#include "base/must.h"
#include "conf/routes.h"

struct secret {
    LIST_ENTRY(secret) link;
    char *name, *via;
    char *octets; /* OPENSSL_secure_malloc'd */
    size_t count;
};

struct secrets {
    LIST_HEAD(, secret) all;
};

struct secrets *secrets_new(void)
{
    struct secrets *secrets = calloc(1, sizeof(*secrets));
    if (secrets)
        LIST_INIT(&secrets->all);
    return secrets;
}

static void secret_free(struct secret *secret)
{
    OPENSSL_secure_clear_free(secret->octets, secret->count);
    free(secret->name);
    free(secret->via);
    free(secret);
}

static void drop(struct secret *secret)
{
    LIST_REMOVE(secret, link);
    secret_free(secret);
}

void secrets_free(struct secrets *secrets)
{
    struct secret *secret;
    if (!secrets)
        return;
    while ((secret = LIST_FIRST(&secrets->all)))
        drop(secret);
    free(secrets);
}

static struct secret *find(const struct secrets *secrets, struct str name)
{
    struct secret *secret;
    LIST_FOREACH (secret, &secrets->all, link)
        if (str_eq(str_from(secret->name), name))
            return secret;
    return NULL;
}

static struct secret *secret_new(const struct msg_route_secret *told)
{
    struct secret *secret = calloc(1, sizeof(*secret));
    if (!secret)
        return NULL;
    secret->name = str_to_cstring(told->name);
    secret->via = str_to_cstring(told->via);
    secret->octets = OPENSSL_secure_malloc(told->secret.n);
    secret->count = told->secret.n;
    if (secret->name && secret->via && secret->octets) {
        memcpy(secret->octets, told->secret.p, told->secret.n);
        return secret;
    }
    secret_free(secret);
    return NULL;
}

struct err secrets_take(struct secrets *secrets, const struct msg_route_secret *told)
{
    struct secret *secret = find(secrets, told->name);
    if (secret)
        drop(secret);
    if (told->secret.n == 0)
        return err_none();
    secret = secret_new(told);
    if (!secret)
        return err_make(ERR_NO_MEMORY);
    LIST_INSERT_HEAD(&secrets->all, secret, link);
    return err_none();
}

void secrets_forget(struct secrets *secrets, const struct conf *conf)
{
    struct secret *next, *secret = LIST_FIRST(&secrets->all);
    for (; secret; secret = next) {
        next = LIST_NEXT(secret, link);
        if (!conf_route_named(conf, str_from(secret->name)))
            drop(secret);
    }
}

struct str secrets_find(const struct secrets *secrets, struct str name, struct str via)
{
    const struct secret *secret = secrets ? find(secrets, name) : NULL;
    if (!secret || !str_eq(str_from(secret->via), via))
        return STR("");
    return str_make(secret->octets, secret->count);
}
