#include "base/test.h"

#include "conf/conf.h"

enum {
    ENOUGH = CONF_TEXT_MAX + 1
};

/* In the order of conf.def. */
#define BLOCKS                                                                                     \
    "smtp, lmtp, submission, sending, pop3, http, login, tls, dkim, store, terminal, dns, "        \
    "certificate, precedence, terminal_user, zone, "                                               \
    "dns_list, list, domain, route"

struct given {
    struct arena arena;
    struct conf conf;
    struct conf_trouble trouble;
    struct buf text;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.text = BUF_INIT(ENOUGH), .trouble = {BUF_INIT(ENOUGH)}};
    arena_init(&given.arena, CONF_ARENA);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->text);
    buf_done(&given->trouble.text);
    return 0;
}

static enum err_code parse(struct given *given, struct str text)
{
    buf_done(&given->trouble.text);
    arena_reset(&given->arena);
    return conf_parse(text, STR("f"), STR("/etc/veredus"), &given->arena, &given->conf,
                      &given->trouble)
        .code;
}

static const struct conf *taken(struct given *given, struct str text)
{
    enum err_code code = parse(given, text);
    assert_str(buf_str(&given->trouble.text), STR(""));
    assert_int_equal(code, ERR_NONE);
    return &given->conf;
}

static void refused(struct given *given, struct str text, struct str messages)
{
    assert_int_equal(parse(given, text), ERR_CONFIG);
    assert_str(buf_str(&given->trouble.text), messages);
}

/* --- What is taken --------------------------------------------------------------------------- */

static void an_empty_file_is_all_defaults(void **state)
{
    const struct conf *conf = taken(*state, STR(""));
    assert_str(conf->server.data, STR("/var/lib/veredus"));
    assert_str(conf->server.hostname, STR(""));
    assert_str(conf->server.plus, STR("+"));
    assert_int_equal(conf->server.language, LANGUAGE_ENGLISH);
    assert_int_equal(conf->smtp.message_size, 50 << 20);
    assert_int_equal(conf->smtp.command_timeout, INT64_C(300000000000));
    assert_int_equal(conf->smtp.listen.count, 1);
    assert_str(conf->smtp.listen.addresses[0], STR("*:25"));
    assert_int_equal(conf->lmtp.listen.count, 0);
    assert_int_equal(conf->smtp.verify, CONF_VERIFY_AMBIGUOUS);
    assert_true(conf->store.prefill);
    assert_int_equal(conf->smtp.verify_from.count, 2);
}

static void a_file_reads_as_an_administrator_writes_it(void **state)
{
    const struct conf *conf = taken(*state, STR("# ours\n"
                                                "hostname = Mail.Example.Test # unquoted\r\n"
                                                "data = \"data\"\n"
                                                "control = '/run/\"v\\v'\n"
                                                "log = journal plus = \"\" language = zh\n"
                                                "postmaster = alice@example.test\n"
                                                "smtp { listen = {\"*:2525\" [::1]:2526,\n"
                                                "127.0.0.1:2527}  message_size = 10k }\n"
                                                "lmtp{listen=127.0.0.1:2424}\n"
                                                "smtp { verify_from = {} processes = 3\n"
                                                "    greeting_delay = 1500ms }\n"
                                                "store { prefill = no }"));
    assert_str(conf->server.hostname, STR("mail.example.test"));
    assert_str(conf->server.data, STR("/etc/veredus/data"));
    assert_str(conf->server.control, STR("/run/\"v\\v"));
    assert_int_equal(conf->server.log, CONF_LOG_JOURNAL);
    assert_str(conf->server.plus, STR(""));
    assert_int_equal(conf->server.language, LANGUAGE_CHINESE);
    assert_str(conf->server.postmaster, STR("alice@example.test"));
    assert_int_equal(conf->smtp.listen.count, 3);
    assert_str(conf->smtp.listen.addresses[1], STR("[::1]:2526"));
    assert_int_equal(conf->smtp.message_size, 10240);
    assert_str(conf->lmtp.listen.addresses[0], STR("127.0.0.1:2424"));
    assert_int_equal(conf->smtp.verify_from.count, 0);
    assert_int_equal(conf->smtp.processes, 3);
    assert_int_equal(conf->smtp.greeting_delay, INT64_C(1500000000));
    assert_false(conf->store.prefill);
}

