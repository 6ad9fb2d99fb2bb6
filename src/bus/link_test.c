#include "base/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "bus/link.h"
#include "sys/process.h"

/*
 * An edge and core in one loop, over a real pair of sockets. Core's end is a link too, or a bare
 * socket where core misbehaves.
 */
enum {
    ARENA = 1024 * 1024,
    FIBERS = 64,
    TURNS_MOST = 10000,
    NOTES_MOST = 64
};

struct end {
    struct link link;
    struct buf notes; /* what came, printed, a line each */
    int passed;       /* the last handle */
    int got, ended, drained;
    struct err why;
    bool silent; /* asks are kept and not answered */
    bool leave;  /* link_done at the next message */
    bool open;
};

struct given {
    struct loop loop;
    struct fiber_pool *fibers;
    struct end edge, core;
    int bare; /* core's socket where core is no link */
};

static void note(struct link *link, const struct msg *msg, int passed)
{
    struct end *end = link->arg;
    end->got++;
    msg_print(&end->notes, msg);
    buf_putc(&end->notes, '\n');
    if (passed >= 0)
        end->passed = passed;
    if (end->leave) {
        link_done(link);
        end->open = false;
    }
}

static void ended(struct link *link, struct err why)
{
    struct end *end = link->arg;
    end->ended++;
    end->why = why;
    link_done(link);
    end->open = false;
}

/* Core answers every verify with as many lines as the text is long. */
static void answer(struct link *link, const struct msg *msg, int passed)
{
    struct end *end = link->arg;
    struct msg_text_line lines[NOTES_MOST];
    note(link, msg, passed);
    if (msg->kind != MSG_verify || end->silent || !end->open)
        return;
    for (size_t i = 0; i < msg->verify.text.n; i++)
        lines[i].text = str_make(msg->verify.text.p + i, 1);
    struct msg reply = {.kind = MSG_verified,
                        .verified = {.call = msg->verify.call,
                                     .reply = 250,
                                     .lines = lines,
                                     .lines_count = msg->verify.text.n}};
    assert_int_equal(link_send(link, &reply).code, ERR_NONE);
}

static void drained(struct link *link)
{
    ((struct end *)link->arg)->drained++;
}

static const struct link_owner noting = {.got = note, .ended = ended};
static const struct link_owner answering = {.got = answer, .ended = ended, .drained = drained};

static void end_open(struct given *given, struct end *end, int handle, enum bus_role own,
                     enum bus_role peer, const struct link_owner *owner)
{
    buf_init(&end->notes, ARENA);
    end->passed = -1;
    end->open = true;
    assert_int_equal(link_init(&end->link, &given->loop, handle, own, peer, owner, end), 0);
}

static int given_open(void **state)
{
    static struct given given;
    int pair[2];
    given = (struct given){.bare = -1};
    assert_int_equal(loop_init(&given.loop, world_real()), 0);
    given.fibers = fiber_pool_open(&given.loop, FIBERS);
    assert_int_equal(process_socket_pair(pair).code, ERR_NONE);
    end_open(&given, &given.edge, pair[0], ROLE_MX, ROLE_CORE, &noting);
    end_open(&given, &given.core, pair[1], ROLE_CORE, ROLE_MX, &answering);
    *state = &given;
    return 0;
}

/* Core's end becomes a bare socket. */
static int given_bare(void **state)
{
    given_open(state);
    struct given *given = *state;
    given->bare = dup(given->core.link.watch.handle);
    link_done(&given->core.link);
    given->core.open = false;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    for (struct end *end = &given->edge; end; end = end == &given->edge ? &given->core : NULL) {
        if (end->open)
            link_done(&end->link);
        buf_done(&end->notes);
        if (end->passed >= 0)
            close(end->passed);
    }
    loop_turn(&given->loop);
    if (given->bare >= 0)
        close(given->bare);
    fiber_pool_close(given->fibers);
    loop_done(&given->loop);
    return 0;
}

/* Turns until nothing happens in one. */
static void settle(struct given *given)
{
    struct world *world = given->loop.world;
    for (int quiet = 0, turns = 0; quiet < 3; turns++) {
        uint64_t before = given->edge.link.packets_in + given->edge.link.packets_out +
                          given->core.link.packets_in + given->core.link.packets_out;
        must(turns < TURNS_MOST);
        world->ops->wait(world, &given->loop, 0);
        loop_turn(&given->loop);
        uint64_t after = given->edge.link.packets_in + given->edge.link.packets_out +
                         given->core.link.packets_in + given->core.link.packets_out;
        quiet = before == after ? quiet + 1 : 0;
    }
}

