/*
 * What the directory's tests start from: the memory engine, a clock that stands, and short ways to
 * say "add this". Addresses are texts; several are divided by spaces.
 */
#ifndef STORE_DIRECTORY_GIVEN_TEST_H
#define STORE_DIRECTORY_GIVEN_TEST_H

#include "store/directory.h"
#include "store/store_rig_test.h"

enum {
    GIVEN_MEMORY = 256 << 20,
    GIVEN_TARGETS = 200,
};

struct given {
    struct store_rig store;
    struct directory directory;
    struct arena arena;
    struct world world;
    uint64_t size;     /* of messages that resolved_of asks for */
    struct str server; /* that its clients connected to */
};

static int64_t given_wall(struct world *world)
{
    (void)world;
    return 1700000000 * US_PER_SECOND;
}

/* Others each time. */
static void given_random(struct world *world, void *to, size_t n)
{
    static unsigned char last;
    (void)world;
    memset(to, ++last, n);
}

static const struct world_ops given_world = {.wall = given_wall, .random = given_random};

__attribute__((unused)) static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.world = {WORLD_MAGIC, &given_world}};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    const struct directory_settings settings = {.plus = '+'};
    directory_init(&given.directory, given.store.engine, &given.world, &settings);
    given.directory.loop = given.store.rig.loop;
    arena_init(&given.arena, GIVEN_MEMORY);
    *state = &given;
    return 0;
}

__attribute__((unused)) static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    store_rig_close(&given->store);
    return 0;
}

static struct err addr_of(struct given *given, struct str text, struct addr *addr_r)
{
    return directory_name_parse(text, &given->arena, addr_r);
}

__attribute__((unused)) static enum err_code domain_add(struct given *given, struct str domain)
{
    struct err e = host_parse(domain, &given->arena, &domain);
    return err_is(e) ? e.code : directory_domain_add(&given->directory, domain, &given->arena).code;
}

__attribute__((unused)) static enum err_code account_add(struct given *given, struct str address,
                                                         struct str name)
{
    struct addr addr;
    struct account account = {.name = name};
    struct err e = addr_of(given, address, &addr);
    return err_is(e)
               ? e.code
               : directory_account_add(&given->directory, &addr, &account, &given->arena).code;
}

/* Addresses of a text; the count, or the error. */
static enum err_code addrs_of(struct given *given, struct str text, struct addr *to,
                              size_t *count_r)
{
    *count_r = 0;
    while (text.p) {
        struct err e = addr_of(given, str_cut(&text, ' '), &to[*count_r]);
        if (err_is(e))
            return e.code;
        ++*count_r;
    }
    return ERR_NONE;
}

__attribute__((unused)) static enum err_code alias_add(struct given *given, struct str address,
                                                       struct str targets)
{
    static struct addr addrs[GIVEN_TARGETS];
    struct addr addr;
    size_t count;
    enum err_code code = addrs_of(given, targets, addrs, &count);
    struct err e = addr_of(given, address, &addr);
    if (code || err_is(e))
        return code ? code : e.code;
    return directory_alias_add(&given->directory, &addr, addrs, count, &given->arena).code;
}

__attribute__((unused)) static enum err_code alias_set(struct given *given, struct str address,
                                                       struct str targets)
{
    static struct addr addrs[GIVEN_TARGETS];
    struct addr addr;
    size_t count;
    enum err_code code = addrs_of(given, targets, addrs, &count);
    struct err e = addr_of(given, address, &addr);
    if (code || err_is(e))
        return code ? code : e.code;
    return directory_alias_set(&given->directory, &addr, addrs, count, &given->arena).code;
}

__attribute__((unused)) static enum err_code list_add(struct given *given, struct str address,
                                                      struct str owner, bool expandable)
{
    struct addr addr, by;
    const struct mailing_list list = {.expandable = expandable, .name = STR("List")};
    struct err e = addr_of(given, address, &addr);
    if (!err_is(e))
        e = addr_of(given, owner, &by);
    return err_is(e)
               ? e.code
               : directory_list_add(&given->directory, &addr, &list, &by, NULL, 0, &given->arena)
                     .code;
}

static enum err_code member_changed(struct given *given, struct str list, struct str member,
                                    bool drop)
{
    struct addr addr;
    struct member_change change = {.drop = drop};
    struct err e = addr_of(given, list, &addr);
    if (!err_is(e))
        e = addr_of(given, member, &change.member);
    return err_is(e) ? e.code
                     : directory_list_set(&given->directory, &addr, NULL, NULL, 0, &change, 1,
                                          &given->arena)
                           .code;
}

