#include "base/test.h"

#include "bus/shape.h"

enum {
    ARENA = 64 * 1024 * 1024,
    OCTETS = 16 * 1024 * 1024,
    ROUNDS = 40,
    LONGEST_TEXT = 9,
    LONGEST_LIST = 5
};

struct given {
    struct arena arena;
    struct buf packet;
    uint64_t seed;
};

static int given_open(void **state)
{
    static struct given given;
    arena_init(&given.arena, ARENA);
    buf_init(&given.packet, OCTETS);
    given.seed = 0x9e3779b97f4a7c15u;
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->packet);
    return 0;
}

static uint64_t next(struct given *given)
{
    given->seed ^= given->seed << 13;
    given->seed ^= given->seed >> 7;
    given->seed ^= given->seed << 17;
    return given->seed;
}

/* --- Any message, by its shape --------------------------------------------------------------- */

static struct str any_text(struct given *given)
{
    size_t n = next(given) % (LONGEST_TEXT + 1);
    char *p = arena_take(&given->arena, n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)next(given);
    return str_make(p, n);
}

static void any_scalar(struct given *given, const struct field *field, void *in)
{
    void *at = (char *)in + field->offset;
    uint64_t number = next(given);
    struct str text;
    static const size_t sizes[] = {
        [FIELD_u8] = 1, [FIELD_u16] = 2, [FIELD_u32] = 4, [FIELD_u64] = 8};
    if (field->type == FIELD_str || field->type == FIELD_secret) {
        text = any_text(given);
        memcpy(at, &text, sizeof(text));
    } else {
        memcpy(at, &number, sizes[field->type]); /* the low octets: little endian machines only */
    }
}

static void any_list(struct given *given, const struct field *list, void *in, size_t count)
{
    const struct shape *record = list->record();
    char *records = arena_take_array(&given->arena, count, record->size);
    assert_non_null(records);
    for (size_t i = 0; i < count; i++)
        for (const struct field *field = record->fields; field->name; field++)
            any_scalar(given, field, records + i * record->size);
    memcpy((char *)in + list->offset, &records, sizeof(records));
    memcpy((char *)in + list->count_offset, &count, sizeof(count));
}

static size_t longest(const struct field *list)
{
    return list->most < LONGEST_LIST ? list->most : LONGEST_LIST;
}

static struct msg any_message(struct given *given, enum msg_kind kind)
{
    struct msg msg = {.kind = kind};
    for (const struct field *field = shape_of(kind)->fields; field->name; field++) {
        if (field->type == FIELD_list)
            any_list(given, field, msg_body(&msg), next(given) % (longest(field) + 1));
        else
            any_scalar(given, field, msg_body(&msg));
    }
    return msg;
}

static enum bus_role a_sender_of(enum msg_kind kind)
{
    return (enum bus_role)__builtin_ctz(msg_senders(kind));
}

/* --- Two messages are one, field by field ---------------------------------------------------- */

static void scalar_same(const struct field *field, const void *one, const void *two)
{
    static const size_t sizes[] = {
        [FIELD_u8] = 1, [FIELD_u16] = 2, [FIELD_u32] = 4, [FIELD_u64] = 8};
    const char *a = (const char *)one + field->offset, *b = (const char *)two + field->offset;
    if (field->type == FIELD_str || field->type == FIELD_secret)
        assert_str(*(const struct str *)(const void *)a, *(const struct str *)(const void *)b);
    else
        assert_memory_equal(a, b, sizes[field->type]);
}

static void list_same(const struct field *list, const void *one, const void *two)
{
    const struct shape *record = list->record();
    const char *a, *b;
    size_t count;
    memcpy(&a, (const char *)one + list->offset, sizeof(a));
    memcpy(&b, (const char *)two + list->offset, sizeof(b));
    memcpy(&count, (const char *)one + list->count_offset, sizeof(count));
    assert_memory_equal((const char *)two + list->count_offset, &count, sizeof(count));
    for (size_t i = 0; i < count; i++)
        for (const struct field *field = record->fields; field->name; field++)
            scalar_same(field, a + i * record->size, b + i * record->size);
}

