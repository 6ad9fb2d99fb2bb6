/*
 * Words in other charsets: encoded words (RFC 2047) and extended parameters (RFC 2231), to and from
 * UTF-8.
 *
 * What comes out is well-formed UTF-8 without C0, DEL or C1: a tab becomes a space, every other
 * control and every malformed octet becomes U+FFFD (catalogue M08). Work is linear.
 *
 * us-ascii, utf-8 and iso-8859-1 are done here. Every other charset goes through the converter the
 * caller brings, since glibc's iconv opens files when it first meets a charset, and a role's
 * sandbox is closed by then: open a handle for each of charset_names at the start.
 *
 * Beside the arena and the buf, a call may use a buf of its own, no longer than four times its
 * input. Nothing fails: what cannot be decoded comes out as U+FFFD, or as it was written. A full
 * buf or arena shows in buf_over, arena_over. Nothing yields.
 */
#ifndef FORMAT_WORDS_H
#define FORMAT_WORDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/content.h"

struct charset_converter {
    void *context;
    /* Appends `bytes` as UTF-8; `charset` is one of charset_names. What is malformed it leaves out
     * or replaces. False: it has no such charset. */
    bool (*convert)(void *context, struct str charset, struct str bytes, struct buf *buf);
};

/* The name iconv knows for a label as mail uses it, or str_null: "gb2312" and "gbk" give "GB18030".
 */
struct str charset_name(struct str label);
/* Every name charset_name can give, each once; index from 0; str_null behind the last. */
struct str charset_names(size_t index);

/* Any bytes in a charset as clean UTF-8. `converter` may be NULL. */
void charset_decode(struct str label, struct str bytes, const struct charset_converter *converter,
                    struct buf *buf);

/*
 * An unfolded value with encoded words in it. They are taken wherever they stand; white space
 * between two of them goes; the octets of neighbours in one charset are joined before they are
 * converted, because writers cut characters in two. The arena is for the time of the call.
 */
void words_decode(struct str text, const struct charset_converter *converter, struct arena *arena,
                  struct buf *buf);

/* UTF-8 text as a header value: as it is where it is printable ASCII that looks like no encoded
 * word, else as encoded words in base64 with CR LF and a space between them. */
void words_encode(struct str text, struct buf *buf);

enum {
    WORDS_SEGMENTS_MAX = 1000 /* of one RFC 2231 parameter; the ones beyond are ignored (M06) */
};

/*
 * The value of a parameter: name*, else name*0..., else name (with encoded words, which RFC 2047
 * forbids there and everybody writes). Segments may come in any order; the first of two with one
 * number counts; a gap ends the value. False where there is none.
 */
bool params_decode(struct params params, struct str name, const struct charset_converter *converter,
                   struct arena *arena, struct buf *buf);

#endif
