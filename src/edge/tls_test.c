/*
 * What core tells an edge of certificates, honest and broken, and the handshakes of clients with
 * it: a box edge in the fake world, and a core that holds the keys of the fixture. The number of a
 * key is its place there, and 100 more by each generation.
 */
#include "sys/fake/tls_fixture.h"

#include <openssl/err.h>

#include "edge/tls.h"

enum {
    SLABS = 4,
    CLIENTS = 4,
    GENERATION = 100,
};

struct core_end {
    struct link link;
    bool up, is_late; /* signs nothing until told */
    struct msg asked; /* the question that waits */
    struct arena arena;
    size_t signs;
    enum err_code refuses;
    uint32_t last_key;
};

struct caller {
    struct session session;
    struct client client;
    bool accepted, done, failed;
};

static struct {
    struct fake_world *fake;
    int edge_role, core_role;
    struct house house; /* of the edge's loop */
    struct loop core_loop;
    struct log log;
    struct arena arena;
    struct conf conf, with_client_certificates;
    struct edge edge;
    struct core_end core;
    struct watch listener;
    struct caller callers[CLIENTS];
    size_t caller_count, accepted_count;
} stage;

static void settle(void)
{
    (void)fake_run(stage.fake, world_mono(&stage.fake->world));
}

static void nothing(struct timer *timer)
{
    (void)timer;
}

/* Time stands still where nothing is to happen. */
static void pass(int64_t ns)
{
    int64_t until = world_mono(&stage.fake->world) + ns;
    struct timer timer = {.run = nothing};
    timer_set(&stage.house.loop, &timer, until);
    (void)fake_run(stage.fake, until);
    timer_clear(&stage.house.loop, &timer);
}

/* --- The core that signs --------------------------------------------------------------------- */

static void sign(const struct msg_sign *asked)
{
    unsigned char octets[98 + 48], signature[TLS_SIGNATURE_MAX];
    size_t length = sizeof(signature);
    struct msg msg = {.kind = MSG_signature};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    memset(octets, ' ', 64);
    memcpy(octets + 64, "TLS 1.3, server CertificateVerify", 34);
    assert_true(asked->randoms.n == 0 && asked->what.n <= 48);
    memcpy(octets + 98, asked->what.p, asked->what.n);
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL,
                                        fixture_key((int)(asked->key % GENERATION))),
                     1);
    assert_int_equal(EVP_DigestSign(context, signature, &length, octets, 98 + asked->what.n), 1);
    EVP_MD_CTX_free(context);
    msg.signature.error = (uint16_t)stage.core.refuses;
    if (stage.core.refuses == ERR_NONE)
        msg.signature.octets = str_make(signature, length);
    msg_set_call(&msg, asked->call);
    assert_false(err_is(link_send(&stage.core.link, &msg)));
}

static void core_got(struct link *link, const struct msg *msg, int passed)
{
    struct world *world = &stage.fake->world;
    (void)link;
    assert_true(passed < 0);
    if (msg->kind == MSG_hello) {
        int pool = world->ops->shm_create(world, (size_t)SLABS * SLAB_SIZE);
        struct msg welcome = {.kind = MSG_welcome, .welcome = {.slabs = SLABS}};
        assert_false(err_is(link_send_handle(&stage.core.link, &welcome, pool)));
        world->ops->close(world, pool);
    } else if (msg->kind == MSG_sign) {
        stage.core.signs++;
        stage.core.last_key = msg->sign.key;
        if (!stage.core.is_late)
            sign(&msg->sign);
        else
            assert_false(err_is(msg_copy(msg, &stage.core.arena, &stage.core.asked)));
    }
}

static void core_ended(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
    stage.core.up = false;
}

static void core_start(void)
{
    static const struct link_owner owner = {.got = core_got, .ended = core_ended};
    int pair[2];
    fake_packet_pair(stage.fake, stage.core_role, stage.edge_role, pair);
    fake_role_enter(stage.fake, stage.core_role);
    assert_int_equal(link_init(&stage.core.link, &stage.core_loop, pair[0], ROLE_CORE, ROLE_BOX,
                               &owner, &stage.core),
                     0);
    stage.core.up = true;
    fake_role_enter(stage.fake, stage.edge_role);
    assert_false(err_is(edge_core_attach(&stage.edge, pair[1])));
    fake_role_enter(stage.fake, 0);
    settle();
}

static void core_die(void)
{
    fake_role_enter(stage.fake, stage.core_role);
    if (stage.core.up)
        link_done(&stage.core.link);
    stage.core.up = false;
    fake_role_enter(stage.fake, 0);
    settle();
}

