/*
 * The arguments of XCLIENT and XFORWARD (Postfix' XCLIENT_README and XFORWARD_README): NAME=VALUE
 * words, values in xtext, by which a trusted filter or proxy says whose mail it passes on. Pure;
 * nothing yields.
 */
#ifndef FORMAT_XCLIENT_H
#define FORMAT_XCLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    XCLIENT_VALUE_MAX = 255, /* octets of a decoded value */
    XCLIENT_ADDRESS = 46,    /* of an address as text, with its NUL */
};

enum xclient_name {
    XCLIENT_NAME, /* host name of the client */
    XCLIENT_ADDR, /* its address: "192.0.2.1", "IPV6:2001:db8::1" */
    XCLIENT_PORT,
    XCLIENT_PROTO, /* SMTP or ESMTP */
    XCLIENT_HELO,
    XCLIENT_LOGIN,    /* XCLIENT only */
    XCLIENT_DESTADDR, /* XCLIENT only: the address it connected to */
    XCLIENT_DESTPORT, /* XCLIENT only */
    XCLIENT_IDENT,    /* XFORWARD only: the message's id there */
    XCLIENT_SOURCE,   /* XFORWARD only: LOCAL or REMOTE */
    XCLIENT_NAMES,
};

struct xclient {
    bool given[XCLIENT_NAMES];
    /* p == NULL: not given, [UNAVAILABLE] or [TEMPUNAVAIL]. Addresses as inet_ntop prints them, an
     * IPv4-mapped one as IPv4. */
    struct str value[XCLIENT_NAMES];
};

/* ERR_COMMAND_SYNTAX: a word that is none, no name of this command, a name that stands twice, or
 * none at all. ERR_PARAMETER_VALUE: a value that is too long, no xtext of printable ASCII, or none
 * of what its name wants. The detail is a literal. ERR_OVER_LIMIT: the arena is full. */
struct err xclient_parse(struct str text, bool forward, struct arena *arena,
                         struct xclient *xclient_r);

/* The names that the command takes, each behind a space, as EHLO announces them. */
void xclient_names_print(bool forward, struct buf *to);
/* What was given, as name="value" words with "forwarded_" in front, escaped. */
void xclient_facts_print(const struct xclient *xclient, struct buf *to);

#endif
