#include "core/schedule.h"

#include <malloc.h>

#include "base/test.h"

static const int64_t second = 1000000000;
static struct schedule schedule;

static int setup(void **state)
{
    (void)state;
    schedule_init(&schedule, 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    schedule_done(&schedule);
    return 0;
}

static struct scheduled *add(uint64_t message, const char *destination, const char *sender,
                             int64_t next, int8_t priority)
{
    const struct schedule_facts facts = {.message = message,
                                         .destination = str_from(destination),
                                         .sender = str_from(sender),
                                         .next = next,
                                         .priority = priority};
    struct scheduled *one = schedule_add(&schedule, &facts);
    assert_non_null(one);
    return one;
}

static struct scheduled *take(int64_t wall, int64_t mono, size_t places)
{
    assert_false(schedule_clock(&schedule, wall, mono, SIZE_MAX));
    return schedule_take(&schedule, (struct schedule_places){places, places});
}

/* The names of what may go now, in order; each is under way afterwards. */
static const char *taken(int64_t wall, int64_t mono, size_t places)
{
    static char text[512];
    size_t n = 0;
    struct scheduled *one;
    while ((one = take(wall, mono, places)))
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", n ? " " : "",
                              (unsigned)one->message);
    text[n] = '\0';
    return text;
}

static void an_entry_goes_when_its_time_has_come(void **state)
{
    (void)state;
    assert_int_equal(schedule_until(&schedule, 0, 0), INT64_MAX);
    add(1, "a.test", "x", 100, 0);
    add(2, "b.test", "x", 50, 0);
    assert_string_equal(taken(49, 0, 10), "");
    assert_int_equal(schedule_until(&schedule, 49, 0), 1);
    assert_string_equal(taken(50, 0, 10), "2");
    assert_string_equal(taken(100, 0, 10), "1");
    assert_int_equal(schedule.under_way, 2);
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 300);
    assert_string_equal(taken(299, 0, 10), "");
    assert_string_equal(taken(300, 0, 10), "1");
}

static void one_name_is_one_entry(void **state)
{
    (void)state;
    struct scheduled *one = add(1, "a.test", "x", 0, 0);
    assert_ptr_equal(add(1, "b.test", "x", 0, 0), one);
    assert_int_equal(schedule.entries, 1);
}

static void senders_take_turns_and_priorities_come_first(void **state)
{
    (void)state;
    struct destination *destination = add(1, "a.test", "many", 0, 0)->destination;
    schedule_succeeded(&schedule, destination);
    destination->window = 20;
    for (uint64_t i = 2; i <= 5; i++)
        add(i, "a.test", "many", 0, 0);
    add(6, "a.test", "one", 0, 0);
    add(7, "a.test", "two", 0, 0);
    add(8, "a.test", "many", 0, 3);
    add(9, "a.test", "two", 0, -1);
    assert_string_equal(taken(0, 0, 5), "8 1 6 7 2");
    /* What came before by its priority has not moved the turns of the others. */
    add(10, "a.test", "three", 0, 0);
    assert_string_equal(taken(0, 0, 100), "3 10 4 5 9");
}

static void who_comes_later_does_not_wait_behind_all(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 9; i++)
        add(i, "a.test", "many", 0, 0);
    assert_string_equal(taken(0, 0, 100), "1 2");
    add(10, "a.test", "late", 0, 0);
    schedule_remove(&schedule, schedule_find(&schedule, 1, 0));
    schedule_remove(&schedule, schedule_find(&schedule, 2, 0));
    /* Its turn is the one being served, as the third's of the others is. */
    assert_string_equal(taken(0, 0, 100), "3 10");
}

static void destinations_take_turns(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 4; i++)
        add(i, "a.test", "x", 0, 0)->destination->window = 20;
    add(5, "b.test", "x", 0, 0);
    add(6, "c.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 8), "1 6 2 5");
}

static void the_window_opens_with_success_and_halves_with_trouble(void **state)
{
    (void)state;
    schedule_set_window(&schedule, 3);
    for (uint64_t i = 1; i <= 9; i++)
        add(i, "a.test", "x", 0, 0);
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    assert_string_equal(taken(0, 0, 100), "1 2");
    schedule_remove(&schedule, schedule_find(&schedule, 1, 0));
    schedule_succeeded(&schedule, destination);
    assert_int_equal(destination->window, 3);
    assert_string_equal(taken(0, 0, 100), "3 4");
    schedule_succeeded(&schedule, destination);
    assert_int_equal(destination->window, 3); /* the most */
    schedule_troubled(&schedule, destination, 1, 0, 500);
    assert_int_equal(destination->window, 1);
}

