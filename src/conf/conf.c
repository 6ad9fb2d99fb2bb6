/*
 * Why one pass that never stops: a person mends a file once when all its mistakes are told at once.
 * After a mistake in the structure reading goes on at the next line, which is where people end
 * their settings.
 */
#include "conf/conf.h"

#include "base/must.h"
#include "conf/lists.h"
#include "conf/routes.h"
#include "conf/rows.h"
#include "conf/scan.h"
#include "conf/value.h"

enum {
    WORDS_FIRST = 64,
    WORDS_MOST = CONF_NETWORKS_MOST + CONF_LISTS_MOST, /* of one value */
    BLOCKS_FIRST = 4,
};

struct reader {
    struct scan scan;
    struct token token; /* the one to look at */
    const struct conf_reading *how;
    struct arena *arena;
    struct arena words_arena; /* all words of the file */
    struct conf *conf;
    struct mistakes mistakes;
    const struct section *section; /* section_rows[SECTION_server] outside of any block */
    size_t instance;
    unsigned set_at[SETTING_COUNT]; /* line of each setting; 0: not set */
    size_t blocks_room[SECTION_COUNT];
    struct str *words; /* of the value that is being read */
    size_t count, room;
    bool no_memory; /* for a default, which is no mistake of the file's */
};

/* --- Mistakes -------------------------------------------------------------------------------- */

static struct buf *mistake(struct reader *reader, unsigned line)
{
    return mistake_begin(&reader->mistakes, reader->how->file, line);
}

static void name_put(const struct reader *reader, struct str name, struct buf *to)
{
    mistake_name(to, reader->section->name,
                 section_title(reader->section, reader->conf, reader->instance), name);
}

static bool outside(const struct reader *reader)
{
    return reader->section == &section_rows[SECTION_server];
}

/* Among the settings of a section, and outside of any block among the blocks too. */
static void nearest_name(const struct reader *reader, struct str meant, struct buf *to)
{
    struct nearest nearest = nearest_begin(meant);
    for (size_t i = 0; i < reader->section->count; i++)
        nearest_try(&nearest, str_from(reader->section->settings[i].name));
    for (size_t i = 0; outside(reader) && i < SECTION_COUNT; i++)
        if (i != SECTION_server)
            nearest_try(&nearest, str_from(section_rows[i].name));
    nearest_put(&nearest, to);
}

static void nearest_section(struct str meant, struct buf *to)
{
    struct nearest nearest = nearest_begin(meant);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (i != SECTION_server)
            nearest_try(&nearest, str_from(section_rows[i].name));
    nearest_put(&nearest, to);
}

static void nearest_choice(const char *const *choices, struct str meant, struct buf *to)
{
    struct nearest nearest = nearest_begin(meant);
    for (size_t i = 0; choices[i]; i++)
        nearest_try(&nearest, str_from(choices[i]));
    nearest_put(&nearest, to);
}

/* --- Settings -------------------------------------------------------------------------------- */

static const struct setting *setting_of(const struct section *section, struct str name)
{
    for (size_t i = 0; i < section->count; i++)
        if (str_eq(name, str_from(section->settings[i].name)))
            return &section->settings[i];
    return NULL;
}

static const struct section *section_of(struct str name)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (i != SECTION_server && str_eq(name, str_from(section_rows[i].name)))
            return &section_rows[i];
    return NULL;
}

/* The section that has a setting of this name, or NULL. */
static const struct section *home_of(struct str name)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (setting_of(&section_rows[i], name))
            return &section_rows[i];
    return NULL;
}

static void unknown_setting(struct reader *reader, struct token name)
{
    struct buf *to = mistake(reader, name.line);
    const struct section *home = home_of(name.text);
    name_put(reader, name.text, to);
    if (outside(reader))
        buf_put(to, STR(": no such setting; expected one that stands outside of any block"));
    else
        buf_printf(to, ": no such setting; expected one of the block %s", reader->section->name);
    if (home == &section_rows[SECTION_server])
        buf_put(to, STR("; did you mean the one outside of any block?"));
    else if (home)
        buf_printf(to, "; did you mean %s of the block %s?", setting_of(home, name.text)->name,
                   home->name);
    else
        nearest_name(reader, name.text, to);
    mistake_end(&reader->mistakes);
}

static void wrong_value(struct reader *reader, const struct setting *setting, unsigned line,
                        struct str why)
{
    struct buf *to = mistake(reader, line);
    name_put(reader, str_from(setting->name), to);
    buf_put(to, STR(": "));
    buf_put(to, why);
    buf_put(to, STR("; expected "));
    value_expected(setting, to);
    if (value_choices(setting->type) && reader->count == 1)
        nearest_choice(value_choices(setting->type), reader->words[0], to);
    mistake_end(&reader->mistakes);
}

