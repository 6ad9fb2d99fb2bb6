/*
 * Why keys are held by count: a signature on the lane goes on with its key while the domain's keys
 * are changed.
 *
 * Ed25519 is not sent to the lane: it takes 50 microseconds, about what the way there and back
 * takes.
 */
#include "core/signing_keys.h"

#include "base/hash.h"
#include "base/must.h"

enum {
    KINDS = 2 /* in the order in which fields are put: RSA in front, which every reader knows */
};

/* A key that signs. */
struct held_key {
    struct dkim_key *key;
    size_t holds; /* by its domain, by signatures being made */
    size_t selector_n;
    char selector[DKIM_SELECTOR_MAX];
};

struct signing_domain {
    UT_hash_handle hh;
    struct held_key *keys[KINDS]; /* NULL: none of this kind */
    size_t name_n;
    char name[DKIM_DOMAIN_MAX];
};

static void key_release(struct held_key *held)
{
    if (!held || --held->holds > 0)
        return;
    dkim_key_free(held->key);
    free(held);
}

static void keys_release(struct held_key *keys[KINDS])
{
    for (size_t i = 0; i < KINDS; i++) {
        key_release(keys[i]);
        keys[i] = NULL;
    }
}

/* --- Loading ---------------------------------------------------------------------------------- */

static struct err key_load(const struct dkim_kept *kept, struct held_key **held_r)
{
    if (kept->selector.n > DKIM_SELECTOR_MAX)
        return err_detail(ERR_STORE_DAMAGED, STR("a selector that is too long"));
    struct held_key *held = calloc(1, sizeof(*held));
    struct err e = held ? dkim_key_read(kept->private_key, &held->key) : err_make(ERR_NO_MEMORY);
    if (err_is(e)) {
        free(held);
        return e;
    }
    held->holds = 1;
    held->selector_n = kept->selector.n;
    memcpy(held->selector, kept->selector.p, kept->selector.n);
    *held_r = held;
    return e;
}

static void key_take(struct core *core, const struct dkim_kept *kept, struct held_key *keys[KINDS])
{
    struct held_key **place = &keys[kept->algorithm == DKIM_ED25519];
    struct held_key *held;
    if (kept->state != DKIM_ACTIVE)
        return;
    struct err e = key_load(kept, &held);
    if (err_is(e)) {
        log_event(core->log, LOG_FAIL, "signing_key_not_read", log_str("domain", kept->domain),
                  log_str("selector", kept->selector),
                  log_str("error", str_from(err_row(e.code)->name)));
        return;
    }
    key_release(*place);
    *place = held;
}

static struct signing_domain *domain_find(const struct signing *signing, struct str name)
{
    struct signing_domain *domain;
    HASH_FIND(hh, signing->domains, name.p, name.n, domain);
    return domain;
}

/* NULL: no memory, or the name is none. */
static struct signing_domain *domain_take(struct signing *signing, struct str name)
{
    struct signing_domain *domain = domain_find(signing, name);
    if (domain || name.n > DKIM_DOMAIN_MAX)
        return domain;
    domain = calloc(1, sizeof(*domain));
    if (!domain)
        return NULL;
    domain->name_n = name.n;
    memcpy(domain->name, name.p, name.n);
    HASH_ADD(hh, signing->domains, name, domain->name_n, domain);
    if (HASH_ADDED(domain))
        return domain;
    free(domain);
    return NULL;
}

static void domain_drop(struct signing *signing, struct signing_domain *domain)
{
    HASH_DEL(signing->domains, domain);
    keys_release(domain->keys);
    free(domain);
}

static struct err row_load(void *arg, const struct dkim_kept *kept)
{
    struct core *core = arg;
    if (kept->state != DKIM_ACTIVE)
        return err_none();
    struct signing_domain *domain = domain_take(core->signing, kept->domain);
    if (!domain)
        return err_make(ERR_NO_MEMORY);
    key_take(core, kept, domain->keys);
    return err_none();
}

struct reload {
    struct core *core;
    struct held_key *keys[KINDS];
};

static struct err row_reload(void *arg, const struct dkim_kept *kept)
{
    struct reload *reload = arg;
    key_take(reload->core, kept, reload->keys);
    return err_none();
}

