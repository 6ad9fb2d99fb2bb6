#include "base/test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "sys/fake/memory.h"
#include "sys/stream_pool.h"

enum {
    TURNS_ENOUGH = 2000
};

/* A session that answers each line with "<line>" from a fiber, and leaves at "quit". */
struct session {
    struct stream stream;
    struct fiber_start start;
    struct fiber_pool *fibers;
    struct buf line;
    int inputs, ends, lines, depth;
    bool yields; /* its handler waits a turn in the middle */
    bool leaves_at_end;
    bool gone;
};

struct bench {
    struct loop loop;
    struct fiber_pool *fibers;
    struct stream_pool *pool;
    struct session session;
    int peer;
};

static void wait_a_moment(struct loop *loop)
{
    fiber_sleep_until(loop, loop->now);
}

static void answer(void *arg)
{
    struct session *s = arg;
    if (s->yields)
        wait_a_moment(s->stream.loop);
    stream_put(&s->stream, STR("<"));
    stream_put(&s->stream, buf_str(&s->line));
    stream_put(&s->stream, STR(">"));
    s->lines++;
    if (str_eq(buf_str(&s->line), STR("quit")))
        stream_finish(&s->stream);
    buf_clear(&s->line);
    stream_resume(&s->stream);
}

static void leave(struct session *s)
{
    buf_done(&s->line);
    stream_done(&s->stream);
    s->gone = true;
}

static void session_input(struct stream *stream)
{
    struct session *s = stream->arg;
    assert_int_equal(s->depth, 0);
    assert_null(fiber_current());
    assert_false(stream->paused);
    s->depth++;
    s->inputs++;
    struct str rest = stream_pending(stream);
    ssize_t end = str_index(rest, '\n');
    if (end >= 0) {
        buf_put(&s->line, str_head(rest, (size_t)end));
        stream_take(stream, (size_t)end + 1);
        stream_pause(stream);
        s->start = (struct fiber_start){.run = answer, .arg = s};
        fiber_run(s->fibers, &s->start);
    } else if (stream->ended != STREAM_OPEN) {
        s->ends++;
        if (s->leaves_at_end)
            leave(s);
    }
    s->depth--;
}

static void session_open(struct session *s, struct bench *b, int handle)
{
    *s = (struct session){.fibers = b->fibers, .line = BUF_INIT(100000), .leaves_at_end = true};
    assert_int_equal(stream_init(&s->stream, &b->loop, b->pool, handle, session_input, s), 0);
}

static void bench_open(struct bench *b, size_t buffers)
{
    int pair[2];
    assert_int_equal(loop_init(&b->loop, world_real()), 0);
    b->fibers = fiber_pool_open(&b->loop, 8);
    b->pool = stream_pool_open(&b->loop, buffers);
    assert_true(b->fibers && b->pool);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    b->peer = pair[1];
    session_open(&b->session, b, pair[0]);
}

static void bench_close(struct bench *b)
{
    if (!b->session.gone)
        leave(&b->session);
    close(b->peer);
    stream_pool_close(b->pool);
    fiber_pool_close(b->fibers);
    loop_done(&b->loop);
}

static void turns(struct bench *b, int n)
{
    for (int i = 0; i < n; i++) {
        b->loop.world->ops->wait(b->loop.world, &b->loop, 0);
        loop_turn(&b->loop);
    }
}

static void say(struct bench *b, struct str text)
{
    assert_int_equal(send(b->peer, text.p, text.n, MSG_NOSIGNAL), (ssize_t)text.n);
}

/* What the peer has got by now. */
static struct str heard(struct bench *b, char *to, size_t cap)
{
    ssize_t n = recv(b->peer, to, cap, MSG_DONTWAIT);
    return str_make(to, n > 0 ? (size_t)n : 0);
}