static void messages_same(const struct msg *one, const struct msg *two)
{
    assert_int_equal(one->kind, two->kind);
    for (const struct field *field = shape_of(one->kind)->fields; field->name; field++) {
        if (field->type == FIELD_list)
            list_same(field, msg_body_const(one), msg_body_const(two));
        else
            scalar_same(field, msg_body_const(one), msg_body_const(two));
    }
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void every_message_comes_back(void **state)
{
    struct given *given = *state;
    for (unsigned kind = 0; kind < MSG_COUNT; kind++) {
        for (int round = 0; round < ROUNDS; round++) {
            struct msg sent = any_message(given, kind), got;
            buf_clear(&given->packet);
            msg_encode(&given->packet, &sent);
            struct wire_in in = wire_in(buf_str(&given->packet));
            struct err e = msg_decode(&in, a_sender_of(kind), &given->arena, &got);
            assert_int_equal(e.code, ERR_NONE);
            assert_true(wire_end(&in));
            messages_same(&sent, &got);
        }
    }
}

static void a_copy_outlives_its_packet(void **state)
{
    struct given *given = *state;
    for (int kind = 0; kind < MSG_COUNT; kind++) {
        struct msg sent = any_message(given, (enum msg_kind)kind), got, copy;
        struct arena own;
        arena_init(&own, ARENA);
        buf_clear(&given->packet);
        msg_encode(&given->packet, &sent);
        struct wire_in in = wire_in(buf_str(&given->packet));
        assert_false(err_is(msg_decode(&in, a_sender_of(sent.kind), &given->arena, &got)));
        assert_false(err_is(msg_copy(&got, &own, &copy)));
        memset(given->packet.p, 0xa5, given->packet.n);
        messages_same(&sent, &copy);
        arena_done(&own);
    }
    struct arena full;
    arena_init(&full, 16);
    struct msg msg = {.kind = MSG_forget, .forget = {.why = STR("a reason of some length")}}, copy;
    assert_int_equal(msg_copy(&msg, &full, &copy).code, ERR_OVER_LIMIT);
    arena_done(&full);
}

static void packets_hold_several(void **state)
{
    struct given *given = *state;
    struct msg sent[3] = {any_message(given, MSG_resolved), any_message(given, MSG_welcome),
                          any_message(given, MSG_committed)};
    for (int i = 0; i < 3; i++)
        msg_encode(&given->packet, &sent[i]);
    struct wire_in in = wire_in(buf_str(&given->packet));
    for (int i = 0; i < 3; i++) {
        struct msg got;
        assert_int_equal(msg_decode(&in, ROLE_CORE, &given->arena, &got).code, ERR_NONE);
        messages_same(&sent[i], &got);
    }
    assert_true(wire_end(&in));
}

/* The loops above could be wrong twice in the same way; these octets were written by hand. */
static void octets_are_as_the_header_says(void **state)
{
    struct given *given = *state;
    struct msg_slab slabs[] = {{1, 2}, {3, 0x01020304}};
    struct msg msg = {.kind = MSG_upload_data,
                      .upload_data = {.call = 7, .upload = 9, .slabs = slabs, .slabs_count = 2}};
    static const char expected[] = "\x22\0\0\0"
                                   "K\0"
                                   "\x07\0\0\0"
                                   "\x09\0\0\0\0\0\0\0"
                                   "\x02\0\0\0"
                                   "\x01\0\0\0\x02\0\0\0"
                                   "\x03\0\0\0\x04\x03\x02\x01";
    char octets[sizeof(expected) - 1];
    memcpy(octets, expected, sizeof(octets));
    octets[4] = MSG_upload_data;
    msg_encode(&given->packet, &msg);
    assert_str(buf_str(&given->packet), str_make(octets, sizeof(octets)));
}

static void a_message_cut_anywhere_is_refused(void **state)
{
    struct given *given = *state;
    for (unsigned kind = 0; kind < MSG_COUNT; kind++) {
        struct msg sent = any_message(given, kind), got;
        buf_clear(&given->packet);
        msg_encode(&given->packet, &sent);
        struct str whole = buf_str(&given->packet);
        for (size_t n = 0; n < whole.n; n++) {
            struct wire_in in = wire_in(str_head(whole, n));
            struct err e = msg_decode(&in, a_sender_of(kind), &given->arena, &got);
            assert_int_equal(e.code, ERR_BUS_BROKEN);
        }
    }
}

/* The outer length is mended, so that the fields themselves end too early or too late. */
static void fields_must_fill_their_message(void **state)
{
    struct given *given = *state;
    for (unsigned kind = 0; kind < MSG_COUNT; kind++) {
        struct msg sent = any_message(given, kind), got;
        buf_clear(&given->packet);
        msg_encode(&given->packet, &sent);
        buf_putc(&given->packet, 'x');
        for (size_t n = 6; n <= given->packet.n; n++) {
            given->packet.p[0] = (char)((n - 4) & 0xff);
            given->packet.p[1] = (char)((n - 4) >> 8);
            struct wire_in in = wire_in(str_head(buf_str(&given->packet), n));
            struct err e = msg_decode(&in, a_sender_of(kind), &given->arena, &got);
            assert_int_equal(e.code, n == given->packet.n - 1 ? ERR_NONE : ERR_BUS_BROKEN);
        }
    }
}

static void only_its_senders_may_send_a_message(void **state)
{
    struct given *given = *state;
    for (unsigned kind = 0; kind < MSG_COUNT; kind++) {
        struct msg sent = any_message(given, kind), got;
        buf_clear(&given->packet);
        msg_encode(&given->packet, &sent);
        for (enum bus_role role = 0; role < ROLE_COUNT; role++) {
            struct wire_in in = wire_in(buf_str(&given->packet));
            bool may = msg_senders(kind) & 1u << role;
            struct err e = msg_decode(&in, role, &given->arena, &got);
            assert_int_equal(e.code, may ? ERR_NONE : ERR_BUS_BROKEN);
        }
    }
}

/* Rule 0 of the house: what strangers reach can neither log in nor read mail. */
static void an_edge_for_strangers_opens_no_mailbox(void **state)
{
    (void)state;
    static const enum msg_kind closed[] = {MSG_login, MSG_mailbox_open, MSG_fetch, MSG_expunge,
                                           MSG_admin, MSG_peer,         MSG_setup};
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        assert_false(msg_senders(closed[i]) & FROM_MX);
    assert_false(msg_senders(MSG_commit) & (FROM_BOX | FROM_CLI));
}

static void list_of(struct given *given, const struct field *list, size_t count, struct msg *msg)
{
    any_list(given, list, msg_body(msg), count);
    buf_clear(&given->packet);
    msg_encode(&given->packet, msg);
}

static void lists_end_at_their_limit(void **state)
{
    struct given *given = *state;
    for (unsigned kind = 0; kind < MSG_COUNT; kind++) {
        for (const struct field *list = shape_of(kind)->fields; list->name; list++) {
            struct msg sent = {.kind = kind}, got;
            if (list->type != FIELD_list)
                continue;
            for (size_t count = list->most - 1; count <= list->most; count++) {
                list_of(given, list, count, &sent);
                struct wire_in in = wire_in(buf_str(&given->packet));
                assert_int_equal(msg_decode(&in, a_sender_of(kind), &given->arena, &got).code,
                                 ERR_NONE);
                arena_reset(&given->arena);
            }
        }
    }
}

/* A count that is too large is refused before memory is taken for it. */
static void a_list_above_its_limit_is_refused(void **state)
{
    struct given *given = *state;
    static const uint32_t counts[] = {65, 66, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct msg got;
        buf_clear(&given->packet);
        wire_put_u32(&given->packet, 2 + 4 + 8 + 4 + 8 * 1000);
        wire_put_u16(&given->packet, MSG_upload_data);
        wire_put_u32(&given->packet, 1);
        wire_put_u64(&given->packet, 2);
        wire_put_u32(&given->packet, counts[i]);
        memset(buf_room(&given->packet, 8000), 0, 8000);
        buf_added(&given->packet, 8000);
        struct wire_in in = wire_in(buf_str(&given->packet));
        assert_int_equal(msg_decode(&in, ROLE_MX, &given->arena, &got).code, ERR_BUS_BROKEN);
        assert_int_equal(given->arena.used, 0);
    }
}

static void a_full_arena_is_no_fault_of_the_peer(void **state)
{
    struct given *given = *state;
    struct arena small;
    struct msg got, sent = {.kind = MSG_seen};
    any_list(given, shape_of(MSG_seen)->fields, msg_body(&sent), 1000);
    msg_encode(&given->packet, &sent);
    arena_init(&small, 512);
    struct wire_in in = wire_in(buf_str(&given->packet));
    assert_int_equal(msg_decode(&in, ROLE_MX, &small, &got).code, ERR_OVER_LIMIT);
    arena_done(&small);
}

static void unknown_kinds_are_refused(void **state)
{
    struct given *given = *state;
    static const unsigned kinds[] = {MSG_COUNT, MSG_COUNT + 1, UINT16_MAX};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct msg got;
        buf_clear(&given->packet);
        wire_put_u32(&given->packet, 2);
        wire_put_u16(&given->packet, (uint16_t)kinds[i]);
        struct wire_in in = wire_in(buf_str(&given->packet));
        assert_int_equal(msg_decode(&in, ROLE_CORE, &given->arena, &got).code, ERR_BUS_BROKEN);
    }
}

