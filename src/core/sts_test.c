/* What core keeps of MTA-STS: learnt, given, renewed, ended, bounded; by a courier that the test
 * plays. */
#include "core/sts.h"

#include "core/courier_rig_test.h"

enum {
    DAY = 86400,
    ASKED_MAX = 300,
};

static struct {
    struct msg asked[ASKED_MAX]; /* policy_ask */
    size_t count, answered;
    size_t forgotten;
    struct str forgot;
    bool mute;
    int64_t renews; /* what is asked for has this max_age now; 0: it cannot be fetched */
} seen;

static const char policy_text[] =
    "version: STSv1\nmode: enforce\nmx: mx.far.test\nmax_age: 86400\n";

static int64_t now(void)
{
    return world_wall(&house.rig.fake->world) / US_PER_SECOND;
}

static void learn(const char *domain, const char *id, uint8_t mode, int64_t age)
{
    const struct msg msg = {.kind = MSG_sts_learned,
                            .sts_learned = {.domain = str_from(domain),
                                            .id = str_from(id),
                                            .policy = str_from(policy_text),
                                            .mode = mode,
                                            .fetched = (uint64_t)now(),
                                            .until = (uint64_t)(now() + age)}};
    edge_end_tell(courier, &msg);
}

static void answer_all(void)
{
    while (seen.answered < seen.count) {
        const struct msg_policy_ask *ask = &seen.asked[seen.answered++].policy_ask;
        struct msg told = {.kind = MSG_policy_told, .policy_told = {.call = ask->call}};
        char *domain = str_to_cstring(ask->domain);
        if (seen.renews)
            learn(domain, "renewed", 2, seen.renews);
        else
            told.policy_told.sts_why = STR("its web server does not answer");
        free(domain);
        edge_end_tell(courier, &told);
    }
}

static void courier_heard(struct edge_end *edge, const struct msg *msg)
{
    if (msg->kind == MSG_sts_forget) {
        seen.forgotten++;
        seen.forgot = arena_str(&house.arena, msg->sts_forget.domain);
        return;
    }
    if (msg->kind != MSG_policy_ask) {
        heard(edge, msg);
        return;
    }
    assert_true(seen.count < ASKED_MAX);
    assert_false(err_is(msg_copy(msg, &house.arena, &seen.asked[seen.count++])));
}

/* Time passes, and the courier answers what it is asked. */
static void pass_answering(int64_t seconds)
{
    for (int64_t i = 0; i < seconds; i += 600) {
        house_pass(&house, 600 * NS_PER_SECOND);
        for (size_t before = seen.count + 1; !seen.mute && before != seen.count;) {
            before = seen.count;
            answer_all();
            house_settle(&house);
        }
    }
}

static int up(void **state)
{
    memset(&seen, 0, sizeof(seen));
    setup(state);
    courier->heard = courier_heard;
    return 0;
}

static struct str policy_of(const struct msg_job *job)
{
    return job->sts_policy;
}

/* Something waits for the domain, so that its policy may be told. The job it is. */
static const struct msg_job *job_for(const char *domain)
{
    char to[300];
    size_t before = job_count;
    snprintf(to, sizeof(to), "carol@%s", domain);
    send_one(to);
    assert_int_equal(job_count, before + 1);
    return job_at(before);
}

/* --- Learnt and given --- */

static void what_a_courier_learns_goes_with_the_next_job(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    assert_int_equal(policy_of(job).n, 0);
    learn("far.test", "1", 2, DAY);
    house_settle(&house);
    over_sent(job);
    job = job_for("far.test");
    assert_str(policy_of(job), str_from(policy_text));
    assert_str(job->sts_id, STR("1"));
    assert_int_equal(job->sts_until - job->sts_fetched, DAY);
    /* Another one takes its place. */
    learn("far.test", "2", 2, 2 * DAY);
    house_settle(&house);
    over_sent(job);
    job = job_for("far.test");
    assert_str(job->sts_id, STR("2"));
    assert_int_equal(job->sts_until - job->sts_fetched, 2 * DAY);
    /* Others have none. */
    assert_int_equal(policy_of(job_for("else.test")).n, 0);
}

