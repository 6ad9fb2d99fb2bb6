#include "format/gzip.h"

#include <isa-l/igzip_lib.h>

#include "base/test.h"

enum {
    MOST = 1 << 20
};

static struct str unzipped(struct str octets, struct arena *arena)
{
    struct inflate_state *state = arena_new(arena, struct inflate_state);
    uint8_t *to = arena_take(arena, MOST);
    union {
        const char *from;
        uint8_t *to;
    } in = {.from = octets.p};
    assert_true(state && to);
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP; /* its sum and length are checked, too */
    state->next_in = in.to;
    state->avail_in = (uint32_t)octets.n;
    state->next_out = to;
    state->avail_out = MOST;
    assert_int_equal(isal_inflate(state), ISAL_DECOMP_OK);
    assert_int_equal(state->block_state, ISAL_BLOCK_FINISH);
    assert_int_equal(state->avail_in, 0);
    return str_make(to, state->total_out);
}

static void check(struct str text, size_t most)
{
    struct arena arena;
    arena_init(&arena, 4 << 20);
    struct buf octets = buf_in(&arena, text.n + GZIP_MORE_MAX);
    assert_false(err_is(gzip_put(text, &arena, &octets)));
    assert_in_range(octets.n, 18, most);
    assert_str(unzipped(buf_str(&octets), &arena), text);
    arena_done(&arena);
}

static void what_went_in_comes_out(void **state)
{
    static char text[300000];
    (void)state;
    check(STR(""), 40);
    check(STR("a"), 40);
    memset(text, 'a', sizeof(text));
    check(str_make(text, sizeof(text)), 5000);
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof(text); i++) {
        noise = noise * 1664525 + 1013904223;
        text[i] = (char)(noise >> 24);
    }
    check(str_make(text, sizeof(text)), sizeof(text) + GZIP_MORE_MAX);
}

static void the_same_is_the_same(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 4 << 20);
    struct buf one = buf_in(&arena, 2000), two = buf_in(&arena, 2000);
    assert_false(err_is(gzip_put(STR("hello"), &arena, &one)));
    assert_false(err_is(gzip_put(STR("hello"), &arena, &two)));
    assert_str(buf_str(&one), buf_str(&two));
    arena_done(&arena);
}

static void no_room_is_an_error(void **state)
{
    struct arena arena;
    char room[100];
    struct buf small = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    (void)state;
    arena_init(&arena, 4 << 20);
    assert_true(err_is(gzip_put(STR("hello"), &arena, &small)));
    arena_done(&arena);
    arena_init(&arena, 1000);
    struct buf buf = BUF_INIT(10000);
    assert_true(err_is(gzip_put(STR("hello"), &arena, &buf)));
    buf_done(&buf);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_in_comes_out),
        cmocka_unit_test(the_same_is_the_same),
        cmocka_unit_test(no_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