static void a_destination_in_trouble_is_tried_with_one_after_a_while(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        add(i, "a.test", "x", 0, 0);
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    assert_string_equal(taken(0, 0, 100), "1 2");
    schedule_troubled(&schedule, destination, 1, 0, 500);
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 1000);
    /* The second one says the same of the same trouble. */
    schedule_troubled(&schedule, destination, 1, second, 500);
    schedule_back(&schedule, schedule_find(&schedule, 2, 0), 1000);
    assert_int_equal(destination->troubles, 1);
    assert_string_equal(taken(0, 29 * second, 100), "");
    assert_int_equal(schedule_until(&schedule, 0, 29 * second), 1000 /* 1 is due */);
    assert_string_equal(taken(0, 30 * second, 100), "3");
    schedule_troubled(&schedule, destination, 1, 31 * second, 500);
    schedule_back(&schedule, schedule_find(&schedule, 3, 0), 9000);
    assert_string_equal(taken(0, 90 * second, 100), "");
    assert_string_equal(taken(0, 91 * second, 100), "4");
    schedule_succeeded(&schedule, destination);
    schedule_remove(&schedule, schedule_find(&schedule, 4, 0));
    assert_string_equal(taken(1000, 91 * second, 100), "5 1");
}

static void quiet_times_have_an_end_and_jitter(void **state)
{
    (void)state;
    add(1, "a.test", "x", 0, 0);
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    int64_t mono = 0, least = SCHEDULE_QUIET_MOST - SCHEDULE_QUIET_MOST / 10;
    for (unsigned i = 0; i < 40; i++) {
        schedule_troubled(&schedule, destination, 1, mono, i % 2 ? 999 : 0);
        assert_true(destination->quiet_until - mono <=
                    SCHEDULE_QUIET_MOST + SCHEDULE_QUIET_MOST / 10);
        if (i > 10)
            assert_true(destination->quiet_until - mono >= least);
        mono = destination->quiet_until;
    }
}

static void quiet_times_are_no_longer_than_those_of_entries(void **state)
{
    (void)state;
    schedule_set_retries(&schedule, second, 3 * second);
    add(1, "a.test", "x", 0, 0);
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    int64_t mono = 0;
    static const int seconds[] = {1, 2, 3, 3};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        schedule_troubled(&schedule, destination, 1, mono, 500);
        assert_int_equal(destination->quiet_until - mono, seconds[i] * second);
        mono = destination->quiet_until;
    }
    schedule_set_retries(&schedule, 4000 * second, 9000 * second);
    assert_int_equal(schedule.quiet_first, SCHEDULE_QUIET_FIRST);
    assert_int_equal(schedule.quiet_most, SCHEDULE_QUIET_MOST);
}

static void those_in_trouble_have_a_quarter_of_the_places(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "dead%u.test", (unsigned)i);
        struct scheduled *one = add(i, name, "x", 0, 0);
        assert_ptr_equal(take(0, 0, 1), one);
        schedule_troubled(&schedule, one->destination, 1, 0, 500);
        schedule_back(&schedule, one, 0);
    }
    add(21, "live.test", "x", 0, 0);
    add(22, "live.test", "x", 0, 0);
    assert_string_equal(taken(0, 60 * second, 8), "20 1 21 22");
    assert_int_equal(schedule.under_way_to[DESTINATION_DOUBTFUL], 2);
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 5000);
    assert_string_equal(taken(0, 60 * second, 8), "2");
}

/* Entries `from` to `to`, each to a destination of its own that nobody knows. */
static void add_unknown(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        char name[16];
        snprintf(name, sizeof(name), "new%u.test", (unsigned)i);
        add(i, name, "x", 0, 0);
    }
}

