#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/fake.h"
#include "sys/fiber.h"

/* Keeps the compiler from leaving a malloc out. */
static void *volatile seen;

static void *taken(size_t n)
{
    seen = malloc(n);
    return seen;
}

static void blocks_are_counted_by_who_took_them(void **state)
{
    (void)state;
    struct fake_memory *a = fake_memory_open(), *b = fake_memory_open();
    fake_memory_charge(a);
    char *mine = taken(10), *also_mine = calloc(3, 5);
    seen = also_mine;
    fake_memory_charge(b);
    char *theirs = taken(100);
    fake_memory_charge(NULL);
    char *nobodys = taken(1000);
    assert_int_equal(fake_memory_blocks(a), 2);
    assert_int_equal(fake_memory_bytes(a), 25);
    assert_int_equal(fake_memory_bytes(b), 100);
    free(mine); /* whoever frees it */
    assert_int_equal(fake_memory_bytes(a), 15);
    fake_memory_charge(a);
    seen = realloc(theirs, 50);
    theirs = seen;
    fake_memory_charge(NULL);
    assert_int_equal(fake_memory_bytes(b), 0);
    assert_int_equal(fake_memory_bytes(a), 65);
    fake_memory_close(b);
    free(theirs);
    free(also_mine);
    assert_int_equal(fake_memory_blocks(a), 0);
    fake_memory_close(a);
    free(nobodys);
}

static void many_blocks_are_found_again(void **state)
{
    (void)state;
    enum {
        MANY = 5000
    };
    struct fake_memory *memory = fake_memory_open();
    void **blocks = calloc(MANY, sizeof(void *));
    must(blocks);
    fake_memory_charge(memory);
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = taken(1 + i % 100);
    fake_memory_charge(NULL);
    assert_int_equal(fake_memory_blocks(memory), MANY);
    for (size_t i = 0; i < MANY; i += 2)
        free(blocks[i]);
    assert_int_equal(fake_memory_blocks(memory), MANY / 2);
    free(blocks);
    fake_memory_close(memory); /* the rest: LeakSanitizer looks */
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    struct fake_memory *memory = fake_memory_open();
    fake_memory_fail(memory, 2, 2);
    fake_memory_charge(memory);
    void *one = taken(1), *two = taken(1), *three = taken(1), *four = taken(1);
    fake_memory_charge(NULL);
    assert_true(one && !two && !three && four);
    assert_int_equal(fake_memory_taken(memory), 4);
    fake_memory_close(memory);
}

/* ---- A role that is killed in the middle of everything ---- */

struct busy {
    struct loop loop;
    struct fiber_pool *pool;
    struct fiber_start start[3];
};

static void hold_and_wait(void *arg)
{
    struct busy *busy = arg;
    char *held = taken(1000);
    memset(held, 'x', 1000);
    fiber_sleep_until(&busy->loop, busy->loop.now + 3600 * NS_PER_SECOND);
    must(held[999] == 'x');
    free(held);
}

static struct busy *busy_open(struct fake_world *fake, int role)
{
    fake_role_enter(fake, role);
    struct busy *busy = calloc(1, sizeof(*busy));
    must(busy && loop_init(&busy->loop, &fake->world) == 0);
    busy->pool = fiber_pool_open(&busy->loop, 3);
    must(busy->pool);
    for (int i = 0; i < 3; i++) {
        busy->start[i] = (struct fiber_start){.run = hold_and_wait, .arg = busy};
        fiber_run(busy->pool, &busy->start[i]);
    }
    fake_role_enter(fake, 0);
    return busy;
}

static void a_killed_role_takes_its_heap_and_stacks_along(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, NULL);
    for (int life = 0; life < 20; life++) {
        int role = fake_role_open(fake, "busy");
        busy_open(fake, role);
        fake_run(fake, world_mono(&fake->world) + NS_PER_SECOND);
        assert_true(fake_memory_bytes(fake_role_memory(fake, role)) > 3 * (size_t)64 * 1024);
        fake_kill_role(fake, role);
    }
    fake_world_close(fake);
}

static void an_orderly_end_leaves_nothing(void **state)
{
    (void)state;
    struct fake_world *fake = fake_world_open(1, NULL);
    int role = fake_role_open(fake, "busy");
    struct busy *busy = busy_open(fake, role);
    assert_int_equal(fake_run(fake, INT64_MAX - 1), FAKE_IDLE);
    fake_role_enter(fake, role);
    fiber_pool_close(busy->pool);
    loop_done(&busy->loop);
    free(busy);
    fake_role_enter(fake, 0);
    assert_int_equal(fake_memory_blocks(fake_role_memory(fake, role)), 0);
    fake_world_close(fake);
}

/* It went past the table: what a killed role had grown by reallocarray was lost. */
static void arrays_that_grow_are_counted_too(void **state)
{
    (void)state;
    struct fake_memory *a = fake_memory_open();
    fake_memory_charge(a);
    char *at = reallocarray(NULL, 10, 10);
    assert_non_null(at);
    at = reallocarray(at, 20, 10);
    assert_non_null(at);
    volatile size_t half = SIZE_MAX / 2;
    assert_null(reallocarray(at, half, 3));
    fake_memory_charge(NULL);
    assert_int_equal(fake_memory_blocks(a), 1);
    assert_int_equal(fake_memory_bytes(a), 200);
    fake_memory_close(a);
}

/* What the fake keeps for itself must not be charged, or it would go with the role. */
static void the_worlds_own_memory_is_not_the_roles(void **state)
{
    (void)state;
    struct fake_disk *disk = fake_disk_open(NULL);
    struct fake_world *fake = fake_world_open(1, NULL);
    int role = fake_role_open(fake, "role"), other = fake_role_open(fake, "other"), link[2];
    fake_packet_pair(fake, role, other, link);
    int root = fake_root(fake, role, disk);
    fake_role_enter(fake, role);
    struct world *world = &fake->world;
    int file = world->ops->file_open(world, root, STR("a"), FILE_WRITE | FILE_CREATE);
    char c = 'x';
    struct iovec part = {.iov_base = &c, .iov_len = 1};
    assert_int_equal(world->ops->file_write(world, file, &part, 1, 0), 1);
    assert_int_equal(world->ops->packet_send(world, link[0], STR("packet"), file), 6);
    assert_true(world->ops->shm_create(world, 4096) >= 0);
    world->ops->log_line(world, 0, STR("line\n"));
    fake_role_enter(fake, 0);
    assert_int_equal(fake_memory_taken(fake_role_memory(fake, role)), 0);
    fake_kill_role(fake, role);
    assert_int_equal(fake_disk_size(disk, STR("a")), 1);
    fake_world_close(fake);
    fake_disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_counted_by_who_took_them),
        cmocka_unit_test(many_blocks_are_found_again),
        cmocka_unit_test(arrays_that_grow_are_counted_too),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(a_killed_role_takes_its_heap_and_stacks_along),
        cmocka_unit_test(an_orderly_end_leaves_nothing),
        cmocka_unit_test(the_worlds_own_memory_is_not_the_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
