/*
 * VRFY and EXPN: look-ups by what a person types. An index by local part and one by
 * display name answer them without reading the directory through, however many accounts there are.
 */
#include "base/must.h"
#include "store/directory_find.h"
#include "store/directory_record.h"

enum {
    SCRATCH_MAX = 32 * 1024 * 1024,
    LINE_MAX = 2 * DIRECTORY_NAME_MAX + ADDR_PATH_MAX + 8,
};

/* --- Lines --- */

static bool is_phrase(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] && strchr("()<>[]:;@\\,.\"", name.p[i]))
            return false;
    return true;
}

static void full_name_put(struct buf *to, struct str name)
{
    if (!name.n)
        return;
    bool quoted = !is_phrase(name);
    if (quoted)
        buf_putc(to, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\')
            buf_putc(to, '\\');
        buf_putc(to, name.p[i]);
    }
    if (quoted)
        buf_putc(to, '"');
    buf_putc(to, ' ');
}

static struct err line_add(struct directory_lines *lines, struct str full_name, struct str address,
                           struct arena *arena)
{
    struct buf buf = buf_in(arena, LINE_MAX);
    full_name_put(&buf, full_name);
    buf_putc(&buf, '<');
    buf_put(&buf, address);
    buf_putc(&buf, '>');
    struct str line = buf_built(&buf);
    if (!line.p)
        return err_make(ERR_OVER_LIMIT);
    lines->lines[lines->count++] = line;
    return err_none();
}

