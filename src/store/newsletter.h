/*
 * Issues of newsletters that are on their way to the members of their lists (core/newsletter.h):
 * what is to be sent, and to whom it came last.
 *
 * Partition QUEUE/0
 *   'n' <id> -> u8 1, list, after, sent; it refers to the blob with the message
 *
 * The record is changed in the commit that puts entries for some members into the queue, so each
 * member has his one message whatever dies.
 */
#ifndef STORE_NEWSLETTER_H
#define STORE_NEWSLETTER_H

#include "store/engine.h"
#include "store/op_list.h"

enum {
    NEWSLETTER_OPS = 1,     /* of each of the two below */
    NEWSLETTERS_MAX = 1000, /* on their way at a time */
};

struct newsletter {
    uint64_t id;
    blob_id blob;
    struct str list;  /* its address, addr_print form */
    struct str after; /* the member who came last; empty: none yet */
    uint64_t sent;    /* messages so far */
};

void newsletter_put_ops(const struct newsletter *newsletter, struct arena *arena,
                        struct op_list *ops);
/* It has come to all. */
void newsletter_remove_ops(uint64_t id, struct arena *arena, struct op_list *ops);

/* Both may yield. ERR_NOT_FOUND, ERR_STORE_DAMAGED. */
struct err newsletter_read(struct engine *engine, uint64_t id, struct arena *arena,
                           struct newsletter *newsletter_r);
struct err newsletters_find(struct engine *engine, struct arena *arena, uint64_t **ids_r,
                            size_t *count_r);

#endif
