/*
 * A message as our client puts it on the wire (RFC 5321 4.5.2, catalogue S02): streaming, pure, cut
 * anywhere with the same result.
 *
 * Whatever it is fed, what comes out is lines that end in CR LF: a CR or LF that stands alone
 * becomes a space, so that no reader can see a line, and in it a dot, a field or a delimiter, that
 * we did not see; an unended last line is ended. For DATA each leading dot is doubled and the end
 * is CR LF "." CR LF; for BDAT without BINARYMIME the dots stay and the end adds nothing more.
 * A binary message to a peer with BINARYMIME needs none of this. Nothing yields.
 */
#ifndef FORMAT_STUFFING_H
#define FORMAT_STUFFING_H

#include "base/buf.h"
#include "base/str.h"

struct stuffing {
    bool dots;       /* DATA; else BDAT */
    bool line_start; /* the next octet begins a line */
    bool cr;         /* a CR was met whose LF may follow */
    uint64_t octets; /* put so far: also a counting run's result */
};

void stuffing_init(struct stuffing *stuffing, bool dots);
/* Appends to `buf`; NULL: only counts. An overflow shows in buf_over. */
void stuffing_feed(struct stuffing *stuffing, struct str octets, struct buf *buf);
void stuffing_end(struct stuffing *stuffing, struct buf *buf);

#endif