static void set_twice(struct reader *reader, struct token name, unsigned before)
{
    struct buf *to = mistake(reader, name.line);
    name_put(reader, name.text, to);
    buf_printf(to, ": set a second time; expected it once, it stands in line %u already", before);
    mistake_end(&reader->mistakes);
}

static void apply(struct reader *reader, struct token name)
{
    const struct setting *setting = setting_of(reader->section, name.text);
    if (!setting) {
        unknown_setting(reader, name);
        return;
    }
    unsigned *set_at = &reader->set_at[setting - setting_rows];
    if (*set_at) {
        set_twice(reader, name, *set_at);
        return;
    }
    *set_at = name.line;
    struct buf why = BUF_INIT(MISTAKE_MOST);
    struct value_words words = {.list = reader->words,
                                .count = reader->count,
                                .line = name.line,
                                .folder = reader->how->folder,
                                .whole = !reader->how->read};
    void *base = section_place(reader->section, reader->conf, reader->instance);
    if (!value_parse(setting, &words, reader->arena, base, &why))
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
        name_put(reader, name, to);
        buf_put(to, STR(": "));
    }
    if (reader->token.kind == TOKEN_BAD && reader->token.line == line) {
        buf_put(to, reader->token.text);
        buf_put(to, STR("; expected plain words or \"text in quotes\""));
    } else {
        buf_put(to, str_from(what));
    }
    mistake_end(&reader->mistakes);
    skip_line(reader, line);
}

/* False: no memory, which is seen at the end, or too many. */
static bool word_keep(struct reader *reader)
{
    if (reader->count == reader->room) {
        size_t room = reader->room ? 2 * reader->room : WORDS_FIRST;
        struct str *words = arena_resize(&reader->words_arena, reader->words,
                                         reader->room * sizeof(*words), room * sizeof(*words));
        if (!words || reader->count >= WORDS_MOST)
            return false;
        reader->words = words;
        reader->room = room;
    }
    reader->words[reader->count++] = reader->token.text;
    return true;
}

static bool read_list(struct reader *reader, struct str name)
{
    advance(reader);
    while (reader->token.kind == TOKEN_WORD || reader->token.kind == TOKEN_COMMA) {
        if (reader->token.kind == TOKEN_WORD && !word_keep(reader)) {
            structure_mistake(reader, reader->token.line, name, "too many values");
            return false;
        }
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

/* How a block begins: `smtp {` or `list NAME {`. */
enum head {
    HEAD_NONE,
    HEAD_PLAIN,
    HEAD_TITLED
};

static enum head block_head(const struct reader *reader)
{
    struct scan ahead = reader->scan;
    if (reader->token.kind != TOKEN_WORD || reader->token.quoted)
        return HEAD_NONE;
    enum token_kind next = conf_scan_next(&ahead).kind;
    if (next == TOKEN_OPEN)
        return HEAD_PLAIN;
    bool titled = next == TOKEN_WORD && conf_scan_next(&ahead).kind == TOKEN_OPEN;
    return titled ? HEAD_TITLED : HEAD_NONE;
}

/* A word behind a value begins the next setting or block only if a = or a { follows it, or a name
 * and a {. */
static bool value_goes_on(const struct reader *reader, unsigned line)
{
    struct scan ahead = reader->scan;
    if (reader->token.line != line)
        return false;
    if (reader->token.kind != TOKEN_WORD)
        return reader->token.kind == TOKEN_COMMA;
    return block_head(reader) == HEAD_NONE && conf_scan_next(&ahead).kind != TOKEN_EQUALS;
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
    if (!word_keep(reader))
        return false;
    advance(reader);
    if (value_goes_on(reader, line)) {
        structure_mistake(reader, line, name,
                          "several words; expected one, or \"one in quotes\", or { a, list }");
        return false;
    }
    return true;
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
                          section_of(name.text) ? "a block; expected { behind its name"
                                                : "no value; expected = behind the name");
        return;
    }
    if (outside(reader) && section_of(name.text)) {
        structure_mistake(reader, name.line, name.text, "a block; expected { behind its name");
        return;
    }
    if (read_value(reader, name.text))
        apply(reader, name);
}

/* --- Blocks ---------------------------------------------------------------------------------- */

static void sections_put(struct buf *to)
{
    const char *between = "";
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (i == SECTION_server)
            continue;
        buf_printf(to, "%s%s", between, section_rows[i].name);
        between = ", ";
    }
}

static void unknown_block(struct reader *reader, struct token name)
{
    const struct setting *setting = setting_of(&section_rows[SECTION_server], name.text);
    struct buf *to = mistake(reader, name.line);
    buf_put_escaped(to, name.text, NAME_SHOWN);
    if (setting) {
        buf_printf(to, ": a setting, not a block; expected %s = ...", setting->name);
    } else {
        buf_put(to, STR(": no such block; expected one of "));
        sections_put(to);
        nearest_section(name.text, to);
    }
    mistake_end(&reader->mistakes);
}

