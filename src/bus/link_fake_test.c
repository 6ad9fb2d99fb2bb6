/*
 * Links in the fake world: many askers, answers late and out of order, full sockets, and core
 * killed at any of its calls. Every question ends, with its own answer or ERR_BUS_BROKEN; one seed
 * gives one run.
 */
#include "base/test.h"

#include "base/must.h"
#include "bus/link.h"
#include "sys/fake/fake.h"

enum {
    ASKERS = 24,
    QUESTIONS = 12,
    TEXT_MOST = 3000,
    FORGET_SIZE = 60 * 1024,
    ARENA = 1024 * 1024,
    SEEDS = 60,
    KILLS = 120,
    LATE_MOST_MS = 20,
};

struct asker {
    struct fiber_start start;
    struct house *house;
    size_t asked, answered, broken;
};

/* An answer that is not given yet. */
struct late {
    struct timer timer;
    struct house *house;
    uint32_t call;
    size_t n;
};

struct house {
    struct fake_world *fake;
    struct fake_random random;
    int edge, core; /* roles */
    struct loop edge_loop, core_loop;
    struct fiber_pool *fibers;
    struct link edge_link, core_link;
    bool edge_open;
    int edge_ended;
    struct asker askers[ASKERS];
    size_t over;
};

/* --- Core ------------------------------------------------------------------------------------ */

static void answer_late(struct timer *timer)
{
    struct late *late = timer->arg;
    struct msg_text_line *lines = calloc(late->n + 1, sizeof(*lines));
    struct msg msg = {.kind = MSG_verified,
                      .verified = {.call = late->call, .lines = lines, .lines_count = late->n}};
    struct link *link = &late->house->core_link;
    must(lines);
    if (link_send(link, &msg).code == ERR_OVER_LIMIT)
        timer_set(link->loop, timer, link->loop->now + NS_PER_MS);
    else
        free(late);
    free(lines);
}

static void core_got(struct link *link, const struct msg *msg, int passed)
{
    must(passed < 0);
    if (msg->kind != MSG_verify)
        return;
    struct late *late = calloc(1, sizeof(*late));
    must(late);
    uint64_t wait = msg->verify.text.n % LATE_MOST_MS;
    *late = (struct late){.house = link->arg,
                          .call = msg->verify.call,
                          .n = msg->verify.text.n % 1000,
                          .timer = {.run = answer_late, .arg = late}};
    timer_set(link->loop, &late->timer, link->loop->now + (int64_t)wait * NS_PER_MS);
}

static void core_ended(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
}

/* --- The edge -------------------------------------------------------------------------------- */

static void edge_got(struct link *link, const struct msg *msg, int passed)
{
    (void)link;
    (void)msg;
    must(passed < 0);
}

static void edge_ended(struct link *link, struct err why)
{
    struct house *house = link->arg;
    must(err_is(why));
    house->edge_ended++;
    house->edge_open = false;
    link_done(link);
}

static void one_question(struct asker *asker, struct str text)
{
    struct house *house = asker->house;
    struct arena arena;
    struct msg msg = {.kind = MSG_verify, .verify = {.text = text}}, answer;
    struct msg noise = {.kind = MSG_forget, .forget = {.why = text}};
    arena_init(&arena, ARENA);
    if (text.n > TEXT_MOST) {
        link_send(&house->edge_link, &noise);
        msg.verify.text.n = TEXT_MOST;
    }
    struct err e = link_ask(&house->edge_link, &msg, &arena, &answer);
    if (!err_is(e)) {
        must(answer.verified.lines_count == msg.verify.text.n % 1000);
        asker->answered++;
    } else {
        must(e.code == ERR_BUS_BROKEN);
        asker->broken++;
    }
    arena_done(&arena);
}

static void ask(void *arg)
{
    struct asker *asker = arg;
    static const char zeroes[FORGET_SIZE];
    for (asker->asked = 0; asker->asked < QUESTIONS && asker->house->edge_open; asker->asked++) {
        uint64_t n = fake_random_below(&asker->house->random, TEXT_MOST + TEXT_MOST / 8);
        one_question(asker, str_make(zeroes, n > TEXT_MOST ? FORGET_SIZE : n));
    }
    asker->house->over++;
}

