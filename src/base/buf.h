/*
 * struct buf: the one way to build bytes. It grows up to `max` and no further: what would pass the
 * limit is not added, and `over` says so from then on. The limit sits here, in the buffer, so no
 * call site can forget it; a builder checks buf_over once, at its end.
 *
 * Its memory comes from malloc, and the bytes belong to the buf until buf_done; or from an arena
 * (buf_in), and they live as long as that. buf_str borrows them until the next buf_put.
 * Never yields. Out of memory counts as over.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/arena.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    struct arena *arena; /* where its memory comes from; NULL: malloc */
    bool over;
};

/* An empty buf that may hold `max` bytes; takes no memory until it is used. */
#define BUF_INIT(limit)                                                                            \
    {                                                                                              \
        .max = (limit)                                                                             \
    }
void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
/* An empty buf that grows in an arena: at its newest end without a copy. Its end is buf_built;
 * there is nothing to be buf_done. */
struct buf buf_in(struct arena *arena, size_t max);
/* What was built in an arena, for as long as that lives; str_null where the buf is over. What the
 * buf had taken beyond it goes back. */
struct str buf_built(struct buf *buf);
/* Empties it and keeps its memory. */
void buf_clear(struct buf *buf);

/* All or nothing: on false nothing was added and buf_over is true. */
bool buf_put(struct buf *buf, struct str s);
bool buf_putc(struct buf *buf, char c);
bool buf_put_u64(struct buf *buf, uint64_t value); /* decimal */
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/*
 * Room for n more bytes at the end, or NULL; the caller fills what it likes and says how much with
 * buf_added. The pointer is valid until the next call on this buf.
 */
char *buf_room(struct buf *buf, size_t n);
void buf_added(struct buf *buf, size_t n);

/* Removes the first n bytes. */
void buf_drop_front(struct buf *buf, size_t n);
/* Cuts back to n bytes, n <= buf->n. */
void buf_cut(struct buf *buf, size_t n);

/*
 * A stranger's text made safe inside a quoted value or a reply line: C0, C1, DEL, quotes,
 * backslash, bidirectional controls and bytes that are not UTF-8 are written as \xNN or \u{N};
 * the rest stays. At most `limit` bytes of text are taken, then "..." is added. (Catalogue S28)
 */
bool buf_put_escaped(struct buf *buf, struct str text, size_t limit);

static inline struct str buf_str(const struct buf *buf)
{
    return str_make(buf->p, buf->n);
}

static inline bool buf_over(const struct buf *buf)
{
    return buf->over;
}

/* A copy of the bytes that lives as long as the arena, or str_null (also where the buf is over). */
struct str buf_copy(const struct buf *buf, struct arena *arena);

#endif
