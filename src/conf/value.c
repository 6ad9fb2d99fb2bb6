/*
 * Why strict: a value that is almost right ("50 MB", "10.1.2.3/8", port 0) is told, not guessed at;
 * whoever wrote it stands in front of the message.
 */
#include "conf/value.h"
#include "base/must.h"
#include "conf/networks.h"
#include "conf/rows.h"
#include "format/addr.h"

enum {
    WORD_SHOWN = 80, /* octets of a wrong value in a message */
    PATH_MOST = 4096,
};

#define NS_IN_SECOND UINT64_C(1000000000)

struct unit {
    const char *name;
    uint64_t size;
};

/* Largest first, as they are printed. */
static const struct unit byte_units[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {0}};
static const struct unit time_units[] = {{"d", 86400 * NS_IN_SECOND}, {"h", 3600 * NS_IN_SECOND},
                                         {"m", 60 * NS_IN_SECOND},    {"s", NS_IN_SECOND},
                                         {"ms", NS_IN_SECOND / 1000}, {0}};

static const char *const log_names[] = {[CONF_LOG_STDERR] = "stderr",
                                        [CONF_LOG_SYSLOG] = "syslog",
                                        [CONF_LOG_JOURNAL] = "journal",
                                        NULL};
static const char *const word_names[] = {
    [CONF_WORD_INFO] = "info", [CONF_WORD_WARN] = "warn", [CONF_WORD_FAIL] = "fail", NULL};
static const char *const bounce_names[] = {
    [CONF_BOUNCE_POSTMASTER] = "postmaster", [CONF_BOUNCE_DROP] = "drop", NULL};
static const char *const rank_names[] = {
    [CONF_RANK_FIRST] = "first", [CONF_RANK_EARLY] = "early", [CONF_RANK_USUAL] = "usual",
    [CONF_RANK_LATE] = "late",   [CONF_RANK_LAST] = "last",   NULL};
static const char *const language_names[] = {
    [LANGUAGE_ENGLISH] = "en", [LANGUAGE_CHINESE] = "zh", NULL};
static const char *const verify_names[] = {[CONF_VERIFY_AMBIGUOUS] = "ambiguous",
                                           [CONF_VERIFY_OPEN] = "open",
                                           [CONF_VERIFY_OFF] = "off",
                                           NULL};

static const char *const check_names[] = {[CONF_CHECK_IGNORE] = "ignore",
                                          [CONF_CHECK_SCORE] = "score",
                                          [CONF_CHECK_REFUSE] = "refuse",
                                          NULL};
static const char *const list_kind_names[] = {
    [CONF_LIST_BLOCK] = "block", [CONF_LIST_ALLOW] = "allow", NULL};
static const char *const subject_names[] = {[CONF_SUBJECT_ADDRESS] = "address",
                                            [CONF_SUBJECT_NAME] = "name",
                                            [CONF_SUBJECT_HELO] = "helo",
                                            [CONF_SUBJECT_SENDER] = "sender",
                                            NULL};

static const char *const listener_names[] = {[CONF_LISTENER_SMTP] = "smtp",
                                             [CONF_LISTENER_SUBMISSION] = "submission",
                                             [CONF_LISTENER_POP3] = "pop3",
                                             [CONF_LISTENER_HTTP] = "http",
                                             NULL};

static const char *const mta_sts_names[] = {[CONF_MTA_STS_OFF] = "off",
                                            [CONF_MTA_STS_NONE] = "none",
                                            [CONF_MTA_STS_TESTING] = "testing",
                                            [CONF_MTA_STS_ENFORCE] = "enforce",
                                            NULL};

