/*
 * The sender rewriting scheme: who forwards a message becomes its sender, so that SPF of the domain
 * it came from does not forbid the next hop, and what bounces finds its way back.
 *
 *   bob@a.example, forwarded      SRS0=HHHHHH=TT=a.example=bob@ours
 *   SRS0=...@b.example            SRS1=HHHHHH=b.example==...@ours    back to b.example's own SRS0
 *   SRS1=HH=b.example==...@c      SRS1=HHHHHH=b.example==...@ours    the way back skips c
 *
 * H is a keyed hash (HMAC-SHA-256, base32), so that nobody can make us send to whom he likes; T the
 * day, base32, of 1024. Hash and keywords are read in any case, and the hash is over lower case:
 * servers on the way fold local parts. Two keys: what was made with the one before is still taken
 * back.
 *
 * Pure: the clock is given, in seconds since 1970. Never yields. Results live in the arena;
 * ERR_OVER_LIMIT where it is full.
 */
#ifndef TRUST_SRS_H
#define TRUST_SRS_H

#include "format/addr.h"

enum {
    SRS_KEY = 32,  /* octets */
    SRS_DAYS = 21, /* how long a rewritten sender is taken back, if nothing else is said: what a
                      queue on the way and a person's absence may take */
    SRS_DAYS_MAX = 500, /* T comes around after 1024 */
};

struct srs_keys {
    unsigned char now[SRS_KEY];
    unsigned char before[SRS_KEY];
    bool has_before;
};

/* Is it of this form, "SRS0" or "SRS1" and a separator: one for srs_reverse, if its domain is ours?
 */
bool srs_is(struct str local);

/*
 * The sender that a forwarded message gets; `domain` is ours. The null path stays what it is. What
 * begins with SRS0 or SRS1 but has not its form is an address like others.
 * ERR_SENDER_SYNTAX with a literal detail: the local part would have more than 64 octets.
 */
struct err srs_forward(const struct srs_keys *keys, const struct addr *sender, struct str domain,
                       int64_t now, struct arena *arena, struct addr *sender_r);

/*
 * To whom a message to a rewritten sender of ours goes; `days`: how old it may be. A day in the
 * future is taken: clocks differ. Its letters may be folded to lower case on the way.
 * ERR_MAILBOX_UNKNOWN with a literal detail: not of the form, not made by us, or too old.
 */
struct err srs_reverse(const struct srs_keys *keys, const struct addr *recipient, int64_t now,
                       unsigned days, struct arena *arena, struct addr *original_r);

#endif
