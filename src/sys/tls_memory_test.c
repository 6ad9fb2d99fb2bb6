/*
 * What TLS takes from malloc, OpenSSL's own included: how much an idle session keeps, and that any
 * allocation may fail. A program of its own, since OpenSSL is told at the very start where its
 * memory comes from.
 */
#include "sys/fake/tls_fixture.h"

#include <malloc.h>
#include <openssl/err.h>
#include <unistd.h>

#include "sys/stream_pool.h"
#include "sys/tls_memory_rig_test.h"

enum {
    IDLE_MOST = 24 * 1024, /* octets an idle session may cost in all */
    MALLOC_HEAD = 16,      /* what libc adds to a block, about */
    SESSIONS = 10,
    SAID = 4096,
    HEARD = 2048,
    ERROR_TEXTS = 16, /* that OpenSSL keeps of its latest errors */
    FAIL_EACH = 60,   /* each of the first allocations, where our own calls are, */
    FAIL_STEP = 7,    /* and each 7th of the hundreds behind them */
};

static bool secret_was_freed;

static void library_free(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    if (at && str_find(str_make(at, malloc_usable_size(at)), STR("sesame")) >= 0)
        secret_was_freed = true;
    free(at);
}

/* One for all: what OpenSSL keeps for good may be taken in the middle of any test. */
static struct fake_memory *memory;

static void house_with_memory(struct house *house)
{
    house_open(house, world_real());
    house_shows_key(house, KEY_P256);
    struct tls_ticket_key key = {.name = "k"};
    tls_server_tickets(house->server, &key, 1);
    house->memory = memory;
}

static size_t cost(void)
{
    return fake_memory_bytes(memory) + MALLOC_HEAD * fake_memory_blocks(memory);
}

/* 4 KB came, 2 KB went. */
static void talk(struct pair *pair, struct house *house)
{
    static char octets[SAID], got[SAID];
    assert_true(client_says(&pair->client, house, str_make(octets, SAID)));
    stream_put(&pair->session.stream, str_make(octets, HEARD));
    assert_int_equal(client_hears(&pair->client, house, got, HEARD).n, HEARD);
    house_turns(house, 3);
    buf_done(&pair->session.got);
}

static void an_idle_session_is_small(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct house house;
        struct pair pair[SESSIONS];
        struct client_settings settings = {
            .version = versions[v], .name = "mail.example.test", .alpn = "pop3"};
        size_t first = 0;
        house_with_memory(&house);
        for (size_t i = 0; i < SESSIONS; i++) {
            assert_true(pair_open(&pair[i], &house, &settings));
            talk(&pair[i], &house);
            if (i == 0)
                first = cost();
        }
        size_t each = (cost() - first) / (SESSIONS - 1) + sizeof(struct stream);
        print_message("idle session of TLS 1.%zu: %zu octets\n", v + 2, each);
        assert_true(each > 0 && each <= IDLE_MOST);
        for (size_t i = 0; i < SESSIONS; i++)
            pair_close(&pair[i]);
        house_close(&house);
    }
}

/* A client that has not said anything yet. */
static void a_silent_client_is_smaller(void **state)
{
    (void)state;
    struct house house;
    struct session session;
    int peer;
    house_with_memory(&house);
    fake_memory_charge(memory);
    size_t before = cost();
    session_open(&session, &house, &peer);
    fake_memory_charge(NULL);
    house_turns(&house, 3);
    assert_true(cost() - before + sizeof(struct stream) < 1024);
    session_close(&session);
    close(peer);
    house_close(&house);
}

/* One session, from the first octet to the end. True: it was in TLS. */
static bool lives(struct house *house, const struct client_settings *settings)
{
    struct pair pair;
    bool shaken = pair_open(&pair, house, settings);
    bool on = shaken && stream_tls_state(&pair.session.stream) == STREAM_TLS_ON;
    if (on) {
        client_says(&pair.client, house, STR("hello"));
        stream_put(&pair.session.stream, STR("good day"));
        house_turns(house, 5);
    }
    stream_finish(&pair.session.stream);
    house_turns(house, 5);
    pair_close(&pair);
    return on;
}

/* Wherever memory is short in a session's life: it goes on or ends, and nothing is lost. */
static void each_allocation_fails_once(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        struct house house;
        struct client_settings settings = {.version = versions[v]};
        bool failed = true;
        int ended = 0;
        house_with_memory(&house);
        assert_true(lives(&house, &settings));
        size_t blocks = fake_memory_blocks(memory);
        for (uint64_t nth = 1; failed; nth += nth < FAIL_EACH ? 1 : FAIL_STEP) {
            uint64_t taken = fake_memory_taken(memory);
            fake_memory_fail(memory, nth, 1);
            bool on = lives(&house, &settings);
            failed = fake_memory_taken(memory) - taken >= nth;
            fake_memory_fail(memory, 0, 0);
            ended += !on;
            assert_true(on || failed);
        }
        assert_true(ended > 20);
        assert_true(fake_memory_blocks(memory) <= blocks + ERROR_TEXTS);
        house_close(&house);
    }
}

/* A password that came in TLS is left in no buffer, neither OpenSSL's nor ours. */
static void secrets_stay_in_no_buffer(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct house house;
        struct pair pair;
        int peer;
        house_with_memory(&house);
        session_open(&pair.session, &house, &peer);
        client_open(&pair.client, &(struct client_settings){.version = 0}, peer);
        if (!later)
            stream_wipe_input(&pair.session.stream);
        assert_true(client_shakes_hands(&pair.client, &house));
        if (later)
            stream_wipe_input(&pair.session.stream);
        SSL_write(pair.client.ssl, "pass open sesame\n", 17);
        client_pump(&pair.client);
        secret_was_freed = false;
        house_turns(&house, 5);
        assert_int_equal(pair.session.got.n, 17);
        buf_done(&pair.session.got);
        assert_false(secret_was_freed);
        for (int i = 0; i < 2; i++) {
            char *buffer = stream_pool_take(house.pool);
            assert_true(str_find(str_make(buffer, STREAM_READ_SIZE), STR("sesame")) < 0);
            stream_pool_give(house.pool, buffer);
        }
        pair_close(&pair);
        house_close(&house);
    }
}

int main(void)
{
    if (CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free) != 1)
        return 1;
    memory = fake_memory_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_is_small),
        cmocka_unit_test(a_silent_client_is_smaller),
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(secrets_stay_in_no_buffer),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
