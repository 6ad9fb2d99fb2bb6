/*
 * Why strict: a value that is almost right ("50 MB", "10.1.2.3/8", port 0) is told, not guessed at;
 * whoever wrote it stands in front of the message.
 */
#include <arpa/inet.h>

#include "base/must.h"
#include "conf/rows.h"
#include "format/addr.h"

enum {
    WORD_SHOWN = 80,   /* octets of a wrong value in a message */
    ADDRESS_TEXT = 64, /* longer than any IP address */
    PORT_MOST = 65535,
    V4_BITS = 96, /* of an IPv4-mapped IPv6 address, in front of the IPv4 one */
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
static const char *const verify_names[] = {[CONF_VERIFY_AMBIGUOUS] = "ambiguous",
                                           [CONF_VERIFY_OPEN] = "open",
                                           [CONF_VERIFY_OFF] = "off",
                                           NULL};

const char *const *value_choices(enum setting_type type)
{
    if (type == TYPE_CHOICE_log)
        return log_names;
    if (type == TYPE_CHOICE_word)
        return word_names;
    return type == TYPE_CHOICE_verify ? verify_names : NULL;
}

static void *place_of(const struct setting *setting, struct conf *conf)
{
    return (char *)conf + setting->offset;
}

static const void *place_of_const(const struct setting *setting, const struct conf *conf)
{
    return (const char *)conf + setting->offset;
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
        [TYPE_MARK] = STR_INIT("one punctuation character such as +, or \"\" for none"),
        [TYPE_FLAG] = STR_INIT("yes or no"),
        [TYPE_COUNT] = STR_INIT("a number"),
        [TYPE_BYTES] = STR_INIT("a size such as 50M, 512K or 1G,"),
        [TYPE_DURATION] = STR_INIT("a time such as 500ms, 30s, 5m, 1h or 2d,"),
        [TYPE_LISTEN] = STR_INIT("ADDRESS:PORT such as *:25, 127.0.0.1:2525 or [::1]:2525, or "
                                 "several in braces"),
        [TYPE_NETWORKS] = STR_INIT("an address or network such as 192.0.2.7, 10.0.0.0/8 or "
                                   "2001:db8::/32, or several in braces"),
    };
    if (value_choices(setting->type)) {
        choices_print(value_choices(setting->type), to);
        return;
    }
    buf_put(to, texts[setting->type]);
    if (setting->type == TYPE_COUNT)
        range_print(setting, plain, to);
    if (setting->type == TYPE_BYTES)
        range_print(setting, byte_units, to);
    if (setting->type == TYPE_DURATION)
        range_print(setting, time_units, to);
}

/* `"50Q" is WHAT`; always false, for the caller to return. */
static bool wrong(struct buf *why, struct str word, const char *what)
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
    if (!number_of(word, units, value_r))
        return wrong(why, word, kind);
    if (*value_r < setting->least)
        return wrong(why, word, "is too small");
    if (*value_r > setting->most)
        return wrong(why, word, "is too large");
    return true;
}

static bool flag_parse(struct str word, bool *flag_r, struct buf *why)
{
    *flag_r = str_eq(word, STR("yes"));
    return *flag_r || str_eq(word, STR("no")) || wrong(why, word, "is neither yes nor no");
}

static bool choice_parse(const struct setting *setting, struct str word, struct conf *conf,
                         struct buf *why)
{
    const char *const *choices = value_choices(setting->type);
    for (unsigned i = 0; choices[i]; i++) {
        if (str_eq(word, str_from(choices[i]))) {
            memcpy(place_of(setting, conf), &i, sizeof(i)); /* any enum of ours is an unsigned */
            return true;
        }
    }
    return wrong(why, word, "is none of the choices");
}

static bool host_value_parse(struct str word, struct arena *arena, struct str *host_r,
                             struct buf *why)
{
    struct err e = domain_parse(word, arena, host_r);
    return !err_is(e) || e.code == ERR_OVER_LIMIT || wrong(why, word, "is no host name");
}

static bool address_parse(struct str word, struct arena *arena, struct str *address_r,
                          struct buf *why)
{
    struct addr addr;
    struct buf printed = BUF_INIT(2 * ADDR_PATH_MAX);
    struct err e = addr_parse(word, arena, &addr);
    if (err_is(e))
        return e.code == ERR_OVER_LIMIT || wrong(why, word, "is no mail address");
    addr_print(&printed, &addr);
    *address_r = buf_copy(&printed, arena);
    buf_done(&printed);
    return true;
}

static bool mark_parse(struct str word, struct arena *arena, struct str *mark_r, struct buf *why)
{
    static const struct str marks = STR_INIT("+-_=~#!$%&*/?^{|}");
    if (word.n != 1 || str_index(marks, word.p[0]) < 0)
        return wrong(why, word, "cannot begin a tag");
    *mark_r = arena_str(arena, word);
    return true;
}

