#include "trust/srs.h"

#include "base/test.h"

enum {
    DAY = 86400
};

#define NOW INT64_C(1795219200)

static const struct srs_keys keys = {.now = "the key of now, thirty-two octet",
                                     .before = "the key before: thirty-two octet",
                                     .has_before = true};

struct desk {
    struct arena arena;
};

static int desk_open(void **state)
{
    static struct desk desk;
    arena_init(&desk.arena, 1 << 20);
    *state = &desk;
    return 0;
}

static int desk_close(void **state)
{
    struct desk *desk = *state;
    arena_done(&desk->arena);
    return 0;
}

static struct addr address(struct desk *desk, struct str text)
{
    struct addr addr;
    assert_false(err_is(addr_parse(text, &desk->arena, &addr)));
    return addr;
}

static struct str text_of(struct desk *desk, const struct addr *addr)
{
    struct buf text = buf_in(&desk->arena, 1024);
    addr_print(&text, addr);
    return buf_built(&text);
}

static struct str forward_by(struct desk *desk, const struct srs_keys *by, struct str text,
                             struct str domain, int64_t now)
{
    struct addr from = address(desk, text), to;
    struct err e = srs_forward(by, &from, domain, now, &desk->arena, &to);
    assert_false(err_is(e));
    assert_true(to.local.n <= ADDR_LOCAL_MAX);
    struct str made = text_of(desk, &to);
    (void)address(desk, made);
    return made;
}

static struct str forward(struct desk *desk, struct str text)
{
    return forward_by(desk, &keys, text, STR("ours.test"), NOW);
}

static struct err reverse_at(struct desk *desk, struct str text, int64_t now, struct str *text_r)
{
    struct addr from = address(desk, text), to;
    struct err e = srs_reverse(&keys, &from, now, SRS_DAYS, &desk->arena, &to);
    if (!err_is(e))
        *text_r = text_of(desk, &to);
    return e;
}

static void comes_back(struct desk *desk, struct str rewritten, struct str original)
{
    struct str back;
    struct err e = reverse_at(desk, rewritten, NOW, &back);
    assert_str(e.detail, STR(""));
    assert_false(err_is(e));
    assert_str(back, original);
}

static void comes_not(struct desk *desk, struct str rewritten, const char *why)
{
    struct str back;
    struct err e = reverse_at(desk, rewritten, NOW, &back);
    assert_int_equal(e.code, ERR_MAILBOX_UNKNOWN);
    assert_str(e.detail, str_from(why));
}

#define NOT_OURS "a rewritten sender that is not from here"
#define NO_FORM "not of the form of a rewritten sender"
#define TOO_OLD "a rewritten sender that is too old"

static struct str lowered(struct desk *desk, struct str text)
{
    char *to = arena_take(&desk->arena, text.n);
    for (size_t i = 0; i < text.n; i++)
        to[i] = ascii_lower(text.p[i]);
    return str_make(to, text.n);
}

static struct str capitals(struct desk *desk, struct str text)
{
    char *to = arena_take(&desk->arena, text.n);
    for (size_t i = 0; i < text.n; i++)
        to[i] = (char)(text.p[i] >= 'a' && text.p[i] <= 'z' ? text.p[i] - 32 : text.p[i]);
    return str_make(to, text.n);
}

/* What was handed out must be taken back by every later version: this text does not change. */
static void test_form(void **state)
{
    assert_str(forward(*state, STR("bob@a.example")),
               STR("SRS0=qiymur=jk=a.example=bob@ours.test"));
    assert_str(forward(*state, STR("SRS0=abcd=ef=a.example=bob@b.example")),
               STR("SRS1=2pesxa=b.example==abcd=ef=a.example=bob@ours.test"));
}

static void round_trip(struct desk *desk, struct str text)
{
    comes_back(desk, forward(desk, text), text);
}

