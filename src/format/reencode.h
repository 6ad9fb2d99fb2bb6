/*
 * Messages with binary parts (RFC 3030 BINARYMIME) as a client without them must get them
 * (RFC 3030 3, RFC 6152): every leaf whose Content-Transfer-Encoding is binary, and every leaf
 * whose octets are no lines of text whatever its label says (summary.h: unfit), is served in
 * base64, everything else as it is stored. Made from the summary alone; the body is read only while
 * it is served, so the size as served is known before.
 *
 * A plan is a list of segments, in order, that together are the message as served:
 *   REENCODE_LITERAL  our own octets (a Content-Transfer-Encoding field, changed or new)
 *   REENCODE_RAW      octets of the stored message as they are
 *   REENCODE_BASE64   octets of the stored message in base64, CR LF behind every 76 characters but
 *                     not behind the last: the CR LF that follows belongs to the delimiter (where
 *                     the message ends there, a literal CR LF follows)
 *   REENCODE_QUOTED   octets of the stored message in quoted-printable; only in plans of changes
 *
 * Multiparts and messages labelled binary get the label 8bit or 7bit, whichever is true of what is
 * then in them as far as the summary tells. A part that the summary could not look into is encoded
 * whole. A leaf that says nothing of its encoding gets a field of ours at the end of its header,
 * the message itself also a MIME-Version where it has none; its type stays what it was, text/plain
 * where it has no Content-Type (RFC 2045 5.2). What began behind the last allowed part has no
 * header that the summary knows: it gets one, as application/octet-stream.
 */
#ifndef FORMAT_REENCODE_H
#define FORMAT_REENCODE_H

#include "base/arena.h"
#include "base/err.h"
#include "format/summary.h"

enum reencode_kind {
    REENCODE_LITERAL,
    REENCODE_RAW,
    REENCODE_BASE64,
    REENCODE_QUOTED,
};

struct reencode_segment {
    enum reencode_kind kind;
    uint32_t start, length; /* in the stored message */
    struct str literal;
    uint64_t served; /* octets it becomes; REENCODE_QUOTED: 0 */
    uint32_t part;   /* of what is encoded: the index of its part */
};

struct reencode_plan {
    const struct reencode_segment *segments;
    uint32_t count;
    uint64_t served; /* the size of all of them, where none is REENCODE_QUOTED */
};

/* What is to be done with one part. */
struct reencode_change {
    struct str label; /* whole fields, in the place of the one below; n == 0: nothing is labelled */
    uint32_t label_start, label_length; /* length 0: at the end of the header */
    enum reencode_kind body;            /* REENCODE_RAW: stays */
};

/* True where some part needs it; the message can be served as stored where not. */
bool reencode_needed(const struct summary_view *view);
/* ERR_OVER_LIMIT when the arena is full. The plan lives in the arena. */
struct err reencode_plan(const struct summary_view *view, struct arena *arena,
                         struct reencode_plan *plan_r);
/* The same for changes of the caller's, one for each part: format/downconvert.h. */
struct err reencode_plan_changes(const struct summary_view *view,
                                 const struct reencode_change *changes, struct arena *arena,
                                 struct reencode_plan *plan_r);

#endif
