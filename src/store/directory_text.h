/*
 * The directory as text: the syntax alone. A text is blocks; a block is a kind, the address (or
 * domain) it is about, and settings between braces:
 *
 *     # a comment, to the end of the line
 *     account "bob@example.test" {
 *         name = "Bob"
 *         quota = 2G
 *     }
 *
 * Texts stand in quotes, where \" and \\ are a quote and a backslash; numbers and yes/no may stand
 * without. Bytes above 0x7f must be UTF-8; control characters but tab and line end are refused.
 * Inside src/store only. Never yields; nothing but the arena is taken.
 */
#ifndef STORE_DIRECTORY_TEXT_H
#define STORE_DIRECTORY_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/directory.h"

enum {
    TEXT_FIELDS_MAX = 100100, /* settings of one block: a list with all its members */
    TEXT_VALUE_MAX = 1024,    /* octets of one value */
};

struct text_field {
    struct str name, value;
    unsigned line;
};

struct text_block {
    struct str kind, title;
    unsigned line;
    struct text_field *fields;
    size_t count;
};

struct text_reader {
    struct str rest;
    unsigned line;
    struct arena *arena;
};

struct text_reader text_reader(struct str text, struct arena *arena);

/* The next block. ERR_NOT_FOUND: none is left. ERR_CONFIG: the detail, in the arena, says the line
 * and what was expected there. ERR_OVER_LIMIT: the arena is full. */
struct err text_next(struct text_reader *reader, struct text_block *block_r);

/* A text with quotes around it. */
void text_quote(struct buf *to, struct str text);

/* "2G" and back; false for what is no size, or too large. */
bool text_to_size(struct str text, uint64_t *size_r);
void text_put_size(struct buf *to, uint64_t size);

/* A size above 0, "none" (QUOTA_NONE) or "default" (0), and back. A bare 0 would be read as either.
 */
bool text_to_quota(struct str text, uint64_t *quota_r);
void text_put_quota(struct buf *to, uint64_t quota);

/* "smtp,pop3,imap" in any order, "all" or "none", and back: enum directory_service. */
bool text_to_services(struct str text, uint8_t *services_r);
void text_put_services(struct buf *to, uint8_t services);

/* "en", "zh" or "default", and back. */
bool text_to_language(struct str text, enum account_language *language_r);
struct str text_of_language(enum account_language language);

/* "line N: words", in the arena. */
struct str text_trouble(struct arena *arena, unsigned line, const char *words, struct str about);

#endif
