/*
 * Fields of a header as we write them (RFC 5322 2.2): folded at HEADER_LINE columns where a space
 * allows it, never beyond HEADER_LINE_MAX octets, CR LF behind. Whatever a value holds, it is one
 * field: controls in it become '?' (in header_put_text a space). An overflow shows in buf_over.
 * Nothing yields.
 */
#ifndef FORMAT_HEADER_PRINT_H
#define FORMAT_HEADER_PRINT_H

#include "base/buf.h"
#include "base/str.h"

enum {
    HEADER_LINE = 78,      /* RFC 5322 2.1.1: should */
    HEADER_WORD_LINE = 76, /* with encoded words in it, RFC 2047 2 */
    HEADER_LINE_MAX = 998, /* must */
};

/* A structured value as it is; octets above 127 stay. */
void header_put(struct buf *buf, struct str name, struct str value);
/* Text: UTF-8 that is not plain ASCII becomes encoded words (RFC 2047). */
void header_put_text(struct buf *buf, struct str name, struct str text);
/* "name: Alice <a@b.example>"; the address as it is written, `display` quoted or encoded as needed;
 * an empty one, and the angle brackets, are left out. */
void header_put_mailbox(struct buf *buf, struct str name, struct str display, struct str address);

/* One mailbox as an item of a list that stands at *column, which it moves; a comma and, where it is
 * needed, a fold come first, but for the first one. */
void header_add_mailbox(struct buf *buf, bool first, struct str display, struct str address,
                        size_t *column);

#endif