static bool path_value_parse(struct str word, struct str folder, struct arena *arena,
                             struct str *path_r)
{
    struct buf joined = BUF_INIT(CONF_TEXT_MAX);
    if (folder.n && word.n && word.p[0] != '/') {
        buf_put(&joined, folder);
        buf_putc(&joined, '/');
    }
    buf_put(&joined, word);
    *path_r = arena_str(arena, buf_str(&joined));
    buf_done(&joined);
    return true;
}

static bool text_parse(const struct setting *setting, struct str word, struct str folder,
                       struct arena *arena, struct conf *conf, struct buf *why)
{
    struct str *text = place_of(setting, conf);
    if (word.n == 0) {
        *text = STR("");
        return (setting->type == TYPE_PATH && setting->standard[0] == '/')
                   ? wrong(why, word, "is no path")
                   : true;
    }
    if (setting->type == TYPE_HOST)
        return host_value_parse(word, arena, text, why);
    if (setting->type == TYPE_ADDRESS)
        return address_parse(word, arena, text, why);
    if (setting->type == TYPE_MARK)
        return mark_parse(word, arena, text, why);
    return path_value_parse(word, folder, arena, text);
}

/* inet_pton of a slice. */
static bool ip_parse(int family, struct str text, void *to)
{
    char cstring[ADDRESS_TEXT] = {0};
    if (text.n == 0 || text.n >= sizeof(cstring) || memchr(text.p, '\0', text.n))
        return false;
    memcpy(cstring, text.p, text.n);
    return inet_pton(family, cstring, to) == 1;
}

static bool listen_host_ok(struct str host)
{
    unsigned char octets[16];
    if (str_eq(host, STR("*")))
        return true;
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return ip_parse(AF_INET6, str_make(host.p + 1, host.n - 2), octets);
    return ip_parse(AF_INET, host, octets);
}

static bool listen_ok(struct str word, struct buf *why)
{
    ssize_t colon = str_last_index(word, ':');
    uint64_t port;
    if (colon < 0)
        return wrong(why, word, "has no port");
    if (!str_to_u64(str_from_index(word, (size_t)colon + 1), &port) || port == 0 ||
        port > PORT_MOST)
        return wrong(why, word, "has no port from 1 to 65535");
    return listen_host_ok(str_head(word, (size_t)colon)) ||
           wrong(why, word, "has no IP address in front of its port");
}

/* Bits behind the prefix: 10.1.2.3/8 means one thing to one reader and another to the next. */
static bool network_is_tidy(const struct conf_network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        if (network->octets[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

static bool network_address(struct str text, struct conf_network *network_r, unsigned *most_r)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    *network_r = (struct conf_network){.bits = 128};
    memcpy(network_r->octets, mapped, sizeof(mapped));
    *most_r = 32;
    if (ip_parse(AF_INET, text, network_r->octets + sizeof(mapped)))
        return true;
    *most_r = 128;
    return ip_parse(AF_INET6, text, network_r->octets);
}

static bool network_parse(struct str word, struct conf_network *network_r, struct buf *why)
{
    struct str rest = word;
    struct str address = str_cut(&rest, '/');
    uint64_t bits;
    unsigned most;
    if (!network_address(address, network_r, &most))
        return wrong(why, word, "is no IP address or network");
    if (!rest.p)
        return true;
    if (!str_to_u64(rest, &bits) || bits > most)
        return wrong(why, word,
                     most == 32 ? "needs a length from 0 to 32 behind the /"
                                : "needs a length from 0 to 128 behind the /");
    network_r->bits = (unsigned)bits + (128 - most);
    return network_is_tidy(network_r) || wrong(why, word, "has bits set behind its length");
}

/* A word of a list may itself hold several, "127.0.0.0/8 ::1": quoted, or a default. */
static bool next_of_words(const struct str **words, size_t *count, struct str *rest,
                          struct str *next_r)
{
    for (;;) {
        while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == ','))
            *rest = str_from_index(*rest, 1);
        if (rest->n)
            break;
        if (*count == 0)
            return false;
        *rest = *(*words)++;
        --*count;
    }
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t' && rest->p[n] != ',')
        n++;
    *next_r = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return true;
}

static size_t words_in(const struct str *words, size_t count)
{
    struct str rest = str_null(), word;
    size_t n = 0;
    while (next_of_words(&words, &count, &rest, &word))
        n++;
    return n;
}

static bool listen_parse(const struct str *words, size_t count, struct arena *arena,
                         struct conf_listen *listen, struct buf *why)
{
    struct str rest = str_null(), word;
    size_t n = words_in(words, count);
    if (n > CONF_LISTEN_MOST) {
        buf_printf(why, "more than %d addresses", CONF_LISTEN_MOST);
        return false;
    }
    *listen = (struct conf_listen){.addresses = arena_take_array(arena, n, sizeof(struct str))};
    while (listen->addresses && next_of_words(&words, &count, &rest, &word)) {
        if (!listen_ok(word, why))
            return false;
        listen->addresses[listen->count++] = arena_str(arena, word);
    }
    return true;
}

