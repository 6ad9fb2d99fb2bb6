/*
 * Where the mail of an account goes on to. The addresses stand in its own record: whoever delivers
 * has read that already, so an account that forwards costs no look more than one that does not. It
 * has a line in the index of names that lead on, as aliases have, so nobody whom it forwards to is
 * removed behind its back.
 */
#include "store/directory_edit.h"
#include "store/directory_record.h"

/* --- Staging --- */

void forwards_put(struct draft *draft, struct found *found, struct str *texts, size_t count,
                  bool only)
{
    struct account *account = &found->record.account;
    struct str key = key_of('x', found->name, draft->arena);
    account->forwards = texts;
    account->forward_count = count;
    account->forwards_only = only && count > 0;
    if (count)
        draft_put(draft, key, STR(""));
    else
        draft_remove(draft, key);
}

static struct err restage_and_check(struct draft *draft, const struct found *found)
{
    struct err e = name_restage(draft, found->name, &found->record);
    return err_is(e) ? e : group_check(draft, found);
}

/* --- Changes --- */

struct forward_change {
    const struct addr *addr;
    const struct addr *target;
    enum forward_keep keep;
};

/* Which of the forwards it is; forward_count: none. */
static struct err forward_find(struct draft *draft, const struct account *account,
                               const struct addr *target, size_t *at_r)
{
    struct addr addr;
    struct str name = name_of_addr(target, draft->arena);
    *at_r = 0;
    for (; *at_r < account->forward_count; ++*at_r) {
        struct err e = stored_addr(account->forwards[*at_r], draft->arena, &addr);
        if (err_is(e))
            return e;
        if (str_eq(name_of_addr(&addr, draft->arena), name))
            return err_none();
    }
    return err_none();
}

static struct err change_open(struct draft *draft, const struct forward_change *change,
                              struct found *found, size_t *at_r)
{
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, found);
    return err_is(e) ? e : forward_find(draft, &found->record.account, change->target, at_r);
}

static bool is_only(const struct account *account, enum forward_keep keep)
{
    return keep == FORWARD_KEEP_NONE || (keep == FORWARD_KEEP_AS_IS && account->forwards_only);
}

static struct err add(struct draft *draft, void *arg)
{
    const struct forward_change *change = arg;
    struct found found;
    size_t at;
    struct err e = change_open(draft, change, &found, &at);
    if (err_is(e))
        return e;
    const struct account *account = &found.record.account;
    size_t count = account->forward_count;
    if (at < count)
        return err_detail(ERR_EXISTS,
                          detail_of(draft, "it forwards there already: ", account->forwards[at]));
    if (count >= DIRECTORY_FORWARDS_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("an account forwards to at most 10 addresses"));
    struct str *texts = arena_take_array(draft->arena, count + 1, sizeof(*texts));
    if (!texts)
        return err_make(ERR_OVER_LIMIT);
    if (count)
        memcpy(texts, account->forwards, count * sizeof(*texts));
    texts[count] = address_of(draft, change->target);
    forwards_put(draft, &found, texts, count + 1, is_only(account, change->keep));
    return restage_and_check(draft, &found);
}

static struct err take_back(struct draft *draft, void *arg)
{
    const struct forward_change *change = arg;
    struct found found;
    size_t at;
    struct err e = change_open(draft, change, &found, &at);
    if (err_is(e))
        return e;
    const struct account *account = &found.record.account;
    struct str *texts = account->forwards;
    size_t count = account->forward_count;
    if (at == count)
        return err_detail(ERR_NOT_FOUND, detail_of(draft, "it does not forward there: ",
                                                   address_of(draft, change->target)));
    memmove(texts + at, texts + at + 1, (count - at - 1) * sizeof(*texts));
    forwards_put(draft, &found, texts, count - 1, account->forwards_only);
    return name_restage(draft, found.name, &found.record);
}

static struct err keep(struct draft *draft, void *arg)
{
    const struct forward_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, &found);
    if (err_is(e))
        return e;
    struct account *account = &found.record.account;
    if (change->keep == FORWARD_KEEP_NONE && account->forward_count == 0)
        return err_detail(ERR_USAGE, STR("an account that forwards nothing keeps its mail"));
    account->forwards_only = is_only(account, change->keep);
    return name_restage(draft, found.name, &found.record);
}

struct err directory_forward_add(struct directory *directory, const struct addr *addr,
                                 const struct addr *target, enum forward_keep keep,
                                 struct arena *arena)
{
    struct forward_change change = {addr, target, keep};
    return directory_change(directory, arena, add, &change);
}

struct err directory_forward_remove(struct directory *directory, const struct addr *addr,
                                    const struct addr *target, struct arena *arena)
{
    struct forward_change change = {.addr = addr, .target = target};
    return directory_change(directory, arena, take_back, &change);
}

struct err directory_forward_keep(struct directory *directory, const struct addr *addr,
                                  enum forward_keep which, struct arena *arena)
{
    struct forward_change change = {.addr = addr, .keep = which};
    return directory_change(directory, arena, keep, &change);
}
