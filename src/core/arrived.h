/*
 * The header of a message that a COMMIT brings, for what core itself has to read in it: marks of
 * loops, what is signed, what a report returns. It is read from the first octets, wherever the body
 * is; the body itself stays opaque. Inside src/core only. Nothing yields.
 */
#ifndef CORE_ARRIVED_H
#define CORE_ARRIVED_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    HEADER_KEPT_MAX = 256 * 1024, /* octets; of a longer header the first are read */
};

/* Collects a header from octets that come in pieces: all up to its empty line, and no more. Zero
 * but for `text`, which has the limit, begins it. */
struct header_kept {
    struct buf text;
    bool whole; /* the empty line was there, or no more is kept */
};

/* ERR_NO_MEMORY. */
struct err header_keep(struct header_kept *kept, struct str octets);

struct request;
struct upload_slot;

/* Of the message that the request commits: copied into the arena, empty line included where there
 * is one. `slot`: its upload, or NULL. ERR_BUS_BROKEN: slabs out of range; ERR_NO_MEMORY. */
struct err arrived_header(const struct request *request, const struct upload_slot *slot,
                          struct arena *arena, struct str *header_r);

#endif
