/* Reading a segment from outside: where records end, and what is damage. */
#include "store/local/scan.h"

#include "base/crc.h"
#include "base/test.h"
#include "store/local/checkpoint_part.h"
#include "sys/fake/fake.h"

enum {
    SEGMENT = 7,
    SALT = 1234,
    DELTAS = 64,
    RECORD = RECORD_HEADER_SIZE + DELTAS,
    TORN_BLOB = 2 * RECORD, /* octets for a small blob */
    FILE_SIZE = 64 * 1024,
};

struct machine {
    struct fake_disk *disk;
    struct fake_world *fake;
    struct world *world;
    int file;
};

static void machine_open(struct machine *machine)
{
    machine->disk = fake_disk_open(NULL);
    machine->fake = fake_world_open(1, &(struct fake_settings){0});
    machine->world = &machine->fake->world;
    int role = fake_role_open(machine->fake, "scan");
    (void)fake_role_enter(machine->fake, role);
    int folder = fake_root(machine->fake, role, machine->disk);
    const struct world_ops *ops = machine->world->ops;
    machine->file = ops->file_open(machine->world, folder, STR("segment"),
                                   FILE_READ | FILE_WRITE | FILE_CREATE);
    assert_true(machine->file >= 0);
    assert_int_equal(ops->file_truncate(machine->world, machine->file, FILE_SIZE), 0);
}

static void machine_close(struct machine *machine)
{
    (void)fake_role_enter(machine->fake, 0);
    fake_world_close(machine->fake);
    fake_disk_close(machine->disk);
}

/* Record i of the segment, of RECORD octets. */
static void write_record(struct machine *machine, unsigned i, uint64_t group, uint32_t index,
                         uint32_t count, uint64_t segment)
{
    unsigned char octets[RECORD] = {0};
    memset(octets + RECORD_HEADER_SIZE, (int)i, DELTAS);
    struct record_header header = {.segment = segment,
                                   .group = group,
                                   .index = index,
                                   .count = count,
                                   .kind = RECORD_COMMIT,
                                   .size = RECORD,
                                   .deltas = DELTAS,
                                   .deltas_sum =
                                       crc32c(0, str_make(octets + RECORD_HEADER_SIZE, DELTAS))};
    record_header_encode(&header, SALT, octets);
    struct iovec part = {octets, sizeof octets};
    assert_true(machine->world->ops->file_write(machine->world, machine->file, &part, 1,
                                                SEGMENT_HEADER_SIZE + i * (uint64_t)RECORD) >= 0);
}

/* Record i once more, with a blob behind its deltas whose body is not what its sums say. */
static void write_torn_body(struct machine *machine, unsigned i, uint64_t group)
{
    unsigned char octets[RECORD + TORN_BLOB] = {0};
    char body[] = "a body";
    struct iovec whole = {body, sizeof body};
    struct blob_put put = {.blob = 99, .head = STR("head"), .body = &whole, .body_parts = 1};
    struct blob_header blob;
    size_t size = RECORD + blob_size_in_log(put.head.n, sizeof body, false);
    struct record_header header = {.segment = SEGMENT,
                                   .group = group,
                                   .count = 1,
                                   .kind = RECORD_COMMIT,
                                   .size = (uint32_t)size,
                                   .deltas = DELTAS,
                                   .blobs = 1};
    assert_true(size <= sizeof octets);
    blob_lay_down(&put, octets + RECORD, &blob);
    blob.segment = SEGMENT;
    blob_header_encode(&blob, octets + RECORD);
    octets[RECORD + blob_head_at(&blob) + put.head.n] ^= 1;
    header.deltas_sum = crc32c(0, str_make(octets + RECORD_HEADER_SIZE, DELTAS));
    record_header_encode(&header, SALT, octets);
    struct iovec part = {octets, size};
    assert_true(machine->world->ops->file_write(machine->world, machine->file, &part, 1,
                                                SEGMENT_HEADER_SIZE + i * (uint64_t)RECORD) >= 0);
}

static void flip(struct machine *machine, unsigned record, uint64_t octet)
{
    char was;
    uint64_t at = SEGMENT_HEADER_SIZE + record * (uint64_t)RECORD + octet;
    fake_disk_peek(machine->disk, STR("segment"), &was, 1, at);
    was = (char)(was ^ 1);
    fake_disk_poke(machine->disk, STR("segment"), str_make(&was, 1), at);
}

static void record_is(const struct scanned *found, enum format_state state)
{
    struct record_header header;
    assert_int_equal(found->record.n, found->header.size);
    assert_int_equal(record_check(found->record, SALT, &header), state);
}

