/*
 * Streams in TLS on the network of the fake world: cut anywhere, and failing.
 */
#include "sys/fake/tls_fixture.h"

#include <errno.h>
#include <openssl/err.h>

#include "sys/fake/call.h"

enum {
    ROOM = 64 * 1024,
    LINES = 40,
};

static const struct client_settings any = {.version = 0};

struct fake_house {
    struct fake_world *fake;
    struct house house;
    int role;
    struct session session;
    struct watch listener;
    bool accepted;
};

static void fake_accept(struct watch *watch, unsigned ready)
{
    struct fake_house *f = watch->arg;
    struct peer_address peer;
    (void)ready;
    int handle = f->fake->world.ops->accept(&f->fake->world, watch->handle, &peer);
    if (handle < 0)
        return;
    session_on(&f->session, &f->house, handle);
    f->session.echoes = true;
    f->accepted = true;
}

static void fake_house_open(struct fake_house *f, uint64_t seed,
                            const struct fake_settings *settings)
{
    *f = (struct fake_house){.fake = fake_world_open(seed, settings)};
    f->role = fake_role_open(f->fake, "edge");
    fake_role_enter(f->fake, f->role);
    house_open(&f->house, &f->fake->world);
    house_shows_key(&f->house, KEY_P256);
    f->listener = (struct watch){.handle = fake_listen(f->fake, f->role, "pop3s"),
                                 .want = READY_READ,
                                 .ready = fake_accept,
                                 .arg = f};
    assert_int_equal(watch_begin(&f->house.loop, &f->listener), 0);
    f->house.turns_to_sign = 2;
    fake_role_enter(f->fake, 0);
}

static void fake_house_close(struct fake_house *f)
{
    fake_role_enter(f->fake, f->role);
    if (f->accepted)
        session_close(&f->session);
    watch_end(&f->house.loop, &f->listener);
    f->fake->world.ops->close(&f->fake->world, f->listener.handle);
    for (int i = 0; i < 100 && fiber_pool_running(f->house.fibers) > 0; i++)
        house_turns(&f->house, 1);
    house_close(&f->house);
    fake_role_enter(f->fake, 0);
    assert_int_equal(fake_role_handles(f->fake, f->role), 0);
    fake_world_close(f->fake);
}

/* What a client in the fake world does when something came. */
struct caller {
    struct client client;
    struct buf heard;
    int said;
    bool failed;
};

static void caller_goes_on(struct fake_client *client, void *arg)
{
    struct caller *c = arg;
    char got[1000];
    int n;
    (void)client;
    client_pump(&c->client);
    ERR_clear_error();
    int done = SSL_do_handshake(c->client.ssl);
    c->failed |= done != 1 && SSL_get_error(c->client.ssl, done) != SSL_ERROR_WANT_READ;
    while (done == 1 && c->said < LINES && SSL_write(c->client.ssl, "a line of it\r\n", 14) == 14)
        c->said++;
    ERR_clear_error();
    while (done == 1 && (n = SSL_read(c->client.ssl, got, sizeof(got))) > 0)
        buf_put(&c->heard, str_make(got, (size_t)n));
    client_pump(&c->client);
}

static void caller_open(struct caller *c, struct fake_house *f)
{
    *c = (struct caller){.heard = BUF_INIT(ROOM)};
    client_open(&c->client, &any, -1);
    c->client.fake = fake_connect(f->fake, "pop3s", &(struct peer_address){.text = "192.0.2.1"});
    assert_non_null(c->client.fake);
    fake_client_watch(c->client.fake, caller_goes_on, c);
    SSL_do_handshake(c->client.ssl);
    client_pump(&c->client);
}

static void caller_close(struct caller *c)
{
    buf_done(&c->heard);
    client_close(&c->client);
}

/* Every read, write and delivery cut anywhere. */
static void a_network_that_cuts_everything_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct fake_house f;
        struct caller c;
        struct fake_settings settings = {
            .split = 300000, .delay_most = NS_PER_MS, .pipe_capacity = 500 + 400 * seed};
        fake_house_open(&f, seed, &settings);
        caller_open(&c, &f);
        assert_int_equal(fake_run(f.fake, world_mono(&f.fake->world) + 100 * NS_PER_SECOND),
                         FAKE_IDLE);
        assert_false(c.failed);
        assert_int_equal(f.session.got.n, LINES * 14);
        assert_str(buf_str(&c.heard), buf_str(&f.session.got));
        caller_close(&c);
        fake_house_close(&f);
    }
}

/* Each call of the world that can fail does, once. What is told at last is an end or all octets;
 * nothing spins, nothing leaks (AddressSanitizer). */
static void each_call_fails_once(void **state)
{
    (void)state;
    static const enum fake_call_kind kinds[] = {FAKE_RECV, FAKE_SEND, FAKE_FINISH};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        uint64_t fired = 1;
        for (uint64_t nth = 1; fired > 0; nth++) {
            struct fake_house f;
            struct caller c;
            struct fake_settings settings = {.split = 200000};
            struct fake_fault fault = {.kind = kinds[k], .nth = nth, .error = -ECONNRESET};
            fake_house_open(&f, 7, &settings);
            fault.role = f.role;
            caller_open(&c, &f);
            fake_fault_add(f.fake, &fault);
            enum fake_end end = fake_run(f.fake, world_mono(&f.fake->world) + 100 * NS_PER_SECOND);
            assert_int_equal(end, FAKE_IDLE);
            fired = fault.fired;
            if (fired > 0)
                assert_true(f.session.ends == 1 || f.session.got.n == LINES * 14);
            else
                assert_int_equal(f.session.got.n, LINES * 14);
            fake_fault_remove(f.fake, &fault);
            caller_close(&c);
            fake_house_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_that_cuts_everything_up),
        cmocka_unit_test(each_call_fails_once),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
