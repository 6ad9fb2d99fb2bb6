#include "base/spares.h"
#include "base/test.h"

#include <errno.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crc.h"
#include "base/err.h"
#include "base/sha256.h"
#include "base/wire.h"

static void str_cut_splits_and_ends_with_null(void **state)
{
    (void)state;
    struct str rest = STR("a,b,");
    assert_str(str_cut(&rest, ','), STR("a"));
    assert_str(str_cut(&rest, ','), STR("b"));
    assert_non_null(rest.p);
    assert_str(str_cut(&rest, ','), STR(""));
    assert_null(rest.p);
}

/* At every place of every text around the length of a block, and never beyond its end. */
static void str_to_cstring_ends_with_nul(void **state)
{
    (void)state;
    char *copy = str_to_cstring(str_head(STR("octets"), 3)), *empty = str_to_cstring(str_null());
    assert_string_equal(copy, "oct");
    assert_string_equal(empty, "");
    free(copy);
    free(empty);
}

static void str_find_finds_the_first_pair(void **state)
{
    (void)state;
    char text[200];
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        memset(text, '\n', sizeof(text));
        text[n] = '.'; /* behind the end */
        assert_int_equal(str_find(str_make(text, n), STR("\n.")), -1);
        for (size_t at = 0; at + 1 < n; at++) {
            memset(text, at % 2 ? '.' : '\n', n);
            text[at] = '\n';
            text[at + 1] = '.';
            const char *first = memmem(text, n, "\n.", 2);
            assert_int_equal(str_find(str_make(text, n), STR("\n.")), first - text);
        }
    }
    assert_int_equal(str_find(str_null(), STR("\n.")), -1);
}

static void str_to_u64_refuses_signs_spaces_and_overflow(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_true(str_to_u64(STR("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    v = 7;
    assert_false(str_to_u64(STR("18446744073709551616"), &v));
    assert_false(str_to_u64(STR("-1"), &v));
    assert_false(str_to_u64(STR("+1"), &v));
    assert_false(str_to_u64(STR(" 1"), &v));
    assert_false(str_to_u64(STR(""), &v));
    assert_true(v == 7);
}

/* Values of the reference implementation: the hash is stored, so it may never change. */
static void str_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(str_hash(STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

static void str_is_utf8_refuses_overlong_and_surrogates(void **state)
{
    (void)state;
    assert_true(str_is_utf8(STR("用户@例子.测试")));
    assert_false(str_is_utf8(STR("\xc0\xaf")));
    assert_false(str_is_utf8(STR("\xed\xa0\x80")));
    assert_false(str_is_utf8(STR("\xf4\x90\x80\x80")));
    assert_false(str_is_utf8(STR("a\xe4\xbd")));
}

static void buf_holds_its_limit(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4);
    assert_true(buf_put(&b, STR("abc")));
    assert_true(buf_putc(&b, 'd'));
    assert_false(buf_over(&b));
    assert_false(buf_putc(&b, 'e'));
    assert_true(buf_over(&b));
    assert_str(buf_str(&b), STR("abcd"));
    buf_done(&b);
}

static void buf_escapes_what_could_forge_a_line(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    buf_put_escaped(&b, STR("a\r\n\"\\\x1b\xff\u202e\u4f60"), 100);
    assert_str(buf_str(&b), STR("a\\x0d\\x0a\\\"\\\\\\x1b\\xff\\u{202e}\u4f60"));
    buf_clear(&b);
    buf_put_escaped(&b, STR("abcdef"), 3);
    assert_str(buf_str(&b), STR("abc..."));
    buf_done(&b);
}

static void buf_printf_grows_past_its_stack_buffer(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    assert_true(buf_printf(&b, "%0500d", 7));
    assert_int_equal(b.n, 500);
    assert_int_equal(b.p[499], '7');
    assert_false(buf_printf(&b, "%0501d", 7));
    assert_int_equal(b.n, 500);
    buf_done(&b);
}

static void buf_in_an_arena_holds_its_limit(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 4096);
    struct buf b = buf_in(&a, 300);
    for (int i = 0; i < 300; i++)
        assert_true(buf_putc(&b, 'x'));
    assert_int_equal(b.n, 300);
    assert_false(buf_putc(&b, 'y'));
    assert_true(buf_over(&b));
    assert_null(buf_built(&b).p);
    arena_done(&a);
}

/* What was built stays as it is while others are built behind it, and what it did not need is free
 * again: two bufs of SMALLEST octets would not fit. */
static void buf_in_an_arena_gives_back_what_it_did_not_need(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 128 + 16);
    struct buf first = buf_in(&a, 1000), second = buf_in(&a, 1000);
    buf_put(&first, STR("first"));
    struct str built = buf_built(&first);
    assert_true(buf_put(&second, STR("second")));
    assert_str(buf_built(&second), STR("second"));
    assert_str(built, STR("first"));
    assert_false(arena_over(&a));
    struct buf none = buf_in(&a, 1000);
    assert_non_null(buf_built(&none).p);
    assert_int_equal(buf_built(&none).n, 0);
    arena_done(&a);
}

static void bufs_that_grow_in_turn_keep_their_bytes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64 * 1024);
    struct buf b[2] = {buf_in(&a, 4000), buf_in(&a, 4000)};
    for (int i = 0; i < 4000; i++)
        assert_true(buf_putc(&b[i % 2], (char)('a' + i % 26)));
    for (int i = 0; i < 4000; i++)
        assert_int_equal(b[i % 2].p[i / 2], 'a' + i % 26);
    arena_done(&a);
}

