/*
 * Values of several words. A word may itself hold several, "127.0.0.0/8 ::1": it was quoted, or is
 * a default.
 */
#include <arpa/inet.h>

#include "conf/networks.h"
#include "conf/value.h"

enum {
    PORT_MOST = 65535,
    PORT_DNS = 53,
    ADDRESS_TEXT = 64, /* longer than any IP address */
};

/* --- Words ----------------------------------------------------------------------------------- */

struct walk {
    const struct str *words;
    size_t count;
    struct str rest;
};

static struct walk walk_begin(const struct value_words *words)
{
    return (struct walk){.words = words->list, .count = words->count};
}

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static bool walk_next(struct walk *walk, struct str *word_r)
{
    for (;;) {
        while (walk->rest.n && is_between(walk->rest.p[0]))
            walk->rest = str_from_index(walk->rest, 1);
        if (walk->rest.n)
            break;
        if (walk->count == 0)
            return false;
        walk->rest = *walk->words++;
        walk->count--;
    }
    size_t n = 0;
    while (n < walk->rest.n && !is_between(walk->rest.p[n]))
        n++;
    *word_r = str_head(walk->rest, n);
    walk->rest = str_from_index(walk->rest, n);
    return true;
}

static size_t words_in(const struct value_words *words, bool (*counts)(struct str word))
{
    struct walk walk = walk_begin(words);
    struct str word;
    size_t n = 0;
    while (walk_next(&walk, &word))
        n += !counts || counts(word);
    return n;
}

static bool few_enough(size_t count, int most, const char *what, struct buf *why)
{
    if (count > (size_t)most)
        buf_printf(why, "more than %d %s", most, what);
    return count <= (size_t)most;
}

/* --- Listeners ------------------------------------------------------------------------------- */

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
        return value_wrong(why, word, "has no port");
    if (!str_to_u64(str_from_index(word, (size_t)colon + 1), &port) || port == 0 ||
        port > PORT_MOST)
        return value_wrong(why, word, "has no port from 1 to 65535");
    return listen_host_ok(str_head(word, (size_t)colon)) ||
           value_wrong(why, word, "has no IP address in front of its port");
}

static bool listen_parse(const struct value_words *words, struct arena *arena,
                         struct conf_listen *listen, struct buf *why)
{
    struct walk walk = walk_begin(words);
    struct str word;
    size_t n = words_in(words, NULL);
    if (!few_enough(n, CONF_LISTEN_MOST, "addresses", why))
        return false;
    *listen = (struct conf_listen){.addresses = arena_take_array(arena, n, sizeof(struct str))};
    while (listen->addresses && walk_next(&walk, &word)) {
        if (!listen_ok(word, why))
            return false;
        listen->addresses[listen->count++] = arena_str(arena, word);
    }
    return true;
}

/* --- Networks -------------------------------------------------------------------------------- */

static bool is_name(struct str word)
{
    return str_starts(word, STR("@"));
}

static bool is_network(struct str word)
{
    return !is_name(word);
}

static bool networks_parse(const struct value_words *words, bool names, struct arena *arena,
                           struct conf_networks *networks, struct buf *why)
{
    struct walk walk = walk_begin(words);
    struct str word;
    size_t n = words_in(words, names ? is_network : NULL), named = words_in(words, is_name);
    if (!few_enough(n, CONF_NETWORKS_MOST, "networks", why) ||
        !few_enough(named, CONF_LISTS_MOST, "lists", why))
        return false;
    *networks = (struct conf_networks){
        .list = arena_take_array(arena, n, sizeof(struct network)),
        .names = arena_take_array(arena, named, sizeof(struct str)),
        .line = words->line,
    };
    while (networks->list && networks->names && walk_next(&walk, &word)) {
        if (names && is_name(word))
            networks->names[networks->name_count++] = arena_str(arena, str_from_index(word, 1));
        else if (!networks_parse_one(word, &networks->list[networks->count++], why))
            return false;
    }
    networks_settle(networks);
    return true;
}

/* --- Files and host names -------------------------------------------------------------------- */

/* A path may have spaces in it: each word is one. */
static bool files_parse(const struct value_words *words, struct arena *arena,
                        struct conf_files *files, struct buf *why)
{
    *files = (struct conf_files){.line = words->line};
    if (words->whole)
        return networks_parse(words, false, arena, &files->read, why);
    if (!few_enough(words->count, CONF_TEXTS_MOST, "files", why))
        return false;
    files->paths = arena_take_array(arena, words->count, sizeof(struct str));
    for (size_t i = 0; files->paths && i < words->count; i++)
        if (words->list[i].n &&
            !value_path(words->list[i], words->folder, arena, &files->paths[files->count++], why))
            return false;
    return true;
}

