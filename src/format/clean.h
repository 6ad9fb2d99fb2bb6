/*
 * A stranger's words inside a text or a field of ours: nothing of them can end a line, turn the
 * direction of writing, or be taken for something else than characters. What is kept is kept as it
 * is; every other character is written as \x{N}, N its number in hexadecimal with two digits at
 * least (the form of RFC 6533 3). An octet that belongs to no character counts as the character of
 * its number. Pure; nothing yields.
 */
#ifndef FORMAT_CLEAN_H
#define FORMAT_CLEAN_H

#include "base/buf.h"
#include "base/str.h"

enum clean_to {
    CLEAN_ASCII, /* 0x20 to 0x7e are kept */
    /* Also all others but controls (C0, DEL, C1), bidirectional controls, line and paragraph
     * separators, U+FEFF and what is no character. */
    CLEAN_UTF8,
    /* As CLEAN_ASCII, less space, '\\', '+' and '=': utf-8-addr-xtext. */
    CLEAN_XTEXT,
};

void clean_put(struct buf *buf, struct str text, enum clean_to to);
/* Of a text longer than `limit` octets so many at most, whole characters, and "...". */
void clean_put_some(struct buf *buf, struct str text, size_t limit, enum clean_to to);
/* True where clean_put changes nothing. */
bool clean_is(struct str text, enum clean_to to);

#endif
