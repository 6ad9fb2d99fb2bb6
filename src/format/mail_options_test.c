#include "base/test.h"

#include "format/mail_options.h"

enum {
    NOW = 1000000000, /* 2001-09-09T01:46:40Z */
    ENOUGH = 1 << 16,
};

static const struct capabilities everything = {.has = UINT32_MAX};

struct given {
    struct arena arena;
    struct buf out;
    struct mail_options mail;
    struct rcpt_options rcpt;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){0};
    arena_init(&given.arena, ENOUGH);
    buf_init(&given.out, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->out);
    return 0;
}

static struct err take(struct given *given, const char *text, bool of_rcpt, bool utf8)
{
    struct esmtp_params params;
    struct err e = esmtp_params_parse(str_from(text), &params);
    given->mail = (struct mail_options){0};
    given->rcpt = (struct rcpt_options){0};
    for (uint32_t i = 0; !err_is(e) && i < params.n; i++)
        e = of_rcpt ? rcpt_options_take(&given->rcpt, &params.at[i], utf8, &given->arena)
                    : mail_options_take(&given->mail, &params.at[i], NOW, &given->arena);
    return e;
}

/* It survives a record and says to a peer what was said to us, or `said`. */
static void mail(struct given *given, const char *text, const char *said)
{
    struct mail_options again;
    assert_false(err_is(take(given, text, false, false)));
    assert_true(mail_options_possible(&given->mail));
    buf_clear(&given->out);
    mail_options_encode(&given->out, &given->mail);
    struct wire_in in = wire_in(buf_str(&given->out));
    mail_options_decode(&in, &again);
    assert_true(wire_end(&in));
    struct buf one = BUF_INIT(ENOUGH);
    mail_options_print(&one, &again, &everything, NOW);
    assert_str(buf_str(&one), str_from(said ? said : text));
    assert_int_equal(again.hold_until, given->mail.hold_until);
    assert_int_equal(again.hold_for, given->mail.hold_for);
    assert_int_equal(again.envid.p != NULL, given->mail.envid.p != NULL);
    buf_done(&one);
}

static void rcpt_as(struct given *given, const char *text, bool in_utf8, const char *said,
                    bool out_utf8)
{
    struct rcpt_options again;
    assert_false(err_is(take(given, text, true, in_utf8)));
    assert_true(rcpt_options_possible(&given->rcpt));
    buf_clear(&given->out);
    rcpt_options_encode(&given->out, &given->rcpt);
    struct wire_in in = wire_in(buf_str(&given->out));
    rcpt_options_decode(&in, &again);
    assert_true(wire_end(&in));
    struct buf one = BUF_INIT(ENOUGH);
    rcpt_options_print(&one, &again, &everything, out_utf8);
    assert_str(buf_str(&one), str_from(said));
    buf_done(&one);
}

static void rcpt(struct given *given, const char *text)
{
    rcpt_as(given, text, false, text, false);
}

static void refused(struct given *given, const char *text, bool of_rcpt)
{
    assert_int_equal(take(given, text, of_rcpt, false).code, ERR_PARAMETER_VALUE);
}

static void what_was_taken_is_said_again(void **state)
{
    mail(*state, "", NULL);
    mail(*state, " RET=FULL", NULL);
    mail(*state, " ret=hdrs envid=QQ314159", " RET=HDRS ENVID=QQ314159");
    mail(*state, " ENVID=a+20b+2Bc+3D", NULL);
    mail(*state, " BY=120;R", NULL);
    mail(*state, " BY=+120;nt", " BY=120;NT");
    mail(*state, " BY=-120;N", NULL);
    mail(*state, " BY=0;N", NULL);
    mail(*state, " BY=999999999;RT", NULL);
    mail(*state, " MT-PRIORITY=9", NULL);
    mail(*state, " MT-PRIORITY=-9", NULL);
    mail(*state, " MT-PRIORITY=0", "");
    mail(*state, " REQUIRETLS", NULL);
}

static void a_time_to_hold_is_absolute_and_not_passed_on(void **state)
{
    struct given *given = *state;
    mail(given, " HOLDFOR=600", "");
    assert_int_equal(given->mail.hold_until, NOW + 600);
    assert_int_equal(given->mail.hold_for, 600);
    mail(given, " HOLDUNTIL=2001-09-09T01:46:41Z", "");
    assert_int_equal(given->mail.hold_until, NOW + 1);
    assert_int_equal(given->mail.hold_for, 0);
    mail(given, " HOLDUNTIL=1970-01-01T00:00:00Z", "");
    mail(given, " HOLDFOR=999999999", "");
}

