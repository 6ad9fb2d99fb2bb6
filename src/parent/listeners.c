/*
 * All ports before anything else is begun: whoever has a port in use or a right missing learns it
 * in one line, and finds nothing half started.
 */
#include <errno.h>

#include "parent/house.h"

/* Is it one of ours that stands in the way? */
static bool is_open(const struct house *house, struct str address)
{
    for (size_t i = 0; i < house->listener_count; i++)
        if (str_eq(house->listeners[i].address, address))
            return true;
    return false;
}

static void say_why(struct house *house, const char *setting, struct str address, struct err e)
{
    const char *hint = "";
    if (e.os == EACCES)
        hint = "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    else if (e.os == EADDRINUSE && is_open(house, address))
        hint = "; it stands twice in the configuration";
    else if (e.os == EADDRINUSE)
        hint = "; another program serves there (ss -ltnp shows it)";
    house_say(house, "cannot listen on %.*s (%s): %s%s", STR_FMT(address), setting,
              e.os ? strerrordesc_np(e.os) : err_row(e.code)->text, hint);
}

static bool protocol_open(struct house *house, enum listen_protocol protocol, const char *setting,
                          const struct conf_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        struct listener *listener = &house->listeners[house->listener_count];
        *listener = (struct listener){.protocol = protocol, .address = listen->addresses[i]};
        struct err e = process_listen(listener->address, &listener->handle);
        if (err_is(e)) {
            say_why(house, setting, listener->address, e);
            return false;
        }
        house->listener_count++;
    }
    return true;
}

/* Where each protocol is to be served. */
static const struct {
    enum listen_protocol protocol;
    bool tls; /* from the first octet: of no use without a certificate */
    const char *setting;
    size_t listen; /* offset in struct conf */
} rows[] = {
    {LISTEN_SMTP, false, "smtp.listen", offsetof(struct conf, smtp.listen)},
    {LISTEN_LMTP, false, "lmtp.listen", offsetof(struct conf, lmtp.listen)},
    {LISTEN_SUBMISSION, false, "submission.listen", offsetof(struct conf, submission.listen)},
    {LISTEN_SUBMISSIONS, true, "submission.listen_tls",
     offsetof(struct conf, submission.listen_tls)},
    {LISTEN_POP3, false, "pop3.listen", offsetof(struct conf, pop3.listen)},
    {LISTEN_POP3S, true, "pop3.listen_tls", offsetof(struct conf, pop3.listen_tls)},
    {LISTEN_HTTP, false, "http.listen", offsetof(struct conf, http.listen)},
    {LISTEN_HTTPS, true, "http.listen_tls", offsetof(struct conf, http.listen_tls)},
};

static const struct conf_listen *listen_of(const struct house *house, size_t row)
{
    return (const struct conf_listen *)((const char *)&house->conf + rows[row].listen);
}

/* For the programs of this host. */
static bool local_open(struct house *house)
{
    struct listener *listener = &house->listeners[house->listener_count];
    const struct conf *conf = &house->conf;
    struct buf path = BUF_INIT(HOUSE_LINE_MAX);
    if (!conf->submission.local)
        return true;
    conf_local_socket(conf, &path);
    *listener = (struct listener){.protocol = LISTEN_LOCAL,
                                  .address = buf_copy(&path, &house->start_arena)};
    buf_done(&path);
    struct err e = listener->address.p
                       ? process_listen_local(listener->address, conf->submission.local_group,
                                              &listener->handle)
                       : err_make(ERR_NO_MEMORY);
    if (err_is(e))
        say_why(house, "submission.local_socket", listener->address, e);
    house->listener_count += !err_is(e);
    return !err_is(e);
}

bool listeners_open(struct house *house)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((rows[i].tls && house->conf.certificate_count == 0) ||
            protocol_open(house, rows[i].protocol, rows[i].setting, listen_of(house, i)))
            continue;
        listeners_close(house);
        return false;
    }
    if (local_open(house))
        return true;
    listeners_close(house);
    return false;
}

static bool is_served(const struct house *house, enum listen_protocol protocol)
{
    for (size_t i = 0; i < house->listener_count; i++)
        if (house->listeners[i].protocol == protocol)
            return true;
    return false;
}

void listeners_missing(const struct house *house, struct buf *names)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (listen_of(house, i)->count && !is_served(house, rows[i].protocol))
            buf_printf(names, "%s%s", names->n ? ", " : "", rows[i].setting);
}

void listeners_warn(struct house *house)
{
    struct buf names = BUF_INIT(HOUSE_LINE_MAX);
    listeners_missing(house, &names);
    if (names.n)
        log_event(&house->log, LOG_WARN, "no_certificate", log_str("not_served", buf_str(&names)),
                  log_str("make_one_with", STR("veredus tls new NAME")));
    buf_done(&names);
}

void listeners_close(struct house *house)
{
    while (house->listener_count) {
        const struct listener *listener = &house->listeners[--house->listener_count];
        house->world->ops->close(house->world, listener->handle);
        if (listener->protocol == LISTEN_LOCAL) /* it was bound here, so it is ours */
            process_remove_file(listener->address);
    }
}
