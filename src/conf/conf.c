/*
 * Why one pass that never stops: a person mends a file once when all its mistakes are told at once.
 * After a mistake in the structure reading goes on at the next line, which is where people end
 * their settings.
 */
#include "conf/conf.h"

#include "base/must.h"
#include "conf/rows.h"
#include "conf/scan.h"

enum {
    NAME_SHOWN = 60,    /* octets of a name in a message */
    NEAR_ALWAYS = 2,    /* letters that differ */
    NAME_COMPARED = 40, /* octets of a name that may be meant */
    WORDS_MOST = 300,   /* of one value */
    MISTAKE_MOST = 2048,
    PRINTED_MOST = 65536, /* octets of one value */
};

struct reader {
    struct scan scan;
    struct token token; /* the one to look at */
    struct str file, folder;
    struct arena *arena;
    struct conf *conf;
    struct buf *trouble;
    struct buf line; /* the message that is being written */
    size_t mistakes;
    int section;                    /* SECTION_*; SECTION_server outside of any block */
    unsigned set_at[SETTING_COUNT]; /* line of each setting; 0: not set */
    struct str words[WORDS_MOST];   /* of the value that is being read */
    size_t count;
};

/* --- Mistakes -------------------------------------------------------------------------------- */

/* "FILE:LINE: ", to be gone on with and ended by mistake_end. */
static struct buf *mistake(struct reader *reader, unsigned line)
{
    buf_clear(&reader->line);
    buf_put_escaped(&reader->line, reader->file, NAME_SHOWN * 4);
    buf_printf(&reader->line, ":%u: ", line);
    return &reader->line;
}

static void mistake_end(struct reader *reader)
{
    reader->mistakes++;
    if (reader->mistakes <= CONF_TROUBLE_MOST) {
        buf_put(reader->trouble, buf_str(&reader->line));
        buf_putc(reader->trouble, '\n');
    }
}

static void mistakes_left_out(struct reader *reader)
{
    if (reader->mistakes > CONF_TROUBLE_MOST)
        buf_printf(reader->trouble, "and %zu more\n", reader->mistakes - CONF_TROUBLE_MOST);
}

static void name_put(struct buf *to, int section, struct str name)
{
    if (section != SECTION_server)
        buf_printf(to, "%s.", section_rows[section].name);
    buf_put_escaped(to, name, NAME_SHOWN);
}

/* --- The nearest name ------------------------------------------------------------------------ */

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters to put in, take out or change (Levenshtein), of the first NAME_COMPARED. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[NAME_COMPARED + 1];
    a = str_head(a, NAME_COMPARED);
    b = str_head(b, NAME_COMPARED);
    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned across = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned same = ascii_lower(a.p[i - 1]) == ascii_lower(b.p[j - 1]);
            unsigned here = least_of(row[j] + 1, row[j - 1] + 1, across + !same);
            across = row[j];
            row[j] = here;
        }
    }
    return row[b.n];
}

/* How far a word may be from what was meant: farther ones are no misspelling of it. */
static unsigned near_of(struct str meant)
{
    unsigned third = (unsigned)str_head(meant, NAME_COMPARED).n / 3;
    return third > NEAR_ALWAYS ? third : NEAR_ALWAYS;
}

static void nearer(const char *name, struct str meant, const char **best, unsigned *least)
{
    unsigned d = distance(meant, str_from(name));
    if (d < *least) {
        *least = d;
        *best = name;
    }
}

static bool in_section(const struct setting *setting, int section)
{
    return strcmp(setting->section, section_rows[section].name) == 0;
}

/* Among the settings of a section, and outside of any block among the blocks too. */
static const char *nearest_name(int section, struct str meant)
{
    const char *best = NULL;
    unsigned least = near_of(meant) + 1;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (in_section(&setting_rows[i], section))
            nearer(setting_rows[i].name, meant, &best, &least);
    for (int i = 0; section == SECTION_server && i < SECTION_COUNT; i++)
        if (i != SECTION_server)
            nearer(section_rows[i].name, meant, &best, &least);
    return best;
}

static const char *nearest_section(struct str meant)
{
    const char *best = NULL;
    unsigned least = near_of(meant) + 1;
    for (int i = 0; i < SECTION_COUNT; i++)
        if (i != SECTION_server)
            nearer(section_rows[i].name, meant, &best, &least);
    return best;
}