static void the_time_that_is_left_is_said(void **state)
{
    struct given *given = *state;
    const char *const said[] = {" BY=20;R", " BY=1;R", " BY=1;R"};
    for (int i = 0; i < 3; i++) {
        assert_false(err_is(take(given, " BY=120;R", false, false)));
        buf_clear(&given->out);
        mail_options_print(&given->out, &given->mail, &everything, NOW + 100 + i * 20);
        assert_str(buf_str(&given->out), str_from(said[i]));
    }
    assert_false(err_is(take(given, " BY=120;N", false, false)));
    buf_clear(&given->out);
    mail_options_print(&given->out, &given->mail, &everything, NOW + 200);
    assert_str(buf_str(&given->out), STR(" BY=-80;N"));
}

static void only_what_the_peer_can_is_said(void **state)
{
    struct given *given = *state;
    struct capabilities peer = {.has = 0};
    assert_false(
        err_is(take(given, " RET=FULL ENVID=x BY=1;R MT-PRIORITY=1 REQUIRETLS", false, false)));
    buf_clear(&given->out);
    mail_options_print(&given->out, &given->mail, &peer, NOW);
    assert_int_equal(given->out.n, 0);
    peer.has = CAPABILITY_DSN;
    mail_options_print(&given->out, &given->mail, &peer, NOW);
    assert_str(buf_str(&given->out), STR(" RET=FULL ENVID=x"));
    assert_false(err_is(take(given, " NOTIFY=NEVER", true, false)));
    peer.has = ~(uint32_t)CAPABILITY_DSN;
    buf_clear(&given->out);
    rcpt_options_print(&given->out, &given->rcpt, &peer, false);
    assert_int_equal(given->out.n, 0);
}

static void other_parameters_are_not_ours(void **state)
{
    struct given *given = *state;
    assert_int_equal(take(given, " SIZE=1", false, false).code, ERR_PARAMETER_UNKNOWN);
    assert_int_equal(take(given, " NOTIFY=NEVER", false, false).code, ERR_PARAMETER_UNKNOWN);
    assert_int_equal(take(given, " RET=FULL", true, false).code, ERR_PARAMETER_UNKNOWN);
}

static void malformed_values_are_refused(void **state)
{
    static const char *const of_mail[] = {
        " RET",
        " RET=ALL",
        " RET=FULLY",
        " ENVID",
        " ENVID=a+0Ab",
        " ENVID=a+b",
        " ENVID=\xc3\xa4",
        " HOLDFOR",
        " HOLDFOR=0",
        " HOLDFOR=01",
        " HOLDFOR=1000000000",
        " HOLDFOR=-1",
        " HOLDUNTIL",
        " HOLDUNTIL=2001",
        " BY",
        " BY=120",
        " BY=120;",
        " BY=120;X",
        " BY=120;NX",
        " BY=120;NTT",
        " BY=;N",
        " BY=1000000000;N",
        " BY=0;R",
        " BY=-1;R",
        " BY=+-1;N",
        " BY=1;T",
        " MT-PRIORITY",
        " MT-PRIORITY=10",
        " MT-PRIORITY=-0",
        " MT-PRIORITY=+1",
        " MT-PRIORITY=x",
        " REQUIRETLS=YES",
        " HOLDFOR=1 HOLDUNTIL=2001-09-09T01:46:40Z",
        " HOLDUNTIL=2001-09-09T01:46:40Z HOLDFOR=1",
    };
    for (size_t i = 0; i < sizeof(of_mail) / sizeof(*of_mail); i++)
        refused(*state, of_mail[i], false);
    static const char *const of_rcpt[] = {
        " NOTIFY",
        " NOTIFY=ALL",
        " NOTIFY=NEVER,DELAY",
        " NOTIFY=DELAY,",
        " NOTIFY=,DELAY",
        " ORCPT",
        " ORCPT=a@b",
        " ORCPT=rfc822;",
        " ORCPT=;a@b",
        " ORCPT=rfc822;a+0D+0Ab",
        " ORCPT=rf@c;a",
        " ORCPT=rfc822;\xc3\xa4@b",
    };
    for (size_t i = 0; i < sizeof(of_rcpt) / sizeof(*of_rcpt); i++)
        refused(*state, of_rcpt[i], true);
}

