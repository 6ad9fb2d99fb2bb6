/*
 * Domains, and walking through everything: a domain's names stand together in the key order, so
 * "is it empty" and "list it" are the same short scan.
 */
#include "base/must.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    WALK_MEMORY = 64 * 1024 * 1024
};

struct err domain_stage(struct draft *draft, struct str domain)
{
    struct domain record;
    struct err e = domain_get(draft, domain, &record);
    if (!err_is(e))
        return err_detail(ERR_EXISTS, detail_of(draft, "there is already the domain ", domain));
    if (e.code != ERR_NOT_FOUND)
        return e;
    record = (struct domain){.name = domain, .created = world_wall(draft->directory->world)};
    draft_put(draft, key_of('d', domain, draft->arena), domain_encode(&record, draft->arena));
    return err_none();
}

/* 'n' domain '@': what the keys of its names begin with. */
static struct str names_prefix(struct str domain, struct arena *arena)
{
    struct addr addr = {.local = STR(""), .domain = domain, .kind = ADDR_DOMAIN};
    struct str name = name_of_addr(&addr, arena);
    return name.p ? key_name(name, arena) : str_null();
}

static struct err empty_check(struct draft *draft, struct str domain)
{
    struct draft_walk walk;
    struct entry entry;
    struct name record;
    struct str prefix = names_prefix(domain, draft->arena);
    struct err e = prefix.p ? draft_walk_open(&walk, draft, prefix) : err_make(ERR_OVER_LIMIT);
    if (err_is(e))
        return e;
    e = draft_walk_next(&walk, &entry);
    if (!err_is(e))
        e = name_decode(entry.value, draft->arena, &record);
    if (!err_is(e))
        e = err_detail(ERR_IN_USE,
                       detail_of(draft, "the domain still has ", name_address(&record)));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err no_domain(struct draft *draft, struct str domain)
{
    return err_detail(ERR_DOMAIN_UNKNOWN, detail_of(draft, "no such domain: ", domain));
}

struct err domain_unstage(struct draft *draft, struct str domain)
{
    struct domain record;
    struct err e = domain_get(draft, domain, &record);
    if (e.code == ERR_NOT_FOUND)
        return no_domain(draft, domain);
    if (!err_is(e))
        e = empty_check(draft, domain);
    if (!err_is(e))
        draft_remove(draft, key_of('d', domain, draft->arena));
    return e;
}

static struct err add(struct draft *draft, void *arg)
{
    return domain_stage(draft, *(const struct str *)arg);
}

static struct err remove_domain(struct draft *draft, void *arg)
{
    return domain_unstage(draft, *(const struct str *)arg);
}

struct err directory_domain_add(struct directory *directory, struct str domain, struct arena *arena)
{
    return directory_change(directory, arena, add, &domain);
}

struct err directory_domain_remove(struct directory *directory, struct str domain,
                                   struct arena *arena)
{
    return directory_change(directory, arena, remove_domain, &domain);
}

struct err directory_domain_show(struct directory *directory, struct str domain,
                                 struct arena *arena, struct domain *domain_r)
{
    struct draft draft;
    draft_read(&draft, directory, arena);
    struct err e = domain_get(&draft, domain, domain_r);
    return e.code == ERR_NOT_FOUND ? no_domain(&draft, domain) : e;
}

/* --- Listing --- */

struct err directory_domains(struct directory *directory,
                             struct err (*each)(void *arg, const struct domain *), void *arg)
{
    struct arena arena;
    struct draft draft;
    struct draft_walk walk;
    struct entry entry;
    struct domain domain;
    arena_init(&arena, WALK_MEMORY);
    draft_read(&draft, directory, &arena);
    struct err e = draft_walk_open(&walk, &draft, STR("d"));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry))) {
        e = domain_decode(str_from_index(entry.key, 1), entry.value, &domain);
        if (!err_is(e))
            e = each(arg, &domain);
    }
    draft_walk_done(&walk);
    arena_done(&arena);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err one_name(const struct entry *entry, struct arena *scratch,
                           struct err (*each)(void *arg, const struct name *), void *arg)
{
    struct name record;
    arena_reset(scratch);
    struct err e = name_decode(entry->value, scratch, &record);
    return err_is(e) ? e : each(arg, &record);
}

struct err directory_names(struct directory *directory, struct str domain,
                           struct err (*each)(void *arg, const struct name *), void *arg)
{
    struct arena arena, scratch;
    struct draft draft;
    struct draft_walk walk;
    struct entry entry;
    arena_init(&arena, WALK_MEMORY);
    arena_init(&scratch, WALK_MEMORY);
    draft_read(&draft, directory, &arena);
    struct str prefix = domain.p ? names_prefix(domain, &arena) : STR("n");
    struct err e = prefix.p ? draft_walk_open(&walk, &draft, prefix) : err_make(ERR_OVER_LIMIT);
    if (err_is(e))
        goto done;
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        e = one_name(&entry, &scratch, each, arg);
    draft_walk_done(&walk);
done:
    arena_done(&scratch);
    arena_done(&arena);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}
