/*
 * A stage for tests and fuzzers of POP3: an edge in the fake world, and at the other end of its
 * link a core with one mailbox, which remembers what it was asked. Who may log in stands in
 * edge/login_core_test.h.
 */
#ifndef EDGE_POP3_STAGE_TEST_H
#define EDGE_POP3_STAGE_TEST_H

#include "edge/login_core_test.h"
#include "edge/pop3/session.h"
#include "edge/tls_stage_test.h"
#include "sys/fake/fake.h"

enum {
    BOX_SLABS = 64,
    BOX_PAGE = 2000,
};

struct box_message {
    struct str stored; /* prefix and body */
    uint64_t prefix;
    struct str summary;
    uint64_t size; /* as served */
    bool gone, binary;
    bool hidden; /* not read ahead */
};

/* What the scripted core has and was asked. UIDs are places in `messages`, from 1. */
struct box_core {
    struct link link;
    bool up;
    int pool;
    char *slabs;
    struct arena arena;
    struct box_message *messages;
    size_t count, room;
    struct login_core access;
    bool takes_back; /* the next log-in that goes well ends in the same packet */
    struct tls_core tls;
    struct msg_uid *marked;
    size_t marked_count;

    uint64_t
        give; /* octets of one answer to fetch, at most, and then nothing ahead; 0: what fits */
    size_t dies_at;      /* the fetch (1 ..) behind which core is gone; 0: none */
    size_t damaged_at;   /* the fetch that fails */
    size_t ahead_most;   /* messages of one answer to fetch_ahead; 0: what fits */
    uint32_t ahead_lies; /* octets that it claims and did not give */
    bool dies_ahead;     /* behind the next fetch_ahead core is gone */
    bool ahead_late;     /* the next fetch_ahead is answered by box_core_go_on */
    struct msg late;     /* that question, in late_arena */
    struct arena late_arena;
    enum err_code expunge_error;
    size_t fetches, expunges;
    size_t aheads, read_ahead; /* questions, messages */
};

struct box_stage {
    struct fake_world *fake;
    int edge_role, core_role;
    struct loop edge_loop, core_loop;
    struct log log;
    struct fiber_pool *fibers;
    struct edge edge;
    struct arena conf_arena;
    struct conf conf;
    struct box_core core;
};

void box_open(struct box_stage *stage, const char *conf, const struct fake_settings *settings,
              uint64_t seed);
void box_close(struct box_stage *stage);

/* A message whose first `prefix` octets are the prefix; the text is borrowed. */
void box_add(struct box_stage *stage, struct str stored, uint64_t prefix);

struct fake_client *box_connect(struct box_stage *stage, const char *address);
/* The same, by the listener's name: "pop3", "pop3s". */
struct fake_client *box_connect_to(struct box_stage *stage, const char *name, const char *address);
/* Sends in pieces of at most `piece` octets, settles behind each, and adds what the server says. */
void box_send(struct box_stage *stage, struct fake_client *client, struct str bytes, size_t piece,
              struct buf *replies);
/* Everything the server says until it waits for us. */
void box_receive(struct box_stage *stage, struct fake_client *client, struct buf *replies);
void box_settle(struct box_stage *stage);
void box_pass(struct box_stage *stage, int64_t ns);

void box_core_die(struct box_stage *stage);
void box_core_start(struct box_stage *stage);
/* From now on there is a certificate. */
void box_core_certifies(struct box_stage *stage);
/* Core says that this log-in is over. */
void box_core_ends_login(struct box_stage *stage, uint64_t handle);
/* What is late is answered. */
void box_core_go_on(struct box_stage *stage);

#endif