static const char *nearest_choice(const char *const *choices, struct str meant)
{
    const char *best = NULL;
    unsigned least = near_of(meant) + 1;
    for (size_t i = 0; choices[i]; i++)
        nearer(choices[i], meant, &best, &least);
    return best;
}

static void nearest_put(struct buf *to, const char *nearest)
{
    if (nearest)
        buf_printf(to, "; did you mean %s?", nearest);
}

/* --- Settings -------------------------------------------------------------------------------- */

static const struct setting *setting_of(int section, struct str name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (in_section(&setting_rows[i], section) && str_eq(name, str_from(setting_rows[i].name)))
            return &setting_rows[i];
    return NULL;
}

static int section_of(struct str name)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (i != SECTION_server && str_eq(name, str_from(section_rows[i].name)))
            return i;
    return -1;
}

/* The section that has a setting of this name, or -1. */
static int home_of(struct str name)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (setting_of(i, name))
            return i;
    return -1;
}

static void unknown_setting(struct reader *reader, struct token name)
{
    struct buf *to = mistake(reader, name.line);
    int home = home_of(name.text);
    name_put(to, reader->section, name.text);
    if (reader->section == SECTION_server)
        buf_put(to, STR(": no such setting; expected one that stands outside of any block"));
    else
        buf_printf(to, ": no such setting; expected one of the block %s",
                   section_rows[reader->section].name);
    if (home == SECTION_server)
        buf_put(to, STR("; did you mean the one outside of any block?"));
    else if (home >= 0)
        buf_printf(to, "; did you mean %s of the block %s?", setting_of(home, name.text)->name,
                   section_rows[home].name);
    else
        nearest_put(to, nearest_name(reader->section, name.text));
    mistake_end(reader);
}

static void wrong_value(struct reader *reader, const struct setting *setting, unsigned line,
                        struct str why)
{
    struct buf *to = mistake(reader, line);
    name_put(to, reader->section, str_from(setting->name));
    buf_put(to, STR(": "));
    buf_put(to, why);
    buf_put(to, STR("; expected "));
    value_expected(setting, to);
    if (value_choices(setting->type) && reader->count == 1)
        nearest_put(to, nearest_choice(value_choices(setting->type), reader->words[0]));
    mistake_end(reader);
}

static void apply(struct reader *reader, struct token name)
{
    const struct setting *setting = setting_of(reader->section, name.text);
    struct buf why = BUF_INIT(MISTAKE_MOST);
    if (!setting) {
        unknown_setting(reader, name);
        return;
    }
    unsigned *set_at = &reader->set_at[setting - setting_rows];
    if (*set_at) {
        struct buf *to = mistake(reader, name.line);
        name_put(to, reader->section, name.text);
        buf_printf(to, ": set a second time; expected it once, it stands in line %u already",
                   *set_at);
        mistake_end(reader);
        return;
    }
    *set_at = name.line;
    if (!value_parse(setting, reader->words, reader->count, reader->folder, reader->arena,
                     reader->conf, &why))
        wrong_value(reader, setting, name.line, buf_str(&why));
    buf_done(&why);
}

/* --- Structure ------------------------------------------------------------------------------- */

static void advance(struct reader *reader)
{
    reader->token = conf_scan_next(&reader->scan);
}

static void skip_line(struct reader *reader, unsigned line)
{
    while (reader->token.kind != TOKEN_END && reader->token.line <= line)
        advance(reader);
}

/* What is wrong in line `line`, about `name` (or null), unless the scanner already knows better.
 * Reading goes on behind that line. */
static void structure_mistake(struct reader *reader, unsigned line, struct str name,
                              const char *what)
{
    struct buf *to = mistake(reader, line);
    if (name.p) {
        name_put(to, reader->section, name);
        buf_put(to, STR(": "));
    }
    if (reader->token.kind == TOKEN_BAD && reader->token.line == line) {
        buf_put(to, reader->token.text);
        buf_put(to, STR("; expected plain words or \"text in quotes\""));
    } else {
        buf_put(to, str_from(what));
    }
    mistake_end(reader);
    skip_line(reader, line);
}