static void core_say(const struct msg *msg)
{
    fake_role_enter(stage.fake, stage.core_role);
    assert_false(err_is(link_send(&stage.core.link, msg)));
    fake_role_enter(stage.fake, 0);
}

static void identity_say(int key, uint32_t generation)
{
    struct msg_chain_link chain = {.der = fixture_certificate(key, EVP_sha256())};
    struct msg_text_line name = {.text = STR("mail.example.test")};
    core_say(&(struct msg){.kind = MSG_identity,
                           .identity = {.key = (uint32_t)key + generation * GENERATION,
                                        .standard = 1,
                                        .names = &name,
                                        .names_count = 1,
                                        .chain = &chain,
                                        .chain_count = 1}});
}

static void end_say(uint32_t count)
{
    core_say(&(struct msg){.kind = MSG_identities, .identities = {.count = count}});
    settle();
}

static void show(int key, uint32_t generation)
{
    identity_say(key, generation);
    end_say(1);
}

static void core_sign_late(void)
{
    fake_role_enter(stage.fake, stage.core_role);
    stage.core.is_late = false;
    assert_int_equal(stage.core.asked.kind, MSG_sign);
    sign(&stage.core.asked.sign);
    fake_role_enter(stage.fake, 0);
    settle();
}

/* --- Clients --------------------------------------------------------------------------------- */

static void accept_one(struct watch *watch, unsigned ready)
{
    struct peer_address peer;
    struct caller *caller = &stage.callers[stage.accepted_count];
    (void)ready;
    int handle = stage.fake->world.ops->accept(&stage.fake->world, watch->handle, &peer);
    if (handle < 0)
        return;
    stage.accepted_count++;
    stage.house.server = edge_tls(&stage.edge, LISTEN_POP3S);
    assert_non_null(stage.house.server);
    session_on(&caller->session, &stage.house, handle);
    caller->accepted = true;
}

static void caller_goes_on(struct fake_client *client, void *arg)
{
    struct caller *caller = arg;
    (void)client;
    client_pump(&caller->client);
    ERR_clear_error();
    int done = SSL_do_handshake(caller->client.ssl);
    caller->done |= done == 1;
    caller->failed |= done != 1 && SSL_get_error(caller->client.ssl, done) != SSL_ERROR_WANT_READ;
    ERR_clear_error();
    client_pump(&caller->client);
}

/* It is connected, and has said nothing. */
static struct caller *caller_begin(void)
{
    static const struct client_settings settings = {.signatures = "ECDSA+SHA256",
                                                    .version = TLS1_3_VERSION};
    assert_true(stage.caller_count < CLIENTS);
    struct caller *caller = &stage.callers[stage.caller_count++];
    client_open(&caller->client, &settings, -1);
    caller->client.fake =
        fake_connect(stage.fake, "pop3s", &(struct peer_address){.text = "192.0.2.1"});
    fake_client_watch(caller->client.fake, caller_goes_on, caller);
    settle();
    return caller;
}

static void caller_hello(struct caller *caller)
{
    SSL_do_handshake(caller->client.ssl);
    client_pump(&caller->client);
    settle();
}

/* Its hello is served as far as it goes at once. */
static struct caller *caller_open(void)
{
    struct caller *caller = caller_begin();
    caller_hello(caller);
    return caller;
}

static bool is_in(struct caller *caller)
{
    return caller->done && stream_tls_state(&caller->session.stream) == STREAM_TLS_ON;
}

static bool is_out(struct caller *caller)
{
    return stream_tls_state(&caller->session.stream) == STREAM_TLS_FAILED;
}

/* --- The stage ------------------------------------------------------------------------------- */

static struct conf conf_of(const char *text)
{
    struct conf conf;
    struct conf_trouble trouble;
    assert_false(
        err_is(conf_parse(str_from(text), STR("stage"), STR("/"), &stage.arena, &conf, &trouble)));
    buf_done(&trouble.text);
    return conf;
}

