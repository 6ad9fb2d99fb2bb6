/*
 * The people of the simulated server: who lives there, as a text for directory_apply, and the
 * simulator's own table of what each address leads to, written by hand so that it does not come
 * from the code it judges.
 */
#ifndef SIM_PEOPLE_H
#define SIM_PEOPLE_H

#include "core/core.h"

enum {
    PEOPLE_ACCOUNTS = 12,                          /* that a reader may log in to */
    PEOPLE_OUTSIDE = 26,                           /* addresses elsewhere that mail goes to */
    PEOPLE_ALL = PEOPLE_ACCOUNTS + PEOPLE_OUTSIDE, /* that have a bit */
    PEOPLE_ADDRESSES = 54,
    PEOPLE_LOCAL = 28, /* of them, that are not elsewhere themselves */
    PEOPLE_USERS = 3,  /* the last of them: their passwords change (keyring.h), they send mail */
    PEOPLE_FIRST_USER = 9, /* mona */
    PEOPLE_NAMES = 4,      /* by which each of these may log in */
    PEOPLE_OWNER = 1,      /* bob owns the list that has a member with a quota, */
    PEOPLE_MEMBER = 7,     /* ivan */
    PEOPLE_LEAVER = 8,     /* henry comes and goes */
    PEOPLE_CHANGES = 4,
    PEOPLE_STATES = 3,
    PEOPLE_COMMANDS = 2,
};

#define PEOPLE_BIT(i) (UINT64_C(1) << (i))
#define PEOPLE_PASSWORD "secret" /* of all but users */
/* A list with such a member. */
#define PEOPLE_FULL_LIST "crowd@example.test"

struct people_address {
    struct str path;   /* what stands between < and > */
    int reply;         /* to RCPT, when nothing is wrong with the server */
    uint64_t accounts; /* bit i: delivered to people_accounts[i], or sent to people_outside[i -
                          PEOPLE_ACCOUNTS] */
    uint64_t perhaps;  /* bit i: to this one, or its list's owner is told that it is full */
    int change;        /* 1 + its place in people_changes, whose states hold instead */
    bool full;         /* may be refused for its quota */
    bool utf8;         /* needs SMTPUTF8 */
    bool direct;       /* it is elsewhere: 250 to who may relay, else 550 */
};

/* An address that the clerk changes. */
struct people_state {
    int reply;
    uint64_t accounts;
    bool removes;                          /* PEOPLE_LEAVER with all his mail */
    const char *commands[PEOPLE_COMMANDS]; /* that lead there, the next where one fails; none: it
                                              is a configuration of the house */
};

struct people_change {
    struct str path;
    size_t count;
    const char *undo; /* before it is tried again: a list may have been made without its members */
    struct people_state states[PEOPLE_STATES]; /* at first it is in the first one */
};

extern const struct people_change people_changes[PEOPLE_CHANGES];
extern const struct str people_accounts[PEOPLE_ACCOUNTS];
extern const struct people_address people_addresses[PEOPLE_ADDRESSES];

enum {
    PEOPLE_GUEST = 3 /* of a list */
};

/* What is sent there. */
enum people_fate {
    FATE_ANY,
    FATE_SENT,   /* is sent there in the end */
    FATE_FAILED, /* never is */
};

struct people_outside {
    struct str address;
    enum people_fate fate;
    bool policy; /* it is for its TLS policy alone: what may do without is sent */
};

extern const struct people_outside people_outside[PEOPLE_OUTSIDE];

/* -1: none. */
int people_outside_find(struct str address);

/* What user i may call himself. */
extern const struct str people_names[PEOPLE_USERS][PEOPLE_NAMES];

/* For house_do: fills the directory; `arg` points to a struct err for the result. */
void people_move_in(struct core *core, void *arg);

#endif
