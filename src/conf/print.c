/*
 * A configuration as text again, and what two of them differ in: told by how they print, since two
 * values that print alike are alike.
 */
#include "conf/rows.h"

#include "base/must.h"
#include "conf/mistakes.h"

enum {
    CHANGE_VALUE_MOST = 100, /* octets of a value that is told */
    CHANGE_MOST = 512,       /* of one change */
    CHANGES_REST = 32,       /* ", and 999 more" */
};

/* How it is printed. */
struct printing {
    const struct conf *conf;
    bool all;   /* also what is as by default */
    bool whole; /* what is in files instead of their paths */
};

static bool same(const struct setting *setting, const void *one, const void *two, bool whole)
{
    struct buf a = BUF_INIT(CONF_TEXT_MAX), b = BUF_INIT(CONF_TEXT_MAX);
    value_print(setting, one, whole, &a);
    value_print(setting, two, whole, &b);
    bool equal = str_eq(buf_str(&a), buf_str(&b)) && !buf_over(&a);
    buf_done(&a);
    buf_done(&b);
    return equal;
}

/* --- Defaults -------------------------------------------------------------------------------- */

/* Is it as a file that says nothing leaves it? What must be set never is; nor is anything where
 * memory is short: it is printed then, which does no harm. */
static bool is_standard(const struct setting *setting, const void *base, bool whole,
                        struct arena *scratch)
{
    struct buf why = BUF_INIT(1024);
    char *room = setting->standard ? arena_take(scratch, setting->offset + setting->size) : NULL;
    if (!room)
        return false;
    struct str standard = str_from(setting->standard);
    struct value_words words = {.list = &standard, .count = 1};
    bool parsed = value_parse(setting, &words, scratch, room, &why) && !arena_over(scratch);
    buf_done(&why);
    return parsed && same(setting, base, room, whole);
}

/* --- Printing -------------------------------------------------------------------------------- */

static void settings_print(const struct printing *how, const struct section *section,
                           size_t instance, struct buf *to)
{
    struct str title = section_title(section, how->conf, instance);
    bool block = section != &section_rows[SECTION_server], begun = title.p;
    const void *base = section_base(section, how->conf, instance);
    struct arena scratch;
    arena_init(&scratch, CONF_ARENA);
    if (begun)
        buf_printf(to, "%s %.*s {\n", section->name, STR_FMT(title));
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        if (!how->all && is_standard(setting, base, how->whole, &scratch))
            continue;
        if (block && !begun)
            buf_printf(to, "%s {\n", section->name);
        begun = true;
        buf_printf(to, "%s%s = ", block ? "    " : "", setting->name);
        value_print(setting, base, how->whole, to);
        buf_putc(to, '\n');
    }
    if (block && begun)
        buf_put(to, STR("}\n"));
    arena_done(&scratch);
}

static void print(const struct printing *how, struct buf *to)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        for (size_t j = 0; j < section_instances(&section_rows[i], how->conf); j++)
            settings_print(how, &section_rows[i], j, to);
}

void conf_print(const struct conf *conf, bool all, struct buf *to)
{
    struct printing how = {.conf = conf, .all = all};
    print(&how, to);
}

void conf_print_whole(const struct conf *conf, struct buf *to)
{
    struct printing how = {.conf = conf, .whole = true};
    print(&how, to);
}

/* --- Reloads --------------------------------------------------------------------------------- */

/* Blocks with names have no settings of this kind. */
static bool is_fixed(const struct section *section, const struct setting *setting)
{
    return section->title == TITLE_NONE && setting->reload == RELOAD_START;
}

void conf_needs_restart(const struct conf *old, const struct conf *new_conf, struct buf *names)
{
    const char *between = "";
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct section *section = &section_rows[i];
        for (size_t j = 0; j < section->count; j++) {
            const struct setting *setting = &section->settings[j];
            if (!is_fixed(section, setting) || same(setting, old, new_conf, false))
                continue;
            bool server = i == SECTION_server;
            buf_printf(names, "%s%s%s%s", between, server ? "" : section->name, server ? "" : ".",
                       setting->name);
            between = ", ";
        }
    }
}

