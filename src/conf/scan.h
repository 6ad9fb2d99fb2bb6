/*
 * The words of a configuration file, one after the other, each with its line. Pure: nothing but the
 * text and the arena, in which the words without their quotes and backslashes are put. After
 * TOKEN_BAD scanning goes on behind what was wrong.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "base/arena.h"

enum token_kind {
    TOKEN_WORD,   /* name, 50M, *:25, "in quotes", 'in quotes' */
    TOKEN_EQUALS, /* = */
    TOKEN_OPEN,   /* { */
    TOKEN_CLOSE,  /* } */
    TOKEN_COMMA,  /* , */
    TOKEN_END,    /* of the file */
    TOKEN_BAD     /* `text` says what is wrong */
};

struct token {
    enum token_kind kind;
    struct str text;
    unsigned line; /* from 1 */
    bool quoted;
};

struct scan {
    struct str rest;
    unsigned line;
    struct arena *arena;
};

void conf_scan_init(struct scan *scan, struct str text, struct arena *arena);
struct token conf_scan_next(struct scan *scan);

#endif