static bool read_list(struct reader *reader, struct str name)
{
    advance(reader);
    while (reader->token.kind == TOKEN_WORD || reader->token.kind == TOKEN_COMMA) {
        if (reader->token.kind == TOKEN_WORD && reader->count == WORDS_MOST) {
            structure_mistake(reader, reader->token.line, name,
                              "too many values; expected at most 300");
            return false;
        }
        if (reader->token.kind == TOKEN_WORD)
            reader->words[reader->count++] = reader->token.text;
        advance(reader);
    }
    if (reader->token.kind != TOKEN_CLOSE) {
        structure_mistake(reader, reader->token.line, name,
                          "a list without its end; expected } behind the values");
        return false;
    }
    advance(reader);
    return true;
}

/* A word behind a value begins the next setting only if a = or a { follows it. */
static bool value_goes_on(const struct reader *reader, unsigned line)
{
    struct scan ahead = reader->scan;
    if (reader->token.line != line)
        return false;
    if (reader->token.kind != TOKEN_WORD)
        return reader->token.kind == TOKEN_COMMA;
    enum token_kind after = conf_scan_next(&ahead).kind;
    return after != TOKEN_EQUALS && after != TOKEN_OPEN;
}

/* What follows a '=': one word, or several in braces, beginning on its line. */
static bool read_value(struct reader *reader, struct str name)
{
    unsigned line = reader->token.line;
    reader->count = 0;
    advance(reader);
    bool here = reader->token.line == line;
    if (here && reader->token.kind == TOKEN_OPEN)
        return read_list(reader, name);
    if (!here || reader->token.kind != TOKEN_WORD) {
        structure_mistake(reader, line, name, "no value; expected one on the line of its =");
        return false;
    }
    reader->words[reader->count++] = reader->token.text;
    advance(reader);
    if (value_goes_on(reader, line)) {
        structure_mistake(reader, line, name,
                          "several words; expected one, or \"one in quotes\", or { a, list }");
        return false;
    }
    return true;
}

static void sections_put(struct buf *to)
{
    const char *between = "";
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (i == SECTION_server)
            continue;
        buf_printf(to, "%s%s", between, section_rows[i].name);
        between = ", ";
    }
}

static void unknown_block(struct reader *reader, struct token name)
{
    const struct setting *setting = setting_of(SECTION_server, name.text);
    struct buf *to = mistake(reader, name.line);
    buf_put_escaped(to, name.text, NAME_SHOWN);
    if (setting) {
        buf_printf(to, ": a setting, not a block; expected %s = ...", setting->name);
    } else {
        buf_put(to, STR(": no such block; expected one of "));
        sections_put(to);
        nearest_put(to, nearest_section(name.text));
    }
    mistake_end(reader);
}

/* Over a block nobody knows: its settings are no mistakes of their own. */
static void skip_block(struct reader *reader)
{
    size_t depth = 0;
    do {
        depth += reader->token.kind == TOKEN_OPEN;
        depth -= reader->token.kind == TOKEN_CLOSE;
        advance(reader);
    } while (depth && reader->token.kind != TOKEN_END);
}

static void read_setting(struct reader *reader)
{
    struct token name = reader->token;
    if (name.kind != TOKEN_WORD || name.quoted) {
        structure_mistake(reader, name.line, str_null(),
                          name.kind == TOKEN_CLOSE ? "a } without its {; expected NAME = VALUE"
                                                   : "no setting; expected NAME = VALUE");
        return;
    }
    advance(reader);
    if (reader->token.kind != TOKEN_EQUALS) {
        structure_mistake(reader, name.line, name.text,
                          section_of(name.text) >= 0 ? "a block; expected { behind its name"
                                                     : "no value; expected = behind the name");
        return;
    }
    if (reader->section == SECTION_server && section_of(name.text) >= 0) {
        structure_mistake(reader, name.line, name.text, "a block; expected { behind its name");
        return;
    }
    if (read_value(reader, name.text))
        apply(reader, name);
}

static void read_block(struct reader *reader, struct token name)
{
    reader->section = section_of(name.text);
    advance(reader); /* over the { */
    while (reader->token.kind != TOKEN_CLOSE && reader->token.kind != TOKEN_END)
        read_setting(reader);
    if (reader->token.kind == TOKEN_END) {
        struct buf *to = mistake(reader, name.line);
        buf_printf(to, "%s: the block does not end; expected } behind its settings",
                   section_rows[reader->section].name);
        mistake_end(reader);
    }
    reader->section = SECTION_server;
    advance(reader);
}

static bool begins_block(const struct reader *reader)
{
    struct scan ahead = reader->scan;
    return reader->token.kind == TOKEN_WORD && !reader->token.quoted &&
           conf_scan_next(&ahead).kind == TOKEN_OPEN;
}

