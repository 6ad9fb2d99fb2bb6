/*
 * A reader of its own rather than libconfuse, which reads into a tree of its own making, keeps no
 * line for each value and wants its sections declared; here a setting may be given thousands of
 * times (the members of a list), and every message names its line.
 */
#include "store/directory_text.h"

#include "base/must.h"

enum {
    WORD_MAX = 64,
    SHOWN_MAX = 40, /* octets of the text a message quotes */
    FIELDS_FIRST = 8,
};

struct text_reader text_reader(struct str text, struct arena *arena)
{
    return (struct text_reader){.rest = text, .line = 1, .arena = arena};
}

struct str text_trouble(struct arena *arena, unsigned line, const char *words, struct str about)
{
    struct buf buf = BUF_INIT(TEXT_VALUE_MAX);
    buf_printf(&buf, "line %u: %s", line, words);
    if (about.n) {
        buf_put(&buf, STR(" \""));
        buf_put_escaped(&buf, about, SHOWN_MAX);
        buf_putc(&buf, '"');
    }
    struct str text = buf_copy(&buf, arena);
    buf_done(&buf);
    return text;
}

static struct err expected(struct text_reader *reader, const char *what)
{
    struct str here = reader->rest;
    ssize_t end = str_index(here, '\n');
    if (end >= 0)
        here = str_head(here, (size_t)end);
    struct buf words = BUF_INIT(256);
    buf_printf(&words, "expected %s%s", what, here.n ? ", not" : " before the end of the line");
    buf_putc(&words, '\0');
    struct err e = err_detail(ERR_CONFIG, text_trouble(reader->arena, reader->line, words.p, here));
    buf_done(&words);
    return e;
}

/* --- Words --- */

static void blanks_skip(struct text_reader *reader)
{
    while (reader->rest.n) {
        char c = reader->rest.p[0];
        if (c == '#') {
            ssize_t end = str_index(reader->rest, '\n');
            reader->rest = str_from_index(reader->rest, end < 0 ? reader->rest.n : (size_t)end);
            continue;
        }
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return;
        reader->line += c == '\n';
        reader->rest = str_from_index(reader->rest, 1);
    }
}

static bool mark_take(struct text_reader *reader, char mark)
{
    blanks_skip(reader);
    if (!reader->rest.n || reader->rest.p[0] != mark)
        return false;
    reader->rest = str_from_index(reader->rest, 1);
    return true;
}

static bool is_word_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '_' || c == '-';
}

static bool word_take(struct text_reader *reader, struct str *word_r)
{
    blanks_skip(reader);
    size_t n = 0;
    while (n < reader->rest.n && is_word_char(reader->rest.p[n]))
        n++;
    if (n == 0 || n > WORD_MAX)
        return false;
    *word_r = str_head(reader->rest, n);
    reader->rest = str_from_index(reader->rest, n);
    return true;
}

static bool at_word_end(const struct text_reader *reader)
{
    return !reader->rest.n || str_index(STR(" \t\r\n#}"), reader->rest.p[0]) >= 0;
}

static bool is_text_char(char c)
{
    return (unsigned char)c >= 0x20 && c != 0x7f;
}