static int up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof(stage));
    arena_init(&stage.arena, 16 << 20);
    arena_init(&stage.core.arena, 1 << 20);
    stage.conf = conf_of("hostname = a.example\n");
    stage.with_client_certificates =
        conf_of("hostname = a.example\ntls { client_certificates = yes }\n");
    stage.fake = fake_world_open(1, NULL);
    stage.edge_role = fake_role_open(stage.fake, "edge");
    stage.core_role = fake_role_open(stage.fake, "core");
    fake_role_enter(stage.fake, stage.core_role);
    assert_int_equal(loop_init(&stage.core_loop, &stage.fake->world), 0);
    fake_role_enter(stage.fake, stage.edge_role);
    house_open(&stage.house, &stage.fake->world);
    log_init(&stage.log, &stage.fake->world, "box");
    assert_false(err_is(edge_open(&stage.edge, &stage.house.loop, stage.house.fibers, &stage.log,
                                  ROLE_BOX, 1, &stage.conf)));
    stage.listener = (struct watch){.handle = fake_listen(stage.fake, stage.edge_role, "pop3s"),
                                    .want = READY_READ,
                                    .ready = accept_one};
    assert_int_equal(watch_begin(&stage.house.loop, &stage.listener), 0);
    fake_role_enter(stage.fake, 0);
    core_start();
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_die();
    pass(EDGE_CORE_WAIT);
    fake_role_enter(stage.fake, stage.edge_role);
    for (size_t i = 0; i < stage.caller_count; i++) {
        if (stage.callers[i].accepted)
            session_close(&stage.callers[i].session);
        client_close(&stage.callers[i].client);
    }
    assert_int_equal(fiber_pool_running(stage.house.fibers), 0);
    watch_end(&stage.house.loop, &stage.listener);
    stage.fake->world.ops->close(&stage.fake->world, stage.listener.handle);
    stage.house.server = NULL;
    edge_close(&stage.edge);
    house_close(&stage.house);
    fake_role_enter(stage.fake, stage.core_role);
    loop_done(&stage.core_loop);
    fake_role_enter(stage.fake, 0);
    fake_world_close(stage.fake);
    arena_done(&stage.core.arena);
    arena_done(&stage.arena);
    return 0;
}

/* --- What is told ---------------------------------------------------------------------------- */

static void a_set_is_shown_where_it_belongs(void **state)
{
    (void)state;
    assert_null(edge_tls(&stage.edge, LISTEN_POP3));
    identity_say(KEY_P256, 0);
    settle();
    assert_null(edge_tls(&stage.edge, LISTEN_POP3)); /* it is not whole */
    end_say(1);
    assert_non_null(edge_tls(&stage.edge, LISTEN_POP3));
    assert_ptr_equal(edge_tls(&stage.edge, LISTEN_POP3), edge_tls(&stage.edge, LISTEN_POP3S));
    assert_null(edge_tls(&stage.edge, LISTEN_SMTP)); /* of other edges */
    assert_null(edge_tls(&stage.edge, LISTEN_SUBMISSIONS));
    assert_null(edge_tls(&stage.edge, LISTEN_LMTP));
    struct tls_server *server = edge_tls(&stage.edge, LISTEN_POP3);
    end_say(2); /* of which none came */
    assert_ptr_equal(edge_tls(&stage.edge, LISTEN_POP3), server);
    assert_true(str_find(fake_log(stage.fake), STR(" certificates_not_shown ")) > 0);
    end_say(0);
    assert_null(edge_tls(&stage.edge, LISTEN_POP3));
}

static void a_chain_that_is_none_changes_nothing(void **state)
{
    (void)state;
    show(KEY_P256, 0);
    struct tls_server *server = edge_tls(&stage.edge, LISTEN_POP3);
    struct msg_chain_link chain = {.der = STR("no certificate")};
    core_say(&(struct msg){.kind = MSG_identity, .identity = {.chain = &chain, .chain_count = 1}});
    end_say(1);
    assert_ptr_equal(edge_tls(&stage.edge, LISTEN_POP3), server);
    assert_true(str_find(fake_log(stage.fake), STR(" certificates_not_shown ")) > 0);
}

static void a_setting_makes_the_server_anew(void **state)
{
    (void)state;
    show(KEY_P256, 0);
    struct tls_server *server = edge_tls(&stage.edge, LISTEN_POP3);
    edge_configure(&stage.edge, &stage.conf);
    assert_ptr_equal(edge_tls(&stage.edge, LISTEN_POP3), server);
    struct caller *caller = caller_open(); /* holds the one of before */
    edge_configure(&stage.edge, &stage.with_client_certificates);
    assert_ptr_not_equal(edge_tls(&stage.edge, LISTEN_POP3), server);
    assert_true(is_in(caller));
    assert_true(is_in(caller_open()));
}

