/*
 * The fake world at work, and an example of a simulator: a server of two edges on struct stream and
 * fibers, clients that drip, a network that cuts everything up, edges that are killed in the middle
 * and started again, and an oracle outside: a line that was answered was answered right, and every
 * client either got all its answers or saw its connection break.
 */
#include "base/test.h"

#include "base/must.h"
#include "sys/fake/fake.h"
#include "sys/stream.h"

/* ---- The server: answers each line with "<line>" ---- */

enum {
    LINE_LIMIT = 200,
    EDGES = 2,
    FIBERS = 3 /* fewer than the sessions, so that some wait for one */
};

struct edge {
    struct loop loop;
    struct fiber_pool *fibers;
    struct stream_pool *buffers;
    struct watch listener;
    LIST_HEAD(, session) sessions;
};

struct session {
    LIST_ENTRY(session) link;
    struct edge *edge;
    struct stream stream;
    struct fiber_start start;
    char line[LINE_LIMIT];
    size_t line_n;
    bool busy;
};

static void session_close(struct session *s)
{
    LIST_REMOVE(s, link);
    stream_done(&s->stream);
    free(s);
}

static void answer(void *arg)
{
    struct session *s = arg;
    fiber_sleep_until(&s->edge->loop, s->edge->loop.now + NS_PER_MS);
    stream_put(&s->stream, STR("<"));
    stream_put(&s->stream, str_make(s->line, s->line_n));
    stream_put(&s->stream, STR(">\n"));
    stream_flush(&s->stream, INT64_MAX);
    s->busy = false;
    stream_resume(&s->stream);
}

static void session_input(struct stream *stream)
{
    struct session *s = stream->arg;
    struct str pending = stream_pending(stream);
    ssize_t end = str_index(pending, '\n');
    if (end >= 0 && end < LINE_LIMIT) {
        s->line_n = (size_t)end;
        if (s->line_n)
            memcpy(s->line, pending.p, s->line_n);
        stream_take(stream, s->line_n + 1);
        stream_pause(stream);
        s->busy = true;
        s->start = (struct fiber_start){.run = answer, .arg = s};
        fiber_run(s->edge->fibers, &s->start);
    } else if (stream->ended != STREAM_OPEN && !s->busy) {
        session_close(s);
    }
}

static void edge_accept(struct watch *watch, unsigned ready)
{
    (void)ready;
    struct edge *edge = watch->arg;
    struct world *world = edge->loop.world;
    struct peer_address peer;
    int handle = world->ops->accept(world, watch->handle, &peer);
    if (handle < 0)
        return;
    struct session *s = calloc(1, sizeof(*s));
    must(s);
    s->edge = edge;
    if (stream_init(&s->stream, &edge->loop, edge->buffers, handle, session_input, s) < 0) {
        world->ops->close(world, handle);
        free(s);
        return;
    }
    LIST_INSERT_HEAD(&edge->sessions, s, link);
}

static struct edge *edge_open(struct world *world, int listener)
{
    struct edge *edge = calloc(1, sizeof(*edge));
    must(edge && loop_init(&edge->loop, world) == 0);
    edge->fibers = fiber_pool_open(&edge->loop, FIBERS);
    edge->buffers = stream_pool_open(&edge->loop, FIBERS);
    must(edge->fibers && edge->buffers);
    LIST_INIT(&edge->sessions);
    edge->listener =
        (struct watch){.handle = listener, .want = READY_READ, .ready = edge_accept, .arg = edge};
    must(watch_begin(&edge->loop, &edge->listener) == 0);
    return edge;
}

/* With no handler running. */
static void edge_close(struct edge *edge)
{
    while (!LIST_EMPTY(&edge->sessions))
        session_close(LIST_FIRST(&edge->sessions));
    watch_end(&edge->loop, &edge->listener);
    edge->loop.world->ops->close(edge->loop.world, edge->listener.handle);
    stream_pool_close(edge->buffers);
    fiber_pool_close(edge->fibers);
    loop_done(&edge->loop);
    free(edge);
}

/* ---- The simulator ---- */

enum {
    TALKERS = 12,
    LINES = 25,
    REPLY_LIMIT = LINES * 32
};

struct simulation;

struct talker {
    struct simulation *simulation;
    struct fake_client *client; /* NULL: left */
    struct fake_event start;
    int id, asked;
    char heard[REPLY_LIMIT];
    size_t heard_n;
    bool broken;
};

struct simulation {
    struct fake_world *fake;
    struct fake_random random;
    int role[EDGES];
    struct edge *edge[EDGES];
    struct fake_event killing;
    int kills;
    int deaths; /* in the middle of a step */
    struct talker talkers[TALKERS];
};

static void edge_begin(struct simulation *sim, int i)
{
    sim->role[i] = fake_role_open(sim->fake, "edge");
    int listener = fake_listen(sim->fake, sim->role[i], "line");
    fake_role_enter(sim->fake, sim->role[i]);
    sim->edge[i] = edge_open(&sim->fake->world, listener);
    fake_role_enter(sim->fake, 0);
}

/* Between two steps, or in the middle of one, at any of its next calls. */
static void kill_one(struct fake_world *fake, struct fake_event *event)
{
    struct simulation *sim = event->arg;
    int i = (int)fake_random_below(&sim->random, EDGES);
    if (fake_random_below(&sim->random, 3) > 0) {
        fake_kill_role_at(fake, sim->role[i], 1 + fake_random_below(&sim->random, 20));
    } else {
        fake_kill_role(fake, sim->role[i]);
        edge_begin(sim, i);
    }
    if (--sim->kills > 0)
        fake_event_set(fake, event,
                       world_mono(&fake->world) +
                           (int64_t)fake_random_below(&sim->random, 40 * NS_PER_MS));
}

