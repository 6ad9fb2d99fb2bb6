/*
 * Mistakes in configurations, as a person is told them: a line each, with what was expected and the
 * nearest known name. They are counted beyond CONF_TROUBLE_MOST, and told no more.
 */
#ifndef CONF_MISTAKES_H
#define CONF_MISTAKES_H

#include "conf/conf.h"

enum {
    MISTAKE_MOST = 2048,
    NAME_SHOWN = 60, /* octets of a name in a message */
};

struct mistakes {
    struct buf *to;
    struct buf line; /* the one that is being written */
    size_t count;
};

void mistakes_init(struct mistakes *mistakes, struct buf *to);
/* Says how many were left out. */
void mistakes_done(struct mistakes *mistakes);

/* "FILE:LINE: ", to be gone on with and ended by mistake_end. */
struct buf *mistake_begin(struct mistakes *mistakes, struct str file, unsigned line);
void mistake_end(struct mistakes *mistakes);

/* "smtp.hops", "list.office.networks", "hostname". title: str_null where there is none. */
void mistake_name(struct buf *to, const char *section, struct str title, struct str name);

/* The nearest of those tried, if it is near enough to be meant. */
struct nearest {
    struct str meant;
    struct str best; /* null: none */
    unsigned least;
};

struct nearest nearest_begin(struct str meant);
void nearest_try(struct nearest *nearest, struct str name);
/* "; did you mean NAME?" */
void nearest_put(const struct nearest *nearest, struct buf *to);

#endif
