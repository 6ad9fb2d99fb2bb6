/*
 * A body file gets its name before the commit that refers to it, so a crash, or a commit that
 * failed its turn, can leave one that nobody refers to. They are looked for when the store is
 * opened and by fsck.
 *
 * A file is only called leaked if neither a place nor an owner is known: two rows in different
 * parts of the index, so that no single lost page can make a living body look like garbage.
 */
#include "store/local/body_file.h"
#include "store/local/engine_local.h"

enum {
    BODIES_MAX = 1024 * 1024 * 1024, /* octets of blob ids of body files */
};

static void body_note(void *arg, blob_id blob, struct str name, uint64_t size)
{
    (void)name;
    (void)size;
    wire_put_u64(arg, blob);
}

void bodies_list(struct local *local, struct buf *blobs, struct err *e_r)
{
    buf_init(blobs, BODIES_MAX);
    *e_r = body_list(local->world, local->folder, body_note, blobs);
    if (!err_is(*e_r) && buf_over(blobs))
        *e_r = err_make(ERR_NO_MEMORY);
}

struct err body_is_leaked(struct local *local, blob_id blob, bool *leaked_r)
{
    struct index_key place_key = key_place(blob);
    struct index_key owners = key_owners_of(blob);
    struct layers layers;
    struct layers_walk walk;
    struct place place;
    struct str key, value;
    struct err e = read_begin(local, &layers);
    if (err_is(e))
        return e;
    bool placed = layers_get(&layers, index_key_str(&place_key), &value) &&
                  (!value_place_decode(value, &place) || place.external);
    layers_seek(&walk, &layers, index_key_str(&owners), index_key_str(&owners));
    bool owned = layers_next(&walk, &key, &value);
    *leaked_r = !placed && !owned;
    return read_end(local, &layers);
}

struct err bodies_sweep(struct local *local)
{
    struct buf blobs;
    struct err e;
    bodies_list(local, &blobs, &e);
    struct wire_in in = wire_in(buf_str(&blobs));
    while (in.rest.n > 0 && !err_is(e)) {
        blob_id blob = wire_get_u64(&in);
        bool leaked = false;
        if (blob != 0)
            e = body_is_leaked(local, blob, &leaked);
        if (leaked && !err_is(e))
            e = body_remove(local->world, local->folder, blob);
    }
    buf_done(&blobs);
    return e;
}
