#include "base/test.h"

#include <errno.h>

#include "base/must.h"
#include "sys/fake/fake.h"

struct pair {
    struct fake_world *fake;
    struct world *world;
    const struct world_ops *ops;
    int a, b;       /* roles */
    int link[2];    /* their ends */
    char bytes[64]; /* received */
    int passed;
};

static struct pair pair_open(const struct fake_settings *settings)
{
    struct pair p = {.fake = fake_world_open(1, settings)};
    p.world = &p.fake->world;
    p.ops = p.world->ops;
    p.a = fake_role_open(p.fake, "a");
    p.b = fake_role_open(p.fake, "b");
    fake_packet_pair(p.fake, p.a, p.b, p.link);
    return p;
}

static ssize_t a_sends(struct pair *p, struct str text, int pass)
{
    fake_role_enter(p->fake, p->a);
    ssize_t n = p->ops->packet_send(p->world, p->link[0], text, pass);
    fake_role_enter(p->fake, 0);
    return n;
}

static ssize_t b_receives(struct pair *p, size_t cap)
{
    fake_role_enter(p->fake, p->b);
    ssize_t n = p->ops->packet_recv(p->world, p->link[1], p->bytes, cap, &p->passed);
    fake_role_enter(p->fake, 0);
    return n;
}

static void packets_are_whole_or_lost(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    assert_int_equal(b_receives(&p, 64), -EAGAIN);
    assert_int_equal(a_sends(&p, STR("first"), -1), 5);
    assert_int_equal(a_sends(&p, STR("second"), -1), 6);
    assert_int_equal(a_sends(&p, STR("third"), -1), 5);
    assert_int_equal(b_receives(&p, 5), 5);
    assert_memory_equal(p.bytes, "first", 5);
    assert_int_equal(b_receives(&p, 5), -EMSGSIZE);
    assert_int_equal(b_receives(&p, 5), 5);
    assert_memory_equal(p.bytes, "third", 5);
    assert_int_equal(p.passed, -1);
    fake_world_close(p.fake);
}

static void a_full_queue_pushes_back(void **state)
{
    (void)state;
    struct pair p = pair_open(&(struct fake_settings){.packet_queue = 2});
    assert_int_equal(a_sends(&p, STR("1"), -1), 1);
    assert_int_equal(a_sends(&p, STR("2"), -1), 1);
    assert_int_equal(a_sends(&p, STR("3"), -1), -EAGAIN);
    assert_int_equal(b_receives(&p, 64), 1);
    assert_int_equal(a_sends(&p, STR("3"), -1), 1);
    fake_world_close(p.fake);
}

static void what_was_sent_outlives_its_sender(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    assert_int_equal(a_sends(&p, STR("last words"), -1), 10);
    fake_kill_role(p.fake, p.a);
    assert_false(fake_role_alive(p.fake, p.a));
    assert_int_equal(b_receives(&p, 64), 10);
    assert_int_equal(b_receives(&p, 64), 0);
    fake_role_enter(p.fake, p.b);
    assert_int_equal(p.ops->packet_send(p.world, p.link[1], STR("too late"), -1), -EPIPE);
    fake_role_enter(p.fake, 0);
    fake_world_close(p.fake);
}

static void shared_memory_travels_in_a_packet(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    fake_role_enter(p.fake, p.a);
    int shm = p.ops->shm_create(p.world, 5000);
    char *ours = p.ops->shm_map(p.world, shm, 5000);
    assert_non_null(ours);
    assert_int_equal(ours[4999], 0);
    assert_null(p.ops->shm_map(p.world, shm, 5001));
    fake_role_enter(p.fake, 0);
    assert_int_equal(a_sends(&p, STR("here"), shm), 4);
    ours[17] = 'x';
    fake_kill_role(p.fake, p.a); /* its handle and its map with it */
    assert_int_equal(b_receives(&p, 64), 4);
    assert_true(p.passed >= 0);
    fake_role_enter(p.fake, p.b);
    char *theirs = p.ops->shm_map(p.world, p.passed, 5000);
    assert_int_equal(theirs[17], 'x');
    p.ops->shm_unmap(p.world, theirs, 5000);
    p.ops->close(p.world, p.passed);
    fake_role_enter(p.fake, 0);
    assert_int_equal(fake_role_handles(p.fake, p.b), 1);
    fake_world_close(p.fake);
}

