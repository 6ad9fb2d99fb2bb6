/*
 * struct smtp_body: the message as it comes in: unstuffed, its line ends judged, summed up
 * (format/summary.h), hashed, and put into slabs, all in the one pass in which the octets arrive.
 *
 * Up to 256 KB stay in slabs until COMMIT. What grows beyond that becomes an upload: the slabs go
 * to core and are filled again when it has taken them, so that a message of any size holds at most
 * SMTP_BODY_SLABS.
 *
 * Where slabs are short (role/slabs.h), the octets are parked in memory of their own instead
 * (parking.h): when the session has to wait for more of them, or when no slab is free. What is
 * parked stays so, and grows as it comes, until the message is whole or has 256 KB; then as many
 * slabs as it fills are waited for, all at once. A body is in slabs or parked, never both, and
 * while it waits for slabs it holds none (but where parking was refused).
 *
 * The header of a submission is held back (submitted.h), parked, until it is whole; what goes on
 * then, and is counted, is what is kept. The limit is held against what came.
 *
 * The first thing wrong is kept in `refused`; what follows is then counted and thrown away, so the
 * reply comes where the protocol wants it: behind the whole message.
 */
#ifndef EDGE_SMTP_BODY_H
#define EDGE_SMTP_BODY_H

#include "base/sha256.h"
#include "edge/edge.h"
#include "edge/smtp/data.h"
#include "edge/smtp/parking.h"
#include "edge/smtp/submitted.h"
#include "format/summary.h"
#include "trust/dkim.h"

enum {
    SMTP_BODY_SLABS = SMTP_PARKED_MAX / SLAB_SIZE,
    SMTP_SUMMARY_SLABS = 40,
};
#define SMTP_SLAB_WAIT (30 * NS_PER_SECOND)

enum smtp_body_type {
    SMTP_7BIT,
    SMTP_8BITMIME,
    SMTP_BINARYMIME,
};

struct smtp_slab_list {
    struct slabs *pool; /* NULL: none is held */
    struct msg_slab at[SMTP_SUMMARY_SLABS];
    size_t count;
};

struct smtp_body {
    struct edge *edge;
    bool begun;
    bool chunked; /* BDAT */
    bool binary;
    uint64_t limit; /* octets */
    uint64_t size;  /* octets of the message so far, as it is kept */
    uint64_t raw;   /* octets that came, stuffing included */
    char last[2];   /* the last octets of the message so far */
    struct err refused;
    struct data_reader reader;
    int64_t since; /* mono: when it began */
    struct smtp_slab_list slabs;
    struct smtp_parked parked;
    struct smtp_parking *parking;
    struct smtp_submitted *submitted; /* NULL: it is kept as it comes */
    uint64_t upload;                  /* 0: the body is in slabs */
    uint64_t upload_since;            /* the core that has it */
    struct sha256 digest;             /* of the message as it came */
    bool is_signed;                   /* core is to have the hash that a signature is made of */
    struct dkim_hash signed_hash;     /* of the body as it is kept */
    struct buf *head;                 /* gets the first octets, as they are kept; NULL: nothing */
    struct arena arena;               /* the summary's */
    struct summary summary;
    struct buf record; /* the summary printed, on its way to slabs */
};

/* Once per memory. `parking` outlives it. */
void smtp_body_open(struct smtp_body *body, struct smtp_parking *parking);
void smtp_body_close(struct smtp_body *body);

/* Begins a message. */
void smtp_body_begin(struct smtp_body *body, struct edge *edge, const struct conf *conf,
                     bool chunked, bool binary, bool normalise);
/* Right behind it: the message is a submission. NULL is allowed. */
void smtp_body_submit(struct smtp_body *body, struct smtp_submitted *submitted);
/* Right behind it: it may leave with a signature, so its body is hashed for one. */
void smtp_body_sign(struct smtp_body *body);
/* Right behind it: the first octets go into `head`, too, as far as that has room. */
void smtp_body_look(struct smtp_body *body, struct buf *head);
/* Slabs, upload and arena are given back. */
void smtp_body_end(struct smtp_body *body);

/* May yield: makes room, if it can for as many octets as are wanted. How many may be fed next, at
 * least 1. body->refused with ERR_TOO_SLOW_NOW: it is the one to be cut. */
size_t smtp_body_room(struct smtp_body *body, size_t wanted);
/*
 * Takes octets that came behind DATA or in a chunk, *input is moved on. Never yields. DATA_END: the
 * message is over (DATA only); DATA_BARE: a bare CR or LF from somebody who may not send it.
 */
enum data_found smtp_body_feed(struct smtp_body *body, struct str *input);

/* May yield: behind smtp_body_feed. A header that was held and is whole goes on. */
void smtp_body_pass(struct smtp_body *body);

/* Refuses it for this reason, unless there is an earlier one; what it held is given back. */
void smtp_body_refuse(struct smtp_body *body, struct err why);
/* May yield. The message is whole: last checks, and the last piece of an upload leaves.
 * body->refused says whether it is any good. */
void smtp_body_finish(struct smtp_body *body, uint64_t hops);

/* The client is waited for: parks what there is if slabs are short. ERR_TOO_SLOW_NOW: it is the one
 * to be cut; any other error: it keeps its slabs. Never yields. */
struct err smtp_body_rest(struct smtp_body *body);
/* Octets that came, per 1000 s since it began. */
uint64_t smtp_body_rate(const struct smtp_body *body, int64_t now);

/* The last line has its CR LF, or there is none. BDAT can end a message anywhere. */
bool smtp_body_ends_line(const struct smtp_body *body);

/* May yield. The body is in slabs, or all with core; a record of it is copied into slabs of the
 * core that is up now, where the body's are, too. */
struct err smtp_body_settle(struct smtp_body *body, struct str record, struct smtp_slab_list *list);
/* May yield. Moves what a list holds to slabs of the core that is up now. */
struct err smtp_slabs_renew(struct edge *edge, struct smtp_slab_list *list);
void smtp_slabs_give(struct smtp_slab_list *list);

#endif