static void every_split_of_a_dialogue_gives_the_same(void **state)
{
    (void)state;
    struct str dialogue = STR("one\ntwo\n\nthree\nquit\nlate");
    struct str expected = STR("<one><two><><three><quit>");
    for (int yields = 0; yields < 2; yields++)
        for (size_t first = 0; first <= dialogue.n; first++)
            for (size_t second = first; second <= dialogue.n; second++) {
                struct bench b;
                bench_open(&b, 1);
                b.session.yields = yields;
                char got[200];
                struct buf all = BUF_INIT(200);
                size_t cuts[] = {first, second, dialogue.n}, at = 0;
                for (int i = 0; i < 3; i++) {
                    say(&b, str_head(str_from_index(dialogue, at), cuts[i] - at));
                    at = cuts[i];
                    turns(&b, 3);
                    buf_put(&all, heard(&b, got, sizeof(got)));
                }
                turns(&b, 20);
                buf_put(&all, heard(&b, got, sizeof(got)));
                assert_str(buf_str(&all), expected);
                assert_false(b.session.gone);
                shutdown(b.peer, SHUT_WR);
                turns(&b, 3);
                assert_true(b.session.gone);
                assert_int_equal(b.session.ends, 1);
                buf_done(&all);
                bench_close(&b);
            }
}

static void pipelined_lines_are_answered_in_one_turn(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    say(&b, STR("a\nb\nc\n"));
    turns(&b, 1);
    char got[50];
    assert_str(heard(&b, got, sizeof(got)), STR("<a><b><c>"));
    bench_close(&b);
}

static void held_output_waits_for_its_release(void **state)
{
    (void)state;
    struct bench b;
    char got[50];
    bench_open(&b, 1);
    stream_hold(&b.session.stream);
    stream_put(&b.session.stream, STR("one"));
    turns(&b, 3);
    assert_int_equal(heard(&b, got, sizeof(got)).n, 0);
    stream_put(&b.session.stream, STR("two"));
    stream_release(&b.session.stream);
    turns(&b, 1);
    assert_str(heard(&b, got, sizeof(got)), STR("onetwo"));
    stream_hold(&b.session.stream);
    stream_put(&b.session.stream, STR("last"));
    stream_finish(&b.session.stream);
    turns(&b, 1);
    assert_str(heard(&b, got, sizeof(got)), STR("last"));
    bench_close(&b);
}

static void an_idle_stream_owns_no_buffer(void **state)
{
    (void)state;
    struct bench b;
    assert_true(sizeof(struct stream) < 400);
    bench_open(&b, 1);
    say(&b, STR("a\n"));
    turns(&b, 2);
    assert_null(b.session.stream.in);
    assert_true(TAILQ_EMPTY(&b.session.stream.out));
    say(&b, STR("b\nunfin"));
    turns(&b, 2);
    assert_int_equal(b.session.stream.in_own, 5);
    say(&b, STR("ished\n"));
    turns(&b, 2);
    assert_null(b.session.stream.in);
    char got[50];
    assert_str(heard(&b, got, sizeof(got)), STR("<a><b><unfinished>"));
    bench_close(&b);
}

/* What the stream takes from malloc while it does the same again and again. */
static void a_busy_stream_takes_no_memory(void **state)
{
    (void)state;
    enum {
        ROUNDS = 100,
        LARGE = 3 * STREAM_READ_SIZE
    };
    static char large[LARGE], got[LARGE + 10];
    struct bench b;
    struct fake_memory *memory = fake_memory_open();
    bench_open(&b, 2);
    for (int i = 0; i < ROUNDS; i++) {
        if (i == 1)
            fake_memory_charge(memory);
        say(&b, STR("line\n"));
        turns(&b, 1);
        assert_str(heard(&b, got, sizeof(got)), STR("<line>"));
        stream_put(&b.session.stream, str_make(large, LARGE));
        turns(&b, 1);
        assert_int_equal(heard(&b, got, sizeof(got)).n, LARGE);
    }
    fake_memory_charge(NULL);
    assert_int_equal(fake_memory_taken(memory), 0);
    bench_close(&b);
    fake_memory_close(memory);
}

