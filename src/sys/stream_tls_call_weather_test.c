/*
 * TLS as client on the network of the fake world: cut anywhere, failing anywhere, and falling
 * silent anywhere.
 */
#include "sys/fake/tls_chain.h"

#include <errno.h>
#include <time.h>

#include "sys/fake/call.h"

enum {
    LINES = 30,
};

#define HOST "mail.example.test"
#define LIMIT (60 * NS_PER_SECOND)

/* A server's role and a client's, and what the client came to. */
struct scene {
    struct fake_world *fake;
    int edge, courier;
    struct house house; /* the server's */
    struct session session;
    struct watch listener;
    bool accepted;
    struct fake_host host;
    struct loop loop; /* the client's */
    struct fiber_pool *fibers;
    struct stream_pool *pool;
    struct tls_client *client;
    struct fiber_start start;
    struct stream stream;
    int connected, secured, heard, lines;
    struct tls_verdict verdict;
    bool over;
};

static void accepts(struct watch *watch, unsigned ready)
{
    struct scene *scene = watch->arg;
    struct peer_address peer;
    (void)ready;
    int handle = scene->fake->world.ops->accept(&scene->fake->world, watch->handle, &peer);
    if (handle < 0)
        return;
    session_on(&scene->session, &scene->house, handle);
    scene->session.echoes = true;
    scene->accepted = true;
}

static void edge_open(struct scene *scene, const struct chain *chain)
{
    scene->edge = fake_role_open(scene->fake, "edge");
    fake_role_enter(scene->fake, scene->edge);
    house_open(&scene->house, &scene->fake->world);
    chain_show(chain, &scene->house);
    scene->house.turns_to_sign = 2;
    scene->listener = (struct watch){.handle = fake_listen(scene->fake, scene->edge, "smtp"),
                                     .want = READY_READ,
                                     .ready = accepts,
                                     .arg = scene};
    must(watch_begin(&scene->house.loop, &scene->listener) == 0);
    fake_role_enter(scene->fake, 0);
}

static void courier_open(struct scene *scene)
{
    scene->courier = fake_role_open(scene->fake, "courier");
    fake_role_enter(scene->fake, scene->courier);
    must(loop_init(&scene->loop, &scene->fake->world) == 0);
    scene->fibers = fiber_pool_open(&scene->loop, 4);
    scene->pool = stream_pool_open(&scene->loop, 4);
    scene->client = tls_client_new();
    must(scene->client && tls_client_authorities(scene->client, chain_authority()) == 1);
    fake_role_enter(scene->fake, 0);
}

static void scene_open(struct scene *scene, uint64_t seed, const struct fake_settings *settings)
{
    struct fake_settings now = *settings;
    struct chain chain;
    now.wall_start = (int64_t)time(NULL) * US_PER_SECOND;
    *scene = (struct scene){.fake = fake_world_open(seed, &now)};
    chain_make(&chain, &(struct chain_settings){.issuer = BY_INTERMEDIATE, .names = "DNS:" HOST});
    edge_open(scene, &chain);
    chain_done(&chain);
    courier_open(scene);
    scene->host = (struct fake_host){.address = "192.0.2.25", .listener = "smtp"};
    fake_host_add(scene->fake, &scene->host);
}

static void scene_close(struct scene *scene)
{
    fake_role_enter(scene->fake, scene->courier);
    if (scene->connected == 0)
        stream_done(&scene->stream);
    tls_client_release(scene->client);
    stream_pool_close(scene->pool);
    fiber_pool_close(scene->fibers);
    loop_done(&scene->loop);
    fake_role_enter(scene->fake, scene->edge);
    if (scene->accepted)
        session_close(&scene->session);
    watch_end(&scene->house.loop, &scene->listener);
    scene->fake->world.ops->close(&scene->fake->world, scene->listener.handle);
    for (int i = 0; i < 100 && fiber_pool_running(scene->house.fibers) > 0; i++)
        house_turns(&scene->house, 1);
    house_close(&scene->house);
    fake_role_enter(scene->fake, 0);
    assert_int_equal(fake_role_handles(scene->fake, scene->courier), 0);
    fake_world_close(scene->fake);
}

static void no_input(struct stream *stream)
{
    (void)stream;
    fail();
}

static void talks(struct scene *scene)
{
    struct stream *stream = &scene->stream;
    int64_t deadline = scene->loop.now + LIMIT;
    stream_put(stream, STR("the first line\r\n"));
    while (scene->lines < LINES && scene->heard == 0) {
        scene->heard = stream_await(stream, deadline);
        ssize_t at;
        while ((at = str_index(stream_pending(stream), '\n')) >= 0) {
            stream_take(stream, (size_t)at + 1);
            scene->lines++;
            stream_put(stream, STR("and one more line\r\n"));
        }
    }
}

static void courier(void *arg)
{
    static const struct destination_rules rules = {.own = NULL};
    static const struct connect_to to = {.address = STR_INIT("192.0.2.25"), .port = 25};
    static const struct tls_peer want = {
        .verify = TLS_VERIFY_PKIX, .name = STR_INIT(HOST), .destination = STR_INIT(HOST)};
    struct scene *scene = arg;
    struct peer_address ends;
    struct stream_call call = {.loop = &scene->loop,
                               .pool = scene->pool,
                               .to = &to,
                               .count = 1,
                               .rules = &rules,
                               .each = LIMIT,
                               .deadline = scene->loop.now + LIMIT};
    scene->connected = stream_connect(&scene->stream, &call, no_input, scene, &ends, NULL);
    if (scene->connected == 0) {
        scene->secured =
            stream_tls_connect(&scene->stream, scene->client, &want, scene->loop.now + LIMIT);
        stream_tls_verdict(&scene->stream, &scene->verdict);
        if (scene->secured == 0)
            talks(scene);
    }
    scene->over = true;
}