static void buf_in_a_full_arena_is_over(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256);
    struct buf b = buf_in(&a, 1000);
    for (int i = 0; i < 256; i++)
        assert_true(buf_putc(&b, 'x'));
    assert_false(buf_putc(&b, 'x'));
    assert_null(buf_built(&b).p);
    assert_true(arena_over(&a));
    arena_done(&a);
}

static void arena_resizes_its_newest_in_place(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    char *p = arena_take(&a, 100);
    memset(p, 'p', 100);
    assert_ptr_equal(arena_resize(&a, p, 100, 200), p);
    assert_ptr_equal(arena_resize(&a, p, 200, 10), p);
    char *q = arena_take(&a, 16);
    assert_ptr_equal(q, p + 16);
    assert_ptr_equal(arena_resize(&a, p, 10, 5), p);
    char *copy = arena_resize(&a, p, 10, 20);
    assert_ptr_not_equal(copy, p);
    assert_memory_equal(copy, "pppppppppp", 10);
    assert_null(arena_resize(&a, copy, 20, 2000));
    assert_null(arena_resize(&a, copy, 20, SIZE_MAX));
    assert_memory_equal(copy, "pppppppppp", 10);
    arena_done(&a);
}

static void arena_keeps_its_cap(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1024);
    assert_non_null(arena_take(&a, 512));
    assert_non_null(arena_take(&a, 512));
    assert_false(arena_over(&a));
    assert_null(arena_take(&a, 1));
    assert_true(arena_over(&a));
    arena_reset(&a);
    assert_non_null(arena_take(&a, 512));
    assert_null(arena_take_array(&a, SIZE_MAX / 2, 3));
    arena_done(&a);
}

static void a_wiped_arena_leaves_nothing(void **state)
{
    (void)state;
    enum {
        BLOCK = 1024,
        HEAD = 32 /* of a block, in front of its octets */
    };
    struct spares spares;
    struct arena a;
    spares_init(&spares, 1 << 20);
    arena_init_from(&a, 4 * BLOCK, &spares);
    char *secret = arena_take(&a, BLOCK);
    memset(secret, 'x', BLOCK);
    arena_wipe(&a);
    assert_int_equal(a.used, 0);
    char *again = spares_take(&spares, BLOCK + HEAD); /* the block itself */
    assert_ptr_equal(again + HEAD, secret);
    for (size_t i = 0; i < BLOCK; i++)
        assert_int_equal(secret[i], 0);
    spares_give(&spares, again, BLOCK + HEAD);
    spares_done(&spares);
}

static void varints_have_one_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        size_t n;
    } sizes[] = {{0, 1},
                 {0x7f, 1},
                 {0x80, 2},
                 {0x3fff, 2},
                 {0x4000, 3},
                 {UINT32_MAX, 5},
                 {UINT64_MAX >> 1, 9},
                 {UINT64_MAX, 10},
                 {UINT64_C(1) << 63, 10}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf b = BUF_INIT(100);
        wire_put_varint(&b, sizes[i].v);
        assert_int_equal(b.n, sizes[i].n);
        assert_int_equal(wire_varint_size(sizes[i].v), sizes[i].n);
        struct wire_in in = wire_in(buf_str(&b));
        assert_true(wire_get_varint(&in) == sizes[i].v && wire_end(&in));
        in = wire_in(str_head(buf_str(&b), b.n - 1));
        assert_true(wire_get_varint(&in) == 0 && in.bad);
        buf_done(&b);
    }
    static const struct str bad[] = {
        STR_INIT("\x80\x00"),                                 /* longer than it need be */
        STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* 2^64 and more */
        STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_in in = wire_in(bad[i]);
        assert_true(wire_get_varint(&in) == 0 && in.bad);
    }
}

