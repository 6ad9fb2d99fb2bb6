/*
 * What stands in the link of a newsletter by which one member leaves one list (RFC 8058 3.1): both
 * addresses, sealed under a key of ours, in letters and digits. Nobody can make one or read it, and
 * the same two addresses always give the same one. It does not expire: a newsletter may be read
 * years later, and its reader may want to leave then.
 *
 * Sealed is with a synthetic IV, as in RFC 5297, on HMAC-SHA-256: the keyed hash of what is said is
 * also what it is encrypted by. Pure; nothing yields.
 */
#ifndef TRUST_UNSUBSCRIBE_H
#define TRUST_UNSUBSCRIBE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    UNSUBSCRIBE_KEY = 32,          /* octets */
    UNSUBSCRIBE_ADDRESS_MAX = 320, /* octets of an address */
    UNSUBSCRIBE_TOKEN_MAX = 1100,  /* characters */
};

/* Appends the token; the addresses are in addr_print form. False: one is too long, or the buf is
 * full. */
bool unsubscribe_print(const unsigned char key[UNSUBSCRIBE_KEY], struct str list, struct str member,
                       struct buf *to);

/* What a token says, in the arena; in letters of either case. False: it is none of ours, or the
 * arena is full. */
bool unsubscribe_read(const unsigned char key[UNSUBSCRIBE_KEY], struct str token,
                      struct arena *arena, struct str *list_r, struct str *member_r);

#endif