/* --- Fibers that ask ------------------------------------------------------------------------- */

struct ask {
    struct fiber_start start;
    struct given *given;
    struct str text;
    struct arena arena;
    struct msg answer;
    struct err result;
    bool over;
};

static void ask_run(void *arg)
{
    struct ask *ask = arg;
    struct msg msg = {.kind = MSG_verify, .verify = {.text = ask->text}};
    ask->result = link_ask(&ask->given->edge.link, &msg, &ask->arena, &ask->answer);
    ask->over = true;
}

static void ask_begin(struct given *given, struct ask *ask, struct str text)
{
    *ask = (struct ask){.start = {.run = ask_run, .arg = ask}, .given = given, .text = text};
    arena_init(&ask->arena, ARENA);
    fiber_run(given->fibers, &ask->start);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void messages_of_a_turn_leave_in_one_packet(void **state)
{
    struct given *given = *state;
    for (int i = 0; i < 5; i++) {
        struct msg msg = {.kind = MSG_upload_drop, .upload_drop = {.upload = (uint64_t)i}};
        assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    }
    settle(given);
    assert_int_equal(given->core.got, 5);
    assert_int_equal(given->edge.link.packets_out, 1);
    assert_str(buf_str(&given->core.notes), STR("upload_drop upload=0\nupload_drop upload=1\n"
                                                "upload_drop upload=2\nupload_drop upload=3\n"
                                                "upload_drop upload=4\n"));
}

static void every_asker_gets_its_own_answer(void **state)
{
    struct given *given = *state;
    struct ask asks[10];
    static const char text[] = "abcdefghij";
    for (size_t i = 0; i < 10; i++)
        ask_begin(given, &asks[i], str_make(text, i + 1));
    settle(given);
    for (size_t i = 0; i < 10; i++) {
        assert_true(asks[i].over);
        assert_int_equal(asks[i].result.code, ERR_NONE);
        assert_int_equal(asks[i].answer.verified.lines_count, i + 1);
        assert_str(asks[i].answer.verified.lines[i].text, str_make(text + i, 1));
        arena_done(&asks[i].arena);
    }
    assert_int_equal(given->edge.link.packets_out, 1);
    assert_int_equal(given->core.link.packets_out, 1);
    assert_int_equal(given->edge.got, 0);
}

static void an_asker_without_room_does_not_harm_the_link(void **state)
{
    struct given *given = *state;
    struct ask ask;
    ask_begin(given, &ask, STR("abc"));
    ask.arena.cap = 8;
    settle(given);
    assert_int_equal(ask.result.code, ERR_OVER_LIMIT);
    assert_int_equal(given->edge.ended, 0);
    arena_done(&ask.arena);
}

/* On the loop's stack: begin never waits, nor does the end of what was answered. */
static void a_question_in_two_steps(void **state)
{
    struct given *given = *state;
    struct arena arena;
    struct msg answer;
    struct msg msg = {.kind = MSG_verify, .verify = {.text = STR("abc")}};
    struct link_call call;
    arena_init(&arena, ARENA);
    link_ask_begin(&given->edge.link, &call, &msg, &arena, &answer);
    assert_false(link_ask_answered(&call));
    settle(given);
    assert_true(link_ask_answered(&call));
    assert_int_equal(link_ask_end(&call).code, ERR_NONE);
    assert_int_equal(answer.verified.lines_count, 3);
    given->core.silent = true;
    link_ask_begin(&given->edge.link, &call, &msg, &arena, &answer);
    settle(given);
    link_done(&given->core.link);
    given->core.open = false;
    settle(given);
    assert_int_equal(link_ask_end(&call).code, ERR_BUS_BROKEN);
    arena_done(&arena);
}

static void a_question_that_cannot_be_sent_is_answered(void **state)
{
    struct given *given = *state;
    struct arena arena;
    struct msg answer;
    struct msg msg = {.kind = MSG_verify};
    struct link_call call;
    arena_init(&arena, ARENA);
    link_cut(&given->edge.link, err_make(ERR_BUS_BROKEN));
    link_ask_begin(&given->edge.link, &call, &msg, &arena, &answer);
    assert_true(link_ask_answered(&call));
    assert_int_equal(link_ask_end(&call).code, ERR_BUS_BROKEN);
    arena_done(&arena);
    settle(given);
}

static void handles_travel_with_their_message(void **state)
{
    struct given *given = *state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    struct msg first = {.kind = MSG_admin_text, .admin_text = {.call = 1}};
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = 7}};
    assert_int_equal(link_send(&given->core.link, &first).code, ERR_NONE);
    assert_int_equal(link_send_handle(&given->core.link, &msg, pipes[1]).code, ERR_NONE);
    close(pipes[1]);
    settle(given);
    assert_str(buf_str(&given->edge.notes),
               STR("admin_text call=1 text=\"\" to_stderr=0\nwelcome slabs=7\n"));
    assert_true(given->edge.passed >= 0);
    char c = 0;
    assert_int_equal(write(given->edge.passed, "x", 1), 1);
    assert_int_equal(read(pipes[0], &c, 1), 1);
    close(pipes[0]);
}