/* Over a block that cannot be read: its settings are no mistakes of their own. */
static void skip_block(struct reader *reader)
{
    size_t depth = 0;
    do {
        depth += reader->token.kind == TOKEN_OPEN;
        depth -= reader->token.kind == TOKEN_CLOSE;
        advance(reader);
    } while (depth && reader->token.kind != TOKEN_END);
}

bool conf_is_name(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!ascii_is_digit(c) && !(ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') && c != '.' &&
            c != '_' && c != '-')
            return false;
    }
    return text.n > 0 && text.n <= CONF_NAME_MOST;
}

/* The name of a block, in its one form. False: it was told. */
static bool title_take(struct reader *reader, const struct section *section, struct token title,
                       struct str *title_r)
{
    struct buf why = BUF_INIT(MISTAKE_MOST);
    bool host = section->title == TITLE_HOST;
    bool good =
        host ? value_host(title.text, reader->arena, title_r, &why)
             : conf_is_name(title.text) || value_wrong(&why, title.text, "is no name for a block");
    if (good && !host)
        *title_r = arena_str(reader->arena, title.text);
    if (!good) {
        struct buf *to = mistake(reader, title.line);
        buf_printf(to, "%s: ", section->name);
        buf_put(to, buf_str(&why));
        buf_put(to, host ? STR("; expected a domain such as example.test")
                         : STR("; expected letters, digits, . _ and -, 64 at most"));
        mistake_end(&reader->mistakes);
    }
    buf_done(&why);
    return good;
}

static bool is_new(struct reader *reader, const struct section *section, struct str title,
                   unsigned line)
{
    size_t count = section_instances(section, reader->conf);
    for (size_t i = 0; i < count; i++) {
        const struct conf_titled *other = section_base(section, reader->conf, i);
        if (!str_eq(other->name, title))
            continue;
        buf_printf(mistake(reader, line),
                   "%s %.*s: there is one already; expected another name than in line %u",
                   section->name, STR_FMT(title), other->line);
        mistake_end(&reader->mistakes);
        return false;
    }
    if (count < section->most)
        return true;
    buf_printf(mistake(reader, line), "%s %.*s: too many; expected at most %zu", section->name,
               STR_FMT(title), section->most);
    mistake_end(&reader->mistakes);
    return false;
}

/* False: no memory. */
static bool standards(const struct section *section, struct str folder, struct arena *arena,
                      void *base)
{
    struct buf why = BUF_INIT(MISTAKE_MOST);
    bool done = true;
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *setting = &section->settings[i];
        if (!setting->standard)
            continue;
        struct str standard = str_from(setting->standard);
        struct value_words words = {.list = &standard, .count = 1, .folder = folder};
        done &= value_parse(setting, &words, arena, base, &why);
    }
    buf_done(&why);
    return done;
}

/* One more of its kind, all defaults. False: no memory, which is seen at the end. */
static bool block_add(struct reader *reader, const struct section *section, struct str title,
                      unsigned line)
{
    size_t *room = &reader->blocks_room[section - section_rows];
    size_t count = section_instances(section, reader->conf);
    char *list = section_place(section, reader->conf, 0);
    if (count == *room) {
        size_t more = *room ? 2 * *room : BLOCKS_FIRST;
        list = arena_resize(reader->arena, list, *room * section->size, more * section->size);
        if (!list)
            return false;
        *room = more;
        memcpy((char *)reader->conf + section->list, &list, sizeof(list));
    }
    struct conf_titled titled = {.name = title, .line = line};
    memset(list + count * section->size, 0, section->size);
    memcpy(list + count * section->size, &titled, sizeof(titled));
    reader->no_memory |=
        !standards(section, reader->how->folder, reader->arena, list + count * section->size);
    reader->instance = count++;
    memcpy((char *)reader->conf + section->counter, &count, sizeof(count));
    return true;
}

static void needed_check(struct reader *reader, unsigned line)
{
    for (size_t i = 0; i < reader->section->count; i++) {
        const struct setting *setting = &reader->section->settings[i];
        if (setting->standard || reader->set_at[setting - setting_rows])
            continue;
        struct buf *to = mistake(reader, line);
        name_put(reader, str_from(setting->name), to);
        buf_put(to, STR(": not set; expected "));
        value_expected(setting, to);
        mistake_end(&reader->mistakes);
    }
}

/* From its { on. */
static void read_block(struct reader *reader, struct token name)
{
    advance(reader);
    while (reader->token.kind != TOKEN_CLOSE && reader->token.kind != TOKEN_END)
        read_setting(reader);
    if (reader->token.kind == TOKEN_END) {
        buf_printf(mistake(reader, name.line),
                   "%s: the block does not end; expected } behind its settings",
                   reader->section->name);
        mistake_end(&reader->mistakes);
    }
    needed_check(reader, name.line);
    reader->section = &section_rows[SECTION_server];
    reader->instance = 0;
    advance(reader);
}

