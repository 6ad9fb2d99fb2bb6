/* Letters that wait: whole or not there, in their order, and what a power cut leaves of them. */
#include "cli/spool.h"

#include "base/test.h"
#include "sys/fake/fake.h"

enum {
    ARENA = 1 << 20,
    CRASHES = 100,
};

struct machine {
    struct fake_disk *disk;
    struct fake_world *fake;
    struct spool spool;
    struct arena arena;
};

static void machine_begin(struct machine *machine, struct fake_disk *disk)
{
    *machine = (struct machine){.disk = disk, .fake = fake_world_open(1, NULL)};
    int role = fake_role_open(machine->fake, "sendmail");
    (void)fake_role_enter(machine->fake, role);
    spool_init(&machine->spool, &machine->fake->world, fake_root(machine->fake, role, disk));
    arena_init(&machine->arena, ARENA);
}

static void machine_end(struct machine *machine)
{
    spool_close(&machine->spool);
    (void)fake_role_enter(machine->fake, 0);
    fake_world_close(machine->fake);
    fake_disk_close(machine->disk);
    arena_done(&machine->arena);
}

static struct letter letter_to(struct letter_recipient *to, size_t count)
{
    static const struct str addresses[] = {STR_INIT("a@x.example"), STR_INIT("b@x.example")};
    for (size_t i = 0; i < count; i++)
        to[i] = (struct letter_recipient){.address = addresses[i], .asked = STR("")};
    return (struct letter){.sender = STR("me@x.example"),
                           .asked = STR(""),
                           .recipients = to,
                           .count = count,
                           .message = STR("Subject: s\r\n\r\nbody\r\n")};
}

static size_t listed(struct machine *machine, struct spool_name **names)
{
    size_t count = 0;
    assert_false(err_is(spool_list(&machine->spool, &machine->arena, names, &count)));
    return count;
}

static void letters_stand_in_the_order_they_came(void **state)
{
    (void)state;
    struct machine machine;
    struct letter_recipient to[2];
    struct letter letter = letter_to(to, 2), again;
    struct spool_name first, second, *names;
    machine_begin(&machine, fake_disk_open(NULL));
    assert_int_equal(listed(&machine, &names), 0);
    assert_false(err_is(spool_put(&machine.spool, &letter, &first)));
    assert_false(err_is(spool_put(&machine.spool, &letter, &second)));
    assert_int_equal(listed(&machine, &names), 2);
    assert_string_equal(names[0].text, first.text);
    assert_string_equal(names[1].text, second.text);
    assert_false(names[0].dotted);
    assert_false(err_is(spool_mark(&machine.spool, &names[0])));
    assert_int_equal(listed(&machine, &names), 2);
    assert_true(names[0].dotted && !names[1].dotted);
    letter = letter_to(to, 1);
    assert_false(err_is(spool_replace(&machine.spool, &names[0], &letter)));
    assert_false(err_is(spool_read(&machine.spool, &names[0], &machine.arena, &again)));
    assert_int_equal(again.count, 1);
    assert_str(again.message, letter.message);
    assert_false(err_is(spool_remove(&machine.spool, &names[0])));
    assert_false(err_is(spool_bury(&machine.spool, &letter, &first)));
    assert_int_equal(listed(&machine, &names), 2);
    assert_string_equal(names[0].text, second.text);
    assert_true(names[1].dead && !names[0].dead);
    machine_end(&machine);
}

static void one_sends_at_a_time(void **state)
{
    (void)state;
    struct machine machine;
    machine_begin(&machine, fake_disk_open(NULL));
    struct spool other = machine.spool;
    assert_true(spool_lock(&machine.spool));
    assert_false(spool_lock(&other));
    machine_end(&machine);
}

/* What spool_put promised is there; what a mark promised, too; and never half a letter. */
static void a_power_cut_loses_nothing_that_was_promised(void **state)
{
    (void)state;
    struct letter_recipient to[2];
    struct letter letter = letter_to(to, 2), again;
    struct spool_name kept, *names;
    for (uint64_t seed = 1; seed <= CRASHES; seed++) {
        struct machine machine, after;
        struct fake_random random;
        machine_begin(&machine, fake_disk_open(NULL));
        assert_false(err_is(spool_put(&machine.spool, &letter, &kept)));
        bool marked = seed % 2 == 0;
        if (marked)
            assert_false(err_is(spool_mark(&machine.spool, &kept)));
        struct fake_disk *left = fake_disk_clone(machine.disk);
        machine_end(&machine);
        fake_random_init(&random, seed, "crash");
        fake_disk_crash(left, fake_pick_random(&random), FAKE_TEAR_ANY);
        machine_begin(&after, left);
        assert_int_equal(listed(&after, &names), 1);
        assert_int_equal(names[0].dotted, marked);
        assert_false(err_is(spool_read(&after.spool, &names[0], &after.arena, &again)));
        assert_int_equal(again.count, 2);
        assert_str(again.message, letter.message);
        machine_end(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_stand_in_the_order_they_came),
        cmocka_unit_test(one_sends_at_a_time),
        cmocka_unit_test(a_power_cut_loses_nothing_that_was_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
