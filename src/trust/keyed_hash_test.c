#include "trust/keyed_hash.h"

#include "base/test.h"

static void hash_is(struct str key, struct str text, bool lower, const char *expected)
{
    unsigned char octets[KEYED_HASH_KEY] = {0}, got[KEYED_HASH];
    char hex[2 * KEYED_HASH + 1];
    struct keyed_hash hash;
    memcpy(octets, key.p, key.n);
    keyed_hash_begin(&hash, octets);
    for (size_t i = 0; i < text.n; i += 7) {
        struct str piece = str_head(str_from_index(text, i), 7);
        if (lower)
            keyed_hash_feed_lower(&hash, piece);
        else
            keyed_hash_feed(&hash, piece);
    }
    keyed_hash_end(&hash, got);
    for (size_t i = 0; i < KEYED_HASH; i++)
        snprintf(hex + 2 * i, 3, "%02x", got[i]);
    assert_str(str_from(hex), str_from(expected));
}

/* RFC 4231 4.2, 4.3: shorter keys are padded with zeroes. */
static void test_examples_of_the_rfc(void **state)
{
    (void)state;
    hash_is(STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
            STR("Hi There"), false,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hash_is(STR("Jefe"), STR("what do ya want for nothing?"), false,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hash_is(STR("Jefe"), STR("What do YA want for nothing?"), true,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_lower_of_long_texts(void **state)
{
    unsigned char one[KEYED_HASH], other[KEYED_HASH];
    struct keyed_hash hash;
    char capitals[200], small[200];
    (void)state;
    memset(capitals, 'Q', sizeof(capitals));
    memset(small, 'q', sizeof(small));
    keyed_hash_begin(&hash, (const unsigned char *)small);
    keyed_hash_feed_lower(&hash, str_make(capitals, sizeof(capitals)));
    keyed_hash_end(&hash, one);
    keyed_hash_begin(&hash, (const unsigned char *)small);
    keyed_hash_feed(&hash, str_make(small, sizeof(small)));
    keyed_hash_end(&hash, other);
    assert_memory_equal(one, other, sizeof(one));
}

/* RFC 4648 10: BASE32("foobar") */
static void test_base32(void **state)
{
    struct buf text = BUF_INIT(64);
    (void)state;
    base32_print((const unsigned char *)"foobar", 6, 9, &text);
    assert_str(buf_str(&text), STR("mzxw6ytbo"));
    buf_clear(&text);
    base32_print((const unsigned char *)"fooba", 5, 8, &text);
    assert_str(buf_str(&text), STR("mzxw6ytb"));
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc),
        cmocka_unit_test(test_lower_of_long_texts),
        cmocka_unit_test(test_base32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
