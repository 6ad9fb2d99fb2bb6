/*
 * struct smtp_body: the message as it comes in: unstuffed, its line ends judged, summed up
 * (format/summary.h), hashed, and put into slabs, all in the one pass in which the octets arrive.
 *
 * Up to 256 KB stay in slabs until COMMIT. What grows beyond that becomes an upload: the slabs go
 * to core and are filled again when it has taken them, so that a message of any size holds at most
 * SMTP_BODY_SLABS.
 *
 * The first thing wrong is kept in `refused`; what follows is then counted and thrown away, so the
 * reply comes where the protocol wants it: behind the whole message.
 */
#ifndef EDGE_SMTP_BODY_H
#define EDGE_SMTP_BODY_H

#include "base/sha256.h"
#include "edge/edge.h"
#include "edge/smtp/data.h"
#include "format/summary.h"

enum {
    SMTP_BODY_SLABS = 16,
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
    uint64_t size;  /* octets of the message so far */
    uint64_t raw;   /* octets that came, stuffing included */
    char last[2];   /* the last octets of the message so far */
    struct err refused;
    struct data_reader reader;
    struct smtp_slab_list slabs;
    uint64_t upload;       /* 0: the body is in slabs */
    uint64_t upload_since; /* the core that has it */
    struct sha256 digest;
    struct arena arena; /* the summary's */
    struct summary summary;
    struct buf record; /* the summary printed, on its way to slabs */
};

/* Once per memory. */
void smtp_body_open(struct smtp_body *body);
void smtp_body_close(struct smtp_body *body);

/* Begins a message. */
void smtp_body_begin(struct smtp_body *body, struct edge *edge, const struct conf *conf,
                     bool chunked, bool binary, bool normalise);
/* Slabs, upload and arena are given back. */
void smtp_body_end(struct smtp_body *body);

/* May yield: makes room. How many octets may be fed next, at least 1. */
size_t smtp_body_room(struct smtp_body *body);
/*
 * Takes octets that came behind DATA or in a chunk, *input is moved on. Never yields. DATA_END: the
 * message is over (DATA only); DATA_BARE: a bare CR or LF from somebody who may not send it.
 */
enum data_found smtp_body_feed(struct smtp_body *body, struct str *input);

/* Refuses it for this reason, unless there is an earlier one; what it held is given back. */
void smtp_body_refuse(struct smtp_body *body, struct err why);
/* May yield. The message is whole: last checks, and the last piece of an upload leaves.
 * body->refused says whether it is any good. */
void smtp_body_finish(struct smtp_body *body, uint64_t hops);

/* The last line has its CR LF, or there is none. BDAT can end a message anywhere. */
bool smtp_body_ends_line(const struct smtp_body *body);

/* May yield. Copies a record into slabs of the core that is up now. */
struct err smtp_slabs_fill(struct edge *edge, struct smtp_slab_list *list, struct str record);
/* May yield. Moves what a list holds to slabs of the core that is up now. */
struct err smtp_slabs_renew(struct edge *edge, struct smtp_slab_list *list);
void smtp_slabs_give(struct smtp_slab_list *list);

#endif
