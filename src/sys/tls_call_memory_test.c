/*
 * TLS as client where memory is short. The server's side is in tls_memory_test.c.
 */
#include <openssl/crypto.h>

#include "sys/stream_tls_call_rig_test.h"
#include "sys/tls_memory_rig_test.h"

enum {
    ERROR_TEXTS = 3 * 16, /* that OpenSSL keeps of its latest errors */
    FAIL_EACH = 60,       /* each of the first allocations, where our own calls are, */
    CALL_STEP = 199,      /* each 199th of the thousands behind them, of both sides, */
    CLIENT_STEP = 13,     /* and each 13th where a client is made */
};

static void library_free(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    free(at);
}

/* One for all: what OpenSSL keeps for good may be taken in the middle of any test. */
static struct fake_memory *memory;

static const struct tls_peer *wanted_by(enum tls_verify verify, struct tls_tlsa *record)
{
    static struct tls_peer want;
    want = (struct tls_peer){.verify = verify,
                             .name = STR("mail.example.test"),
                             .tlsa = record,
                             .tlsa_count = 1,
                             .destination = STR("mail 25")};
    return &want;
}

static void waits_for_a_ticket(struct call *call)
{
    for (int i = 0; i < 20; i++)
        stream_await(&call->stream, call->stream.loop->now);
}

static void call_once(struct call *call, struct house *house, struct tls_client *client,
                      const struct tls_peer *want)
{
    call_open(call, house, client, want);
    call_serve(call);
    call->then = waits_for_a_ticket;
    call_run(call);
}

/* What a call that had too little memory may have come to. */
static void is_sound(const struct call *call, enum tls_verify verify)
{
    static const enum tls_proof proofs[] = {TLS_PROOF_PKIX, TLS_PROOF_PKIX, TLS_PROOF_DANE_EE};
    const struct tls_verdict *verdict = &call->verdict;
    bool proved = verdict->proof == proofs[verify] && verdict->result == TLS_RESULT_OK;
    bool failed = verdict->proof == TLS_PROOF_NONE && verdict->result != TLS_RESULT_OK &&
                  verdict->words.n > 0;
    assert_true(proved || failed);
    if (call->result < 0)
        assert_true(failed);
    else if (verify != TLS_VERIFY_NONE)
        assert_true(proved);
}

/* As client: wherever memory is short, there is TLS with the proof that was asked for, or none and
 * a verdict that says so; nothing is lost. */
static void each_allocation_of_a_call_fails_once(void **state)
{
    (void)state;
    for (int verify = TLS_VERIFY_NONE; verify <= TLS_VERIFY_DANE; verify++) {
        struct house house;
        struct chain chain;
        struct call call;
        unsigned char octets[64];
        bool failed = true;
        int ended = 0;
        house_open(&house, world_real());
        house.memory = memory;
        chain_make(&chain, &(struct chain_settings){.issuer = BY_INTERMEDIATE,
                                                    .names = "DNS:mail.example.test"});
        chain_show(&chain, &house);
        struct tls_tlsa record = chain_record(chain.certificates[0], 3, 1, 1, octets);
        const struct tls_peer *want = wanted_by((enum tls_verify)verify, &record);
        struct tls_client *client = tls_client_new();
        assert_int_equal(tls_client_authorities(client, chain_authority()), 1);
        call_once(&call, &house, client, want);
        call_close(&call);
        size_t blocks = fake_memory_blocks(memory);
        for (uint64_t nth = 1; failed; nth += nth < FAIL_EACH ? 1 : CALL_STEP) {
            uint64_t taken = fake_memory_taken(memory);
            fake_memory_fail(memory, nth, 1);
            call_once(&call, &house, client, want);
            failed = fake_memory_taken(memory) - taken >= nth;
            fake_memory_fail(memory, 0, 0);
            ended += call.result < 0;
            assert_true(call.result == 0 || failed);
            is_sound(&call, (enum tls_verify)verify);
            call_close(&call);
        }
        assert_true(ended > 20);
        assert_true(fake_memory_blocks(memory) <= blocks + ERROR_TEXTS);
        tls_client_release(client);
        chain_done(&chain);
        house_close(&house);
    }
}

static void a_client_is_made_or_not(void **state)
{
    (void)state;
    bool failed = true;
    tls_client_release(tls_client_new()); /* what OpenSSL keeps for good */
    size_t blocks = fake_memory_blocks(memory);
    for (uint64_t nth = 1; failed; nth += nth < FAIL_EACH ? 1 : CLIENT_STEP) {
        uint64_t taken = fake_memory_taken(memory);
        struct fake_memory *before = fake_memory_charge(memory);
        fake_memory_fail(memory, nth, 1);
        struct tls_client *client = tls_client_new();
        if (client)
            assert_true(tls_client_authorities(client, chain_authority()) <= 1);
        tls_client_release(client);
        failed = fake_memory_taken(memory) - taken >= nth;
        fake_memory_fail(memory, 0, 0);
        fake_memory_charge(before);
        assert_true(client || failed);
    }
    assert_true(fake_memory_blocks(memory) <= blocks + ERROR_TEXTS);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free) != 1)
        return 1;
    memory = fake_memory_open();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_a_call_fails_once),
        cmocka_unit_test(a_client_is_made_or_not),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
