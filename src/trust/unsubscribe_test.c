#include "base/test.h"

#include <string.h>

#include "trust/unsubscribe.h"

static const unsigned char key[UNSUBSCRIBE_KEY] = "a key of thirty-two octets, here";
static const unsigned char other[UNSUBSCRIBE_KEY] = "a key of thirty-two octets, else";

static struct arena arena;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct str token_of(const unsigned char *by, const char *list, const char *member)
{
    struct buf text = buf_in(&arena, UNSUBSCRIBE_TOKEN_MAX);
    assert_true(unsubscribe_print(by, str_from(list), str_from(member), &text));
    return buf_built(&text);
}

static bool says(struct str token, const char *list, const char *member)
{
    struct str list_said, member_said;
    if (!unsubscribe_read(key, token, &arena, &list_said, &member_said))
        return false;
    return str_eq(list_said, str_from(list)) && str_eq(member_said, str_from(member));
}

static bool is_ours(struct str token)
{
    struct str list, member;
    return unsubscribe_read(key, token, &arena, &list, &member);
}

#define LIST "news@example.test"
#define MEMBER "somebody.with.a.name@elsewhere.example.org"

static void it_is_read_back(void **state)
{
    (void)state;
    struct str token = token_of(key, LIST, MEMBER);
    assert_true(says(token, LIST, MEMBER));
    assert_true(says(token_of(key, LIST, "用户@xn--fsqu00a.test"), LIST, "用户@xn--fsqu00a.test"));
    assert_true(says(token_of(key, "", ""), "", ""));
    for (size_t i = 0; i < token.n; i++)
        assert_true((token.p[i] >= 'a' && token.p[i] <= 'z') ||
                    (token.p[i] >= '2' && token.p[i] <= '7'));
    assert_str(token_of(key, LIST, MEMBER), token);
    char upper[UNSUBSCRIBE_TOKEN_MAX];
    for (size_t i = 0; i < token.n; i++)
        upper[i] = (char)(token.p[i] >= 'a' ? token.p[i] - 32 : token.p[i]);
    assert_true(says(str_make(upper, token.n), LIST, MEMBER));
}

/* Two tokens that say nearly the same have nothing in common. */
static void nothing_is_seen_in_it(void **state)
{
    (void)state;
    struct str one = token_of(key, LIST, MEMBER), two = token_of(key, LIST, MEMBER "x");
    size_t same = 0;
    for (size_t i = 0; i < one.n; i++)
        same += one.p[i] == two.p[i];
    assert_true(same < one.n / 4);
}

static void each_character_counts(void **state)
{
    (void)state;
    struct str token = token_of(key, LIST, MEMBER);
    char copy[UNSUBSCRIBE_TOKEN_MAX];
    for (size_t i = 0; i < token.n; i++) {
        memcpy(copy, token.p, token.n);
        copy[i] = copy[i] == 'b' ? 'c' : 'b';
        assert_false(is_ours(str_make(copy, token.n)));
        assert_false(is_ours(str_head(token, i)));
    }
    memcpy(copy, token.p, token.n);
    for (const char *more = "a=-1 "; *more; more++) {
        copy[token.n] = *more;
        assert_false(is_ours(str_make(copy, token.n + 1)));
    }
}

/* The last character has bits to spare. */
static void it_is_written_in_one_way(void **state)
{
    (void)state;
    struct str token = token_of(key, LIST, MEMBER);
    char copy[UNSUBSCRIBE_TOKEN_MAX];
    memcpy(copy, token.p, token.n);
    copy[token.n - 1]++;
    assert_false(is_ours(str_make(copy, token.n)));
}

static void what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       "a",    "aaaaaaaaaaaaaaaaaaaaaaaaaa", "../../etc/passwd",
        "%2e%2e", "0000", "news@example.test"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(is_ours(str_from(texts[i])));
    assert_false(is_ours(token_of(other, LIST, MEMBER)));
    char large[2 * UNSUBSCRIBE_TOKEN_MAX];
    memset(large, 'a', sizeof(large));
    assert_false(is_ours(str_make(large, sizeof(large))));
    struct buf text = buf_in(&arena, UNSUBSCRIBE_TOKEN_MAX);
    struct str most = str_make(large, UNSUBSCRIBE_ADDRESS_MAX);
    assert_true(unsubscribe_print(key, most, most, &text));
    assert_true(text.n <= UNSUBSCRIBE_TOKEN_MAX);
    assert_false(unsubscribe_print(key, str_make(large, UNSUBSCRIBE_ADDRESS_MAX + 1), most, &text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_read_back, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(nothing_is_seen_in_it, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(each_character_counts, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(it_is_written_in_one_way, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(what_is_none, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