/* From its { on. */
static void read_titled(struct reader *reader, const struct section *section, struct token name,
                        struct token title)
{
    struct str own;
    if (!title_take(reader, section, title, &own) || !is_new(reader, section, own, name.line) ||
        !block_add(reader, section, own, name.line)) {
        skip_block(reader);
        return;
    }
    for (size_t i = 0; i < section->count; i++)
        reader->set_at[section->settings - setting_rows + i] = 0;
    reader->section = section;
    read_block(reader, name);
}

static void title_mistake(struct reader *reader, const struct section *section, unsigned line)
{
    if (section->title == TITLE_NONE)
        buf_printf(mistake(reader, line), "%s: has no name; expected { behind it", section->name);
    else
        buf_printf(mistake(reader, line), "%s: needs a name; expected %s NAME { ... }",
                   section->name, section->name);
    mistake_end(&reader->mistakes);
}

static void read_headed(struct reader *reader, enum head head)
{
    struct token name = reader->token;
    const struct section *section = section_of(name.text);
    advance(reader);
    struct token title = reader->token;
    if (head == HEAD_TITLED)
        advance(reader);
    if (!section) {
        unknown_block(reader, name);
        skip_block(reader);
    } else if ((section->title != TITLE_NONE) != (head == HEAD_TITLED)) {
        title_mistake(reader, section, name.line);
        skip_block(reader);
    } else if (head == HEAD_TITLED) {
        read_titled(reader, section, name, title);
    } else {
        reader->section = section;
        read_block(reader, name);
    }
}

static void read_file(struct reader *reader)
{
    advance(reader);
    while (reader->token.kind != TOKEN_END) {
        enum head head = block_head(reader);
        if (head == HEAD_NONE)
            read_setting(reader);
        else
            read_headed(reader, head);
    }
}

/* --- The whole ------------------------------------------------------------------------------- */

static struct err result(const struct reader *reader)
{
    if (arena_over(reader->arena) || arena_over(&reader->words_arena))
        return err_detail(ERR_OVER_LIMIT, STR("the configuration is too large"));
    if (reader->no_memory)
        return err_make(ERR_NO_MEMORY);
    if (reader->mistakes.count)
        return err_detail(ERR_CONFIG, STR("the configuration file has mistakes"));
    return err_none();
}

static bool all_standards(const struct conf_reading *how, struct arena *arena, struct conf *conf_r)
{
    bool done = true;
    *conf_r = (struct conf){0};
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (section_rows[i].title == TITLE_NONE)
            done &= standards(&section_rows[i], how->folder, arena, conf_r);
    return done;
}

static void read_all(struct reader *reader, struct str text)
{
    struct lists lists = {.how = reader->how,
                          .mistakes = &reader->mistakes,
                          .arena = reader->arena,
                          .conf = reader->conf};
    conf_scan_init(&reader->scan, text, &reader->words_arena);
    read_file(reader);
    if (!arena_over(reader->arena))
        lists_settle(&lists);
    routes_check(reader->conf, reader->how->file, &reader->mistakes);
}

struct err conf_read(struct str text, const struct conf_reading *how, struct arena *arena,
                     struct conf *conf_r, struct conf_trouble *trouble)
{
    buf_init(&trouble->text, CONF_TROUBLE_SIZE);
    struct reader reader = {
        .how = how, .arena = arena, .conf = conf_r, .section = &section_rows[SECTION_server]};
    mistakes_init(&reader.mistakes, &trouble->text);
    arena_init(&reader.words_arena, CONF_ARENA);
    reader.no_memory = !all_standards(how, arena, conf_r);
    if (text.n > CONF_TEXT_MAX) {
        buf_printf(mistake(&reader, 1), "%zu octets; expected at most %d", text.n, CONF_TEXT_MAX);
        mistake_end(&reader.mistakes);
    } else {
        read_all(&reader, text);
    }
    mistakes_done(&reader.mistakes);
    struct err e = result(&reader);
    arena_done(&reader.words_arena);
    return e;
}

struct err conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                      struct conf *conf_r, struct conf_trouble *trouble)
{
    struct conf_reading how = {.file = file, .folder = folder};
    return conf_read(text, &how, arena, conf_r, trouble);
}

void conf_local_socket(const struct conf *conf, struct buf *to)
{
    struct str control = conf->server.control;
    ssize_t slash = str_last_index(control, '/');
    if (conf->submission.local_socket.n > 0) {
        buf_put(to, conf->submission.local_socket);
        return;
    }
    buf_put(to, str_head(control, (size_t)(slash + 1)));
    buf_put(to, STR("submission"));
}