static void the_proven_have_places_of_their_own(void **state)
{
    (void)state;
    const struct schedule_places places = {.proven = 2, .unproven = 8};
    struct scheduled *proof = add(1, "live.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 8), "1");
    schedule_succeeded(&schedule, proof->destination);
    schedule_back(&schedule, proof, 1000);
    add_unknown(2, 20);
    for (int64_t i = 1; i <= 8; i++)
        assert_non_null(take(0, i * SCHEDULE_FILL, 8));
    assert_null(take(0, 9 * SCHEDULE_FILL, 8));
    assert_int_equal(schedule.under_way_to[DESTINATION_UNTRIED], 8);
    assert_string_equal(taken(1000, 9 * SCHEDULE_FILL, 8), "1");
    for (uint64_t i = 21; i <= 23; i++)
        add(i, "live.test", "x", 0, 0);
    assert_ptr_equal(schedule_take(&schedule, places), NULL); /* their time has not come */
    assert_false(schedule_clock(&schedule, 1000, 9 * SCHEDULE_FILL, SIZE_MAX));
    assert_non_null(schedule_take(&schedule, places));
    assert_null(schedule_take(&schedule, places));
    assert_int_equal(schedule.under_way_to[DESTINATION_PROVEN], 2);
}

/* Ten thousand of them and dead, say. */
static void who_comes_next_finds_a_place_before_the_dead_give_theirs_back(void **state)
{
    (void)state;
    add_unknown(1, 20);
    assert_string_equal(taken(0, 0, 8), "1 20 2 19"); /* half of them */
    assert_int_equal(schedule_until(&schedule, 0, 0), SCHEDULE_FILL / 4 / 1000 + 1);
    add_unknown(21, 21);
    assert_string_equal(taken(0, SCHEDULE_FILL / 4, 8), "3");
    assert_string_equal(taken(0, SCHEDULE_FILL / 2, 8), "21");
    schedule_remove(&schedule, schedule_find(&schedule, 1, 0));
    schedule_remove(&schedule, schedule_find(&schedule, 2, 0));
    schedule_remove(&schedule, schedule_find(&schedule, 3, 0));
    assert_string_equal(taken(0, SCHEDULE_FILL / 2, 8), "4"); /* half again: at once */
}

/* Its courier died, and a thousand are back in line: they had their turn. */
static void what_is_back_in_line_is_not_new(void **state)
{
    (void)state;
    add_unknown(1, 6);
    add(7, "new1.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 8), "1 6 7 5");
    add_unknown(8, 8);
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 0);
    schedule_back(&schedule, schedule_find(&schedule, 5, 0), 0);
    schedule_back(&schedule, schedule_find(&schedule, 6, 0), 0);
    assert_string_equal(taken(0, 0, 20), "2 8 1 4 3 5 6");
}

/* Greylisting: each entry waits for itself, and no neighbour for it. */
static void what_answers_later_is_well_and_opens_nothing(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 4; i++)
        add(i, "grey.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 8), "1 2");
    struct destination *destination = schedule_destination(&schedule, STR("grey.test"));
    schedule_answered(&schedule, destination);
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 5000);
    assert_int_equal(destination->window, SCHEDULE_WINDOW_FIRST);
    assert_int_equal(destination->sent, 0);
    assert_string_equal(taken(0, 0, 8), "3");
    assert_int_equal(schedule.under_way_to[DESTINATION_PROVEN], 1);
    /* That it answers ends what trouble there was. */
    schedule_troubled(&schedule, destination, 1, 0, 500);
    schedule_back(&schedule, schedule_find(&schedule, 2, 0), 5000);
    schedule_back(&schedule, schedule_find(&schedule, 3, 0), 5000);
    assert_string_equal(taken(0, 0, 8), "");
    schedule_answered(&schedule, destination);
    assert_string_equal(taken(0, 0, 8), "4");
}

static void what_was_tried_before_the_start_puts_its_destination_in_doubt(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 8; i++) {
        char name[16];
        snprintf(name, sizeof(name), "dead%u.test", (unsigned)i);
        struct schedule_facts facts = {
            .message = i, .destination = str_from(name), .sender = STR("x"), .tried = true};
        assert_non_null(schedule_add(&schedule, &facts));
    }
    add(9, "new.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 8), "1 2 9");
    struct destination *dead = schedule_destination(&schedule, STR("dead1.test"));
    schedule_succeeded(&schedule, dead);
    assert_int_equal(dead->troubles, 0);
    /* What it is known for now stays, whatever else is found on the disk. */
    struct schedule_facts facts = {
        .message = 10, .destination = STR("dead1.test"), .sender = STR("x"), .tried = true};
    assert_non_null(schedule_add(&schedule, &facts));
    assert_int_equal(dead->troubles, 0);
}

/* What waits, and what its sender wants later; at two destinations. */
static void rousing_given(void)
{
    for (uint64_t i = 1; i <= 5; i++)
        add(i, "a.test", "x", 1000 * (int64_t)i, 0);
    add(6, "b.test", "x", 500, 0);
    schedule_find(&schedule, 2, 0)->later = true;
    schedule_find(&schedule, 1, 0)->destination->window = 20;
}

