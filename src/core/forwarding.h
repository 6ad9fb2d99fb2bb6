/*
 * Mail that is sent on in the name of its sender (doc/sending.md, 6 and 7): by an alias, a moved
 * user's forward or an account's. It leaves with a sender of ours (SRS, trust/srs.h), so that SPF
 * of the domain it came from does not forbid it; what bounces comes back here and goes on to whom
 * it belongs; and a mark (trust/loop_marker.h) tells us when the same message comes again for the
 * same address. The keys of both lie in core->forward (store/forward_keys.h).
 *
 * Inside src/core only.
 */
#ifndef CORE_FORWARDING_H
#define CORE_FORWARDING_H

#include "core/core.h"
#include "store/queue.h"

/* The keys as they are to be: of core_open, and of its duties. May yield. Errors of the engine. */
struct err forwarding_keys(struct core *core);

/* May yield. Does a message of this sender, sent on, need a sender of ours? Not one of the null
 * path or of a domain of ours. Errors of the engine. */
struct err forwarding_rewrites(struct core *core, const struct addr *sender, struct arena *arena,
                               bool *rewrites_r);

/*
 * The envelope sender that a job has. Of an entry with QUEUE_FORWARDED: rewritten, in the domain of
 * the address here that forwards, as of now; a try next week has another one. Where that cannot be
 * (a local part that would be too long), the entry's own. In the arena.
 */
struct str forwarding_sender(const struct core *core, const struct queue_entry *entry,
                             struct arena *arena);

/* Is it an address that only forwarding_back knows? May yield. Errors of the engine. */
struct err forwarding_is_back(struct core *core, const struct addr *addr, struct arena *arena,
                              bool *is_back_r);

/*
 * May yield. A message to a rewritten sender: whom it goes on to, here or elsewhere, in resolved_r
 * (RESOLVED_FOUND). Only what has the null path itself goes back: whoever found out such an address
 * could else send us mail for somebody elsewhere with it. ERR_MAILBOX_UNKNOWN: for that reason, not
 * made by us, or too old; errors of directory_resolve.
 */
struct err forwarding_back(struct core *core, const struct addr *addr, bool null_path,
                           struct arena *arena, struct resolved *resolved_r);

#endif