void conf_keep(const struct conf *old, struct conf *new_conf)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct section *section = &section_rows[i];
        for (size_t j = 0; j < section->count; j++) {
            const struct setting *setting = &section->settings[j];
            if (is_fixed(section, setting))
                memcpy((char *)new_conf + setting->offset, (const char *)old + setting->offset,
                       setting->size);
        }
    }
}

/* --- Changes --------------------------------------------------------------------------------- */

struct changes {
    const struct conf *old, *new_conf;
    struct arena scratch; /* for defaults */
    struct buf *to;
    size_t most;
    size_t left_out;
};

static void change_tell(struct changes *changes, const struct buf *change)
{
    struct buf *to = changes->to;
    if (changes->left_out || to->n + change->n + CHANGES_REST > changes->most) {
        changes->left_out++;
        return;
    }
    buf_put(to, to->n ? STR(", ") : STR(""));
    buf_put(to, buf_str(change));
}

/* Without quotes, which would be escaped where the record is shown. */
static void value_tell(const struct setting *setting, const void *base, struct buf *to)
{
    struct buf value = BUF_INIT(CHANGE_VALUE_MOST);
    value_print(setting, base, true, &value);
    struct str rest = buf_over(&value) ? str_null() : buf_str(&value);
    if (rest.n)
        buf_put(to, str_eq(rest, STR("\"\"")) ? STR(" is empty") : STR(" = "));
    while (rest.n)
        buf_put(to, str_cut(&rest, '"'));
    buf_done(&value);
}

static void setting_tell(struct changes *changes, const struct section *section, struct str title,
                         const struct setting *setting, const void *base)
{
    struct buf change = BUF_INIT(CHANGE_MOST);
    mistake_name(&change, section->name, title, str_from(setting->name));
    value_tell(setting, base, &change);
    change_tell(changes, &change);
    buf_done(&change);
}

static void gone_tell(struct changes *changes, const struct section *section, struct str title)
{
    struct buf change = BUF_INIT(CHANGE_MOST);
    buf_printf(&change, "%s.%.*s is gone", section->name, STR_FMT(title));
    change_tell(changes, &change);
    buf_done(&change);
}

/* The block of this name; NULL: there is none. */
static const void *base_named(const struct section *section, const struct conf *conf,
                              struct str title)
{
    for (size_t i = 0; conf && i < section_instances(section, conf); i++)
        if (str_eq(section_title(section, conf, i), title))
            return section_base(section, conf, i);
    return NULL;
}

static void section_changes(struct changes *changes, const struct section *section, size_t instance)
{
    struct str title = section_title(section, changes->new_conf, instance);
    const void *base = section_base(section, changes->new_conf, instance);
    const void *before = base_named(section, changes->old, title);
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        if (before ? !same(setting, before, base, true)
                   : !is_standard(setting, base, true, &changes->scratch))
            setting_tell(changes, section, title, setting, base);
    }
}

static void section_losses(struct changes *changes, const struct section *section)
{
    for (size_t i = 0; changes->old && i < section_instances(section, changes->old); i++) {
        struct str title = section_title(section, changes->old, i);
        if (!base_named(section, changes->new_conf, title))
            gone_tell(changes, section, title);
    }
}

void conf_changes(const struct conf *old, const struct conf *new_conf, size_t most, struct buf *to)
{
    struct changes changes = {.old = old, .new_conf = new_conf, .to = to, .most = most};
    arena_init(&changes.scratch, CONF_ARENA);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        for (size_t j = 0; j < section_instances(&section_rows[i], new_conf); j++)
            section_changes(&changes, &section_rows[i], j);
        section_losses(&changes, &section_rows[i]);
    }
    if (changes.left_out)
        buf_printf(to, "%s%zu more", to->n ? ", and " : "", changes.left_out);
    arena_done(&changes.scratch);
}
