/*
 * Aliases, lists and moved users: names that lead to others, here or elsewhere. A change stages the
 * new record first and then follows where it leads, so a loop is found by walking the directory as
 * it would be.
 */
#include "base/must.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    MEMBERS_FIRST = 64
};

/* --- Checking --- */

/* Nobody here answers for it; only a target may be elsewhere. */
static struct err away_check(struct draft *draft, const struct addr *addr, struct str text,
                             bool is_owner)
{
    bool elsewhere;
    struct err e = is_elsewhere(draft, addr, &elsewhere);
    if (err_is(e) || (elsewhere && !is_owner))
        return e;
    if (elsewhere)
        return err_detail(ERR_NOT_ALLOWED,
                          detail_of(draft, "the owner of a list has an address here: ", text));
    return err_detail(ERR_NOT_FOUND, detail_of(draft, "nobody here has this address: ", text));
}

static struct err target_check(struct draft *draft, struct str target, bool is_owner)
{
    struct addr addr;
    struct found found;
    struct err e = stored_addr(target, draft->arena, &addr);
    if (!err_is(e))
        e = name_find(draft, &addr, &found);
    return e.code == ERR_NOT_FOUND ? away_check(draft, &addr, target, is_owner) : e;
}

static struct err targets_check(struct draft *draft, struct str name, const struct str *targets,
                                size_t count, bool are_owners)
{
    struct expansion expansion;
    const struct follow how = {.depth = 1, .forbidden = name};
    struct err e = err_none();
    for (size_t i = 0; !err_is(e) && i < count; i++)
        e = target_check(draft, targets[i], are_owners);
    if (!err_is(e))
        e = directory_follow(draft, targets, count, &how, &expansion);
    if (e.code == ERR_ALIAS_LOOP)
        return err_detail(ERR_ALIAS_LOOP, STR("the address would lead back to itself"));
    if (!err_is(e) && expansion.too_deep)
        return err_detail(ERR_OVER_LIMIT,
                          STR("aliases and lists stand more than 16 deep inside each other"));
    return e;
}

struct member_texts {
    struct str *texts;
    size_t count, cap;
};

/* Doubles the array in the arena; what it leaves behind is at most as large again. */
static struct err member_text_add(struct member_texts *members, struct str text,
                                  struct arena *arena)
{
    if (members->count == DIRECTORY_MEMBERS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("a list has at most 100,000 members"));
    if (members->count == members->cap) {
        size_t cap = members->cap ? 2 * members->cap : MEMBERS_FIRST;
        struct str *texts = arena_take_array(arena, cap, sizeof(*texts));
        if (!texts)
            return err_make(ERR_OVER_LIMIT);
        if (members->count)
            memcpy(texts, members->texts, members->count * sizeof(*texts));
        members->texts = texts;
        members->cap = cap;
    }
    members->texts[members->count++] = arena_str(arena, text);
    return err_none();
}

