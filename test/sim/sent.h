/*
 * struct sent: how much users submitted, judged against the limits of their accounts. The counter
 * slides (store/sending.h): what was accepted in this hour of UTC counts whole, what was in the one
 * before in proportion to what of that is still in; the day in the same way. When a message was
 * decided is known between its last octet and its reply, so sums are taken both ways: of what
 * surely counts no more than a limit is accepted, and nothing is refused while all that may count
 * leaves room. A repetition counts once, and nobody knows in which hour.
 */
#ifndef SIM_SENT_H
#define SIM_SENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* As house_conf.c configures them. */
    SENT_PER_HOUR = 12,
    SENT_PER_DAY = 20,
};

struct sim;

struct sent_message {
    int user;
    uint64_t recipients;
    int64_t since, until; /* hours since 1970 in which it was decided, at the earliest and latest */
    bool sure;
};

struct sent {
    struct sim *sim;
    struct sent_message *messages;
    size_t count, room;
    uint64_t accepted, refused;
};

void sent_open(struct sent *sent, struct sim *sim);
void sent_close(struct sent *sent);
/* `said_at`: mono, of its last octet. `sure`: it was accepted now, and is no repetition. */
void sent_message(struct sent *sent, int user, uint64_t recipients, int64_t said_at, bool sure);
/* So many recipients are too much, says the server. */
void sent_refused(struct sent *sent, int user, uint64_t recipients);

#endif
