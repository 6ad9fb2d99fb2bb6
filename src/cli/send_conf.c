/*
 * A format of its own and not veredus.conf: whoever has a smart host alone has nine settings, none
 * of which means the same there.
 */
#include "cli/send_conf.h"

#include <errno.h>

#include "conf/conf.h"
#include "format/addr.h"
#include "sys/process.h"

enum {
    PORT_SUBMISSION = 587,
    PORT_SUBMISSIONS = 465,
    PORT_MOST = 65535,
};

struct reading {
    struct send_conf *conf;
    struct str folder;
    struct arena *arena;
};

static bool text_take(struct reading *reading, struct str value, struct str *to)
{
    *to = arena_str(reading->arena, value);
    return value.n > 0;
}

static bool host_take(struct reading *reading, struct str value)
{
    struct str host;
    bool fine = !err_is(host_parse(value, reading->arena, &host));
    return fine && text_take(reading, host, &reading->conf->host);
}

static bool port_take(struct reading *reading, struct str value)
{
    uint64_t port;
    bool fine = str_to_u64(value, &port) && port > 0 && port <= PORT_MOST;
    if (fine)
        reading->conf->port = port;
    return fine;
}

static bool tls_take(struct reading *reading, struct str value)
{
    static const struct {
        struct str word;
        unsigned tls;
    } words[] = {{STR_INIT("verified"), CONF_ROUTE_TLS_VERIFIED},
                 {STR_INIT("implicit"), CONF_ROUTE_TLS_IMPLICIT},
                 {STR_INIT("required"), CONF_ROUTE_TLS_REQUIRED},
                 {STR_INIT("off"), CONF_ROUTE_TLS_OFF}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!str_eq(words[i].word, value))
            continue;
        reading->conf->tls = words[i].tls;
        return true;
    }
    return false;
}

static bool user_take(struct reading *reading, struct str value)
{
    return text_take(reading, value, &reading->conf->user);
}

static bool path_take(struct reading *reading, struct str value, struct str *to)
{
    struct buf path = buf_in(reading->arena, SEND_CONF_MAX);
    if (!str_starts(value, STR("/"))) {
        buf_put(&path, reading->folder);
        buf_putc(&path, '/');
    }
    buf_put(&path, value);
    *to = buf_built(&path);
    return value.n > 0;
}

static bool password_file_take(struct reading *reading, struct str value)
{
    return path_take(reading, value, &reading->conf->password_file);
}

static bool authorities_take(struct reading *reading, struct str value)
{
    return path_take(reading, value, &reading->conf->authorities);
}

static bool from_take(struct reading *reading, struct str value)
{
    struct addr addr;
    struct buf text = buf_in(reading->arena, ADDR_PATH_MAX);
    if (err_is(addr_parse(value, reading->arena, &addr)))
        return false;
    addr_print(&text, &addr);
    reading->conf->from = buf_built(&text);
    return true;
}

static bool rewrite_take(struct reading *reading, struct str value)
{
    reading->conf->rewrite_from = str_eq(value, STR("yes"));
    return reading->conf->rewrite_from || str_eq(value, STR("no"));
}

static bool name_take(struct reading *reading, struct str value)
{
    struct str name;
    bool fine = !err_is(host_parse(value, reading->arena, &name));
    return fine && text_take(reading, name, &reading->conf->name);
}

static const struct {
    struct str key;
    const char *expected;
    bool (*take)(struct reading *reading, struct str value);
} rows[] = {
    {STR_INIT("host"), "a host name or [address]", host_take},
    {STR_INIT("port"), "a port", port_take},
    {STR_INIT("tls"), "verified, implicit, required or off", tls_take},
    {STR_INIT("user"), "a name", user_take},
    {STR_INIT("password_file"), "a path", password_file_take},
    {STR_INIT("from"), "a mail address", from_take},
    {STR_INIT("rewrite_from"), "yes or no", rewrite_take},
    {STR_INIT("name"), "a host name", name_take},
    {STR_INIT("authorities"), "a path", authorities_take},
};

static struct str unquoted(struct str value)
{
    bool quoted = value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"';
    return quoted ? str_make(value.p + 1, value.n - 2) : value;
}

