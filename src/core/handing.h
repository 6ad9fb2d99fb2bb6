/*
 * Entries whose recipients are accounts here (QUEUE_HERE, store/queue.h): their time has come, and
 * core itself puts them into mailboxes; no courier hears of them. Inside src/core only.
 */
#ifndef CORE_HANDING_H
#define CORE_HANDING_H

#include "core/delivery.h"
#include "core/queue.h"
#include "store/mailbox.h"

struct errand;

/* A recipient who can have it, by his number in the entry. */
struct handed {
    uint64_t account, mailbox;
    struct str address, delivered_to;
    uint32_t recipient; /* in the head */
    uint64_t size;      /* as served */
};

struct handing {
    struct message_head head;
    uint64_t body_octets;
    struct handed *handed; /* one for each recipient; of who cannot have it nothing holds */
};

/* May yield. The errand is over then: its recipients have their copies, or it waits. */
void errand_hand_in(struct errand *errand, const struct queue_entry *entry, struct arena *arena);

/* What puts the copy of this recipient into his mailbox. ERR_NO_MEMORY. */
struct err handing_ops(const struct handing *handing, size_t number,
                       const struct queue_entry *entry, struct delivery *delivery);

#endif
