/*
 * Messages that a client sends again (R1..R4 in doc/invariants.md), with core around them.
 */
#include "base/test.h"

#include "core/core_rig_test.h"

#define TEXT STR("Subject: again\r\n\r\nThe same.\r\n")
#define WINDOW (900 * NS_PER_SECOND)

static struct house house;
static struct edge_end *mx, *box;
static uint64_t transaction;
static struct msg_committed last; /* what send was answered */

static int house_up(void **state)
{
    (void)state;
    house_open(&house, "hostname = mx.example.test\n", 1);
    mx = house_edge(&house, ROLE_MX);
    box = house_edge(&house, ROLE_BOX);
    transaction = 1;
    return 0;
}

static int house_down(void **state)
{
    (void)state;
    house_close(&house);
    return 0;
}

/* The same message once more, in a try of its own. */
static struct msg_committed send(struct edge_end *edge)
{
    transaction++;
    last = house_deliver(edge, transaction, "bob@example.test", TEXT, transaction);
    return last;
}

static void seen(struct edge_end *edge, uint64_t message)
{
    struct msg_message_name name = {message};
    edge_end_tell(
        edge, &(struct msg){.kind = MSG_seen, .seen = {.messages = &name, .messages_count = 1}});
    house_settle(&house);
}

/* What the edge says of the try with this token (0: the last one); settles and lets it be durable.
 */
static void tell(struct edge_end *edge, uint64_t token, uint64_t message, enum try_end end)
{
    unsigned char octets[TRY_TOKEN_SIZE] = {0};
    token = token ? token : transaction;
    memcpy(octets, &token, sizeof(token));
    struct msg_try_end try = {
        .token = str_make(octets, sizeof(octets)), .message = message, .end = (uint8_t)end};
    edge_end_tell(edge,
                  &(struct msg){.kind = MSG_tries, .tries = {.tries = &try, .tries_count = 1}});
    house_settle(&house);
    house_pass(&house, NS_PER_SECOND);
}

static void unseen(struct edge_end *edge, uint64_t message)
{
    tell(edge, 0, message, TRY_UNSEEN);
}

static size_t stored(void)
{
    return house_count(box, "bob@example.test");
}

/* By token; the message is the last one that send was answered. */
static struct msg_committed ask(struct edge_end *edge, uint64_t token)
{
    unsigned char octets[TRY_TOKEN_SIZE] = {0};
    struct msg answer;
    memcpy(octets, &token, sizeof(token));
    struct msg question = {
        .kind = MSG_ask_commit,
        .ask_commit = {.token = str_make(octets, sizeof(octets)), .message = last.message}};
    assert_false(err_is(house_ask(edge, question, &answer)));
    return answer.committed;
}

static void restart(void)
{
    house_crash(&house);
    house_start(&house);
    edge_end_connect(mx);
    edge_end_connect(box);
}

/* R1 -> R2 */
static void two_that_complete_are_two(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct msg_committed committed = send(mx);
        assert_false(committed.repeated);
        seen(mx, committed.message);
    }
    assert_int_equal(stored(), 1000);
    /* Also where the first is still open. */
    assert_true(send(mx).message != send(mx).message);
    assert_int_equal(stored(), 1002);
}

/* R1 -> R3 -> found -> R2 */
static void unseen_and_sent_again_is_one(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    unseen(mx, first);
    struct msg_committed again = send(mx);
    assert_true(again.repeated);
    assert_int_equal(again.message, first);
    assert_int_equal(stored(), 1);
    seen(mx, again.message);
    /* The repetition is complete: the same once more is a new message. */
    assert_false(send(mx).repeated);
    assert_int_equal(stored(), 2);
}

static void unseen_again_and_again_is_one(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    for (int i = 0; i < 5; i++) {
        unseen(mx, first);
        assert_int_equal(send(mx).message, first);
    }
    assert_int_equal(stored(), 1);
}

/* Two sessions repeat it at once: only one of them can be the repetition. */
static void two_repetitions_at_once_are_two(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    unseen(mx, first);
    struct msg_committed one = send(mx), other = send(mx);
    assert_true(one.repeated);
    assert_false(other.repeated);
    seen(mx, one.message);
    seen(mx, other.message);
    assert_int_equal(stored(), 2);
}

