/* Segment files, on a disk whose power may go at any moment. */
#include "store/local/segment.h"

#include "base/test.h"
#include "sys/fake/fake.h"

enum {
    SIZE = 64 * 1024,
    CRASHES = 300,
    CALLS_MOST = 60,
};

struct machine {
    struct fake_disk *disk;
    struct fake_world *fake;
    struct world *world;
    int role;
    int folder;
    struct segments segments;
};

static void machine_start(struct machine *machine)
{
    machine->fake = fake_world_open(1, &(struct fake_settings){0});
    machine->world = &machine->fake->world;
    machine->role = fake_role_open(machine->fake, "store");
    (void)fake_role_enter(machine->fake, machine->role);
    machine->folder = fake_root(machine->fake, machine->role, machine->disk);
}

static void machine_open(struct machine *machine, struct fake_disk *disk)
{
    *machine = (struct machine){.disk = disk ? disk : fake_disk_open(NULL)};
    machine_start(machine);
    assert_false(err_is(segments_open(&machine->segments, machine->world, machine->folder, SIZE)));
}

static void machine_close(struct machine *machine)
{
    segments_close(&machine->segments);
    (void)fake_role_enter(machine->fake, 0);
    fake_world_close(machine->fake);
    fake_disk_close(machine->disk);
}

static struct segment *make(struct segments *segments, uint64_t sequence, struct err *err_r)
{
    struct segment_header header = {.sequence = sequence,
                                    .previous = sequence - 1,
                                    .previous_end = 5000,
                                    .first_group = sequence * 10};
    struct segment_make making;
    segment_make_begin(segments, &header, &making);
    segment_make_run(&making);
    *err_r = making.err;
    return segment_make_end(segments, &making);
}

static struct segment *made(struct segments *segments, uint64_t sequence)
{
    struct err e;
    struct segment *segment = make(segments, sequence, &e);
    assert_non_null(segment);
    assert_false(err_is(e));
    return segment;
}

static void make_spare(struct segments *segments, bool prefill)
{
    struct segment_spare spare;
    segment_spare_begin(segments, prefill, &spare);
    for (spare.step = 5000; !segment_spare_whole(&spare);) {
        segment_spare_run(&spare);
        assert_false(err_is(spare.err));
    }
    segment_spare_end(segments, &spare);
}

static void names_are_read_as_they_are_written(void **state)
{
    (void)state;
    char octets[SEGMENT_NAME_MAX];
    uint64_t sequence;
    assert_str(segment_name(255, octets), STR("00000000000000ff.seg"));
    assert_true(segment_name_parse(segment_name(UINT64_MAX, octets), &sequence));
    assert_true(sequence == UINT64_MAX);
    assert_false(segment_name_parse(STR("0000000000000000.seg"), &sequence));
    assert_false(segment_name_parse(STR("00000000000000fF.seg"), &sequence));
    assert_false(segment_name_parse(STR("0000000000000ff.seg"), &sequence));
    assert_false(segment_name_parse(STR("00000000000000ff.sex"), &sequence));
}

static void segments_are_listed_in_order(void **state)
{
    (void)state;
    struct machine machine;
    struct segment_header header;
    machine_open(&machine, NULL);
    const uint64_t order[] = {3, 17, 4, 1, 256};
    const uint64_t sorted[] = {1, 3, 4, 17, 256};
    for (unsigned i = 0; i < 5; i++)
        segment_unpin(&machine.segments, made(&machine.segments, order[i]));
    make_spare(&machine.segments, false);
    segments_close(&machine.segments);
    assert_int_equal(fake_role_handles(machine.fake, machine.role), 1);
    assert_false(err_is(segments_open(&machine.segments, machine.world, machine.folder, SIZE)));
    assert_int_equal(machine.segments.count, 5);
    assert_int_equal(segments_spares(&machine.segments), 1);
    struct segment *segment = TAILQ_FIRST(&machine.segments.list);
    for (unsigned i = 0; i < 5; i++, segment = TAILQ_NEXT(segment, link)) {
        assert_true(segment->sequence == sorted[i]);
        assert_ptr_equal(segment_find(&machine.segments, sorted[i]), segment);
        assert_false(err_is(segment_read_header(&machine.segments, segment, &header)));
        assert_true(header.first_group == sorted[i] * 10 && header.previous == sorted[i] - 1);
    }
    assert_null(segment);
    assert_null(segment_find(&machine.segments, 2));
    assert_true(segment_last(&machine.segments)->sequence == 256);
    machine_close(&machine);
}

static void a_spare_becomes_the_next_segment(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine, NULL);
    make_spare(&machine.segments, true);
    struct segment *filled = made(&machine.segments, 1);
    assert_true(filled->file_size == SIZE);
    assert_int_equal(segments_spares(&machine.segments), 0);
    struct segment *grown = made(&machine.segments, 2);
    assert_true(grown->file_size == SEGMENT_HEADER_SIZE);
    segment_unpin(&machine.segments, filled);
    segment_unpin(&machine.segments, grown);
    assert_false(err_is(segment_recycle(&machine.segments, filled, 1)));
    assert_int_equal(segments_spares(&machine.segments), 1);
    assert_false(err_is(segment_recycle(&machine.segments, grown, 1)));
    assert_int_equal(segments_spares(&machine.segments), 1);
    assert_int_equal(machine.segments.count, 0);
    machine_close(&machine);
}