/* --- A run ----------------------------------------------------------------------------------- */

static void house_open(struct house *house, uint64_t seed)
{
    static const struct link_owner core_owner = {.got = core_got, .ended = core_ended};
    static const struct link_owner edge_owner = {.got = edge_got, .ended = edge_ended};
    struct fake_settings settings = {.packet_queue = 1 + seed % 4};
    int pair[2];
    *house = (struct house){.fake = fake_world_open(seed, &settings), .edge_open = true};
    fake_world_random(house->fake, "test", &house->random);
    house->edge = fake_role_open(house->fake, "edge");
    house->core = fake_role_open(house->fake, "core");
    fake_packet_pair(house->fake, house->edge, house->core, pair);
    fake_role_enter(house->fake, house->core);
    must(loop_init(&house->core_loop, &house->fake->world) == 0);
    must(link_init(&house->core_link, &house->core_loop, pair[1], ROLE_CORE, ROLE_MX, &core_owner,
                   house) == 0);
    fake_role_enter(house->fake, house->edge);
    must(loop_init(&house->edge_loop, &house->fake->world) == 0);
    house->fibers = fiber_pool_open(&house->edge_loop, ASKERS);
    must(house->fibers);
    must(link_init(&house->edge_link, &house->edge_loop, pair[0], ROLE_MX, ROLE_CORE, &edge_owner,
                   house) == 0);
    for (size_t i = 0; i < ASKERS; i++) {
        house->askers[i].house = house;
        house->askers[i].start = (struct fiber_start){.run = ask, .arg = &house->askers[i]};
        fiber_run(house->fibers, &house->askers[i].start);
    }
    fake_role_enter(house->fake, 0);
}

/* Of the questions, how many were answered; every one has ended. */
static size_t house_close(struct house *house)
{
    size_t answered = 0;
    assert_int_equal(house->over, ASKERS);
    for (size_t i = 0; i < ASKERS; i++) {
        assert_int_equal(house->askers[i].answered + house->askers[i].broken,
                         house->askers[i].asked);
        answered += house->askers[i].answered;
    }
    fake_role_enter(house->fake, house->edge);
    if (house->edge_open)
        link_done(&house->edge_link);
    fiber_pool_close(house->fibers);
    loop_done(&house->edge_loop);
    fake_role_enter(house->fake, 0);
    assert_int_equal(fake_role_handles(house->fake, house->edge), 0);
    fake_world_close(house->fake);
    return answered;
}

static uint64_t hash_of(uint64_t seed)
{
    static struct house house;
    house_open(&house, seed);
    assert_int_equal(fake_run(house.fake, 3600 * NS_PER_SECOND), FAKE_IDLE);
    uint64_t hash = house.fake->hash;
    assert_int_equal(house.edge_ended, 0);
    assert_int_equal(house_close(&house), ASKERS * QUESTIONS);
    return hash;
}

static void every_question_is_answered(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        hash_of(seed);
}

static void one_seed_gives_one_run(void **state)
{
    (void)state;
    assert_true(hash_of(7) == hash_of(7));
    assert_true(hash_of(7) != hash_of(8));
}

static void core_may_die_at_any_of_its_calls(void **state)
{
    (void)state;
    static struct house house;
    for (uint64_t n = 1; n <= KILLS; n++) {
        house_open(&house, n);
        fake_kill_role_at(house.fake, house.core, n);
        assert_int_equal(fake_run(house.fake, 3600 * NS_PER_SECOND), FAKE_IDLE);
        assert_false(fake_role_alive(house.fake, house.core));
        assert_int_equal(house.edge_ended, 1);
        house_close(&house);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_question_is_answered),
        cmocka_unit_test(one_seed_gives_one_run),
        cmocka_unit_test(core_may_die_at_any_of_its_calls),
    };
    return cmocka_run_group_tests_name("link_fake", tests, NULL, NULL);
}
