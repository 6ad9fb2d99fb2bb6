/*
 * How octets travel in a part of ours (RFC 2045 6): what they are is looked at, and the plainest
 * Content-Transfer-Encoding that fits is chosen. Pure; nothing yields.
 */
#ifndef FORMAT_TRANSFER_H
#define FORMAT_TRANSFER_H

#include "base/buf.h"
#include "base/str.h"

enum transfer {
    TRANSFER_7BIT,
    TRANSFER_8BIT,
    TRANSFER_QUOTED_PRINTABLE,
    TRANSFER_BASE64,
};

enum {
    TRANSFER_LINE_MAX = 998 /* octets of a line without its CR LF, RFC 5321 4.5.3.1.6 */
};

/* What octets are, looked at in pieces of any size; all zero before the first. */
struct transfer_look {
    uint64_t size, above_ascii;
    uint64_t line, longest; /* octets of the line now, and of the longest */
    bool cr;                /* a CR was the last octet */
    bool unfit;             /* NUL, or CR or LF alone: not lines of text */
};

void transfer_look(struct transfer_look *look, struct str octets);
/* Behind the last octet: is it lines of text that need no encoding (but for octets above 127)? */
bool transfer_is_lines(const struct transfer_look *look);

/* Without TRANSFER_8BIT: 7bit where it can be, quoted-printable where most of it stays readable,
 * else base64. */
enum transfer transfer_choose(const struct transfer_look *look);
/* "7bit", "quoted-printable" ... */
struct str transfer_word(enum transfer transfer);
/* The octets so encoded; text that is encoded has lines with CR LF. */
void transfer_put(struct buf *buf, struct str octets, enum transfer transfer);

#endif
