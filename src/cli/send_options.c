#include "cli/send_options.h"

#include "format/date.h"

const char send_usage[] =
    "usage: veredus send [-s SUBJECT] [-a FILE] [-c CC] [-b BCC] [-r FROM] [options] TO ...\n"
    "       veredus send --newsletter LIST [-s SUBJECT] [-a FILE] [-r FROM] [options]\n"
    "       veredus send --flush | --list\n"
    "\n"
    "Sends standard input as a message: by the server of this host, or by the smart host of\n"
    "~/.config/veredus/send.conf or /etc/veredus/send.conf (see sendmail(8)). What cannot be sent\n"
    "now waits for the next call.\n"
    "\n"
    "  -s, --subject TEXT    -a, --attach FILE     -c, --cc ADDRESS     -b, --bcc ADDRESS\n"
    "  -r, --from ADDRESS    --reply-to ADDRESS    -H, --header 'Name: value'\n"
    "  -F FILE               a small configuration to send by\n"
    "  --charset NAME        what the text and attached texts are in: GB18030, Big5, Shift_JIS "
    "...; else\n"
    "                        UTF-8, or as the locale says. What is sent is UTF-8. binary: nobody "
    "knows\n"
    "  --keep-charset        label the text with its charset, and send it as it is\n"
    "  --html FILE           also as HTML: the text is standard input, or made of it where that is "
    "empty;\n"
    "                        - is standard input itself. In UTF-8, else as --charset says\n"
    "  --receipt             ask for a notice when it was read (RFC 8098)\n"
    "  --priority high|normal|low\n"
    "  --at TIME             to other servers not before: +30m, +3d, 2026-12-24T18:00:00+01:00\n"
    "  --require-tls         only in TLS, with good certificates, all the way (RFC 8689); else it "
    "comes back\n"
    "  --tls-optional        rather in clear than not at all: about a certificate that is wrong, "
    "say\n"
    "  --newsletter LIST     one message to each member, with a link by which he leaves (RFC "
    "8058);\n"
    "                        for whoever may give the server's commands\n"
    "  -v, --verbose         tell what became of it, for each recipient\n"
    "  --flush               send what waits      --list    show what waits, and what was "
    "refused\n";

struct parsing {
    struct send_options *options;
    struct arena *arena;
    struct buf *why;
};

static bool words_add(struct parsing *parsing, struct send_words *words, struct str value)
{
    if (!words->at)
        words->at = arena_take_array(parsing->arena, SEND_WORDS_MAX, sizeof *words->at);
    if (!words->at || words->count == SEND_WORDS_MAX) {
        buf_put(parsing->why, STR("too many words"));
        return false;
    }
    words->at[words->count++] = value;
    return true;
}

enum place {
    TO_WORDS, /* struct send_words */
    TO_TEXT,  /* struct str */
    TO_FLAG,  /* bool; no value */
    TO_WHAT,  /* enum send_what; no value */
    TO_PRIORITY,
};

#define AT(member) offsetof(struct send_options, member)

static const struct {
    const char *brief, *name;
    enum place place;
    size_t at;
    enum send_what what;
} rows[] = {
    {.brief = "-s", .name = "--subject", .place = TO_TEXT, .at = AT(subject)},
    {.brief = "-a", .name = "--attach", .place = TO_WORDS, .at = AT(files)},
    {.brief = "-c", .name = "--cc", .place = TO_WORDS, .at = AT(cc)},
    {.brief = "-b", .name = "--bcc", .place = TO_WORDS, .at = AT(bcc)},
    {.brief = "-r", .name = "--from", .place = TO_TEXT, .at = AT(from)},
    {.brief = "-H", .name = "--header", .place = TO_WORDS, .at = AT(fields)},
    {.brief = "-F", .name = "--send-config", .place = TO_TEXT, .at = AT(conf)},
    {.brief = "-v", .name = "--verbose", .place = TO_FLAG, .at = AT(loud)},
    {.brief = "", .name = "--reply-to", .place = TO_TEXT, .at = AT(reply_to)},
    {.brief = "", .name = "--charset", .place = TO_TEXT, .at = AT(charset)},
    {.brief = "", .name = "--html", .place = TO_TEXT, .at = AT(html)},
    {.brief = "", .name = "--keep-charset", .place = TO_FLAG, .at = AT(as_it_is)},
    {.brief = "", .name = "--receipt", .place = TO_FLAG, .at = AT(receipt)},
    {.brief = "", .name = "--priority", .place = TO_PRIORITY},
    {.brief = "", .name = "--at", .place = TO_TEXT, .at = AT(at)},
    {.brief = "", .name = "--require-tls", .place = TO_FLAG, .at = AT(require_tls)},
    {.brief = "", .name = "--tls-optional", .place = TO_FLAG, .at = AT(tls_optional)},
    {.brief = "", .name = "--newsletter", .place = TO_TEXT, .at = AT(newsletter)},
    {.brief = "", .name = "--flush", .place = TO_WHAT, .what = SEND_FLUSH},
    {.brief = "", .name = "--list", .place = TO_WHAT, .what = SEND_LIST},
    {.brief = "-h", .name = "--help", .place = TO_WHAT, .what = SEND_HELP},
};