static void what_arrived_is_shown_before_the_end(void **state)
{
    (void)state;
    for (int yields = 0; yields < 2; yields++) {
        struct bench b;
        bench_open(&b, 1);
        b.session.yields = yields;
        say(&b, STR("a\nb\nrest"));
        shutdown(b.peer, SHUT_WR);
        b.session.leaves_at_end = false;
        turns(&b, 10);
        assert_int_equal(b.session.lines, 2);
        assert_int_equal(b.session.ends, 1);
        assert_int_equal(b.session.stream.ended, STREAM_CLOSED_BY_PEER);
        assert_str(stream_pending(&b.session.stream), STR("rest"));
        /* The peer only half-closed: it still gets its answers. */
        char got[50];
        assert_str(heard(&b, got, sizeof(got)), STR("<a><b>"));
        /* A session that leaves now is told once more, when its output is sent. */
        stream_put(&b.session.stream, STR("bye"));
        stream_finish(&b.session.stream);
        b.session.leaves_at_end = true;
        turns(&b, 3);
        assert_true(b.session.gone);
        assert_str(heard(&b, got, sizeof(got)), STR("bye"));
        bench_close(&b);
    }
}

static void a_reset_is_told_as_broken(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    stream_put(&b.session.stream, STR("nobody reads this"));
    turns(&b, 1);
    close(b.peer);
    turns(&b, 3);
    assert_int_equal(b.session.ends, 1);
    assert_int_equal(b.session.stream.ended, STREAM_BROKEN);
    stream_put(&b.session.stream, STR("dropped"));
    assert_int_equal(b.session.stream.unsent, 0);
    turns(&b, 3);
    assert_int_equal(b.session.ends, 1);
    b.peer = dup(0);
    bench_close(&b);
}

static void a_write_error_is_told_as_broken(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    stream_pause(&b.session.stream);
    close(b.peer);
    stream_put(&b.session.stream, STR("x"));
    turns(&b, 3);
    assert_int_equal(b.session.stream.ended, STREAM_BROKEN);
    assert_int_equal(b.session.ends, 0); /* paused: not even the end is told */
    stream_resume(&b.session.stream);
    turns(&b, 3);
    assert_int_equal(b.session.ends, 1);
    b.peer = dup(0);
    bench_close(&b);
}

/* Catalogue I17: a reader that does not read. */
static void too_much_unread_output_cuts_the_connection(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    static char much[STREAM_OUT_HARD];
    stream_put(&b.session.stream, str_make(much, STREAM_OUT_HARD - 1));
    assert_int_equal(b.session.stream.ended, STREAM_OPEN);
    stream_put(&b.session.stream, STR("x"));
    assert_int_equal(b.session.stream.ended, STREAM_OPEN);
    stream_put(&b.session.stream, STR("y"));
    assert_int_equal(b.session.stream.ended, STREAM_BROKEN);
    assert_true(TAILQ_EMPTY(&b.session.stream.out));
    turns(&b, 2);
    assert_int_equal(b.session.ends, 1);
    bench_close(&b);
}

enum {
    FLOOD = 8 * 1024 * 1024,
    FLOOD_PIECE = 10000
};

struct flood {
    struct bench *bench;
    struct fiber_start start;
    size_t most_unsent;
    bool drained, flushed, over;
    int64_t deadline;
};

static void pour(void *arg)
{
    struct flood *f = arg;
    struct stream *stream = &f->bench->session.stream;
    char piece[FLOOD_PIECE];
    f->drained = true;
    for (size_t at = 0; at < FLOOD && f->drained; at += sizeof(piece)) {
        for (size_t i = 0; i < sizeof(piece); i++)
            piece[i] = (char)((at + i) % 251);
        stream_put(stream, str_make(piece, sizeof(piece)));
        if (stream->unsent > f->most_unsent)
            f->most_unsent = stream->unsent;
        f->drained = stream_drain(stream, f->deadline);
    }
    f->flushed = stream_flush(stream, f->deadline);
    f->over = true;
}