static void ranges_hold_at_their_ends(void **state)
{
    taken(*state, STR("smtp { processes = 1 message_size = 1K command_timeout = 1s }"));
    taken(*state, STR("smtp { processes = 64 message_size = 2G command_timeout = 1h }"));
    refused(*state, STR("smtp { processes = 0 }"),
            STR("f:1: smtp.processes: \"0\" is too small; expected a number from 1 to 64\n"));
    refused(*state, STR("smtp { processes = 65 }"),
            STR("f:1: smtp.processes: \"65\" is too large; expected a number from 1 to 64\n"));
    refused(*state, STR("smtp { message_size = 1023 }"),
            STR("f:1: smtp.message_size: \"1023\" is too small; expected a size such as 50M, 512K "
                "or 1G, from 1K to 2G\n"));
    refused(*state, STR("smtp { command_timeout = 3601s }"),
            STR("f:1: smtp.command_timeout: \"3601s\" is too large; expected a time such as "
                "500ms, 30s, 5m, 1h or 2d, from 1s to 1h\n"));
}

/* --- What is refused, and how it is said ----------------------------------------------------- */

static void all_mistakes_are_told_with_their_lines(void **state)
{
    refused(*state,
            STR("hostnam = x\n"
                "data =\n"
                "smtp {\n"
                "    mesage_size = 5M\n"
                "    message_size = 5Q\n"
                "    verify = opne\n"
                "}\n"
                "log = stdout\n"),
            STR("f:1: hostnam: no such setting; expected one that stands outside of any block; "
                "did you mean hostname?\n"
                "f:2: data: no value; expected one on the line of its =\n"
                "f:4: smtp.mesage_size: no such setting; expected one of the block smtp; did you "
                "mean message_size?\n"
                "f:5: smtp.message_size: \"5Q\" is no size; expected a size such as 50M, 512K or "
                "1G, from 1K to 2G\n"
                "f:6: smtp.verify: \"opne\" is none of the choices; expected ambiguous, open or "
                "off; did you mean open?\n"
                "f:8: log: \"stdout\" is none of the choices; expected stderr, syslog or "
                "journal\n"));
}

static void settings_in_the_wrong_place_are_shown_home(void **state)
{
    refused(*state, STR("message_size = 5M"),
            STR("f:1: message_size: no such setting; expected one that stands outside of any "
                "block; did you mean message_size of the block smtp?\n"));
    refused(*state, STR("smtp { hostname = x }"),
            STR("f:1: smtp.hostname: no such setting; expected one of the block smtp; did you "
                "mean the one outside of any block?\n"));
}

static void blocks_and_settings_are_told_apart(void **state)
{
    refused(*state, STR("smpt {\n nonsense = 1\n more { }\n}\nhostname = a.test"),
            STR("f:1: smpt: no such block; expected one of " BLOCKS "; did you mean smtp?\n"));
    refused(*state, STR("hostname { x = y }"),
            STR("f:1: hostname: a setting, not a block; expected hostname = ...\n"));
    refused(*state, STR("smtp = 25"), STR("f:1: smtp: a block; expected { behind its name\n"));
    taken(*state, STR("smtp\n{\n}"));
}

