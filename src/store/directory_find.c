/*
 * Breadth first over a queue rather than by recursion: depth is data here, not stack, and the order
 * of the copies is the order in which a person would read the aliases. A diamond (two aliases with
 * a common target) is no loop; for sending both end the same way, at the second visit.
 */
#include "store/directory_find.h"

#include "base/must.h"
#include "store/directory_record.h"

enum {
    ONE_ARENA = 1024 * 1024, /* octets that are read to follow one address */
};

struct seen {
    RB_ENTRY(seen) tree;
    struct str name;
};

RB_HEAD(seen_tree, seen);

static int seen_order(const struct seen *a, const struct seen *b)
{
    return str_cmp(a->name, b->name);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(seen_tree, seen, tree, seen_order, __attribute__((unused)) static)

struct node {
    TAILQ_ENTRY(node) link;
    struct str address;
    unsigned depth;
    struct str given; /* the address that led here; str_null: the first */
    struct str list, list_owner;
};

TAILQ_HEAD(node_list, node);

struct following {
    struct draft *draft;
    struct arena one; /* what only the address needs that is followed now */
    struct str here;  /* the domain of ours that was met last; or str_null */
    struct node_list queue;
    struct seen_tree seen;
    size_t seen_count;
    const struct follow *how;
    struct expansion *expansion;
};

/* --- One name --- */

struct err name_get(struct draft *draft, struct str name, struct found *found_r)
{
    struct str value;
    struct err e = draft_get(draft, key_name(name, draft->arena), &value);
    if (err_is(e))
        return e;
    found_r->name = name;
    return name_decode(value, draft->arena, &found_r->record);
}

struct str account_key(uint64_t account, struct arena *arena)
{
    return key_number('i', account, str_null(), arena);
}

struct err account_get(struct draft *draft, uint64_t account, struct found *found_r)
{
    struct str name;
    struct err e = draft_get(draft, account_key(account, draft->arena), &name);
    return err_is(e) ? e : name_get(draft, name, found_r);
}

struct err domain_get(struct draft *draft, struct str domain, struct domain *domain_r)
{
    struct str value;
    struct err e = draft_get(draft, key_of('d', domain, draft->arena), &value);
    return err_is(e) ? e : domain_decode(domain, value, domain_r);
}

struct err stored_addr(struct str text, struct arena *arena, struct addr *addr_r)
{
    struct err e = directory_name_parse(text, arena, addr_r);
    return e.code == ERR_ADDRESS_SYNTAX
               ? err_detail(ERR_STORE_DAMAGED, STR("an address in the directory is malformed"))
               : e;
}

struct str local_fold(struct str text, struct arena *arena)
{
    struct buf buf = buf_in(arena, ENGINE_KEY_MAX);
    struct addr addr;
    buf_put(&buf, text);
    buf_put(&buf, STR("@x.invalid"));
    bool good = !buf_over(&buf) && !err_is(addr_parse(buf_str(&buf), arena, &addr));
    return good ? name_local(name_of_addr(&addr, arena)) : str_null();
}

static struct err find_exactly(struct draft *draft, const struct addr *addr, struct found *found_r)
{
    struct str name = name_of_addr(addr, draft->arena);
    return name.p ? name_get(draft, name, found_r) : err_make(ERR_OVER_LIMIT);
}

static struct err find_without_tag(struct draft *draft, const struct addr *addr,
                                   struct found *found_r)
{
    struct addr base = *addr;
    struct str tag;
    if (addr->kind == ADDR_LOCAL_ONLY ||
        !addr_split_tag(addr->local, draft->directory->settings.plus, &base.local, &tag))
        return err_make(ERR_NOT_FOUND);
    return find_exactly(draft, &base, found_r);
}

/* The account with the lowest id: whoever set the server up. */
static struct err find_first_account(struct draft *draft, struct found *found_r)
{
    struct draft_walk walk;
    struct entry entry;
    struct err e = draft_walk_open(&walk, draft, STR("i"));
    if (!err_is(e))
        e = draft_walk_next(&walk, &entry);
    struct str name = err_is(e) ? str_null() : arena_str(draft->arena, entry.value);
    draft_walk_done(&walk);
    return err_is(e) ? e : name_get(draft, name, found_r);
}

static struct err find_postmaster(struct draft *draft, struct found *found_r)
{
    struct addr addr;
    struct str setting = draft->directory->settings.postmaster;
    struct err e = err_make(ERR_NOT_FOUND);
    if (setting.n && !err_is(addr_parse(setting, draft->arena, &addr)))
        e = find_exactly(draft, &addr, found_r);
    return e.code == ERR_NOT_FOUND ? find_first_account(draft, found_r) : e;
}

bool is_at_server(const struct draft *draft, const struct addr *addr)
{
    if (addr->kind != ADDR_LITERAL)
        return false;
    struct str number = str_make(addr->domain.p + 1, addr->domain.n - 2);
    if (str_starts(number, STR("IPv6:")))
        number = str_from_index(number, 5);
    return str_eq(number, draft->server);
}

/* The host answers by its own name and address whether or not anybody gets mail there (RFC 5321
 * 4.5.1, RFC 1123 5.2.17). */
static bool is_host(const struct draft *draft, const struct addr *addr)
{
    struct str hostname = draft->directory->settings.hostname;
    return (hostname.n && str_eq_nocase(addr->domain, hostname)) || is_at_server(draft, addr);
}

struct err is_elsewhere(struct draft *draft, const struct addr *addr, bool *elsewhere_r)
{
    struct domain domain;
    *elsewhere_r = false;
    if ((addr->kind != ADDR_DOMAIN && addr->kind != ADDR_LITERAL) || addr->local.n == 0)
        return err_none();
    struct err e = domain_get(draft, addr->domain, &domain);
    *elsewhere_r = e.code == ERR_NOT_FOUND && !is_host(draft, addr);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err find_catch_all(struct draft *draft, const struct addr *addr,
                                 struct found *found_r)
{
    struct addr catch_all = *addr;
    catch_all.local = STR("");
    return find_exactly(draft, &catch_all, found_r);
}

struct err name_find(struct draft *draft, const struct addr *addr, struct found *found_r)
{
    struct domain domain;
    if (addr->kind == ADDR_LOCAL_ONLY)
        return find_postmaster(draft, found_r);
    if (addr->kind == ADDR_NULL)
        return err_make(ERR_NOT_FOUND);
    struct err e = find_exactly(draft, addr, found_r);
    if (e.code == ERR_NOT_FOUND)
        e = find_without_tag(draft, addr, found_r);
    if (e.code != ERR_NOT_FOUND)
        return e;
    bool postmaster = str_eq_nocase(addr->local, STR("postmaster"));
    e = domain_get(draft, addr->domain, &domain);
    if (e.code == ERR_NOT_FOUND && postmaster && is_host(draft, addr))
        return find_postmaster(draft, found_r);
    if (err_is(e))
        return e;
    if (postmaster)
        return find_postmaster(draft, found_r);
    return find_catch_all(draft, addr, found_r);
}

struct addr addr_in(struct addr addr, struct str text, struct arena *arena)
{
    size_t local = addr.local.n, domain = addr.domain.n;
    bool plain =
        text.n == local + 1 + domain && str_starts(text, addr.local) && str_ends(text, addr.domain);
    addr.local = plain ? str_head(text, local) : arena_str(arena, addr.local);
    addr.domain = plain ? str_from_index(text, local + 1) : arena_str(arena, addr.domain);
    return addr;
}

/* --- Following --- */

static struct err enqueue(struct following *following, struct str address, const struct node *from,
                          struct str list, struct str list_owner)
{
    struct node *node = arena_new(following->draft->arena, struct node);
    if (!node)
        return err_make(ERR_OVER_LIMIT);
    *node = (struct node){.address = address,
                          .depth = from->depth + 1,
                          .given = from->address,
                          .list = list.p ? list : from->list,
                          .list_owner = list.p ? list_owner : from->list_owner};
    TAILQ_INSERT_TAIL(&following->queue, node, link);
    return err_none();
}

static struct err follow_members(struct following *following, const struct node *from,
                                 const struct mailing_list *list)
{
    struct draft *draft = following->draft;
    struct draft_walk walk;
    struct entry entry;
    following->expansion->by_list = true;
    struct err e =
        draft_walk_open(&walk, draft, key_number('m', list->id, str_null(), draft->arena));
    while (!err_is(e)) {
        e = draft_walk_next(&walk, &entry);
        if (!err_is(e))
            e = enqueue(following, arena_str(draft->arena, entry.value), from, list->address,
                        list->owner);
    }
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err follow_targets(struct following *following, const struct node *from,
                                 const struct alias *alias)
{
    struct err e = err_none();
    for (size_t i = 0; i < alias->target_count && !err_is(e); i++)
        e = enqueue(following, alias->targets[i], from, str_null(), str_null());
    return e;
}

size_t expansion_count(const struct expansion *expansion)
{
    return expansion->count + expansion->outside_count;
}

static struct err too_many(void)
{
    return err_detail(ERR_OVER_LIMIT, STR("the address leads to too many accounts"));
}

static struct err reach(struct following *following, const struct node *from,
                        const struct account *account)
{
    struct reached *reached = arena_new(following->draft->arena, struct reached);
    if (!reached || following->expansion->count == DIRECTORY_COPIES_MAX)
        return too_many();
    following->expansion->count++;
    *reached = (struct reached){.account = *account,
                                .delivered_to = from->address,
                                .list = from->list,
                                .list_owner = from->list_owner};
    TAILQ_INSERT_TAIL(&following->expansion->reached, reached, link);
    return err_none();
}

/* False: it was followed before. */
static struct err see(struct following *following, struct str name, bool *first_r)
{
    struct seen *seen = arena_new(following->draft->arena, struct seen);
    if (!seen || following->seen_count > 2 * DIRECTORY_MEMBERS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("the address leads to too many others"));
    seen->name = name;
    *first_r = RB_INSERT(seen_tree, &following->seen, seen) == NULL;
    following->seen_count++;
    return err_none();
}

/* A disabled account gets nothing and forwards nothing. Who looks for loops goes on all the same:
 * it may be enabled tomorrow. */
static struct err follow_account(struct following *following, const struct node *node,
                                 const struct account *account)
{
    const struct follow *how = following->how;
    bool on = !how->ends_at_accounts && (!account->disabled || how->forbidden.p);
    struct err e = err_none();
    if (!on || !account->forwards_only)
        e = reach(following, node, account);
    for (size_t i = 0; on && i < account->forward_count && !err_is(e); i++)
        e = enqueue(following, account->forwards[i], node, str_null(), str_null());
    return e;
}

static struct err follow_record(struct following *following, const struct node *node,
                                const struct name *record)
{
    switch (record->kind) {
    case NAME_ACCOUNT:
        return follow_account(following, node, &record->account);
    case NAME_ALIAS:
        return follow_targets(following, node, &record->alias);
    case NAME_LIST:
        return follow_members(following, node, &record->list);
    case NAME_MOVED:
        break;
    }
    if (!record->moved.forward)
        return err_none();
    return enqueue(following, record->moved.to, node, str_null(), str_null());
}

/* Nobody here answers for it. */
static struct err follow_away(struct following *following, const struct node *node,
                              const struct addr *addr)
{
    struct arena *arena = following->draft->arena;
    bool first = false;
    struct str name = arena_str(arena, name_of_addr(addr, &following->one));
    struct err e = name.p ? see(following, name, &first) : err_make(ERR_OVER_LIMIT);
    if (err_is(e) || !first)
        return e;
    struct reached_outside *outside = arena_new(arena, struct reached_outside);
    if (!outside || following->expansion->outside_count == DIRECTORY_MEMBERS_MAX)
        return too_many();
    *outside = (struct reached_outside){.addr = addr_in(*addr, node->address, arena),
                                        .text = node->address,
                                        .given = node->given,
                                        .list = node->list,
                                        .list_owner = node->list_owner};
    TAILQ_INSERT_TAIL(&following->expansion->outside, outside, link);
    following->expansion->outside_count++;
    return err_none();
}

static struct err follow_here(struct following *following, const struct node *node)
{
    struct draft *draft = following->draft;
    struct addr addr;
    struct found found;
    bool first;
    struct err e = stored_addr(node->address, draft->arena, &addr);
    if (!err_is(e))
        e = name_find(draft, &addr, &found);
    if (err_is(e))
        return e;
    if (following->how->forbidden.p && str_eq(found.name, following->how->forbidden))
        return err_make(ERR_ALIAS_LOOP);
    e = see(following, found.name, &first);
    if (err_is(e))
        return e;
    following->expansion->looped |= !first;
    return first ? follow_record(following, node, &found.record) : err_none();
}

/* *elsewhere_r: it was, and is followed. Of 100,000 such addresses little is kept, and only their
 * domains are looked up. */
static struct err follow_elsewhere(struct following *following, const struct node *node,
                                   bool *elsewhere_r)
{
    struct draft look = *following->draft;
    struct addr addr;
    *elsewhere_r = false;
    arena_reset(&following->one);
    look.arena = &following->one;
    struct err e = stored_addr(node->address, look.arena, &addr);
    if (err_is(e) || (following->here.p && str_eq(addr.domain, following->here)))
        return e;
    e = is_elsewhere(&look, &addr, elsewhere_r);
    if (err_is(e))
        return e;
    if (*elsewhere_r)
        return follow_away(following, node, &addr);
    following->here = arena_str(following->draft->arena, addr.domain);
    return err_none();
}

/* Who is written to is here most of the time, and where he leads often not. */
static struct err follow_node(struct following *following, const struct node *node)
{
    bool elsewhere = false, is_first = node->given.p == NULL;
    struct err e = err_none();
    if (node->depth > DIRECTORY_DEPTH_MAX) {
        following->expansion->too_deep = true;
        return err_none();
    }
    if (!is_first)
        e = follow_elsewhere(following, node, &elsewhere);
    if (err_is(e) || elsewhere)
        return e;
    e = follow_here(following, node);
    if (e.code == ERR_NOT_FOUND)
        e = is_first ? follow_elsewhere(following, node, &elsewhere) : err_none();
    return e;
}

struct err directory_follow(struct draft *draft, const struct str *addresses, size_t count,
                            const struct follow *how, struct expansion *expansion_r)
{
    *expansion_r = (struct expansion){0};
    TAILQ_INIT(&expansion_r->reached);
    TAILQ_INIT(&expansion_r->outside);
    struct following following = {.draft = draft, .how = how, .expansion = expansion_r};
    TAILQ_INIT(&following.queue);
    RB_INIT(&following.seen);
    arena_init_from(&following.one, ONE_ARENA, draft->directory->spares);
    const struct node before = {.depth = how->depth - 1};
    struct err e = err_none();
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = enqueue(&following, addresses[i], &before, str_null(), str_null());
    struct node *node;
    while (!err_is(e) && (node = TAILQ_FIRST(&following.queue)) != NULL) {
        TAILQ_REMOVE(&following.queue, node, link);
        draft_step(draft);
        e = follow_node(&following, node);
    }
    arena_done(&following.one);
    return e;
}