static const char *const mechanism_names[] = {[CONF_MECHANISM_PLAIN] = "plain",
                                              [CONF_MECHANISM_LOGIN] = "login",
                                              [CONF_MECHANISM_CRAM_MD5] = "cram-md5",
                                              [CONF_MECHANISM_SCRAM_SHA_1] = "scram-sha-1",
                                              [CONF_MECHANISM_SCRAM_SHA_256] = "scram-sha-256",
                                              [CONF_MECHANISM_SCRAM_SHA_256_PLUS] =
                                                  "scram-sha-256-plus",
                                              [CONF_MECHANISM_OAUTHBEARER] = "oauthbearer",
                                              [CONF_MECHANISM_XOAUTH2] = "xoauth2",
                                              [CONF_MECHANISM_EXTERNAL] = "external",
                                              NULL};

static const char *const route_tls_names[] = {[CONF_ROUTE_TLS_AUTO] = "auto",
                                              [CONF_ROUTE_TLS_OPPORTUNISTIC] = "opportunistic",
                                              [CONF_ROUTE_TLS_REQUIRED] = "required",
                                              [CONF_ROUTE_TLS_VERIFIED] = "verified",
                                              [CONF_ROUTE_TLS_IMPLICIT] = "implicit",
                                              [CONF_ROUTE_TLS_OFF] = "off",
                                              NULL};
static const char *const protocol_names[] = {
    [CONF_PROTOCOL_SMTP] = "smtp", [CONF_PROTOCOL_LMTP] = "lmtp", NULL};
/* A name in C cannot begin with a digit: those that do are written with an underscore there. */
static const char *const preset_names[] = {[CONF_PRESET_NONE] = "none",
#define PRESET(name, title, ...) [CONF_PRESET_##name] = title,
#include "conf/presets.def"
                                           NULL};

/* Of those that are one or several of some names. */
static const struct {
    const char *const *names;
    bool several;
} choices_of[TYPE_COUNT_] = {
    [TYPE_CHOICE_log] = {log_names, false},
    [TYPE_CHOICE_word] = {word_names, false},
    [TYPE_CHOICE_verify] = {verify_names, false},
    [TYPE_CHOICE_bounce] = {bounce_names, false},
    [TYPE_CHOICE_rank] = {rank_names, false},
    [TYPE_CHOICE_language] = {language_names, false},
    [TYPE_CHOICE_route_tls] = {route_tls_names, false},
    [TYPE_CHOICE_protocol] = {protocol_names, false},
    [TYPE_CHOICE_mta_sts] = {mta_sts_names, false},
    [TYPE_CHOICE_preset] = {preset_names, false},
    [TYPE_CHOICE_check] = {check_names, false},
    [TYPE_CHOICE_list_kind] = {list_kind_names, false},
    [TYPE_CHOICES_subject] = {subject_names, true},
    [TYPE_CHOICES_listener] = {listener_names, true},
    [TYPE_CHOICES_mechanism] = {mechanism_names, true},
};

const char *const *value_choices(enum setting_type type)
{
    return choices_of[type].names;
}

/* --- What is expected ------------------------------------------------------------------------ */

static void units_print(const struct unit *units, uint64_t value, struct buf *to)
{
    const struct unit *unit = units;
    while (unit[1].name && (value == 0 || value % unit->size))
        unit++;
    if (value == 0 && units == time_units)
        unit--; /* 0s */
    buf_printf(to, "%llu%s", (unsigned long long)(value / unit->size), unit->name);
}