static void a_packet_nobody_reads_gives_its_handle_back(void **state)
{
    (void)state;
    struct pair p = pair_open(NULL);
    fake_role_enter(p.fake, p.a);
    int shm = p.ops->shm_create(p.world, 1);
    fake_role_enter(p.fake, 0);
    assert_int_equal(a_sends(&p, STR("here"), shm), 4);
    assert_int_equal(a_sends(&p, STR("too large for the reader"), shm), 24);
    assert_int_equal(b_receives(&p, 4), 4);
    assert_int_equal(b_receives(&p, 4), -EMSGSIZE);
    assert_int_equal(p.passed, -1);
    assert_int_equal(a_sends(&p, STR("here"), shm), 4);
    fake_world_close(p.fake);
}

static void a_receiver_without_handles_loses_the_one_passed(void **state)
{
    (void)state;
    struct pair p = pair_open(&(struct fake_settings){.handles = 2});
    fake_role_enter(p.fake, p.a);
    int shm = p.ops->shm_create(p.world, 1);
    assert_int_equal(p.ops->shm_create(p.world, 1), -EMFILE);
    fake_role_enter(p.fake, 0);
    assert_int_equal(a_sends(&p, STR("one"), shm), 3);
    assert_int_equal(a_sends(&p, STR("two"), shm), 3);
    assert_int_equal(b_receives(&p, 64), 3);
    assert_true(p.passed >= 0);
    assert_int_equal(b_receives(&p, 64), 3);
    assert_int_equal(p.passed, -1);
    fake_world_close(p.fake);
}

/* ---- A bus: one end sends as fast as it may, the other reads ---- */

enum {
    PACKETS = 500
};

struct end {
    struct loop loop;
    struct watch watch;
    int count;
    bool ended;
};

static void send_on(struct watch *watch, unsigned ready)
{
    struct end *end = watch->arg;
    struct world *world = end->loop.world;
    assert_int_equal(ready, READY_WRITE);
    struct str number = str_make(&end->count, sizeof(end->count));
    while (end->count < PACKETS && world->ops->packet_send(world, watch->handle, number, -1) > 0)
        end->count++;
    if (end->count < PACKETS)
        return;
    watch_end(&end->loop, watch);
    world->ops->close(world, watch->handle);
}

static void receive_on(struct watch *watch, unsigned ready)
{
    struct end *end = watch->arg;
    struct world *world = end->loop.world;
    int number = -1, passed;
    assert_int_equal(ready, READY_READ);
    ssize_t n = world->ops->packet_recv(world, watch->handle, &number, sizeof(number), &passed);
    if (n > 0)
        assert_int_equal(number, end->count++);
    end->ended = n == 0;
    if (end->ended)
        watch_end(&end->loop, watch);
}

static void end_open(struct end *end, struct pair *p, int role, int handle,
                     void (*ready)(struct watch *, unsigned), unsigned want)
{
    *end = (struct end){.count = 0};
    fake_role_enter(p->fake, role);
    assert_int_equal(loop_init(&end->loop, p->world), 0);
    end->watch = (struct watch){.handle = handle, .want = want, .ready = ready, .arg = end};
    assert_int_equal(watch_begin(&end->loop, &end->watch), 0);
    fake_role_enter(p->fake, 0);
}

static void readiness_drives_both_ends(void **state)
{
    (void)state;
    struct pair p = pair_open(&(struct fake_settings){.packet_queue = 3});
    struct end a, b;
    end_open(&a, &p, p.a, p.link[0], send_on, READY_WRITE);
    end_open(&b, &p, p.b, p.link[1], receive_on, READY_READ);
    assert_int_equal(fake_run(p.fake, INT64_MAX), FAKE_IDLE);
    assert_int_equal(a.count, PACKETS);
    assert_int_equal(b.count, PACKETS);
    assert_true(b.ended);
    fake_world_close(p.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_whole_or_lost),
        cmocka_unit_test(a_full_queue_pushes_back),
        cmocka_unit_test(what_was_sent_outlives_its_sender),
        cmocka_unit_test(shared_memory_travels_in_a_packet),
        cmocka_unit_test(a_packet_nobody_reads_gives_its_handle_back),
        cmocka_unit_test(readiness_drives_both_ends),
        cmocka_unit_test(a_receiver_without_handles_loses_the_one_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
