/* The octets of the log: what is written is read back, and no damaged octet goes unseen. */
#include "store/local/format.h"

#include "base/crc.h"
#include "base/test.h"

enum {
    ROOM = 64 * 1024,
    SALT = 0x51a7
};

struct built {
    unsigned char octets[ROOM];
    size_t size;
    uint64_t blob_at;
};

static struct commit commit_of(struct op *ops, size_t count, struct str tag)
{
    return (struct commit){.ops = ops, .op_count = count, .tag = tag};
}

/* A record with two operations and one blob of `body` octets. */
static void build(struct built *built, size_t body)
{
    static char octets[40000];
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (char)(i * 7);
    memset(built->octets, 0, sizeof(built->octets));
    struct op ops[] = {
        {.kind = OP_APPEND,
         .partition = {PARTITION_MAILBOX, 7},
         .key = STR("mesg"),
         .value = STR("12345678hot"),
         .blob = 99,
         .stamp = true,
         .uid = 5,
         .modseq = 77},
        {.kind = OP_REMOVE, .partition = {PARTITION_QUEUE, 1}, .key = STR("gone")},
    };
    struct commit commit = commit_of(ops, 2, STR("tag"));
    struct iovec parts[2] = {{octets, body / 3}, {octets + body / 3, body - body / 3}};
    struct blob_put put = {.blob = 99, .head = STR("summary"), .body = parts, .body_parts = 2};
    uint64_t deltas = deltas_size(&commit);
    struct delta_writer writer;
    deltas_begin(&writer, built->octets + RECORD_HEADER_SIZE, deltas, commit.tag);
    deltas_op(&writer, &ops[0]);
    deltas_op(&writer, &ops[1]);
    deltas_end(&writer);
    built->blob_at = RECORD_HEADER_SIZE + deltas;
    struct blob_header blob;
    blob_lay_down(&put, built->octets + built->blob_at, &blob);
    blob.segment = 3;
    blob_header_encode(&blob, built->octets + built->blob_at);
    built->size = built->blob_at + blob_size_in_log(put.head.n, body, false);
    struct record_header header = {
        .segment = 3,
        .group = 12,
        .index = 1,
        .count = 2,
        .kind = RECORD_COMMIT,
        .size = (uint32_t)built->size,
        .deltas = (uint32_t)deltas,
        .blobs = 1,
        .deltas_sum = crc32c(0, str_make(built->octets + RECORD_HEADER_SIZE, deltas)),
        .ordered = 1234567,
    };
    record_header_encode(&header, SALT, built->octets);
}

static struct str built_str(const struct built *built)
{
    return str_make(built->octets, built->size);
}

static void record_round_trip(void **state)
{
    (void)state;
    static struct built built;
    static const size_t sizes[] = {0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 40000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        build(&built, sizes[i]);
        struct record_header header;
        assert_int_equal(record_check(built_str(&built), SALT, &header), FORMAT_WHOLE);
        assert_int_equal(header.group, 12);
        assert_int_equal(header.ordered, 1234567);
        struct blob_walk walk;
        struct blob_header blob;
        uint64_t at;
        blob_walk_init(&walk, &header, built_str(&built));
        assert_true(blob_walk_next(&walk, &blob, &at));
        assert_int_equal(at, built.blob_at);
        assert_int_equal(blob.body, sizes[i]);
        assert_str(str_make(built.octets + at + blob_head_at(&blob), blob.head), STR("summary"));
        assert_false(blob_walk_next(&walk, &blob, &at));
        assert_int_equal(walk.left, 0);
    }
}

static void deltas_round_trip(void **state)
{
    (void)state;
    static struct built built;
    build(&built, 100);
    struct record_header header;
    assert_true(record_header_decode(built_str(&built), SALT, &header));
    struct arena arena;
    arena_init(&arena, 100000);
    struct str tag;
    struct op *ops;
    size_t count;
    assert_true(deltas_decode(str_make(built.octets + RECORD_HEADER_SIZE, header.deltas), &arena,
                              &tag, &ops, &count));
    assert_str(tag, STR("tag"));
    assert_int_equal(count, 2);
    assert_int_equal(ops[0].kind, OP_APPEND);
    assert_int_equal(ops[0].partition.id, 7);
    assert_int_equal(ops[0].uid, 5);
    assert_int_equal(ops[0].modseq, 77);
    assert_int_equal(ops[0].blob, 99);
    assert_true(ops[0].stamp);
    assert_str(ops[0].value, STR("12345678hot"));
    assert_int_equal(ops[1].kind, OP_REMOVE);
    assert_str(ops[1].key, STR("gone"));
    arena_done(&arena);
}