static void test_there_and_back(void **state)
{
    round_trip(*state, STR("bob@a.example"));
    round_trip(*state, STR("Bob.O'Hara+tag=x=y@a.example"));
    round_trip(*state, STR("\"a b\"@a.example"));
    round_trip(*state, STR("\"a@b\"@a.example"));
    round_trip(*state, STR("bob@[192.0.2.1]"));
    round_trip(*state, STR("bob@[IPv6:2001:db8::1]"));
    round_trip(*state, STR("b\xc3\xb6rk@xn--bcher-kva.example"));
    round_trip(*state, STR("SRS0=no-form@a.example"));
    round_trip(*state, STR("SRS0@a.example"));
    round_trip(*state, STR("SRS2=x=y=z@a.example"));
    round_trip(*state, STR("SRS1=x=no?host==y=z=b=c@a.example"));
    round_trip(*state, STR("SRS0=x=y=no?host=c@a.example"));
}

static void test_null_path_stays(void **state)
{
    struct desk *desk = *state;
    struct addr null = {.kind = ADDR_NULL}, to;
    assert_false(err_is(srs_forward(&keys, &null, STR("ours.test"), NOW, &desk->arena, &to)));
    assert_int_equal(to.kind, ADDR_NULL);
}

/* Two forwarders, three: the way back goes to the first one, and no name grows but by one host. */
static void test_several_forwarders(void **state)
{
    struct desk *desk = *state;
    struct srs_keys others = {.now = "the key of somebody else, 32 oct"};
    struct str first = forward_by(desk, &others, STR("bob@a.example"), STR("b.example"), NOW);
    struct str second = forward(desk, first);
    assert_true(str_starts(second, STR("SRS1=")));
    comes_back(desk, second, first);
    struct str third = forward_by(desk, &others, second, STR("c.example"), NOW);
    assert_int_equal(third.n, second.n);
    struct str fourth = forward(desk, third);
    assert_str(fourth, second);
    struct str other_form = STR("SRS1+xy=b.example=-Qx-zz=a.example=bob@c.example");
    comes_back(desk, forward(desk, other_form), STR("SRS0-Qx-zz=a.example=bob@b.example"));
}

static void test_folded_on_the_way(void **state)
{
    struct desk *desk = *state;
    struct str once = forward(desk, STR("Bob@a.example"));
    comes_back(desk, lowered(desk, once), STR("bob@a.example"));
    comes_back(desk, capitals(desk, once), STR("BOB@a.example"));
    struct str twice = forward(desk, STR("SRS0=HhHh=Tt=a.example=Bob@b.example"));
    comes_back(desk, lowered(desk, twice), STR("SRS0=hhhh=tt=a.example=bob@b.example"));
}

static void test_key_before(void **state)
{
    struct desk *desk = *state;
    struct srs_keys old = {0}, older = {.now = "one that was given up long ago.."};
    memcpy(old.now, keys.before, SRS_KEY);
    comes_back(desk, forward_by(desk, &old, STR("bob@a.example"), STR("ours.test"), NOW),
               STR("bob@a.example"));
    comes_not(desk, forward_by(desk, &older, STR("bob@a.example"), STR("ours.test"), NOW),
              NOT_OURS);
}

/* --- Who tries to have others written to ------------------------------------------------------ */

/* Whatever octet is another one: hash, day, domain, local part, and for SRS1 the same. */
static void every_octet_counts(struct desk *desk, struct str rewritten)
{
    size_t at = (size_t)str_index(rewritten, '@');
    char *text = arena_take(&desk->arena, rewritten.n);
    for (size_t i = 0; i < at; i++) {
        struct str back;
        memcpy(text, rewritten.p, rewritten.n);
        text[i] = text[i] == 'x' ? 'y' : 'x';
        struct err e = reverse_at(desk, str_make(text, rewritten.n), NOW, &back);
        assert_int_equal(e.code, ERR_MAILBOX_UNKNOWN);
    }
}

static void test_nothing_can_be_changed(void **state)
{
    struct desk *desk = *state;
    every_octet_counts(desk, forward(desk, STR("bob@a.example")));
    every_octet_counts(desk, forward(desk, STR("SRS0=abcd=ef=a.example=bob@b.example")));
}

