/*
 * Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183): a word or two and parameters.
 *
 * Values may be folded or unfolded. Parameters are kept as written, quotes and backslashes removed;
 * RFC 2231 pieces (name*0*) stay pieces, format/words.h puts them together. An unquoted value goes
 * to the next ';', so that `filename=a b.txt` keeps its space; a comment in it counts only behind
 * white space. What is not name=value is skipped.
 *
 * All strings are copied to the arena. False: the arena is full.
 */
#ifndef FORMAT_CONTENT_H
#define FORMAT_CONTENT_H

#include "base/arena.h"
#include "base/str.h"

struct param {
    struct str name;
    struct str value;
};

struct params {
    const struct param *at;
    uint32_t n;
};

/* A malformed type gives type.p == NULL and no parameters: the field counts as absent
 * (RFC 2045 5.2). Parameters beyond `params_max` are not kept. */
bool content_type_parse(struct str value, uint32_t params_max, struct arena *arena,
                        struct str *type_r, struct str *subtype_r, struct params *params_r);
bool content_disposition_parse(struct str value, uint32_t params_max, struct arena *arena,
                               struct str *disposition_r, struct params *params_r);

/* The value of the first parameter of that name (case ignored), or str_null. */
struct str params_get(struct params params, struct str name);

#endif
