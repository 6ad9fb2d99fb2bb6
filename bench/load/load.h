/*
 * load: the generator that drives every server of the bench, sink, peers and Veredus alike: the
 * same program, the same settings, the same messages. Each process is one epoll loop; the processes
 * share nothing but their results, which the parent adds up and prints as one JSON object.
 *
 * Modes: smtp and lmtp send, pop3 reads, mixup logs in and out, idle and drip hold connections
 * open. bench/ is no part of the product, so unlike everything under src/ it makes system calls
 * where it needs them.
 *
 * Times are nanoseconds of the monotonic clock.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "base/must.h"
#include "base/str.h"
#include "latency.h"

enum {
    LOAD_PROCESSES_MAX = 64,
    LOAD_FAILURES_MAX = 1000, /* connections that fail before a process gives up, */
    LOAD_REFUSALS_MAX = 200,  /* and messages that are refused */
    LOAD_DOMAIN_MAX = 64,
};

enum load_mode {
    LOAD_SMTP,
    LOAD_LMTP,
    LOAD_POP3,
    LOAD_MIXUP,
    LOAD_IDLE,
    LOAD_DRIP
};

struct load {
    enum load_mode mode;
    uint16_t port;
    uint64_t processes;
    uint64_t sessions;   /* connections at a time, in all processes together */
    uint64_t messages;   /* to send; mixup: log-ins; pop3: that were sent, from `first` on */
    uint64_t first;      /* the number of the first message */
    uint64_t size;       /* octets of a message, header included */
    uint64_t recipients; /* of one message */
    uint64_t accounts;   /* the recipients are spread over them */
    uint64_t each;       /* messages for each connection, 0: all; pop3: times each is read */
    uint64_t rate;       /* messages a second, in all; 0: as fast as it goes */
    uint64_t window;     /* pop3: RETR commands under way; drip: seconds for each octet */
    bool one_by_one;     /* no PIPELINING even where it is offered */
    bool verify;         /* pop3: compare every octet with what was sent */
    bool remove;         /* pop3: delete what was read */
    bool spread;         /* idle, drip: from many addresses of 127.0.0.0/8 */
    const char *password;
    const char *domain; /* smtp: of the recipients */
    uint64_t domains;   /* smtp: more than 1: they are spread over d000.DOMAIN and so on */
};

/* What one process has done; in memory that it shares with the parent. */
struct load_result {
    uint64_t done;         /* messages acknowledged, or read */
    uint64_t refused;      /* messages that were not */
    uint64_t failed;       /* connections that broke, or were not to be had */
    uint64_t late;         /* messages that began more than a millisecond after their time */
    uint64_t octets;       /* of messages */
    uint64_t held;         /* connections that stand, in idle and drip */
    uint64_t damaged;      /* pop3: messages that are not what was sent */
    int64_t begun;         /* first connection; pop3: first RETR */
    int64_t ended;         /* last acknowledgement, or last octet read */
    struct latency answer; /* final dot to reply; RETR to the end of the text */
};

/* One process's share of the work. */
struct load_share {
    const struct load *load;
    struct load_result *result;
    uint8_t *copies;   /* pop3: how often each message was read; shared by all processes */
    uint64_t index;    /* which of load->processes */
    uint64_t sessions; /* of this process */
    uint64_t from, to; /* message numbers (pop3: accounts) */
};

/* Each does its share and returns true, or says on stderr why it cannot and returns false. */
bool load_send(const struct load_share *share);
bool load_read(const struct load_share *share);
bool load_mix_up(const struct load_share *share);
bool load_hold(const struct load_share *share); /* until it is killed */

int64_t load_now(void);

/* The account that recipient `copy` of a message goes to. Neighbours are scattered, so that they do
 * not lie side by side in anybody's index; one message's recipients differ as long as there are
 * accounts enough. */
uint64_t load_account(const struct load *load, uint64_t number, uint64_t copy);

#define LOAD_ADDRESS "u%06llu@bench.test"

#endif
