/*
 * The people of the simulated server: who lives there, as a text for directory_apply, and the
 * simulator's own table of what each address leads to, written by hand so that it does not come
 * from the code it judges.
 */
#ifndef SIM_PEOPLE_H
#define SIM_PEOPLE_H

#include "core/core.h"

enum {
    PEOPLE_ACCOUNTS = 8, /* that a reader may log in to */
    PEOPLE_ADDRESSES = 20,
    PEOPLE_OWNER = 1,  /* bob owns the list that has a member with a quota, */
    PEOPLE_MEMBER = 7, /* ivan */
};

#define PEOPLE_PASSWORD "secret"
/* A list with such a member. */
#define PEOPLE_FULL_LIST "crowd@example.test"

struct people_address {
    struct str path;   /* what stands between < and > */
    int reply;         /* to RCPT, when nothing is wrong with the server */
    uint32_t accounts; /* bit i: delivered to people_accounts[i] */
    uint32_t perhaps;  /* bit i: to this one, or its list's owner is told that it is full */
    bool full;         /* may be refused for its quota */
    bool utf8;         /* needs SMTPUTF8 */
};

extern const struct str people_accounts[PEOPLE_ACCOUNTS];
extern const struct people_address people_addresses[PEOPLE_ADDRESSES];

/* For house_do: fills the directory; `arg` points to a struct err for the result. */
void people_move_in(struct core *core, void *arg);

#endif
