/*
 * A newsletter: one message for each member of a list, with that member alone in To and a link of
 * his own to leave (RFC 8058). The message is kept once; what differs, the signatures included,
 * stands in front of it in each member's entry of the queue.
 *
 *   newsletter_put    it is durable, and begins
 *   newsletters_open  those that a core before left unfinished go on
 *
 * An issue goes through its list in slices of up to NEWSLETTER_SLICE members, each one commit: the
 * entries, and how far it came. So a crash costs nobody his message and gives nobody two. Members
 * are looked at when their slice comes: who has left meanwhile gets nothing. A member here gets a
 * message of his own in his mailbox, and the message's octets are kept once more for him.
 *
 * Inside src/core only. On a fiber; all may yield.
 */
#ifndef CORE_NEWSLETTER_H
#define CORE_NEWSLETTER_H

#include "core/core.h"

enum {
    NEWSLETTER_SLICE = 50,
    NEWSLETTER_MAX = 200 << 10, /* octets of a message */
};

/*
 * `text`: header and body, lines in CR LF, without To, Cc, Bcc and List-*. *id_r names the issue.
 * NOT_FOUND: no such list. With a detail for the operator: MESSAGE_FROM, MESSAGE_TOO_LARGE,
 * USAGE (a field that is ours to write, bare newlines), NOT_ALLOWED (nobody could leave, since
 * no HTTP is configured; or no key signs for its author's domain), TRY_LATER (NEWSLETTERS_MAX are
 * under way).
 */
struct err newsletter_put(struct core *core, const struct addr *list, struct str text,
                          struct arena *arena, uint64_t *id_r);

/* Behind queue_open. */
struct err newsletters_open(struct core *core);

#endif