static void the_structure_is_checked(void **state)
{
    refused(*state, STR("\nsmtp {\n  hops = 20\n"),
            STR("f:2: smtp: the block does not end; expected } behind its settings\n"));
    refused(*state, STR("}\n"), STR("f:1: a } without its {; expected NAME = VALUE\n"));
    refused(*state, STR("data = a b\n"),
            STR("f:1: data: several words; expected one, or \"one in quotes\", or { a, list }\n"));
    refused(*state, STR("data = \"abc\n\n"),
            STR("f:1: data: a quote that does not end on its line; expected plain words or "
                "\"text in quotes\"\n"));
    refused(*state, STR("data = a;\n"),
            STR("f:1: no ; is needed; expected plain words or \"text in quotes\"\n"));
    refused(*state, STR("data\nlog = stderr\n"),
            STR("f:1: data: no value; expected = behind the name\n"));
    refused(*state, STR("data = { a b }\n"),
            STR("f:1: data: takes one value, without braces; expected a path\n"));
    refused(*state, STR("smtp {\n listen = { \"*:25\"\n hops = 9\n}\n"),
            STR("f:3: smtp.listen: a list without its end; expected } behind the values\n"));
    refused(*state, STR("data = /a\ndata = /b\n"),
            STR("f:2: data: set a second time; expected it once, it stands in line 1 already\n"));
}

static void nothing_is_included_or_expanded(void **state)
{
    const struct conf *conf = taken(*state, STR("data = \"/${HOME}/$HOME/`id`\""));
    assert_str(conf->server.data, STR("/${HOME}/$HOME/`id`"));
    refused(*state, STR("include(\"/etc/passwd\")\n"),
            STR("f:1: include(: no value; expected = behind the name\n"));
}

static void a_strangers_text_in_a_message_is_escaped(void **state)
{
    refused(*state, STR("da\xe2\x80\xaeta = x\n"),
            STR("f:1: da\\u{202e}ta: no such setting; expected one that stands outside of any "
                "block\n"));
    refused(*state, STR("data = \"a\x1b[2J\"\n"),
            STR("f:1: data: a control character or text that is not UTF-8; expected plain words "
                "or \"text in quotes\"\n"));
    refused(*state, STR("data = a\0b\n"),
            STR("f:1: a control character; expected plain words or \"text in quotes\"\n"));
}