struct err signing_reload(struct core *core, struct str name)
{
    struct signing *signing = core->signing;
    struct reload reload = {.core = core};
    struct err e = dkim_kept_each(core->engine, name, row_reload, &reload);
    bool any = reload.keys[0] || reload.keys[1];
    struct signing_domain *domain = err_is(e) ? NULL
                                    : any     ? domain_take(signing, name)
                                              : domain_find(signing, name);
    if (!err_is(e) && any && !domain)
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e)) {
        keys_release(reload.keys);
    } else if (domain && !any) {
        domain_drop(signing, domain);
    } else if (domain) {
        keys_release(domain->keys);
        memcpy(domain->keys, reload.keys, sizeof(reload.keys));
    }
    return e;
}

struct err signing_open(struct core *core)
{
    struct signing *signing = calloc(1, sizeof(*signing));
    if (!signing)
        return err_make(ERR_NO_MEMORY);
    int failed = lane_init(&signing->lane, core->loop, "signing", SIGNING_THREADS);
    if (failed) {
        free(signing);
        return err_os(-failed, STR("signing threads"));
    }
    signing->magic = SIGNING_MAGIC;
    core->signing = signing;
    struct err e = dkim_kept_each(core->engine, str_null(), row_load, core);
    if (err_is(e))
        signing_close(core);
    return e;
}

void signing_close(struct core *core)
{
    struct signing *signing = core->signing;
    struct signing_domain *domain, *next;
    must_be(signing, SIGNING_MAGIC);
    lane_done(&signing->lane);
    HASH_ITER (hh, signing->domains, domain, next)
        domain_drop(signing, domain);
    signing->magic = 0;
    free(signing);
    core->signing = NULL;
}

/* --- Signing ---------------------------------------------------------------------------------- */

/* A key at work. */
struct work {
    struct signing *signing;
    const struct dkim_key *key;
    const unsigned char *hash;
    unsigned char *signature;
    size_t length;
    struct err e;
};

static void work_run(void *arg)
{
    struct work *work = arg;
    work->e = dkim_key_sign(work->key, work->hash, work->signature, &work->length);
}

static struct err work_sign(void *arg, const unsigned char hash[DKIM_HASH],
                            unsigned char signature_r[DKIM_SIGNATURE_MAX], size_t *length_r)
{
    struct work *work = arg;
    struct lane *lane = &work->signing->lane;
    work->hash = hash;
    work->signature = signature_r;
    if (dkim_key_algorithm(work->key) == DKIM_ED25519)
        work_run(work);
    else if (lane->waiting < SIGNING_WAITING_MAX)
        lane_call(lane, work_run, work);
    else
        work->e = err_make(ERR_TRY_LATER);
    *length_r = work->length;
    return work->e;
}

static struct err field_make(struct signing *signing, const struct held_key *held,
                             struct dkim_what *what, struct arena *arena, struct str *field_r)
{
    struct work work = {.signing = signing, .key = held->key};
    const struct dkim_signer signer = {
        .algorithm = dkim_key_algorithm(held->key), .sign = work_sign, .arg = &work};
    what->selector = str_make(held->selector, held->selector_n);
    return dkim_sign(what, &signer, arena, field_r);
}

static struct err fields_make(struct signing *signing, struct held_key *keys[KINDS],
                              struct dkim_what *what, struct arena *arena, struct buf *fields)
{
    struct err e = err_none();
    for (size_t i = 0; i < KINDS && !err_is(e); i++) {
        struct str field;
        if (!keys[i])
            continue;
        e = field_make(signing, keys[i], what, arena, &field);
        if (!err_is(e))
            buf_put(fields, field);
    }
    return e;
}

struct err signing_fields(struct core *core, struct str from_domain, struct str headers,
                          const unsigned char body_hash[DKIM_HASH], int64_t now,
                          struct arena *arena, struct str *fields_r)
{
    struct signing *signing = core->signing;
    must_be(signing, SIGNING_MAGIC);
    struct signing_domain *domain = domain_find(signing, from_domain);
    struct buf fields = BUF_INIT(KINDS * DKIM_FIELD_MAX);
    struct held_key *keys[KINDS];
    *fields_r = STR("");
    if (!core->conf->dkim.sign || !domain)
        return err_none();
    struct dkim_what what = {.headers = headers,
                             .body_hash = body_hash,
                             .domain = from_domain,
                             .now = now / US_PER_SECOND};
    memcpy(keys, domain->keys, sizeof(keys));
    for (size_t i = 0; i < KINDS; i++)
        if (keys[i])
            keys[i]->holds++;
    struct err e = fields_make(signing, keys, &what, arena, &fields);
    keys_release(keys);
    struct str made = err_is(e) ? str_null() : buf_copy(&fields, arena);
    buf_done(&fields);
    if (!err_is(e) && !made.p)
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e))
        *fields_r = made;
    return e;
}
