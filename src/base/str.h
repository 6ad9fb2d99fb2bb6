/*
 * struct str: bytes that somebody else owns. The one slice type: passed by value, never
 * NUL-terminated, any octet allowed. A str is valid as long as what it points into.
 *
 * An empty str may have any p. "No value" is a str with p == NULL (str_null).
 * Letters are folded in ASCII only; nothing here knows a locale.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/banned.h"

struct str {
    const char *p;
    size_t n;
};

/* For a string literal; its length is known to the compiler. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* The same in a static initialiser. */
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
/* For printf: printf("%.*s", STR_FMT(s)). Only for text we made ourselves or escaped. */
#define STR_FMT(s) (int)(s).n, (s).p

static inline struct str str_make(const void *p, size_t n)
{
    return (struct str){p, n};
}

static inline struct str str_null(void)
{
    return (struct str){NULL, 0};
}

/* From a C string at the edge of libc; NULL gives str_null. */
struct str str_from(const char *cstring);
/* A copy with a NUL behind it, the caller's to free. NULL: no memory. Octets behind a NUL in it are
 * not seen by who reads it as text. */
char *str_to_cstring(struct str s);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);
int str_cmp(struct str a, struct str b); /* bytewise, shorter first: <0, 0, >0 */
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ends_nocase(struct str s, struct str suffix);

/* The part from byte `from` on, or the first `n` bytes; both clamp to what is there. */
struct str str_from_index(struct str s, size_t from);
struct str str_head(struct str s, size_t n);

/* Index of the first (last) `c`, or -1. */
ssize_t str_index(struct str s, char c);
ssize_t str_last_index(struct str s, char c);
/* Index of the first occurrence of `what`, or -1; an empty `what` is found at 0. */
ssize_t str_find(struct str s, struct str what);

/*
 * Cuts `*rest` at the first `c`: returns what stood before it and moves *rest behind it. Without a
 * `c` the whole of *rest is returned and *rest becomes str_null.
 */
struct str str_cut(struct str *rest, char c);

/* Without leading and trailing spaces and tabs. */
struct str str_trim(struct str s);

/* Decimal digits only, no sign, no space, no overflow; false leaves *value alone. */
bool str_to_u64(struct str s, uint64_t *value);

/* True if every byte is in 0x20..0x7e. */
bool str_is_printable_ascii(struct str s);
bool str_is_ascii(struct str s);
/* Well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing above U+10FFFF. */
bool str_is_utf8(struct str s);

/* FNV-1a, 64 bits: the same on every machine, so it may be stored; not against somebody who chooses
 * the bytes. */
uint64_t str_hash(struct str s);

/* Equal without telling by time where two secrets differ; lengths are not secret. Whatever is
 * compared with a password, a hash, a key, a proof or a MAC is compared here (test/layers.py). */
bool str_eq_secret(struct str a, struct str b);

/* Zeroes the octets of a secret, for certain. They must be the caller's to change. */
void str_wipe(struct str s);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

#endif