static void values_are_checked(void **state)
{
    static const struct str wrong[] = {
        STR_INIT("hostname = a..b"),
        STR_INIT("hostname = \"a b\""),
        STR_INIT("data = \"\""),
        STR_INIT("postmaster = alice"),
        STR_INIT("plus = ++"),
        STR_INIT("language = fr"),
        STR_INIT("plus = a"),
        STR_INIT("plus = @"),
        STR_INIT("log = \"\""),
        STR_INIT("store { prefill = maybe }"),
        STR_INIT("store { prefill = Yes }"),
        STR_INIT("smtp { processes = -1 }"),
        STR_INIT("smtp { processes = 2K }"),
        STR_INIT("smtp { processes = 99999999999999999999 }"),
        STR_INIT("smtp { message_size = 99999999999999999G }"),
        STR_INIT("smtp { message_size = 1.5G }"),
        STR_INIT("smtp { message_size = \"\" }"),
        STR_INIT("smtp { command_timeout = 5 }"),
        STR_INIT("smtp { listen = localhost:25 }"),
        STR_INIT("smtp { listen = 127.0.0.1 }"),
        STR_INIT("smtp { listen = 127.0.0.1:0 }"),
        STR_INIT("smtp { listen = 127.0.0.1:65536 }"),
        STR_INIT("smtp { listen = ::1:25 }"),
        STR_INIT("smtp { listen = [127.0.0.1]:25 }"),
        STR_INIT("smtp { listen = [::1:25 }"),
        STR_INIT("dns { forwarders = dns.example }"),
        STR_INIT("dns { forwarders = 192.0.2.53:0 }"),
        STR_INIT("dns { forwarders = 192.0.2.53:65536 }"),
        STR_INIT("dns { forwarders = 192.0.2.53: }"),
        STR_INIT("dns { forwarders = 192.0.2.0/24 }"),
        STR_INIT("dns { forwarders = [192.0.2.53]:53 }"),
        STR_INIT("dns { forwarders = [::1:53 }"),
        STR_INIT("dns { forwarders = ::1@53 }"),
        STR_INIT("dns { forwarders = * }"),
        STR_INIT("dns { questions = 1 }"),
        STR_INIT("zone example.test { }"),
        STR_INIT("zone a..b { servers = 192.0.2.53 }"),
        STR_INIT("smtp { verify_from = 10.1.2.3/8 }"),
        STR_INIT("smtp { verify_from = 10.0.0.0/33 }"),
        STR_INIT("smtp { verify_from = ::1/129 }"),
        STR_INIT("smtp { verify_from = 10.0.0/8 }"),
        STR_INIT("smtp { verify_from = 10.0.0.0/ }"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (parse(*state, wrong[i]) != ERR_CONFIG)
            print_error("taken: %.*s\n", STR_FMT(wrong[i]));
        assert_int_equal(parse(*state, wrong[i]), ERR_CONFIG);
    }
}

/* Kept in one form, whichever way they are written. */
static void servers_have_a_port(void **state)
{
    struct given *given = *state;
    static const struct str kept[] = {STR_INIT("192.0.2.53:53"), STR_INIT("192.0.2.53:5353"),
                                      STR_INIT("[2001:db8::53]:53"), STR_INIT("[::1]:53"),
                                      STR_INIT("[::1]:65535")};
    const struct conf *conf =
        taken(given, STR("dns { forwarders = { 192.0.2.53, 192.0.2.53:5353 2001:db8::53 "
                         "[::1] \"[::1]:65535\" } }\n"
                         "zone Example.Test { servers = 127.0.0.1:5300 dnssec = no }\n"
                         "zone 2.0.192.in-addr.arpa { servers = ::1 }\n"));
    assert_int_equal(conf->dns.forwarders.count, sizeof(kept) / sizeof(kept[0]));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        assert_str(conf->dns.forwarders.list[i], kept[i]);
    assert_int_equal(conf->zone_count, 2);
    assert_str(conf->zones[0].name, STR("example.test"));
    assert_str(conf->zones[0].servers.list[0], STR("127.0.0.1:5300"));
    assert_false(conf->zones[0].dnssec);
    assert_str(conf->zones[1].servers.list[0], STR("[::1]:53"));
    assert_true(conf->zones[1].dnssec);
    buf_clear(&given->text);
    conf_print(conf, false, &given->text);
    struct str text = buf_copy(&given->text, &given->arena);
    assert_true(str_find(text, STR("\"[2001:db8::53]:53\"")) > 0);
    assert_int_equal(parse(given, buf_str(&given->text)), ERR_NONE);
    assert_str(given->conf.dns.forwarders.list[4], kept[4]);
}

static void lists_end_at_their_limit(void **state)
{
    struct given *given = *state;
    for (int n = CONF_LISTEN_MOST; n <= CONF_LISTEN_MOST + 1; n++) {
        buf_clear(&given->text);
        buf_put(&given->text, STR("smtp { listen = {"));
        for (int i = 0; i < n; i++)
            buf_printf(&given->text, " *:%d", i + 1);
        buf_put(&given->text, STR("} }"));
        assert_int_equal(parse(given, buf_str(&given->text)),
                         n <= CONF_LISTEN_MOST ? ERR_NONE : ERR_CONFIG);
    }
}

static void many_mistakes_are_cut(void **state)
{
    struct given *given = *state;
    for (int i = 0; i < CONF_TROUBLE_MOST + 7; i++)
        buf_put(&given->text, STR("x = y\n"));
    assert_int_equal(parse(given, buf_str(&given->text)), ERR_CONFIG);
    assert_true(str_ends(buf_str(&given->trouble.text), STR("\nand 7 more\n")));
}

static void a_file_has_a_largest_size(void **state)
{
    struct given *given = *state;
    for (size_t n = CONF_TEXT_MAX; n <= CONF_TEXT_MAX + 1; n++) {
        buf_clear(&given->text);
        while (given->text.n < n)
            buf_putc(&given->text, '\n');
        assert_int_equal(parse(given, buf_str(&given->text)),
                         n <= CONF_TEXT_MAX ? ERR_NONE : ERR_CONFIG);
    }
}

/* --- Printing -------------------------------------------------------------------------------- */

static void what_is_printed_is_read_back(void **state)
{
    struct given *given = *state;
    static const struct str text = STR_INIT("data = \"/a \\\"b\\\\\"\n"
                                            "smtp {\n"
                                            "    listen = {\"*:26\", \"[::1]:25\"}\n"
                                            "    message_size = 3M\n"
                                            "    command_timeout = 90s\n"
                                            "    bare_newlines_from = {10.0.0.0/8, 192.0.2.1, "
                                            "2001:db8::/32}\n"
                                            "    verify = off\n"
                                            "}\n"
                                            "store {\n"
                                            "    prefill = no\n"
                                            "}\n");
    conf_print(taken(given, text), false, &given->text);
    assert_str(buf_str(&given->text), text);
    struct buf all = BUF_INIT(ENOUGH);
    conf_print(&given->conf, true, &all);
    buf_clear(&given->text);
    conf_print(taken(given, buf_str(&all)), false, &given->text);
    assert_str(buf_str(&given->text), text);
    buf_done(&all);
}

static void defaults_print_as_nothing(void **state)
{
    struct given *given = *state;
    conf_print(taken(given, STR("smtp { hops = 50 }")), false, &given->text);
    assert_str(buf_str(&given->text), STR(""));
}

static void restarts_are_named(void **state)
{
    struct given *given = *state;
    struct conf old = *taken(given, STR(""));
    struct arena arena;
    struct conf_trouble trouble;
    arena_init(&arena, CONF_ARENA);
    assert_int_equal(conf_parse(STR("data = /x\nsmtp { listen = {} hops = 99 }"), STR("f"),
                                STR("/"), &arena, &given->conf, &trouble)
                         .code,
                     ERR_NONE);
    conf_needs_restart(&old, &given->conf, &given->text);
    assert_str(buf_str(&given->text), STR("data, smtp.listen"));
    conf_keep(&old, &given->conf);
    buf_clear(&given->text);
    conf_print(&given->conf, false, &given->text);
    assert_str(buf_str(&given->text), STR("smtp {\n    hops = 99\n}\n"));
    buf_done(&trouble.text);
    arena_done(&arena);
}

static void networks_hold_what_they_should(void **state)
{
    const struct conf *conf =
        taken(*state, STR("smtp { verify_from = { 10.0.0.0/9 192.0.2.7 2001:db8::/33 } }"));
    const struct conf_networks *networks = &conf->smtp.verify_from;
    assert_true(conf_networks_hold(networks, STR("10.127.255.255")));
    assert_false(conf_networks_hold(networks, STR("10.128.0.0")));
    assert_true(conf_networks_hold(networks, STR("192.0.2.7")));
    assert_true(conf_networks_hold(networks, STR("::ffff:192.0.2.7")));
    assert_false(conf_networks_hold(networks, STR("192.0.2.6")));
    assert_true(conf_networks_hold(networks, STR("2001:db8:7fff::1")));
    assert_false(conf_networks_hold(networks, STR("2001:db8:8000::1")));
    assert_false(conf_networks_hold(networks, STR("")));
    assert_false(conf_networks_hold(networks, STR("10.0.0.0/9")));
    conf = taken(*state, STR("smtp { verify_from = 0.0.0.0/0 }"));
    assert_true(conf_networks_hold(&conf->smtp.verify_from, STR("203.0.113.9")));
    assert_false(conf_networks_hold(&conf->smtp.verify_from, STR("2001:db8::1")));
}

static void the_manual_has_every_setting(void **state)
{
    struct given *given = *state;
    conf_manual(&given->text);
    assert_false(buf_over(&given->text));
#define SETTING(section, name, type, standard, least, most, reload, help)                          \
    assert_true(str_find(buf_str(&given->text), STR("\n.It Ic " #name "\n")) > 0);
#include "conf/conf.def"
}

/* --- Changes --------------------------------------------------------------------------------- */

/* From one file to another, NULL: from the defaults. */
static struct str changes(struct given *given, const char *before, const char *after, size_t most)
{
    struct conf old;
    struct arena arena;
    struct conf_trouble trouble;
    arena_init(&arena, CONF_ARENA);
    if (before)
        assert_false(
            err_is(conf_parse(str_from(before), STR("f"), STR("/"), &arena, &old, &trouble)));
    taken(given, str_from(after));
    buf_clear(&given->text);
    conf_changes(before ? &old : NULL, &given->conf, most, &given->text);
    if (before)
        buf_done(&trouble.text);
    arena_done(&arena);
    return buf_str(&given->text);
}

static void changes_are_named(void **state)
{
    static const char *const before = "hostname = a.example\n"
                                      "smtp { hops = 50 verify_from = @near }\n"
                                      "list near { networks = 10.0.0.0/8 }\n"
                                      "list file { files = 10.0.0.7 }\n"
                                      "domain b.example { backup = yes }\n";
    struct given *given = *state;
    assert_str(changes(given, before, before, ENOUGH), STR(""));
    assert_str(changes(given, NULL, before, ENOUGH),
               STR("hostname = a.example, smtp.verify_from = {@near}, "
                   "list.near.networks = {10.0.0.0/8}, list.file.files = {10.0.0.7}, "
                   "domain.b.example.backup = yes"));
    assert_str(changes(given, before,
                       "smtp { hops = 60 verify_from = @near message_size = 1M }\n"
                       "list near { networks = { 10.0.0.0/8 192.0.2.1 } }\n"
                       "list file { files = 10.0.0.8 }\n"
                       "list far { networks = 192.0.2.2 }\n",
                       ENOUGH),
               STR("hostname is empty, smtp.message_size = 1M, smtp.hops = 60, "
                   "list.near.networks = {10.0.0.0/8, 192.0.2.1}, "
                   "list.file.files = {10.0.0.8}, list.far.networks = {192.0.2.2}, "
                   "domain.b.example is gone"));
}

static void long_values_are_named_without_them(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    buf_put(&text, STR("smtp { verify_from = {"));
    for (int i = 0; i < 50; i++)
        buf_printf(&text, " 10.0.0.%d", i);
    buf_put(&text, STR(" } }"));
    buf_putc(&text, '\0');
    assert_str(changes(given, "", text.p, ENOUGH), STR("smtp.verify_from"));
    buf_done(&text);
}

static void many_changes_are_counted(void **state)
{
    enum {
        MOST = 200,
        LISTS = 100
    };
    struct given *given = *state;
    struct buf text = BUF_INIT(ENOUGH);
    for (int i = 0; i < LISTS; i++)
        buf_printf(&text, "list l%02d { networks = 10.0.0.1 }\n", i);
    buf_putc(&text, '\0');
    struct str told = changes(given, "", text.p, MOST);
    assert_in_range(told.n, MOST / 2, MOST);
    assert_true(str_starts(told, STR("list.l00.networks = {10.0.0.1}, list.l01.networks = ")));
    assert_true(str_ends(told, STR("{10.0.0.1}, and 95 more")));
    assert_str(changes(given, "", text.p, 40), STR("100 more"));
    buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_file_is_all_defaults),
        TEST(a_file_reads_as_an_administrator_writes_it),
        TEST(ranges_hold_at_their_ends),
        TEST(all_mistakes_are_told_with_their_lines),
        TEST(settings_in_the_wrong_place_are_shown_home),
        TEST(blocks_and_settings_are_told_apart),
        TEST(the_structure_is_checked),
        TEST(nothing_is_included_or_expanded),
        TEST(a_strangers_text_in_a_message_is_escaped),
        TEST(values_are_checked),
        TEST(servers_have_a_port),
        TEST(lists_end_at_their_limit),
        TEST(many_mistakes_are_cut),
        TEST(a_file_has_a_largest_size),
        TEST(what_is_printed_is_read_back),
        TEST(defaults_print_as_nothing),
        TEST(restarts_are_named),
        TEST(changes_are_named),
        TEST(long_values_are_named_without_them),
        TEST(many_changes_are_counted),
        TEST(networks_hold_what_they_should),
        TEST(the_manual_has_every_setting),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
