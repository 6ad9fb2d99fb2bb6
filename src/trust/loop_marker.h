/*
 * A mark of our own in a message that we forward: "this message went through here to that address
 * once". Comes the same message for the same address again, it is in a loop, though all Received
 * fields were taken away (catalogue S24).
 *
 *   Veredus-Loop: v1 TOKEN
 *
 * TOKEN is a keyed hash (HMAC-SHA-256, base32 of 20 octets) of what names the message and of the
 * address that forwards: nobody can make one, nor learn from one for whom it was. What names a
 * message are its first Message-ID, Date and From, and, as a message that a person sends on is
 * another one, its first Resent-Message-ID and Resent-Date; white space in them does not matter.
 *
 * Pure, never yields, takes nothing.
 */
#ifndef TRUST_LOOP_MARKER_H
#define TRUST_LOOP_MARKER_H

#include "base/buf.h"
#include "base/sha256.h"
#include "base/str.h"

enum {
    LOOP_KEY = 32,        /* octets */
    LOOP_TOKEN = 32,      /* characters */
    LOOP_FIELD = 64,      /* octets of the field, CR LF and all, at most */
    LOOP_MARKS_MAX = 100, /* marks of a message that are looked at */
};

struct loop_keys {
    unsigned char now[LOOP_KEY];
    unsigned char before[LOOP_KEY]; /* what it marked is still recognised */
    bool has_before;
};

/* What a message's header says, read once for all its recipients. Borrows the header. */
struct loop_marks {
    unsigned char message[SHA256_SIZE]; /* what names it */
    struct str tokens[LOOP_MARKS_MAX];
    size_t count;
    bool too_many; /* each mark is a server that forwarded it: with more than LOOP_MARKS_MAX it
                      counts as in a loop */
};

/* `headers`: from the first field to the empty line or the end. Looks at each octet once or twice,
 * whatever they are. */
void loop_marks_read(struct str headers, struct loop_marks *marks_r);

/* Did we send this message on to this address before? `address`: the one here that forwards, in the
 * form of addr_print; case is ignored. */
bool loop_marks_found(const struct loop_marks *marks, const struct loop_keys *keys,
                      struct str address);

/* Appends the field for a message that `address` forwards, with its CR LF. */
void loop_mark_print(const struct loop_marks *marks, const struct loop_keys *keys,
                     struct str address, struct buf *to);

#endif
