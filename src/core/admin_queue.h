/*
 * The operator's commands on the queue: what is looked for, and what is told of an entry. Inside
 * src/core only.
 *
 *   admin_queue_find.c     ids and filters; the walk over all entries
 *   admin_queue.c          list, show
 *   admin_queue_top.c      top
 *   admin_queue_change.c   hold, release, retry, remove, reroute, pause, resume
 *
 * An entry's id is that of its message and its number, "01j9x3k2m7q4r.0"; the message's alone means
 * all of its entries.
 *
 * A walk goes over the entries on the disk in their order, a page at a time, and lets others have
 * their turn behind each; what becomes of an entry meanwhile changes nothing about the others, so
 * each that is there throughout is met once.
 */
#ifndef CORE_ADMIN_QUEUE_H
#define CORE_ADMIN_QUEUE_H

#include "core/admin_command.h"
#include "core/queue_change.h"
#include "format/message_id.h"

enum {
    QUEUE_ID_TEXT = MESSAGE_ID_TEXT + 11, /* ".4294967295" */
    QUEUE_VIEW_WHY = 1024,
};

enum queue_state {
    QUEUE_STATE_WAITING,
    QUEUE_STATE_DUE,
    QUEUE_STATE_UNDER_WAY,
    QUEUE_STATE_HELD,
    QUEUE_STATES
};

/* What an entry is doing now. */
struct queue_view {
    enum queue_state state;
    const char *reason; /* one word, as --reason takes it */
    struct str why;     /* a sentence */
    int64_t next;       /* wall; 0: nobody knows */
    char text[QUEUE_VIEW_WHY];
};

/* Never yields. `why` lies in the view itself. */
void queue_view(const struct admin_call *call, const struct queue_entry *entry,
                struct queue_view *view);
const char *queue_state_word(enum queue_state state);
void queue_id_put(struct buf *to, const struct queue_entry *entry);

/* What is asked for, all of it together. A null text asks for nothing. */
struct queue_wanted {
    struct queue_name *ids; /* rising */
    bool *whole;            /* of each id: the message's, so all its entries */
    size_t id_count;
    size_t unknown; /* of the ids: how many a walk found nothing for, */
    struct queue_name first_unknown;
    struct str sender, recipient, domain; /* '*' stands for any octets; "" for the null sender */
    struct str reason;
    int64_t before, since; /* accepted; 0: whenever */
    uint64_t account;      /* 0: anybody's */
    int state;             /* enum queue_state; -1: any */
    uint64_t limit;
    bool filtered; /* anything was asked for but a limit */
};

/* From the call's words and options; says what is wrong. 0 or the exit code. May yield. */
int queue_wanted_read(struct admin_call *call, struct queue_wanted *wanted);

/* May yield, as `each` may: each entry that is wanted, which lives until `each` returns. False ends
 * the walk. */
struct err queue_walk(struct admin_call *call, struct queue_wanted *wanted,
                      bool (*each)(void *arg, const struct queue_entry *entry,
                                   const struct queue_view *view),
                      void *arg);

/* Behind a walk: says which of the ids there is not. 0 or the exit code. */
int queue_unknown_tell(struct admin_call *call, const struct queue_wanted *wanted);

/* "*@far.test" */
bool queue_pattern_fits(struct str pattern, struct str text);

struct queue_hand queue_hand_of(const struct admin *admin);

#endif