static void wire_round_trip_and_truncation(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100);
    wire_put_u8(&b, 1);
    wire_put_u16(&b, 0x0203);
    wire_put_u32(&b, 0x04050607);
    wire_put_u64(&b, 0x08090a0b0c0d0e0f);
    wire_put_str(&b, STR("a\0b"));
    for (size_t n = 0; n <= b.n; n++) {
        struct wire_in in = wire_in(str_head(buf_str(&b), n));
        uint8_t a = wire_get_u8(&in);
        uint16_t c = wire_get_u16(&in);
        uint32_t d = wire_get_u32(&in);
        uint64_t e = wire_get_u64(&in);
        struct str s = wire_get_str(&in);
        assert_int_equal(wire_end(&in), n == b.n);
        if (n == b.n) {
            assert_true(a == 1 && c == 0x0203 && d == 0x04050607 && e == 0x08090a0b0c0d0e0f);
            assert_str(s, STR("a\0b"));
        }
    }
    buf_done(&b);
}

static void crc32c_matches_rfc_3720(void **state)
{
    (void)state;
    char zeros[32] = {0};
    assert_true(crc32c(0, str_make(zeros, 32)) == 0x8a9136aa);
    assert_true(crc32c(0, STR("123456789")) == 0xe3069283);
    assert_true(crc32c(crc32c(0, STR("1234")), STR("56789")) == 0xe3069283);
    for (uint32_t seed = 1; seed; seed *= 8)
        assert_true(crc32c_seed(crc32c(seed, STR("123456789")), STR("123456789")) == seed);
    assert_true(crc32c_seed(77, STR("")) == 77);
}

/* The examples of FIPS 180-2, B.1 and B.2, whole and octet by octet. */
static void sha256_matches_fips_180(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        unsigned char begins[4];
    } examples[] = {
        {STR_INIT("abc"), {0xba, 0x78, 0x16, 0xbf}},
        {STR_INIT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         {0x24, 0x8d, 0x6a, 0x61}},
        {STR_INIT(""), {0xe3, 0xb0, 0xc4, 0x42}},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct sha256 sha256;
        unsigned char whole[SHA256_SIZE], pieces[SHA256_SIZE];
        sha256_init(&sha256);
        sha256_feed(&sha256, examples[i].text);
        sha256_end(&sha256, whole);
        assert_memory_equal(whole, examples[i].begins, 4);
        sha256_init(&sha256);
        for (size_t at = 0; at < examples[i].text.n; at++)
            sha256_feed(&sha256, str_make(examples[i].text.p + at, 1));
        sha256_end(&sha256, pieces);
        assert_memory_equal(whole, pieces, SHA256_SIZE);
    }
}

static void every_error_has_a_whole_row(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_COUNT; code++) {
        const struct err_row *row = err_row((enum err_code)code);
        assert_non_null(row->name);
        assert_in_range(row->smtp, 211, 599);
        if (code == ERR_NONE)
            continue;
        assert_int_equal(row->enhanced[0], '0' + row->smtp / 100);
    }
    assert_ptr_equal(err_row((enum err_code)9999), err_row(ERR_TRY_LATER));
}

/* A file of our own store that could not be opened refused a message with 550. */
static void no_errno_refuses_a_message_for_good(void **state)
{
    (void)state;
    for (int os = 1; os < 134; os++) {
        const struct err told = err_told(err_os(os, STR("a file of ours")));
        const struct err_row *row = err_row(told.code);
        assert_true(row->smtp / 100 == 4 && row->retry == LATER);
    }
    assert_int_equal(err_told(err_make(ERR_NOT_ALLOWED)).code, ERR_NOT_ALLOWED);
    assert_int_equal(err_told(err_os(ENOSPC, STR("file"))).code, ERR_DISK_FULL);
    assert_int_equal(err_told(err_none()).code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_cut_splits_and_ends_with_null),
        cmocka_unit_test(str_to_cstring_ends_with_nul),
        cmocka_unit_test(str_find_finds_the_first_pair),
        cmocka_unit_test(str_to_u64_refuses_signs_spaces_and_overflow),
        cmocka_unit_test(str_hash_is_fnv_1a),
        cmocka_unit_test(str_is_utf8_refuses_overlong_and_surrogates),
        cmocka_unit_test(buf_holds_its_limit),
        cmocka_unit_test(buf_escapes_what_could_forge_a_line),
        cmocka_unit_test(buf_printf_grows_past_its_stack_buffer),
        cmocka_unit_test(buf_in_an_arena_holds_its_limit),
        cmocka_unit_test(buf_in_an_arena_gives_back_what_it_did_not_need),
        cmocka_unit_test(bufs_that_grow_in_turn_keep_their_bytes),
        cmocka_unit_test(buf_in_a_full_arena_is_over),
        cmocka_unit_test(arena_resizes_its_newest_in_place),
        cmocka_unit_test(arena_keeps_its_cap),
        cmocka_unit_test(a_wiped_arena_leaves_nothing),
        cmocka_unit_test(varints_have_one_form),
        cmocka_unit_test(wire_round_trip_and_truncation),
        cmocka_unit_test(crc32c_matches_rfc_3720),
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(every_error_has_a_whole_row),
        cmocka_unit_test(no_errno_refuses_a_message_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