static void choices_print(const char *const *choices, struct buf *to)
{
    for (size_t i = 0; choices[i]; i++)
        buf_printf(to, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
}

static void range_print(const struct setting *setting, const struct unit *units, struct buf *to)
{
    buf_put(to, STR(" from "));
    units_print(units, setting->least, to);
    buf_put(to, STR(" to "));
    units_print(units, setting->most, to);
}

void value_expected(const struct setting *setting, struct buf *to)
{
    static const struct unit plain[] = {{"", 1}, {0}};
    static const struct str texts[] = {
        [TYPE_HOST] = STR_INIT("a host name such as mail.example.test"),
        [TYPE_PATH] = STR_INIT("a path"),
        [TYPE_ADDRESS] = STR_INIT("a mail address such as alice@example.test"),
        [TYPE_TEXT] = STR_INIT("text of up to 200 octets"),
        [TYPE_HOSTS] = STR_INIT("a host name such as mail.example.test or *.example.test, or "
                                "several in braces"),
        [TYPE_SERVERS] = STR_INIT("ADDRESS or ADDRESS:PORT such as 192.0.2.53, 192.0.2.53:5353 or "
                                  "[2001:db8::53]:53, or several in braces"),
        [TYPE_FILES] = STR_INIT("a path, or several in braces"),
        [TYPE_HOPS] =
            STR_INIT("HOST:PORT such as smtp.example.test:587 or [2001:db8::1]:25, several "
                     "in braces, or mx"),
        [TYPE_PEOPLE] = STR_INIT("user@example.test, example.test, .example.test, <> or *, several "
                                 "in braces"),
        [TYPE_ADDRESSES] = STR_INIT("an IP address such as 192.0.2.7, or several in braces"),
        [TYPE_MARK] = STR_INIT("one punctuation character such as +, or \"\" for none"),
        [TYPE_FLAG] = STR_INIT("yes or no"),
        [TYPE_COUNT] = STR_INIT("a number"),
        [TYPE_LIMIT] = STR_INIT("none, or a number"),
        [TYPE_BYTES] = STR_INIT("a size such as 50M, 512K or 1G,"),
        [TYPE_DURATION] = STR_INIT("a time such as 500ms, 30s, 5m, 1h or 2d,"),
        [TYPE_LISTEN] = STR_INIT("ADDRESS:PORT such as *:25, 127.0.0.1:2525 or [::1]:2525, or "
                                 "several in braces"),
        [TYPE_NETWORKS] = STR_INIT("an address or network such as 192.0.2.7, 10.0.0.0/8 or "
                                   "2001:db8::/32, @NAME of a list, or several in braces"),
    };
    if (value_choices(setting->type)) {
        choices_print(value_choices(setting->type), to);
        buf_put(to, choices_of[setting->type].several ? STR(", several in braces") : STR(""));
        return;
    }
    buf_put(to, texts[setting->type]);
    if (setting->type == TYPE_COUNT || setting->type == TYPE_LIMIT)
        range_print(setting, plain, to);
    if (setting->type == TYPE_BYTES)
        range_print(setting, byte_units, to);
    if (setting->type == TYPE_DURATION)
        range_print(setting, time_units, to);
}

bool value_wrong(struct buf *why, struct str word, const char *what)
{
    buf_putc(why, '"');
    buf_put_escaped(why, word, WORD_SHOWN);
    buf_printf(why, "\" %s", what);
    return false;
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool number_of(struct str word, const struct unit *units, uint64_t *value_r)
{
    size_t digits = 0;
    uint64_t value;
    while (digits < word.n && ascii_is_digit(word.p[digits]))
        digits++;
    struct str name = str_from_index(word, digits);
    if (!str_to_u64(str_head(word, digits), &value))
        return false;
    for (; units->name; units++)
        if (str_eq_nocase(name, str_from(units->name)))
            return !__builtin_mul_overflow(value, units->size, value_r);
    return false;
}

static bool number_parse(const struct setting *setting, struct str word, uint64_t *value_r,
                         struct buf *why)
{
    static const struct unit plain[] = {{"", 1}, {0}};
    const struct unit *units = setting->type == TYPE_BYTES      ? byte_units
                               : setting->type == TYPE_DURATION ? time_units
                                                                : plain;
    const char *kind = setting->type == TYPE_BYTES      ? "is no size"
                       : setting->type == TYPE_DURATION ? "is no time"
                                                        : "is no number";
    if (setting->type == TYPE_LIMIT && str_eq(word, STR("none"))) {
        *value_r = CONF_NO_LIMIT;
        return true;
    }
    if (!number_of(word, units, value_r))
        return value_wrong(why, word, kind);
    if (*value_r < setting->least)
        return value_wrong(why, word, "is too small");
    if (*value_r > setting->most)
        return value_wrong(why, word, "is too large");
    return true;
}

bool value_choice(enum setting_type type, struct str word, unsigned *choice_r, struct buf *why)
{
    const char *const *choices = value_choices(type);
    for (unsigned i = 0; choices[i]; i++) {
        if (str_eq(word, str_from(choices[i]))) {
            *choice_r = i;
            return true;
        }
    }
    return value_wrong(why, word, "is none of the choices");
}

static bool flag_parse(struct str word, bool *flag_r, struct buf *why)
{
    *flag_r = str_eq(word, STR("yes"));
    return *flag_r || str_eq(word, STR("no")) || value_wrong(why, word, "is neither yes nor no");
}

static bool choice_parse(const struct setting *setting, struct str word, void *place,
                         struct buf *why)
{
    unsigned choice; /* any enum of ours is an unsigned */
    if (!value_choice(setting->type, word, &choice, why))
        return false;
    memcpy(place, &choice, sizeof(choice));
    return true;
}

bool value_host(struct str word, struct arena *arena, struct str *host_r, struct buf *why)
{
    struct err e = domain_parse(word, arena, host_r);
    return !err_is(e) || e.code == ERR_OVER_LIMIT || value_wrong(why, word, "is no host name");
}

static bool address_parse(struct str word, struct arena *arena, struct str *address_r,
                          struct buf *why)
{
    struct addr addr;
    struct buf printed = BUF_INIT(2 * ADDR_PATH_MAX);
    struct err e = addr_parse(word, arena, &addr);
    if (err_is(e))
        return e.code == ERR_OVER_LIMIT || value_wrong(why, word, "is no mail address");
    addr_print(&printed, &addr);
    *address_r = buf_copy(&printed, arena);
    buf_done(&printed);
    return true;
}

static bool mark_parse(struct str word, struct arena *arena, struct str *mark_r, struct buf *why)
{
    static const struct str marks = STR_INIT("+-_=~#!$%&*/?^{|}");
    if (word.n != 1 || str_index(marks, word.p[0]) < 0)
        return value_wrong(why, word, "cannot begin a tag");
    *mark_r = arena_str(arena, word);
    return true;
}

bool value_path(struct str word, struct str folder, struct arena *arena, struct str *path_r,
                struct buf *why)
{
    struct buf joined = BUF_INIT(PATH_MOST);
    if (folder.n && word.n && word.p[0] != '/') {
        buf_put(&joined, folder);
        buf_putc(&joined, '/');
    }
    buf_put(&joined, word);
    bool fits = !buf_over(&joined) || value_wrong(why, word, "is too long for a path");
    *path_r = arena_str(arena, buf_str(&joined));
    buf_done(&joined);
    return fits;
}

/* Paths that nobody can do without. */
static bool may_be_empty(const struct setting *setting)
{
    return setting->type != TYPE_PATH || (setting->standard && setting->standard[0] != '/');
}

static bool free_text_parse(struct str word, struct arena *arena, struct str *text_r,
                            struct buf *why)
{
    *text_r = arena_str(arena, word);
    return word.n <= CONF_FREE_TEXT_MOST || value_wrong(why, word, "is too long");
}

static bool text_parse(const struct setting *setting, struct str word, struct str folder,
                       struct arena *arena, struct str *text, struct buf *why)
{
    if (word.n == 0) {
        *text = STR("");
        return may_be_empty(setting) || value_wrong(why, word, "is no path");
    }
    if (setting->type == TYPE_HOST)
        return value_host(word, arena, text, why);
    if (setting->type == TYPE_ADDRESS)
        return address_parse(word, arena, text, why);
    if (setting->type == TYPE_MARK)
        return mark_parse(word, arena, text, why);
    if (setting->type == TYPE_TEXT)
        return free_text_parse(word, arena, text, why);
    return value_path(word, folder, arena, text, why);
}

static bool one_word(const struct value_words *words, struct str *word_r, struct buf *why)
{
    *word_r = words->count == 1 ? words->list[0] : STR("");
    if (words->count != 1)
        buf_put(why, STR("takes one value, without braces"));
    return words->count == 1;
}

bool value_parse(const struct setting *setting, const struct value_words *words,
                 struct arena *arena, void *base, struct buf *why)
{
    void *place = (char *)base + setting->offset;
    struct str word;
    if (value_is_list(setting->type))
        return value_list_parse(setting, words, arena, place, why);
    if (!one_word(words, &word, why))
        return false;
    if (setting->type == TYPE_FLAG)
        return flag_parse(word, place, why);
    if (value_choices(setting->type))
        return choice_parse(setting, word, place, why);
    if (setting->type == TYPE_COUNT || setting->type == TYPE_LIMIT || setting->type == TYPE_BYTES ||
        setting->type == TYPE_DURATION)
        return number_parse(setting, word, place, why);
    return text_parse(setting, word, words->folder, arena, place, why);
}

/* --- Printing -------------------------------------------------------------------------------- */

static void quoted_print(struct str text, struct buf *to)
{
    buf_putc(to, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_putc(to, '\\');
        buf_putc(to, text.p[i]);
    }
    buf_putc(to, '"');
}

static void texts_print(const struct str *list, size_t count, struct buf *to)
{
    buf_putc(to, '{');
    for (size_t i = 0; i < count; i++) {
        buf_put(to, i ? STR(", ") : STR(""));
        quoted_print(list[i], to);
    }
    buf_putc(to, '}');
}

static void networks_print(const struct conf_networks *networks, struct buf *to)
{
    const char *between = "";
    buf_putc(to, '{');
    for (size_t i = 0; i < networks->name_count; i++) {
        buf_printf(to, "%s@%.*s", between, STR_FMT(networks->names[i]));
        between = ", ";
    }
    for (size_t i = 0; i < networks->count; i++) {
        buf_put(to, str_from(between));
        networks_print_one(&networks->list[i], to);
        between = ", ";
    }
    buf_putc(to, '}');
}

static void choices_value_print(const struct setting *setting, const void *place, struct buf *to)
{
    const char *const *names = value_choices(setting->type);
    const char *between = "";
    bool several = choices_of[setting->type].several;
    unsigned choice;
    memcpy(&choice, place, sizeof(choice));
    buf_put(to, several ? STR("{") : STR(""));
    for (unsigned i = 0; names[i]; i++) {
        if (several ? !(choice & 1u << i) : choice != i)
            continue;
        buf_printf(to, "%s%s", between, names[i]);
        between = ", ";
    }
    buf_put(to, several ? STR("}") : STR(""));
}

static void list_print(enum setting_type type, const void *place, bool whole, struct buf *to)
{
    const struct conf_listen *listen = place;
    const struct conf_texts *texts = place;
    const struct conf_files *files = place;
    if (type == TYPE_LISTEN)
        texts_print(listen->addresses, listen->count, to);
    else if (value_is_texts(type))
        texts_print(texts->list, texts->count, to);
    else if (type == TYPE_NETWORKS)
        networks_print(place, to);
    else if (whole)
        networks_print(&files->read, to);
    else
        texts_print(files->paths, files->count, to);
}

void value_print(const struct setting *setting, const void *base, bool whole, struct buf *to)
{
    const void *place = (const char *)base + setting->offset;
    if (value_choices(setting->type))
        choices_value_print(setting, place, to);
    else if (value_is_list(setting->type))
        list_print(setting->type, place, whole, to);
    else if (setting->type == TYPE_FLAG)
        buf_put(to, *(const bool *)place ? STR("yes") : STR("no"));
    else if (setting->type == TYPE_LIMIT && *(const uint64_t *)place == CONF_NO_LIMIT)
        buf_put(to, STR("none"));
    else if (setting->type == TYPE_COUNT || setting->type == TYPE_LIMIT)
        buf_put_u64(to, *(const uint64_t *)place);
    else if (setting->type == TYPE_BYTES)
        units_print(byte_units, *(const uint64_t *)place, to);
    else if (setting->type == TYPE_DURATION)
        units_print(time_units, *(const uint64_t *)place, to);
    else
        quoted_print(*(const struct str *)place, to);
}
