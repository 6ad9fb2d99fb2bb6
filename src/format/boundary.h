/*
 * The boundary of a multipart (RFC 2046 5.1.1): one that occurs nowhere in the parts, whatever they
 * hold and whoever wrote them to hit it. "=_" is in it, so no part in quoted-printable or base64
 * needs to be looked at. Linear in the size of the parts, a dozen times at the very worst. Nothing
 * yields.
 */
#ifndef FORMAT_BOUNDARY_H
#define FORMAT_BOUNDARY_H

#include "base/buf.h"
#include "base/str.h"

enum {
    BOUNDARY_MAX = 2 + 16 + 17 /* octets; RFC 2046 allows 70 */
};

/* Appends it, without "--" and quotes. `unique` makes it differ from that of other messages: a
 * Message-ID; the same values give the same boundary. */
void boundary_put(struct buf *buf, struct str unique, const struct str *parts, size_t count);

#endif
