/*
 * struct mailbox_login: a session of a mailbox protocol, as core sees it: one account, and the
 * handle by which its edge names it. What an edge asks of a handle reaches this account only.
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

struct mailbox_login {
    UT_hash_handle hh;
    uint64_t handle;
    uint64_t account, inbox;
    uint32_t uid_validity;
    uint64_t open; /* mailbox that was opened, or 0 */
    enum listen_protocol protocol;
    struct str address, client;
    struct uid_set expunge; /* of the pages so far */
    struct reading reading;
    struct arena arena; /* the texts */
    size_t holds;
    bool over;
};

struct mailbox_login *login_find(struct peer *peer, uint64_t handle);
void login_hold(struct mailbox_login *login);
void login_release(struct mailbox_login *login);
void login_end(struct peer *peer, struct mailbox_login *login);

#endif
