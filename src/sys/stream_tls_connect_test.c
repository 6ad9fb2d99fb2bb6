/*
 * TLS as client: what is proved and what is not, with certificates and TLSA records of every kind.
 */
#include "sys/stream_tls_call_rig_test.h"

#include <openssl/err.h>

#define HOST "mail.example.test"

static struct house house;
static struct tls_client *client; /* knows the test's authority */

static int begin(void **state)
{
    (void)state;
    house_open(&house, world_real());
    house.turns_to_sign = 1;
    client = tls_client_new();
    must(client && tls_client_authorities(client, chain_authority()) == 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tls_client_release(client);
    house_close(&house);
    return 0;
}

static void shows(const struct chain_settings *settings)
{
    struct chain chain;
    chain_make(&chain, settings);
    chain_show(&chain, &house);
    chain_done(&chain);
}

static const struct chain_settings good = {
    .issuer = BY_AUTHORITY, .key = KEY_P256, .names = "DNS:" HOST};
static const struct tls_peer anybody = {.verify = TLS_VERIFY_NONE, .name = STR_INIT(HOST)};
static const struct tls_peer pkix = {.verify = TLS_VERIFY_PKIX, .name = STR_INIT(HOST)};

static void talks(struct call *call)
{
    struct stream *stream = &call->stream;
    stream_put(stream, STR("EHLO here\r\n"));
    while (stream_pending(stream).n < 11)
        assert_int_equal(stream_await(stream, INT64_MAX), 0);
    assert_str(stream_pending(stream), STR("EHLO here\r\n"));
    stream_take(stream, 11);
    assert_int_equal(stream_await(stream, stream->loop->now), -ETIMEDOUT);
}

static void what_is_said_in_tls_arrives(void **state)
{
    (void)state;
    struct call call;
    shows(&good);
    call_open(&call, &house, client, &pkix);
    call_serve(&call);
    call.then = talks;
    call_run(&call);
    assert_int_equal(call.result, 0);
    assert_str(call.facts.version, STR("TLSv1.3"));
    assert_true(call.facts.cipher.n > 0 && call.facts.bits >= 128);
    assert_true(call.facts.has_certificate && !call.facts.resumed);
    assert_int_equal(call.verdict.proof, TLS_PROOF_PKIX);
    assert_int_equal(call.verdict.result, TLS_RESULT_OK);
    assert_str(call.verdict.words, STR(""));
    assert_str(buf_str(&call.session.got), STR("EHLO here\r\n"));
    struct tls_facts facts;
    stream_tls_facts(&call.session.stream, &facts);
    assert_str(facts.name, STR(HOST));
    assert_int_equal(call.inputs, 0);
    call_close(&call);
}

static void hears_the_last_words(struct call *call)
{
    stream_put(&call->stream, STR("x"));
    assert_int_equal(stream_await(&call->stream, INT64_MAX), 0);
    stream_take(&call->stream, 1);
    stream_put(&call->session.stream, STR("421 bye\r\n"));
    stream_finish(&call->session.stream);
    assert_int_equal(stream_await(&call->stream, INT64_MAX), 0);
    assert_str(stream_pending(&call->stream), STR("421 bye\r\n"));
    assert_int_equal(stream_await(&call->stream, INT64_MAX), -EPIPE);
    assert_int_equal(call->stream.ended, STREAM_CLOSED_BY_PEER);
}

/* One segment has both. */
static void last_words_are_told_before_the_end(void **state)
{
    (void)state;
    struct call call;
    shows(&good);
    call_open(&call, &house, client, &pkix);
    call_serve(&call);
    call.then = hears_the_last_words;
    call_run(&call);
    assert_int_equal(call.result, 0);
    call_close(&call);
}

/* --- Authorities and names --- */

static const struct certificate_row {
    const char *what;
    struct chain_settings chain;
    enum tls_result result;
} certificates[] = {
    {"good", {.names = "DNS:" HOST}, TLS_RESULT_OK},
    {"good RSA", {.key = KEY_RSA, .names = "DNS:" HOST}, TLS_RESULT_OK},
    {"one of many names", {.names = "DNS:a.test,DNS:" HOST ",DNS:b.test"}, TLS_RESULT_OK},
    {"other case", {.names = "DNS:MAIL.Example.test"}, TLS_RESULT_OK},
    {"wildcard", {.names = "DNS:*.example.test"}, TLS_RESULT_OK},
    {"with an intermediate", {.issuer = BY_INTERMEDIATE, .names = "DNS:" HOST}, TLS_RESULT_OK},
    {"with all of its chain",
     {.issuer = BY_INTERMEDIATE, .names = "DNS:" HOST, .with_root = true},
     TLS_RESULT_OK},
    {"intermediate left out",
     {.issuer = BY_INTERMEDIATE, .names = "DNS:" HOST, .alone = true},
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {"other name", {.names = "DNS:other.example.test"}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"domain only", {.names = "DNS:example.test"}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"part of a name", {.names = "DNS:m*.example.test"}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"wildcard of two labels", {.names = "DNS:*.test"}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"name as common name only",
     {.common_name = HOST},
     TLS_RESULT_CERTIFICATE_HOST_MISMATCH}, /* RFC 8461 4.1 */
    {"no name at all", {.names = NULL}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"name with NUL", {.names = "DNS:" HOST "\\0.evil.test"}, TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
    {"expired", {.names = "DNS:" HOST, .from = -9, .until = -1}, TLS_RESULT_CERTIFICATE_EXPIRED},
    {"not yet valid", {.names = "DNS:" HOST, .from = 1, .until = 9}, TLS_RESULT_VALIDATION_FAILURE},
    {"signed by itself",
     {.issuer = BY_ITSELF, .names = "DNS:" HOST, .common_name = HOST},
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {"of an authority nobody knows",
     {.issuer = BY_STRANGER, .names = "DNS:" HOST},
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {"of an authority nobody knows, shown too",
     {.issuer = BY_STRANGER, .names = "DNS:" HOST, .with_root = true},
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
    {"for clients",
     {.names = "DNS:" HOST, .for_clients = true},
     TLS_RESULT_CERTIFICATE_NOT_TRUSTED},
};

enum {
    CERTIFICATES = sizeof(certificates) / sizeof(certificates[0])
};

static void only_certificates_that_are_vouched_for_prove_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < CERTIFICATES; i++) {
        const struct certificate_row *row = &certificates[i];
        struct call call;
        shows(&row->chain);
        call_make(&call, &house, client, &pkix);
        if (call.verdict.result != row->result || call.result != (row->result ? -EPROTO : 0))
            fail_msg("%s: %d, %s: %s", row->what, call.result,
                     tls_result_word(call.verdict.result).p, call.verdict.words.p);
        assert_int_equal(call.verdict.proof, row->result ? TLS_PROOF_NONE : TLS_PROOF_PKIX);
        assert_int_equal(call.verdict.words.n > 0, row->result != TLS_RESULT_OK);
        assert_int_equal(stream_tls_state(&call.session.stream),
                         row->result ? STREAM_TLS_FAILED : STREAM_TLS_ON);
        call_close(&call);
    }
}

/* Opportunistic: all of them will do, and the verdict says what PKIX would have said. */
static void anybodys_certificate_will_do_where_nothing_is_demanded(void **state)
{
    (void)state;
    for (size_t i = 0; i < CERTIFICATES; i++) {
        const struct certificate_row *row = &certificates[i];
        struct call call;
        shows(&row->chain);
        assert_int_equal(call_make(&call, &house, client, &anybody), 0);
        assert_int_equal(call.verdict.result, row->result);
        assert_int_equal(call.verdict.proof, row->result ? TLS_PROOF_NONE : TLS_PROOF_PKIX);
        call_close(&call);
    }
}

/* Without a name nothing is proved by a certificate, whoever vouches for it. */
static void without_a_name_nothing_is_proved(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT(""), STR_INIT(".example.test"), STR_INIT("a\0b")};
    struct call call;
    shows(&good);
    for (size_t i = 0; i < 3; i++) {
        struct tls_peer want = {.verify = TLS_VERIFY_NONE, .name = names[i]};
        assert_int_equal(call_make(&call, &house, client, &want), 0);
        assert_int_equal(call.verdict.proof, TLS_PROOF_NONE);
        assert_int_equal(call.verdict.result, TLS_RESULT_CERTIFICATE_HOST_MISMATCH);
        call_close(&call);
        want.verify = TLS_VERIFY_PKIX;
        assert_int_equal(call_make(&call, &house, client, &want), -EINVAL);
        call_close(&call);
        want.verify = TLS_VERIFY_DANE;
        assert_int_equal(call_make(&call, &house, client, &want), -EINVAL);
        call_close(&call);
    }
}

static void any_name_of_the_list_is_enough(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("a.test"), STR_INIT(HOST), STR_INIT("b.test")};
    struct tls_peer want = {
        .verify = TLS_VERIFY_PKIX, .name = STR("relay.test"), .names = names, .name_count = 3};
    struct call call;
    shows(&good);
    assert_int_equal(call_make(&call, &house, client, &want), 0);
    call_close(&call);
    want.names = &names[2];
    want.name_count = 1;
    assert_int_equal(call_make(&call, &house, client, &want), -EPROTO);
    assert_int_equal(call.verdict.result, TLS_RESULT_CERTIFICATE_HOST_MISMATCH);
    call_close(&call);
}

static void a_smart_host_may_be_an_address(void **state)
{
    (void)state;
    static const char *const names[] = {"IP:192.0.2.25", "IP:2001:db8::25", "DNS:192.0.2.25",
                                        "IP:192.0.2.26"};
    static const struct {
        struct str address;
        int fits;
    } rows[] = {{STR_INIT("192.0.2.25"), 0}, {STR_INIT("2001:db8::25"), 1}};
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < 4; i++) {
            struct chain_settings chain = good;
            struct tls_peer want = {.verify = TLS_VERIFY_PKIX, .name = rows[r].address};
            struct tls_facts facts;
            struct call call;
            chain.names = names[i];
            shows(&chain);
            call_make(&call, &house, client, &want);
            assert_int_equal(call.verdict.result, i == rows[r].fits
                                                      ? TLS_RESULT_OK
                                                      : TLS_RESULT_CERTIFICATE_HOST_MISMATCH);
            if (call.result == 0) {
                stream_tls_facts(&call.session.stream, &facts);
                assert_str(facts.name, STR("")); /* RFC 6066 3 */
            }
            call_close(&call);
        }
}

static void without_authorities_nobody_is_vouched_for(void **state)
{
    (void)state;
    struct tls_client *alone = tls_client_new();
    struct call call;
    shows(&good);
    assert_int_equal(tls_client_authorities(alone, STR("no certificate\n")), 0);
    assert_int_equal(call_make(&call, &house, alone, &pkix), -EPROTO);
    assert_int_equal(call.verdict.result, TLS_RESULT_CERTIFICATE_NOT_TRUSTED);
    assert_str(call.verdict.words, STR("no certificates of authorities are known here"));
    assert_str(stream_tls_failure(&call.stream), call.verdict.words);
    call_close(&call);
    assert_int_equal(call_make(&call, &house, alone, &anybody), 0);
    assert_int_equal(call.verdict.proof, TLS_PROOF_NONE);
    call_close(&call);
    tls_client_release(alone);
}

/* --- DANE --- */

enum {
    RECORD_ROOM = 4096
};

/* Which certificate of the chain a record speaks of; 3: none of it. */
static const struct dane_row {
    struct {
        int usage, selector, matching, of;
    } records[2];
    int count;
    enum tls_proof proof;
    enum tls_result result;
} dane_rows[] = {
    {{{3, 1, 1, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{3, 0, 1, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{3, 1, 2, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{3, 0, 2, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{3, 1, 0, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{3, 0, 0, 0}}, 1, TLS_PROOF_DANE_EE, 0},
    {{{2, 1, 1, 1}}, 1, TLS_PROOF_DANE_TA, 0},
    {{{2, 0, 1, 1}}, 1, TLS_PROOF_DANE_TA, 0},
    {{{2, 0, 2, 2}}, 1, TLS_PROOF_DANE_TA, 0},
    {{{2, 0, 0, 1}}, 1, TLS_PROOF_DANE_TA, 0},
    {{{2, 1, 0, 1}}, 1, TLS_PROOF_DANE_TA, 0},
    {{{3, 1, 1, 3}, {3, 1, 1, 0}}, 2, TLS_PROOF_DANE_EE, 0}, /* a roll-over */
    {{{3, 1, 1, 3}, {2, 1, 1, 1}}, 2, TLS_PROOF_DANE_TA, 0},
    {{{1, 1, 1, 3}, {3, 1, 1, 0}}, 2, TLS_PROOF_DANE_EE, 0},
    {{{3, 1, 1, 3}}, 1, 0, TLS_RESULT_VALIDATION_FAILURE},
    {{{3, 0, 1, 1}}, 1, 0, TLS_RESULT_VALIDATION_FAILURE}, /* 3 speaks of the leaf */
    {{{2, 1, 1, 3}}, 1, 0, TLS_RESULT_VALIDATION_FAILURE},
    {{{3, 1, 2, 3}, {3, 1, 1, 3}}, 2, 0, TLS_RESULT_VALIDATION_FAILURE},
    {{{0, 1, 1, 1}}, 1, 0, TLS_RESULT_TLSA_INVALID}, /* RFC 7672 3.1.3 */
    {{{1, 1, 1, 0}}, 1, 0, TLS_RESULT_TLSA_INVALID},
    {{{4, 1, 1, 0}}, 1, 0, TLS_RESULT_TLSA_INVALID},
    {{{3, 2, 1, 0}}, 1, 0, TLS_RESULT_TLSA_INVALID},
    {{{3, 1, 3, 0}}, 1, 0, TLS_RESULT_TLSA_INVALID},
    {{{0}}, 0, 0, TLS_RESULT_TLSA_INVALID},
    {{{1, 1, 1, 0}, {3, 1, 1, 3}}, 2, 0, TLS_RESULT_VALIDATION_FAILURE},
};

/* The chain that they speak of: a leaf, its intermediate and the root, all shown. */
static void dane_call(struct call *call, const struct dane_row *row,
                      const struct chain_settings *settings)
{
    static unsigned char octets[2][RECORD_ROOM];
    struct chain chain, other;
    struct tls_tlsa records[2];
    chain_make(&chain, settings);
    chain_make(&other, &(struct chain_settings){.issuer = BY_ITSELF, .key = KEY_RSA});
    for (int i = 0; i < row->count; i++) {
        X509 *of =
            row->records[i].of < 3 ? chain.certificates[row->records[i].of] : other.certificates[0];
        int matching = row->records[i].matching;
        records[i] = chain_record(of, row->records[i].usage, row->records[i].selector,
                                  matching > 2 ? 1 : matching, octets[i]);
        records[i].matching = (uint8_t)matching;
    }
    struct tls_peer want = {.verify = TLS_VERIFY_DANE,
                            .name = STR(HOST),
                            .tlsa = records,
                            .tlsa_count = (size_t)row->count};
    chain_show(&chain, &house);
    call_make(call, &house, client, &want);
    chain_done(&chain);
    chain_done(&other);
}

static void tlsa_records_decide(void **state)
{
    (void)state;
    struct chain_settings chain = {
        .issuer = BY_INTERMEDIATE, .key = KEY_P256, .names = "DNS:" HOST, .with_root = true};
    for (size_t i = 0; i < sizeof(dane_rows) / sizeof(dane_rows[0]); i++) {
        const struct dane_row *row = &dane_rows[i];
        struct call call;
        dane_call(&call, row, &chain);
        if (call.verdict.result != row->result || call.verdict.proof != row->proof ||
            call.result != (row->result ? -EPROTO : 0))
            fail_msg("row %zu: %d %d, %s: %s", i, call.result, (int)call.verdict.proof,
                     tls_result_word(call.verdict.result).p, call.verdict.words.p);
        if (row->proof) {
            int last = row->count - 1;
            assert_int_equal(call.verdict.usage, row->records[last].usage);
            assert_int_equal(call.verdict.selector, row->records[last].selector);
            assert_int_equal(call.verdict.matching, row->records[last].matching);
        }
        call_close(&call);
    }
}

/* RFC 7672 3.1.1: of usage 3 neither name nor time nor authority counts; of usage 2 all but the
 * authority (3.1.2). */
static void what_counts_beside_the_record(void **state)
{
    (void)state;
    static const struct {
        struct chain_settings chain;
        enum tls_result with_ee, with_ta;
    } rows[] = {
        {{.issuer = BY_STRANGER, .names = "DNS:" HOST, .with_root = true}, 0, 0},
        {{.issuer = BY_STRANGER, .common_name = HOST, .with_root = true}, 0, 0},
        {{.issuer = BY_STRANGER, .names = "DNS:other.test", .with_root = true},
         0,
         TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
        {{.issuer = BY_STRANGER, .names = NULL, .with_root = true},
         0,
         TLS_RESULT_CERTIFICATE_HOST_MISMATCH},
        {{.issuer = BY_STRANGER, .names = "DNS:" HOST, .from = -9, .until = -1},
         0,
         TLS_RESULT_CERTIFICATE_EXPIRED},
        {{.issuer = BY_STRANGER, .names = "DNS:" HOST, .alone = true},
         0,
         TLS_RESULT_VALIDATION_FAILURE},
    };
    static const struct dane_row ee = {.records = {{3, 1, 1, 0}}, .count = 1};
    static const struct dane_row ta = {.records = {{2, 0, 1, 1}}, .count = 1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct call call;
        dane_call(&call, &ee, &rows[i].chain);
        assert_int_equal(call.verdict.result, rows[i].with_ee);
        assert_int_equal(call.result, 0);
        call_close(&call);
        dane_call(&call, &ta, &rows[i].chain);
        assert_int_equal(call.verdict.result, rows[i].with_ta);
        assert_int_equal(call.result, rows[i].with_ta ? -EPROTO : 0);
        call_close(&call);
    }
}

/* An authority that everybody knows is nothing to who asked DNS. */
static void an_authority_does_not_replace_a_record(void **state)
{
    (void)state;
    static const struct dane_row none = {.records = {{3, 1, 1, 3}}, .count = 1};
    struct call call;
    dane_call(&call, &none, &good);
    assert_int_equal(call.result, -EPROTO);
    assert_int_equal(call.verdict.proof, TLS_PROOF_NONE);
    call_close(&call);
}

static void records_that_can_be_used(void **state)
{
    (void)state;
    char octets[65] = "x";
    for (int usage = 0; usage < 5; usage++)
        for (int selector = 0; selector < 4; selector++)
            for (int matching = 0; matching < 5; matching++)
                for (size_t n = 0; n <= 65; n++) {
                    struct tls_tlsa record = {(uint8_t)usage, (uint8_t)selector, (uint8_t)matching,
                                              str_make(octets, n)};
                    bool fits = matching == 0   ? n > 0
                                : matching == 1 ? n == 32
                                                : matching == 2 && n == 64;
                    assert_int_equal(tls_tlsa_is_usable(&record),
                                     (usage == 2 || usage == 3) && selector <= 1 && fits);
                }
}

/* --- Versions, our own certificate --- */

static void a_least_version_may_be_asked_for(void **state)
{
    (void)state;
    struct tls_peer want = pkix;
    struct call call;
    want.least = TLS_LEAST_1_3;
    shows(&good);
    assert_int_equal(call_make(&call, &house, client, &want), 0);
    assert_str(call.facts.version, STR("TLSv1.3"));
    call_close(&call);
}

static void a_certificate_of_ours_is_shown_where_one_is_asked_for(void **state)
{
    (void)state;
    struct tls_server_settings settings = house_settings(&house);
    struct chain chain, ours;
    chain_make(&chain, &good);
    chain_make(&ours, &(struct chain_settings){.key = KEY_RSA, .names = "DNS:client.test"});
    struct tls_identity identity = {
        .key = KEY_P256, .chain = chain.ders, .chain_count = chain.count};
    settings.client_certificates = true;
    assert_false(err_is(tls_server_new(&settings, &identity, 1, &house.server)));
    struct str certificate = chain_pem(ours.certificates[0]), key = chain_key_pem(KEY_RSA);
    struct str other = chain_key_pem(KEY_P256);
    struct tls_peer want = pkix;
    struct tls_facts facts;
    struct call call;
    assert_int_equal(call_make(&call, &house, client, &want), 0);
    stream_tls_facts(&call.session.stream, &facts);
    assert_false(facts.has_certificate);
    call_close(&call);
    want.certificate = certificate;
    want.key = key;
    assert_int_equal(call_make(&call, &house, client, &want), 0);
    stream_tls_facts(&call.session.stream, &facts);
    assert_true(facts.has_certificate);
    call_close(&call);
    const struct str wrong[] = {STR(""), STR("no key"), other, str_head(key, key.n / 2)};
    for (size_t i = 0; i < 4; i++) {
        want.key = wrong[i];
        assert_int_equal(call_make(&call, &house, client, &want), -EINVAL);
        assert_str(call.verdict.words, STR("our own certificate or its key cannot be read"));
        call_close(&call);
    }
    free((void *)(uintptr_t)certificate.p);
    free((void *)(uintptr_t)key.p);
    free((void *)(uintptr_t)other.p);
    chain_done(&chain);
    chain_done(&ours);
}

/* --- Resumption --- */

static void rests(struct call *call)
{
    for (int i = 0; i < 30; i++)
        assert_int_equal(stream_await(&call->stream, call->house->loop.now), -ETIMEDOUT);
}

/* One more connection, that also hears the server's ticket. */
static bool is_resumed(const struct tls_peer *want)
{
    struct call call;
    call_open(&call, &house, client, want);
    call_serve(&call);
    call.then = rests;
    call_run(&call);
    assert_int_equal(call.result, 0);
    assert_int_equal(call.verdict.proof,
                     want->verify == TLS_VERIFY_DANE ? TLS_PROOF_DANE_EE : TLS_PROOF_PKIX);
    assert_int_equal(call.verdict.usage, want->verify == TLS_VERIFY_DANE ? 3 : 0);
    bool resumed = call.facts.resumed;
    call_close(&call);
    return resumed;
}

static void sessions_are_resumed_by_who_asks_for_the_same(void **state)
{
    (void)state;
    struct tls_ticket_key ticket = {.name = "k"};
    unsigned char octets[2][RECORD_ROOM];
    struct chain chain;
    chain_make(&chain, &good);
    chain_show(&chain, &house);
    tls_server_tickets(house.server, &ticket, 1);
    struct tls_tlsa records[] = {chain_record(chain.certificates[0], 3, 1, 1, octets[0]),
                                 chain_record(chain.certificates[0], 3, 0, 1, octets[1])};
    static const struct str names[] = {STR_INIT(HOST), STR_INIT("b.test")};
    const struct tls_peer wants[] = {
        {.verify = TLS_VERIFY_NONE, .name = STR(HOST), .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_PKIX, .name = STR(HOST), .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_PKIX, .name = STR(HOST), .destination = STR("mail 26")},
        {.verify = TLS_VERIFY_PKIX,
         .name = STR(HOST),
         .names = names,
         .name_count = 1,
         .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_PKIX,
         .name = STR(HOST),
         .names = names,
         .name_count = 2,
         .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_PKIX,
         .least = TLS_LEAST_1_3,
         .name = STR(HOST),
         .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_DANE,
         .name = STR(HOST),
         .tlsa = records,
         .tlsa_count = 1,
         .destination = STR("mail 25")},
        {.verify = TLS_VERIFY_DANE,
         .name = STR(HOST),
         .tlsa = records + 1,
         .tlsa_count = 1,
         .destination = STR("mail 25")},
    };
    enum {
        WANTS = sizeof(wants) / sizeof(wants[0])
    };
    for (size_t i = 0; i < WANTS; i++)
        assert_false(is_resumed(&wants[i]));
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < WANTS; i++)
            assert_true(is_resumed(&wants[i]));
    struct tls_peer want = wants[1];
    want.destination = STR("");
    assert_false(is_resumed(&want));
    assert_false(is_resumed(&want));
    chain_done(&chain);
}

/* Which record fitted may differ by their order alone; the set is the same. */
static void the_order_of_records_does_not_matter(void **state)
{
    (void)state;
    struct tls_ticket_key ticket = {.name = "k"};
    unsigned char octets[2][RECORD_ROOM];
    struct chain chain;
    chain_make(&chain, &good);
    chain_show(&chain, &house);
    tls_server_tickets(house.server, &ticket, 1);
    struct tls_tlsa records[] = {chain_record(chain.certificates[0], 3, 1, 1, octets[0]),
                                 chain_record(chain.certificates[0], 3, 0, 1, octets[1])};
    struct tls_tlsa turned[] = {records[1], records[0]};
    struct tls_tlsa twice[] = {records[1], records[1], records[0], records[0]};
    struct tls_peer want = {.verify = TLS_VERIFY_DANE,
                            .name = STR(HOST),
                            .tlsa = records,
                            .tlsa_count = 2,
                            .destination = STR("mail 25")};
    assert_false(is_resumed(&want));
    want.tlsa = turned;
    assert_true(is_resumed(&want));
    want.tlsa = twice;
    want.tlsa_count = 4;
    assert_false(is_resumed(&want));
    chain_done(&chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_HOUSE(name) cmocka_unit_test_setup_teardown(name, begin, end)
        ON_HOUSE(what_is_said_in_tls_arrives),
        ON_HOUSE(last_words_are_told_before_the_end),
        ON_HOUSE(only_certificates_that_are_vouched_for_prove_it),
        ON_HOUSE(anybodys_certificate_will_do_where_nothing_is_demanded),
        ON_HOUSE(without_a_name_nothing_is_proved),
        ON_HOUSE(any_name_of_the_list_is_enough),
        ON_HOUSE(a_smart_host_may_be_an_address),
        ON_HOUSE(without_authorities_nobody_is_vouched_for),
        ON_HOUSE(tlsa_records_decide),
        ON_HOUSE(what_counts_beside_the_record),
        ON_HOUSE(an_authority_does_not_replace_a_record),
        ON_HOUSE(records_that_can_be_used),
        ON_HOUSE(a_least_version_may_be_asked_for),
        ON_HOUSE(a_certificate_of_ours_is_shown_where_one_is_asked_for),
        ON_HOUSE(sessions_are_resumed_by_who_asks_for_the_same),
        ON_HOUSE(the_order_of_records_does_not_matter),
    };
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
