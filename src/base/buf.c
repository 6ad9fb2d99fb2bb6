#include "base/buf.h"

#include <unistr.h>

#include "base/must.h"

enum {
    SMALLEST = 128
};

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf)BUF_INIT(max);
}

void buf_done(struct buf *buf)
{
    if (!buf->arena)
        free(buf->p);
    buf_init(buf, buf->max);
}

struct buf buf_in(struct arena *arena, size_t max)
{
    return (struct buf){.arena = arena, .max = max};
}

struct str buf_built(struct buf *buf)
{
    must(buf->arena);
    if (buf->over)
        return str_null();
    if (buf->n == 0)
        return STR("");
    buf->p = arena_resize(buf->arena, buf->p, buf->cap, buf->n);
    buf->cap = buf->n;
    return buf_str(buf);
}

void buf_clear(struct buf *buf)
{
    buf->n = 0;
    buf->over = false;
}

static bool grow_to(struct buf *buf, size_t need)
{
    if (need > buf->max)
        return false;
    size_t cap = buf->cap ? buf->cap : SMALLEST;
    while (cap < need)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    char *p = buf->arena ? arena_resize(buf->arena, buf->p, buf->cap, cap) : realloc(buf->p, cap);
    if (!p)
        return false;
    buf->p = p;
    buf->cap = cap;
    return true;
}

char *buf_room(struct buf *buf, size_t n)
{
    size_t need;
    if (__builtin_add_overflow(buf->n, n, &need) ||
        ((need > buf->cap || !buf->p) && !grow_to(buf, need))) {
        buf->over = true;
        return NULL;
    }
    return buf->p + buf->n;
}

void buf_added(struct buf *buf, size_t n)
{
    must(n <= buf->cap - buf->n);
    buf->n += n;
}

bool buf_put(struct buf *buf, struct str s)
{
    if (s.n == 0)
        return true;
    char *to = buf_room(buf, s.n);
    if (!to)
        return false;
    memcpy(to, s.p, s.n);
    buf->n += s.n;
    return true;
}

bool buf_putc(struct buf *buf, char c)
{
    return buf_put(buf, str_make(&c, 1));
}

bool buf_put_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return buf_put(buf, str_make(digits + at, sizeof(digits) - at));
}

bool buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof(small), format, args);
    must(n >= 0);
    bool done;
    if ((size_t)n < sizeof(small)) {
        done = buf_put(buf, str_make(small, (size_t)n));
    } else {
        /* vsnprintf wants room for its NUL, which is not kept. */
        char *to = buf_room(buf, (size_t)n + 1);
        done = to != NULL;
        if (to) {
            vsnprintf(to, (size_t)n + 1, format, again);
            buf->n += (size_t)n;
        }
    }
    va_end(again);
    return done;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool done = buf_vprintf(buf, format, args);
    va_end(args);
    return done;
}

void buf_drop_front(struct buf *buf, size_t n)
{
    must(n <= buf->n);
    if (n == 0)
        return;
    memmove(buf->p, buf->p + n, buf->n - n);
    buf->n -= n;
}

void buf_cut(struct buf *buf, size_t n)
{
    must(n <= buf->n);
    buf->n = n;
}

static bool is_bidi_control(ucs4_t c)
{
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool put_escaped_char(struct buf *buf, ucs4_t c, struct str as_written)
{
    if (c == '"' || c == '\\') {
        char pair[2] = {'\\', (char)c};
        return buf_put(buf, str_make(pair, 2));
    }
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return buf_printf(buf, "\\x%02x", (unsigned)c);
    if (is_bidi_control(c) || c == 0x2028 || c == 0x2029)
        return buf_printf(buf, "\\u{%x}", (unsigned)c);
    return buf_put(buf, as_written);
}

bool buf_put_escaped(struct buf *buf, struct str text, size_t limit)
{
    bool cut = text.n > limit;
    text = str_head(text, limit);
    while (text.n) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)text.p, text.n);
        bool put = n > 0 ? put_escaped_char(buf, c, str_head(text, (size_t)n))
                         : buf_printf(buf, "\\x%02x", (unsigned char)text.p[0]);
        if (!put)
            return false;
        text = str_from_index(text, n > 0 ? (size_t)n : 1);
    }
    return !cut || buf_put(buf, STR("..."));
}

struct str buf_copy(const struct buf *buf, struct arena *arena)
{
    return buf->over ? str_null() : arena_str(arena, buf_str(buf));
}