static void few_files_are_open_but_pinned_ones_stay(void **state)
{
    (void)state;
    enum {
        MANY = SEGMENT_FILES_MAX + 20,
        PINNED = 5
    };
    struct machine machine;
    machine_open(&machine, NULL);
    for (uint64_t s = 1; s <= MANY; s++) {
        struct segment *segment = made(&machine.segments, s);
        if (s > PINNED)
            segment_unpin(&machine.segments, segment);
    }
    assert_int_equal(fake_role_handles(machine.fake, machine.role), SEGMENT_FILES_MAX + PINNED + 2);
    for (uint64_t s = 1; s <= MANY; s++) {
        struct segment *segment = segment_find(&machine.segments, s);
        assert_false(err_is(segment_pin(&machine.segments, segment)));
        segment_unpin(&machine.segments, segment);
        assert_int_equal(segment->file >= 0, true);
    }
    for (uint64_t s = 1; s <= PINNED; s++)
        segment_unpin(&machine.segments, segment_find(&machine.segments, s));
    assert_int_equal(fake_role_handles(machine.fake, machine.role), SEGMENT_FILES_MAX + 2);
    machine_close(&machine);
}

static void a_full_disk_leaves_no_segment(void **state)
{
    (void)state;
    struct machine machine;
    struct err e;
    machine_open(&machine, NULL);
    fake_disk_set_capacity(machine.disk, fake_disk_used(machine.disk) + 1);
    assert_null(make(&machine.segments, 1, &e));
    assert_int_equal(e.code, ERR_DISK_FULL);
    fake_disk_set_capacity(machine.disk, 0);
    assert_int_equal(machine.segments.count, 0);
    segment_unpin(&machine.segments, made(&machine.segments, 1));
    machine_close(&machine);
}

static void a_missing_segment_and_a_damaged_header_are_named(void **state)
{
    (void)state;
    struct machine machine;
    struct segment_header header;
    machine_open(&machine, NULL);
    struct segment *segment = made(&machine.segments, 1);
    segment_unpin(&machine.segments, segment);
    assert_int_equal(fake_disk_poke(machine.disk, STR("log/0000000000000001.seg"), STR("\x55"), 17),
                     0);
    struct err e = segment_read_header(&machine.segments, segment, &header);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
    segments_close(&machine.segments);
    assert_false(err_is(segments_open(&machine.segments, machine.world, machine.folder, SIZE)));
    segment = segment_find(&machine.segments, 1);
    machine.world->ops->file_remove(machine.world, machine.segments.folder,
                                    STR("0000000000000001.seg"));
    e = segment_pin(&machine.segments, segment);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
    machine_close(&machine);
}

static void quarantine_keeps_the_file(void **state)
{
    (void)state;
    struct machine machine;
    machine_open(&machine, NULL);
    segment_unpin(&machine.segments, made(&machine.segments, 1));
    struct segment *segment = segment_find(&machine.segments, 1);
    assert_false(err_is(segment_quarantine(&machine.segments, segment, machine.folder)));
    assert_int_equal(machine.segments.count, 0);
    assert_true(fake_disk_size(machine.disk, STR("quarantine/0000000000000001.seg")) > 0);
    machine_close(&machine);
}

/* What a life does: segments made, let go and made again of their files. */
static void live(struct machine *machine, uint64_t *durable_r)
{
    struct err e;
    struct segments *segments = &machine->segments;
    for (uint64_t s = 1; s <= 4; s++) {
        struct segment *segment = make(segments, s, &e);
        if (!segment)
            return;
        *durable_r = s;
        segment_unpin(segments, segment);
        struct segment *old = s > 1 ? segment_find(segments, s - 1) : NULL;
        if (old && err_is(segment_recycle(segments, old, 2)))
            return;
    }
}

/* Every file with a segment's name has a whole header of that name, after any power cut. */
static void no_power_cut_leaves_a_segment_without_its_header(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CRASHES; i++) {
        struct machine machine;
        struct fake_random random;
        uint64_t durable = 0;
        machine_open(&machine, NULL);
        fake_random_init(&random, i, "crash");
        fake_kill_role_at(machine.fake, machine.role, 1 + fake_random_below(&random, CALLS_MOST));
        live(&machine, &durable);
        segments_close(&machine.segments);
        (void)fake_role_enter(machine.fake, 0);
        fake_world_close(machine.fake);
        fake_disk_crash(machine.disk, fake_pick_random(&random), FAKE_TEAR_ANY);

        machine_open(&machine, machine.disk);
        assert_true(durable == 0 || segment_find(&machine.segments, durable) ||
                    machine.segments.count > 0);
        struct segment *segment;
        TAILQ_FOREACH (segment, &machine.segments.list, link) {
            struct segment_header header;
            assert_false(err_is(segment_read_header(&machine.segments, segment, &header)));
        }
        machine_close(&machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_they_are_written),
        cmocka_unit_test(segments_are_listed_in_order),
        cmocka_unit_test(a_spare_becomes_the_next_segment),
        cmocka_unit_test(few_files_are_open_but_pinned_ones_stay),
        cmocka_unit_test(a_full_disk_leaves_no_segment),
        cmocka_unit_test(a_missing_segment_and_a_damaged_header_are_named),
        cmocka_unit_test(quarantine_keeps_the_file),
        cmocka_unit_test(no_power_cut_leaves_a_segment_without_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
