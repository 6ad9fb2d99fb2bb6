/*
 * A message for a peer that cannot take it as it is: without 8BITMIME (RFC 6152 3) or without
 * BINARYMIME (RFC 3030 3). The message is read twice, in pieces of any size, the first time to know
 * what must be done, whether it can be done, and the size afterwards, before anything is sent:
 *
 *     if (!downconvert_may_need(&view, to))                  most messages end here
 *         ... send as stored
 *     downconvert_init(&convert, &view, to, &arena);
 *     downconvert_look(&convert, octets);                    the stored message, all of it
 *     e = downconvert_plan(&convert, &verdict);
 *     downconvert_feed(&convert, octets, &buf);              the same again, where DOWNCONVERT_CAN
 *     downconvert_end(&convert, &buf);
 *
 * What is changed: leaves that hold what the peer cannot take (8-bit octets; NUL, a bare CR or LF,
 * a line over 998 octets). Text becomes quoted-printable, all else base64; decoded, it is octet by
 * octet what it was. Content-Transfer-Encoding is replaced or added, MIME-Version added to a
 * message that has none. Multiparts and messages are never encoded but walked, and labelled by
 * what is in them then. What stands before the first and behind the last delimiter of a multipart
 * is read by nobody: '?' takes the place of what the peer cannot take.
 *
 * What is put in front of the message (Received) is the caller's, as are signatures (DKIM), which
 * must be made of what comes out. Memory: the arena's, some 40 octets for each part besides what a
 * plan takes (format/reencode.h). Errors: ERR_OVER_LIMIT, the arena is full. Nothing yields.
 */
#ifndef FORMAT_DOWNCONVERT_H
#define FORMAT_DOWNCONVERT_H

#include "format/encodings.h"
#include "format/reencode.h"

/* What may be sent. */
enum downconvert_to {
    DOWNCONVERT_TO_8BIT, /* lines with 8-bit octets in them: a peer without BINARYMIME */
    DOWNCONVERT_TO_7BIT, /* a peer without 8BITMIME */
};

enum downconvert_verdict {
    DOWNCONVERT_NOT_NEEDED, /* may be sent as it is stored */
    DOWNCONVERT_CAN,
    /* Not possible: to be returned to its sender (5.6.3). */
    DOWNCONVERT_HEADER_8BIT, /* in a header, its own or one inside (RFC 6532) */
    DOWNCONVERT_SIGNED,      /* in a multipart/signed or multipart/encrypted (RFC 1847 2.1) */
    DOWNCONVERT_OPAQUE,      /* in a part that was not looked into or that no one may encode */
};

/* What the looking found in one part. */
struct downconvert_part;

struct downconvert {
    /* Behind downconvert_plan, where DOWNCONVERT_CAN. */
    uint64_t size; /* octets that come out */
    struct reencode_plan plan;

    /* Its own. */
    const struct summary_view *view;
    enum downconvert_to to;
    struct arena *arena;
    struct downconvert_part *parts;
    uint64_t at;            /* octets taken in this run */
    uint32_t part, segment; /* where `at` is */
    uint32_t line_n;        /* octets of the line so far */
    bool cr;
};

/* By what the summary tells alone. True may turn out as DOWNCONVERT_NOT_NEEDED. */
bool downconvert_may_need(const struct summary_view *view, enum downconvert_to to);

struct err downconvert_init(struct downconvert *convert, const struct summary_view *view,
                            enum downconvert_to to, struct arena *arena);
void downconvert_look(struct downconvert *convert, struct str octets);
struct err downconvert_plan(struct downconvert *convert, enum downconvert_verdict *verdict_r);

/* Appends what comes out of these octets; an overflow shows in buf_over. Room for four times the
 * octets and REENCODE_ROOM is enough. */
void downconvert_feed(struct downconvert *convert, struct str octets, struct buf *buf);
void downconvert_end(struct downconvert *convert, struct buf *buf);

/* "8-bit octets in a header": for the trace and the DSN. */
const char *downconvert_verdict_text(enum downconvert_verdict verdict);

#endif