/* A hash of one form is none for the other. */
static void test_forms_are_not_mixed_up(void **state)
{
    struct desk *desk = *state;
    struct str once = forward(desk, STR("bob@a.example"));
    char *text = arena_take(&desk->arena, once.n);
    memcpy(text, once.p, once.n);
    text[3] = '1';
    comes_not(desk, str_make(text, once.n), NO_FORM);
    comes_not(desk, STR("SRS0=aaaaaa=es=a.example=bob@ours.test"), NOT_OURS);
    comes_not(desk, STR("SRS1=aaaaaa=b.example==x=y=a.example=bob@ours.test"), NOT_OURS);
}

static void test_what_has_no_form(void **state)
{
    static const char *const texts[] = {
        "bob@ours.test",          "SRS0@ours.test",          "SRS0=@ours.test",
        "SRS0=a=b=c@ours.test",   "SRS0=a=b=c=@ours.test",   "SRS0==b=c=d@ours.test",
        "SRS0=a==c=d@ours.test",  "SRS0=a=b==d@ours.test",   "SRS1=a=b=@ours.test",
        "SRS1=a=b=c@ours.test",   "SRS1==b==c@ours.test",    "SRS1=a===c@ours.test",
        "SRS2=a=b=c=d@ours.test", "XSRS0=a=b=c=d@ours.test", "SRS0_a=b=c=d@ours.test"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        comes_not(*state, str_from(texts[i]), NO_FORM);
}

static void at_is(struct desk *desk, struct str rewritten, int64_t now, bool taken)
{
    struct str back;
    struct err e = reverse_at(desk, rewritten, now, &back);
    assert_int_equal(err_is(e), !taken);
    if (!taken)
        assert_str(e.detail, STR(TOO_OLD));
}

static void test_days(void **state)
{
    struct desk *desk = *state;
    struct str made = forward(desk, STR("bob@a.example"));
    at_is(desk, made, NOW + (SRS_DAYS - 1) * DAY, true);
    at_is(desk, made, NOW + SRS_DAYS * DAY, true);
    at_is(desk, made, NOW + (SRS_DAYS + 1) * DAY, false);
    at_is(desk, made, NOW - DAY, true); /* its clock is behind */
    at_is(desk, made, NOW - 2 * DAY, false);
    at_is(desk, made, NOW + 365 * (int64_t)DAY, false);
    at_is(desk, made, NOW + 1024 * (int64_t)DAY, true); /* it came around */
    at_is(desk, made, -1, false);
}

/* Over the turn of the days' number. */
static void test_days_around(void **state)
{
    struct desk *desk = *state;
    int64_t last = (NOW / DAY / 1024 * 1024 + 1023) * DAY;
    struct str made = forward_by(desk, &keys, STR("bob@a.example"), STR("ours.test"), last);
    assert_true(str_find(made, STR("=77=")) > 0);
    at_is(desk, made, last + SRS_DAYS * DAY, true);
    at_is(desk, made, last + (SRS_DAYS + 1) * DAY, false);
}

static void test_64_octets(void **state)
{
    struct desk *desk = *state;
    char text[80];
    for (size_t n = 38; n <= 40; n++) { /* SRS0=hhhhhh=tt=a.example= has 25 octets */
        struct buf sender = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
        struct addr to;
        for (size_t i = 0; i < n; i++)
            buf_putc(&sender, 'b');
        buf_put(&sender, STR("@a.example"));
        struct addr from = address(desk, buf_str(&sender));
        struct err e = srs_forward(&keys, &from, STR("ours.test"), NOW, &desk->arena, &to);
        assert_int_equal(e.code, n <= 64 - 25 ? ERR_NONE : ERR_SENDER_SYNTAX);
    }
}

static void test_of_the_form(void **state)
{
    (void)state;
    assert_true(srs_is(STR("SRS0=x")));
    assert_true(srs_is(STR("srs1+")));
    assert_true(srs_is(STR("Srs0-x")));
    assert_false(srs_is(STR("SRS0")));
    assert_false(srs_is(STR("SRS0.x")));
    assert_false(srs_is(STR("SRS2=x")));
    assert_false(srs_is(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_form, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_there_and_back, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_null_path_stays, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_several_forwarders, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_folded_on_the_way, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_key_before, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_nothing_can_be_changed, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_forms_are_not_mixed_up, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_what_has_no_form, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_days, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_days_around, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_64_octets, desk_open, desk_close),
        cmocka_unit_test(test_of_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
