/*
 * A stage for tests and fuzzers: a courier in the fake world; at the end of one link a core that
 * orders jobs, gives their content and notes what it hears; at the end of the other a resolver with
 * a table; and hosts to connect to, which are the test's (fake_host).
 *
 * What core hears is noted as lines of `said`:
 *   jobs 7 8(dotted)        behind hello, what is under way
 *   dot 7
 *   over 7 later|... trouble=N dotted=N reports=N host=H
 *   sts d.example 1 age=86400 version: STSv1; ...    an MTA-STS policy that it learnt
 *   result 1 sent 250 2.0.0 text        below it, one for each recipient
 *   session dane mx.d.example certificate-expired mx.d.example 192.0.2.8 192.0.2.1 why | 3 1 1 ...;
 *       below those, where core `counts`: what a TLS report tells; "ok" instead of the failure
 *   posted 204 why          what became of a POST
 *   looked well pkix=certificate-expired dane= said=greeting tls=TLSv1.3 ... why=
 *   sts_looked sts-policy-invalid why | version: STSv1; ...
 *   collection_ended 5
 * Results are recorded at once, unless `keeps_nothing`.
 */
#ifndef COURIER_STAGE_TEST_H
#define COURIER_STAGE_TEST_H

#include "courier/courier.h"
#include "sys/fake/fake.h"

enum {
    STAGE_SLABS = 64,
    STAGE_JOBS = 64,
    STAGE_NAMES = 256, /* of the resolver's table */
    STAGE_BODY_MAX = 16 << 20,
    STAGE_SAID_MAX = 4 << 20,
};

struct stage_name {
    char *name;
    uint16_t type;
    bool fails, bogus, secure;
    struct buf rdata[8];
    char *target; /* of a CNAME */
    size_t count;
};

struct stage_core {
    struct link link;
    bool up;
    struct loop loop;
    int role, pool;
    char *slabs;
    struct buf body;       /* of every job */
    bool mute;             /* fetches are not answered */
    bool forgot;           /* they are answered by NOT_FOUND */
    bool keeps_nothing;    /* results are not recorded */
    bool half;             /* of what is asked for is given */
    bool counts;           /* sessions are noted */
    struct link_call call; /* of stage_ask */
    struct msg question, answer;
    struct arena arena;
    bool asks;
    struct buf said;
    size_t fetches, dots, overs;
    size_t sent, dotted; /* recipients; jobs */
};

struct stage_resolver {
    struct link link;
    bool up;
    struct loop loop;
    int role;
    struct stage_name names[STAGE_NAMES];
    size_t count, asked;
};

struct stage {
    struct fake_world *fake;
    int role;
    struct loop loop;
    struct log log;
    struct fiber_pool *fibers;
    struct courier courier;
    struct arena conf_arena;
    struct conf conf;
    struct stage_core core;
    struct stage_resolver resolver;
};

/* conf_text: as in a configuration file; settings: NULL for a friendly world. */
void stage_open(struct stage *stage, struct str conf_text, const struct fake_settings *settings,
                uint64_t seed);
void stage_close(struct stage *stage);
/* "mx.example A 192.0.2.1", "d.example MX 10 mx.example", "d.example MX 0 ." (null MX), "d.example
 * MX FAILS", "... BOGUS", "a.example CNAME b.example", "_25._tcp.mx.example TLSA 3 1 1 aabb" (hex),
 * "_mta-sts.a.example TXT v=STSv1; id=1";
 * "secure" in front: DNSSEC proves it, also that there is none where no data follows. A name that
 * is not there at all does not exist. */
void stage_dns(struct stage *stage, const char *line);
/* Core orders it; settles. */
void stage_order(struct stage *stage, struct msg_job *job);
void stage_settle(struct stage *stage);
void stage_pass(struct stage *stage, int64_t ns);
void stage_core_die(struct stage *stage);
void stage_core_start(struct stage *stage);
void stage_core_tell(struct stage *stage, const struct msg *msg);
/* Core asks, one question at a time; the answer is noted by the stage_settle or stage_pass behind
 * it. stage_ask_test.c, as what follows. */
void stage_ask(struct stage *stage, const struct msg *question);
/* That its body is sent there by HTTPS. */
void stage_post(struct stage *stage, struct str url);
/* Core was called by the host that is there, and gives its end of that connection. */
void stage_collect(struct stage *stage, uint64_t collection, struct str host,
                   const struct connect_to *from);
void stage_answer_note(struct stage_core *core);

#endif
