/*
 * What a mailbox session has open beside its log-in (core/login.h): the messages that it will
 * remove, and the one that it reads.
 */
#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H

#include "core/peer.h"
#include "store/mailbox.h"

struct uid_set {
    uint32_t *uids;
    size_t count, room;
};

/* The message that a session reads piece by piece: what its head said, so that the head is read
 * once. Between two messages blob is 0. */
struct reading {
    uint64_t mailbox;
    uint32_t uid;
    blob_id blob;
    uint64_t total;
    bool binary;
    char *prefix; /* its memory stays for the next message */
    size_t prefix_octets, prefix_room;
};

#endif