/* A comment begins at the line's start, or behind a space: passwords are not here, names may be. */
static struct str without_comment(struct str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '#' && (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
            return str_head(line, i);
    return line;
}

static void line_read(struct reading *reading, struct str line, struct buf *why)
{
    struct str value = str_trim(without_comment(line));
    if (value.n == 0)
        return;
    struct str key = str_trim(str_cut(&value, '='));
    value = unquoted(str_trim(value));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_eq(rows[i].key, key))
            continue;
        if (!rows[i].take(reading, value))
            buf_printf(why, "%.*s: expected %s", STR_FMT(key), rows[i].expected);
        return;
    }
    buf_put(why, STR("there is no setting "));
    buf_put_escaped(why, key, CONF_NAME_MOST);
}

struct err send_conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                           struct send_conf *conf_r, struct buf *trouble)
{
    struct reading reading = {.conf = conf_r, .folder = folder, .arena = arena};
    *conf_r = (struct send_conf){.tls = CONF_ROUTE_TLS_VERIFIED};
    size_t before = trouble->n;
    for (unsigned number = 1; text.n > 0; number++) {
        char room[512];
        struct buf why = {.p = room, .cap = sizeof room, .max = sizeof room};
        line_read(&reading, str_trim(str_cut(&text, '\n')), &why);
        if (why.n > 0)
            buf_printf(trouble, "%.*s:%u: %.*s\n", STR_FMT(file), number, STR_FMT(buf_str(&why)));
    }
    if (conf_r->port == 0)
        conf_r->port = conf_r->tls == CONF_ROUTE_TLS_IMPLICIT ? PORT_SUBMISSIONS : PORT_SUBMISSION;
    if (trouble->n == before && conf_r->host.n == 0)
        buf_printf(trouble, "%.*s: host is missing\n", STR_FMT(file));
    if (trouble->n == before && conf_r->rewrite_from && conf_r->from.n == 0)
        buf_printf(trouble, "%.*s: rewrite_from needs from\n", STR_FMT(file));
    if (trouble->n == before && conf_r->user.n > 0 && conf_r->password_file.n == 0)
        buf_printf(trouble, "%.*s: user needs password_file\n", STR_FMT(file));
    return err_make(trouble->n > before ? ERR_CONFIG : ERR_NONE);
}

static struct err password_read(struct send_conf *conf, struct str file, struct arena *arena,
                                struct buf *trouble)
{
    struct buf secret = BUF_INIT(SEND_PASSWORD_MAX);
    struct err e = process_read_secret(conf->password_file, SEND_PASSWORD_MAX, &secret);
    struct str rest = buf_str(&secret);
    conf->password = arena_str(arena, str_trim(str_cut(&rest, '\n')));
    if (secret.n)
        str_wipe(buf_str(&secret));
    buf_done(&secret);
    if (e.code == ERR_NOT_ALLOWED)
        buf_printf(trouble, "%.*s: others than its owner may read %.*s (chmod 600)\n",
                   STR_FMT(file), STR_FMT(conf->password_file));
    else if (err_is(e))
        buf_printf(trouble, "%.*s: cannot read %.*s: %.*s\n", STR_FMT(file),
                   STR_FMT(conf->password_file),
                   STR_FMT(e.os ? str_from(strerrordesc_np(e.os)) : e.detail));
    return err_is(e) ? err_make(ERR_CONFIG) : err_none();
}

struct err send_conf_load(struct str file, struct arena *arena, struct send_conf *conf_r,
                          struct buf *trouble)
{
    struct buf text = BUF_INIT(SEND_CONF_MAX);
    struct err e = process_read_file(file, SEND_CONF_MAX, &text);
    ssize_t slash = str_last_index(file, '/');
    struct str folder = slash > 0 ? str_head(file, (size_t)slash) : STR(".");
    if (err_is(e) && e.os == ENOENT)
        e = err_make(ERR_NOT_FOUND);
    else if (err_is(e))
        buf_printf(trouble, "cannot read %.*s: %s\n", STR_FMT(file),
                   e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
    if (!err_is(e))
        e = send_conf_parse(buf_str(&text), file, folder, arena, conf_r, trouble);
    buf_done(&text);
    if (!err_is(e) && conf_r->password_file.n > 0)
        e = password_read(conf_r, file, arena, trouble);
    return e;
}
