#include "cli/sendmail_options.h"

enum kind {
    UNKNOWN,
    FLAG,     /* alone, or with others behind the same '-' */
    VALUE,    /* behind it or in the next word */
    ATTACHED, /* what stands behind it, which may be nothing */
};

struct parsing {
    struct sendmail_options *options;
    struct buf *why;
};

static bool refuse(struct parsing *parsing, const char *what, struct str value)
{
    buf_put(parsing->why, str_from(what));
    buf_put(parsing->why, STR(" \""));
    buf_put_escaped(parsing->why, value, 100);
    buf_put(parsing->why, STR("\""));
    return false;
}

static bool flag_i(struct parsing *parsing, struct str value)
{
    (void)value;
    parsing->options->dots_stay = true;
    return true;
}

static bool flag_t(struct parsing *parsing, struct str value)
{
    (void)value;
    parsing->options->from_header = true;
    return true;
}

static bool flag_v(struct parsing *parsing, struct str value)
{
    (void)value;
    parsing->options->loud = true;
    return true;
}

static bool ignored(struct parsing *parsing, struct str value)
{
    (void)parsing;
    (void)value;
    return true;
}

static bool take_mode(struct parsing *parsing, struct str value)
{
    static const struct {
        char letter;
        enum sendmail_mode mode;
    } modes[] = {{'m', SENDMAIL_DELIVER},
                 {'s', SENDMAIL_SMTP},
                 {'p', SENDMAIL_QUEUE},
                 {'i', SENDMAIL_ALIASES}};
    for (size_t i = 0; value.n == 1 && i < sizeof modes / sizeof *modes; i++) {
        if (modes[i].letter != value.p[0])
            continue;
        parsing->options->mode = modes[i].mode;
        return true;
    }
    return refuse(parsing, "there is no mode -b", value);
}

static bool take_sender(struct parsing *parsing, struct str value)
{
    parsing->options->has_sender = true;
    parsing->options->sender = value;
    return true;
}

static bool take_name(struct parsing *parsing, struct str value)
{
    parsing->options->full_name = value;
    return true;
}

static bool take_notify(struct parsing *parsing, struct str value)
{
    static const struct {
        struct str word;
        uint8_t bit;
    } words[] = {{STR_INIT("never"), DSN_NOTIFY_NEVER},
                 {STR_INIT("success"), DSN_NOTIFY_SUCCESS},
                 {STR_INIT("failure"), DSN_NOTIFY_FAILURE},
                 {STR_INIT("delay"), DSN_NOTIFY_DELAY}};
    struct str rest = value;
    uint8_t notify = 0;
    while (rest.n > 0) {
        struct str word = str_trim(str_cut(&rest, ','));
        uint8_t bit = 0;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            bit |= str_eq_nocase(words[i].word, word) ? words[i].bit : 0;
        if (!bit)
            return refuse(parsing, "-N is never, or some of success, failure and delay, not",
                          value);
        notify |= bit;
    }
    if (notify & DSN_NOTIFY_NEVER && notify != DSN_NOTIFY_NEVER)
        return refuse(parsing, "-N: never stands alone, not", value);
    parsing->options->notify = notify;
    return true;
}

static bool take_return(struct parsing *parsing, struct str value)
{
    bool full = str_eq_nocase(value, STR("full"));
    if (!full && !str_eq_nocase(value, STR("hdrs")))
        return refuse(parsing, "-R is full or hdrs, not", value);
    parsing->options->ret = full ? DSN_RETURN_FULL : DSN_RETURN_HEADERS;
    return true;
}

static bool take_envid(struct parsing *parsing, struct str value)
{
    if (value.n == 0 || value.n > ENVID_MAX / 3 || !str_is_printable_ascii(value))
        return refuse(parsing, "-V is up to 33 printable characters, not", value);
    parsing->options->envid = value;
    return true;
}

static bool take_queue(struct parsing *parsing, struct str value)
{
    (void)value; /* an interval, or which: all that waits is tried */
    parsing->options->mode = SENDMAIL_RETRY;
    return true;
}

/* "-O Name" and "-O Name=value", as sendmail has had them; a value that begins with n or f, for no
 * and false, takes it back. What is not known here is some other program's. */
static bool take_named(struct parsing *parsing, struct str value)
{
    struct str name = str_cut(&value, '=');
    bool on = value.n == 0 || !strchr("nNfF", value.p[0]);
    if (str_eq_nocase(name, STR("RequireTLS")))
        parsing->options->require_tls = on;
    else if (str_eq_nocase(name, STR("IgnoreDots")))
        parsing->options->dots_stay = on;
    return true;
}

/* -oi, and -ot; all else is some other program's. */
static bool take_option(struct parsing *parsing, struct str value)
{
    if (str_eq(value, STR("i")) || str_eq(value, STR("itrue")))
        parsing->options->dots_stay = true;
    if (str_eq(value, STR("t")))
        parsing->options->from_header = true;
    return true;
}

static const struct {
    char letter;
    enum kind kind;
    bool (*take)(struct parsing *parsing, struct str value);
} rows[] = {
    {'A', ATTACHED, ignored},     {'B', VALUE, ignored},     {'C', VALUE, ignored},
    {'d', ATTACHED, ignored},     {'D', VALUE, ignored},     {'F', VALUE, take_name},
    {'G', FLAG, ignored},         {'L', VALUE, ignored},     {'N', VALUE, take_notify},
    {'O', VALUE, take_named},     {'R', VALUE, take_return}, {'U', FLAG, ignored},
    {'V', VALUE, take_envid},     {'X', VALUE, ignored},     {'b', ATTACHED, take_mode},
    {'e', ATTACHED, ignored},     {'f', VALUE, take_sender}, {'h', VALUE, ignored},
    {'i', FLAG, flag_i},          {'m', FLAG, ignored},      {'n', FLAG, ignored},
    {'o', ATTACHED, take_option}, {'p', VALUE, ignored},     {'q', ATTACHED, take_queue},
    {'r', VALUE, take_sender},    {'s', FLAG, ignored},      {'t', FLAG, flag_t},
    {'v', FLAG, flag_v},
};

static int row_of(char letter)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == letter)
            return (int)i;
    return -1;
}

/* One word that begins with '-'. *next: the word behind it, which may be its value; NULL: none. */
static bool word_parse(struct parsing *parsing, struct str word, const char *next, bool *used_r)
{
    *used_r = false;
    for (struct str rest = str_from_index(word, 1); rest.n > 0;) {
        int row = row_of(rest.p[0]);
        rest = str_from_index(rest, 1);
        if (row < 0)
            return refuse(parsing, "there is no option", word);
        if (rows[row].kind == FLAG) {
            if (!rows[row].take(parsing, str_null()))
                return false;
            continue;
        }
        *used_r = rows[row].kind == VALUE && rest.n == 0;
        if (*used_r && !next)
            return refuse(parsing, "a value is missing behind", word);
        return rows[row].take(parsing, *used_r ? str_from(next) : rest);
    }
    return true;
}

bool sendmail_options_parse(int argc, char **argv, struct sendmail_options *options_r,
                            struct buf *why)
{
    struct parsing parsing = {.options = options_r, .why = why};
    int i = 1;
    *options_r = (struct sendmail_options){.mode = SENDMAIL_DELIVER};
    while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
        bool used;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (!word_parse(&parsing, str_from(argv[i]), i + 1 < argc ? argv[i + 1] : NULL, &used))
            return false;
        i += 1 + used;
    }
    options_r->first = i;
    return true;
}
