/*
 * A text is applied in passes over its blocks: domains, accounts, then everything that leads
 * somewhere, and last the checks of where it leads. So the order of the blocks does not matter, and
 * a loop over three new aliases is found although none of them was there before. Everything is
 * staged on one draft; nothing is written unless all of it is good.
 *
 * A block says all about what it names: what it does not mention gets its default. The exceptions
 * are in directory_apply_account.c.
 */
#include "store/directory_apply.h"
#include "base/must.h"
#include "store/directory_record.h"

enum {
    PARSE_MEMORY = 512 * 1024 * 1024,
    REPORT_MEMORY = 64 * 1024 * 1024,
};

/* --- Understanding blocks --- */

struct err apply_trouble(struct apply *apply, unsigned line, const char *words, struct str about)
{
    return err_detail(ERR_CONFIG, text_trouble(&apply->parsed, line, words, about));
}

struct err apply_read_addr(struct reading *reading, const struct text_field *field,
                           struct addr *addr_r)
{
    struct err e = addr_parse(field->value, &reading->apply->parsed, addr_r);
    return e.code == ERR_ADDRESS_SYNTAX ? apply_trouble(reading->apply, field->line,
                                                        "expected an address, not", field->value)
                                        : e;
}

struct err apply_read_flag(struct reading *reading, const struct text_field *field, bool *flag_r)
{
    *flag_r = str_eq(field->value, STR("yes"));
    if (!*flag_r && !str_eq(field->value, STR("no")))
        return apply_trouble(reading->apply, field->line, "expected yes or no, not", field->value);
    return err_none();
}

static struct err read_name(struct reading *reading, const struct text_field *field)
{
    reading->wanted->full_name = field->value;
    return err_none();
}

static struct err read_expandable(struct reading *reading, const struct text_field *field)
{
    return apply_read_flag(reading, field, &reading->wanted->expandable);
}

static struct err read_owner(struct reading *reading, const struct text_field *field)
{
    reading->wanted->has_owner = true;
    return apply_read_addr(reading, field, &reading->wanted->owner);
}

static struct err read_other(struct reading *reading, const struct text_field *field)
{
    struct wanted *wanted = reading->wanted;
    if (!wanted->others)
        wanted->others =
            arena_take_array(&reading->apply->parsed, reading->block->count, sizeof(struct addr));
    if (!wanted->others)
        return err_make(ERR_OVER_LIMIT);
    return apply_read_addr(reading, field, &wanted->others[wanted->other_count++]);
}

static struct err read_forward(struct reading *reading, const struct text_field *field)
{
    reading->wanted->forward = true;
    return read_other(reading, field);
}

/* Every setting of every kind of block. */
static const struct {
    enum wanted_kind kind;
    struct str name;
    bool repeats;
    struct err (*read)(struct reading *, const struct text_field *);
} SETTINGS[] = {
    {WANT_ACCOUNT, STR_INIT("name"), false, read_name},
    {WANT_ACCOUNT, STR_INIT("password"), false, apply_read_password},
    {WANT_ACCOUNT, STR_INIT("scram"), true, apply_read_scram},
    {WANT_ACCOUNT, STR_INIT("cram_md5"), false, apply_read_cram_secret},
    {WANT_ACCOUNT, STR_INIT("app_password"), true, apply_read_app_password},
    {WANT_ACCOUNT, STR_INIT("certificate"), true, apply_read_certificate},
    {WANT_ACCOUNT, STR_INIT("quota"), false, apply_read_quota},
    {WANT_ACCOUNT, STR_INIT("services"), false, apply_read_services},
    {WANT_ACCOUNT, STR_INIT("disabled"), false, apply_read_disabled},
    {WANT_ACCOUNT, STR_INIT("send_as"), true, apply_read_grant},
    {WANT_ACCOUNT, STR_INIT("language"), false, apply_read_language},
    {WANT_ACCOUNT, STR_INIT("forward"), true, apply_read_forward},
    {WANT_ACCOUNT, STR_INIT("keep"), false, apply_read_keep},
    {WANT_ALIAS, STR_INIT("to"), true, read_other},
    {WANT_LIST, STR_INIT("name"), false, read_name},
    {WANT_LIST, STR_INIT("owner"), false, read_owner},
    {WANT_LIST, STR_INIT("expandable"), false, read_expandable},
    {WANT_LIST, STR_INIT("member"), true, read_other},
    {WANT_LIST, STR_INIT("unsubscribed"), true, apply_read_unsubscribed},
    {WANT_MOVED, STR_INIT("forward"), false, read_forward},
    {WANT_MOVED, STR_INIT("refer"), false, read_other},
};

