/*
 * Content-Transfer-Encodings (RFC 2045 6.7, 6.8): base64 and quoted-printable, both ways, in pieces
 * of any size. A feed appends to the buf that is given and inherits its limit; cut the input
 * anywhere, the output is the same. What a decoder meets outside its alphabet it skips or passes on
 * as the RFC says, sets `malformed` and goes on: a reader wants what is there. Nothing yields.
 */
#ifndef FORMAT_ENCODINGS_H
#define FORMAT_ENCODINGS_H

#include "base/buf.h"
#include "base/str.h"

enum {
    ENCODED_LINE = 76 /* characters before the CR LF */
};

/* With lines: CR LF behind every 76 characters and, if anything came, at the end. */
struct base64_encode {
    bool lines;
    unsigned char kept[2];
    uint8_t kept_n;
    uint8_t column;
};

void base64_encode_init(struct base64_encode *encode, bool lines);
void base64_encode_feed(struct base64_encode *encode, struct str bytes, struct buf *buf);
void base64_encode_end(struct base64_encode *encode, struct buf *buf);
/* Octets that n octets become. */
uint64_t base64_encoded_size(uint64_t n, bool lines);
/* At once, without lines. */
void base64_print(struct buf *buf, struct str bytes);

struct base64_decode {
    uint32_t bits;
    uint8_t digits; /* 0..3 of the quantum */
    bool ended;     /* '=' was met: the rest is skipped */
    bool malformed;
};

void base64_decode_init(struct base64_decode *decode);
void base64_decode_feed(struct base64_decode *decode, struct str text, struct buf *buf);
void base64_decode_end(struct base64_decode *decode, struct buf *buf);

/* Strictly, as SASL and keys want it (RFC 4648 3.3 to 3.5): whole quanta with their padding, no
 * other octet, unused bits zero. False: not base64, and the buf may hold a part of it. */
bool base64_parse(struct str text, struct buf *buf);
/* As strictly with the letters of URLs and without padding (RFC 7515 2). What either appends fits
 * into a buf of text.n + 3. */
bool base64url_parse(struct str text, struct buf *buf);

/* Text: a CR LF in the input is a line break; all other CR and LF are encoded. No line that comes
 * out begins with '-': none is a delimiter, wherever lines are broken. */
struct quoted_printable_encode {
    uint8_t column;
    bool cr;    /* a CR was met whose LF may follow */
    char blank; /* a space or tab that may stand at the end of its line */
};

void quoted_printable_encode_init(struct quoted_printable_encode *encode);
void quoted_printable_encode_feed(struct quoted_printable_encode *encode, struct str bytes,
                                  struct buf *buf);
void quoted_printable_encode_end(struct quoted_printable_encode *encode, struct buf *buf);

enum {
    QUOTED_PRINTABLE_BLANKS = 80 /* white space that is held back at the end of a line */
};

struct quoted_printable_decode {
    char held[QUOTED_PRINTABLE_BLANKS]; /* blanks, or an escape that is not whole */
    uint8_t held_n;
    bool malformed;
};

void quoted_printable_decode_init(struct quoted_printable_decode *decode);
void quoted_printable_decode_feed(struct quoted_printable_decode *decode, struct str text,
                                  struct buf *buf);
void quoted_printable_decode_end(struct quoted_printable_decode *decode, struct buf *buf);

#endif