static void envid_and_orcpt_have_limits(void **state)
{
    struct given *given = *state;
    for (unsigned more = 0; more < 3; more++) {
        struct buf text = BUF_INIT(1000);
        buf_put(&text, STR(" ENVID="));
        for (unsigned i = 1; i < ENVID_MAX + more; i++)
            buf_putc(&text, 'x');
        buf_putc(&text, '\0');
        enum err_code code = more > 1 ? ERR_PARAMETER_VALUE : ERR_NONE;
        assert_int_equal(take(given, text.p, false, false).code, code);
        buf_clear(&text);
        buf_put(&text, STR(" ORCPT=rfc822;"));
        for (unsigned i = 8; i < ORCPT_MAX + more; i++)
            buf_putc(&text, 'x');
        buf_putc(&text, '\0');
        assert_int_equal(take(given, text.p, true, false).code, code);
        buf_done(&text);
    }
}

static void a_hold_ends_before_the_delivery_is_due(void **state)
{
    struct given *given = *state;
    assert_false(err_is(take(given, " HOLDFOR=60 BY=60;R", false, false)));
    assert_false(err_is(mail_options_check(&given->mail)));
    assert_false(err_is(take(given, " HOLDFOR=61 BY=60;N", false, false)));
    assert_int_equal(mail_options_check(&given->mail).code, ERR_PARAMETER_VALUE);
    assert_false(err_is(take(given, " HOLDFOR=61", false, false)));
    assert_false(err_is(mail_options_check(&given->mail)));
}

static void recipients_say_when_to_be_told(void **state)
{
    rcpt(*state, "");
    rcpt(*state, " NOTIFY=NEVER");
    rcpt(*state, " NOTIFY=SUCCESS,FAILURE,DELAY");
    rcpt_as(*state, " notify=delay,Success,DELAY", false, " NOTIFY=SUCCESS,DELAY", false);
}

static void original_recipients_are_kept_decoded(void **state)
{
    struct given *given = *state;
    rcpt(given, " ORCPT=rfc822;Bob+2Btag@example.org");
    assert_str(given->rcpt.orcpt, STR("rfc822;Bob+tag@example.org"));
    rcpt(given, " NOTIFY=DELAY ORCPT=x400;C+3DXX");
    assert_str(given->rcpt.orcpt, STR("x400;C=XX"));
}

static void original_recipients_may_be_utf8(void **state)
{
    struct given *given = *state;
    const char *raw = " ORCPT=utf-8;\xe7\x94\xa8@example.org";
    const char *ascii = " ORCPT=utf-8;\\x{7528}@example.org";
    refused(given, raw, true);
    rcpt_as(given, raw, true, raw, true);
    assert_str(given->rcpt.orcpt, STR("utf-8;\xe7\x94\xa8@example.org"));
    rcpt_as(given, raw, true, ascii, false);
    rcpt_as(given, ascii, false, ascii, false);
    rcpt_as(given, ascii, false, raw, true);
    rcpt_as(given, " ORCPT=UTF-8;a\\x{2b}b\\X{3D}\\x{5C}\\x{20}@x", false,
            " ORCPT=UTF-8;a\\x{2B}b\\x{3D}\\x{5C}\\x{20}@x", true);
    rcpt_as(given, " ORCPT=utf-8;\\x{10FFFF}", false, " ORCPT=utf-8;\\x{10FFFF}", false);
}

/* As Postfix 3.7 says it. */
static void utf8_in_xtext_is_utf8(void **state)
{
    struct given *given = *state;
    rcpt_as(given, " ORCPT=rfc822;+E7+94+A8+2Bt@example.org", true,
            " ORCPT=utf-8;\xe7\x94\xa8\\x{2B}t@example.org", true);
    assert_str(given->rcpt.orcpt, STR("utf-8;\xe7\x94\xa8+t@example.org"));
    rcpt_as(given, " ORCPT=RFC822;+E7+94+A8@x", false, " ORCPT=utf-8;\\x{7528}@x", false);
    refused(given, " ORCPT=rfc822;+E7+94@x", true);
    refused(given, " ORCPT=rfc822;+C2+85@x", true);
    refused(given, " ORCPT=x400;+E7+94+A8", true);
}

