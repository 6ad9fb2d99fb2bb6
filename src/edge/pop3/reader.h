/*
 * Sends a message in POP3's form: lines that begin with a dot get another one, a line of one dot
 * ends it. Octets come from core in slabs, are checked there against their sums, and pass through
 * here piece by piece: a session never holds more than READER_SLABS of them.
 */
#ifndef EDGE_POP3_READER_H
#define EDGE_POP3_READER_H

#include "edge/pop3/session.h"

enum {
    READER_SLABS = 4,
    READER_RECORD_MAX = 4 * 1024 * 1024, /* the summary of a message with binary parts */
};

/* All of it. */
#define READER_ALL UINT64_MAX

/*
 * May yield. Sends the message, behind `before` ("+OK ..."), up to `lines` lines of its body.
 * An error before the first octet left nothing sent; later the connection is cut, since the client
 * could not tell a short message from a whole one.
 */
struct err reader_send(struct pop3_session *s, const struct pop3_row *row, uint64_t lines,
                       struct str before);

#endif
