/* The small configuration: what it says, and what is wrong with it, by its line. */
#include "cli/send_conf.h"

#include "base/test.h"
#include "conf/conf.h"

enum {
    ROOM = 1 << 20
};

static struct arena arena;
static struct send_conf conf;
static struct buf trouble;

static bool parsed(const char *text)
{
    buf_clear(&trouble);
    arena_reset(&arena);
    return !err_is(send_conf_parse(str_from(text), STR("send.conf"), STR("/etc/veredus"), &arena,
                                   &conf, &trouble));
}

static void what_it_says(void **state)
{
    (void)state;
    assert_true(parsed("# the provider\nhost = smtp.example.com\nuser = \"me # one\" # his name\r\n"
                       "password_file = pw\nfrom = Me@Example.com\nrewrite_from = yes\n"));
    assert_str(conf.host, STR("smtp.example.com"));
    assert_int_equal(conf.port, 587);
    assert_int_equal(conf.tls, CONF_ROUTE_TLS_VERIFIED);
    assert_str(conf.password_file, STR("/etc/veredus/pw"));
    assert_str(conf.from, STR("Me@example.com"));
    assert_true(conf.rewrite_from);
    assert_true(parsed("host=[192.0.2.1]\ntls=implicit"));
    assert_int_equal(conf.port, 465);
    assert_true(parsed("host = h.example\nport = 2525\ntls = off\nauthorities = /x/y\n"));
    assert_int_equal(conf.port, 2525);
    assert_int_equal(conf.tls, CONF_ROUTE_TLS_OFF);
    assert_str(conf.authorities, STR("/x/y"));
}

static void what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *trouble;
    } rows[] = {
        {"host = a.example\nprot = 1\n", "send.conf:2: there is no setting prot\n"},
        {"host = a.example\nport = 0\n", "send.conf:2: port: expected a port\n"},
        {"host = a.example\nport = 65536\n", "send.conf:2: port: expected a port\n"},
        {"tls = maybe\nhost = a b\n",
         "send.conf:1: tls: expected verified, implicit, required or "
         "off\nsend.conf:2: host: expected a host name or [address]\n"},
        {"", "send.conf: host is missing\n"},
        {"host = a.example\nrewrite_from = yes\n", "send.conf: rewrite_from needs from\n"},
        {"host = a.example\nuser = x\n", "send.conf: user needs password_file\n"},
        {"host = a.example\nfrom = me\n", "send.conf:2: from: expected a mail address\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(parsed(rows[i].text));
        assert_str(buf_str(&trouble), str_from(rows[i].trouble));
    }
}

int main(void)
{
    arena_init(&arena, ROOM);
    buf_init(&trouble, ROOM);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(what_is_wrong),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    buf_done(&trouble);
    return failed;
}