static void another_client_envelope_or_body_is_another(void **state)
{
    (void)state;
    unseen(mx, send(mx).message);
    assert_false(house_deliver(mx, 100, "alice@example.test", TEXT, 100).repeated);
    assert_false(
        house_deliver(mx, 101, "bob@example.test", STR("Subject: x\r\n\r\n\r\n"), 101).repeated);
    struct str to[] = {STR("b"), STR("a")}, turned[] = {STR("a"), STR("b")};
    struct resent_key key = resent_key(STR("c"), STR("p"), to, 2, STR("d"));
    struct resent_key same = resent_key(STR("c"), STR("p"), turned, 2, STR("d"));
    struct resent_key other = resent_key(STR("cp"), STR(""), to, 2, STR("d"));
    assert_memory_equal(&key, &same, sizeof(key));
    assert_true(memcmp(&key, &other, sizeof(key)) != 0);
}

static void the_window_ends(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    unseen(mx, first);
    house_pass(&house, WINDOW - 2 * NS_PER_SECOND);
    assert_int_equal(send(mx).message, first);
    unseen(mx, first);
    house_pass(&house, WINDOW + NS_PER_SECOND);
    assert_false(send(mx).repeated);
    assert_int_equal(stored(), 2);
}

/* Not only when what is past its time is looked for. */
static void the_window_ends_at_its_end(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    unseen(mx, first);
    fake_wall_jump(house.rig.fake, WINDOW / 1000 - 2 * US_PER_SECOND);
    assert_int_equal(send(mx).message, first);
    unseen(mx, first);
    fake_wall_jump(house.rig.fake, WINDOW / 1000);
    assert_false(send(mx).repeated);
}

static void a_clock_set_back_keeps_nothing_for_ever(void **state)
{
    (void)state;
    unseen(mx, send(mx).message);
    fake_wall_jump(house.rig.fake, -3600 * INT64_C(1000000));
    assert_false(send(mx).repeated);
}

static void window_nought_is_off(void **state)
{
    (void)state;
    resent_set_window(house.resent, 0);
    unseen(mx, send(mx).message);
    assert_false(send(mx).repeated);
    assert_int_equal(stored(), 2);
}

/* An edge that dies leaves all of its messages unseen, and nobody else's. */
static void an_edge_that_dies_saw_nothing(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    uint64_t first = send(mx).message;
    edge_end_leave(other);
    assert_false(send(mx).repeated);
    edge_end_leave(mx);
    house_pass(&house, NS_PER_SECOND);
    edge_end_connect(mx);
    struct msg_committed again = send(mx);
    assert_true(again.repeated);
    assert_true(again.message >= first);
    assert_int_equal(stored(), 2);
}

/* An edge can neither end nor keep what another one answered for. */
static void an_edge_speaks_for_itself(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    uint64_t first = send(mx).message;
    seen(other, first);
    unseen(other, first);
    assert_false(send(mx).repeated);
    unseen(mx, first);
    assert_true(send(mx).repeated);
}

/* R3 is in the store. */
static void unseen_survives_a_crash(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    unseen(mx, first);
    restart();
    struct msg_committed again = send(mx);
    assert_true(again.repeated);
    assert_int_equal(again.message, first);
    seen(mx, first);
    house_pass(&house, NS_PER_SECOND);
    restart();
    assert_false(send(mx).repeated);
}

/* R4: what was durable is known by its token also to the next core, what was not is not. */
static void tries_survive_a_crash(void **state)
{
    (void)state;
    uint64_t first = send(mx).message, token = transaction;
    assert_int_equal(ask(mx, token).message, first);
    restart();
    assert_int_equal(ask(mx, token).message, first);
    assert_int_equal(ask(mx, token).error, ERR_NONE);
    assert_int_equal(ask(mx, 12345).error, ERR_NOT_FOUND);
    /* It is open again with the edge that asked. */
    unseen(mx, first);
    assert_int_equal(send(mx).message, first);
    assert_int_equal(stored(), 1);
}

