/*
 * A body on its way from an edge to a file: named by the edge's number, until COMMIT takes it or it
 * is dropped.
 */
#ifndef CORE_UPLOAD_H
#define CORE_UPLOAD_H

#include "core/arrived.h"
#include "core/peer.h"

struct upload_slot {
    UT_hash_handle hh;
    uint64_t number; /* the edge's name for it */
    blob_id blob;
    struct upload *upload; /* the engine's; NULL before the first octets */
    uint64_t octets;
    struct header_kept header;
    bool busy;    /* a request works on it */
    bool dropped; /* goes when that request is done */
};

struct upload_slot *upload_find(struct peer *peer, uint64_t number);
/* May yield: out of the peer's sight, with whatever the engine still holds of it. */
void upload_forget(struct peer *peer, struct upload_slot *slot);

#endif