static void read_file(struct reader *reader)
{
    advance(reader);
    while (reader->token.kind != TOKEN_END) {
        struct token name = reader->token;
        if (!begins_block(reader)) {
            read_setting(reader);
            continue;
        }
        advance(reader);
        if (section_of(name.text) >= 0) {
            read_block(reader, name);
        } else {
            unknown_block(reader, name);
            skip_block(reader);
        }
    }
}

/* --- The whole ------------------------------------------------------------------------------- */

static void standards(struct str folder, struct arena *arena, struct conf *conf_r)
{
    struct buf why = BUF_INIT(MISTAKE_MOST);
    *conf_r = (struct conf){0};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct str standard = str_from(setting_rows[i].standard);
        must(value_parse(&setting_rows[i], &standard, 1, folder, arena, conf_r, &why));
    }
    buf_done(&why);
}

static struct err result(const struct reader *reader)
{
    if (arena_over(reader->arena))
        return err_detail(ERR_OVER_LIMIT, STR("the configuration is too large"));
    if (reader->mistakes)
        return err_detail(ERR_CONFIG, STR("the configuration file has mistakes"));
    return err_none();
}

struct err conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                      struct conf *conf_r, struct conf_trouble *trouble)
{
    buf_init(&trouble->text, CONF_TROUBLE_SIZE);
    struct reader reader = {.file = file,
                            .folder = folder,
                            .arena = arena,
                            .conf = conf_r,
                            .trouble = &trouble->text,
                            .line = BUF_INIT(MISTAKE_MOST),
                            .section = SECTION_server};
    standards(folder, arena, conf_r);
    if (text.n > CONF_TEXT_MAX) {
        buf_printf(mistake(&reader, 1), "%zu octets; expected at most %d", text.n, CONF_TEXT_MAX);
        mistake_end(&reader);
    } else {
        conf_scan_init(&reader.scan, text, arena);
        read_file(&reader);
    }
    mistakes_left_out(&reader);
    buf_done(&reader.line);
    return result(&reader);
}

static void value_text(const struct setting *setting, const struct conf *conf, struct buf *to)
{
    buf_clear(to);
    value_print(setting, conf, to);
}

static bool same(const struct setting *setting, const struct conf *one, const struct conf *two)
{
    struct buf a = BUF_INIT(PRINTED_MOST), b = BUF_INIT(PRINTED_MOST);
    value_text(setting, one, &a);
    value_text(setting, two, &b);
    bool equal = str_eq(buf_str(&a), buf_str(&b));
    buf_done(&a);
    buf_done(&b);
    return equal;
}

static void section_print(int section, const struct conf *conf, const struct conf *standard,
                          struct buf *to)
{
    bool block = section != SECTION_server, begun = false;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_rows[i];
        if (!in_section(setting, section) || (standard && same(setting, conf, standard)))
            continue;
        if (block && !begun)
            buf_printf(to, "%s {\n", section_rows[section].name);
        begun = true;
        buf_printf(to, "%s%s = ", block ? "    " : "", setting->name);
        value_print(setting, conf, to);
        buf_putc(to, '\n');
    }
    if (block && begun)
        buf_put(to, STR("}\n"));
}

void conf_print(const struct conf *conf, bool all, struct buf *to)
{
    struct arena arena;
    struct conf standard;
    arena_init(&arena, CONF_ARENA);
    standards(str_null(), &arena, &standard);
    for (int i = 0; i < SECTION_COUNT; i++)
        section_print(i, conf, all ? NULL : &standard, to);
    arena_done(&arena);
}

void conf_needs_restart(const struct conf *old, const struct conf *new_conf, struct buf *names)
{
    const char *between = "";
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *setting = &setting_rows[i];
        if (setting->reload != RELOAD_START || same(setting, old, new_conf))
            continue;
        bool server = strcmp(setting->section, section_rows[SECTION_server].name) == 0;
        buf_printf(names, "%s%s%s%s", between, server ? "" : setting->section, server ? "" : ".",
                   setting->name);
        between = ", ";
    }
}

void conf_keep(const struct conf *old, struct conf *new_conf)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (setting_rows[i].reload == RELOAD_START)
            memcpy((char *)new_conf + setting_rows[i].offset,
                   (const char *)old + setting_rows[i].offset, setting_rows[i].size);
}