static void the_end_wakes_all_who_wait(void **state)
{
    struct given *given = *state;
    struct ask asks[3];
    given->core.silent = true;
    for (size_t i = 0; i < 3; i++)
        ask_begin(given, &asks[i], STR("x"));
    settle(given);
    assert_false(asks[0].over);
    link_done(&given->core.link);
    given->core.open = false;
    settle(given);
    assert_int_equal(given->edge.ended, 1);
    assert_int_equal(given->edge.why.code, ERR_PEER_GONE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(asks[i].result.code, ERR_BUS_BROKEN);
        arena_done(&asks[i].arena);
    }
}

static void closing_ones_own_end_wakes_too_and_tells_nobody(void **state)
{
    struct given *given = *state;
    struct ask ask;
    given->core.silent = true;
    ask_begin(given, &ask, STR("x"));
    settle(given);
    link_done(&given->edge.link);
    given->edge.open = false;
    settle(given);
    assert_int_equal(ask.result.code, ERR_BUS_BROKEN);
    assert_int_equal(given->edge.ended, 0);
    assert_int_equal(given->core.ended, 1);
    arena_done(&ask.arena);
}

static void a_link_may_be_closed_while_it_delivers(void **state)
{
    struct given *given = *state;
    given->core.leave = true;
    for (int i = 0; i < 3; i++) {
        struct msg msg = {.kind = MSG_upload_drop, .upload_drop = {.upload = 1}};
        assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    }
    settle(given);
    assert_int_equal(given->core.got, 1);
    assert_int_equal(given->edge.ended, 1);
}

static void nothing_is_sent_on_a_link_that_was_cut(void **state)
{
    struct given *given = *state;
    struct msg msg = {.kind = MSG_upload_drop};
    struct ask ask;
    link_cut(&given->edge.link, err_make(ERR_BUS_BROKEN));
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_BUS_BROKEN);
    ask_begin(given, &ask, STR("x"));
    assert_int_equal(given->edge.ended, 0);
    settle(given);
    assert_int_equal(ask.result.code, ERR_BUS_BROKEN);
    assert_int_equal(given->edge.ended, 1);
    assert_int_equal(given->core.got, 0);
    arena_done(&ask.arena);
}

/* --- A peer that does not read --------------------------------------------------------------- */

static struct msg large_message(char *octets, size_t n)
{
    return (struct msg){.kind = MSG_forget, .forget = {.why = str_make(octets, n)}};
}

static void back_pressure_has_a_limit_and_an_end(void **state)
{
    struct given *given = *state;
    static char octets[100 * 1024];
    struct msg msg = large_message(octets, sizeof(octets));
    struct ask ask;
    int sent = 0;
    watch_want(&given->loop, &given->core.link.watch, 0);
    for (; !err_is(link_send(&given->edge.link, &msg)); sent++)
        settle(given);
    assert_true(given->edge.link.queued + given->edge.link.out.n >= LINK_OUT_MAX);
    assert_true(given->edge.link.queued + given->edge.link.out.n <= LINK_OUT_MAX + BUS_PACKET_MAX);
    ask_begin(given, &ask, STR("ab"));
    settle(given);
    assert_false(ask.over);
    watch_want(&given->loop, &given->core.link.watch, READY_READ);
    settle(given);
    assert_int_equal(given->core.got, sent + 1);
    assert_int_equal(given->edge.link.queued, 0);
    assert_true(ask.over);
    assert_int_equal(ask.result.code, ERR_NONE);
    arena_done(&ask.arena);
}