static bool wildcard_parse(struct str word, struct arena *arena, struct str *host_r,
                           struct buf *why)
{
    struct buf whole = BUF_INIT(1024);
    struct str host = str_null();
    bool wild = str_starts(word, STR("*."));
    bool good = value_host(wild ? str_from_index(word, 2) : word, arena, &host, why);
    if (good && wild && host.p) {
        buf_put(&whole, STR("*."));
        buf_put(&whole, host);
        host = buf_copy(&whole, arena);
    }
    buf_done(&whole);
    *host_r = host;
    return good;
}

/* Of texts of one kind: how each is brought into its one form. */
struct text_kind {
    const char *what;
    bool (*parse)(struct str, struct arena *, struct str *, struct buf *);
};

static bool texts_parse(const struct value_words *words, const struct text_kind *kind,
                        struct arena *arena, struct conf_texts *texts, struct buf *why)
{
    struct walk walk = walk_begin(words);
    struct str word;
    size_t n = words_in(words, NULL);
    if (!few_enough(n, CONF_TEXTS_MOST, kind->what, why))
        return false;
    *texts = (struct conf_texts){.list = arena_take_array(arena, n, sizeof(struct str))};
    while (texts->list && walk_next(&walk, &word))
        if (!kind->parse(word, arena, &texts->list[texts->count++], why))
            return false;
    return true;
}

/* --- Servers --------------------------------------------------------------------------------- */

/* As it is kept: always with its port, an IPv6 address in brackets. */
static struct str server_kept(struct str host, bool v6, uint64_t port, struct arena *arena)
{
    struct buf kept = buf_in(arena, ADDRESS_TEXT + 16);
    buf_printf(&kept, v6 ? "[%.*s]:%llu" : "%.*s:%llu", STR_FMT(host), (unsigned long long)port);
    return buf_built(&kept);
}

static bool server_parse(struct str word, struct arena *arena, struct str *server_r,
                         struct buf *why)
{
    unsigned char octets[16];
    uint64_t port = PORT_DNS;
    bool v6 = ip_parse(AF_INET6, word, octets), bracket = str_starts(word, STR("["));
    ssize_t colon = v6 || str_ends(word, STR("]")) ? -1 : str_last_index(word, ':');
    struct str host = colon < 0 ? word : str_head(word, (size_t)colon);
    if (colon >= 0 && (!str_to_u64(str_from_index(word, (size_t)colon + 1), &port) || port == 0 ||
                       port > PORT_MOST))
        return value_wrong(why, word, "has no port from 1 to 65535");
    if (bracket && str_ends(host, STR("]"))) {
        host = str_make(host.p + 1, host.n - 2);
        v6 = ip_parse(AF_INET6, host, octets);
    }
    if (!v6 && (bracket || !ip_parse(AF_INET, host, octets)))
        return value_wrong(why, word, "is not an IP address, with or without a port");
    *server_r = server_kept(host, v6, port, arena);
    return true;
}

/* --- Choices --------------------------------------------------------------------------------- */

static bool choices_parse(const struct setting *setting, const struct value_words *words,
                          void *place, struct buf *why)
{
    struct walk walk = walk_begin(words);
    struct str word;
    unsigned all = 0, one;
    while (walk_next(&walk, &word)) {
        if (!value_choice(setting->type, word, &one, why))
            return false;
        all |= 1u << one;
    }
    memcpy(place, &all, sizeof(all));
    return true;
}

static const struct text_kind text_kinds[TYPE_COUNT_] = {
    [TYPE_HOSTS] = {"host names", wildcard_parse},
    [TYPE_SERVERS] = {"servers", server_parse},
    [TYPE_HOPS] = {"hosts", value_hop},
    [TYPE_PEOPLE] = {"addresses and domains", value_people},
    [TYPE_ADDRESSES] = {"addresses", value_ip},
};

bool value_is_texts(enum setting_type type)
{
    return text_kinds[type].parse != NULL;
}

bool value_is_list(enum setting_type type)
{
    return type == TYPE_LISTEN || type == TYPE_NETWORKS || type == TYPE_FILES ||
           value_is_texts(type) || type == TYPE_CHOICES_subject || type == TYPE_CHOICES_listener ||
           type == TYPE_CHOICES_mechanism;
}

bool value_list_parse(const struct setting *setting, const struct value_words *words,
                      struct arena *arena, void *place, struct buf *why)
{
    if (setting->type == TYPE_LISTEN)
        return listen_parse(words, arena, place, why);
    if (setting->type == TYPE_NETWORKS)
        return networks_parse(words, true, arena, place, why);
    if (setting->type == TYPE_FILES)
        return files_parse(words, arena, place, why);
    if (value_is_texts(setting->type))
        return texts_parse(words, &text_kinds[setting->type], arena, place, why);
    return choices_parse(setting, words, place, why);
}
