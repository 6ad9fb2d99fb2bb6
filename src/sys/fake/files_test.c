#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/call.h"
#include "sys/world.h"

struct place {
    struct fake_disk *disk;
    struct fake_world *fake;
    struct world *world;
    const struct world_ops *ops;
    int root;
};

static struct place open_place(uint64_t seed, const struct fake_settings *settings)
{
    struct place p = {.disk = fake_disk_open(NULL), .fake = fake_world_open(seed, settings)};
    p.world = &p.fake->world;
    p.ops = p.world->ops;
    p.root = fake_root(p.fake, 0, p.disk);
    return p;
}

static void close_place(struct place *p)
{
    fake_world_close(p->fake);
    fake_disk_close(p->disk);
}

static int open_new(struct place *p, struct str name)
{
    int file = p->ops->file_open(p->world, p->root, name, FILE_READ | FILE_WRITE | FILE_CREATE);
    assert_true(file >= 0);
    return file;
}

static ssize_t write_text(struct place *p, int file, struct str text, uint64_t at)
{
    struct iovec part = {.iov_len = text.n};
    memcpy(&part.iov_base, &text.p, sizeof(text.p));
    return p->ops->file_write(p->world, file, &part, 1, at);
}

static void files_are_written_and_read(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int file = open_new(&p, STR("a"));
    assert_int_equal(write_text(&p, file, STR("hello"), 3), 5);
    assert_int_equal(p.ops->file_size(p.world, file), 8);
    char bytes[16];
    assert_int_equal(p.ops->file_read(p.world, file, bytes, sizeof(bytes), 2), 6);
    assert_memory_equal(bytes, "\0hello", 6);
    assert_int_equal(p.ops->file_read(p.world, file, bytes, sizeof(bytes), 8), 0);
    assert_int_equal(p.ops->file_open(p.world, p.root, STR("b"), FILE_READ), -ENOENT);
    assert_int_equal(
        p.ops->file_open(p.world, p.root, STR("a"), FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE),
        -EEXIST);
    int folder = p.ops->folder_open(p.world, p.root, STR("sub"), true);
    assert_true(folder >= 0);
    assert_int_equal(p.ops->file_rename(p.world, p.root, STR("a"), STR("sub/a")), 0);
    assert_int_equal(p.ops->file_open(p.world, p.root, STR("sub"), FILE_READ), -EISDIR);
    assert_int_equal(p.ops->file_remove(p.world, folder, STR("a")), 0);
    assert_int_equal(p.ops->file_read(p.world, file, bytes, 5, 3), 5); /* still open */
    assert_true(p.ops->folder_free(p.world, p.root) > 0);
    p.ops->close(p.world, file);
    p.ops->close(p.world, folder);
    close_place(&p);
}

static void a_lock_ends_with_its_role(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int mine = open_new(&p, STR("lock"));
    int role = fake_role_open(p.fake, "other");
    int root = fake_root(p.fake, role, p.disk);
    fake_role_enter(p.fake, role);
    int theirs = p.ops->file_open(p.world, root, STR("lock"), FILE_READ | FILE_WRITE);
    assert_int_equal(p.ops->file_lock(p.world, theirs), 0);
    assert_int_equal(p.ops->file_lock(p.world, theirs), 0);
    fake_role_enter(p.fake, 0);
    assert_int_equal(p.ops->file_lock(p.world, mine), -EWOULDBLOCK);
    assert_int_equal(fake_role_handles(p.fake, role), 2);
    fake_kill_role(p.fake, role);
    assert_int_equal(p.ops->file_lock(p.world, mine), 0);
    close_place(&p);
}

static void a_lock_ends_with_the_power(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int before = open_new(&p, STR("lock"));
    assert_int_equal(p.ops->file_lock(p.world, before), 0);
    assert_int_equal(p.ops->folder_sync(p.world, p.root), 0);
    struct fake_random r;
    fake_world_random(p.fake, "crash", &r);
    fake_disk_crash(p.disk, fake_pick_random(&r), FAKE_TEAR_ANY);
    assert_int_equal(p.ops->file_lock(p.world, before), -EIO);
    p.root = fake_root(p.fake, 0, p.disk);
    int after = open_new(&p, STR("lock"));
    assert_int_equal(p.ops->file_lock(p.world, after), 0);
    p.ops->close(p.world, before);
    assert_int_equal(p.ops->file_lock(p.world, after), 0);
    close_place(&p);
}

