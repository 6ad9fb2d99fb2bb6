/*
 * Visitors: those who log in, by POP3 or to the submission listener, without more to do there: good
 * users, at home and elsewhere, with what they have or had; and strangers who guess, one after the
 * other or many at once, from an address, from a network, from everywhere. What they are told is
 * access.h's to judge; that whoever is in is in his own mailbox, and whoever is not gets nothing,
 * is looked at here.
 */
#ifndef SIM_VISITOR_H
#define SIM_VISITOR_H

#include "access.h"
#include "dialog.h"

struct sim;

enum {
    VISITORS = 5,
    VISIT_ATTEMPTS = 3, /* in one session */
};

enum visit_asked {
    VISIT_GREETING,
    VISIT_HELLO,
    VISIT_AUTH,
    VISIT_PROBE,   /* something that needs a log-in, without one */
    VISIT_INSIDE,  /* the same, with one */
    VISIT_FOREIGN, /* what is another user's: SMTP */
    VISIT_READ,    /* a message: POP3 */
    VISIT_QUIT,
};

struct visitor {
    struct sim *sim;
    struct fake_event wake, limit;
    uint32_t logins_left, guesses_left;
    bool idle;

    /* The session. */
    struct dialog dialog;
    bool guesses, smtp, in, in_text, lingers, drops;
    int user; /* -1: nobody */
    uint32_t from;
    char address[16];
    int attempts_left;
    enum visit_asked asked;
    struct auth auth;
    struct access_attempt attempt;
    bool attempting; /* and not judged yet */
    int64_t asked_at;
    int64_t in_at;
    uint64_t core_deaths, attempt_deaths; /* when the session began, when he was let in */
    struct buf text;
};

void visitor_open(struct visitor *visitor, struct sim *sim, uint32_t logins, uint32_t guesses);
void visitor_close(struct visitor *visitor);

#endif
