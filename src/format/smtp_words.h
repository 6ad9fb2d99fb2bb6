/*
 * Words of SMTP commands: ESMTP parameters (RFC 5321 4.1.2 Mail-parameters), the number of SIZE
 * (RFC 1870 3), xtext (RFC 3461 4). Pure; nothing yields.
 */
#ifndef FORMAT_SMTP_WORDS_H
#define FORMAT_SMTP_WORDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    ESMTP_PARAMS_MAX = 64
};

struct esmtp_param {
    struct str key;   /* letters, digits, hyphens; compare without case */
    struct str value; /* p == NULL where there was no '=' */
};

struct esmtp_params {
    struct esmtp_param at[ESMTP_PARAMS_MAX];
    uint32_t n;
};

/*
 * What follows the path: nothing, or a space and KEY[=VALUE] words. Values are kept undecoded and
 * may hold UTF-8 (RFC 6531 3.3). A malformed word, an unknown octet, a key that comes twice or more
 * than 64 words: ERR_COMMAND_SYNTAX. Borrows from `text`.
 */
struct err esmtp_params_parse(struct str text, struct esmtp_params *params_r);
/* The parameter of that key, or NULL. */
const struct esmtp_param *esmtp_params_get(const struct esmtp_params *params, struct str key);

/* ERR_PARAMETER_VALUE unless it is 1 to 20 digits; ERR_MESSAGE_TOO_LARGE past 2^64 - 1. */
struct err esmtp_size_parse(struct str value, uint64_t *size_r);

/*
 * xtext whose content is printable ASCII, which is all that ENVID, ORCPT and AUTH may carry
 * (RFC 3461 4.2, 4.4, RFC 4954 5): an encoded control or 8-bit octet is refused (catalogue S13).
 * ERR_PARAMETER_VALUE; ERR_OVER_LIMIT when the arena is full.
 */
struct err xtext_parse(struct str text, struct arena *arena, struct str *plain_r);
/* The same, but its content may be UTF-8 without controls: what Postfix and others make of an
 * address beyond ASCII, though RFC 6533 3 has another way for it. */
struct err xtext_parse_utf8(struct str text, struct arena *arena, struct str *plain_r);
/* Any octets as xtext. */
void xtext_print(struct buf *buf, struct str plain);

#endif