static void count_file(void *arg, struct str name, uint64_t size)
{
    assert_true(name.n == 1 && size == 1);
    (*(int *)arg)++;
}

static void a_folder_lists_its_files_only(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    for (char c = 'a'; c < 'f'; c++) {
        int file = open_new(&p, str_make(&c, 1));
        assert_int_equal(write_text(&p, file, STR("x"), 0), 1);
        p.ops->close(p.world, file);
    }
    p.ops->close(p.world, p.ops->folder_open(p.world, p.root, STR("folder"), true));
    int count = 0;
    assert_int_equal(p.ops->folder_list(p.world, p.root, count_file, &count), 0);
    assert_int_equal(count, 5);
    close_place(&p);
}

static void the_nth_use_fails_and_no_other(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 4; nth++) {
        struct place p = open_place(1, NULL);
        int file = open_new(&p, STR("a"));
        struct fake_fault fault = {.kind = FAKE_FILE_SYNC, .nth = nth, .times = 2, .error = -EIO};
        fake_fault_add(p.fake, &fault);
        for (uint64_t use = 1; use <= 6; use++) {
            assert_int_equal(write_text(&p, file, STR("x"), use), 1);
            int expected = use == nth || use == nth + 1 ? -EIO : 0;
            assert_int_equal(p.ops->file_sync(p.world, file), expected);
        }
        assert_int_equal(fault.seen, 6);
        assert_int_equal(fault.fired, 2);
        fake_fault_remove(p.fake, &fault);
        close_place(&p);
    }
}

static void a_sync_that_failed_once_lies_afterwards(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int file = open_new(&p, STR("a"));
    assert_int_equal(write_text(&p, file, STR("old"), 0), 3);
    assert_int_equal(p.ops->file_sync(p.world, file), 0);
    assert_int_equal(p.ops->folder_sync(p.world, p.root), 0);
    assert_int_equal(write_text(&p, file, STR("new"), 0), 3);
    struct fake_fault fault = {.kind = FAKE_FILE_SYNC, .nth = 1, .error = -EIO, .lie = true};
    fake_fault_add(p.fake, &fault);
    assert_int_equal(p.ops->file_sync(p.world, file), -EIO);
    assert_int_equal(p.ops->file_sync(p.world, file), 0);
    char bytes[3];
    assert_int_equal(p.ops->file_read(p.world, file, bytes, 3, 0), 3);
    assert_memory_equal(bytes, "new", 3);

    /* Only a read past the cache tells. */
    int direct = p.ops->file_open(p.world, p.root, STR("a"), FILE_READ | FILE_DIRECT);
    char *page = aligned_alloc(4096, 4096);
    must(page);
    assert_int_equal(p.ops->file_read(p.world, direct, page, 100, 0), -EINVAL);
    assert_int_equal(p.ops->file_read(p.world, direct, page, 4096, 0), 3);
    assert_memory_equal(page, "old", 3);
    free(page);

    struct fake_random r;
    fake_world_random(p.fake, "crash", &r);
    fake_disk_crash(p.disk, fake_pick_random(&r), FAKE_TEAR_ANY);
    assert_int_equal(fake_disk_peek(p.disk, STR("a"), bytes, 3, 0), 3);
    assert_memory_equal(bytes, "old", 3);
    assert_int_equal(p.ops->file_size(p.world, file), -EIO); /* a handle from before */
    assert_int_equal(p.ops->folder_sync(p.world, p.root), -EIO);
    close_place(&p);
}

struct recorder {
    struct fake_hook hook;
    int before, after;
    bool saw_write;
};

static int record_before(struct fake_hook *hook, const struct fake_call *call)
{
    ((struct recorder *)hook->arg)->before++;
    return call->kind == FAKE_FILE_TRUNCATE ? -ENOMEM : 0;
}

static void record_after(struct fake_hook *hook, const struct fake_call *call)
{
    struct recorder *recorder = hook->arg;
    recorder->after++;
    if (call->kind == FAKE_FILE_WRITE)
        recorder->saw_write = call->result == 2 && call->at == 7 && call->node > 0 &&
                              str_eq(str_make(call->parts[0].iov_base, 2), STR("hi"));
    if (call->kind == FAKE_FILE_TRUNCATE)
        assert_int_equal(call->result, -ENOMEM);
}