static void a_restart_is_no_way_around_one(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, DAY);
    house_settle(&house);
    over_sent(job);
    house_crash(&house);
    house_start(&house);
    edge_end_connect(mx);
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    assert_str(job_for("far.test")->sts_id, STR("1"));
}

static void a_courier_speaks_of_what_it_has_alone(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("victim.test", "1", 2, DAY);
    house_settle(&house);
    assert_false(courier->ended);
    assert_int_equal(policy_of(job_for("victim.test")).n, 0);
    over_sent(job);
    learn("far.test", "1", 2, DAY); /* it has that no more */
    house_settle(&house);
    assert_int_equal(policy_of(job_for("far.test")).n, 0);
}

static void what_is_no_policy_ends_its_link(void **state)
{
    static const struct {
        const char *id, *policy;
        uint8_t mode;
    } rows[] = {
        {"1", policy_text, STS_MODES},
        {"", policy_text, 2},
        {"1;2", policy_text, 2},
        {"123456789012345678901234567890123", policy_text, 2},
        {"1", "", 2},
        {"1", "version: STSv1\r\n", 2},
        {"1", "mx: \xc3\xa4\n", 2},
    };
    (void)state;
    job_for("far.test");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct msg msg = {.kind = MSG_sts_learned,
                                .sts_learned = {.domain = STR("far.test"),
                                                .id = str_from(rows[i].id),
                                                .policy = str_from(rows[i].policy),
                                                .mode = rows[i].mode,
                                                .fetched = (uint64_t)now(),
                                                .until = (uint64_t)now() + DAY}};
        edge_end_tell(courier, &msg);
        house_settle(&house);
        assert_true(courier->ended);
        edge_end_connect(courier);
        courier_ready(NULL, 0);
    }
}

/* RFC 8461 3.2: a year, by our own clock. */
static void no_policy_holds_for_ever(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, (int64_t)1 << 60);
    house_settle(&house);
    over_sent(job);
    job = job_for("far.test");
    assert_int_equal(job->sts_until - job->sts_fetched, 31557600);
}

/* --- Ended and forgotten --- */

static void count_row(struct rig *rig, void *arg)
{
    struct sts_page page = {.more = true, .last = STR("")};
    size_t *count = arg;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    while (page.more) {
        assert_false(err_is(sts_kept_page(rig->engine, page.last, 1000, &arena, &page)));
        *count += page.count;
    }
    arena_done(&arena);
}

static size_t kept_count(void)
{
    size_t count = 0;
    assert_true(rig_do(&house.rig, count_row, &count));
    return count;
}

static void what_has_ended_holds_no_more_and_goes(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, DAY);
    house_settle(&house);
    over_sent(job);
    pass_answering(DAY - 700);
    assert_int_equal(kept_count(), 1);
    assert_true(policy_of(job_for("far.test")).n > 0);
    pass_answering(1200);
    assert_int_equal(policy_of(job_for("far.test")).n, 0);
    pass_answering(3600);
    assert_int_equal(kept_count(), 0);
}

static void drop(struct rig *rig, void *arg)
{
    (void)rig;
    *(enum err_code *)arg = sts_drop(&house.core, STR("far.test")).code;
}

static void what_an_operator_forgets_is_forgotten_everywhere(void **state)
{
    (void)state;
    enum err_code code;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, DAY);
    house_settle(&house);
    over_sent(job);
    assert_true(rig_do(&house.rig, drop, &code));
    assert_int_equal(code, ERR_NONE);
    house_settle(&house);
    assert_int_equal(seen.forgotten, 1);
    assert_str(seen.forgot, STR("far.test"));
    assert_int_equal(policy_of(job_for("far.test")).n, 0);
    assert_true(rig_do(&house.rig, drop, &code));
    assert_int_equal(code, ERR_NOT_FOUND);
    assert_int_equal(seen.forgotten, 1); /* nobody hears of what was not there */
}