/* The rest begins behind the opening quote. */
static struct err quoted_take(struct text_reader *reader, struct str *value_r)
{
    char plain[TEXT_VALUE_MAX];
    size_t n = 0, i = 0;
    struct str rest = reader->rest;
    for (; i < rest.n && rest.p[i] != '"'; i++) {
        if (rest.p[i] == '\\' && i + 1 < rest.n && (rest.p[i + 1] == '"' || rest.p[i + 1] == '\\'))
            i++;
        else if (rest.p[i] == '\\')
            return expected(reader, "\\\" or \\\\ behind a backslash");
        if (!is_text_char(rest.p[i]))
            return expected(reader, "a text without control characters");
        if (n == sizeof(plain))
            return expected(reader, "a text of at most 1024 octets");
        plain[n++] = rest.p[i];
    }
    if (i == rest.n)
        return expected(reader, "a closing quote");
    if (!str_is_utf8(str_make(plain, n)))
        return expected(reader, "well-formed UTF-8");
    reader->rest = str_from_index(rest, i + 1);
    *value_r = arena_str(reader->arena, str_make(plain, n));
    return value_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err value_take(struct text_reader *reader, struct str *value_r)
{
    if (mark_take(reader, '"'))
        return quoted_take(reader, value_r);
    struct text_reader begin = *reader;
    if (word_take(reader, value_r) && at_word_end(reader))
        return err_none();
    *reader = begin;
    return expected(reader, "a text in quotes, a number, or yes or no");
}

/* --- Blocks --- */

static struct err field_add(struct text_reader *reader, struct text_block *block, size_t *cap,
                            struct text_field field)
{
    if (block->count == TEXT_FIELDS_MAX)
        return expected(reader, "no more than 100,100 settings in a block");
    if (block->count == *cap) {
        size_t larger = *cap ? 2 * *cap : FIELDS_FIRST;
        struct text_field *fields = arena_take_array(reader->arena, larger, sizeof(*fields));
        if (!fields)
            return err_make(ERR_OVER_LIMIT);
        if (block->count)
            memcpy(fields, block->fields, block->count * sizeof(*fields));
        block->fields = fields;
        *cap = larger;
    }
    block->fields[block->count++] = field;
    return err_none();
}

static struct err fields_read(struct text_reader *reader, struct text_block *block)
{
    size_t cap = 0;
    while (!mark_take(reader, '}')) {
        struct text_field field;
        if (!word_take(reader, &field.name))
            return expected(reader, "a setting or }");
        field.line = reader->line;
        if (!mark_take(reader, '='))
            return expected(reader, "= behind the setting's name");
        struct err e = value_take(reader, &field.value);
        if (!err_is(e))
            e = field_add(reader, block, &cap, field);
        if (err_is(e))
            return e;
    }
    return err_none();
}

struct err text_next(struct text_reader *reader, struct text_block *block_r)
{
    struct text_block block = {0};
    blanks_skip(reader);
    if (!reader->rest.n)
        return err_make(ERR_NOT_FOUND);
    block.line = reader->line;
    if (!word_take(reader, &block.kind))
        return expected(reader, "domain, account, alias, list or moved");
    if (!mark_take(reader, '"'))
        return expected(reader, "an address in quotes");
    struct err e = quoted_take(reader, &block.title);
    if (err_is(e))
        return e;
    if (!mark_take(reader, '{'))
        return expected(reader, "{");
    e = fields_read(reader, &block);
    if (!err_is(e))
        *block_r = block;
    return e;
}

/* --- Values --- */

void text_quote(struct buf *to, struct str text)
{
    buf_putc(to, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_putc(to, '\\');
        buf_putc(to, text.p[i]);
    }
    buf_putc(to, '"');
}

static const struct {
    char letter;
    uint64_t factor;
} UNITS[] = {
    {'T', UINT64_C(1) << 40},
    {'G', UINT64_C(1) << 30},
    {'M', UINT64_C(1) << 20},
    {'K', UINT64_C(1) << 10},
};

bool text_to_size(struct str text, uint64_t *size_r)
{
    uint64_t factor = 1, number;
    for (size_t i = 0; text.n && i < sizeof(UNITS) / sizeof(UNITS[0]); i++)
        if (ascii_lower(text.p[text.n - 1]) == ascii_lower(UNITS[i].letter))
            factor = UNITS[i].factor;
    if (factor > 1)
        text.n--;
    if (!str_to_u64(text, &number) || __builtin_mul_overflow(number, factor, &number) ||
        number > INT64_MAX)
        return false;
    *size_r = number;
    return true;
}

void text_put_size(struct buf *to, uint64_t size)
{
    for (size_t i = 0; size && i < sizeof(UNITS) / sizeof(UNITS[0]); i++)
        if (size % UNITS[i].factor == 0) {
            buf_put_u64(to, size / UNITS[i].factor);
            buf_putc(to, UNITS[i].letter);
            return;
        }
    buf_put_u64(to, size);
}

bool text_to_quota(struct str text, uint64_t *quota_r)
{
    uint64_t quota = QUOTA_NONE;
    if (str_eq(text, STR("default")))
        quota = 0;
    else if (!str_eq(text, STR("none")) && (!text_to_size(text, &quota) || quota == 0))
        return false;
    *quota_r = quota;
    return true;
}

void text_put_quota(struct buf *to, uint64_t quota)
{
    if (quota == QUOTA_NONE)
        buf_put(to, STR("none"));
    else if (quota == 0)
        buf_put(to, STR("default"));
    else
        text_put_size(to, quota);
}

static const struct {
    struct str name;
    uint8_t service;
} SERVICES[] = {
    {STR_INIT("smtp"), SERVICE_SMTP},
    {STR_INIT("pop3"), SERVICE_POP3},
    {STR_INIT("imap"), SERVICE_IMAP},
};

static uint8_t service_of(struct str name)
{
    for (size_t i = 0; i < sizeof(SERVICES) / sizeof(SERVICES[0]); i++)
        if (str_eq(SERVICES[i].name, name))
            return SERVICES[i].service;
    return 0;
}

bool text_to_services(struct str text, uint8_t *services_r)
{
    uint8_t services = 0;
    if (str_eq(text, STR("all")))
        services = SERVICES_ALL;
    else if (!str_eq(text, STR("none")))
        do {
            uint8_t service = service_of(str_cut(&text, ','));
            if (!service)
                return false;
            services |= service;
        } while (text.p);
    *services_r = services;
    return true;
}

void text_put_services(struct buf *to, uint8_t services)
{
    bool any = false;
    for (size_t i = 0; i < sizeof(SERVICES) / sizeof(SERVICES[0]); i++)
        if (services & SERVICES[i].service) {
            buf_put(to, any ? STR(",") : STR(""));
            buf_put(to, SERVICES[i].name);
            any = true;
        }
    if (!any)
        buf_put(to, STR("none"));
}

static const struct str LANGUAGE_NAMES[ACCOUNT_LANGUAGES] = {
    [ACCOUNT_LANGUAGE_DEFAULT] = STR_INIT("default"),
    [ACCOUNT_LANGUAGE_ENGLISH] = STR_INIT("en"),
    [ACCOUNT_LANGUAGE_CHINESE] = STR_INIT("zh"),
};

bool text_to_language(struct str text, enum account_language *language_r)
{
    for (enum account_language language = 0; language < ACCOUNT_LANGUAGES; language++)
        if (str_eq(text, LANGUAGE_NAMES[language])) {
            *language_r = language;
            return true;
        }
    return false;
}

struct str text_of_language(enum account_language language)
{
    return LANGUAGE_NAMES[language];
}