/* What a scan says, a letter for each step: r record, b a record with a damaged body, d damage
 * (then it goes on), e end. */
static const char *scan_story(struct machine *machine, uint64_t end, bool end_known)
{
    static char story[100];
    struct scan scan;
    struct scanned found;
    size_t n = 0;
    scan_init(&scan, machine->world, machine->file,
              &(struct segment_header){.sequence = SEGMENT, .salt = SALT}, end, end_known);
    for (;;) {
        enum scan_state state = scan_next(&scan, &found);
        assert_true(state != SCAN_FAILED && n + 2 < sizeof story);
        if (state == SCAN_RECORD || state == SCAN_BODY_BAD)
            record_is(&found, state == SCAN_RECORD ? FORMAT_WHOLE : FORMAT_BODY_BAD);
        static const char letters[] = {
            [SCAN_RECORD] = 'r', [SCAN_BODY_BAD] = 'b', [SCAN_DAMAGED] = 'd', [SCAN_END] = 'e'};
        story[n++] = letters[state];
        if (state == SCAN_END || (state == SCAN_DAMAGED && !scan_resync(&scan)))
            break;
    }
    scan_done(&scan);
    story[n] = '\0';
    return story;
}

static uint64_t end_of(unsigned records)
{
    return SEGMENT_HEADER_SIZE + records * (uint64_t)RECORD;
}

/* Four groups: 10 (one record), 11 (two), 12, 14. */
static void fill(struct machine *machine)
{
    write_record(machine, 0, 10, 0, 1, SEGMENT);
    write_record(machine, 1, 11, 0, 2, SEGMENT);
    write_record(machine, 2, 11, 1, 2, SEGMENT);
    write_record(machine, 3, 12, 0, 1, SEGMENT);
    write_record(machine, 4, 14, 0, 1, SEGMENT);
}

static void whole_records_are_read_to_the_end(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "e");
    fill(&machine);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrre");
    assert_string_equal(scan_story(&machine, end_of(5), true), "rrrrre");
    assert_string_equal(scan_story(&machine, end_of(2), true), "rre");
    assert_string_equal(scan_story(&machine, end_of(6), true), "rrrrrd");
    machine_close(&machine);
}

static void a_damaged_record_is_passed_over(void **state)
{
    (void)state;
    const uint64_t octets[] = {0, 9, 17, 40, RECORD_HEADER_SIZE, RECORD - 1};
    for (size_t i = 0; i < sizeof octets / sizeof *octets; i++) {
        struct machine machine;
        machine_open(&machine);
        fill(&machine);
        flip(&machine, 1, octets[i]);
        assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rdrrre");
        assert_string_equal(scan_story(&machine, end_of(5), true), "rdrrre");
        machine_close(&machine);
    }
}

static void a_torn_group_at_the_end_is_no_damage(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine);
    fill(&machine);
    flip(&machine, 4, 70);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrre");
    assert_string_equal(scan_story(&machine, end_of(5), true), "rrrrd");
    /* Of the torn group a later record is whole: still one group, still torn. */
    write_record(&machine, 4, 15, 0, 2, SEGMENT);
    write_record(&machine, 5, 15, 1, 2, SEGMENT);
    flip(&machine, 4, 70);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrre");
    /* A group behind it: damage. */
    write_record(&machine, 6, 16, 0, 1, SEGMENT);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrdrre");
    machine_close(&machine);
}

static void records_of_an_older_segment_are_not_seen(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine);
    for (unsigned i = 0; i < 8; i++)
        write_record(&machine, i, 3 + i, 0, 1, SEGMENT - 1);
    fill(&machine);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrre");
    /* What is left of older groups of this one is not, either. */
    write_record(&machine, 5, 9, 0, 1, SEGMENT);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrre");
    machine_close(&machine);
}

/* --- Regressions ------------------------------------------------------------------------------ */

/* A failed group's record was whole but for its body, and the segment that said where the log went
 * on was freed: fsck called it damage, and compaction would not empty the segment. */
static void a_body_that_is_torn_at_the_end_is_no_damage(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine);
    fill(&machine);
    write_torn_body(&machine, 5, 15);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrre");
    assert_string_equal(scan_story(&machine, FILE_SIZE, true), "rrrrrbd");
    /* A group behind it: it was promised. */
    write_record(&machine, 7, 16, 0, 1, SEGMENT);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrrbdre");
    machine_close(&machine);
}

/* Of the group behind it only the second record was left, and fsck took both for what a power cut
 * had ended, where a start says damage. */