static bool networks_parse(const struct str *words, size_t count, struct arena *arena,
                           struct conf_networks *networks, struct buf *why)
{
    struct str rest = str_null(), word;
    size_t n = words_in(words, count);
    if (n > CONF_NETWORKS_MOST) {
        buf_printf(why, "more than %d networks", CONF_NETWORKS_MOST);
        return false;
    }
    *networks =
        (struct conf_networks){.list = arena_take_array(arena, n, sizeof(struct conf_network))};
    while (networks->list && next_of_words(&words, &count, &rest, &word))
        if (!network_parse(word, &networks->list[networks->count++], why))
            return false;
    return true;
}

static bool one_word(const struct str *words, size_t count, struct str *word_r, struct buf *why)
{
    *word_r = count == 1 ? words[0] : STR("");
    if (count != 1)
        buf_put(why, STR("takes one value, without braces"));
    return count == 1;
}

bool value_parse(const struct setting *setting, const struct str *words, size_t count,
                 struct str folder, struct arena *arena, struct conf *conf, struct buf *why)
{
    void *place = place_of(setting, conf);
    struct str word;
    if (setting->type == TYPE_LISTEN)
        return listen_parse(words, count, arena, place, why);
    if (setting->type == TYPE_NETWORKS)
        return networks_parse(words, count, arena, place, why);
    if (!one_word(words, count, &word, why))
        return false;
    if (setting->type == TYPE_FLAG)
        return flag_parse(word, place, why);
    if (value_choices(setting->type))
        return choice_parse(setting, word, conf, why);
    if (setting->type == TYPE_COUNT || setting->type == TYPE_BYTES ||
        setting->type == TYPE_DURATION)
        return number_parse(setting, word, place, why);
    return text_parse(setting, word, folder, arena, conf, why);
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

static void network_print(const struct conf_network *network, struct buf *to)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    bool v4 = network->bits >= V4_BITS && memcmp(network->octets, mapped, sizeof(mapped)) == 0;
    unsigned before = v4 ? V4_BITS : 0;
    const char *at =
        inet_ntop(v4 ? AF_INET : AF_INET6, network->octets + before / 8, text, sizeof(text));
    must(at);
    buf_put(to, str_from(at));
    if (network->bits < 128)
        buf_printf(to, "/%u", network->bits - before);
}

static void listen_print(const struct conf_listen *listen, struct buf *to)
{
    buf_putc(to, '{');
    for (size_t i = 0; i < listen->count; i++) {
        buf_put(to, i ? STR(", ") : STR(""));
        quoted_print(listen->addresses[i], to);
    }
    buf_putc(to, '}');
}

static void networks_print(const struct conf_networks *networks, struct buf *to)
{
    buf_putc(to, '{');
    for (size_t i = 0; i < networks->count; i++) {
        buf_put(to, i ? STR(", ") : STR(""));
        network_print(&networks->list[i], to);
    }
    buf_putc(to, '}');
}

static void choice_print(const struct setting *setting, const struct conf *conf, struct buf *to)
{
    unsigned choice;
    memcpy(&choice, place_of_const(setting, conf), sizeof(choice));
    buf_put(to, str_from(value_choices(setting->type)[choice]));
}

void value_print(const struct setting *setting, const struct conf *conf, struct buf *to)
{
    const void *place = place_of_const(setting, conf);
    if (value_choices(setting->type))
        choice_print(setting, conf, to);
    else if (setting->type == TYPE_LISTEN)
        listen_print(place, to);
    else if (setting->type == TYPE_NETWORKS)
        networks_print(place, to);
    else if (setting->type == TYPE_FLAG)
        buf_put(to, *(const bool *)place ? STR("yes") : STR("no"));
    else if (setting->type == TYPE_COUNT)
        buf_put_u64(to, *(const uint64_t *)place);
    else if (setting->type == TYPE_BYTES)
        units_print(byte_units, *(const uint64_t *)place, to);
    else if (setting->type == TYPE_DURATION)
        units_print(time_units, *(const uint64_t *)place, to);
    else
        quoted_print(*(const struct str *)place, to);
}

/* --- Networks -------------------------------------------------------------------------------- */

static bool network_holds(const struct conf_network *network, const unsigned char octets[16])
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->octets, octets, whole) != 0)
        return false;
    return rest == 0 || (network->octets[whole] ^ octets[whole]) >> (8 - rest) == 0;
}

bool conf_networks_hold(const struct conf_networks *networks, struct str address)
{
    struct conf_network one;
    unsigned most;
    if (!network_address(address, &one, &most))
        return false;
    for (size_t i = 0; i < networks->count; i++)
        if (network_holds(&networks->list[i], one.octets))
            return true;
    return false;
}