static void who_is_there_now_is_given_what_waits_and_nobody_else(void **state)
{
    (void)state;
    struct schedule_after after = {0};
    size_t roused = 0;
    rousing_given();
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    assert_true(schedule_rouse(&schedule, destination, 7, 3, &after, &roused));
    assert_int_equal(roused, 2); /* 1 and 3; 2 was looked at */
    assert_int_equal(destination->roused, 7);
    assert_false(schedule_rouse(&schedule, destination, 7, 3, &after, &roused));
    assert_int_equal(roused, 4);
    assert_string_equal(taken(0, 0, 100), "1 3 4 5");
    /* Those of others, and what is wanted later, go at their own times. */
    assert_int_equal(schedule_until(&schedule, 0, 0), 500);
    assert_string_equal(taken(1999, 0, 100), "6");
    assert_string_equal(taken(2000, 0, 100), "2");
}

static void one_in_trouble_that_is_roused_is_tried_with_one(void **state)
{
    (void)state;
    struct schedule_after after = {0};
    size_t roused = 0;
    rousing_given();
    struct destination *destination = schedule_destination(&schedule, STR("a.test"));
    schedule_troubled(&schedule, destination, 1, 0, 500);
    assert_false(schedule_rouse(&schedule, destination, second, 100, &after, &roused));
    assert_int_equal(roused, 4);
    assert_string_equal(taken(0, second, 100), "1");
    /* A limit of its route is none that anybody but its time ends. */
    schedule_sleep(&schedule, destination, 100 * second);
    after = (struct schedule_after){0};
    schedule_back(&schedule, schedule_find(&schedule, 1, 0), 9000);
    (void)schedule_rouse(&schedule, destination, 2 * second, 100, &after, &roused);
    assert_string_equal(taken(0, 2 * second, 100), "");
}

static void what_is_held_stays_until_it_is_released(void **state)
{
    (void)state;
    struct scheduled *waits = add(1, "a.test", "x", 100, 0);
    struct scheduled *flies = add(2, "a.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 100), "2");
    schedule_hold(&schedule, waits, 1, 0);
    schedule_hold(&schedule, flies, 1, 0);
    assert_int_equal(flies->state, SCHEDULED_UNDER_WAY);
    schedule_back(&schedule, flies, 0);
    assert_int_equal(schedule.held, 2);
    assert_string_equal(taken(1000, 0, 100), "");
    schedule_hold(&schedule, waits, 3, 0);
    schedule_hold(&schedule, waits, 2, 0);
    assert_string_equal(taken(1000, 0, 100), "");
    schedule_hold(&schedule, waits, 0, 100);
    schedule_hold(&schedule, flies, 0, 2000);
    assert_string_equal(taken(1000, 0, 100), "1");
    assert_string_equal(taken(2000, 0, 100), "2");
}

static void what_is_paused_rests(void **state)
{
    (void)state;
    assert_true(schedule_pause(&schedule, STR("a.test"), true)); /* before there is any */
    add(1, "a.test", "x", 0, 0);
    add(2, "b.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 100), "2");
    assert_true(schedule_pause(&schedule, STR(""), true));
    assert_true(schedule_pause(&schedule, STR("a.test"), false));
    assert_string_equal(taken(0, 0, 100), "");
    assert_true(schedule_pause(&schedule, STR(""), false));
    assert_string_equal(taken(0, 0, 100), "1");
}

static void an_entry_goes_elsewhere(void **state)
{
    (void)state;
    struct scheduled *one = add(1, "a.test", "x", 0, 0);
    assert_true(schedule_pause(&schedule, STR("a.test"), true));
    assert_string_equal(taken(0, 0, 100), "");
    assert_int_equal(one->state, SCHEDULED_DUE);
    assert_true(schedule_grasp(&schedule, one));
    assert_true(schedule_reroute(&schedule, one, STR("relay")));
    schedule_back(&schedule, one, 0);
    assert_string_equal(taken(0, 0, 100), "1");
    assert_true(str_eq(destination_name(one->destination), STR("relay")));
}

static void what_is_being_changed_is_nobody_elses(void **state)
{
    (void)state;
    struct scheduled *due = add(1, "a.test", "x", 0, 0);
    struct scheduled *held = add(2, "a.test", "x", 0, 0);
    assert_string_equal(taken(0, 0, 1), "1");
    assert_false(schedule_grasp(&schedule, due)); /* a courier has it */
    schedule_hold(&schedule, held, 1, 0);
    assert_true(schedule_grasp(&schedule, held));
    assert_int_equal(schedule.held, 0);
    assert_false(schedule_grasp(&schedule, held));
    assert_false(schedule_claim(&schedule, held));
    schedule_hold(&schedule, held, 0, 0); /* for later */
    assert_int_equal(held->state, SCHEDULED_CHANGING);
    assert_string_equal(taken(1000, 0, 100), "");
    schedule_back(&schedule, held, 1000);
    assert_string_equal(taken(1000, 0, 100), "2");
}

/* Whoever walks it comes back to a name that may be gone. */
static void a_walk_goes_on_behind_a_name(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 9; i += 2)
        add(i, i % 4 == 1 ? "a.test" : "bb.test", "x", 0, 0);
    uint64_t at = 0, seen = 0;
    struct scheduled *one;
    while ((one = schedule_behind(&schedule, at, 0))) {
        at = one->message;
        seen = seen * 10 + at;
        if (seen > 13579)
            break;
        if (at != 5)
            schedule_remove(&schedule, one);
        if (at == 3)
            add(2, "a.test", "x", 0, 0); /* before it: not seen */
    }
    assert_int_equal(seen, 13579);
    struct destination *first = schedule_destination_behind(&schedule, STR(""));
    assert_true(str_eq(destination_name(first), STR("a.test")));
    assert_true(
        str_eq(destination_name(schedule_destination_behind(&schedule, destination_name(first))),
               STR("bb.test")));
    assert_null(schedule_destination_behind(&schedule, STR("bb.test")));
}

/* A machine that slept for a week: nobody waits until all of them are in their lines. */
static void what_comes_due_at_once_moves_in_slices(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 25; i++)
        add(i, "a.test", "x", (int64_t)i, 0);
    assert_true(schedule_clock(&schedule, 20, 0, 10));
    assert_int_equal(schedule.due, 10);
    assert_true(schedule_clock(&schedule, 20, 0, 9));
    assert_int_equal(schedule.due, 19);
    assert_false(schedule_clock(&schedule, 20, 0, 1));
    assert_int_equal(schedule.due, 20);
}

