/*
 * A message for a peer that cannot take it as it is: without 8BITMIME (RFC 6152 3) or without
 * BINARYMIME (RFC 3030 3). The message is read several times, in pieces of any size: first to know
 * what must be done and whether it can be done, before anything is sent:
 *
 *     summary_init, _feed, _end, summary_read_back    where no summary is at hand
 *     if (!downconvert_may_need(&view, to))           most messages end here
 *         ... send as stored
 *     downconvert_init(&convert, &view, to, &arena);
 *     downconvert_look(&convert, octets);             the whole of it
 *     e = downconvert_plan(&convert, &verdict);
 *
 * then, where the verdict is DOWNCONVERT_CAN, once with buf NULL to know the size, if it matters,
 * and once to send:
 *
 *     downconvert_begin(&convert);
 *     downconvert_feed(&convert, octets, &buf);       the same octets again
 *     downconvert_end(&convert, &buf);                convert.octets have come out
 *
 * What is changed: leaves that hold what the peer cannot take (8-bit octets; NUL, a bare CR or LF,
 * a line over 998 octets). Text becomes quoted-printable, all else, and text with NUL in it,
 * base64; decoded, it is octet by octet what it was. What was encoded already, but not well, is
 * decoded before. Content-Transfer-Encoding is replaced or added, MIME-Version added to a message
 * that has none. Multiparts and messages are never encoded but walked, and labelled by what is in
 * them then. What stands before the first and behind the last delimiter of a multipart is read by
 * nobody: '?' takes the place of what the peer cannot take.
 *
 * A bare CR or LF that is in no leaf stays: format/stuffing.h, which follows, takes it out. What is
 * put in front of the message (Received) may be part of it, or the caller's own. Signatures (DKIM)
 * must be made of what comes out.
 *
 * Memory: the arena's, some 150 octets for each part. Errors: ERR_OVER_LIMIT, the arena is full.
 * Nothing yields.
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

enum {
    /* Of a feed's piece at most this is looked at in one step. */
    DOWNCONVERT_STEP = 512,
    /* What one octet can become, and room beside it: labels, delimiters. */
    DOWNCONVERT_TIMES = 8,
    DOWNCONVERT_MORE = 1024,
};

struct downconvert_part;
struct downconvert_region;

/* A header line of a part, as far as its name is needed. */
struct downconvert_line {
    char name[32];
    uint8_t n;     /* of `name`; sizeof(name): too long for any that is looked for */
    bool named;    /* the colon was met */
    bool in_label; /* of the first Content-Transfer-Encoding */
};

struct downconvert {
    uint64_t octets; /* that came out in this run */

    /* Its own. */
    const struct summary_view *view;
    enum downconvert_to to;
    struct arena *arena;
    struct downconvert_part *parts;
    struct downconvert_region *regions;
    uint32_t region_count;
    struct reencode_plan plan;
    bool cleans; /* some preamble or epilogue must be cleaned */

    uint64_t at; /* octets taken in this run */
    uint32_t region, segment;
    uint32_t column; /* octets of the line so far */
    bool cr;
    struct downconvert_line line;

    bool begun; /* the encoders are of this segment */
    struct base64_decode base64_in;
    struct quoted_printable_decode quoted_in;
    struct base64_encode base64_out;
    struct quoted_printable_encode quoted_out;
    bool held;    /* a CR LF of base64 that is put only if more follows */
    bool in_line; /* the last octet put ended no line */
};

/* By what the summary tells alone. True may turn out as DOWNCONVERT_NOT_NEEDED. */
bool downconvert_may_need(const struct summary_view *view, enum downconvert_to to);

struct err downconvert_init(struct downconvert *convert, const struct summary_view *view,
                            enum downconvert_to to, struct arena *arena);
void downconvert_look(struct downconvert *convert, struct str octets);
struct err downconvert_plan(struct downconvert *convert, enum downconvert_verdict *verdict_r);

void downconvert_begin(struct downconvert *convert);
/* Appends what comes out of these octets; an overflow shows in buf_over. Room for DOWNCONVERT_TIMES
 * the octets and DOWNCONVERT_MORE is enough. NULL: only counts. */
void downconvert_feed(struct downconvert *convert, struct str octets, struct buf *buf);
void downconvert_end(struct downconvert *convert, struct buf *buf);

/* "8-bit octets in a header": for the trace and the DSN. */
const char *downconvert_verdict_text(enum downconvert_verdict verdict);

#endif