__attribute__((unused)) static enum err_code member_add(struct given *given, struct str list,
                                                        struct str member)
{
    return member_changed(given, list, member, false);
}

__attribute__((unused)) static enum err_code member_remove(struct given *given, struct str list,
                                                           struct str member)
{
    return member_changed(given, list, member, true);
}

__attribute__((unused)) static enum err_code moved_add(struct given *given, struct str address,
                                                       struct str to, bool forward)
{
    struct addr addr, there;
    struct err e = addr_of(given, address, &addr);
    if (!err_is(e))
        e = addr_of(given, to, &there);
    return err_is(e)
               ? e.code
               : directory_moved_add(&given->directory, &addr, &there, forward, &given->arena).code;
}

__attribute__((unused)) static enum err_code grant_add(struct given *given, struct str address,
                                                       struct str other)
{
    struct addr addr, to;
    struct err e = addr_of(given, address, &addr);
    if (!err_is(e))
        e = addr_of(given, other, &to);
    return err_is(e) ? e.code
                     : directory_grant_add(&given->directory, &addr, &to, &given->arena).code;
}

__attribute__((unused)) static enum err_code forward_add(struct given *given, struct str address,
                                                         struct str target, enum forward_keep keep)
{
    struct addr addr, to;
    struct err e = addr_of(given, address, &addr);
    if (!err_is(e))
        e = addr_of(given, target, &to);
    return err_is(e)
               ? e.code
               : directory_forward_add(&given->directory, &addr, &to, keep, &given->arena).code;
}

__attribute__((unused)) static enum err_code forward_remove(struct given *given, struct str address,
                                                            struct str target)
{
    struct addr addr, to;
    struct err e = addr_of(given, address, &addr);
    if (!err_is(e))
        e = addr_of(given, target, &to);
    return err_is(e) ? e.code
                     : directory_forward_remove(&given->directory, &addr, &to, &given->arena).code;
}

__attribute__((unused)) static enum err_code forward_keep(struct given *given, struct str address,
                                                          enum forward_keep keep)
{
    struct addr addr;
    struct err e = addr_of(given, address, &addr);
    return err_is(e) ? e.code
                     : directory_forward_keep(&given->directory, &addr, keep, &given->arena).code;
}

typedef struct err (*remove_call)(struct directory *, const struct addr *, struct arena *);

__attribute__((unused)) static enum err_code remove_by(struct given *given, remove_call call,
                                                       struct str address)
{
    struct addr addr;
    struct err e = addr_of(given, address, &addr);
    return err_is(e) ? e.code : call(&given->directory, &addr, &given->arena).code;
}

/* RCPT TO:<address>; "postmaster" alone too. */
__attribute__((unused)) static struct resolved resolved_of(struct given *given, struct str address)
{
    struct addr addr = {.kind = ADDR_LOCAL_ONLY, .local = STR("postmaster")};
    struct resolved resolved = {0};
    if (!str_eq(address, STR("postmaster")))
        must(!err_is(addr_of(given, address, &addr)));
    struct err e = directory_resolve(&given->directory, &addr, given->size, given->server,
                                     &given->arena, &resolved);
    if (err_is(e))
        resolved.refusal = e;
    return resolved;
}

/* The delivered-to addresses of a resolved address, joined by spaces, or the name of its refusal.
 */
__attribute__((unused)) static struct str copies_of(struct given *given, struct str address)
{
    struct resolved resolved = resolved_of(given, address);
    if (err_is(resolved.refusal))
        return str_from(err_row(resolved.refusal.code)->name);
    struct buf buf = BUF_INIT(1 << 20);
    for (size_t i = 0; i < resolved.count; i++) {
        buf_put(&buf, i ? STR(" ") : STR(""));
        buf_put(&buf, resolved.copies[i].delivered_to);
    }
    struct str text = buf_copy(&buf, &given->arena);
    buf_done(&buf);
    return text;
}

/* The addresses elsewhere that it leads to, likewise. */
__attribute__((unused)) static struct str outside_of(struct given *given, struct str address)
{
    struct resolved resolved = resolved_of(given, address);
    if (err_is(resolved.refusal))
        return str_from(err_row(resolved.refusal.code)->name);
    struct buf buf = BUF_INIT(1 << 20);
    for (size_t i = 0; i < resolved.outside_count; i++) {
        buf_put(&buf, i ? STR(" ") : STR(""));
        buf_put(&buf, resolved.outside[i].text);
    }
    struct str text = buf_copy(&buf, &given->arena);
    buf_done(&buf);
    return text;
}

#define WITH_DIRECTORY(test) ON_FIBER(test, given_open, given_close)

#endif