static int row_of(const char *word)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(word, rows[i].name) == 0 || strcmp(word, rows[i].brief) == 0)
            return (int)i;
    return -1;
}

static bool priority_take(struct parsing *parsing, struct str value)
{
    static const struct str words[] = {[COMPOSE_NORMAL] = STR_INIT("normal"),
                                       [COMPOSE_HIGH] = STR_INIT("high"),
                                       [COMPOSE_LOW] = STR_INIT("low")};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (!str_eq(words[i], value))
            continue;
        parsing->options->priority = (enum compose_priority)i;
        return true;
    }
    buf_put(parsing->why, STR("--priority is high, normal or low"));
    return false;
}

/* *used_r: the word behind it was its value. */
static bool option_take(struct parsing *parsing, int row, const char *next, bool *used_r)
{
    char *at = (char *)parsing->options + rows[row].at;
    *used_r = false;
    if (rows[row].place == TO_FLAG) {
        *(bool *)at = true;
        return true;
    }
    if (rows[row].place == TO_WHAT) {
        parsing->options->what = rows[row].what;
        return true;
    }
    if (!next) {
        buf_printf(parsing->why, "%s needs a value", rows[row].name);
        return false;
    }
    *used_r = true;
    if (rows[row].place == TO_PRIORITY)
        return priority_take(parsing, str_from(next));
    if (rows[row].place == TO_WORDS)
        return words_add(parsing, (struct send_words *)(void *)at, str_from(next));
    *(struct str *)(void *)at = str_from(next);
    return true;
}

bool send_options_parse(int argc, char **argv, struct arena *arena, struct send_options *options_r,
                        struct buf *why)
{
    struct parsing parsing = {.options = options_r, .arena = arena, .why = why};
    bool only_words = false;
    *options_r = (struct send_options){.what = SEND_MESSAGE};
    for (int i = 1; i < argc; i++) {
        bool option = !only_words && argv[i][0] == '-' && argv[i][1] != '\0', used = false;
        if (option && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        int row = option ? row_of(argv[i]) : -1;
        if (option && row < 0) {
            buf_put(why, STR("there is no option "));
            buf_put_escaped(why, str_from(argv[i]), 100);
            return false;
        }
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (option ? !option_take(&parsing, row, next, &used)
                   : !words_add(&parsing, &options_r->to, str_from(argv[i])))
            return false;
        i += used;
    }
    return true;
}

static bool duration_parse(struct str text, int64_t *seconds_r)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t number;
    if (text.n < 2 || text.n > 8 || !str_to_u64(str_head(text, text.n - 1), &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].unit != text.p[text.n - 1])
            continue;
        *seconds_r = (int64_t)number * units[i].seconds;
        return true;
    }
    return false;
}

bool send_time_parse(struct str text, int64_t now, int64_t *time_r)
{
    struct date date;
    int64_t seconds;
    if (str_starts(text, STR("+")) && duration_parse(str_from_index(text, 1), &seconds))
        *time_r = now + seconds;
    else if (date_parse_rfc3339(text, &date))
        *time_r = date.time;
    else
        return false;
    return *time_r > now;
}

struct str send_type(struct str table, struct str name)
{
    ssize_t dot = str_last_index(name, '.');
    struct str ending = dot >= 0 ? str_from_index(name, (size_t)dot + 1) : STR("");
    while (table.n > 0 && ending.n > 0) {
        struct str line = str_cut(&table, '\n');
        struct str type = str_cut(&line, '\t');
        if (type.n == 0 || type.p[0] == '#')
            continue;
        for (line = str_trim(line); line.n > 0; line = str_trim(line))
            if (str_eq_nocase(str_trim(str_cut(&line, ' ')), ending))
                return str_trim(type);
    }
    return STR("");
}
