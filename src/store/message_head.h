/*
 * The head of a message: what we know about a body and keep beside it (engine.h: blob_put.head).
 * One head serves all recipients of a message; each hot record (mailbox.h) says with its
 * `recipient` which of the delivered-to addresses is its own.
 *
 * message_prefix builds the trace fields that are put in front of the body whenever it is read, and
 * never stored in it: Return-Path, Delivered-To, Received (RFC 5321 4.4, RFC 9228). Size as served
 * = prefix + body + served_extra.
 *
 * The record is versioned (FORMAT 1): wire.h, fields in the order of the struct.
 */
#ifndef STORE_MESSAGE_HEAD_H
#define STORE_MESSAGE_HEAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum body_type {
    BODY_7BIT = 0,
    BODY_8BITMIME = 1,
    BODY_BINARYMIME = 2,
};

enum {
    MESSAGE_DELIVERED_MAX = 10000 /* addresses in one head */
};

struct message_head {
    uint64_t message;      /* message id */
    int64_t accepted;      /* microseconds since 1970 */
    uint64_t served_extra; /* octets that reading adds by re-encoding binary parts and by ending the
                              last line; it may be less than none, in two's complement: it is only
                              ever added */
    enum body_type body_type;
    struct str return_path;   /* addr_print form; empty: the null path */
    struct str received;      /* the Received field, CR LF at its end */
    struct str *delivered_to; /* addr_print form, one for each recipient */
    size_t delivered_to_count;
    struct str summary; /* format/summary.h's record */
};

/* Appends the record. Larger than ENGINE_HEAD_MAX: buf_over, if the buf has that limit. */
void message_head_encode(const struct message_head *head, struct buf *to);

/* ERR_STORE_DAMAGED: not a head of ours; ERR_OVER_LIMIT: the arena is full. Texts borrow from
 * `record`, the array is the arena's. Never yields. */
struct err message_head_decode(struct str record, struct arena *arena, struct message_head *head_r);

/* Appends the fields for one recipient. An index beyond the head's addresses (never written by us)
 * leaves Delivered-To out. */
void message_prefix(const struct message_head *head, uint32_t recipient, struct buf *to);
/* The octets message_prefix would append. */
uint64_t message_prefix_size(const struct message_head *head, uint32_t recipient);

#endif
