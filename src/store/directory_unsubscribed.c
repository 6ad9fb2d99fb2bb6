/*
 * Who left a list by himself. He is no member any more, so nothing that asks for members need look
 * here; what is kept is that he is not to be made one again by a file or a command that knows
 * nothing of it.
 */
#include "base/wire.h"
#include "format/date.h"
#include "store/directory_apply.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    FORMAT = 1,
    RECORD_MAX = 1024,
    FIRST = 16,
};

static const struct str words[UNSUBSCRIBED_WAYS] = {
    [UNSUBSCRIBED_BY_LINK] = STR_INIT("link"),
    [UNSUBSCRIBED_BY_OPERATOR] = STR_INIT("operator"),
};

struct str directory_unsubscribed_word(enum unsubscribed_by by)
{
    return words[by];
}

/* --- The record ------------------------------------------------------------------------------ */

static struct str record_encode(const struct unsubscribed *one, struct arena *arena)
{
    struct buf to = buf_in(arena, RECORD_MAX);
    wire_put_u8(&to, FORMAT);
    wire_put_u64(&to, (uint64_t)one->time);
    wire_put_u8(&to, (uint8_t)one->by);
    wire_put_str(&to, one->address);
    return buf_built(&to);
}

static struct err record_decode(struct str record, struct unsubscribed *one_r)
{
    struct wire_in in = wire_in(record);
    uint8_t format = wire_get_u8(&in);
    one_r->time = (int64_t)wire_get_u64(&in);
    one_r->by = (enum unsubscribed_by)wire_get_u8(&in);
    one_r->address = wire_get_str(&in);
    if (!wire_end(&in) || format != FORMAT || one_r->by >= UNSUBSCRIBED_WAYS)
        return err_detail(ERR_STORE_DAMAGED, STR("who left a list"));
    return err_none();
}

static struct str key_left(struct draft *draft, uint64_t list, const struct addr *member)
{
    struct str name = name_of_addr(member, draft->arena);
    return name.p ? key_number('u', list, name, draft->arena) : str_null();
}

/* --- Steps of changes ------------------------------------------------------------------------ */