static const struct str KINDS[WANT_COUNT] = {
    [WANT_DOMAIN] = STR_INIT("domain"), [WANT_ACCOUNT] = STR_INIT("account"),
    [WANT_ALIAS] = STR_INIT("alias"),   [WANT_LIST] = STR_INIT("list"),
    [WANT_MOVED] = STR_INIT("moved"),
};

static struct err field_read(struct reading *reading, const struct text_field *field)
{
    for (size_t i = 0; i < sizeof(SETTINGS) / sizeof(SETTINGS[0]); i++) {
        if (SETTINGS[i].kind != reading->wanted->kind || !str_eq(SETTINGS[i].name, field->name))
            continue;
        for (const struct text_field *one = reading->block->fields;
             !SETTINGS[i].repeats && one < field; one++)
            if (str_eq(one->name, field->name))
                return apply_trouble(reading->apply, field->line,
                                     "given twice in one block:", field->name);
        return SETTINGS[i].read(reading, field);
    }
    return apply_trouble(reading->apply, field->line,
                         "there is no such setting in this kind of block:", field->name);
}

static struct err title_read(struct apply *apply, const struct text_block *block,
                             struct wanted *wanted)
{
    struct err e;
    if (wanted->kind == WANT_DOMAIN) {
        e = host_parse(block->title, &apply->parsed, &wanted->name);
    } else {
        e = directory_name_parse(block->title, &apply->parsed, &wanted->addr);
        if (!err_is(e))
            wanted->name = name_of_addr(&wanted->addr, &apply->parsed);
        if (!err_is(e) && wanted->addr.local.n == 0 && wanted->kind != WANT_ALIAS)
            return apply_trouble(apply, block->line,
                                 "only an alias can be a catch-all:", block->title);
    }
    if (e.code == ERR_ADDRESS_SYNTAX)
        return apply_trouble(apply, block->line,
                             wanted->kind == WANT_DOMAIN ? "expected a domain, not"
                                                         : "expected an address, not",
                             block->title);
    return err_is(e) || wanted->name.p ? e : err_make(ERR_OVER_LIMIT);
}

/* What a block of this kind cannot do without. */
static struct err whole_check(struct apply *apply, const struct wanted *wanted)
{
    if (wanted->forwards_only && wanted->forward_count == 0)
        return apply_trouble(apply, wanted->line,
                             "an account that keeps no mail needs a setting \"forward\"", STR(""));
    if (wanted->kind == WANT_ALIAS && wanted->other_count == 0)
        return apply_trouble(apply, wanted->line, "an alias needs a setting \"to\"", STR(""));
    if (wanted->kind == WANT_LIST && !wanted->has_owner)
        return apply_trouble(apply, wanted->line, "a list needs a setting \"owner\"", STR(""));
    if (wanted->kind == WANT_MOVED && wanted->other_count != 1)
        return apply_trouble(apply, wanted->line,
                             "a moved user needs either \"forward\" or \"refer\"", STR(""));
    return err_none();
}

static struct err block_read(struct apply *apply, const struct text_block *block)
{
    struct wanted wanted = {.line = block->line, .title = block->title, .full_name = STR("")};
    while (wanted.kind < WANT_COUNT && !str_eq(KINDS[wanted.kind], block->kind))
        wanted.kind++;
    if (wanted.kind == WANT_COUNT)
        return apply_trouble(apply, block->line,
                             "expected domain, account, alias, list or moved, not", block->kind);
    struct err e = title_read(apply, block, &wanted);
    struct reading reading = {apply, block, &wanted};
    for (size_t i = 0; !err_is(e) && i < block->count; i++)
        e = field_read(&reading, &block->fields[i]);
    if (!err_is(e))
        e = whole_check(apply, &wanted);
    if (err_is(e))
        return e;
    if (apply->count == apply->cap) {
        size_t cap = apply->cap ? 2 * apply->cap : 64;
        struct wanted *larger = arena_take_array(&apply->parsed, cap, sizeof(*larger));
        if (!larger)
            return err_make(ERR_OVER_LIMIT);
        if (apply->count)
            memcpy(larger, apply->wanted, apply->count * sizeof(*larger));
        apply->wanted = larger;
        apply->cap = cap;
    }
    apply->wanted[apply->count++] = wanted;
    return err_none();
}

