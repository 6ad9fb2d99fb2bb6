/*
 * struct ahead: messages that a session was given before it asked for them. A client that empties
 * its mailbox asks for one message behind the other, and each would cost a question to core and
 * two changes of process. So a RETR that follows on the one before it, in number order, reads the
 * next messages with its own, in one question, twice as many each time.
 *
 * | state | name | what holds | goes to |
 * |---|---|---|---|
 * | A0 | none | session->ahead is NULL: no memory, no slab | A1 by the second RETR in order |
 * | A1 | empty | no slab | A2 by a RETR in order; A0 AHEAD_KEEP after the last such RETR |
 * | A2 | asked | the slabs are core's to fill; the session's fiber waits for it | A3; A1: nothing
 * came | | A3 | held | the slabs hold `count` messages whole, one behind the other; those from
 * `next` on were not asked for yet | A1: all are taken, a command asks for another message, or
 * AHEAD_KEEP |
 *
 * 1. What is held was found whole and right by core. A message that is gone, damaged, large or to
 *    be re-encoded is never among them: it is read, and its error told, when it is asked for.
 * 2. A session holds AHEAD_SLABS slabs at most, and no more than 1/AHEAD_SHARE of those that were
 *    free: however many sessions read ahead, some are left for who asks for what he needs now.
 * 3. Nobody waits for a slab to read ahead, or holds one of these while he waits for another.
 * 4. A client that stops asking, or reading, holds none AHEAD_KEEP later.
 */
#ifndef EDGE_POP3_AHEAD_H
#define EDGE_POP3_AHEAD_H

#include "edge/pop3/session.h"

enum {
    AHEAD_SLABS = 16,
    AHEAD_SHARE = 16,
    AHEAD_FIRST = 4,               /* messages of the first question in a row, */
    AHEAD_MOST = 32,               /* and of one at most */
    AHEAD_MESSAGE_MAX = 48 * 1024, /* octets of one that is read ahead */
};
#define AHEAD_KEEP NS_PER_SECOND

/* May yield. The client asks for row `number` - 1 by RETR: reads ahead from it on where that
 * follows on the RETR before. An error is none here: the message is then not held. */
void ahead_follow(struct pop3_session *s, uint32_t number);

/* If this message is held, gives its octets to `sink`, piece by piece, and drops it and those
 * before it. Else drops all that is held: false. Never yields; nor may `sink`. */
bool ahead_give(struct pop3_session *s, const struct pop3_row *row,
                void (*sink)(void *arg, struct str piece), void *arg);

/* -> A0, not in A2: when the session ends. */
void ahead_done(struct pop3_session *s);

#endif
