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
        uint64_t size = deltas_size(&commit);
        unsigned char *again = arena_take(&arena, size);
        must(again);
        struct delta_writer writer;
        deltas_begin(&writer, again, size, commit.tag);
        for (size_t i = 0; i < commit.op_count; i++)
            deltas_op(&writer, &commit.ops[i]);
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

/* What is a header or a foot is written again to one that says the same, and where the octets that
 * nobody reads are zero to the same octets. */
static void ends_are_stable(struct str s)
{
    struct segment_header segment, segment_again;
    struct body_foot foot, foot_again;
    unsigned char octets[SEGMENT_HEADER_USED];
    if (segment_header_decode(s, &segment) == FORMAT_WHOLE) {
        segment_header_encode(&segment, octets);
        must(segment_header_decode(str_make(octets, SEGMENT_HEADER_USED), &segment_again) ==
             FORMAT_WHOLE);
        must(segment.sequence == segment_again.sequence && segment.salt == segment_again.salt &&
             segment.previous == segment_again.previous &&
             segment.previous_end == segment_again.previous_end &&
             segment.first_group == segment_again.first_group &&
             segment.made == segment_again.made);
    }
    if (body_foot_decode(s, &foot)) {
        body_foot_encode(&foot, octets);
        must(body_foot_decode(str_make(octets, BODY_FOOT_SIZE), &foot_again));
        must(foot.blob == foot_again.blob && foot.body == foot_again.body &&
             foot.chunks == foot_again.chunks && foot.sums_sum == foot_again.sums_sum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
    struct str s = str_make(octets, n);
    struct record_header record;
    struct blob_header blob;
    enum format_state state = record_check(s, 0, &record);
    if (state == FORMAT_WHOLE || state == FORMAT_BODY_BAD) {
        must(record.size <= n);
        blobs_stay_inside(s, &record);
        deltas_are_stable(str_make(octets + RECORD_HEADER_SIZE, record.deltas));
    }
    if (n > 0)
        deltas_are_stable(s);
    ends_are_stable(s);
    if (blob_header_decode(s, &blob))
        must(blob.sums.n <= n);
    return 0;
}
