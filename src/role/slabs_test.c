#include "role/slabs.h"

#include "base/test.h"
#include "sys/fake/fake.h"

enum {
    COUNT = 4
};

struct place {
    struct fake_world *fake;
    int role;
    struct loop loop;
    struct fiber_pool *fibers;
    struct slabs *slabs;
    struct fiber_start start[2];
    uint32_t got[2];
    struct err error[2];
    int over;
};

static void open_place(struct place *p)
{
    *p = (struct place){.fake = fake_world_open(1, NULL)};
    struct world *world = &p->fake->world;
    p->role = fake_role_open(p->fake, "edge");
    fake_role_enter(p->fake, p->role);
    assert_int_equal(loop_init(&p->loop, world), 0);
    p->fibers = fiber_pool_open(&p->loop, 8);
    int handle = world->ops->shm_create(world, (size_t)COUNT * SLAB_SIZE);
    p->slabs = slabs_open(world, &p->loop, handle, COUNT);
    assert_non_null(p->slabs);
}

static void close_place(struct place *p)
{
    fiber_pool_close(p->fibers);
    loop_done(&p->loop);
    fake_role_enter(p->fake, 0);
    assert_int_equal(fake_role_handles(p->fake, p->role), 0);
    fake_world_close(p->fake);
}

static void settle(struct place *p, int64_t ns)
{
    fake_role_enter(p->fake, 0);
    fake_run(p->fake, world_mono(&p->fake->world) + ns);
    fake_role_enter(p->fake, p->role);
}

static void the_last_given_back_comes_first(void **state)
{
    (void)state;
    struct place p;
    uint32_t a = 9, b = 9, c = 9;
    open_place(&p);
    assert_true(slabs_take(p.slabs, &a) && slabs_take(p.slabs, &b));
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
    memset(slabs_at(p.slabs, b), 'x', SLAB_SIZE);
    slabs_give(p.slabs, a);
    assert_true(slabs_take(p.slabs, &c));
    assert_int_equal(c, a);
    assert_int_equal(slabs_out(p.slabs), 2);
    assert_int_equal(slabs_most_out(p.slabs), 2);
    slabs_give(p.slabs, b);
    slabs_give(p.slabs, c);
    slabs_retire(p.slabs);
    close_place(&p);
}

static void waits(struct place *p, int i)
{
    int64_t deadline = p->loop.now + (i + 1) * NS_PER_SECOND;
    p->error[i] = slabs_wait(p->slabs, deadline, &p->got[i]);
    p->over++;
}

static void first_waits(void *arg)
{
    waits(arg, 0);
}

static void second_waits(void *arg)
{
    waits(arg, 1);
}

static void all_taken_and_two_wait(struct place *p, uint32_t taken[COUNT])
{
    open_place(p);
    for (int i = 0; i < COUNT; i++)
        assert_true(slabs_take(p->slabs, &taken[i]));
    p->start[0] = (struct fiber_start){.run = first_waits, .arg = p};
    p->start[1] = (struct fiber_start){.run = second_waits, .arg = p};
    fiber_run(p->fibers, &p->start[0]);
    fiber_run(p->fibers, &p->start[1]);
    settle(p, 0);
    assert_int_equal(p->over, 0);
}

static void who_waits_longest_is_served_first(void **state)
{
    (void)state;
    struct place p;
    uint32_t taken[COUNT], none;
    all_taken_and_two_wait(&p, taken);
    slabs_give(p.slabs, taken[2]);
    assert_false(slabs_take(p.slabs, &none));
    settle(&p, 0);
    assert_int_equal(p.over, 1);
    assert_int_equal(p.error[0].code, ERR_NONE);
    assert_int_equal(p.got[0], taken[2]);
    settle(&p, 2 * NS_PER_SECOND);
    assert_int_equal(p.over, 2);
    assert_int_equal(p.error[1].code, ERR_TRY_LATER);
    for (int i = 0; i < COUNT; i++)
        slabs_give(p.slabs, taken[i]);
    slabs_retire(p.slabs);
    close_place(&p);
}

static void a_retired_pool_can_be_read_to_the_end(void **state)
{
    (void)state;
    struct place p;
    uint32_t taken[COUNT];
    all_taken_and_two_wait(&p, taken);
    memset(slabs_at(p.slabs, taken[3]), 'y', SLAB_SIZE);
    slabs_retire(p.slabs);
    settle(&p, 0);
    assert_int_equal(p.over, 2);
    assert_int_equal(p.error[0].code, ERR_BUS_BROKEN);
    assert_int_equal(p.error[1].code, ERR_BUS_BROKEN);
    for (int i = 0; i < COUNT; i++) {
        assert_true(i != 3 || slabs_at(p.slabs, taken[i])[SLAB_SIZE - 1] == 'y');
        slabs_give(p.slabs, taken[i]);
    }
    close_place(&p);
}

