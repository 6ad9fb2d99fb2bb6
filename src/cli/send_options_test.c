/* The words of `veredus send`, its times, and the types of files. */
#include "cli/send_options.h"

#include "base/test.h"

static struct arena arena;
static struct send_options options;
static struct buf why;

static bool parsed(int argc, const char *const *words)
{
    buf_clear(&why);
    arena_reset(&arena);
    char *argv[20] = {(char *)(uintptr_t) "send"};
    for (int i = 0; i < argc; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    return send_options_parse(argc + 1, argv, &arena, &options, &why);
}

static void options_and_recipients_in_any_order(void **state)
{
    (void)state;
    static const char *const words[] = {"-s", "Hi", "a@b.example", "--attach",  "x.pdf",      "-a",
                                        "y",  "-c", "c@d.example", "--receipt", "--priority", "low",
                                        "--", "-b"};
    assert_true(parsed(14, words));
    assert_str(options.subject, STR("Hi"));
    assert_int_equal(options.to.count, 2);
    assert_str(options.to.at[1], STR("-b"));
    assert_int_equal(options.files.count, 2);
    assert_int_equal(options.cc.count, 1);
    assert_true(options.receipt);
    assert_int_equal(options.priority, COMPOSE_LOW);
    assert_true(!options.require_tls && !options.tls_optional);
    static const char *const tls[] = {"--require-tls", "a@b.example", "--tls-optional"};
    assert_true(parsed(3, tls));
    assert_true(options.require_tls && options.tls_optional && options.to.count == 1);
    static const char *const flush[] = {"--flush"};
    assert_true(parsed(1, flush));
    assert_int_equal(options.what, SEND_FLUSH);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"--what", "x"}, {"x", "-s"}, {"--priority", "urgent"}, {"-x", "y"}, {"x", "--at"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(parsed(2, wrong[i]));
        assert_true(why.n > 0);
    }
}

static void times_are_to_come(void **state)
{
    (void)state;
    int64_t time, now = 1795240637; /* 2026-11-21T05:57:17Z */
    assert_true(send_time_parse(STR("+30m"), now, &time));
    assert_int_equal(time, now + 1800);
    assert_true(send_time_parse(STR("+3d"), now, &time));
    assert_int_equal(time, now + 3 * 86400);
    assert_true(send_time_parse(STR("2026-11-21T07:00:00+01:00"), now, &time));
    assert_int_equal(time, now + 163);
    static const char *const wrong[] = {
        "", "+", "30m", "+0s", "+3w", "tomorrow", "+-1h", "2026-11-21T05:57:17Z", "+99999999999d"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(send_time_parse(str_from(wrong[i]), now, &time));
}

static void types_by_the_system_s_table(void **state)
{
    (void)state;
    struct str table = STR("# comment\ttxt\napplication/pdf\t\t\tpdf\nimage/jpeg\tjpeg jpg jpe\n"
                           "text/none\n");
    assert_str(send_type(table, STR("/a/B.PDF")), STR("application/pdf"));
    assert_str(send_type(table, STR("x.jpg")), STR("image/jpeg"));
    assert_str(send_type(table, STR("x.txt")), STR(""));
    assert_str(send_type(table, STR("pdf")), STR(""));
    assert_str(send_type(table, STR("x.")), STR(""));
}

int main(void)
{
    arena_init(&arena, 1 << 20);
    buf_init(&why, 4096);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_recipients_in_any_order),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(times_are_to_come),
        cmocka_unit_test(types_by_the_system_s_table),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    buf_done(&why);
    return failed;
}