/* --- Renewed --- */

static void what_is_in_use_is_fetched_anew_at_half_its_time(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, 10 * DAY);
    house_settle(&house);
    over_sent(job);
    seen.renews = 10 * DAY;
    pass_answering(5 * DAY - 3 * 3600);
    assert_int_equal(seen.count, 0);
    pass_answering(5 * 3600);
    assert_int_equal(seen.count, 1);
    const struct msg_policy_ask *ask = &seen.asked[0].policy_ask;
    assert_str(ask->domain, STR("far.test"));
    assert_str(ask->sts_policy, str_from(policy_text));
    assert_str(ask->sts_id, STR("1"));
    assert_true(ask->fresh);
    /* It is young again. */
    assert_str(job_for("far.test")->sts_id, STR("renewed"));
    pass_answering(4 * DAY);
    assert_int_equal(seen.count, 1);
}

static void what_cannot_be_fetched_is_asked_for_each_hour_and_holds(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, 2 * DAY);
    house_settle(&house);
    over_sent(job);
    pass_answering(DAY + 2 * 3600);
    size_t asked = seen.count;
    assert_in_range(asked, 1, 3);
    pass_answering(3 * 3600);
    assert_in_range(seen.count, asked + 2, asked + 3);
    assert_str(job_for("far.test")->sts_id, STR("1"));
}

static void what_nobody_writes_to_is_left_to_its_end(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, 100 * DAY);
    house_settle(&house);
    over_sent(job);
    pass_answering(60 * DAY);
    assert_int_equal(seen.count, 0);
    job_for("far.test"); /* somebody does again */
    pass_answering(2 * 3600);
    assert_in_range(seen.count, 1, 2);
}

/* A courier that says nothing holds up this alone; and core can end meanwhile. */
static void a_courier_that_is_silent_keeps_nothing_else_waiting(void **state)
{
    (void)state;
    const struct msg_job *job = job_for("far.test");
    learn("far.test", "1", 2, DAY);
    house_settle(&house);
    over_sent(job);
    seen.mute = true;
    pass_answering(DAY - 3 * 3600);
    assert_int_equal(seen.count, 1);
    assert_false(house.core.duty_running);
    over_sent(job_for("far.test"));
    pass_answering(2 * 3600);
    assert_int_equal(seen.count, 1);
    assert_false(house.core.duty_running);
}

/* --- Bounded --- */

struct filling {
    size_t from, to;
    uint8_t mode;
    uint32_t used;
};

static void fill_of(struct rig *rig, const struct filling *filling, int64_t fetched)
{
    for (size_t i = filling->from; i < filling->to; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%05zu.test", i);
        const struct sts_kept kept = {.domain = str_from(name),
                                      .id = STR("1"),
                                      .policy = STR("p"),
                                      .mode = filling->mode,
                                      .fetched = fetched,
                                      .until = now() + 10 * (int64_t)DAY,
                                      .used = filling->used};
        assert_false(err_is(sts_kept_write(rig->engine, &kept)));
    }
}

static void fill(struct rig *rig, void *arg)
{
    fill_of(rig, arg, now());
}

static void fill_half_over(struct rig *rig, void *arg)
{
    fill_of(rig, arg, now() - 20 * (int64_t)DAY);
}

static void filled(size_t from, size_t to, uint8_t mode, uint32_t used)
{
    struct filling filling = {from, to, mode, used};
    assert_true(rig_do(&house.rig, fill, &filling));
}

static bool is_there;

static void look(struct rig *rig, void *arg)
{
    struct arena arena;
    struct sts_kept kept;
    arena_init(&arena, STS_ASK_ARENA);
    is_there = !err_is(sts_kept_read(rig->engine, str_from(arg), &arena, &kept));
    arena_done(&arena);
}