static struct err lines_open(struct directory_lines *lines, size_t cap, struct arena *arena)
{
    *lines = (struct directory_lines){.lines = arena_take_array(arena, cap, sizeof(struct str))};
    return lines->lines ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct str full_name_of(const struct name *name)
{
    if (name->kind == NAME_ACCOUNT)
        return name->account.name;
    return name->kind == NAME_LIST ? name->list.name : STR("");
}

/* A line for an address as it is in the directory, with the full name of who answers for it. */
static struct err address_line(struct draft *draft, struct str address, struct arena *arena,
                               struct directory_lines *lines)
{
    struct addr addr;
    struct found found;
    struct err e = stored_addr(address, draft->arena, &addr);
    if (!err_is(e))
        e = name_find(draft, &addr, &found);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        return e;
    return line_add(lines, err_is(e) ? STR("") : full_name_of(&found.record), address, arena);
}

/* --- Whom a text names --- */

struct names {
    struct str names[DIRECTORY_CANDIDATES_MAX]; /* domain '@' folded local part */
    size_t count;
};

static void names_add(struct names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (str_eq(names->names[i], name))
            return;
    if (names->count < DIRECTORY_CANDIDATES_MAX)
        names->names[names->count++] = name;
}

/* "<a@b>" or "a@b"; false where the text is neither. */
static bool text_is_mailbox(struct str text, struct arena *arena, struct addr *addr_r)
{
    if (text.n >= 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
        text = str_make(text.p + 1, text.n - 2);
    return !err_is(addr_parse(text, arena, addr_r));
}

static struct err names_by_local(struct draft *draft, struct str text, struct names *names)
{
    struct str local = local_fold(text, draft->arena);
    if (!local.p)
        return err_none();
    struct draft_walk walk;
    struct entry entry;
    struct str prefix = key_local(local, str_null(), draft->arena);
    struct err e = prefix.p ? draft_walk_open(&walk, draft, prefix) : err_make(ERR_OVER_LIMIT);
    if (err_is(e))
        return e;
    while (!err_is(e = draft_walk_next(&walk, &entry)) && entry.value.n > 1)
        names_add(names, arena_str(draft->arena, str_from_index(entry.value, 1)));
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

/* The hash only finds candidates; the names themselves decide. */
static struct err name_if_called(struct draft *draft, struct str name, struct str folded,
                                 struct names *names)
{
    struct found found;
    struct err e = name_get(draft, name, &found);
    if (!err_is(e) && found.record.kind == NAME_ACCOUNT &&
        str_eq(full_name_fold(found.record.account.name, draft->arena), folded))
        names_add(names, name);
    return e;
}

static struct err names_by_full_name(struct draft *draft, struct str text, struct names *names)
{
    text = str_trim(text);
    if (text.n == 0 || text.n > DIRECTORY_NAME_MAX || !str_is_utf8(text))
        return err_none();
    struct str folded = full_name_fold(text, draft->arena);
    struct draft_walk walk;
    struct entry entry;
    struct err e =
        draft_walk_open(&walk, draft, key_number('w', str_hash(folded), str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        e = name_if_called(draft, arena_str(draft->arena, entry.value), folded, names);
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err names_by_text(struct draft *draft, struct str text, struct names *names)
{
    struct err e = names_by_local(draft, text, names);
    if (!err_is(e) && names->count == 0)
        e = names_by_full_name(draft, text, names);
    return e;
}

/* --- VRFY --- */

/* An alias that leads to one account is verified as that account; whose mailbox it is elsewhere is
 * not told. */
static struct err verify_group(struct draft *draft, struct str address, struct arena *arena,
                               struct directory_lines *lines)
{
    struct expansion expansion;
    const struct follow how = {.ends_at_accounts = true};
    struct err e = directory_follow(draft, &address, 1, &how, &expansion);
    if (err_is(e))
        return e;
    if (expansion.too_deep || expansion_count(&expansion) == 0)
        return err_make(ERR_MAILBOX_UNKNOWN);
    if (expansion_count(&expansion) > 1)
        return err_make(ERR_LIST_NOT_USER);
    struct reached *reached = TAILQ_FIRST(&expansion.reached);
    return line_add(lines, reached ? reached->account.name : STR(""), address, arena);
}

static struct err verify_found(struct draft *draft, const struct found *found, struct str address,
                               struct arena *arena, struct directory_lines *lines)
{
    const struct name *record = &found->record;
    struct err e;
    switch (record->kind) {
    case NAME_ACCOUNT:
        if (record->account.disabled)
            return err_make(ERR_MAILBOX_DISABLED);
        return line_add(lines, record->account.name, address, arena);
    case NAME_LIST:
        return err_make(ERR_LIST_NOT_USER);
    case NAME_MOVED:
        e = line_add(lines, STR(""), record->moved.to, arena);
        lines->forwarded = record->moved.forward;
        return err_is(e) || record->moved.forward ? e : err_make(ERR_MAILBOX_MOVED);
    case NAME_ALIAS:
        break;
    }
    return verify_group(draft, address, arena, lines);
}

static struct err verify_addr(struct draft *draft, const struct addr *addr, struct arena *arena,
                              struct directory_lines *lines)
{
    struct found found;
    struct err e = name_find(draft, addr, &found);
    if (e.code == ERR_NOT_FOUND)
        return err_make(ERR_MAILBOX_UNKNOWN);
    if (err_is(e))
        return e;
    struct buf written = buf_in(draft->arena, ADDR_PATH_MAX);
    addr_print(&written, addr);
    return verify_found(draft, &found, buf_str(&written), arena, lines);
}

static struct err verify_text(struct draft *draft, struct str text, struct arena *arena,
                              struct directory_lines *lines)
{
    struct names names = {0};
    struct found found;
    struct err e = names_by_text(draft, text, &names);
    if (err_is(e))
        return e;
    if (names.count == 0)
        return err_make(ERR_MAILBOX_UNKNOWN);
    for (size_t i = 0; i < names.count; i++) {
        e = name_get(draft, names.names[i], &found);
        if (!err_is(e) && names.count == 1)
            return verify_found(draft, &found, name_address(&found.record), arena, lines);
        if (!err_is(e))
            e = line_add(lines, full_name_of(&found.record), name_address(&found.record), arena);
        if (err_is(e))
            return e;
    }
    return err_make(ERR_MAILBOX_AMBIGUOUS);
}

struct err directory_verify(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r)
{
    struct arena scratch;
    struct draft draft;
    struct addr addr;
    struct err e = lines_open(lines_r, DIRECTORY_CANDIDATES_MAX, arena);
    if (err_is(e))
        return e;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    if (text_is_mailbox(text, &scratch, &addr))
        e = verify_addr(&draft, &addr, arena, lines_r);
    else
        e = verify_text(&draft, text, arena, lines_r);
    arena_done(&scratch);
    return e;
}

/* --- EXPN --- */

static struct err expand_list(struct draft *draft, const struct mailing_list *list,
                              struct arena *arena, struct directory_lines *lines)
{
    if (!list->expandable)
        return err_make(ERR_ACCESS_DENIED);
    struct str *members;
    size_t count;
    struct err e = directory_members(draft->directory, list, draft->arena, &members, &count);
    if (!err_is(e) && count > DIRECTORY_EXPAND_MAX)
        e = err_detail(ERR_OVER_LIMIT, STR("the list has too many members to be shown"));
    for (size_t i = 0; !err_is(e) && i < count; i++)
        e = address_line(draft, members[i], arena, lines);
    return e;
}

static struct err expand_found(struct draft *draft, const struct found *found, struct arena *arena,
                               struct directory_lines *lines)
{
    const struct name *record = &found->record;
    struct err e = err_none();
    if (record->kind == NAME_LIST)
        return expand_list(draft, &record->list, arena, lines);
    if (record->kind != NAME_ALIAS)
        return err_make(ERR_USER_NOT_LIST);
    for (size_t i = 0; !err_is(e) && i < record->alias.target_count; i++)
        e = address_line(draft, record->alias.targets[i], arena, lines);
    return e;
}

static struct err expand_text(struct draft *draft, struct str text, struct arena *arena,
                              struct directory_lines *lines)
{
    struct names names = {0};
    struct found found;
    struct addr addr;
    struct err e;
    if (text_is_mailbox(text, draft->arena, &addr)) {
        e = name_find(draft, &addr, &found);
    } else {
        e = names_by_local(draft, text, &names);
        if (!err_is(e) && names.count > 1)
            return err_make(ERR_MAILBOX_AMBIGUOUS);
        if (!err_is(e))
            e = names.count ? name_get(draft, names.names[0], &found) : err_make(ERR_NOT_FOUND);
    }
    if (e.code == ERR_NOT_FOUND)
        return err_make(ERR_MAILBOX_UNKNOWN);
    return err_is(e) ? e : expand_found(draft, &found, arena, lines);
}

struct err directory_expand(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r)
{
    struct arena scratch;
    struct draft draft;
    struct err e = lines_open(lines_r, DIRECTORY_EXPAND_MAX, arena);
    if (err_is(e))
        return e;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    e = expand_text(&draft, text, arena, lines_r);
    arena_done(&scratch);
    return e;
}