static void a_handler_that_drains_keeps_little_unsent(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct flood f = {.bench = &b, .start = {.run = pour, .arg = &f}, .deadline = INT64_MAX};
    fiber_run(b.fibers, &f.start);
    size_t got = 0;
    for (int i = 0; i < 100 * TURNS_ENOUGH && !(f.over && got >= FLOOD); i++) {
        static char bytes[50000];
        ssize_t n = recv(b.peer, bytes, sizeof(bytes), MSG_DONTWAIT);
        for (ssize_t k = 0; k < n; k++, got++)
            assert_int_equal(bytes[k], (char)(got % 251));
        turns(&b, 1);
    }
    assert_true(f.over && f.drained && f.flushed);
    assert_true(f.most_unsent <= STREAM_OUT_SOFT + FLOOD_PIECE);
    assert_true(got >= FLOOD);
    assert_true(b.session.stream.bytes_out == got);
    bench_close(&b);
}

static void a_drain_ends_at_its_deadline(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct flood f = {
        .bench = &b, .start = {.run = pour, .arg = &f}, .deadline = b.loop.now + 20 * NS_PER_MS};
    fiber_run(b.fibers, &f.start);
    while (!f.over) {
        b.loop.world->ops->wait(b.loop.world, &b.loop, loop_next(&b.loop));
        loop_turn(&b.loop);
    }
    assert_true(!f.drained && !f.flushed);
    assert_true(b.loop.now >= f.deadline);
    assert_int_equal(b.session.stream.ended, STREAM_OPEN);
    bench_close(&b);
}

static void a_drain_ends_when_the_peer_goes(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    struct flood f = {.bench = &b, .start = {.run = pour, .arg = &f}, .deadline = INT64_MAX};
    fiber_run(b.fibers, &f.start);
    turns(&b, 3);
    assert_false(f.over);
    close(b.peer);
    turns(&b, 3);
    assert_true(f.over && !f.drained && !f.flushed);
    b.peer = dup(0);
    bench_close(&b);
}

struct vanishing {
    struct stream stream;
    struct fiber_start start;
    struct fiber_pool *fibers; /* NULL: leaves in input itself */
};

static void vanish(void *arg)
{
    struct vanishing *v = arg;
    stream_done(&v->stream);
    free(v);
}

static void vanish_input(struct stream *stream)
{
    struct vanishing *v = stream->arg;
    if (v->fibers) {
        v->start = (struct fiber_start){.run = vanish, .arg = v};
        fiber_run(v->fibers, &v->start);
    } else {
        vanish(v);
    }
}

/* AddressSanitizer is the judge. */
static void a_stream_may_be_freed_in_its_input(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    for (int on_fiber = 0; on_fiber < 2; on_fiber++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        struct vanishing *v = calloc(1, sizeof(*v));
        assert_non_null(v);
        v->fibers = on_fiber ? b.fibers : NULL;
        assert_int_equal(stream_init(&v->stream, &b.loop, b.pool, pair[0], vanish_input, v), 0);
        assert_int_equal(write(pair[1], "bye\n", 4), 4);
        shutdown(pair[1], SHUT_WR);
        turns(&b, 3);
        char c;
        assert_true(recv(pair[1], &c, 1, MSG_DONTWAIT) <= 0);
        close(pair[1]);
    }
    bench_close(&b);
}

static void a_peer_that_never_ends_is_left_after_the_linger(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    say(&b, STR("quit\n"));
    turns(&b, 2);
    char got[50];
    assert_str(heard(&b, got, sizeof(got)), STR("<quit>"));
    assert_int_equal(recv(b.peer, got, 1, MSG_DONTWAIT), 0); /* half-closed */
    say(&b, STR("but I am\nstill here\n"));
    turns(&b, 3);
    assert_int_equal(b.session.lines, 1);
    assert_int_equal(b.session.ends, 0);
    int64_t left = b.session.stream.linger.at - b.loop.now;
    assert_true(b.session.stream.linger.set && left > 0 && left <= STREAM_LINGER);
    timer_set(&b.loop, &b.session.stream.linger, b.loop.now);
    turns(&b, 2);
    assert_int_equal(b.session.ends, 1);
    assert_int_equal(b.session.stream.ended, STREAM_BROKEN);
    bench_close(&b);
}

