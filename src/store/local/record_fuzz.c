/*
 * A stranger's octets as a record of the log. Properties: nothing is read behind the input; what is
 * whole decodes, its blobs fill it exactly; deltas that decode are written again as they were.
 */
#include "store/local/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void deltas_are_stable(struct str deltas)
{
    struct arena arena;
    arena_init(&arena, 16 * 1024 * 1024);
    struct commit commit = {0};
    if (deltas_decode(deltas, &arena, &commit.tag, &commit.ops, &commit.op_count)) {
        uint64_t size = 8 + commit.tag.n;
        for (size_t i = 0; i < commit.op_count; i++)
            size += OP_FIXED_SIZE + commit.ops[i].key.n + commit.ops[i].value.n;
        must(size <= deltas.n);
        unsigned char *again = arena_take(&arena, size);
        must(again);
        struct delta_writer writer;
        deltas_begin(&writer, again, size, commit.tag);
        for (size_t i = 0; i < commit.op_count; i++) {
            /* Any octet but 0 says "stamped"; we write 1. */
            deltas_op(&writer, &commit.ops[i]);
        }
        deltas_end(&writer);
        must(writer.count == commit.op_count);
        struct str tag;
        struct op *ops;
        size_t count;
        must(deltas_decode(str_make(again, size), &arena, &tag, &ops, &count));
        must(count == commit.op_count && str_eq(tag, commit.tag));
        for (size_t i = 0; i < count; i++)
            must(ops[i].kind == commit.ops[i].kind && str_eq(ops[i].key, commit.ops[i].key) &&
                 str_eq(ops[i].value, commit.ops[i].value) && ops[i].blob == commit.ops[i].blob);
    }
    arena_done(&arena);
}

static void blobs_stay_inside(struct str octets, const struct record_header *header)
{
    struct blob_walk walk;
    struct blob_header blob;
    uint64_t at;
    blob_walk_init(&walk, header, octets);
    while (blob_walk_next(&walk, &blob, &at))
        must(at + blob_size_in_log(blob.head, blob.body, blob.external) <= header->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
    struct str s = str_make(octets, n);
    struct record_header record;
    struct segment_header segment;
    struct body_foot foot;
    struct blob_header blob;
    enum format_state state = record_check(s, 0, &record);
    if (state == FORMAT_WHOLE || state == FORMAT_BODY_BAD) {
        must(record.size <= n);
        blobs_stay_inside(s, &record);
        deltas_are_stable(str_make(octets + RECORD_HEADER_SIZE, record.deltas));
    }
    if (n > 0)
        deltas_are_stable(s);
    (void)segment_header_decode(s, &segment);
    (void)body_foot_decode(s, &foot);
    if (blob_header_decode(s, &blob))
        must(blob.sums.n <= n);
    return 0;
}