/* With nothing queued, so that nothing but the handle waits for the socket. */
static void who_was_refused_a_handle_hears_when_there_is_room(void **state)
{
    struct given *given = *state;
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = 7}};
    int pipes[2], sent = 0;
    assert_int_equal(pipe(pipes), 0);
    watch_want(&given->loop, &given->edge.link.watch, 0);
    while (!err_is(link_send_handle(&given->core.link, &msg, pipes[1])))
        must(sent++ < TURNS_MOST);
    assert_int_equal(link_send_handle(&given->core.link, &msg, pipes[1]).code, ERR_OVER_LIMIT);
    settle(given);
    assert_int_equal(given->core.drained, 0);
    watch_want(&given->loop, &given->edge.link.watch, READY_READ);
    settle(given);
    assert_int_equal(given->edge.got, sent);
    assert_true(given->core.drained > 0);
    assert_int_equal(link_send_handle(&given->core.link, &msg, pipes[1]).code, ERR_NONE);
    settle(given);
    assert_int_equal(given->edge.got, sent + 1);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_message_has_a_largest_size(void **state)
{
    struct given *given = *state;
    static char octets[BUS_PACKET_MAX];
    size_t head = 4 + 2 + 8 + 4; /* length, kind, transaction, length of the text */
    struct msg msg = large_message(octets, sizeof(octets) - head);
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    msg = large_message(octets, sizeof(octets) - head + 1);
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_OVER_LIMIT);
    msg = large_message(octets, 1);
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    settle(given);
    assert_int_equal(given->core.got, 2);
    assert_int_equal(given->core.ended, 0);
}

/* --- A peer that was taken over (catalogue O03, S13) ----------------------------------------- */

/* Neither end has them any more, nor did memory that grew. */
static void octets_are_wiped_once_they_were_sent(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(ARENA);
    while (text.n < BUS_PACKET_MAX / 2)
        buf_put(&text, STR("open sesame "));
    struct msg msg = {.kind = MSG_forget, .forget = {.why = STR("small")}};
    const struct buf *out = &given->edge.link.out;
    const char *from = out->p;
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    msg.forget.why = buf_str(&text);
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    settle(given);
    assert_int_equal(given->core.got, 2);
    assert_ptr_equal(out->p, from);
    assert_true(str_find(str_make(out->p, out->cap), STR("sesame")) < 0);
    assert_true(str_find(str_make(given->core.link.in, BUS_PACKET_MAX), STR("sesame")) < 0);
    buf_done(&text);
}

static void packet_give(struct given *given, struct str packet, int pass)
{
    struct world *world = given->loop.world;
    assert_int_equal(world->ops->packet_send(world, given->bare, packet, pass), packet.n);
    settle(given);
}

static void cut_with(struct given *given, struct str packet, int pass, struct str why)
{
    packet_give(given, packet, pass);
    assert_int_equal(given->edge.ended, 1);
    assert_int_equal(given->edge.why.code, ERR_BUS_BROKEN);
    assert_str(given->edge.why.detail, why);
}

static struct str encoded(struct buf *to, const struct msg *msg)
{
    msg_encode(to, msg);
    return buf_str(to);
}

static void noise_cuts_the_link(void **state)
{
    cut_with(*state, STR("GET / HTTP/1.0\r\n\r\n"), -1, STR("a message is cut short"));
}

static void a_packet_that_is_too_long_cuts_the_link(void **state)
{
    static char octets[BUS_PACKET_MAX + 1];
    cut_with(*state, str_make(octets, sizeof(octets)), -1, STR("no packet of ours"));
}

static void a_message_of_another_role_cuts_the_link(void **state)
{
    struct buf packet = BUF_INIT(ARENA);
    struct msg msg = {.kind = MSG_stop};
    cut_with(*state, encoded(&packet, &msg), -1, STR("this role may not send that message"));
    buf_done(&packet);
}

static void an_answer_to_nothing_cuts_the_link(void **state)
{
    struct buf packet = BUF_INIT(ARENA);
    struct msg msg = {.kind = MSG_committed, .committed = {.call = 1}};
    cut_with(*state, encoded(&packet, &msg), -1, STR("an answer nobody asked for"));
    buf_done(&packet);
}

static void an_answer_to_another_question_cuts_the_link(void **state)
{
    struct given *given = *state;
    struct buf packet = BUF_INIT(ARENA);
    struct ask ask;
    ask_begin(given, &ask, STR("x"));
    settle(given);
    struct msg msg = {.kind = MSG_committed, .committed = {.call = given->edge.link.last_call}};
    cut_with(given, encoded(&packet, &msg), -1, STR("an answer to another question"));
    assert_int_equal(ask.result.code, ERR_BUS_BROKEN);
    arena_done(&ask.arena);
    buf_done(&packet);
}

