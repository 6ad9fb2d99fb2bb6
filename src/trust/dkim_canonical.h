/*
 * The two canonical forms of a message's parts (RFC 6376 3.4): what a DKIM signature is over, for
 * who signs and for who verifies. Header fields are whole when they come; a body comes in pieces of
 * any size, and is cut anywhere without a difference.
 *
 * Lines end in CR LF. A CR or LF alone is an octet like others: it ends no line and is no blank. A
 * last line without an end gets one, as it does on the wire (RFC 6376 3.4.3, 3.4.4). An empty body
 * is CR LF in the simple form and nothing in the relaxed one.
 *
 * A body's state is a value of a few words, however many empty lines or blanks are held back in it.
 * Nothing is taken, nothing yields. Each octet is looked at a bounded number of times; what comes
 * out is at most two octets longer than what came in.
 */
#ifndef TRUST_DKIM_CANONICAL_H
#define TRUST_DKIM_CANONICAL_H

#include "base/buf.h"
#include "base/str.h"

enum dkim_canonical {
    DKIM_SIMPLE,
    DKIM_RELAXED
};

/* --- Header (3.4.1, 3.4.2) -------------------------------------------------------------------- */

/* Appends a field's canonical form; `whole` with its CR LF, as struct header_field has it. The
 * relaxed form ends in CR LF, the simple one is what came. */
void dkim_header_canonical(enum dkim_canonical canonical, struct str whole, struct buf *to);

/* --- Body (3.4.3, 3.4.4) ---------------------------------------------------------------------- */

/* Where canonical octets go, in order; they are valid during the call. */
struct dkim_sink {
    void (*put)(void *arg, struct str octets);
    void *arg;
};

struct dkim_body {
    enum dkim_canonical canonical;
    uint64_t ends; /* of lines, held back: nothing but empty lines came behind the first of them */
    bool blank;    /* blanks, held back: they may stand at the end of their line */
    bool cr;       /* a CR, whose LF may follow */
    bool any;      /* something went to the sink: the body is not empty */
};

void dkim_body_begin(struct dkim_body *body, enum dkim_canonical canonical);
void dkim_body_feed(struct dkim_body *body, struct str octets, const struct dkim_sink *sink);
/* Once; begin begins anew. */
void dkim_body_end(struct dkim_body *body, const struct dkim_sink *sink);

#endif