/* Every bit of a record matters, but the zeroes that fill up to the next multiple of 8. */
static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    static struct built built;
    build(&built, 1000);
    struct record_header header;
    size_t content = built.blob_at + BLOB_HEADER_SIZE + CHUNK_SUM_SIZE + 7 + 1000;
    for (size_t bit = 0; bit < content * 8; bit++) {
        built.octets[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_not_equal(record_check(built_str(&built), SALT, &header), FORMAT_WHOLE);
        built.octets[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(record_check(built_str(&built), SALT, &header), FORMAT_WHOLE);
}

static void another_segments_salt_does_not_fit(void **state)
{
    (void)state;
    static struct built built;
    build(&built, 10);
    struct record_header header;
    assert_int_equal(record_check(built_str(&built), SALT + 1, &header), FORMAT_BAD);
}

static void a_cut_record_is_too_short(void **state)
{
    (void)state;
    static struct built built;
    build(&built, 1000);
    struct record_header header;
    for (size_t n = 0; n < built.size; n++)
        assert_int_equal(record_check(str_make(built.octets, n), SALT, &header),
                         n < RECORD_HEADER_SIZE ? FORMAT_BAD : FORMAT_TOO_SHORT);
}

static void a_blob_of_another_id_has_other_sums(void **state)
{
    (void)state;
    assert_int_not_equal(blob_seed(1), blob_seed(2));
    assert_int_not_equal(blob_seed(0), blob_seed(UINT64_C(1) << 32));
}

static void segment_header_round_trip(void **state)
{
    (void)state;
    struct segment_header header = {9, 8, 4096 + 64, 100, -5, 77}, got = {0};
    unsigned char octets[SEGMENT_HEADER_USED];
    segment_header_encode(&header, octets);
    struct str s = str_make(octets, sizeof(octets));
    assert_int_equal(segment_header_decode(s, &got), FORMAT_WHOLE);
    assert_int_equal(got.previous_end, 4096 + 64);
    assert_int_equal(got.made, -5);
    assert_int_equal(got.salt, 77);
    octets[20] ^= 1;
    assert_int_equal(segment_header_decode(s, &got), FORMAT_BAD);
    octets[20] ^= 1;
    octets[8] = FORMAT_VERSION + 1;
    assert_int_equal(segment_header_decode(s, &got), FORMAT_FUTURE);
    assert_int_equal(segment_header_decode(str_head(s, 63), &got), FORMAT_BAD);
}

static void body_foot_round_trip(void **state)
{
    (void)state;
    struct body_foot foot = {44, 300000, 19, 0xdeadbeef}, got;
    unsigned char octets[BODY_FOOT_SIZE];
    body_foot_encode(&foot, octets);
    struct str s = str_make(octets, sizeof(octets));
    assert_true(body_foot_decode(s, &got));
    assert_int_equal(got.blob, 44);
    assert_int_equal(got.body, 300000);
    assert_int_equal(got.sums_sum, 0xdeadbeef);
    for (size_t i = 0; i < sizeof(octets); i++) {
        octets[i] ^= 0x10;
        assert_false(body_foot_decode(s, &got));
        octets[i] ^= 0x10;
    }
}

static void keys_are_in_order(void **state)
{
    (void)state;
    struct partition one = {PARTITION_MAILBOX, 1}, two = {PARTITION_MAILBOX, 256};
    struct index_key a = key_entry(one, STR("z")), b = key_entry(two, STR("a"));
    assert_true(str_cmp(index_key_str(&a), index_key_str(&b)) < 0);
    a = key_owners_of(255);
    b = key_owner(255, one, STR("k"));
    assert_true(str_starts(index_key_str(&b), index_key_str(&a)));
    struct index_key c = key_owners_of(256);
    assert_true(str_cmp(index_key_str(&b), index_key_str(&c)) < 0);
}

static void values_round_trip(void **state)
{
    (void)state;
    struct place place = {1, 2, 3, 4, 5, true}, got;
    unsigned char octets[VALUE_PLACE_SIZE];
    value_place_encode(&place, octets);
    assert_true(value_place_decode(str_make(octets, sizeof(octets)), &got));
    assert_int_equal(got.in_log, 5);
    assert_int_equal(got.body, 4);
    assert_true(got.external);
    assert_false(value_place_decode(str_make(octets, sizeof(octets) - 1), &got));
    struct numbers numbers = {UINT32_MAX, UINT64_MAX}, numbers_got;
    value_numbers_encode(&numbers, octets);
    assert_true(value_numbers_decode(str_make(octets, VALUE_NUMBERS_SIZE), &numbers_got));
    assert_int_equal(numbers_got.uid_next, UINT32_MAX);
    assert_true(numbers_got.modseq_next == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_round_trip),
        cmocka_unit_test(deltas_round_trip),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(another_segments_salt_does_not_fit),
        cmocka_unit_test(a_cut_record_is_too_short),
        cmocka_unit_test(a_blob_of_another_id_has_other_sums),
        cmocka_unit_test(segment_header_round_trip),
        cmocka_unit_test(body_foot_round_trip),
        cmocka_unit_test(keys_are_in_order),
        cmocka_unit_test(values_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
