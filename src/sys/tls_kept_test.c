#include "sys/tls_kept.h"

#include "base/test.h"

static struct tls_kept *kept;

static int begin(void **state)
{
    (void)state;
    kept = tls_kept_open();
    return kept ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    tls_kept_close(kept);
    return 0;
}

/* All of them in one list, which their first octet chooses. */
static struct tls_kept_key key_of(size_t n)
{
    struct tls_kept_key key = {.octets = {7}};
    memcpy(&key.octets[1], &n, sizeof(n));
    return key;
}

static void put(size_t n, int version, int64_t until)
{
    struct tls_kept_key key = key_of(n);
    struct tls_verdict verdict = {.proof = TLS_PROOF_DANE_EE, .usage = 3, .selector = n % 2};
    SSL_SESSION *session = SSL_SESSION_new();
    assert_true(session && SSL_SESSION_set_protocol_version(session, version) == 1);
    assert_true(tls_kept_put(kept, &key, session, &verdict, until));
    SSL_SESSION_free(session);
}

static bool takes(size_t n, int64_t now)
{
    struct tls_kept_key key = key_of(n);
    struct tls_verdict verdict = {.proof = TLS_PROOF_NONE};
    SSL_SESSION *session = tls_kept_take(kept, &key, now, &verdict);
    if (session)
        assert_true(verdict.proof == TLS_PROOF_DANE_EE && verdict.selector == n % 2);
    SSL_SESSION_free(session);
    return session;
}

static void a_session_of_1_3_is_used_once(void **state)
{
    (void)state;
    put(1, TLS1_3_VERSION, 100);
    put(2, TLS1_2_VERSION, 100);
    assert_false(takes(3, 0));
    assert_true(takes(1, 0));
    assert_false(takes(1, 0));
    for (int i = 0; i < 3; i++)
        assert_true(takes(2, 0));
}

static void a_session_has_its_time(void **state)
{
    (void)state;
    for (int64_t now = 99; now <= 101; now++) {
        put(1, TLS1_2_VERSION, 100);
        assert_int_equal(takes(1, now), now < 100);
    }
    put(1, TLS1_2_VERSION, 200);
    assert_true(takes(1, 150));
}

/* The one that was used last goes last. */
static void no_more_than_so_many_are_kept(void **state)
{
    (void)state;
    for (size_t n = 0; n < TLS_RESUMABLE; n++)
        put(n, TLS1_2_VERSION, 100);
    for (size_t n = 0; n < TLS_RESUMABLE; n += 2)
        assert_true(takes(n, 0));
    put(TLS_RESUMABLE - 1, TLS1_2_VERSION, 100); /* was there already */
    assert_true(takes(1, 0));
    put(TLS_RESUMABLE, TLS1_2_VERSION, 100);
    assert_true(takes(TLS_RESUMABLE, 0));
    assert_false(takes(3, 0));
    assert_true(takes(5, 0));
    assert_true(takes(0, 0));
    assert_true(takes(TLS_RESUMABLE - 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_KEPT(name) cmocka_unit_test_setup_teardown(name, begin, end)
        ON_KEPT(a_session_of_1_3_is_used_once),
        ON_KEPT(a_session_has_its_time),
        ON_KEPT(no_more_than_so_many_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
