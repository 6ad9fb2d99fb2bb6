/*
 * The three parts of a report, each made by a file of its own: dsn_people.c, dsn_status.c,
 * dsn_original.c; dsn.c puts them together. Not for others: format/dsn.h is.
 */
#ifndef FORMAT_DSN_INSIDE_H
#define FORMAT_DSN_INSIDE_H

#include "format/dsn.h"
#include "format/transfer.h"

struct dsn_part {
    struct str type; /* the value of Content-Type */
    enum transfer transfer;
    struct str octets; /* encoded; p == NULL: there is no such part */
    bool utf8;         /* takes SMTPUTF8 */
};

/* A sentence of dsn_texts.def. */
enum dsn_text {
#define DSN_TEXT(name, english, chinese) DSN_TEXT_##name,
#include "format/dsn_texts.def"
    DSN_TEXTS
};

/* The sentence as it stands, '$' in it. */
struct str dsn_text(enum dsn_text text, enum language language);
/* With `value` in place of '$', as it is. */
void dsn_text_put(struct buf *buf, enum dsn_text text, enum language language, struct str value);

/* The cause of a recipient, said or found. */
enum dsn_cause dsn_recipient_cause(const struct dsn_recipient *recipient);
/* The gravest action of all. */
enum dsn_action dsn_gravest(const struct dsn *dsn);
/* Failed or delayed: there is a cause, and what a server said. */
static inline bool dsn_is_trouble(enum dsn_action action)
{
    return action == DSN_FAILED || action == DSN_DELAYED;
}

/* All live in the arena and are str_null where it is full (arena_over). */
struct dsn_part dsn_people(const struct dsn *dsn, bool whole, struct arena *arena);
struct dsn_part dsn_status(const struct dsn *dsn, struct arena *arena);
/* *whole_r: the body is in it. */
struct dsn_part dsn_original(const struct dsn *dsn, struct arena *arena, bool *whole_r);

#endif