static void streams_wait_for_the_last_buffer_in_turn(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct session other;
    int pair[2];
    char got[50];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    session_open(&other, &b, pair[0]);
    /* The first keeps the only buffer: it is paused with something pending. */
    say(&b, STR("a\nb\n"));
    b.session.yields = true;
    b.loop.world->ops->wait(b.loop.world, &b.loop, 0);
    assert_true(b.session.stream.paused && b.session.stream.in);
    assert_int_equal(write(pair[1], "c\n", 2), 2);
    b.loop.world->ops->wait(b.loop.world, &b.loop, 0);
    assert_int_equal(other.inputs, 0);
    turns(&b, 8);
    assert_str(heard(&b, got, sizeof(got)), STR("<a><b>"));
    assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 3);

    /* One that leaves while it waits is forgotten. */
    say(&b, STR("a\nb\n"));
    b.loop.world->ops->wait(b.loop.world, &b.loop, 0);
    assert_int_equal(write(pair[1], "c\n", 2), 2);
    b.loop.world->ops->wait(b.loop.world, &b.loop, 0);
    assert_true(other.stream.wants_buffer);
    leave(&other);
    turns(&b, 8);
    assert_str(heard(&b, got, sizeof(got)), STR("<a><b>"));
    close(pair[1]);
    bench_close(&b);
}

/* Many peers that do not read must not keep others from being heard. */
static void unread_output_leaves_the_buffers_of_input_alone(void **state)
{
    (void)state;
    struct bench b;
    char got[50];
    bench_open(&b, 1);
    static char much[STREAM_OUT_HARD - 1];
    stream_put(&b.session.stream, str_make(much, sizeof(much)));
    turns(&b, 1);
    assert_true(b.session.stream.out_blocked);

    struct session other;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    session_open(&other, &b, pair[0]);
    assert_int_equal(write(pair[1], "a\n", 2), 2);
    turns(&b, 2);
    assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 3);
    leave(&other);
    close(pair[1]);
    bench_close(&b);
}

/* The pool's only spare buffer holds output, and there is no memory for another. */
static void input_without_memory_waits_for_output_to_leave(void **state)
{
    (void)state;
    struct bench b;
    char got[50];
    struct fake_memory *memory = fake_memory_open();
    bench_open(&b, 2);
    stream_hold(&b.session.stream);
    stream_put(&b.session.stream, STR("held"));
    say(&b, STR("a\n"));
    fake_memory_charge(memory);
    fake_memory_fail(memory, 1, 1);
    turns(&b, 2);
    fake_memory_charge(NULL);
    assert_true(b.session.stream.wants_buffer);
    assert_int_equal(b.session.inputs, 0);
    stream_release(&b.session.stream);
    turns(&b, 3);
    assert_str(heard(&b, got, sizeof(got)), STR("held<a>"));
    bench_close(&b);
    fake_memory_close(memory);
}

static void output_without_memory_breaks_the_connection(void **state)
{
    (void)state;
    struct bench b;
    struct fake_memory *memory = fake_memory_open();
    static char large[STREAM_READ_SIZE];
    bench_open(&b, 1);
    b.session.leaves_at_end = false;
    fake_memory_charge(memory);
    fake_memory_fail(memory, 1, 1);
    stream_put(&b.session.stream, str_make(large, sizeof(large)));
    fake_memory_charge(NULL);
    assert_int_equal(b.session.stream.ended, STREAM_BROKEN);
    assert_int_equal(b.session.stream.unsent, 0);
    assert_true(TAILQ_EMPTY(&b.session.stream.out));
    turns(&b, 2);
    assert_int_equal(b.session.ends, 1);
    bench_close(&b);
    fake_memory_close(memory);
}

