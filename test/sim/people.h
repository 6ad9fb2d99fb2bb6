/*
 * The people of the simulated server: who lives there, as a text for directory_apply, and the
 * simulator's own table of what each address leads to, written by hand so that it does not come
 * from the code it judges.
 */
#ifndef SIM_PEOPLE_H
#define SIM_PEOPLE_H

#include "core/core.h"

enum {
    PEOPLE_ACCOUNTS = 7, /* that a reader may log in to */
    PEOPLE_ADDRESSES = 16,
};

#define PEOPLE_PASSWORD "secret"

struct people_address {
    struct str path;   /* what stands between < and > */
    int reply;         /* to RCPT, when nothing is wrong with the server */
    uint32_t accounts; /* bit i: delivered to people_accounts[i] */
};

extern const struct str people_accounts[PEOPLE_ACCOUNTS];
extern const struct people_address people_addresses[PEOPLE_ADDRESSES];

/* For house_do: fills the directory; `arg` points to a struct err for the result. */
void people_move_in(struct core *core, void *arg);

#endif
