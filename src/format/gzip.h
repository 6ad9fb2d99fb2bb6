/*
 * gzip (RFC 1952) of a text that is there as a whole. Pure: no name and no time goes into it, so
 * the same text gives the same octets. Nothing yields.
 */
#ifndef FORMAT_GZIP_H
#define FORMAT_GZIP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    GZIP_MORE_MAX = 1024, /* octets by which what cannot be compressed grows, up to 4 MB of it */
    GZIP_WORK = 256 << 10 /* octets of the arena that it takes on the way */
};

/* Appends. ERR_NO_MEMORY: the arena has no room, or the buf has not for the worst case. */
struct err gzip_put(struct str text, struct arena *work, struct buf *buf);

#endif