static void malformed_utf8_recipients_are_refused(void **state)
{
    static const char *const texts[] = {
        " ORCPT=utf-8;a+2Bb",        " ORCPT=utf-8;a\\b",
        " ORCPT=utf-8;\\x{}",        " ORCPT=utf-8;\\x{41}",
        " ORCPT=utf-8;\\x{0A}",      " ORCPT=utf-8;\\x{0D}",
        " ORCPT=utf-8;\\x{7F}",      " ORCPT=utf-8;\\x{85}",
        " ORCPT=utf-8;\\x{D800}",    " ORCPT=utf-8;\\x{110000}",
        " ORCPT=utf-8;\\x{0007528}", " ORCPT=utf-8;\\x{7528",
        " ORCPT=utf-8;\\x{",         " ORCPT=utf-8;\\x{A}",
        " ORCPT=utf-8;\\x{75 28}",   " ORCPT=utf-8;",
        " ORCPT=utf-8;\xc2\x85",
    };
    struct given *given = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_true(err_is(take(given, texts[i], true, true)));
}

/* The peer would refuse the recipient for it. */
static void what_grew_too_long_is_left_out(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(1000);
    buf_put(&text, STR(" ORCPT=utf-8;"));
    for (unsigned i = 0; i < ORCPT_MAX / 8; i++) /* each becomes 8 octets, and the type has 6 */
        buf_put(&text, STR("\xe7\x94\xa8"));
    buf_putc(&text, '\0');
    rcpt_as(given, text.p, true, text.p, true);
    rcpt_as(given, text.p, true, "", false);
    buf_done(&text);
}

static void a_full_arena_is_told(void **state)
{
    struct given *given = *state;
    struct esmtp_params params;
    struct arena small;
    arena_init(&small, 1);
    esmtp_params_parse(STR(" ORCPT=utf-8;abcdefghijkl ENVID=abcdefghijkl"), &params);
    assert_int_equal(rcpt_options_take(&given->rcpt, &params.at[0], false, &small).code,
                     ERR_OVER_LIMIT);
    assert_int_equal(mail_options_take(&given->mail, &params.at[1], NOW, &small).code,
                     ERR_OVER_LIMIT);
    arena_done(&small);
}

static void nothing_asked_is_nothing_kept(void **state)
{
    struct given *given = *state;
    struct mail_options mail;
    struct rcpt_options rcpt;
    assert_false(err_is(take(given, " MT-PRIORITY=0", false, false)));
    assert_str(mail_options_keep(&given->mail, &given->arena), STR(""));
    assert_false(err_is(take(given, "", true, false)));
    assert_str(rcpt_options_keep(&given->rcpt, &given->arena), STR(""));
    assert_true(mail_options_read(STR(""), &mail) && rcpt_options_read(STR(""), &rcpt));
    assert_int_equal(mail.priority + rcpt.notify, 0);
}

/* RFC 8689 3: of the header, and never a parameter. */
static void that_TLS_is_optional_is_kept_and_not_said(void **state)
{
    struct given *given = *state;
    struct mail_options mail = {.tls_optional = true};
    struct str kept = mail_options_keep(&mail, &given->arena);
    assert_true(kept.n > 0 && mail_options_read(kept, &given->mail));
    assert_true(given->mail.tls_optional && !given->mail.require_tls);
    buf_clear(&given->out);
    mail_options_print(&given->out, &given->mail, &everything, NOW);
    assert_str(buf_str(&given->out), STR(""));
    mail.require_tls = true;
    assert_false(mail_options_possible(&mail));
}

static void what_is_kept_is_read(void **state)
{
    static const char *const texts[] = {" RET=FULL", " ENVID=x",       " HOLDFOR=1",
                                        " BY=1;N",   " MT-PRIORITY=1", " REQUIRETLS"};
    struct given *given = *state;
    struct mail_options mail;
    struct rcpt_options rcpt;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_false(err_is(take(given, texts[i], false, false)));
        struct str kept = mail_options_keep(&given->mail, &given->arena);
        assert_true(kept.n > 0 && mail_options_read(kept, &mail));
        assert_str(mail_options_keep(&mail, &given->arena), kept);
        assert_false(mail_options_read(str_head(kept, kept.n - 1), &mail));
    }
    assert_false(err_is(take(given, " ORCPT=a;b", true, false)));
    struct str kept = rcpt_options_keep(&given->rcpt, &given->arena);
    assert_true(rcpt_options_read(kept, &rcpt));
    assert_str(rcpt.orcpt, STR("a;b"));
    assert_false(rcpt_options_read(str_head(kept, kept.n - 1), &rcpt));
    assert_false(err_is(take(given, " NOTIFY=NEVER", true, false)));
    assert_true(rcpt_options_keep(&given->rcpt, &given->arena).n > 0);
}

