/*
 * Log-ins: who is called that, and what is kept of how to tell. What is asked at each log-in is
 * read by keys, never by walking: strangers ask too, with names of their choice.
 */
#include "base/must.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    SCRATCH_MAX = 32 * 1024 * 1024,
    SMALL_MAX = 1024 * 1024,
};

/* --- By name --- */

static struct err account_take(const struct found *found, struct arena *arena,
                               struct account *account_r)
{
    if (found->record.kind != NAME_ACCOUNT)
        return err_make(ERR_NOT_FOUND);
    struct account account = found->record.account;
    account.address = arena_str(arena, account.address);
    account.name = arena_str(arena, account.name);
    account.password = arena_str(arena, account.password);
    account.forwards = NULL; /* they lie in the draft's */
    account.forward_count = 0;
    account.forwards_only = false;
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    *account_r = account;
    return err_none();
}

/* An alias is somebody's name where it leads to one account, nowhere else and through no list: then
 * nobody else reads what is sent to it, and nobody becomes a user by joining a list. */
static struct err alias_owner(struct draft *draft, const struct alias *alias, struct found *found)
{
    struct expansion expansion;
    const struct follow how = {.depth = 1, .ends_at_accounts = true};
    struct err e = directory_follow(draft, alias->targets, alias->target_count, &how, &expansion);
    if (err_is(e))
        return e;
    if (expansion.count != 1 || expansion.outside_count > 0 || expansion.by_list ||
        expansion.too_deep)
        return err_make(ERR_NOT_FOUND);
    return account_get(draft, TAILQ_FIRST(&expansion.reached)->account.id, found);
}

static struct err find_by_address(struct draft *draft, const struct addr *addr, struct found *found)
{
    struct str name = name_of_addr(addr, draft->arena);
    struct err e = name.p ? name_get(draft, name, found) : err_make(ERR_OVER_LIMIT);
    if (err_is(e) || found->record.kind == NAME_ACCOUNT)
        return e;
    if (found->record.kind != NAME_ALIAS)
        return err_make(ERR_NOT_FOUND);
    const struct alias alias = found->record.alias;
    return alias_owner(draft, &alias, found);
}

/* The only account with this local part: the walk ends at the second. Where there is none, as much
 * is read: no name is without a domain. */
static struct err find_by_local(struct draft *draft, struct str text, struct found *found)
{
    struct draft_walk walk;
    struct entry entry;
    struct str local = local_fold(text, draft->arena), name = str_null();
    size_t count = 0;
    if (!local.p)
        return err_make(ERR_NOT_FOUND);
    struct str prefix = key_local(local, str_null(), draft->arena);
    struct err e = prefix.p ? draft_walk_open(&walk, draft, prefix) : err_make(ERR_OVER_LIMIT);
    if (err_is(e))
        return e;
    while (count < 2 && !err_is(e = draft_walk_next(&walk, &entry)) && entry.value.n > 1)
        if (entry.value.p[0] == NAME_ACCOUNT) {
            name = arena_str(draft->arena, str_from_index(entry.value, 1));
            count++;
        }
    draft_walk_done(&walk);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        return e;
    return name_get(draft, count == 1 ? name : local, found);
}

static struct err find_by_login(struct draft *draft, struct str user, struct found *found_r)
{
    struct addr addr;
    struct err e = addr_parse(user, draft->arena, &addr);
    return err_is(e) ? find_by_local(draft, user, found_r) : find_by_address(draft, &addr, found_r);
}

struct err directory_login(struct directory *directory, struct str user, struct arena *arena,
                           struct account *account_r)
{
    struct arena scratch;
    struct draft draft;
    struct found found, nobody;
    struct account nobodys;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    struct err e = find_by_login(&draft, user, &found);
    bool as_well = nobody_name_get(&draft, !err_is(e), &nobody);
    if (!err_is(e))
        e = account_take(&found, arena, account_r);
    else if (as_well)
        (void)account_take(&nobody, arena, &nobodys).code;
    arena_done(&scratch);
    return e.code == ERR_NOT_FOUND ? err_make(ERR_LOGIN_FAILED) : e;
}

/* --- By number --- */

struct err directory_account_by_id(struct directory *directory, uint64_t id, struct arena *arena,
                                   struct account *account_r)
{
    struct arena scratch;
    struct draft draft;
    struct found found;
    arena_init_from(&scratch, SMALL_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    struct err e = account_get(&draft, id, &found);
    if (!err_is(e))
        e = account_take(&found, arena, account_r);
    arena_done(&scratch);
    return e;
}

struct err directory_credential_version(struct directory *directory, uint64_t account,
                                        uint64_t *version_r)
{
    struct arena scratch;
    struct draft draft;
    struct found found;
    arena_init_from(&scratch, SMALL_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    struct err e = account_get(&draft, account, &found);
    if (!err_is(e))
        *version_r = found.record.account.credential_version;
    arena_done(&scratch);
    return e;
}

struct err directory_credentials(struct directory *directory, uint64_t account, struct arena *arena,
                                 struct credentials *credentials_r)
{
    struct draft draft;
    draft_read(&draft, directory, arena);
    struct err e = credentials_get(&draft, account, credentials_r);
    if (!err_is(e))
        nobody_credentials_get(&draft, !credentials_say_nothing(credentials_r));
    return e;
}

/* --- By certificate --- */

/* The accounts that have it, two at most: more are as good as two. */
static struct err holders_find(struct draft *draft, struct str fingerprint, uint64_t holders[2],
                               size_t *count_r)
{
    struct draft_walk walk;
    struct entry entry;
    struct str prefix = key_of('f', fingerprint, draft->arena);
    *count_r = 0;
    struct err e = prefix.p ? draft_walk_open(&walk, draft, prefix) : err_make(ERR_OVER_LIMIT);
    if (err_is(e))
        return e;
    while (*count_r < 2 && !err_is(e = draft_walk_next(&walk, &entry)))
        holders[(*count_r)++] = key_number_at(entry.key, prefix.n);
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err find_by_certificate(struct draft *draft, struct str fingerprint, struct str as,
                                      struct found *found)
{
    uint64_t holders[2];
    size_t count;
    struct str nothing;
    if (as.n) {
        struct err e = find_by_login(draft, as, found);
        if (err_is(e))
            return e;
        return draft_get(
            draft, key_certificate(fingerprint, found->record.account.id, draft->arena), &nothing);
    }
    struct err e = holders_find(draft, fingerprint, holders, &count);
    if (err_is(e))
        return e;
    return count == 1 ? account_get(draft, holders[0], found) : err_make(ERR_NOT_FOUND);
}

struct err directory_login_certificate(struct directory *directory,
                                       const unsigned char fingerprint[SHA256_SIZE], struct str as,
                                       struct arena *arena, struct account *account_r)
{
    struct arena scratch;
    struct draft draft;
    struct found found;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    struct err e = find_by_certificate(&draft, str_make(fingerprint, SHA256_SIZE), as, &found);
    if (!err_is(e))
        e = account_take(&found, arena, account_r);
    arena_done(&scratch);
    return e.code == ERR_NOT_FOUND ? err_make(ERR_LOGIN_FAILED) : e;
}