/* Killed at any moment of a commit: the answer by token and what is stored are one. */
static void the_answer_by_token_is_the_truth(void **state)
{
    (void)state;
    size_t before = 0;
    for (uint64_t steps = 0; steps < 40; steps++) {
        struct offer offer;
        struct asking *asking = calloc(1, sizeof(*asking));
        assert_non_null(asking);
        uint64_t token = ++transaction;
        house_resolve_one(mx, token, "bob@example.test");
        offer_make(&offer, mx, token, TEXT, 1, token);
        house_ask_begin(asking, mx, offer.msg);
        for (uint64_t i = 0; i < steps; i++)
            (void)fake_step(house.rig.fake, world_mono(&house.rig.fake->world) + NS_PER_SECOND);
        bool promised = asking->done && !err_is(asking->e);
        restart();
        assert_true(asking->done);
        free(asking);
        bool known = ask(mx, token).error == ERR_NONE;
        size_t now = stored();
        assert_int_equal(now - before, known);
        assert_true(known || !promised);
        before = now;
    }
    assert_true(before > 0 && before < 40);
}

/* --- Another core --- */

/* Core died behind its answer, and the session ended while it was away, or with the next core. */
static void unseen_of_a_core_that_died(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    restart();
    unseen(mx, first);
    assert_int_equal(mx->kept, 1);
    assert_int_equal(send(mx).message, first);
    assert_int_equal(stored(), 1);
}

/* The log's tail is applied within seconds; a session may end minutes after its message. */
static void a_try_outlives_the_log_s_tail(void **state)
{
    (void)state;
    uint64_t first = send(mx).message, token = transaction;
    house_pass(&house, 60 * NS_PER_SECOND);
    restart();
    assert_int_equal(ask(mx, token).message, first);
    restart();
    unseen(mx, first);
    assert_int_equal(send(mx).message, first);
    assert_int_equal(stored(), 1);
}

static void open_with_the_next_core(void **state)
{
    (void)state;
    uint64_t first = send(mx).message;
    restart();
    tell(mx, 0, first, TRY_OPEN);
    assert_int_equal(mx->kept, 0);
    assert_false(send(mx).repeated); /* its session may still complete */
    restart();
    tell(mx, transaction - 1, first, TRY_OPEN);
    edge_end_leave(mx);
    house_pass(&house, NS_PER_SECOND);
    edge_end_connect(mx);
    assert_int_equal(send(mx).message, first);
    assert_int_equal(stored(), 2);
}

/* The repetition was complete, and core did not live to hear it. */
static void seen_of_a_core_that_died(void **state)
{
    (void)state;
    for (int pause = 0; pause < 2; pause++) {
        uint64_t first = send(mx).message;
        unseen(mx, first);
        assert_int_equal(send(mx).message, first);
        house_pass(&house, pause * 60 * NS_PER_SECOND);
        restart();
        tell(mx, 0, first, TRY_SEEN);
        assert_int_equal(mx->kept, 2 * pause + 2);
        restart();
        assert_false(send(mx).repeated);
        seen(mx, last.message);
    }
    assert_int_equal(stored(), 4);
}

/* A message is named by the token of its try, which only its edge knows; the id, which stands in
 * the 250, does not do. */
static void an_edge_speaks_for_itself_also_to_the_next_core(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    uint64_t first = send(mx).message, token = transaction;
    restart();
    edge_end_connect(other);
    tell(other, 12345, first, TRY_UNSEEN);
    tell(other, 12345, 0, TRY_UNSEEN);
    tell(other, 12345, UINT64_MAX, TRY_UNSEEN);
    assert_false(send(mx).repeated);
    seen(mx, last.message);
    /* What is over is over, whatever its own edge says later. */
    tell(mx, token, first, TRY_SEEN);
    tell(mx, token, first, TRY_UNSEEN);
    tell(mx, token, first, TRY_OPEN);
    unseen(mx, last.message);
    assert_false(send(mx).repeated);
    assert_int_equal(stored(), 3);
}

/* While one edge repeats it, another one's old report does not open it for a third. */
static void an_old_report_takes_nothing_away(void **state)
{
    (void)state;
    struct edge_end *other = house_edge(&house, ROLE_MX);
    uint64_t first = send(mx).message, token = transaction;
    unseen(mx, first);
    assert_true(send(other).repeated);
    tell(mx, token, first, TRY_UNSEEN);
    assert_false(send(mx).repeated);
    seen(other, first);
    tell(mx, token, first, TRY_UNSEEN);
    assert_false(send(mx).repeated);
    assert_int_equal(stored(), 3);
}