static void an_endless_line_stops_at_the_read_size(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    static char much[STREAM_READ_SIZE + 100];
    memset(much, 'x', sizeof(much));
    say(&b, str_make(much, sizeof(much)));
    turns(&b, 5);
    assert_int_equal(stream_pending(&b.session.stream).n, STREAM_READ_SIZE);
    int inputs = b.session.inputs;
    turns(&b, 5);
    assert_int_equal(b.session.inputs, inputs);
    stream_take(&b.session.stream, STREAM_READ_SIZE - 1);
    turns(&b, 5);
    assert_int_equal(stream_pending(&b.session.stream).n, 101);
    stream_take(&b.session.stream, 100);
    stream_read_more(&b.session.stream);
    assert_int_equal(stream_pending(&b.session.stream).n, 1);
    bench_close(&b);
}

static void read_more_gets_what_is_there(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    struct stream *s = &b.session.stream;
    stream_read_more(s);
    assert_null(s->in);
    stream_pause(s);
    say(&b, STR("abc"));
    stream_read_more(s);
    say(&b, STR("de"));
    shutdown(b.peer, SHUT_WR);
    stream_take(s, 1);
    stream_read_more(s);
    assert_str(stream_pending(s), STR("bcde"));
    assert_int_equal(s->ended, STREAM_OPEN); /* not before these were shown */
    b.session.leaves_at_end = false;
    stream_resume(s);
    turns(&b, 2);
    assert_int_equal(s->ended, STREAM_CLOSED_BY_PEER);
    assert_int_equal(b.session.inputs, 2);
    assert_int_equal(b.session.ends, 1);
    bench_close(&b);
}

/* Both ends count: byte n of either direction is n mod 251. */
struct counter {
    struct stream stream;
    uint64_t seed;
    size_t taken, put, ends;
    bool greedy;
};

static char byte_at(size_t n)
{
    return (char)(n % 251);
}

static size_t below(struct counter *c, size_t limit)
{
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(c->seed >> 33) % limit;
}

static void counter_input(struct stream *stream)
{
    struct counter *c = stream->arg;
    assert_false(stream->paused);
    struct str got = stream_pending(stream);
    for (size_t i = 0; i < got.n; i++)
        assert_int_equal(got.p[i], byte_at(c->taken + i));
    size_t n = c->greedy ? got.n : below(c, got.n + 1);
    c->taken += n;
    stream_take(stream, n);
    if (stream->ended != STREAM_OPEN)
        c->ends++;
    else if (below(c, 3) == 0)
        stream_pause(stream);
}

static void counter_step(struct counter *c)
{
    char bytes[5000];
    struct stream *stream = &c->stream;
    switch (below(c, 5)) {
    case 0:
        stream_resume(stream);
        break;
    case 1:
        stream_read_more(stream);
        break;
    case 2:
        if (stream_pending(stream).n > 0) {
            stream_take(stream, 1);
            c->taken++;
        }
        break;
    default:
        for (size_t i = 0, n = below(c, sizeof(bytes)); i < n; i++, c->put++) {
            bytes[i] = byte_at(c->put);
            if (i + 1 == n)
                stream_put(stream, str_make(bytes, n));
        }
    }
}

struct counting_peer {
    int handle;
    size_t sent, got;
};