static void scene_begin(struct scene *scene)
{
    fake_role_enter(scene->fake, scene->courier);
    scene->start = (struct fiber_start){.run = courier, .arg = scene};
    fiber_run(scene->fibers, &scene->start);
    fake_role_enter(scene->fake, 0);
}

static void scene_run(struct scene *scene)
{
    scene_begin(scene);
    fake_run(scene->fake, world_mono(&scene->fake->world) + 1000 * NS_PER_SECOND);
    assert_true(scene->over);
}

static bool went_well(const struct scene *scene)
{
    return scene->connected == 0 && scene->secured == 0 && scene->lines == LINES;
}

/* A verdict of success is of a connection that is there, and no other. */
static void is_sound(const struct scene *scene)
{
    if (scene->connected < 0)
        return;
    bool good = scene->verdict.result == TLS_RESULT_OK;
    assert_int_equal(good, scene->secured == 0);
    assert_int_equal(scene->verdict.proof, good ? TLS_PROOF_PKIX : TLS_PROOF_NONE);
    assert_int_equal(scene->verdict.words.n > 0, !good);
}

static void a_network_that_cuts_everything_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct scene scene;
        struct fake_settings settings = {
            .split = FAKE_ALWAYS / 2, .delay_most = NS_PER_MS, .pipe_capacity = 100 + 400 * seed};
        scene_open(&scene, seed, &settings);
        scene_run(&scene);
        assert_true(went_well(&scene));
        is_sound(&scene);
        scene_close(&scene);
    }
}

/* One octet at a time, whoever sends. */
static void a_network_of_single_octets(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, 1, &(struct fake_settings){.pipe_capacity = 1});
    scene_run(&scene);
    assert_true(went_well(&scene));
    scene_close(&scene);
}

static void each_call_fails_once(void **state)
{
    (void)state;
    static const enum fake_call_kind kinds[] = {FAKE_RECV, FAKE_SEND, FAKE_CONNECTED,
                                                FAKE_WATCH_BEGIN};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        uint64_t fired = 1;
        for (uint64_t nth = 1; fired > 0; nth++) {
            struct scene scene;
            struct fake_fault fault = {.kind = kinds[k], .nth = nth, .error = -ECONNRESET};
            scene_open(&scene, 7, &(struct fake_settings){.split = 0});
            fault.role = scene.courier;
            fake_fault_add(scene.fake, &fault);
            scene_run(&scene);
            fired = fault.fired;
            assert_true(went_well(&scene) || fired > 0);
            is_sound(&scene);
            fake_fault_remove(scene.fake, &fault);
            scene_close(&scene);
        }
    }
}

/* The network goes down with the n-th step from here: an answer that never comes is waited for up
 * to the limit, and no longer. */
static void silence_at_each_step(void **state)
{
    (void)state;
    bool well = false;
    int late = 0;
    for (int steps = 1; !well; steps++) {
        struct scene scene;
        scene_open(&scene, 3, &(struct fake_settings){.split = 0});
        scene_begin(&scene);
        int64_t from = world_mono(&scene.fake->world);
        for (int i = 0; i < steps && !scene.over; i++)
            fake_step(scene.fake, from + LIMIT);
        fake_world_settings(scene.fake)->vanish = FAKE_ALWAYS;
        fake_run(scene.fake, from + 1000 * NS_PER_SECOND);
        assert_true(scene.over);
        is_sound(&scene);
        well = went_well(&scene);
        int result = scene.connected ? scene.connected
                     : scene.secured ? scene.secured
                                     : scene.heard;
        if (!well)
            assert_int_equal(result, -ETIMEDOUT);
        late += scene.secured == -ETIMEDOUT;
        scene_close(&scene);
    }
    assert_true(late > 5);
}

/* The server dies in the middle of it. */
static void an_end_at_each_step(void **state)
{
    (void)state;
    bool well = false;
    for (int steps = 1; !well; steps++) {
        struct scene scene;
        scene_open(&scene, 5, &(struct fake_settings){.split = 0});
        scene_begin(&scene);
        int64_t from = world_mono(&scene.fake->world);
        for (int i = 0; i < steps && !scene.over; i++)
            fake_step(scene.fake, from + LIMIT);
        if (scene.accepted && !scene.over) {
            fake_role_enter(scene.fake, scene.edge);
            stream_done(&scene.session.stream);
            scene.session.is_done = true;
            fake_role_enter(scene.fake, 0);
        }
        fake_run(scene.fake, from + 1000 * NS_PER_SECOND);
        assert_true(scene.over);
        is_sound(&scene);
        well = went_well(&scene);
        if (scene.session.is_done && scene.secured)
            assert_int_equal(scene.secured, -ECONNRESET);
        scene_close(&scene);
    }
}

/* The world's clock says whether a certificate has expired. */
static void certificates_expire_with_the_worlds_clock(void **state)
{
    (void)state;
    for (int days = 0; days < 80; days += 40) {
        struct scene scene;
        scene_open(&scene, 1, &(struct fake_settings){.split = 0});
        fake_wall_jump(scene.fake, days * INT64_C(86400) * US_PER_SECOND);
        scene_run(&scene);
        assert_int_equal(scene.verdict.result, days ? TLS_RESULT_CERTIFICATE_EXPIRED : 0);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_that_cuts_everything_up),
        cmocka_unit_test(a_network_of_single_octets),
        cmocka_unit_test(each_call_fails_once),
        cmocka_unit_test(silence_at_each_step),
        cmocka_unit_test(an_end_at_each_step),
        cmocka_unit_test(certificates_expire_with_the_worlds_clock),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
