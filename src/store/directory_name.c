/*
 * What a name may be, and the entries it is found by.
 *
 * Refused names are not dangerous here: nothing in the server reads a local part as a path or a
 * command. They are refused because other programs do (an alias file's |/bin/sh, /etc/passwd and
 * :include:, the % and ! of source routing), and because nobody is called that (catalogue O02,
 * S19).
 *
 * Two ASCII names are never look-alikes of each other: "corn" and "com" share a skeleton, and so do
 * "user1" and "userl"; an operator who adds both means both. A disguise needs letters from
 * elsewhere.
 */
#include "base/must.h"
#include "base/wire.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"
#include "store/lookalike.h"

#include <unistr.h>

enum {
    DETAIL_MAX = 600
};

struct str detail_of(struct draft *draft, const char *words, struct str about)
{
    struct buf buf = BUF_INIT(DETAIL_MAX);
    buf_put(&buf, str_from(words));
    buf_put(&buf, about);
    struct str detail = buf_copy(&buf, draft->arena);
    buf_done(&buf);
    return detail.p ? detail : str_from(words);
}

struct str address_of(struct draft *draft, const struct addr *addr)
{
    struct buf buf = BUF_INIT(ADDR_PATH_MAX);
    directory_name_print(&buf, addr);
    struct str text = buf_copy(&buf, draft->arena);
    buf_done(&buf);
    return text;
}

struct err directory_name_parse(struct str text, struct arena *arena, struct addr *addr_r)
{
    if (text.n < 2 || text.p[0] != '@')
        return addr_parse(text, arena, addr_r);
    struct addr addr = {.local = STR(""), .kind = ADDR_DOMAIN};
    struct err e = domain_parse(str_from_index(text, 1), arena, &addr.domain);
    if (!err_is(e))
        *addr_r = addr;
    return e;
}

void directory_name_print(struct buf *to, const struct addr *addr)
{
    if (addr->local.n == 0 && addr->kind == ADDR_DOMAIN) {
        buf_putc(to, '@');
        buf_put(to, addr->domain);
        return;
    }
    addr_print(to, addr);
}

/* --- Is it a good name? --- */

struct err full_name_check(struct str full_name)
{
    if (full_name.n > DIRECTORY_NAME_MAX)
        return err_detail(ERR_NAME_REFUSED, STR("a display name has at most 200 octets"));
    if (!str_is_utf8(full_name))
        return err_detail(ERR_NAME_REFUSED, STR("the display name is not well-formed UTF-8"));
    struct buf escaped = BUF_INIT(8 * DIRECTORY_NAME_MAX);
    buf_put_escaped(&escaped, full_name, DIRECTORY_NAME_MAX);
    size_t quotes = 0;
    for (size_t i = 0; i < full_name.n; i++)
        quotes += full_name.p[i] == '"' || full_name.p[i] == '\\';
    bool clean = escaped.n == full_name.n + quotes;
    buf_done(&escaped);
    return clean ? err_none()
                 : err_detail(ERR_NAME_REFUSED, STR("the display name has a control character"));
}

static struct err form_check(struct str local)
{
    if (str_eq(local, STR("*")))
        return err_detail(ERR_NAME_REFUSED, STR("a catch-all is written without the '*': @domain"));
    if (strchr("|/:.", local.p[0]) && local.p[0])
        return err_detail(ERR_NAME_REFUSED, STR("a name does not begin with '|', '/', ':' or '.'"));
    for (size_t i = 0; i < local.n; i++)
        if (local.p[i] && strchr("@%!\"\\<> ", local.p[i]))
            return err_detail(ERR_NAME_REFUSED,
                              STR("a name has no space and none of @ % ! \" \\ < >"));
    return lookalike_check(local);
}