static void edge_died(struct fake_world *fake, int role, void *arg)
{
    (void)fake;
    struct simulation *sim = arg;
    sim->deaths++;
    for (int i = 0; i < EDGES; i++)
        if (sim->role[i] == role)
            edge_begin(sim, i);
}

static void talker_leave(struct talker *talker)
{
    fake_client_done(talker->client);
    talker->client = NULL;
}

/* The line that comes next, and what was heard so far, as the oracle expects it. */
static void expected(const struct talker *talker, int lines, bool reply, struct buf *to)
{
    for (int i = reply ? 0 : lines - 1; i < lines; i++)
        buf_printf(to, reply ? "<talker %d line %d>\n" : "talker %d line %d\n", talker->id, i);
}

static void talker_goes_on(struct fake_client *client, void *arg)
{
    struct talker *talker = arg;
    talker->heard_n += fake_client_recv(client, talker->heard + talker->heard_n,
                                        sizeof(talker->heard) - talker->heard_n);
    if (fake_client_state(client) != FAKE_CLIENT_OPEN) {
        talker->broken = true;
        talker_leave(talker);
        return;
    }
    struct buf all = BUF_INIT(REPLY_LIMIT), line = BUF_INIT(100);
    expected(talker, talker->asked, true, &all);
    assert_true(str_starts(buf_str(&all), str_make(talker->heard, talker->heard_n)));
    bool answered = talker->heard_n == all.n;
    buf_done(&all);
    if (answered && talker->asked == LINES) {
        talker_leave(talker);
    } else if (answered) {
        expected(talker, ++talker->asked, false, &line);
        assert_int_equal(fake_client_send(client, buf_str(&line)), line.n);
    }
    buf_done(&line);
}

static void talker_start(struct fake_world *fake, struct fake_event *event)
{
    struct talker *talker = event->arg;
    talker->client = fake_connect(fake, "line", &(struct peer_address){.text = "192.0.2.1"});
    must(talker->client);
    fake_client_watch(talker->client, talker_goes_on, talker);
    talker_goes_on(talker->client, talker);
}

static void simulation_prepare(struct simulation *sim, uint64_t seed, int kills)
{
    static const struct fake_settings rough = {
        .split = FAKE_ALWAYS / 2, .delay_most = 5 * NS_PER_MS, .pipe_capacity = 20};
    *sim = (struct simulation){.fake = fake_world_open(seed, &rough), .kills = kills};
    fake_world_random(sim->fake, "simulation", &sim->random);
    fake_role_watch(sim->fake, edge_died, sim);
    for (int i = 0; i < EDGES; i++)
        edge_begin(sim, i);
    int64_t now = world_mono(&sim->fake->world);
    for (int i = 0; i < TALKERS; i++) {
        sim->talkers[i] = (struct talker){.simulation = sim, .id = i};
        sim->talkers[i].start.run = talker_start;
        sim->talkers[i].start.arg = &sim->talkers[i];
        fake_event_set(sim->fake, &sim->talkers[i].start,
                       now + (int64_t)fake_random_below(&sim->random, 100 * NS_PER_MS));
    }
    sim->killing.run = kill_one;
    sim->killing.arg = sim;
    if (kills > 0)
        fake_event_set(sim->fake, &sim->killing, now + 50 * NS_PER_MS);
}

struct outcome {
    uint64_t hash;
    int broken; /* talkers whose connection broke */
    int deaths;
};

static struct outcome simulate(uint64_t seed, int kills)
{
    struct simulation *sim = malloc(sizeof(*sim));
    must(sim);
    simulation_prepare(sim, seed, kills);
    assert_int_equal(fake_run(sim->fake, INT64_MAX - 1), FAKE_IDLE);
    struct outcome outcome = {.deaths = sim->deaths};
    for (int i = 0; i < TALKERS; i++) {
        assert_null(sim->talkers[i].client); /* else somebody waits for ever */
        assert_true(sim->talkers[i].broken || sim->talkers[i].asked == LINES);
        outcome.broken += sim->talkers[i].broken;
    }
    for (int i = 0; i < EDGES; i++) {
        fake_kill_role_at(sim->fake, sim->role[i], 0);
        fake_role_enter(sim->fake, sim->role[i]);
        edge_close(sim->edge[i]);
        fake_role_enter(sim->fake, 0);
        assert_int_equal(fake_role_handles(sim->fake, sim->role[i]), 0);
        assert_int_equal(fake_memory_blocks(fake_role_memory(sim->fake, sim->role[i])), 0);
    }
    outcome.hash = sim->fake->hash;
    fake_world_close(sim->fake);
    free(sim);
    return outcome;
}

static void every_line_is_answered(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_int_equal(simulate(seed, 0).broken, 0);
}

static void killed_edges_break_connections_and_nothing_else(void **state)
{
    (void)state;
    enum {
        SEEDS = 50
    };
    int broken = 0, deaths = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct outcome outcome = simulate(seed, 5);
        broken += outcome.broken;
        deaths += outcome.deaths;
    }
    assert_true(broken > 0 && broken < SEEDS * TALKERS);
    assert_true(deaths > SEEDS);
}

static void a_seed_replays_its_run(void **state)
{
    (void)state;
    struct outcome first = simulate(42, 5), again = simulate(42, 5);
    assert_true(again.hash == first.hash);
    assert_int_equal(again.broken, first.broken);
    assert_true(simulate(43, 5).hash != first.hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_answered),
        cmocka_unit_test(killed_edges_break_connections_and_nothing_else),
        cmocka_unit_test(a_seed_replays_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
