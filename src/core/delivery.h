/*
 * struct delivery: one commit under construction: a message and every local mailbox it goes into,
 * the notices to list owners that go with it, and the trace of it all. Memory is the arena's, which
 * must live until the commit is done.
 */
#ifndef CORE_DELIVERY_H
#define CORE_DELIVERY_H

#include "core/core.h"
#include "store/message_head.h"
#include "store/op_list.h"
#include "store/trace.h"

enum {
    DELIVERY_NOTICES_MAX = 20, /* lists whose owners are told, of one message */
    DELIVERY_OWNERS_MAX = 8,   /* copies of one notice: an owner may be an alias */
};

struct queue_entry;

struct delivery {
    struct core *core;
    struct arena *arena;
    int64_t now; /* microseconds since 1970 */
    uint64_t message;
    uint64_t *met; /* accounts seen so far */
    size_t met_mask;
    struct copy *copies; /* what is delivered: each account once */
    size_t copy_count;
    bool later; /* its copies are named in its head, and are put into mailboxes at another time
                   (handing.h) */
    struct copy *left_out; /* copies of list members that do not fit or are disabled */
    size_t left_out_count;
    struct trace_event *events;
    size_t event_count, event_room;
    struct op_list ops;
    struct queue_entry *entries; /* that go into the queue (outgoing.h) */
    size_t entry_count;
    struct blob_put blobs[2 + DELIVERY_NOTICES_MAX]; /* its own, its notices', what is with it */
    size_t blob_count;
    struct delivery
        *with; /* another message that is durable with this one or not at all; or NULL */
    struct upload **upload; /* where its owner keeps the upload that a blob takes, or NULL */
};

/* Room for `copies` copies and `events` more events. ERR_NO_MEMORY. */
struct err delivery_init(struct delivery *delivery, struct core *core, struct arena *arena,
                         uint64_t message, size_t copies, size_t events);

/* Each account once; disabled ones and list members over their quota are left out. Takes those that
 * came by a list, or the others, which are to go first: a mailbox that is a recipient itself gets
 * its copy whether or not a list would have left it out. */
void delivery_take_copies(struct delivery *delivery, const struct copy *copies, size_t count,
                          bool of_lists);

/* Room for that many events more. ERR_NO_MEMORY. */
struct err delivery_room_for_events(struct delivery *delivery, size_t more);

/* The next event, to be filled in by the caller; NULL: no room (our sizing was wrong: must). */
struct trace_event *delivery_event(struct delivery *delivery, enum trace_kind kind);

/* Adds a message: its blob (`put` has blob, body or upload; its head is made here from `head`,
 * whose delivered_to is made from the copies) and the operations that put it into each copy's
 * INBOX. Where there is no copy, entries of the queue are to refer to it. ERR_TOO_MANY_RECIPIENTS:
 * more copies than one head can name. */
struct err delivery_put(struct delivery *delivery, struct message_head *head, uint64_t body_octets,
                        struct blob_put put, const struct copy *copies, size_t count);

/* Nearly no message causes a notice, so their room is taken when one is to be made.
 * ERR_NO_MEMORY. */
struct err delivery_room_for_notices(struct delivery *delivery, size_t count);

/* --- Messages of our own (notice.c) ---------------------------------------------------------- */

/* The header of one, its empty line included. */
void delivery_notice_begin(struct delivery *delivery, struct str to, struct str subject,
                           struct buf *text);
/* The mailboxes behind an address that can take one; may yield. */
struct err delivery_notice_copies(struct delivery *delivery, const struct addr *addr,
                                  struct copy **copies_r, size_t *count_r);
/* Adds one, whole, from the null path. `message` lives until the commit is done. */
struct err delivery_text_put(struct delivery *delivery, struct str message,
                             const struct copy *copies, size_t count);

/* The same from a sender, with fields in front of it. */
struct err delivery_own_put(struct delivery *delivery, struct str sender, struct str front,
                            struct str message, const struct copy *copies, size_t count);

/* One notice for each list whose members were left out for their quota, to the list's owner. May
 * yield. */
struct err delivery_notices(struct delivery *delivery);

/* May yield: the trace, then the commit, and what it put into the queue may go; of `with`, too. An
 * upload stays its owner's until the commit has it: then *upload is NULL, whatever becomes of the
 * commit. */
struct err delivery_commit(struct delivery *delivery, const struct addr *sender,
                           const struct addr *recipients, size_t recipient_count, struct str tag);

#endif