static void a_message_that_does_not_fit_says_so(void **state)
{
    struct given *given = *state;
    struct msg sent = {.kind = MSG_configure, .configure = {.configuration = STR("0123456789")}};
    msg_encode(&given->packet, &sent);
    size_t n = given->packet.n;
    for (size_t max = n - 1; max <= n; max++) {
        struct buf small = BUF_INIT(max);
        msg_encode(&small, &sent);
        assert_int_equal(buf_over(&small), max < n);
        buf_done(&small);
    }
}

static void calls_are_found_and_set(void **state)
{
    (void)state;
    uint32_t call = 0;
    struct msg msg = {.kind = MSG_commit};
    msg_set_call(&msg, 77);
    assert_int_equal(msg.commit.call, 77);
    assert_false(msg_answers(&msg, &call));
    msg = (struct msg){.kind = MSG_committed, .committed = {.call = 78}};
    assert_true(msg_answers(&msg, &call));
    assert_int_equal(call, 78);
    msg = (struct msg){.kind = MSG_admin_text, .admin_text = {.call = 79}};
    assert_false(msg_answers(&msg, &call));
    assert_int_equal(msg_answer_kind(MSG_ask_commit), MSG_committed);
    assert_int_equal(msg_answer_kind(MSG_hello), MSG_COUNT);
}

