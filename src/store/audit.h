/*
 * The audit: what was decided at the door and by operators, in a chain that shows whether any of it
 * was changed, removed or put in later (doc/access.md, 6). Events are those of trace.def.
 *
 * Events are numbered from 1 without a gap. Each is stored with its link, which is SHA-256 of the
 * link before it (zeroes before the first), its number and its octets: whoever knows the last link
 * knows that all before it are as they were. Days are those of the events, but never go back: an
 * event of a clock that was set back lies on the day of the one before it.
 *
 * Partition AUDIT/(day << 8)
 *   'e' number -> link, event (trace_event_encode)
 * Partition AUDIT/0
 *   'd' day -> {events} of that day (OP_ADD)
 *   'h' -> struct audit_head: where the chain ends
 *   'b' -> struct audit_head: what went before the first event that is kept; absent: nothing did
 *
 * One writer at a time: core, or a command while no server has the store. Times are microseconds
 * since 1970.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "base/sha256.h"
#include "store/engine.h"
#include "store/op_list.h"
#include "store/trace.h"

enum {
    AUDIT_LINK = SHA256_SIZE,
    AUDIT_SLICE = 1000,       /* events removed in one commit of audit_expire */
    AUDIT_TROUBLES_MAX = 100, /* that audit_verify tells one by one */
};

struct audit_head {
    uint64_t number; /* of the last event; 0: none yet */
    uint32_t day;    /* it lies on */
    unsigned char link[AUDIT_LINK];
};

/* May yield. Where the chain ends; all zero in a new store. */
struct err audit_head_read(struct engine *engine, struct audit_head *head_r);

/* The octets of an event, as audit_add wants them. */
void audit_encode(const struct trace_event *event, struct buf *to);

/* Adds an event to a commit and moves the head; the caller goes back to the head it had where the
 * commit fails. `record` is audit_encode's and, as all that is in ops, borrowed until the commit is
 * done. Never yields. */
void audit_add(struct audit_head *head, int64_t time, struct str record, struct arena *arena,
               struct op_list *ops);
/* Once behind the last audit_add of a commit: the new head, on top of the one that is stored. */
void audit_end(const struct audit_head *before, const struct audit_head *head, struct arena *arena,
               struct op_list *ops);
/* Operations of a commit with `count` events, at most. */
size_t audit_ops_count(size_t count);

/* --- Reading (all may yield) ------------------------------------------------------------------ */

struct audit_entry {
    uint64_t number;
    const unsigned char *link; /* AUDIT_LINK octets */
    struct trace_event event;  /* kind TRACE_KIND_COUNT: of a later version */
};

/* Calls `each` for every event from `since` on and before `until`, oldest first. Texts are valid
 * during the call, which may yield; it stops at the first error and gives it back.
 * ERR_STORE_DAMAGED: an event that cannot be read. */
struct err audit_scan(struct engine *engine, int64_t since, int64_t until,
                      struct err (*each)(void *arg, const struct audit_entry *), void *arg);

struct audit_report {
    uint64_t first, last;           /* numbers; 0, 0: no event */
    uint64_t expired;               /* events before the first that were removed in time */
    uint64_t troubles;              /* 0: the chain is whole */
    unsigned char link[AUDIT_LINK]; /* of the last */
    bool named_found;
};

/* Walks the whole chain. `named`: a link that was noted elsewhere (AUDIT_LINK octets), or NULL:
 * named_found says whether it is one of these. `trouble` is told what is wrong, in words, at most
 * AUDIT_TROUBLES_MAX times. */
struct err audit_verify(struct engine *engine, const unsigned char *named,
                        void (*trouble)(void *arg, struct str what), void *arg,
                        struct audit_report *report_r);

/* --- Expiry ----------------------------------------------------------------------------------- */

/* Removes up to AUDIT_SLICE events of the oldest day that is older than `days`. The chain's
 * beginning is noted, so what is left can be verified. *more_r: call again. */
struct err audit_expire(struct engine *engine, int64_t now, uint64_t days, bool *more_r);

#endif