static struct err members_read(struct draft *draft, uint64_t list, struct member_texts *members)
{
    struct draft_walk walk;
    struct entry entry;
    *members = (struct member_texts){0};
    struct err e = draft_walk_open(&walk, draft, key_number('m', list, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        e = member_text_add(members, entry.value, draft->arena);
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err list_check(struct draft *draft, const struct found *found)
{
    struct member_texts members;
    struct err e = targets_check(draft, found->name, &found->record.list.owner, 1, true);
    if (!err_is(e))
        e = members_read(draft, found->record.list.id, &members);
    return err_is(e) ? e : targets_check(draft, found->name, members.texts, members.count, false);
}

struct err group_check(struct draft *draft, const struct found *found)
{
    const struct name *record = &found->record;
    switch (record->kind) {
    case NAME_ACCOUNT:
        return targets_check(draft, found->name, record->account.forwards,
                             record->account.forward_count, false);
    case NAME_ALIAS:
        return targets_check(draft, found->name, record->alias.targets, record->alias.target_count,
                             false);
    case NAME_LIST:
        return list_check(draft, found);
    case NAME_MOVED:
        break;
    }
    return record->moved.forward ? targets_check(draft, found->name, &record->moved.to, 1, false)
                                 : err_none();
}

static struct err stage_and_check(struct draft *draft, struct str name, const struct name *record)
{
    const struct found found = {.name = name, .record = *record};
    struct err e = name_stage(draft, name, record);
    return err_is(e) ? e : group_check(draft, &found);
}

static struct err restage_and_check(struct draft *draft, const struct found *found)
{
    struct err e = name_restage(draft, found->name, &found->record);
    return err_is(e) ? e : group_check(draft, found);
}

/* --- Aliases --- */

/* Bob@ and bob@ are one: names tell, the texts do not. */
struct err addresses_print(struct draft *draft, const struct addr *addrs, size_t count,
                           struct str **texts_r, size_t *count_r)
{
    struct str *names = arena_take_array(draft->arena, count, sizeof(*names));
    struct str *texts = arena_take_array(draft->arena, count, sizeof(*texts));
    size_t printed = 0;
    if (!texts || !names)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count; i++) {
        struct str text = address_of(draft, &addrs[i]);
        struct str name = name_of_addr(&addrs[i], draft->arena);
        bool there = !text.p || !name.p;
        for (size_t k = 0; !there && k < printed; k++)
            there = str_eq(names[k], name);
        if (there)
            continue;
        names[printed] = name;
        texts[printed++] = text;
    }
    *texts_r = texts;
    *count_r = printed;
    return err_none();
}

struct err targets_print(struct draft *draft, const struct addr *addrs, size_t count,
                         struct alias *alias)
{
    if (count == 0)
        return err_detail(ERR_USAGE, STR("an alias leads to at least one address"));
    if (count > DIRECTORY_TARGETS_MAX)
        return err_detail(ERR_OVER_LIMIT,
                          STR("an alias leads to at most 100 addresses; make it a list"));
    return addresses_print(draft, addrs, count, &alias->targets, &alias->target_count);
}

struct alias_change {
    const struct addr *addr;
    const struct addr *targets;
    size_t count;
};

static struct err alias_add(struct draft *draft, void *arg)
{
    const struct alias_change *change = arg;
    struct name record = {.kind = NAME_ALIAS,
                          .alias = {.created = world_wall(draft->directory->world),
                                    .address = address_of(draft, change->addr)}};
    struct str name;
    struct err e = name_check_new(draft, change->addr, &name);
    if (!err_is(e))
        e = targets_print(draft, change->targets, change->count, &record.alias);
    return err_is(e) ? e : stage_and_check(draft, name, &record);
}

static struct err alias_set(struct draft *draft, void *arg)
{
    const struct alias_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_ALIAS, &found);
    if (!err_is(e))
        e = targets_print(draft, change->targets, change->count, &found.record.alias);
    return err_is(e) ? e : restage_and_check(draft, &found);
}

struct err directory_alias_add(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena)
{
    struct alias_change change = {addr, targets, count};
    return directory_change(directory, arena, alias_add, &change);
}

struct err directory_alias_set(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena)
{
    struct alias_change change = {addr, targets, count};
    return directory_change(directory, arena, alias_set, &change);
}

/* --- Moved users --- */

struct moved_change {
    const struct addr *addr;
    const struct addr *to;
    bool forward;
};

static struct err moved_add(struct draft *draft, void *arg)
{
    const struct moved_change *change = arg;
    const struct name record = {.kind = NAME_MOVED,
                                .moved = {.created = world_wall(draft->directory->world),
                                          .address = address_of(draft, change->addr),
                                          .forward = change->forward,
                                          .to = address_of(draft, change->to)}};
    struct str name;
    if (change->addr->local.n == 0)
        return err_detail(ERR_USAGE, STR("a moved user has a local part"));
    struct err e = name_check_new(draft, change->addr, &name);
    return err_is(e) ? e : stage_and_check(draft, name, &record);
}

static struct err moved_set(struct draft *draft, void *arg)
{
    const struct moved_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_MOVED, &found);
    if (err_is(e))
        return e;
    found.record.moved.forward = change->forward;
    found.record.moved.to = address_of(draft, change->to);
    return restage_and_check(draft, &found);
}

struct err directory_moved_add(struct directory *directory, const struct addr *addr,
                               const struct addr *to, bool forward, struct arena *arena)
{
    struct moved_change change = {addr, to, forward};
    return directory_change(directory, arena, moved_add, &change);
}

struct err directory_moved_set(struct directory *directory, const struct addr *addr,
                               const struct addr *to, bool forward, struct arena *arena)
{
    struct moved_change change = {addr, to, forward};
    return directory_change(directory, arena, moved_set, &change);
}

/* --- Members --- */

struct str member_key(struct draft *draft, uint64_t list, const struct addr *member)
{
    struct str name = name_of_addr(member, draft->arena);
    return name.p ? key_number('m', list, name, draft->arena) : str_null();
}

struct err member_stage(struct draft *draft, uint64_t list, const struct addr *member)
{
    struct str key = member_key(draft, list, member), text = address_of(draft, member);
    if (!key.p || !text.p)
        return err_make(ERR_OVER_LIMIT);
    draft_put(draft, key, text);
    return err_none();
}