static void the_impossible_end_of_a_try_cuts(void **state)
{
    (void)state;
    tell(mx, 1, 1, TRY_ENDS);
    assert_true(mx->ended);
    edge_end_connect(mx);
    struct msg_try_end try = {.token = STR("short"), .message = 1, .end = TRY_SEEN};
    edge_end_tell(mx, &(struct msg){.kind = MSG_tries, .tries = {.tries = &try, .tries_count = 1}});
    house_settle(&house);
    assert_true(mx->ended);
}

static void what_is_past_its_time_goes(void **state)
{
    (void)state;
    unseen(mx, send(mx).message);
    house_pass(&house, 2 * WINDOW);
    restart();
    fake_wall_jump(house.rig.fake, -2 * WINDOW / 1000 + 1000000);
    assert_false(send(mx).repeated);
}

/* --- R0 --- */

struct second_try {
    struct resent *resent;
    struct peer *edge;
    struct resent_key key;
    struct resent_flight flight;
    struct fiber_start start;
    bool begun;
};

static void second_run(void *arg)
{
    struct second_try *try = arg;
    resent_flight_begin(try->resent, try->edge, try->key, &try->flight);
    try->begun = true;
}

static void second_begin(struct second_try *try, struct fiber_pool *fibers)
{
    try->start = (struct fiber_start){.run = second_run, .arg = try};
    fiber_run(fibers, &try->start);
}

/* A client that lost its edge is back with the same message before the first try is decided. */
static void a_try_waits_for_one_whose_edge_is_gone(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, world_real()), 0);
    struct fiber_pool *fibers = fiber_pool_open(&loop, 8);
    struct resent *resent = resent_new(world_real());
    static char edges[2]; /* only their addresses matter */
    struct peer *dead = (struct peer *)(void *)&edges[0], *alive = (struct peer *)(void *)&edges[1];
    struct resent_key key = {{1}}, other = {{2}};
    struct second_try first = {.resent = resent, .edge = dead, .key = key};
    struct second_try at_once = {.resent = resent, .edge = alive, .key = key};
    struct second_try waits = at_once, another = {.resent = resent, .edge = alive, .key = other};
    second_begin(&first, fibers);
    second_begin(&at_once, fibers);
    assert_true(first.begun && at_once.begun); /* as long as the edge lives they are two */
    resent_peer_gone(resent, dead);
    second_begin(&waits, fibers);
    second_begin(&another, fibers);
    loop_turn(&loop);
    assert_false(waits.begun);
    assert_true(another.begun);
    resent_flight_end(resent, &first.flight);
    loop_turn(&loop);
    assert_true(waits.begun);
    resent_flight_end(resent, &at_once.flight);
    resent_flight_end(resent, &waits.flight);
    resent_flight_end(resent, &another.flight);
    resent_free(resent);
    fiber_pool_close(fibers);
    loop_done(&loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_up, house_down)
    const struct CMUnitTest tests[] = {
        TEST(a_try_waits_for_one_whose_edge_is_gone),
        TEST(two_that_complete_are_two),
        TEST(unseen_and_sent_again_is_one),
        TEST(unseen_again_and_again_is_one),
        TEST(two_repetitions_at_once_are_two),
        TEST(another_client_envelope_or_body_is_another),
        TEST(the_window_ends),
        TEST(the_window_ends_at_its_end),
        TEST(a_clock_set_back_keeps_nothing_for_ever),
        TEST(window_nought_is_off),
        TEST(an_edge_that_dies_saw_nothing),
        TEST(an_edge_speaks_for_itself),
        TEST(unseen_survives_a_crash),
        TEST(tries_survive_a_crash),
        TEST(the_answer_by_token_is_the_truth),
        TEST(unseen_of_a_core_that_died),
        TEST(a_try_outlives_the_log_s_tail),
        TEST(open_with_the_next_core),
        TEST(seen_of_a_core_that_died),
        TEST(an_edge_speaks_for_itself_also_to_the_next_core),
        TEST(an_old_report_takes_nothing_away),
        TEST(the_impossible_end_of_a_try_cuts),
        TEST(what_is_past_its_time_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
