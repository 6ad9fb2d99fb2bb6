/*
 * The summary of a message: what IMAP's ENVELOPE, BODYSTRUCTURE and header fetches and POP3's
 * re-encoding need, built in the one pass in which the bytes arrive, kept beside the body, read
 * back without the body.
 *
 *     summary_init(&s, &arena, &limits);
 *     summary_feed(&s, bytes);            any number of times, cut anywhere
 *     struct err e = summary_end(&s);
 *     summary_print(&s, &buf);
 *
 * The same bytes give the same record, however they were cut. The builder keeps no message bytes
 * but what it records and the line it reads; all memory is the arena's (an ordinary message takes a
 * few KB), which must outlive it. Work is counted in `steps`, about one for each octet looked at,
 * and stays within three times the size of the message whatever the message says.
 *
 * What is a line: it ends at CR LF and nowhere else, so a binary part may hold NUL and bare LF.
 * What ends a header: the first empty line, a delimiter of an enclosing multipart, or the end of
 * the message; a line without a field name does not (catalogue M11).
 * What is a delimiter (RFC 2046 5.1.1): a line of "--", boundary, perhaps "--", perhaps white
 * space, and nothing else. A line that fits several open multiparts belongs to the outermost.
 * A part's body ends before the CR LF in front of the delimiter.
 *
 * Limits: a top-level header over them is an error; everything else degrades: a multipart or
 * message at the depth limit is an opaque leaf, what begins after the last allowed part is one
 * opaque rest that reaches to the end of the message, parameters beyond the limit are not kept,
 * values of headers of parts are cut. Nothing yields.
 */
#ifndef FORMAT_SUMMARY_H
#define FORMAT_SUMMARY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "format/content.h"

enum {
    SUMMARY_VERSION = 1,
    SUMMARY_DEPTH_MAX = 100,
    SUMMARY_BOUNDARY_MAX = 200, /* octets; RFC 2046 says 70 */
    SUMMARY_PARAMETERS_MAX = 1000,
    SUMMARY_LINE_MAX = 998,              /* octets without CR LF that 7bit and 8bit allow */
    SUMMARY_FIELD_NAME_MAX = 255,        /* a longer name is recorded as empty */
    SUMMARY_PART_HEADER_KEPT = 16 << 10, /* octets of values kept from the header of one part */
    SUMMARY_ARENA_MAX = 5 << 20,         /* enough for any message within the default limits */
};

struct summary_limits {
    uint32_t fields;       /* of the top-level header */
    uint32_t header_bytes; /* of the top-level header without its empty line */
    uint32_t depth;        /* of a part; at most SUMMARY_DEPTH_MAX */
    uint32_t parts;        /* at most UINT16_MAX - 1; one opaque rest may follow */
    uint32_t parameters;   /* of one field, RFC 2231 segments counted singly; at most 1000 */
    uint32_t record_bytes; /* summary_print never passes it; at least 512 KB for the defaults */
};

#define SUMMARY_LIMITS_DEFAULT                                                                     \
    {                                                                                              \
        .fields = 1000, .header_bytes = 256 << 10, .depth = SUMMARY_DEPTH_MAX, .parts = 10000,     \
        .parameters = 1000, .record_bytes = 512 << 10                                              \
    }

enum summary_flag {
    SUMMARY_HAS_NUL = 1 << 0,
    SUMMARY_HAS_BARE_CR = 1 << 1,
    SUMMARY_HAS_BARE_LF = 1 << 2,
    SUMMARY_HAS_8BIT = 1 << 3,
    SUMMARY_HEADER_HAS_CONTROL = 1 << 4, /* NUL, bare CR or bare LF in the top-level header */
    SUMMARY_HEADER_HAS_8BIT = 1 << 5,
    SUMMARY_HEADER_MALFORMED = 1 << 6, /* a line without a field name, or "Name :" */
    SUMMARY_HEADER_UNENDED = 1 << 7,   /* no empty line: the message has no body */
    SUMMARY_HAS_REST = 1 << 8,         /* the parts limit was met */
    SUMMARY_FROM_AMBIGUOUS = 1 << 9,   /* "From :", or a header that begins with a folded line */
};

enum envelope_field {
    ENVELOPE_DATE,
    ENVELOPE_SUBJECT,
    ENVELOPE_FROM,
    ENVELOPE_SENDER,
    ENVELOPE_REPLY_TO,
    ENVELOPE_TO,
    ENVELOPE_CC,
    ENVELOPE_BCC,
    ENVELOPE_IN_REPLY_TO,
    ENVELOPE_MESSAGE_ID,
    ENVELOPE_FIELDS,
};

/* Raw values, unfolded and trimmed, of the first field of each name; p == NULL where there is
 * none. Any octet may be in them. */
struct summary_envelope {
    struct str value[ENVELOPE_FIELDS];
};

struct summary_field {
    struct str name; /* as written; empty for a line that has no field name */
    uint32_t start;  /* in the message */
    uint32_t length; /* with its continuation lines and CR LF */
};

enum part_kind {
    PART_LEAF,
    PART_MULTIPART, /* children are its parts; there may be none */
    PART_MESSAGE,   /* message/rfc822 or message/global: one child, whose header is the message's */
    PART_OPAQUE,    /* not looked into, whatever its type says: show application/octet-stream */
};