static void a_wiped_copy_has_no_secrets(void **state)
{
    (void)state;
    struct arena arena;
    struct msg copy,
        msg = {.kind = MSG_login, .login = {.user = STR("bob"), .password = STR("open sesame")}};
    arena_init(&arena, 4096);
    assert_int_equal(msg_copy(&msg, &arena, &copy).code, ERR_NONE);
    msg_wipe(&copy);
    assert_str(copy.login.user, STR("bob"));
    assert_str(copy.login.password, str_make("\0\0\0\0\0\0\0\0\0\0", 11));
    arena_done(&arena);
}

static void printing_tells_all_but_secrets(void **state)
{
    struct given *given = *state;
    struct msg_slab slabs[] = {{4, 5}};
    struct msg msg = {.kind = MSG_login,
                      .login = {.call = 3,
                                .protocol = 2,
                                .client = STR("192.0.2.1"),
                                .user = STR("a\"b\n"),
                                .password = STR("hush")}};
    msg_print(&given->packet, &msg);
    assert_str(buf_str(&given->packet), STR("login call=3 protocol=2 encrypted=0 mechanism=0 "
                                            "client=\"192.0.2.1\" user=\"a\\\"b\\x0a\" "
                                            "as=\"\" password=(secret)"));
    buf_clear(&given->packet);
    msg = (struct msg){.kind = MSG_fetch, .fetch = {.slabs = slabs, .slabs_count = 1}};
    msg_print(&given->packet, &msg);
    assert_str(buf_str(&given->packet), STR("fetch call=0 handle=0 uid=0 part=0 offset=0 "
                                            "slabs=1[{ index=4 length=5 }]"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_comes_back),
        TEST(a_copy_outlives_its_packet),
        TEST(packets_hold_several),
        TEST(octets_are_as_the_header_says),
        TEST(a_message_cut_anywhere_is_refused),
        TEST(fields_must_fill_their_message),
        TEST(only_its_senders_may_send_a_message),
        TEST(an_edge_for_strangers_opens_no_mailbox),
        TEST(lists_end_at_their_limit),
        TEST(a_list_above_its_limit_is_refused),
        TEST(a_full_arena_is_no_fault_of_the_peer),
        TEST(unknown_kinds_are_refused),
        TEST(a_message_that_does_not_fit_says_so),
        TEST(calls_are_found_and_set),
        TEST(printing_tells_all_but_secrets),
        TEST(a_wiped_copy_has_no_secrets),
    };
    return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
