/* Body files: what has a name in bodies/ is whole, and what was finished stays. */
#include "store/local/body_file.h"

#include "base/crc.h"
#include "base/test.h"
#include "sys/fake/fake.h"

enum {
    LARGEST = 1024 * 1024 + 5,
    CRASHES = 300,
    CALLS_MOST = 40,
    BLOB = 77,
};

struct machine {
    struct fake_disk *disk;
    struct fake_world *fake;
    struct world *world;
    int role;
    int folder;
};

static unsigned char octets[LARGEST];

static void machine_open(struct machine *machine, struct fake_disk *disk)
{
    for (size_t i = 0; i < LARGEST; i++)
        octets[i] = (unsigned char)(i * 31 + i / 251);
    *machine = (struct machine){.disk = disk ? disk : fake_disk_open(NULL)};
    machine->fake = fake_world_open(1, &(struct fake_settings){0});
    machine->world = &machine->fake->world;
    machine->role = fake_role_open(machine->fake, "store");
    (void)fake_role_enter(machine->fake, machine->role);
    machine->folder = fake_root(machine->fake, machine->role, machine->disk);
}

static void machine_close(struct machine *machine)
{
    (void)fake_role_enter(machine->fake, 0);
    fake_world_close(machine->fake);
    fake_disk_close(machine->disk);
}

/* Writes `size` octets in pieces of `step`. */
static struct err write_body(struct machine *machine, struct body_writer *writer, blob_id blob,
                             size_t size, size_t step)
{
    struct err e = body_open(writer, machine->world, machine->folder, blob);
    if (err_is(e))
        return e;
    for (size_t at = 0; !err_is(e) && at < size; at += step)
        e = body_write(writer, str_make(octets + at, size - at < step ? size - at : step));
    if (!err_is(e))
        e = body_finish(writer);
    if (err_is(e))
        body_close(writer, false);
    return e;
}

/* The file as doc/format.md says: body, sums, foot. */
static void check_file(struct machine *machine, blob_id blob, size_t size)
{
    static char body[LARGEST];
    int file;
    unsigned char sum[CHUNK_SUM_SIZE];
    const struct world_ops *ops = machine->world->ops;
    assert_false(err_is(body_file_open(machine->world, machine->folder, blob, size, &file)));
    assert_int_equal(ops->file_read(machine->world, file, body, size, 0), size);
    assert_memory_equal(body, octets, size);
    for (size_t c = 0; c < chunk_count(size); c++) {
        struct str chunk = str_make(octets + c * CHUNK_SIZE, size - c * CHUNK_SIZE);
        uint64_t at = body_sums_at(size) + c * CHUNK_SUM_SIZE;
        assert_int_equal(ops->file_read(machine->world, file, sum, sizeof sum, at), sizeof sum);
        uint32_t crc = crc32c(blob_seed(blob), str_head(chunk, CHUNK_SIZE));
        assert_int_equal(sum[0] | sum[1] << 8 | sum[2] << 16 | (uint32_t)sum[3] << 24, crc);
    }
    ops->close(machine->world, file);
}

static void a_body_is_read_back_whatever_its_length_and_pieces(void **state)
{
    (void)state;
    const size_t sizes[] = {0,      1,           CHUNK_SIZE - 1,  CHUNK_SIZE,      CHUNK_SIZE + 1,
                            262143, BODY_BUFFER, BODY_BUFFER + 1, 2 * BODY_BUFFER, LARGEST};
    const size_t steps[] = {1000, 16384, 262144, LARGEST};
    struct machine machine;
    struct body_writer writer;
    blob_id blob = BLOB;
    machine_open(&machine, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            assert_false(err_is(write_body(&machine, &writer, ++blob, sizes[i], steps[k])));
            assert_true(writer.body == sizes[i]);
            body_close(&writer, true);
            check_file(&machine, blob, sizes[i]);
        }
    }
    assert_int_equal(fake_role_handles(machine.fake, machine.role), 1);
    machine_close(&machine);
}

static void room_is_what_only_copies(void **state)
{
    (void)state;
    struct machine machine;
    struct body_writer writer;
    machine_open(&machine, NULL);
    assert_false(err_is(body_open(&writer, machine.world, machine.folder, BLOB)));
    uint64_t calls = fake_role_calls(machine.fake, machine.role);
    assert_true(body_has_room(&writer, BODY_BUFFER));
    assert_false(body_has_room(&writer, BODY_BUFFER + 1));
    assert_false(err_is(body_write(&writer, str_make(octets, BODY_BUFFER - 1))));
    assert_true(body_has_room(&writer, 1));
    assert_false(err_is(body_write(&writer, str_make(octets, 1))));
    assert_true(fake_role_calls(machine.fake, machine.role) == calls);
    assert_false(body_has_room(&writer, 1));
    assert_false(err_is(body_write(&writer, str_make(octets, 1))));
    assert_true(fake_role_calls(machine.fake, machine.role) > calls);
    body_close(&writer, false);
    machine_close(&machine);
}

static void a_dropped_body_leaves_nothing(void **state)
{
    (void)state;
    struct machine machine;
    struct body_writer writer;
    char name[BODY_NAME_MAX];
    int file;
    machine_open(&machine, NULL);
    assert_false(err_is(body_open(&writer, machine.world, machine.folder, BLOB)));
    assert_false(err_is(body_write(&writer, str_make(octets, 10))));
    body_close(&writer, false);
    assert_true(fake_disk_size(machine.disk, body_upload_name(BLOB, name)) < 0);
    assert_false(err_is(write_body(&machine, &writer, BLOB, 10, 10)));
    body_close(&writer, false);
    assert_true(fake_disk_size(machine.disk, body_name(BLOB, name)) < 0);
    struct err e = body_file_open(machine.world, machine.folder, BLOB, 10, &file);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_false(err_is(body_remove(machine.world, machine.folder, BLOB)));
    machine_close(&machine);
}

