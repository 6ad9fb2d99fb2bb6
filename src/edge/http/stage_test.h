/*
 * A stage for tests and fuzzers of HTTP: an edge in the fake world, and at the other end of its
 * link a core that answers by rule.
 */
#ifndef EDGE_HTTP_STAGE_TEST_H
#define EDGE_HTTP_STAGE_TEST_H

#include "edge/http/session.h"
#include "edge/tls_stage_test.h"
#include "sys/fake/fake.h"

enum {
    WEB_SLABS = 4,
};

struct web_core {
    struct link link;
    bool up;
    int pool;
    struct tls_core tls;
    size_t looks, leaves; /* what was asked about "good" */
    bool fails;           /* each question is answered with TRY_LATER */
};

struct web_stage {
    struct fake_world *fake;
    int edge_role, core_role;
    struct loop edge_loop, core_loop;
    struct log log;
    struct fiber_pool *fibers;
    struct edge edge;
    struct arena conf_arena;
    struct conf conf;
    struct web_core core;
};

void web_open(struct web_stage *stage, const char *conf, uint64_t seed);
void web_close(struct web_stage *stage);

/* By the listener's name: "http", "https". */
struct fake_client *web_connect(struct web_stage *stage, const char *name, const char *address);
/* Sends in pieces of at most `piece` octets, settles behind each, and adds what the server says. */
void web_send(struct web_stage *stage, struct fake_client *client, struct str bytes, size_t piece,
              struct buf *replies);
void web_settle(struct web_stage *stage);
void web_pass(struct web_stage *stage, int64_t ns);

/* From now on there is a certificate. */
void web_core_certifies(struct web_stage *stage);

#endif