/* Each sender and each destination has a few only, and all are in their lines: the most there is.
 */
static void an_entry_takes_less_than_200_octets(void **state)
{
    (void)state;
    enum {
        ENTRIES = 100000,
        EACH = 10
    };
    size_t octets = 0;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        char domain[32], sender[32];
        snprintf(domain, sizeof(domain), "domain%u.test", (unsigned)i / (100 * EACH));
        snprintf(sender, sizeof(sender), "%u@example.test", (unsigned)i);
        octets += malloc_usable_size(add(i, domain, sender, 0, 0));
    }
    (void)schedule_clock(&schedule, 0, 0, SIZE_MAX);
    assert_int_equal(schedule.due, ENTRIES);
    struct destination *destination = NULL;
    while ((destination = schedule_next_destination(&schedule, destination)))
        octets += malloc_usable_size(destination) + schedule_senders_octets(destination);
    assert_in_range(octets / ENTRIES, 1, 199);
}

static void destinations_of_nothing_are_forgotten_in_the_end(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < SCHEDULE_IDLE_KEPT + 1; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%u.test", (unsigned)i);
        schedule_remove(&schedule, add(i, name, "x", 0, 0));
    }
    assert_int_equal(schedule.idle_count, SCHEDULE_IDLE_KEPT);
    assert_null(schedule_destination(&schedule, STR("d0.test")));
    assert_non_null(schedule_destination(&schedule, STR("d1.test")));
}

/* What must hold between any two calls. */
static void check(void)
{
    size_t entries = 0, due = 0, under_way = 0, held = 0;
    struct scheduled *one = NULL;
    while ((one = schedule_next(&schedule, one))) {
        entries++;
        due += one->state == SCHEDULED_DUE;
        under_way += one->state == SCHEDULED_UNDER_WAY;
        held += one->state == SCHEDULED_HELD;
        assert_true(one->state != SCHEDULED_WAITS || one->holds == 0);
    }
    assert_int_equal(schedule.entries, entries);
    assert_int_equal(schedule.due, due);
    assert_int_equal(schedule.under_way, under_way);
    assert_int_equal(schedule.held, held);
    struct destination *destination = NULL;
    while ((destination = schedule_next_destination(&schedule, destination))) {
        assert_true(destination->place == DESTINATION_IDLE || destination->entries > 0 ||
                    destination->paused);
        const struct scheduled *first = RB_ROOT(&destination->times);
        while (first && RB_LEFT(first, by_turn))
            first = RB_LEFT(first, by_turn);
        assert_true(!first || first->key == destination->next);
        due -= destination->due;
        under_way -= destination->under_way;
    }
    assert_int_equal(due, 0);
    assert_int_equal(under_way, 0);
}

