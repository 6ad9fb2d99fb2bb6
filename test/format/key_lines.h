/*
 * What the programs of this folder that build something read: lines "key value", the value text in
 * hexadecimal or a decimal number. Memory is the arena's.
 */
#ifndef TEST_FORMAT_KEY_LINES_H
#define TEST_FORMAT_KEY_LINES_H

#include "base/arena.h"
#include "base/must.h"
#include "base/str.h"

enum {
    KEY_LINE_MOST = 16 << 20,
};

static inline int key_line_digit(char c)
{
    return ascii_is_digit(c) ? c - '0' : c - 'a' + 10;
}

static inline struct str key_line_text(struct arena *arena, struct str hex)
{
    char *to = arena_take(arena, hex.n / 2);
    must(to);
    for (size_t i = 0; i + 1 < hex.n; i += 2)
        to[i / 2] = (char)(key_line_digit(hex.p[i]) * 16 + key_line_digit(hex.p[i + 1]));
    return str_make(to, hex.n / 2);
}

static inline uint64_t key_line_number(struct str value)
{
    uint64_t n;
    must(str_to_u64(value, &n));
    return n;
}

/* The next line of standard input; false at its end. */
static inline bool key_line_next(char *room, struct str *key_r, struct str *value_r)
{
    if (!fgets(room, KEY_LINE_MOST, stdin))
        return false;
    struct str line = str_from(room);
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    *value_r = line;
    *key_r = str_cut(value_r, ' ');
    return true;
}

#endif