static void peer_step(struct counting_peer *peer, struct counter *c)
{
    char bytes[20000];
    size_t n = below(c, sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(peer->sent + i);
    ssize_t sent = send(peer->handle, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    peer->sent += sent > 0 ? (size_t)sent : 0;
    ssize_t got = recv(peer->handle, bytes, below(c, sizeof(bytes)), MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i++)
        assert_int_equal(bytes[i], byte_at(peer->got++));
}

/* Pauses, partial takes, bursts and half-read output in any order: no byte lost, doubled or moved,
 * and the end told once, last. */
static void random_use_keeps_every_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bench b;
        bench_open(&b, 1 + seed % 2);
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        struct counter c = {.seed = seed};
        struct counting_peer peer = {.handle = pair[1]};
        assert_int_equal(stream_init(&c.stream, &b.loop, b.pool, pair[0], counter_input, &c), 0);
        for (int step = 0; step < 200; step++) {
            peer_step(&peer, &c);
            counter_step(&c);
            turns(&b, (int)below(&c, 3));
        }
        shutdown(peer.handle, SHUT_WR);
        c.greedy = true;
        for (int i = 0; i < TURNS_ENOUGH && c.ends == 0; i++) {
            stream_resume(&c.stream);
            turns(&b, 2);
        }
        assert_int_equal(c.taken, peer.sent);
        assert_int_equal(c.ends, 1);
        stream_finish(&c.stream);
        char bytes[20000];
        ssize_t got;
        do {
            turns(&b, 1);
            got = recv(peer.handle, bytes, sizeof(bytes), MSG_DONTWAIT);
            for (ssize_t i = 0; i < got; i++)
                assert_int_equal(bytes[i], byte_at(peer.got++));
        } while (got != 0);
        turns(&b, 2);
        assert_int_equal(peer.got, c.put);
        assert_int_equal(c.ends, 2);
        stream_done(&c.stream);
        close(peer.handle);
        bench_close(&b);
    }
}

/* Takes whole lines and says nothing: an answer would lie in the pool's buffers, too. */
static void quiet_input(struct stream *stream)
{
    struct session *s = stream->arg;
    ssize_t end;
    while ((end = str_index(stream_pending(stream), '\n')) >= 0) {
        stream_take(stream, (size_t)end + 1);
        s->lines++;
    }
}

/* A password, cut in two anywhere, is in no buffer once it was taken. */
static void secrets_stay_in_no_buffer(void **state)
{
    (void)state;
    struct str text = STR("user\npass open sesame\nlist\n"), secret = STR("sesame");
    for (size_t cut = 1; cut < text.n; cut++) {
        struct bench b;
        bench_open(&b, 2);
        stream_wipe_input(&b.session.stream);
        b.session.stream.input = quiet_input;
        say(&b, str_head(text, cut));
        turns(&b, 10);
        say(&b, str_from_index(text, cut));
        turns(&b, 10);
        assert_int_equal(b.session.lines, 3);
        char *buffers[2] = {stream_pool_take(b.pool), stream_pool_take(b.pool)};
        for (size_t i = 0; i < 2; i++) {
            assert_true(str_find(str_make(buffers[i], STREAM_READ_SIZE), secret) < 0);
            stream_pool_give(b.pool, buffers[i]);
        }
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_of_a_dialogue_gives_the_same),
        cmocka_unit_test(pipelined_lines_are_answered_in_one_turn),
        cmocka_unit_test(held_output_waits_for_its_release),
        cmocka_unit_test(an_idle_stream_owns_no_buffer),
        cmocka_unit_test(a_busy_stream_takes_no_memory),
        cmocka_unit_test(what_arrived_is_shown_before_the_end),
        cmocka_unit_test(a_reset_is_told_as_broken),
        cmocka_unit_test(a_write_error_is_told_as_broken),
        cmocka_unit_test(too_much_unread_output_cuts_the_connection),
        cmocka_unit_test(a_handler_that_drains_keeps_little_unsent),
        cmocka_unit_test(a_drain_ends_at_its_deadline),
        cmocka_unit_test(a_drain_ends_when_the_peer_goes),
        cmocka_unit_test(a_stream_may_be_freed_in_its_input),
        cmocka_unit_test(a_peer_that_never_ends_is_left_after_the_linger),
        cmocka_unit_test(streams_wait_for_the_last_buffer_in_turn),
        cmocka_unit_test(unread_output_leaves_the_buffers_of_input_alone),
        cmocka_unit_test(input_without_memory_waits_for_output_to_leave),
        cmocka_unit_test(output_without_memory_breaks_the_connection),
        cmocka_unit_test(an_endless_line_stops_at_the_read_size),
        cmocka_unit_test(read_more_gets_what_is_there),
        cmocka_unit_test(secrets_stay_in_no_buffer),
        cmocka_unit_test(random_use_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