static void rouse_some(struct destination *destination, int64_t now)
{
    struct schedule_after after = {0};
    size_t roused = 0;
    (void)schedule_rouse(&schedule, destination, now * 1000, 3, &after, &roused);
    assert_true(roused <= 3 && destination->due >= roused);
}

static void act(unsigned what, struct scheduled *one, int64_t now)
{
    switch (what) {
    case 0:
        schedule_remove(&schedule, one);
        break;
    case 1:
        schedule_hold(&schedule, one, one->holds ? 0 : 1, now + 5);
        break;
    case 2:
        if (schedule_grasp(&schedule, one) && now % 3 == 0)
            assert_true(schedule_reroute(&schedule, one, STR("d1")));
        break;
    case 3:
        schedule_pause(&schedule, destination_name(one->destination), !one->destination->paused);
        break;
    case 4:
        if (one->state == SCHEDULED_CHANGING)
            schedule_back(&schedule, one, now + 7);
        break;
    case 5:
        rouse_some(one->destination, now);
        break;
    default:
        if (one->state != SCHEDULED_UNDER_WAY)
            break;
        if (what % 2)
            schedule_succeeded(&schedule, one->destination);
        else if (what % 4)
            schedule_answered(&schedule, one->destination);
        else
            schedule_troubled(&schedule, one->destination, 1, now * 1000, what * 50);
        schedule_back(&schedule, one, now + 10);
    }
}

static void any_order_of_calls_keeps_the_books(void **state)
{
    (void)state;
    schedule_set_window(&schedule, 4);
    unsigned seed = 1;
    for (int64_t now = 1; now < 20000; now++) {
        char name[8];
        seed = seed * 1103515245 + 12345;
        unsigned chance = seed >> 8;
        snprintf(name, sizeof(name), "d%u", chance % 5);
        add(chance % 97, name, chance % 3 ? "x" : "y", now + chance % 20, (int8_t)(chance % 3));
        take(now, now * second, 6);
        struct scheduled *one = schedule_find(&schedule, (chance >> 4) % 97, 0);
        if (one)
            act((chance >> 7) % 14, one, now);
        check();
    }
}

#define SCHEDULED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCHEDULED(an_entry_goes_when_its_time_has_come),
        SCHEDULED(one_name_is_one_entry),
        SCHEDULED(senders_take_turns_and_priorities_come_first),
        SCHEDULED(who_comes_later_does_not_wait_behind_all),
        SCHEDULED(destinations_take_turns),
        SCHEDULED(the_window_opens_with_success_and_halves_with_trouble),
        SCHEDULED(a_destination_in_trouble_is_tried_with_one_after_a_while),
        SCHEDULED(quiet_times_have_an_end_and_jitter),
        SCHEDULED(quiet_times_are_no_longer_than_those_of_entries),
        SCHEDULED(those_in_trouble_have_a_quarter_of_the_places),
        SCHEDULED(the_proven_have_places_of_their_own),
        SCHEDULED(who_comes_next_finds_a_place_before_the_dead_give_theirs_back),
        SCHEDULED(what_is_back_in_line_is_not_new),
        SCHEDULED(what_answers_later_is_well_and_opens_nothing),
        SCHEDULED(what_was_tried_before_the_start_puts_its_destination_in_doubt),
        SCHEDULED(who_is_there_now_is_given_what_waits_and_nobody_else),
        SCHEDULED(one_in_trouble_that_is_roused_is_tried_with_one),
        SCHEDULED(what_is_held_stays_until_it_is_released),
        SCHEDULED(what_is_paused_rests),
        SCHEDULED(an_entry_goes_elsewhere),
        SCHEDULED(what_is_being_changed_is_nobody_elses),
        SCHEDULED(a_walk_goes_on_behind_a_name),
        SCHEDULED(what_comes_due_at_once_moves_in_slices),
        SCHEDULED(an_entry_takes_less_than_200_octets),
        SCHEDULED(destinations_of_nothing_are_forgotten_in_the_end),
        SCHEDULED(any_order_of_calls_keeps_the_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
