/*
 * A stage for tests and fuzzers: an edge in the fake world, and at the other end of its link a core
 * that answers by rule and remembers what it was given. The rules:
 *
 *   resolve  domains example.test and *.long.example.test are ours, or none for postmaster. By
 * local part: nobody... -> 550, moved -> 551 and a path, forward -> 251, full -> 452, disabled ->
 * 550, later -> 451; all others, route, quotes and case included, are accepted. Other domains:
 * 550 5.7.1; at the literal of STAGE_ADDRESS, to which clients connect, is the postmaster alone:
 * else 550 5.1.1. verify   bob -> 250 with name and mailbox, j -> 553 with two candidates, staff ->
 * a list, moved
 *            -> 551, zhang -> a name in UTF-8; all others 550
 *            A 250 lasts, but for "brief". Of SEND, SOML, SAML "off..." is a user who is not on.
 *   commit   every message is kept (the last one can be looked at); a recipient "quota" of LMTP
 * gets QUOTA_FULL; `commit_error` refuses the next message as a whole. With addresses: as resolve
 *            would, and one that is refused refuses the message; the id must be the next one
 *   etrn     nNNN... is answered with that code, all others with 250; 14 messages wait
 *   collect  a domain nNNN... is answered with that code, all others with 250 and a courier that
 * has nothing: EHLO, QUIT sender   of example.test, or none: yes; all others are not the user's
 *
 * Who may log in stands in edge/login_core_test.h, what there is of TLS in edge/tls_stage_test.h.
 *
 * Message ids count from 1. The id that is given ahead is the next one, until another message has
 * it.
 */
#ifndef EDGE_SMTP_STAGE_TEST_H
#define EDGE_SMTP_STAGE_TEST_H

#include "edge/login_core_test.h"
#include "edge/smtp/session.h"
#include "edge/tls_stage_test.h"
#include "sys/fake/fake.h"

#define STAGE_ADDRESS "127.0.0.1"

enum {
    STAGE_SLABS = 64,
    STAGE_UPLOADS = 4,
    STAGE_BODY_MAX = 64 << 20,
    STAGE_TOKENS = 64,
    STAGE_HELD = 16,
};

struct stage_upload {
    uint64_t id;
    struct buf body;
};

struct stage_try {
    unsigned char token[EDGE_TRY_TOKEN];
    uint64_t message; /* 0: unused */
};

/* What the scripted core was asked and keeps. */
struct stage_core {
    struct link link;
    bool up;
    struct arena arena; /* for answers, reset by each question */
    int pool;           /* the shared memory, as core's handle */
    uint32_t slab_count;
    char *slabs;
    uint64_t next_message;
    struct stage_upload uploads[STAGE_UPLOADS];
    struct login_core access;
    struct tls_core tls;

    enum err_code commit_error;           /* of the next message */
    bool commit_silent;                   /* the next commit is not answered: core dies with it */
    bool commit_lost;                     /* ... and had no effect */
    struct stage_try tries[STAGE_TOKENS]; /* commits that had an effect; the oldest go first */

    enum err_code refuses; /* NONE, or what every recipient is refused with from now on */
    bool holds;            /* answers to resolve are kept until stage_core_release */
    bool changes_behind;   /* what is released is followed by a change of the directory */
    struct msg held[STAGE_HELD];
    size_t held_count;
    struct arena held_arena;
    size_t silent_resolve; /* the resolve of this number is not answered; 0: all are */
    bool gives_no_ids;     /* ahead */
    size_t resolves, commits, by_address, messages, forgets, refusals, upload_pieces;
    uint64_t seen, unseen; /* how many, and the last that was unseen */
    uint64_t last_unseen;
    uint64_t still_open; /* tries that were told to be so */
    bool keeps_nothing;  /* ends are not answered for: as if it died before they were durable */
    size_t recipients;   /* of the last message */
    size_t senders;
    uint64_t login; /* of the last message, and its authors, a line each */
    struct buf authors;
    uint64_t served_extra;
    struct buf body, received, facts, reverse_path;
    struct buf shown; /* what terminals would show, a '/' for each line's end */
    /* Of the last question, or the last commit with addresses: what was asked beside them, each
     * recipient behind a '|'. */
    struct buf asked;
    struct watch line; /* the courier's end of a collection */
    struct loop *line_loop;
    bool line_open;
    size_t line_count; /* lines that came */
};

struct stage {
    struct fake_world *fake;
    enum bus_role role; /* of the edge: ROLE_MX, or as stage_open_as was told */
    int edge_role, core_role;
    struct loop edge_loop, core_loop;
    struct log log;
    struct fiber_pool *fibers;
    struct edge edge;
    struct arena conf_arena;
    struct conf conf;
    struct stage_core core;
};

/* conf_text: as in a configuration file; settings: NULL for a friendly world; slabs: of the pool.
 */
void stage_open(struct stage *stage, struct str conf_text, const struct fake_settings *settings,
                uint64_t seed, uint32_t slabs);
/* The same, with an edge of this role. */
void stage_open_as(struct stage *stage, enum bus_role role, struct str conf_text,
                   const struct fake_settings *settings, uint64_t seed, uint32_t slabs);
void stage_close(struct stage *stage);
/* The same, with another role on the stage: `close` is run in it when the edge has ended. */
void stage_close_with(struct stage *stage, int role, void (*close)(void *arg), void *arg);

/* A client connects and the world runs until nothing moves. */
struct fake_client *stage_connect(struct stage *stage, bool lmtp, const char *address);
/* The same, by the listener's name: "smtp", "lmtp", "submission", "submissions". */
struct fake_client *stage_connect_to(struct stage *stage, const char *name, const char *address);
/* Whoever connected last has logged in as this account. */
void stage_log_in(struct stage *stage, uint64_t handle, const char *address);
/* Sends in pieces of at most `piece` octets and settles behind each; what the server says is added
 * to `replies`. Stops where the server ended the connection. */
void stage_send(struct stage *stage, struct fake_client *client, struct str bytes, size_t piece,
                struct buf *replies);
/* Adds what the server said. */
void stage_receive(struct fake_client *client, struct buf *replies);
/* Runs until nothing moves, without time passing. */
void stage_settle(struct stage *stage);
/* Runs while this much time passes. */
void stage_pass(struct stage *stage, int64_t ns);

void stage_core_die(struct stage *stage);
/* What it held is said, and nothing is held any more. */
void stage_core_release(struct stage *stage);
/* From now on there is a certificate. */
void stage_core_certifies(struct stage *stage);
/* Core says that this log-in is over. */
void stage_core_ends_login(struct stage *stage, uint64_t handle);
/* Core says that its directory changed. */
void stage_core_changes(struct stage *stage);
/* A new core: it knows nothing of transactions and uploads, but what it made durable. */
void stage_core_start(struct stage *stage);

#endif