static void wants_three(void *arg)
{
    struct place *p = arg;
    uint32_t got[3];
    p->error[0] = slabs_wait_all(p->slabs, 3, p->loop.now + NS_PER_SECOND, got);
    p->over++;
    for (int i = 0; i < 3 && !err_is(p->error[0]); i++)
        slabs_give(p->slabs, got[i]);
}

/* And no half of it meanwhile, and nobody behind it passes it. */
static void who_wants_many_gets_all_or_none(void **state)
{
    (void)state;
    struct place p;
    uint32_t taken[COUNT], none;
    open_place(&p);
    for (int i = 0; i < COUNT; i++)
        assert_true(slabs_take(p.slabs, &taken[i]));
    p.start[0] = (struct fiber_start){.run = wants_three, .arg = &p};
    p.start[1] = (struct fiber_start){.run = second_waits, .arg = &p};
    fiber_run(p.fibers, &p.start[0]);
    fiber_run(p.fibers, &p.start[1]);
    for (int i = 0; i < 2; i++)
        slabs_give(p.slabs, taken[i]);
    settle(&p, 0);
    assert_int_equal(p.over, 0);
    assert_int_equal(slabs_out(p.slabs), COUNT - 2);
    assert_false(slabs_take(p.slabs, &none));
    slabs_give(p.slabs, taken[2]);
    settle(&p, 0);
    assert_int_equal(p.over, 2);
    assert_true(p.error[0].code == ERR_NONE && p.error[1].code == ERR_NONE);
    slabs_give(p.slabs, p.got[1]);
    slabs_give(p.slabs, taken[3]);
    slabs_retire(p.slabs);
    close_place(&p);
}

/* Once the first in the queue has waited in vain, its share is there for the next. */
static void who_waited_in_vain_is_in_nobodys_way(void **state)
{
    (void)state;
    struct place p;
    uint32_t taken[COUNT];
    open_place(&p);
    for (int i = 0; i < COUNT; i++)
        assert_true(slabs_take(p.slabs, &taken[i]));
    p.start[0] = (struct fiber_start){.run = wants_three, .arg = &p};
    p.start[1] = (struct fiber_start){.run = second_waits, .arg = &p};
    fiber_run(p.fibers, &p.start[0]);
    fiber_run(p.fibers, &p.start[1]);
    slabs_give(p.slabs, taken[0]);
    settle(&p, NS_PER_SECOND);
    assert_int_equal(p.over, 2);
    assert_int_equal(p.error[0].code, ERR_TRY_LATER);
    assert_int_equal(p.error[1].code, ERR_NONE);
    slabs_give(p.slabs, p.got[1]);
    for (int i = 1; i < COUNT; i++)
        slabs_give(p.slabs, taken[i]);
    slabs_retire(p.slabs);
    close_place(&p);
}

static void half_of_them_is_short(void **state)
{
    (void)state;
    struct place p;
    uint32_t taken[COUNT];
    open_place(&p);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(slabs_short(p.slabs), COUNT - i <= COUNT / 2);
        assert_true(slabs_take(p.slabs, &taken[i]));
    }
    for (int i = 0; i < COUNT; i++)
        slabs_give(p.slabs, taken[i]);
    assert_false(slabs_short(p.slabs));
    slabs_retire(p.slabs);
    close_place(&p);
}

static void absurd_pools_are_refused(void **state)
{
    (void)state;
    struct place p;
    open_place(&p);
    struct world *world = &p.fake->world;
    assert_null(slabs_open(world, &p.loop, world->ops->shm_create(world, SLAB_SIZE), 0));
    assert_null(slabs_open(world, &p.loop, world->ops->shm_create(world, SLAB_SIZE), UINT32_MAX));
    slabs_retire(p.slabs);
    close_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_given_back_comes_first),
        cmocka_unit_test(who_waits_longest_is_served_first),
        cmocka_unit_test(who_wants_many_gets_all_or_none),
        cmocka_unit_test(who_waited_in_vain_is_in_nobodys_way),
        cmocka_unit_test(half_of_them_is_short),
        cmocka_unit_test(a_retired_pool_can_be_read_to_the_end),
        cmocka_unit_test(absurd_pools_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