static void a_body_that_was_promised_is_damaged_though_the_next_group_is_torn(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine);
    fill(&machine);
    write_torn_body(&machine, 5, 15);
    write_record(&machine, 8, 16, 1, 2, SEGMENT);
    assert_string_equal(scan_story(&machine, FILE_SIZE, false), "rrrrrbe");
    machine_close(&machine);
}

/* The search for a later group read on, and what was found was no longer what the window showed. */
static void a_later_group_may_be_far_from_a_damaged_body(void **state)
{
    (void)state;
    struct machine machine;
    const uint64_t end = 4 * SCAN_WINDOW;
    machine_open(&machine);
    fill(&machine);
    assert_int_equal(machine.world->ops->file_truncate(machine.world, machine.file, end), 0);
    write_torn_body(&machine, 5, 15);
    write_record(&machine, 2 * SCAN_WINDOW / RECORD, 16, 0, 1, SEGMENT);
    assert_string_equal(scan_story(&machine, end, false), "rrrrrbdre");
    machine_close(&machine);
}

struct counting {
    struct world_ops ops; /* first: found again by the world's */
    const struct world_ops *under;
    unsigned *reads;
};

static ssize_t counted_read(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    const struct counting *counting = (const struct counting *)world->ops;
    (*counting->reads)++;
    return counting->under->file_read(world, file, to, n, at);
}

/* A start behind a kill took seconds: each of the 8 million places where a record could begin
 * behind the end of a growing file was read by itself. */
static void behind_the_end_of_a_growing_file_nothing_is_read(void **state)
{
    (void)state;
    const uint64_t segment = 64 * 1024 * 1024;
    const unsigned few = 16;
    struct machine machine;
    machine_open(&machine);
    fill(&machine);
    unsigned reads = 0;
    struct counting counting = {*machine.world->ops, machine.world->ops, &reads};
    counting.ops.file_read = counted_read;
    machine.world->ops = &counting.ops;
    const struct world_ops *ops = counting.under;
    assert_string_equal(scan_story(&machine, segment, false), "rrrrre");
    assert_int_equal(ops->file_truncate(machine.world, machine.file, end_of(5)), 0);
    assert_string_equal(scan_story(&machine, segment, false), "rrrrre");
    flip(&machine, 4, 0);
    assert_string_equal(scan_story(&machine, segment, false), "rrrre");
    assert_true(reads < few);
    machine.world->ops = counting.under;
    machine_close(&machine);
}

static void a_checkpoint_part_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct buf rows = BUF_INIT(1000);
    struct buf deltas = BUF_INIT(2000);
    struct checkpoint_part part = {.serial = 5,
                                   .position = {.segment = 3, .offset = 4096},
                                   .part = 2,
                                   .last = true,
                                   .rows_before = 77,
                                   .sum = 9,
                                   .rows = 2};
    struct checkpoint_part got;
    struct str key, value;
    checkpoint_row_put(&rows, STR("a key"), STR("a value"));
    checkpoint_row_put(&rows, STR("another"), STR(""));
    part.octets = buf_str(&rows);
    checkpoint_part_put(&deltas, &part);
    assert_int_equal(deltas.n % RECORD_ALIGN, 0);
    assert_true(checkpoint_part_get(buf_str(&deltas), &got));
    assert_true(got.serial == 5 && got.position.segment == 3 && got.position.offset == 4096);
    assert_true(got.part == 2 && got.last && got.rows_before == 77 && got.sum == 9);
    struct wire_in in = wire_in(got.octets);
    assert_true(checkpoint_row_get(&in, &key, &value));
    assert_str(key, STR("a key"));
    assert_str(value, STR("a value"));
    assert_true(checkpoint_row_get(&in, &key, &value));
    assert_str(key, STR("another"));
    assert_false(checkpoint_row_get(&in, &key, &value));
    for (size_t n = 0; n + RECORD_ALIGN <= deltas.n; n += RECORD_ALIGN)
        assert_false(checkpoint_part_get(str_head(buf_str(&deltas), n), &got));
    buf_done(&deltas);
    buf_done(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_records_are_read_to_the_end),
        cmocka_unit_test(a_damaged_record_is_passed_over),
        cmocka_unit_test(a_torn_group_at_the_end_is_no_damage),
        cmocka_unit_test(records_of_an_older_segment_are_not_seen),
        cmocka_unit_test(a_body_that_is_torn_at_the_end_is_no_damage),
        cmocka_unit_test(a_body_that_was_promised_is_damaged_though_the_next_group_is_torn),
        cmocka_unit_test(a_later_group_may_be_far_from_a_damaged_body),
        cmocka_unit_test(behind_the_end_of_a_growing_file_nothing_is_read),
        cmocka_unit_test(a_checkpoint_part_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