enum content_word {
    CONTENT_TYPE, /* null where Content-Type is absent or malformed: see summary_part_type */
    CONTENT_SUBTYPE,
    CONTENT_ENCODING,
    CONTENT_ID,
    CONTENT_DESCRIPTION,
    CONTENT_MD5,
    CONTENT_DISPOSITION,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    CONTENT_WORDS,
};

/* The Content-* fields of a part; the first of each name. Words but the type, the subtype and the
 * disposition are raw values, with their comments and case. */
struct summary_content {
    struct str word[CONTENT_WORDS]; /* p == NULL where absent */
    struct params type_params;
    struct params disposition_params;
};

struct summary_part {
    uint32_t parent; /* index; the root's is its own, 0 */
    uint32_t header_offset;
    uint32_t body_offset;
    uint32_t body_length;
    uint32_t lines; /* CR LF in the body */
    uint16_t depth; /* the root's is 0 */
    uint8_t kind;   /* enum part_kind */
    bool in_digest; /* its type without Content-Type is message/rfc822 */
    bool unfit;     /* a leaf that is not lines: NUL, bare CR or LF, a line over SUMMARY_LINE_MAX */
    /* The first Content-Transfer-Encoding field with its lines, where it says binary or the part is
     * unfit; else 0. */
    uint32_t encoding_start, encoding_length;
    struct summary_content *content;   /* NULL where there is no Content-* field */
    struct summary_envelope *envelope; /* where its header is that of a message, else NULL */
};

struct summary_chunk; /* parts and fields in the order they came */
struct summary_frame;

/* Text that grows in the arena by doubling. */
struct summary_text {
    char *p;
    size_t n;
    size_t cap;
};

struct summary {
    /* May be read between calls. */
    struct err error; /* the first error; everything after it is ignored */
    uint64_t size;    /* octets fed */
    uint64_t steps;
    uint32_t flags;                    /* enum summary_flag */
    uint32_t longest_line;             /* octets without CR LF */
    uint32_t hops;                     /* Received fields at the top */
    uint32_t from_count;               /* From fields at the top */
    uint32_t header_length;            /* with its empty line, once it was read; before that 0 */
    struct summary_envelope *envelope; /* of the message itself */

    /* The builder's own. */
    struct arena *arena;
    struct summary_limits limits;
    struct summary_chunk *parts, *last_parts;
    struct summary_chunk *fields, *last_fields;
    uint32_t part_count, field_count;
    size_t record_used; /* octets of the record so far */

    struct summary_frame *frames; /* open parts, the root first */
    uint32_t frame_count, frame_cap;
    uint8_t boundary_order[SUMMARY_DEPTH_MAX + 1]; /* frames with a boundary, sorted by it */
    uint32_t boundary_count;
    bool in_header; /* of the innermost open part */
    bool in_rest;   /* nothing is looked for any more */

    struct summary_text line; /* of the current line what is needed, if it came in pieces */
    uint64_t line_start;
    uint64_t line_length; /* octets so far, CR LF included */
    uint64_t lines;       /* ended by CR LF so far */
    char last_octet;

    const struct wanted_field *wanted; /* the field being kept */
    struct summary_text value;
    size_t header_kept; /* octets of values kept from this header */
    struct summary_field *field;
};

/* Begins; `limits` is copied. */
void summary_init(struct summary *summary, struct arena *arena,
                  const struct summary_limits *limits);
/* The error, if any, is sticky: ERR_HEADER_TOO_LARGE, ERR_MESSAGE_TOO_LARGE (4 GiB), ERR_OVER_LIMIT
 * (the arena is full). */
struct err summary_feed(struct summary *summary, struct str bytes);
struct err summary_end(struct summary *summary);
/* After summary_end without error. */
void summary_print(const struct summary *summary, struct buf *buf);

/* A record read back; everything borrows from the record or lives in the arena. */
struct summary_view {
    uint32_t size;
    uint32_t header_length;
    uint32_t flags;
    uint32_t longest_line;
    uint32_t hops;
    uint32_t from_count;
    const struct summary_field *fields;
    uint32_t field_count;
    const struct summary_part *parts; /* a part stands behind its parent, siblings in order */
    uint32_t part_count;              /* at least 1 */
    uint8_t preview_version;          /* 0: not made */
    struct str preview;
    uint8_t search_version; /* 0: not made */
    struct str search;
};

/*
 * The record is checked as a stranger's: counts, offsets, nesting (each part strictly inside its
 * parent's body), order. ERR_STORE_DAMAGED where it does not hold or the version is not known,
 * ERR_OVER_LIMIT where the arena is full: about 350 octets for each part, SUMMARY_ARENA_MAX for any
 * record.
 */
struct err summary_parse(struct str record, struct arena *arena, struct summary_view *view_r);

/* Of a message that was just summarised: printed and parsed in the arena. After summary_end without
 * error. ERR_OVER_LIMIT. */
struct err summary_read_back(const struct summary *summary, struct arena *arena,
                             struct summary_view *view_r);

/* Type and subtype with their defaults: text/plain, in a digest message/rfc822 (RFC 2046 5.1.5),
 * for an opaque part application/octet-stream. */
void summary_part_type(const struct summary_part *part, struct str *type_r, struct str *subtype_r);
/* One of the Content-* words, str_null where absent. */
struct str summary_part_word(const struct summary_part *part, enum content_word word);

#endif
