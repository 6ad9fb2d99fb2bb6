/* Command lines as programs of Debian 12 write them. */
#include "cli/sendmail_options.h"

#include "base/test.h"

static struct sendmail_options options;
static struct buf why;

static bool parsed(const char *line)
{
    static char room[1000];
    char *argv[32] = {room};
    int argc = 0;
    snprintf(room, sizeof room, "sendmail %s", line);
    for (char *word = room; word && argc < 31;) {
        argv[argc++] = word;
        word = strchr(word, ' ');
        if (word)
            *word++ = '\0';
    }
    buf_clear(&why);
    return sendmail_options_parse(argc, argv, &options, &why);
}

static void callers_of_debian_12(void **state)
{
    (void)state;
    assert_true(parsed("-FCronDaemon -i -B8BITMIME -oem root")); /* cron */
    assert_str(options.full_name, STR("CronDaemon"));
    assert_true(options.dots_stay && !options.from_header);
    assert_int_equal(options.first, 5);
    assert_true(parsed("-t -i")); /* PHP; mdadm: -t */
    assert_true(options.from_header && options.dots_stay);
    assert_true(parsed("-oem -oi -f me@a.example -- you@b.example")); /* mutt */
    assert_str(options.sender, STR("me@a.example"));
    assert_true(options.dots_stay);
    assert_int_equal(options.first, 6);
    assert_true(parsed("-i you@b.example")); /* git send-email */
    assert_true(parsed("-bs"));
    assert_int_equal(options.mode, SENDMAIL_SMTP);
    assert_true(parsed("-ti -fme@a.example -odb -om -G -Am -v -OErrorMode=m"));
    assert_str(options.sender, STR("me@a.example"));
    assert_true(options.loud);
    assert_true(parsed("-q30m"));
    assert_int_equal(options.mode, SENDMAIL_RETRY);
    assert_true(parsed("-bp"));
    assert_int_equal(options.mode, SENDMAIL_QUEUE);
}

static void what_dsn_asks_for(void **state)
{
    (void)state;
    assert_true(parsed("-N success,delay -R hdrs -V abc x@y.example"));
    assert_int_equal(options.notify, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY);
    assert_int_equal(options.ret, DSN_RETURN_HEADERS);
    assert_str(options.envid, STR("abc"));
    assert_true(parsed("-Nnever -Rfull x@y.example"));
    assert_int_equal(options.notify, DSN_NOTIFY_NEVER);
    assert_int_equal(options.ret, DSN_RETURN_FULL);
}

static void named_options(void **state)
{
    (void)state;
    assert_true(parsed("-O RequireTLS x@y.example"));
    assert_true(options.require_tls && !options.dots_stay);
    assert_int_equal(options.first, 3);
    assert_true(parsed("-Orequiretls=yes -OIgnoreDots=true x@y.example"));
    assert_true(options.require_tls && options.dots_stay);
    assert_true(parsed("-O RequireTLS -O RequireTLS=no -O ErrorMode=m x@y.example"));
    assert_false(options.require_tls);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "-x", "-ix", "-bz", "-bd", "-N sometimes", "-N never,delay", "-R half", "-f", "-V", "-N"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(parsed(wrong[i]));
        assert_true(why.n > 0);
    }
}

int main(void)
{
    buf_init(&why, 4096);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_of_debian_12),
        cmocka_unit_test(what_dsn_asks_for),
        cmocka_unit_test(named_options),
        cmocka_unit_test(mistakes_are_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&why);
    return failed;
}
