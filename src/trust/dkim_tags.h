/*
 * Tag lists (RFC 6376 3.2): what DKIM's signatures and records are written in. Pure; takes nothing,
 * never yields. What was read borrows from the text; white space in the middle of a value stays.
 */
#ifndef TRUST_DKIM_TAGS_H
#define TRUST_DKIM_TAGS_H

#include "base/str.h"

enum {
    DKIM_TAGS_MAX = 64 /* of a list */
};

struct dkim_tag {
    struct str name, value; /* without white space around them */
};

struct dkim_tags {
    struct dkim_tag list[DKIM_TAGS_MAX];
    size_t count;
};

/* False: it has not the form of one, names a tag twice (then it must not be used at all), or has
 * more than DKIM_TAGS_MAX. */
bool dkim_tags_parse(struct str text, struct dkim_tags *tags_r);

/* The value of a tag, which may be empty, or str_null. Names have case. */
struct str dkim_tag(const struct dkim_tags *tags, struct str name);

/* Is it one of the values of a list with colons (h=, s=, t=)? */
bool dkim_tag_lists(struct str value, struct str one);

#endif