static struct err key_skeleton(struct draft *draft, struct str name, struct str *key_r)
{
    struct str skeleton;
    struct err e = lookalike_skeleton(name_local(name), draft->arena, &skeleton);
    if (err_is(e))
        return e;
    struct buf buf = BUF_INIT(64 * 1024);
    buf_put(&buf, name_domain(name));
    buf_putc(&buf, '@');
    buf_put(&buf, skeleton);
    *key_r = key_number_pair('s', str_hash(buf_str(&buf)), str_hash(name), draft->arena);
    buf_done(&buf);
    return key_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

/* Is there another name with this skeleton, one of the two not ASCII? */
static struct err lookalike_find(struct draft *draft, struct str name)
{
    struct str key;
    struct draft_walk walk;
    struct entry entry;
    struct err e = key_skeleton(draft, name, &key);
    if (err_is(e))
        return e;
    e = draft_walk_open(&walk, draft, str_head(key, key.n - sizeof(uint64_t)));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        if (!str_is_ascii(name_local(name)) || !str_is_ascii(name_local(entry.value)))
            e = err_detail(
                ERR_NAME_REFUSED,
                detail_of(draft, "the name looks like one that exists: ", name_local(entry.value)));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err name_check_new(struct draft *draft, const struct addr *addr, struct str *name_r)
{
    struct domain domain;
    struct found found;
    struct err e = domain_get(draft, addr->domain, &domain);
    if (e.code == ERR_NOT_FOUND)
        return err_detail(ERR_DOMAIN_UNKNOWN,
                          detail_of(draft, "add the domain first: ", addr->domain));
    if (err_is(e))
        return e;
    struct str name = name_of_addr(addr, draft->arena);
    if (!name.p)
        return err_make(ERR_OVER_LIMIT);
    e = name_get(draft, name, &found);
    if (!err_is(e))
        return err_detail(ERR_EXISTS,
                          detail_of(draft, "there is already ", name_address(&found.record)));
    if (e.code != ERR_NOT_FOUND)
        return e;
    *name_r = name;
    if (addr->local.n == 0)
        return err_none();
    e = form_check(addr->local);
    return err_is(e) ? e : lookalike_find(draft, name);
}

struct err name_get_kind(struct draft *draft, const struct addr *addr, enum name_kind kind,
                         struct found *found_r)
{
    static const char *const words[] = {
        [NAME_ACCOUNT] = "no such account: ",
        [NAME_ALIAS] = "no such alias: ",
        [NAME_LIST] = "no such list: ",
        [NAME_MOVED] = "no such moved user: ",
    };
    struct str name = name_of_addr(addr, draft->arena);
    struct err e = name.p ? name_get(draft, name, found_r) : err_make(ERR_OVER_LIMIT);
    if (e.code == ERR_NOT_FOUND || (!err_is(e) && found_r->record.kind != kind))
        return err_detail(ERR_NOT_FOUND, detail_of(draft, words[kind], address_of(draft, addr)));
    return e;
}

/* --- Its entries --- */

struct err name_restage(struct draft *draft, struct str name, const struct name *record)
{
    struct str value = name_encode(record, draft->arena);
    if (!value.p)
        return err_make(ERR_OVER_LIMIT);
    draft_put(draft, key_name(name, draft->arena), value);
    return err_none();
}

static struct str local_value(enum name_kind kind, struct str name, struct arena *arena)
{
    return key_of((char)kind, name, arena);
}

struct err name_stage(struct draft *draft, struct str name, const struct name *record)
{
    struct str local = name_local(name), key;
    struct err e = name_restage(draft, name, record);
    if (err_is(e))
        return e;
    if (record->kind != NAME_ACCOUNT)
        draft_put(draft, key_of('x', name, draft->arena), STR(""));
    if (local.n == 0)
        return err_none();
    draft_put(draft, key_local(local, name_domain(name), draft->arena),
              local_value(record->kind, name, draft->arena));
    e = key_skeleton(draft, name, &key);
    if (!err_is(e))
        draft_put(draft, key, name);
    return e;
}

static struct err used_by(struct draft *draft, const struct name *record)
{
    return err_detail(ERR_IN_USE,
                      detail_of(draft, "it is where this one leads: ", name_address(record)));
}

/* Does the address stand for the name, as it is or by its tag? */
static bool leads_to(struct draft *draft, struct str address, struct str name)
{
    struct addr addr;
    struct str base, tag;
    if (err_is(stored_addr(address, draft->arena, &addr)))
        return false;
    if (str_eq(name_of_addr(&addr, draft->arena), name))
        return true;
    if (!addr_split_tag(addr.local, draft->directory->settings.plus, &base, &tag))
        return false;
    addr.local = base;
    return str_eq(name_of_addr(&addr, draft->arena), name);
}

static struct err list_lets_go(struct draft *draft, const struct name *record, struct str name)
{
    if (leads_to(draft, record->list.owner, name))
        return used_by(draft, record);
    struct draft_walk walk;
    struct entry entry;
    struct err e =
        draft_walk_open(&walk, draft, key_number('m', record->list.id, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        if (leads_to(draft, entry.value, name))
            e = used_by(draft, record);
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err record_lets_go(struct draft *draft, const struct name *record, struct str name)
{
    if (record->kind == NAME_LIST)
        return list_lets_go(draft, record, name);
    const struct str *targets = NULL;
    size_t count = 0;
    if (record->kind == NAME_ACCOUNT) {
        targets = record->account.forwards;
        count = record->account.forward_count;
    } else if (record->kind == NAME_ALIAS) {
        targets = record->alias.targets;
        count = record->alias.target_count;
    } else if (record->moved.forward) {
        targets = &record->moved.to;
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        if (leads_to(draft, targets[i], name))
            return used_by(draft, record);
    return err_none();
}

/* Looks through everything that leads somewhere: an operator removes names one at a time. */
static struct err unused_check(struct draft *draft, struct str name)
{
    struct draft_walk walk;
    struct entry entry;
    struct found found;
    struct err e = draft_walk_open(&walk, draft, STR("x"));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry))) {
        struct str other = arena_str(draft->arena, str_from_index(entry.key, 1));
        e = name_get(draft, other, &found);
        if (!err_is(e) && !str_eq(other, name))
            e = record_lets_go(draft, &found.record, name);
        if (e.code == ERR_NOT_FOUND)
            e = err_detail(ERR_STORE_DAMAGED, STR("the index of names has one too many"));
    }
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err name_unstage(struct draft *draft, const struct found *found)
{
    struct str name = found->name, local = name_local(name), key;
    struct err e = unused_check(draft, name);
    if (err_is(e))
        return e;
    draft_remove(draft, key_name(name, draft->arena));
    if (found->record.kind != NAME_ACCOUNT || found->record.account.forward_count)
        draft_remove(draft, key_of('x', name, draft->arena));
    if (local.n == 0)
        return err_none();
    draft_remove(draft, key_local(local, name_domain(name), draft->arena));
    e = key_skeleton(draft, name, &key);
    if (!err_is(e))
        draft_remove(draft, key);
    return e;
}
