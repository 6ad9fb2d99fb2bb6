/*
 * struct send_conf: the small configuration of a host that has no server and sends by a smart host:
 *
 *     host = smtp.example.com          # needed
 *     port = 587                       # 465 where tls = implicit
 *     tls = verified                   # or implicit, required, off
 *     user = me@example.com
 *     password_file = /etc/veredus/send.password
 *     from = me@example.com            # where a message says nothing else
 *     rewrite_from = yes               # every message leaves as `from`
 *     name = vps.example.com           # how this host calls itself
 *     authorities = /etc/ssl/own.pem   # instead of those of the system
 *
 * Looked for as -F says, then for the user (~/.config/veredus/send.conf), then for all
 * (/etc/veredus/send.conf). Pure but for send_conf_load, which reads the password, too.
 */
#ifndef CLI_SEND_CONF_H
#define CLI_SEND_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    SEND_CONF_MAX = 64 * 1024,
    SEND_PASSWORD_MAX = 4096,
};

struct send_conf {
    struct str host, user, password_file, from, name, authorities;
    uint64_t port;
    unsigned tls; /* enum conf_route_tls */
    bool rewrite_from;
    struct str password; /* of its file */
};

/* `folder`: relative paths begin there. ERR_CONFIG: a line for each mistake in `trouble`. Texts are
 * the arena's. */
struct err send_conf_parse(struct str text, struct str file, struct str folder, struct arena *arena,
                           struct send_conf *conf_r, struct buf *trouble);

/* With the password. ERR_NOT_FOUND: there is no such file. */
struct err send_conf_load(struct str file, struct arena *arena, struct send_conf *conf_r,
                          struct buf *trouble);

#endif
