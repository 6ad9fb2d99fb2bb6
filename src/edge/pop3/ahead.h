/*
 * struct ahead: messages that a session was given before it asked for them. A client that empties
 * its mailbox asks for one message behind the other, and each would cost a question to core and
 * two changes of process. So a RETR that follows on the one before it, in number order, reads the
 * next messages with its own, in one question; when half of them are taken the next question is on
 * its way, for twice as many, so that in the long run nobody waits for core.
 *
 * | state | name | what holds | goes to |
 * |---|---|---|---|
 * | A0 | none | session->ahead is NULL: no memory, no slab | A1 by the second RETR in order |
 * | A1 | ready | what is held: none, or slabs with messages whole, one behind the other, in the
 *   order of their numbers | A2 by a RETR in order when half of them are taken; A0 AHEAD_KEEP after
 *   the last such RETR, and at the session's end |
 * | A2 | asked | as A1, and a question is out: its slabs are core's to fill | A1: answered, and
 * what was held is taken or dropped; what came is held then |
 *
 * 1. What is held was found whole and right by core. A message that is gone, damaged, large or to
 *    be re-encoded is never among them: it is read, and its error told, when it is asked for.
 * 2. For one question a session takes AHEAD_SLABS slabs at most, and no more than 1/AHEAD_SHARE of
 *    those that are free: however many sessions read ahead, some are left for who asks for what he
 *    needs now. Nobody waits for a slab to read ahead.
 * 3. A client that stops asking, or reading, holds none AHEAD_KEEP later, or when core has
 * answered.
 * 4. A session does not end in A2: it waits for the answer first.
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

/* A2? */
bool ahead_is_asked(const struct pop3_session *s);
/* May yield. -> A1 */
void ahead_wait(struct pop3_session *s);
/* -> A0, not from A2: when the session ends. */
void ahead_done(struct pop3_session *s);

#endif