static void unfinished_uploads_are_cleared(void **state)
{
    (void)state;
    struct machine machine;
    struct body_writer writer;
    char name[BODY_NAME_MAX];
    machine_open(&machine, NULL);
    assert_false(err_is(body_uploads_clear(machine.world, machine.folder)));
    for (blob_id blob = 1; blob <= 3; blob++) {
        assert_false(err_is(body_open(&writer, machine.world, machine.folder, blob)));
        body_close(&writer, true); /* as if the process had ended here */
        assert_true(fake_disk_size(machine.disk, body_upload_name(blob, name)) == 0);
    }
    assert_false(err_is(body_uploads_clear(machine.world, machine.folder)));
    for (blob_id blob = 1; blob <= 3; blob++)
        assert_true(fake_disk_size(machine.disk, body_upload_name(blob, name)) < 0);
    machine_close(&machine);
}

static void a_wrong_length_and_a_damaged_foot_are_seen(void **state)
{
    (void)state;
    struct machine machine;
    struct body_writer writer;
    char name[BODY_NAME_MAX];
    int file;
    machine_open(&machine, NULL);
    assert_false(err_is(write_body(&machine, &writer, BLOB, 50000, 50000)));
    body_close(&writer, true);
    struct err e = body_file_open(machine.world, machine.folder, BLOB, 49999, &file);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
    assert_false(err_is(body_file_open(machine.world, machine.folder, BLOB, 50000, &file)));
    machine.world->ops->close(machine.world, file);
    for (uint64_t at = body_foot_at(50000); at < body_foot_at(50000) + BODY_FOOT_SIZE; at++) {
        char was;
        fake_disk_peek(machine.disk, body_name(BLOB, name), &was, 1, at);
        char flipped = (char)(was ^ 4);
        fake_disk_poke(machine.disk, body_name(BLOB, name), str_make(&flipped, 1), at);
        e = body_file_open(machine.world, machine.folder, BLOB, 50000, &file);
        assert_int_equal(e.code, ERR_STORE_DAMAGED);
        fake_disk_poke(machine.disk, body_name(BLOB, name), str_make(&was, 1), at);
    }
    machine_close(&machine);
}

static void count_body(void *arg, blob_id blob, struct str name, uint64_t size)
{
    blob_id *sum = arg;
    assert_int_equal(size > 0, blob != 0);
    assert_true(name.n > 0);
    *sum += blob;
}

static void bodies_are_listed_with_what_is_no_body(void **state)
{
    (void)state;
    struct machine machine;
    struct body_writer writer;
    blob_id sum = 0;
    machine_open(&machine, NULL);
    assert_false(err_is(body_list(machine.world, machine.folder, count_body, &sum)));
    for (blob_id blob = 1; blob <= 4; blob++) {
        assert_false(err_is(write_body(&machine, &writer, blob, 1, 1)));
        body_close(&writer, true);
    }
    int file = machine.world->ops->file_open(machine.world, machine.folder, STR("bodies/stranger"),
                                             FILE_CREATE | FILE_WRITE);
    machine.world->ops->close(machine.world, file);
    assert_false(err_is(body_list(machine.world, machine.folder, count_body, &sum)));
    assert_int_equal(sum, 1 + 2 + 3 + 4);
    machine_close(&machine);
}

static void after_a_power_cut_a_body_is_whole_or_not_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CRASHES; i++) {
        struct machine machine;
        struct fake_random random;
        struct body_writer writer;
        enum {
            SIZE = BODY_BUFFER + 20000
        };
        machine_open(&machine, NULL);
        fake_random_init(&random, i, "crash");
        fake_kill_role_at(machine.fake, machine.role, 1 + fake_random_below(&random, CALLS_MOST));
        struct err e = write_body(&machine, &writer, BLOB, SIZE, 100000);
        if (!err_is(e))
            body_close(&writer, true);
        (void)fake_role_enter(machine.fake, 0);
        fake_world_close(machine.fake);
        fake_disk_crash(machine.disk, fake_pick_random(&random), FAKE_TEAR_ANY);

        machine_open(&machine, machine.disk);
        int file;
        bool there = !err_is(body_file_open(machine.world, machine.folder, BLOB, SIZE, &file));
        if (there)
            machine.world->ops->close(machine.world, file);
        char name[BODY_NAME_MAX];
        assert_int_equal(there, fake_disk_size(machine.disk, body_name(BLOB, name)) >= 0);
        if (there)
            check_file(&machine, BLOB, SIZE);
        assert_true(there || err_is(e));
        machine_close(&machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_read_back_whatever_its_length_and_pieces),
        cmocka_unit_test(room_is_what_only_copies),
        cmocka_unit_test(a_dropped_body_leaves_nothing),
        cmocka_unit_test(unfinished_uploads_are_cleared),
        cmocka_unit_test(a_wrong_length_and_a_damaged_foot_are_seen),
        cmocka_unit_test(bodies_are_listed_with_what_is_no_body),
        cmocka_unit_test(after_a_power_cut_a_body_is_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