/* The longest there is: no record is longer than was said. */
static void records_have_a_limit(void **state)
{
    struct given *given = *state;
    char text[ORCPT_MAX + 1];
    memset(text, 'x', sizeof(text));
    text[1] = ';';
    struct mail_options mail = {.ret = DSN_RETURN_FULL,
                                .envid = str_make(text, ENVID_MAX),
                                .hold_until = INT64_C(253402300799),
                                .hold_for = HOLD_MAX,
                                .deliver_by_mode = DELIVER_BY_NOTIFY,
                                .deliver_by = INT64_C(253402300799)};
    struct rcpt_options rcpt = {.notify = DSN_NOTIFY_NEVER, .orcpt = str_make(text, ORCPT_MAX)};
    assert_true(mail_options_possible(&mail) && rcpt_options_possible(&rcpt));
    struct str kept = mail_options_keep(&mail, &given->arena);
    assert_in_range(kept.n, ENVID_MAX, MAIL_OPTIONS_KEPT_MAX);
    kept = rcpt_options_keep(&rcpt, &given->arena);
    assert_in_range(kept.n, ORCPT_MAX, RCPT_OPTIONS_KEPT_MAX);
    rcpt.orcpt.n++;
    assert_false(rcpt_options_possible(&rcpt));
}

static bool decodes(struct str record, bool of_rcpt)
{
    struct wire_in in = wire_in(record);
    struct mail_options one;
    struct rcpt_options two;
    if (of_rcpt)
        rcpt_options_decode(&in, &two);
    else
        mail_options_decode(&in, &one);
    return wire_end(&in);
}

static void damaged_records_are_told(void **state)
{
    (void)state;
    assert_true(decodes(STR("\1\0\0\0\0\0"), false));
    assert_false(decodes(STR("\2\0\0\0\0\0"), false));   /* another version */
    assert_false(decodes(STR("\1\3\0\0\0\0"), false));   /* RET */
    assert_false(decodes(STR("\1\x0c\0\0\0\1"), false)); /* a mode of BY */
    assert_false(decodes(STR("\1\0\0\0\0\1"), false));   /* a time without a mode */
    assert_false(decodes(STR("\1\xa0\0\0\0\0"), false)); /* REQUIRETLS and its contrary */
    assert_false(decodes(STR("\1\0\x0a\0\0\0"), false)); /* a priority of 10 */
    assert_false(decodes(STR("\1\x40\0\0\0\0\1\n"), false));
    assert_false(decodes(STR("\1\0\0\0\0"), false));
    assert_true(decodes(STR("\1\0\0"), true));
    assert_false(decodes(STR("\2\0\0"), true));
    assert_false(decodes(STR("\1\3\0"), true)); /* NEVER and SUCCESS */
    assert_false(decodes(STR("\1\x10\0"), true));
    assert_false(decodes(STR("\1\0\4a;b\n"), true));
    assert_false(decodes(STR("\1\0\1a"), true));
}

#define with(test) cmocka_unit_test_setup_teardown(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(what_was_taken_is_said_again),
        with(a_time_to_hold_is_absolute_and_not_passed_on),
        with(the_time_that_is_left_is_said),
        with(only_what_the_peer_can_is_said),
        with(other_parameters_are_not_ours),
        with(malformed_values_are_refused),
        with(envid_and_orcpt_have_limits),
        with(a_hold_ends_before_the_delivery_is_due),
        with(recipients_say_when_to_be_told),
        with(original_recipients_are_kept_decoded),
        with(original_recipients_may_be_utf8),
        with(utf8_in_xtext_is_utf8),
        with(malformed_utf8_recipients_are_refused),
        with(what_grew_too_long_is_left_out),
        with(a_full_arena_is_told),
        with(damaged_records_are_told),
        with(nothing_asked_is_nothing_kept),
        with(that_TLS_is_optional_is_kept_and_not_said),
        with(what_is_kept_is_read),
        with(records_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