static struct err member_change(struct draft *draft, uint64_t list,
                                const struct member_change *change)
{
    struct str key = member_key(draft, list, &change->member), text;
    struct err e = draft_get(draft, key, &text);
    if (err_is(e) && (e.code != ERR_NOT_FOUND || !key.p))
        return e;
    if (change->unsubscribes)
        return unsubscribed_stage(draft, list, &change->member, world_wall(draft->directory->world),
                                  UNSUBSCRIBED_BY_OPERATOR);
    bool there = !err_is(e), left = false;
    e = change->drop ? err_none() : unsubscribed_find(draft, list, &change->member, &left);
    if (err_is(e))
        return e;
    if (left && !change->again)
        return err_detail(ERR_NOT_ALLOWED,
                          detail_of(draft, "it unsubscribed, and comes back by --resubscribe: ",
                                    address_of(draft, &change->member)));
    if (there != change->drop)
        return err_detail(there ? ERR_EXISTS : ERR_NOT_FOUND,
                          detail_of(draft, there ? "it is a member already: " : "it is no member: ",
                                    address_of(draft, &change->member)));
    if (left)
        e = unsubscribed_unstage(draft, list, &change->member);
    if (!change->drop)
        return err_is(e) ? e : member_stage(draft, list, &change->member);
    draft_remove(draft, key);
    return err_none();
}

/* --- Lists --- */

struct list_change {
    const struct addr *addr;
    const struct mailing_list *list;
    const struct addr *owner;
    unsigned fields;
    const struct member_change *members;
    size_t count;
};

static struct err members_change(struct draft *draft, uint64_t list,
                                 const struct list_change *change)
{
    struct err e = err_none();
    for (size_t i = 0; !err_is(e) && i < change->count; i++)
        e = member_change(draft, list, &change->members[i]);
    return e;
}

static struct err list_add(struct draft *draft, void *arg)
{
    const struct list_change *change = arg;
    struct name record = {.kind = NAME_LIST,
                          .list = {.created = world_wall(draft->directory->world),
                                   .address = address_of(draft, change->addr),
                                   .expandable = change->list->expandable,
                                   .name = change->list->name,
                                   .owner = address_of(draft, change->owner)}};
    struct str name;
    if (change->addr->local.n == 0)
        return err_detail(ERR_USAGE, STR("a list has a local part"));
    struct err e = full_name_check(change->list->name);
    if (!err_is(e))
        e = name_check_new(draft, change->addr, &name);
    if (!err_is(e))
        e = draft_number(draft, STR("#list"), &record.list.id);
    if (!err_is(e))
        e = members_change(draft, record.list.id, change);
    return err_is(e) ? e : stage_and_check(draft, name, &record);
}

static struct err list_set(struct draft *draft, void *arg)
{
    const struct list_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_LIST, &found);
    if (!err_is(e) && change->fields & FIELD_NAME)
        e = full_name_check(change->list->name);
    if (!err_is(e))
        e = members_change(draft, found.record.list.id, change);
    if (err_is(e))
        return e;
    struct mailing_list *list = &found.record.list;
    if (change->fields & FIELD_NAME)
        list->name = change->list->name;
    if (change->fields & FIELD_EXPANDABLE)
        list->expandable = change->list->expandable;
    if (change->fields & FIELD_OWNER)
        list->owner = address_of(draft, change->owner);
    return restage_and_check(draft, &found);
}

struct err directory_list_add(struct directory *directory, const struct addr *addr,
                              const struct mailing_list *list, const struct addr *owner,
                              const struct member_change *members, size_t count,
                              struct arena *arena)
{
    struct list_change change = {
        .addr = addr, .list = list, .owner = owner, .members = members, .count = count};
    return directory_change(directory, arena, list_add, &change);
}

struct err directory_list_set(struct directory *directory, const struct addr *addr,
                              const struct mailing_list *list, const struct addr *owner,
                              unsigned fields, const struct member_change *members, size_t count,
                              struct arena *arena)
{
    struct list_change change = {addr, list, owner, fields, members, count};
    return directory_change(directory, arena, list_set, &change);
}

struct err directory_members(struct directory *directory, const struct mailing_list *list,
                             struct arena *arena, struct str **members_r, size_t *count_r)
{
    struct draft draft;
    struct member_texts members;
    draft_read(&draft, directory, arena);
    struct err e = members_read(&draft, list->id, &members);
    if (err_is(e) || arena_over(arena))
        return err_is(e) ? e : err_make(ERR_OVER_LIMIT);
    *members_r = members.texts;
    *count_r = members.count;
    return err_none();
}

