/*
 * Who may send as whom. What is granted is written down; what follows from where mail goes is asked
 * of the same code that delivers, so that an address is somebody's for sending exactly as long as
 * what is sent to it reaches that person and nobody else. A list never makes its members owners of
 * its address, though it had one member only: its owner decides who speaks for it, by a grant.
 */
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    SCRATCH_MAX = 32 * 1024 * 1024
};

/* --- Grants --- */

struct str grant_key(struct draft *draft, uint64_t account, const struct addr *other)
{
    struct str name = name_of_addr(other, draft->arena);
    return name.p ? key_number('a', account, name, draft->arena) : str_null();
}

struct err grant_stage(struct draft *draft, uint64_t account, const struct addr *other)
{
    struct str key = grant_key(draft, account, other);
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    if (key.n > ENGINE_KEY_MAX)
        return err_detail(ERR_NAME_REFUSED, STR("the address is too long"));
    draft_put(draft, key, address_of(draft, other));
    return err_none();
}

static struct err grants_read(struct draft *draft, uint64_t account, struct arena *arena,
                              struct str **grants_r, size_t *count_r)
{
    struct draft_walk walk;
    struct entry entry;
    struct str *grants = arena_take_array(arena, DIRECTORY_GRANTS_MAX, sizeof(*grants));
    *count_r = 0;
    if (!grants)
        return err_make(ERR_OVER_LIMIT);
    struct err e =
        draft_walk_open(&walk, draft, key_number('a', account, str_null(), draft->arena));
    while (!err_is(e) && *count_r < DIRECTORY_GRANTS_MAX &&
           !err_is(e = draft_walk_next(&walk, &entry)))
        grants[(*count_r)++] = arena_str(arena, entry.value);
    draft_walk_done(&walk);
    *grants_r = grants;
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err grants_unstage(struct draft *draft, uint64_t account)
{
    struct draft_walk walk;
    struct entry entry;
    struct err e =
        draft_walk_open(&walk, draft, key_number('a', account, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        draft_remove(draft, arena_str(draft->arena, entry.key));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct grant_change {
    const struct addr *addr, *other;
};

static struct err grant_find(struct draft *draft, const struct grant_change *change,
                             uint64_t *account_r, struct str *value_r)
{
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, &found);
    *value_r = str_null();
    if (err_is(e))
        return e;
    *account_r = found.record.account.id;
    e = draft_get(draft, grant_key(draft, *account_r, change->other), value_r);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err add(struct draft *draft, void *arg)
{
    const struct grant_change *change = arg;
    struct str *grants, old;
    uint64_t account;
    size_t count;
    struct err e = grant_find(draft, change, &account, &old);
    if (err_is(e))
        return e;
    if (old.p)
        return err_detail(ERR_EXISTS, detail_of(draft, "it was granted before: ", old));
    e = grants_read(draft, account, draft->arena, &grants, &count);
    if (!err_is(e) && count >= DIRECTORY_GRANTS_MAX)
        e = err_detail(ERR_OVER_LIMIT, STR("an account has at most 100 grants"));
    return err_is(e) ? e : grant_stage(draft, account, change->other);
}

struct err directory_grant_add(struct directory *directory, const struct addr *addr,
                               const struct addr *other, struct arena *arena)
{
    struct grant_change change = {.addr = addr, .other = other};
    return directory_change(directory, arena, add, &change);
}

static struct err take_back(struct draft *draft, void *arg)
{
    const struct grant_change *change = arg;
    struct str old;
    uint64_t account;
    struct err e = grant_find(draft, change, &account, &old);
    if (!err_is(e) && !old.p)
        return err_detail(ERR_NOT_FOUND, detail_of(draft, "it was not granted: ",
                                                   address_of(draft, change->other)));
    if (!err_is(e))
        draft_remove(draft, grant_key(draft, account, change->other));
    return e;
}

struct err directory_grant_remove(struct directory *directory, const struct addr *addr,
                                  const struct addr *other, struct arena *arena)
{
    struct grant_change change = {.addr = addr, .other = other};
    return directory_change(directory, arena, take_back, &change);
}

struct err directory_grant_list(struct directory *directory, uint64_t account, struct arena *arena,
                                struct str **grants_r, size_t *count_r)
{
    struct draft draft;
    draft_read(&draft, directory, arena);
    return grants_read(&draft, account, arena, grants_r, count_r);
}

/* --- May it send as this? --- */

/* By itself, or with all of its domain. */
static struct err is_granted(struct draft *draft, uint64_t account, const struct addr *addr,
                             bool *may_r)
{
    struct str value;
    struct addr domain = *addr;
    domain.local = STR("");
    struct err e = draft_get(draft, grant_key(draft, account, addr), &value);
    if (e.code == ERR_NOT_FOUND)
        e = draft_get(draft, grant_key(draft, account, &domain), &value);
    *may_r = !err_is(e);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err is_own(struct draft *draft, uint64_t account, const struct addr *addr,
                         bool *may_r)
{
    struct expansion expansion;
    struct str address = address_of(draft, addr);
    if (!address.p)
        return err_make(ERR_OVER_LIMIT);
    const struct follow how = {.ends_at_accounts = true};
    struct err e = directory_follow(draft, &address, 1, &how, &expansion);
    /* Beyond DIRECTORY_MEMBERS_MAX it is not one person's. */
    *may_r = !err_is(e) && expansion.count == 1 && expansion.outside_count == 0 &&
             !expansion.by_list && !expansion.too_deep &&
             TAILQ_FIRST(&expansion.reached)->account.id == account;
    return e.code == ERR_OVER_LIMIT && !arena_over(draft->arena) ? err_none() : e;
}

static struct err may_send(struct draft *draft, uint64_t account, const struct addr *addr,
                           bool *may_r)
{
    struct found found;
    struct err e = account_get(draft, account, &found);
    if (err_is(e) || found.record.account.disabled ||
        (addr->kind != ADDR_DOMAIN && addr->kind != ADDR_LITERAL) || addr->local.n == 0)
        return e;
    e = is_own(draft, account, addr, may_r);
    return err_is(e) || *may_r ? e : is_granted(draft, account, addr, may_r);
}

struct err directory_may_send(struct directory *directory, uint64_t account,
                              const struct addr *addr, struct arena *arena, bool *may_r)
{
    struct arena scratch;
    struct draft draft;
    *may_r = false;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    struct err e = may_send(&draft, account, addr, may_r);
    if (e.detail.n)
        e.detail = arena_str(arena, e.detail);
    arena_done(&scratch);
    return e;
}