static int by_name(const void *a, const void *b)
{
    const struct wanted *x = *(const struct wanted *const *)a;
    const struct wanted *y = *(const struct wanted *const *)b;
    int order = str_cmp(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* A domain has no '@' in its name, so it never equals an address. */
static struct err twice_check(struct apply *apply)
{
    const struct wanted **sorted = arena_take_array(&apply->parsed, apply->count, sizeof(*sorted));
    if (!sorted)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < apply->count; i++)
        sorted[i] = &apply->wanted[i];
    qsort(sorted, apply->count, sizeof(*sorted), by_name);
    for (size_t i = 1; i < apply->count; i++)
        if (str_eq(sorted[i]->name, sorted[i - 1]->name))
            return apply_trouble(apply, sorted[i]->line,
                                 "this was given before:", sorted[i]->title);
    return err_none();
}

static struct err text_read(struct apply *apply, struct directory *directory, struct str text)
{
    struct text_reader reader = text_reader(text, &apply->parsed);
    struct text_block block;
    struct draft turns; /* looks nothing up: only gives others their turns */
    struct err e;
    draft_read(&turns, directory, &apply->parsed);
    while (!err_is(e = text_next(&reader, &block))) {
        draft_step(&turns);
        e = block_read(apply, &block);
        if (err_is(e))
            return e;
    }
    return e.code == ERR_NOT_FOUND ? twice_check(apply) : e;
}

/* --- Telling --- */

static void line_put(struct apply *apply, struct buf *words)
{
    struct line *line = arena_new(&apply->reported, struct line);
    if (line) {
        line->text = buf_copy(words, &apply->reported);
        STAILQ_INSERT_TAIL(&apply->lines, line, link);
    }
    buf_done(words);
}

static void tell(struct apply *apply, const char *verb, const struct wanted *wanted,
                 const char *what)
{
    struct buf words = BUF_INIT(APPLY_WORDS_MAX);
    buf_printf(&words, "%s %s ", verb, KINDS[wanted->kind].p);
    if (wanted->kind == WANT_DOMAIN)
        buf_put(&words, wanted->name);
    else
        directory_name_print(&words, &wanted->addr);
    if (what[0])
        buf_printf(&words, ": %s", what);
    line_put(apply, &words);
}

void apply_tell_added(struct apply *apply, const struct wanted *wanted)
{
    apply->applied.added++;
    tell(apply, "add", wanted, "");
}

void apply_tell_changed(struct apply *apply, const struct wanted *wanted, const struct buf *what)
{
    if (what->n == 0) {
        apply->applied.unchanged++;
        return;
    }
    char words[APPLY_WORDS_MAX];
    size_t n = what->n < sizeof(words) ? what->n : sizeof(words) - 1;
    memcpy(words, what->p, n);
    words[n] = '\0';
    apply->applied.changed++;
    tell(apply, "change", wanted, words);
}

bool apply_differs(struct buf *what, bool differ, const char *name)
{
    if (differ)
        buf_printf(what, "%s%s", what->n ? ", " : "", name);
    return differ;
}

/* --- Staging --- */

struct err apply_there(struct draft *draft, const struct wanted *wanted, enum name_kind kind,
                       struct found *found)
{
    struct err e = name_get(draft, wanted->name, found);
    if (!err_is(e) && found->record.kind != kind)
        return err_detail(ERR_EXISTS, detail_of(draft, "there is something else of this name: ",
                                                name_address(&found->record)));
    return e;
}

static struct err apply_domain(struct apply *apply, struct draft *draft, struct wanted *wanted)
{
    struct domain domain;
    struct err e = domain_get(draft, wanted->name, &domain);
    if (!err_is(e)) {
        apply->applied.unchanged++;
        return e;
    }
    if (e.code != ERR_NOT_FOUND)
        return e;
    apply_tell_added(apply, wanted);
    return domain_stage(draft, wanted->name);
}

/* Adds the record, or puts it in the place of the old. */
static struct err group_stage(struct apply *apply, struct draft *draft, struct wanted *wanted,
                              bool fresh, const struct name *record, const struct buf *what)
{
    struct str name;
    wanted->staged = fresh || what->n;
    if (!fresh) {
        apply_tell_changed(apply, wanted, what);
        return what->n ? name_restage(draft, wanted->name, record) : err_none();
    }
    apply_tell_added(apply, wanted);
    struct err e = name_check_new(draft, &wanted->addr, &name);
    return err_is(e) ? e : name_stage(draft, name, record);
}

static bool same_targets(const struct alias *a, const struct alias *b)
{
    bool same = a->target_count == b->target_count;
    for (size_t i = 0; same && i < a->target_count; i++)
        same = str_eq(a->targets[i], b->targets[i]);
    return same;
}

static struct err apply_alias(struct apply *apply, struct draft *draft, struct wanted *wanted)
{
    struct found found = {.record = {.kind = NAME_ALIAS}};
    struct buf what = BUF_INIT(APPLY_WORDS_MAX);
    struct err e = apply_there(draft, wanted, NAME_ALIAS, &found);
    bool fresh = e.code == ERR_NOT_FOUND;
    if (err_is(e) && !fresh)
        return e;
    struct name record = found.record;
    e = targets_print(draft, wanted->others, wanted->other_count, &record.alias);
    if (err_is(e))
        return e;
    if (fresh) {
        record.alias.created = world_wall(draft->directory->world);
        record.alias.address = address_of(draft, &wanted->addr);
    } else {
        apply_differs(&what, !same_targets(&record.alias, &found.record.alias), "to");
    }
    e = group_stage(apply, draft, wanted, fresh, &record, &what);
    buf_done(&what);
    return e;
}

static struct err apply_moved(struct apply *apply, struct draft *draft, struct wanted *wanted)
{
    struct found found = {.record = {.kind = NAME_MOVED}};
    struct buf what = BUF_INIT(APPLY_WORDS_MAX);
    struct err e = apply_there(draft, wanted, NAME_MOVED, &found);
    bool fresh = e.code == ERR_NOT_FOUND;
    if (err_is(e) && !fresh)
        return e;
    struct name record = found.record;
    record.moved.forward = wanted->forward;
    record.moved.to = address_of(draft, &wanted->others[0]);
    if (fresh) {
        record.moved.created = world_wall(draft->directory->world);
        record.moved.address = address_of(draft, &wanted->addr);
    } else {
        apply_differs(&what,
                      record.moved.forward != found.record.moved.forward ||
                          !str_eq(record.moved.to, found.record.moved.to),
                      wanted->forward ? "forward" : "refer");
    }
    e = group_stage(apply, draft, wanted, fresh, &record, &what);
    buf_done(&what);
    return e;
}

/* --- Lists --- */

static int by_key(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Takes away the members that are not wanted; the keys are sorted. */
static struct err members_shrink(struct draft *draft, uint64_t list, const struct str *keys,
                                 size_t count, bool *changed_r)
{
    struct draft_walk walk;
    struct entry entry;
    struct err e = draft_walk_open(&walk, draft, key_number('m', list, str_null(), draft->arena));
    while (!err_is(e) && !err_is(e = draft_walk_next(&walk, &entry)))
        if (!count || !bsearch(&entry.key, keys, count, sizeof(*keys), by_key)) {
            draft_remove(draft, arena_str(draft->arena, entry.key));
            *changed_r = true;
        }
    draft_walk_done(&walk);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

static struct err members_grow(struct draft *draft, uint64_t list, const struct wanted *wanted,
                               bool *changed_r)
{
    struct err e = err_none();
    for (size_t i = 0; !err_is(e) && i < wanted->other_count; i++) {
        const struct addr *member = &wanted->others[i];
        struct str text;
        bool left;
        e = unsubscribed_find(draft, list, member, &left);
        if (err_is(e) || left)
            continue;
        e = draft_get(draft, member_key(draft, list, member), &text);
        if (!err_is(e) && str_eq(text, address_of(draft, member)))
            continue;
        if (err_is(e) && e.code != ERR_NOT_FOUND)
            return e;
        *changed_r = true;
        e = member_stage(draft, list, member);
    }
    return e;
}

static struct err members_apply(struct draft *draft, uint64_t list, const struct wanted *wanted,
                                bool *changed_r)
{
    struct str *keys = arena_take_array(draft->arena, wanted->other_count, sizeof(*keys));
    if (!keys)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < wanted->other_count; i++)
        keys[i] = member_key(draft, list, &wanted->others[i]);
    if (arena_over(draft->arena))
        return err_make(ERR_OVER_LIMIT);
    qsort(keys, wanted->other_count, sizeof(*keys), by_key);
    struct err e = members_shrink(draft, list, keys, wanted->other_count, changed_r);
    return err_is(e) ? e : members_grow(draft, list, wanted, changed_r);
}

static struct err apply_list(struct apply *apply, struct draft *draft, struct wanted *wanted)
{
    struct found found = {.record = {.kind = NAME_LIST}};
    struct buf what = BUF_INIT(APPLY_WORDS_MAX);
    struct err e = apply_there(draft, wanted, NAME_LIST, &found);
    bool fresh = e.code == ERR_NOT_FOUND, members = false, left = false;
    if (err_is(e) && !fresh)
        return e;
    struct name record = found.record;
    struct mailing_list *list = &record.list;
    e = full_name_check(wanted->full_name);
    if (!err_is(e) && fresh)
        e = draft_number(draft, STR("#list"), &list->id);
    if (!err_is(e))
        e = apply_unsubscribed(draft, list->id, wanted, &left);
    if (!err_is(e))
        e = members_apply(draft, list->id, wanted, &members);
    if (err_is(e))
        return e;
    list->name = wanted->full_name;
    list->expandable = wanted->expandable;
    list->owner = address_of(draft, &wanted->owner);
    if (fresh) {
        list->created = world_wall(draft->directory->world);
        list->address = address_of(draft, &wanted->addr);
    } else {
        const struct mailing_list *old = &found.record.list;
        apply_differs(&what, !str_eq(list->name, old->name), "name");
        apply_differs(&what, !str_eq(list->owner, old->owner), "owner");
        apply_differs(&what, list->expandable != old->expandable, "expandable");
        apply_differs(&what, members, "members");
        apply_differs(&what, left, "unsubscribed");
    }
    e = group_stage(apply, draft, wanted, fresh, &record, &what);
    buf_done(&what);
    return e;
}

/* --- All of it --- */

static struct err (*const APPLY[WANT_COUNT])(struct apply *, struct draft *, struct wanted *) = {
    [WANT_DOMAIN] = apply_domain, [WANT_ACCOUNT] = apply_account, [WANT_ALIAS] = apply_alias,
    [WANT_LIST] = apply_list,     [WANT_MOVED] = apply_moved,
};

static struct err check_group(struct draft *draft, const struct wanted *wanted)
{
    struct found found;
    if (!wanted->staged)
        return err_none();
    struct err e = name_get(draft, wanted->name, &found);
    return err_is(e) ? e : group_check(draft, &found);
}

/* An error of one block, with its line in front. */
static struct err at_line(struct draft *draft, const struct wanted *wanted, struct err e)
{
    if (!err_is(e) || e.code == ERR_CONFLICT)
        return e;
    struct str why = e.detail.n ? e.detail : str_from(err_row(e.code)->text);
    struct buf words = BUF_INIT(APPLY_WORDS_MAX);
    buf_printf(&words, "line %u: ", wanted->line);
    buf_put(&words, why);
    e.detail = buf_copy(&words, draft->arena);
    buf_done(&words);
    return e;
}

static struct err change_kind(struct apply *apply, struct draft *draft, enum wanted_kind kind)
{
    struct err e = err_none();
    for (size_t i = 0; !err_is(e) && i < apply->count; i++) {
        struct wanted *wanted = &apply->wanted[i];
        if (wanted->kind != kind)
            continue;
        draft_step(draft);
        e = at_line(draft, wanted, APPLY[kind](apply, draft, wanted));
    }
    return e;
}

static struct err change(struct draft *draft, void *arg)
{
    struct apply *apply = arg;
    struct err e = err_none();
    arena_reset(&apply->reported);
    STAILQ_INIT(&apply->lines);
    apply->applied = (struct directory_applied){0};
    for (enum wanted_kind kind = 0; !err_is(e) && kind < WANT_COUNT; kind++)
        e = change_kind(apply, draft, kind);
    for (size_t i = 0; !err_is(e) && i < apply->count; i++) {
        if (apply->wanted[i].staged)
            draft_step(draft);
        e = at_line(draft, &apply->wanted[i], check_group(draft, &apply->wanted[i]));
    }
    draft->dry = apply->dry_run;
    return e;
}

static struct err apply_text(struct directory *directory, struct apply *apply, struct str text,
                             struct arena *arena)
{
    if (text.n > DIRECTORY_APPLY_MAX)
        return err_detail(ERR_OVER_LIMIT, STR("the text is larger than 64 MB"));
    struct err e = text_read(apply, directory, text);
    if (!err_is(e))
        return directory_change(directory, arena, change, apply);
    if (e.detail.n)
        e.detail = arena_str(arena, e.detail);
    return e;
}

struct err directory_apply(struct directory *directory, struct str text, bool dry_run,
                           void (*report)(void *arg, struct str line), void *arg,
                           struct arena *arena, struct directory_applied *applied_r)
{
    struct apply apply = {.dry_run = dry_run};
    STAILQ_INIT(&apply.lines);
    arena_init(&apply.parsed, PARSE_MEMORY);
    arena_init(&apply.reported, REPORT_MEMORY);
    struct err e = apply_text(directory, &apply, text, arena);
    struct line *line;
    if (!err_is(e)) {
        STAILQ_FOREACH(line, &apply.lines, link)
        {
            report(arg, line->text);
        }
        *applied_r = apply.applied;
    }
    arena_done(&apply.reported);
    arena_done(&apply.parsed);
    return e;
}