static struct err walk_behind(struct draft_walk *walk, struct draft *draft, uint64_t list,
                              struct str after)
{
    struct addr addr;
    struct err e = stored_addr(after, draft->arena, &addr);
    struct str key = err_is(e) ? str_null() : member_key(draft, list, &addr);
    if (!err_is(e) && key.p)
        walk->next = key_after(key, draft->arena);
    return err_is(e) || (key.p && walk->next.p) ? e : err_make(ERR_OVER_LIMIT);
}

struct err directory_members_after(struct directory *directory, const struct mailing_list *list,
                                   struct str after, size_t limit, struct arena *arena,
                                   struct str **members_r, size_t *count_r)
{
    struct draft draft;
    struct draft_walk walk;
    struct entry entry;
    struct member_texts members = {0};
    draft_read(&draft, directory, arena);
    struct err e = draft_walk_open(&walk, &draft, key_number('m', list->id, str_null(), arena));
    if (!err_is(e) && after.n > 0)
        e = walk_behind(&walk, &draft, list->id, after);
    while (!err_is(e) && members.count < limit && !err_is(e = draft_walk_next(&walk, &entry)))
        e = member_text_add(&members, entry.value, arena);
    draft_walk_done(&walk);
    *members_r = members.texts;
    *count_r = members.count;
    if (e.code == ERR_NOT_FOUND)
        e = err_none();
    return err_is(e) || !arena_over(arena) ? e : err_make(ERR_OVER_LIMIT);
}

/* --- Showing and removing --- */

struct group_change {
    const struct addr *addr;
    enum name_kind kind;
};

/* And who left it. */
static struct err members_unstage(struct draft *draft, uint64_t list)
{
    struct draft_walk walk;
    struct entry entry;
    struct err e = draft_walk_open(&walk, draft, key_number('m', list, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        draft_remove(draft, arena_str(draft->arena, entry.key));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? unsubscribed_unstage_all(draft, list) : e;
}

static struct err group_remove(struct draft *draft, void *arg)
{
    const struct group_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, change->kind, &found);
    if (!err_is(e))
        e = name_unstage(draft, &found);
    if (!err_is(e) && change->kind == NAME_LIST)
        e = members_unstage(draft, found.record.list.id);
    return e;
}

static struct err group_show(struct directory *directory, const struct addr *addr,
                             enum name_kind kind, struct arena *arena, struct found *found_r)
{
    struct draft draft;
    draft_read(&draft, directory, arena);
    return name_get_kind(&draft, addr, kind, found_r);
}

struct err directory_alias_remove(struct directory *directory, const struct addr *addr,
                                  struct arena *arena)
{
    struct group_change change = {addr, NAME_ALIAS};
    return directory_change(directory, arena, group_remove, &change);
}

struct err directory_alias_show(struct directory *directory, const struct addr *addr,
                                struct arena *arena, struct alias *alias_r)
{
    struct found found;
    struct err e = group_show(directory, addr, NAME_ALIAS, arena, &found);
    if (!err_is(e))
        *alias_r = found.record.alias;
    return e;
}

struct err directory_list_remove(struct directory *directory, const struct addr *addr,
                                 struct arena *arena)
{
    struct group_change change = {addr, NAME_LIST};
    return directory_change(directory, arena, group_remove, &change);
}

struct err directory_list_find(struct directory *directory, const struct addr *addr,
                               struct arena *arena, struct mailing_list *list_r)
{
    struct found found;
    struct err e = group_show(directory, addr, NAME_LIST, arena, &found);
    if (!err_is(e))
        *list_r = found.record.list;
    return e;
}

struct err directory_list_show(struct directory *directory, const struct addr *addr,
                               struct arena *arena, struct mailing_list *list_r)
{
    struct found found;
    struct str *members;
    size_t count = 0;
    struct err e = group_show(directory, addr, NAME_LIST, arena, &found);
    if (!err_is(e))
        e = directory_members(directory, &found.record.list, arena, &members, &count);
    if (err_is(e))
        return e;
    *list_r = found.record.list;
    list_r->members = count;
    return err_none();
}

struct err directory_moved_remove(struct directory *directory, const struct addr *addr,
                                  struct arena *arena)
{
    struct group_change change = {addr, NAME_MOVED};
    return directory_change(directory, arena, group_remove, &change);
}

struct err directory_moved_show(struct directory *directory, const struct addr *addr,
                                struct arena *arena, struct moved *moved_r)
{
    struct found found;
    struct err e = group_show(directory, addr, NAME_MOVED, arena, &found);
    if (!err_is(e))
        *moved_r = found.record.moved;
    return e;
}
