#include "base/siphash.h"

#include "base/test.h"

/* The vectors of the authors' reference: key 00 01 .. 0f, text 00 01 .. (n-1). */
static void the_authors_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)},
        {2, UINT64_C(0x0d6c8009d9a94f5a)}, {7, UINT64_C(0xab0200f58b01d137)},
        {8, UINT64_C(0x93f5f5799a932462)}, {15, UINT64_C(0xa129ca6149be45e5)},
    };
    unsigned char key[SIPHASH_KEY], text[64];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)i;
    memcpy(key, text, sizeof(key));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(siphash(key, str_make(text, rows[i].n)) == rows[i].hash);
}

static void another_key_is_another_hash(void **state)
{
    (void)state;
    unsigned char key[SIPHASH_KEY] = {0};
    uint64_t first = siphash(key, STR("192.0.2.1"));
    for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
        key[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_true(siphash(key, STR("192.0.2.1")) != first);
        key[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_true(siphash(key, str_null()) == siphash(key, STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_authors_vectors),
        cmocka_unit_test(another_key_is_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