static void a_stray_handle_cuts_the_link_and_is_closed(void **state)
{
    struct given *given = *state;
    struct buf packet = BUF_INIT(ARENA);
    int pipes[2];
    char c;
    assert_int_equal(pipe(pipes), 0);
    struct msg msg = {.kind = MSG_admin_text};
    encoded(&packet, &msg);
    cut_with(given, buf_str(&packet), pipes[1], STR("a handle too many or too few"));
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &c, 1), 0);
    close(pipes[0]);
    buf_done(&packet);
}

static void a_missing_handle_cuts_the_link(void **state)
{
    struct buf packet = BUF_INIT(ARENA);
    struct msg msg = {.kind = MSG_welcome};
    cut_with(*state, encoded(&packet, &msg), -1, STR("a handle too many or too few"));
    buf_done(&packet);
}

static void what_came_before_the_noise_was_given(void **state)
{
    struct given *given = *state;
    struct buf packet = BUF_INIT(ARENA);
    struct msg msg = {.kind = MSG_admin_text};
    encoded(&packet, &msg);
    buf_put(&packet, STR("\x03\0\0\0xyz"));
    cut_with(given, buf_str(&packet), -1, STR("no such message"));
    assert_int_equal(given->edge.got, 1);
    buf_done(&packet);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, given_bare, given_close)

struct stream_end {
    struct task task;
    const struct link *link;
    uint64_t packets_before;
};

static void stream_writes(struct task *task)
{
    struct stream_end *end = task->arg;
    end->packets_before = end->link->packets_out;
}

/* A reply left before what core had to know first, and the edge died in between. */
static void who_takes_its_place_leaves_first(void **state)
{
    struct given *given = *state;
    struct stream_end end = {.link = &given->edge.link};
    end.task = (struct task){.run = stream_writes, .arg = &end};
    struct msg msg = {.kind = MSG_forget, .forget = {.transaction = 1}};
    link_take_place(&given->edge.link);
    loop_at_turn_end(&given->loop, &end.task);
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    loop_turn(&given->loop);
    assert_int_equal(end.packets_before, 1);
}

struct poor_kernel {
    struct world_ops ops; /* first: found again by the world's */
    const struct world_ops *under;
    int fails; /* so many times */
};

static ssize_t poor_recv(struct world *world, int handle, void *to, size_t cap, int *passed_r)
{
    struct poor_kernel *kernel = (struct poor_kernel *)(uintptr_t)world->ops;
    if (kernel->fails-- > 0)
        return -ENOMEM;
    return kernel->under->packet_recv(world, handle, to, cap, passed_r);
}

/* The link was cut, and its edge was without core. */
static void a_kernel_without_memory_for_a_packet_cuts_no_link(void **state)
{
    struct given *given = *state;
    struct world *world = given->loop.world;
    struct poor_kernel kernel = {*world->ops, world->ops, 1};
    struct msg msg = {.kind = MSG_forget, .forget = {.transaction = 1}};
    kernel.ops.packet_recv = poor_recv;
    world->ops = &kernel.ops;
    assert_int_equal(link_send(&given->edge.link, &msg).code, ERR_NONE);
    settle(given);
    world->ops = kernel.under;
    assert_true(kernel.fails < 0);
    assert_int_equal(given->core.got, 1);
    assert_int_equal(given->core.ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_of_a_turn_leave_in_one_packet),
        TEST(who_takes_its_place_leaves_first),
        TEST(every_asker_gets_its_own_answer),
        TEST(an_asker_without_room_does_not_harm_the_link),
        TEST(a_question_in_two_steps),
        TEST(a_question_that_cannot_be_sent_is_answered),
        TEST(handles_travel_with_their_message),
        TEST(the_end_wakes_all_who_wait),
        TEST(closing_ones_own_end_wakes_too_and_tells_nobody),
        TEST(a_link_may_be_closed_while_it_delivers),
        TEST(nothing_is_sent_on_a_link_that_was_cut),
        TEST(back_pressure_has_a_limit_and_an_end),
        TEST(who_was_refused_a_handle_hears_when_there_is_room),
        TEST(a_message_has_a_largest_size),
        TEST(octets_are_wiped_once_they_were_sent),
        TEST(a_kernel_without_memory_for_a_packet_cuts_no_link),
        BARE(noise_cuts_the_link),
        BARE(a_packet_that_is_too_long_cuts_the_link),
        BARE(a_message_of_another_role_cuts_the_link),
        BARE(an_answer_to_nothing_cuts_the_link),
        BARE(an_answer_to_another_question_cuts_the_link),
        BARE(a_stray_handle_cuts_the_link_and_is_closed),
        BARE(a_missing_handle_cuts_the_link),
        BARE(what_came_before_the_noise_was_given),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