static void ticket_keys_of_another_length_are_not_taken(void **state)
{
    (void)state;
    char octets[TLS_TICKET_KEY] = {0};
    struct msg_ticket_key key = {.name = str_make(octets, TLS_TICKET_NAME),
                                 .aes = str_make(octets, TLS_TICKET_KEY),
                                 .mac = str_make(octets, TLS_TICKET_KEY)};
    struct msg msg = {.kind = MSG_ticket_keys, .ticket_keys = {.keys = &key, .keys_count = 1}};
    show(KEY_P256, 0);
    struct caller *without = caller_open();
    assert_int_equal(without->client.tickets, 0);
    key.mac.n--;
    core_say(&msg);
    settle();
    key.mac.n++;
    core_say(&msg);
    settle();
    struct caller *caller = caller_open();
    char got[10];
    (void)SSL_read(caller->client.ssl, got, sizeof(got)); /* tickets come behind the handshake */
    assert_true(caller->client.tickets > 0);
}

/* --- Signatures ------------------------------------------------------------------------------ */

static void core_signs(void **state)
{
    (void)state;
    show(KEY_P256, 3);
    assert_true(is_in(caller_open()));
    assert_int_equal(stage.core.signs, 1);
    assert_int_equal(stage.core.last_key, KEY_P256 + 3 * GENERATION);
    stage.core.refuses = ERR_TRY_LATER;
    assert_true(is_out(caller_open()));
    assert_int_equal(stage.core.signs, 2);
}

static void a_new_set_ends_no_handshake(void **state)
{
    (void)state;
    show(KEY_P256, 1);
    stage.core.is_late = true;
    struct caller *under_way = caller_open(); /* has asked already */
    show(KEY_P256_OTHER, 2);
    core_sign_late();
    assert_true(is_in(under_way));
    assert_int_equal(stage.core.last_key, KEY_P256 + 1 * GENERATION);
    assert_true(is_in(caller_open()));
    assert_int_equal(stage.core.last_key, KEY_P256_OTHER + 2 * GENERATION);
}

/* A key that core does not know any more would cost the link, and all sessions with it. */
static void a_key_of_the_set_before_is_named_for_a_while(void **state)
{
    (void)state;
    static const int64_t later[] = {0, 29 * NS_PER_SECOND, 31 * NS_PER_SECOND};
    for (uint32_t i = 0; i < 3; i++) {
        show(KEY_P256, 2 * i);
        struct caller *caller = caller_begin();
        show(KEY_P256_OTHER, 2 * i + 1);
        size_t signs = stage.core.signs;
        pass(later[i]);
        caller_hello(caller);
        assert_true(i < 2 ? is_in(caller) : is_out(caller));
        assert_int_equal(stage.core.signs, signs + (i < 2));
        assert_true(i == 2 || stage.core.last_key == KEY_P256 + 2 * i * GENERATION);
    }
}

/* --- Core goes and comes --------------------------------------------------------------------- */

static void a_handshake_waits_for_the_next_core(void **state)
{
    (void)state;
    show(KEY_P256, 1);
    core_die();
    assert_non_null(edge_tls(&stage.edge, LISTEN_POP3S)); /* who resumes needs no core */
    struct caller *caller = caller_open();
    pass(EDGE_CORE_WAIT / 2);
    assert_false(is_in(caller) || is_out(caller));
    core_start();
    assert_int_equal(stage.core.signs, 0); /* it has not told what it knows */
    show(KEY_P256, 1);
    assert_true(is_in(caller));
    assert_int_equal(stage.core.signs, 1);
}

static void the_next_core_may_know_other_keys(void **state)
{
    (void)state;
    show(KEY_P256, 1);
    core_die();
    struct caller *caller = caller_open();
    core_start();
    show(KEY_P256_OTHER, 2);
    assert_true(is_out(caller));
    assert_int_equal(stage.core.signs, 0);
    assert_true(stage.core.up);
    assert_true(is_in(caller_open()));
}

static void without_core_a_handshake_fails_in_time(void **state)
{
    (void)state;
    show(KEY_P256, 1);
    core_die();
    struct caller *caller = caller_open();
    pass(EDGE_CORE_WAIT - NS_PER_MS);
    assert_false(is_in(caller) || is_out(caller));
    pass(NS_PER_MS);
    assert_true(is_out(caller));
    /* One that is there and tells nothing. */
    caller = caller_open();
    core_start();
    pass(EDGE_CORE_WAIT);
    assert_true(is_out(caller));
    assert_int_equal(stage.core.signs, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_set_is_shown_where_it_belongs),
        TEST(a_chain_that_is_none_changes_nothing),
        TEST(a_setting_makes_the_server_anew),
        TEST(ticket_keys_of_another_length_are_not_taken),
        TEST(core_signs),
        TEST(a_new_set_ends_no_handshake),
        TEST(a_key_of_the_set_before_is_named_for_a_while),
        TEST(a_handshake_waits_for_the_next_core),
        TEST(the_next_core_may_know_other_keys),
        TEST(without_core_a_handshake_fails_in_time),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