static void hooks_see_every_call(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int file = open_new(&p, STR("a"));
    struct recorder recorder = {.hook = {.before = record_before, .after = record_after}};
    recorder.hook.arg = &recorder;
    fake_hook_add(p.fake, &recorder.hook);
    assert_int_equal(write_text(&p, file, STR("hi"), 7), 2);
    assert_int_equal(p.ops->file_truncate(p.world, file, 0), -ENOMEM);
    assert_int_equal(p.ops->file_size(p.world, file), 9);
    fake_hook_remove(p.fake, &recorder.hook);
    assert_int_equal(p.ops->file_sync(p.world, file), 0);
    assert_int_equal(recorder.before, 3);
    assert_int_equal(recorder.after, 3);
    assert_true(recorder.saw_write);
    for (int kind = 0; kind < FAKE_CALLS; kind++)
        assert_non_null(fake_call_name((enum fake_call_kind)kind));
    close_place(&p);
}

static void handles_run_out_at_their_limit(void **state)
{
    (void)state;
    struct place p = open_place(1, &(struct fake_settings){.handles = 3});
    int first = open_new(&p, STR("a"));
    open_new(&p, STR("b"));
    assert_int_equal(p.ops->file_open(p.world, p.root, STR("a"), FILE_READ), -EMFILE);
    p.ops->close(p.world, first);
    assert_int_equal(p.ops->file_open(p.world, p.root, STR("a"), FILE_READ), first);
    close_place(&p);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int file = open_new(&p, STR("a"));
    fake_disk_set_capacity(p.disk, 4096);
    assert_int_equal(write_text(&p, file, STR("x"), 0), 1);
    assert_int_equal(p.ops->folder_free(p.world, p.root), 0);
    assert_int_equal(write_text(&p, file, STR("x"), 4096), -ENOSPC);
    fake_disk_set_capacity(p.disk, 0);
    assert_int_equal(write_text(&p, file, STR("x"), 4096), 1);
    close_place(&p);
}

static void a_cold_read_asks_for_a_thread(void **state)
{
    (void)state;
    struct place p = open_place(1, &(struct fake_settings){.cold = FAKE_ALWAYS});
    int file = open_new(&p, STR("a"));
    char c;
    assert_int_equal(write_text(&p, file, STR("x"), 0), 1);
    assert_int_equal(p.ops->file_read_nowait(p.world, file, &c, 1, 0), -EAGAIN);
    fake_world_settings(p.fake)->cold = 0;
    assert_int_equal(p.ops->file_read_nowait(p.world, file, &c, 1, 0), 1);
    close_place(&p);
}

static void clocks_move_when_told(void **state)
{
    (void)state;
    struct place p = open_place(1, NULL);
    int64_t mono = world_mono(p.world), wall = world_wall(p.world);
    fake_advance(p.fake, 5 * NS_PER_SECOND);
    assert_int_equal(world_mono(p.world) - mono, 5 * NS_PER_SECOND);
    assert_int_equal(world_wall(p.world) - wall, 5 * US_PER_SECOND);
    fake_wall_jump(p.fake, -3600 * US_PER_SECOND);
    assert_int_equal(world_mono(p.world) - mono, 5 * NS_PER_SECOND);
    assert_int_equal(world_wall(p.world) - wall, -3595 * US_PER_SECOND);
    close_place(&p);
}

static void the_log_keeps_its_latest_lines(void **state)
{
    (void)state;
    struct place p = open_place(1, &(struct fake_settings){.log_most = 20});
    p.ops->log_line(p.world, 0, STR("first\n"));
    assert_str(fake_log(p.fake), STR("first\n"));
    for (int i = 0; i < 5; i++)
        p.ops->log_line(p.world, 0, STR("another\n"));
    p.ops->log_line(p.world, 0, STR("last\n"));
    assert_true(fake_log(p.fake).n <= 20);
    assert_true(str_ends(fake_log(p.fake), STR("\nlast\n")));
    assert_true(str_starts(fake_log(p.fake), STR("another\n")));
    close_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_and_read),
        cmocka_unit_test(a_lock_ends_with_its_role),
        cmocka_unit_test(a_lock_ends_with_the_power),
        cmocka_unit_test(a_folder_lists_its_files_only),
        cmocka_unit_test(the_nth_use_fails_and_no_other),
        cmocka_unit_test(a_sync_that_failed_once_lies_afterwards),
        cmocka_unit_test(hooks_see_every_call),
        cmocka_unit_test(handles_run_out_at_their_limit),
        cmocka_unit_test(a_full_disk_refuses_and_recovers),
        cmocka_unit_test(a_cold_read_asks_for_a_thread),
        cmocka_unit_test(clocks_move_when_told),
        cmocka_unit_test(the_log_keeps_its_latest_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
