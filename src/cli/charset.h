/*
 * What a user types and pipes in, as UTF-8. The C library's iconv knows the charsets: GB18030,
 * Big5, Shift_JIS, ISO-2022-JP, windows-1252 and some hundred others, by the names that mail uses
 * and its own. It opens files for that: this is for commands alone, never for a role in its
 * sandbox.
 */
#ifndef CLI_CHARSET_H
#define CLI_CHARSET_H

#include "base/buf.h"

/* "--charset binary": octets of nobody knows which charset, kept as they are. */
#define CHARSET_BINARY "binary"

/* That of the user's locale, as LC_ALL, LC_CTYPE or LANG say; empty where that is UTF-8 or says
 * nothing (C, POSIX). The text is a literal or libc's. */
struct str charset_of_locale(void);

enum charset_end {
    CHARSET_FINE,
    CHARSET_UNKNOWN, /* no charset has that name */
    CHARSET_WRONG,   /* the text is not of that charset: *line_r says where, from 1 */
    CHARSET_NO_ROOM,
};

/* Appends the text as UTF-8, without a byte order mark at its begin. */
enum charset_end charset_convert(struct str name, struct str text, struct buf *to, size_t *line_r);

#endif