static bool is_kept(const char *domain)
{
    assert_true(rig_do(&house.rig, look, (void *)(uintptr_t)domain));
    return is_there;
}

static void where_there_is_no_room_a_tenth_goes(void **state)
{
    (void)state;
    uint32_t day = sts_today(&house.core);
    enum {
        TENTH = STS_DOMAINS_MAX / 10,
        TESTING = 300, /* which are of today */
    };
    filled(0, TESTING, 1, day);
    filled(TESTING, TENTH, 2, day - 20);
    filled(TENTH, STS_DOMAINS_MAX - 2, 2, day - 10);
    const struct msg_job *job = job_for("first.test"), *other = job_for("second.test");
    const struct msg_job *third = job_for("third.test");
    learn("first.test", "1", 2, DAY);
    house_settle(&house);
    learn("second.test", "1", 2, DAY);
    house_settle(&house);
    assert_int_equal(kept_count(), STS_DOMAINS_MAX);
    learn("second.test", "2", 2, DAY); /* it has its place */
    house_settle(&house);
    assert_int_equal(kept_count(), STS_DOMAINS_MAX);
    learn("third.test", "1", 2, DAY);
    house_settle(&house);
    assert_int_equal(kept_count(), STS_DOMAINS_MAX - TENTH + 1);
    assert_false(is_kept("d00000.test"));
    assert_false(is_kept("d00299.test"));
    assert_false(is_kept("d00300.test"));
    assert_false(is_kept("d00999.test"));
    assert_true(is_kept("d01000.test"));
    assert_true(is_kept("d09997.test"));
    assert_true(is_kept("first.test") && is_kept("second.test") && is_kept("third.test"));
    over_sent(job);
    over_sent(other);
    over_sent(third);
}

/* More than one look may ask for: the next one goes on behind them. */
static void all_have_their_turn_though_none_is_renewed(void **state)
{
    enum {
        ALL = 250
    };
    (void)state;
    size_t had[ALL] = {0};
    struct filling filling = {0, ALL, 2, sts_today(&house.core) + 1};
    assert_true(rig_do(&house.rig, fill_half_over, &filling));
    pass_answering(2 * 3600);
    assert_in_range(seen.count, ALL, ASKED_MAX - 1);
    for (size_t i = 0; i < ALL; i++) {
        struct str name = seen.asked[i].policy_ask.domain;
        uint64_t number;
        assert_true(str_to_u64(str_make(name.p + 1, 5), &number) && number < ALL);
        had[number]++;
    }
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(had[i], 1);
}

int main(void)
{
#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, up, teardown)
    const struct CMUnitTest tests[] = {
        IN_HOUSE(what_a_courier_learns_goes_with_the_next_job),
        IN_HOUSE(a_restart_is_no_way_around_one),
        IN_HOUSE(a_courier_speaks_of_what_it_has_alone),
        IN_HOUSE(what_is_no_policy_ends_its_link),
        IN_HOUSE(no_policy_holds_for_ever),
        IN_HOUSE(what_has_ended_holds_no_more_and_goes),
        IN_HOUSE(what_an_operator_forgets_is_forgotten_everywhere),
        IN_HOUSE(what_is_in_use_is_fetched_anew_at_half_its_time),
        IN_HOUSE(what_cannot_be_fetched_is_asked_for_each_hour_and_holds),
        IN_HOUSE(what_nobody_writes_to_is_left_to_its_end),
        IN_HOUSE(a_courier_that_is_silent_keeps_nothing_else_waiting),
        IN_HOUSE(where_there_is_no_room_a_tenth_goes),
        IN_HOUSE(all_have_their_turn_though_none_is_renewed),
    };
    return cmocka_run_group_tests_name("core_sts", tests, NULL, NULL);
}
