/*
 * struct errand: a job that a courier has, as core knows it. Inside the queue only:
 *
 *   errand_give.c     how it begins: the way it goes, its limits, the order
 *   errand_content.c  its message, piece by piece
 *   errand_adopt.c    those of the core before
 *   errand.c          its life, and how it ends
 */
#ifndef CORE_ERRAND_H
#define CORE_ERRAND_H

#include "core/queue.h"

enum {
    JOB_ARENA = 1 << 20, /* octets of one entry, read for a job */
};

#define ERRAND_MAGIC MAGIC('E', 'R', 'N', 'D')

/* What a courier has, or had when its link ended: then `peer` is NULL, and `instance` says whose it
 * was. */
struct errand {
    uint32_t magic;
    RB_ENTRY(errand) link;
    struct queue *queue;
    uint64_t id;
    struct scheduled *one;
    struct peer *peer;
    uint32_t instance;
    struct fiber_start start, mark_start;
    struct timer timer; /* the dot's, or the orphan's */
    int64_t given;      /* wall */
    /* The route whose limits it counts for (governor.h); of length 0: none. */
    char governed[CONF_NAME_MOST];
    uint8_t governed_length;
    size_t governed_recipients;
    uint32_t token_turn; /* of the access token that it went with (tokens.h); 0: none */
    char *front;         /* what stands in front of a large body, once it was read */
    size_t front_octets;
    blob_id blob;
    uint64_t total;
    uint64_t collection; /* by whose connection it goes (collect.h); 0: by none */
    size_t holds;        /* requests that look at it */
    bool seeks;          /* its destination had not answered when it was given */
    bool has_fields;     /* of its own (store/queue.h) */
    bool begins;         /* its courier has not been told yet */
    bool dotted;
    bool marking; /* that it was dotted is being made durable */
    struct wait *marked;
    bool deciding; /* its outcome is */
    bool dropped;  /* its courier was told not to begin */
    bool over;
};

/* In the tree of jobs. NULL: no memory. */
struct errand *errand_new(struct queue *queue, uint64_t id, struct scheduled *one);
/* NULL: there is none of this name. */
struct errand *errand_find(struct queue *queue, uint64_t id);
/* The next one by name; NULL begins, and ends. */
struct errand *errand_next(struct queue *queue, struct errand *before);
/* What is asked for of its message. */
void errand_learn(struct errand *errand, const struct queue_entry *entry);

/* Whom it is with from now on; and no more. */
void errand_attach(struct errand *errand, struct peer *peer);
void errand_detach(struct errand *errand);

/* Out of sight: the entry's fate is decided, or somebody else's. */
void errand_end(struct errand *errand);
/* Of who looked at it while it may have ended (`holds`). */
void errand_release(struct errand *errand);

/* Its courier went away before it heard of it, or there is no memory: as if never given. */
void errand_take_back(struct errand *errand, int64_t next);
/* Its courier has died with it, as far as anybody can tell. */
void errand_lost(struct errand *errand);

/* May yield, until it is durable: nobody would gain from hearing that it is not, since the disk is
 * what says no. False: core ends. */
bool errand_record(struct errand *errand, const struct outcome *outcome);

/* The route whose limits it counts for, and for how many recipients. */
void errand_governs(struct errand *errand, struct str route, size_t recipients);
struct str errand_governed(const struct errand *errand);
/* It did not reach the host, which counts nothing then. */
void errand_governs_back(struct errand *errand);

/* It was told what a host made of its log-in. True: another access token may do better: it is as if
 * nothing had been tried. */
bool errand_log_in_judge(struct errand *errand, const struct msg_job_over *said);

/* May yield: what a courier says behind `jobs` may come before all of them are looked up. NULL: it
 * is not this courier's, or over. */
struct errand *errand_of(struct request *request, uint64_t id);

#endif
