/*
 * Text for people in lines of a plain part: broken where its script allows a break (UAX 14), wide
 * characters counted as two columns, so that Chinese is broken as well as English. Nothing yields.
 */
#ifndef FORMAT_PARAGRAPH_H
#define FORMAT_PARAGRAPH_H

#include "base/buf.h"
#include "base/str.h"

enum {
    PARAGRAPH_COLUMNS = 76
};

/* Appends `text`, clean UTF-8 without ends of line (format/clean.h), each line behind `indent`
 * spaces and with CR LF. What has no place to be broken stays in one line. `breaks` is emptied, and
 * needs room for an octet for each of the text; where it has less nothing is broken. */
void paragraph_put(struct buf *buf, struct str text, size_t indent, struct buf *breaks);

#endif