struct err unsubscribed_find(struct draft *draft, uint64_t list, const struct addr *member,
                             bool *left_r)
{
    struct str key = key_left(draft, list, member), value;
    struct err e = key.p ? draft_get(draft, key, &value) : err_make(ERR_OVER_LIMIT);
    *left_r = !err_is(e);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err unsubscribed_stage(struct draft *draft, uint64_t list, const struct addr *member,
                              int64_t time, enum unsubscribed_by by)
{
    const struct unsubscribed one = {.address = address_of(draft, member), .time = time, .by = by};
    struct str key = key_left(draft, list, member), member_at = member_key(draft, list, member);
    struct str record = one.address.p ? record_encode(&one, draft->arena) : str_null(), value;
    if (!key.p || !member_at.p || !record.p)
        return err_make(ERR_OVER_LIMIT);
    struct err e = draft_get(draft, member_at, &value);
    if (!err_is(e))
        draft_remove(draft, member_at);
    draft_put(draft, key, record);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err unsubscribed_unstage(struct draft *draft, uint64_t list, const struct addr *member)
{
    bool left;
    struct err e = unsubscribed_find(draft, list, member, &left);
    if (!err_is(e) && left)
        draft_remove(draft, key_left(draft, list, member));
    return e;
}

struct err unsubscribed_unstage_all(struct draft *draft, uint64_t list)
{
    struct draft_walk walk;
    struct entry entry;
    struct err e = draft_walk_open(&walk, draft, key_number('u', list, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        draft_remove(draft, arena_str(draft->arena, entry.key));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

/* --- By the member --------------------------------------------------------------------------- */

struct leaving {
    const struct addr *list, *member;
    enum unsubscribed_by by;
};

/* Whoever left is not moved to a later time by asking again. */
static struct err leave(struct draft *draft, void *arg)
{
    const struct leaving *leaving = arg;
    struct found found;
    bool left = false;
    struct err e = name_get_kind(draft, leaving->list, NAME_LIST, &found);
    if (!err_is(e))
        e = unsubscribed_find(draft, found.record.list.id, leaving->member, &left);
    if (err_is(e) || left)
        return e;
    return unsubscribed_stage(draft, found.record.list.id, leaving->member,
                              world_wall(draft->directory->world), leaving->by);
}

struct err directory_unsubscribe(struct directory *directory, const struct addr *list,
                                 const struct addr *member, enum unsubscribed_by by,
                                 struct arena *arena)
{
    struct leaving leaving = {.list = list, .member = member, .by = by};
    return directory_change(directory, arena, leave, &leaving);
}

/* --- Looking --------------------------------------------------------------------------------- */

struct leavers {
    struct unsubscribed *list;
    size_t count, cap;
};

static struct err leaver_add(struct leavers *leavers, struct str record, struct arena *arena)
{
    struct unsubscribed one;
    struct err e = record_decode(record, &one);
    if (err_is(e))
        return e;
    if (leavers->count == leavers->cap) {
        size_t cap = leavers->cap ? 2 * leavers->cap : FIRST, size = sizeof(*leavers->list);
        struct unsubscribed *list =
            arena_resize(arena, leavers->list, leavers->count * size, cap * size);
        if (!list)
            return err_make(ERR_OVER_LIMIT);
        leavers->list = list;
        leavers->cap = cap;
    }
    one.address = arena_str(arena, one.address);
    leavers->list[leavers->count++] = one;
    return err_none();
}

struct err directory_unsubscribed(struct directory *directory, const struct mailing_list *list,
                                  struct arena *arena, struct unsubscribed **list_r,
                                  size_t *count_r)
{
    struct draft draft;
    struct draft_walk walk;
    struct entry entry;
    struct leavers leavers = {.list = NULL};
    draft_read(&draft, directory, arena);
    struct err e = draft_walk_open(&walk, &draft, key_number('u', list->id, str_null(), arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        e = leaver_add(&leavers, entry.value, arena);
    draft_walk_done(&walk);
    *list_r = leavers.list;
    *count_r = leavers.count;
    if (e.code == ERR_NOT_FOUND)
        e = err_none();
    return err_is(e) || !arena_over(arena) ? e : err_make(ERR_OVER_LIMIT);
}

/* --- As text --------------------------------------------------------------------------------- */

/* "2026-11-22T11:00:00Z link bob@example.test" */
void directory_unsubscribed_print(const struct unsubscribed *one, struct buf *to)
{
    date_print_rfc3339(to, one->time / US_PER_SECOND);
    buf_printf(to, " %.*s ", STR_FMT(words[one->by]));
    buf_put(to, one->address);
}

struct err apply_read_unsubscribed(struct reading *reading, const struct text_field *field)
{
    struct wanted *wanted = reading->wanted;
    struct str rest = field->value;
    struct date date;
    if (!wanted->left)
        wanted->left =
            arena_take_array(&reading->apply->parsed, reading->block->count, sizeof(*wanted->left));
    if (!wanted->left)
        return err_make(ERR_OVER_LIMIT);
    struct wanted_left *one = &wanted->left[wanted->left_count++];
    bool dated = date_parse_rfc3339(str_cut(&rest, ' '), &date);
    struct str word = str_cut(&rest, ' ');
    one->time = dated ? date.time * US_PER_SECOND : 0;
    one->by = UNSUBSCRIBED_BY_LINK;
    while (one->by < UNSUBSCRIBED_WAYS && !str_eq(words[one->by], word))
        one->by++;
    if (!dated || one->by == UNSUBSCRIBED_WAYS)
        return apply_trouble(reading->apply, field->line,
                             "expected a time, link or operator, and an address, not",
                             field->value);
    const struct text_field address = {.name = field->name, .value = rest, .line = field->line};
    return apply_read_addr(reading, &address, &one->addr);
}

struct err apply_unsubscribed(struct draft *draft, uint64_t list, const struct wanted *wanted,
                              bool *changed_r)
{
    struct err e = err_none();
    for (size_t i = 0; !err_is(e) && i < wanted->left_count; i++) {
        const struct wanted_left *one = &wanted->left[i];
        bool left;
        e = unsubscribed_find(draft, list, &one->addr, &left);
        if (err_is(e) || left)
            continue;
        *changed_r = true;
        e = unsubscribed_stage(draft, list, &one->addr, one->time, one->by);
    }
    return e;
}
