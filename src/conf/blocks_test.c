/*
 * Blocks with names, and the lists of networks that stand in them or in files.
 */
#include "base/test.h"

#include "conf/networks.h"

enum {
    ENOUGH = CONF_TEXT_MAX + 1,
    MANY = 100000,
    STEPS_MOST = 18, /* to find one of MANY */
};

struct given {
    struct arena arena;
    struct conf conf;
    struct conf_trouble trouble;
    struct buf text, again;
    struct str file; /* what is in /lists/file; null: there is none */
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){
        .text = BUF_INIT(ENOUGH), .again = BUF_INIT(ENOUGH), .trouble = {BUF_INIT(ENOUGH)}};
    arena_init(&given.arena, CONF_ARENA);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->text);
    buf_done(&given->again);
    buf_done(&given->trouble.text);
    return 0;
}

static struct err file_read(void *arg, struct str path, struct buf *to)
{
    struct given *given = arg;
    if (!str_eq(path, STR("/lists/file")) || !given->file.p)
        return err_make(ERR_NOT_FOUND);
    buf_put(to, given->file);
    return err_none();
}

static enum err_code parse(struct given *given, struct str text)
{
    struct conf_reading how = {
        .file = STR("f"), .folder = STR("/lists"), .read = file_read, .arg = given};
    buf_done(&given->trouble.text);
    arena_reset(&given->arena);
    return conf_read(text, &how, &given->arena, &given->conf, &given->trouble).code;
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

/* --- Blocks ---------------------------------------------------------------------------------- */

static void each_block_is_one_of_its_kind(void **state)
{
    const struct conf *conf =
        taken(*state, STR("certificate rsa { chain = a.pem key = /k/a.key }\n"
                          "hostname = mail.example.test certificate \"ec.2\" {\n"
                          "    chain = b.pem\n    key = b.key\n    listeners = { smtp, pop3 }\n"
                          "    names = { Mail.Example.Test *.example.test }\n"
                          "}\n"
                          "domain Example.TEST { }\n"));
    assert_int_equal(conf->certificate_count, 2);
    assert_str(conf->certificates[0].name, STR("rsa"));
    assert_str(conf->certificates[0].chain, STR("/lists/a.pem"));
    assert_str(conf->certificates[0].key, STR("/k/a.key"));
    assert_int_equal(conf->certificates[0].listeners, 0);
    assert_int_equal(conf->certificates[0].line, 1);
    assert_str(conf->certificates[1].name, STR("ec.2"));
    assert_int_equal(conf->certificates[1].listeners,
                     1u << CONF_LISTENER_SMTP | 1u << CONF_LISTENER_POP3);
    assert_int_equal(conf->certificates[1].names.count, 2);
    assert_str(conf->certificates[1].names.list[0], STR("mail.example.test"));
    assert_str(conf->certificates[1].names.list[1], STR("*.example.test"));
    assert_int_equal(conf->domain_count, 1);
    assert_str(conf->domains[0].name, STR("example.test"));
    assert_str(conf->server.hostname, STR("mail.example.test"));
}

static void mistakes_in_blocks_are_told(void **state)
{
    refused(*state,
            STR("certificate a {\n    chian = x\n    key = y\n    listeners = smpt\n}\n"
                "certificate a { chain = x key = y }\n"
                "certificate { chain = x }\n"
                "smtp fast { hops = 20 }\n"
                "list a/b { }\n"
                "domain a..b { }\n"),
            STR("f:2: certificate.a.chian: no such setting; expected one of the block certificate; "
                "did you mean chain?\n"
                "f:4: certificate.a.listeners: \"smpt\" is none of the choices; expected smtp, "
                "submission, pop3 or http, several in braces; did you mean smtp?\n"
                "f:1: certificate.a.chain: not set; expected a path\n"
                "f:6: certificate a: there is one already; expected another name than in line 1\n"
                "f:7: certificate: needs a name; expected certificate NAME { ... }\n"
                "f:8: smtp: has no name; expected { behind it\n"
                "f:9: list: \"a/b\" is no name for a block; expected letters, digits, . _ and -, "
                "64 at most\n"
                "f:10: domain: \"a..b\" is no host name; expected a domain such as "
                "example.test\n"));
    refused(*state, STR("certificate a { chain = \"\" key = x }"),
            STR("f:1: certificate.a.chain: \"\" is no path; expected a path\n"));
}

static void a_kind_has_so_many_blocks(void **state)
{
    struct given *given = *state;
    for (int n = CONF_LISTS_MOST; n <= CONF_LISTS_MOST + 1; n++) {
        buf_clear(&given->text);
        for (int i = 0; i < n; i++)
            buf_printf(&given->text, "list l%d { networks = 10.0.0.%d }\n", i, i % 256);
        assert_int_equal(parse(given, buf_str(&given->text)),
                         n <= CONF_LISTS_MOST ? ERR_NONE : ERR_CONFIG);
    }
    assert_str(buf_str(&given->trouble.text),
               STR("f:257: list l256: too many; expected at most 256\n"));
}

static void blocks_are_read_back(void **state)
{
    struct given *given = *state;
    static const struct str text = STR_INIT("smtp {\n"
                                            "    verify_from = {@office, 2001:db8::/32}\n"
                                            "}\n"
                                            "certificate a {\n"
                                            "    chain = \"/c\"\n"
                                            "    key = \"/k\"\n"
                                            "    listeners = {smtp, submission}\n"
                                            "    names = {\"*.example.test\"}\n"
                                            "}\n"
                                            "list office {\n"
                                            "    networks = {10.0.0.0/8, 192.0.2.1}\n"
                                            "    files = {\"/lists/file\"}\n"
                                            "}\n"
                                            "list empty {\n"
                                            "}\n");
    given->file = STR("198.51.100.0/24\n");
    conf_print(taken(given, text), false, &given->text);
    assert_str(buf_str(&given->text), text);
    conf_print(&given->conf, true, &given->again);
    buf_clear(&given->text);
    conf_print(taken(given, buf_str(&given->again)), false, &given->text);
    assert_str(buf_str(&given->text), text);
}

/* --- Lists ----------------------------------------------------------------------------------- */

static bool may_verify(const struct given *given, const char *address)
{
    return conf_networks_hold(&given->conf.smtp.verify_from, str_from(address));
}

static void lists_stand_where_networks_do(void **state)
{
    struct given *given = *state;
    given->file = STR("# ours\r\n198.51.100.0/24 # all of it\r\n\n\t2001:db8::1");
    taken(given, STR("smtp { verify_from = { 203.0.113.9 @office } }\n"
                     "list office { networks = { 192.0.2.0/24 @branch } }\n"
                     "list branch { networks = 10.0.0.0/8 files = file }\n"));
    assert_true(may_verify(given, "203.0.113.9"));
    assert_true(may_verify(given, "192.0.2.255"));
    assert_true(may_verify(given, "10.255.0.1"));
    assert_true(may_verify(given, "::ffff:198.51.100.7"));
    assert_true(may_verify(given, "2001:db8::1"));
    assert_false(may_verify(given, "2001:db8::2"));
    assert_false(may_verify(given, "198.51.101.0"));
    assert_false(may_verify(given, "127.0.0.1"));
}

/* What the roles get has what was in the files, and says the same. */
static void roles_read_lists_without_files(void **state)
{
    struct given *given = *state;
    struct conf_trouble trouble;
    struct arena arena;
    struct conf roles;
    given->file = STR("198.51.100.0/24\n198.51.100.7\n");
    arena_init(&arena, CONF_ARENA);
    conf_print_whole(
        taken(given, STR("smtp { verify_from = @a }\nlist a { files = { file file } }\n")),
        &given->text);
    assert_str(buf_str(&given->text), STR("smtp {\n    verify_from = {@a}\n}\n"
                                          "list a {\n    files = {198.51.100.0/24}\n}\n"));
    assert_int_equal(
        conf_parse(buf_str(&given->text), STR("r"), str_null(), &arena, &roles, &trouble).code,
        ERR_NONE);
    assert_true(conf_networks_hold(&roles.smtp.verify_from, STR("198.51.100.200")));
    assert_false(conf_networks_hold(&roles.smtp.verify_from, STR("198.51.101.200")));
    buf_done(&trouble.text);
    arena_done(&arena);
}

static void mistakes_of_lists_are_told(void **state)
{
    struct given *given = *state;
    given->file = STR("10.0.0.1\n10.0.0.256\n\n10.0.0.1/8\n@office\n");
    refused(given,
            STR("smtp { verify_from = { @ofice } }\n"
                "list office { files = file\n networks = @a }\n"
                "list a { networks = @b }\n"
                "list b { networks = { @a 10.0.0.0/8 } }\n"
                "list c { networks = @c }\n"
                "list d { files = none }\n"),
            STR("/lists/file:2: \"10.0.0.256\" is no IP address or network; expected an address or "
                "network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32\n"
                "/lists/file:4: \"10.0.0.1/8\" has a length that does not fit, or bits set behind "
                "it; expected "
                "an address or network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32\n"
                "/lists/file:5: \"@office\" is no IP address or network; expected an address or "
                "network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32\n"
                "f:7: list.d.files: cannot read /lists/none: Not found; expected a file of "
                "addresses and networks\n"
                "f:1: smtp.verify_from: no list has the name ofice; expected list NAME { ... } "
                "somewhere in the file; did you mean office?\n"
                "f:4: list.a.networks: leads back to itself; expected other lists\n"
                "f:5: list.b.networks: leads back to itself; expected other lists\n"
                "f:6: list.c.networks: leads back to itself; expected other lists\n"));
}

static void networks_may_overlap(void **state)
{
    struct given *given = *state;
    taken(given, STR("smtp { verify_from = { 10.1.2.3 10.0.0.0/16 10.0.0.0/8 10.0.0.0/8 "
                     "10.1.0.0/16 9.255.255.255 11.0.0.0 0.0.0.0 255.255.255.255 } }"));
    assert_int_equal(given->conf.smtp.verify_from.count, 5);
    assert_true(may_verify(given, "10.1.2.4"));
    assert_true(may_verify(given, "10.255.255.255"));
    assert_true(may_verify(given, "9.255.255.255"));
    assert_false(may_verify(given, "9.255.255.254"));
    assert_true(may_verify(given, "11.0.0.0"));
    assert_false(may_verify(given, "11.0.0.1"));
    assert_true(may_verify(given, "0.0.0.0"));
    assert_true(may_verify(given, "255.255.255.255"));
    taken(given, STR("smtp { verify_from = { ::/0 10.1.2.3 } }"));
    assert_int_equal(given->conf.smtp.verify_from.count, 1);
    assert_true(may_verify(given, "10.1.2.4"));
}

static void many_networks_are_found_in_few_steps(void **state)
{
    struct given *given = *state;
    for (unsigned i = MANY; i-- > 0;)
        buf_printf(&given->again, "10.%u.%u.%u/31\n", i >> 15, i >> 7 & 255, (i & 127) << 1);
    given->file = buf_str(&given->again);
    taken(given, STR("smtp { verify_from = @many }\nlist many { files = file }\n"));
    const struct conf_networks *networks = &given->conf.smtp.verify_from;
    size_t most = 0;
    for (unsigned i = 0; i < MANY + 1000; i += 97) {
        size_t steps = 0;
        char text[64];
        snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) << 1);
        assert_int_equal(networks_hold_counted(networks, str_from(text), &steps), i < MANY);
        most = steps > most ? steps : most;
    }
    assert_in_range(most, 2, STEPS_MOST);
    conf_print_whole(&given->conf, &given->text);
    assert_false(buf_over(&given->text));
}

static void a_file_has_so_many_networks(void **state)
{
    struct given *given = *state;
    for (unsigned n = CONF_NETWORKS_MOST; n <= CONF_NETWORKS_MOST + 1; n++) {
        buf_clear(&given->again);
        for (unsigned i = 0; i < n; i++)
            buf_printf(&given->again, "10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
        given->file = buf_str(&given->again);
        assert_int_equal(parse(given, STR("list a { files = file }\n")),
                         n <= CONF_NETWORKS_MOST ? ERR_NONE : ERR_CONFIG);
    }
    assert_str(buf_str(&given->trouble.text), STR("/lists/file:1: more than 250000 networks\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_block_is_one_of_its_kind),
        TEST(mistakes_in_blocks_are_told),
        TEST(a_kind_has_so_many_blocks),
        TEST(blocks_are_read_back),
        TEST(lists_stand_where_networks_do),
        TEST(roles_read_lists_without_files),
        TEST(mistakes_of_lists_are_told),
        TEST(networks_may_overlap),
        TEST(many_networks_are_found_in_few_steps),
        TEST(a_file_has_so_many_networks),
    };
    return cmocka_run_group_tests_name("conf_blocks", tests, NULL, NULL);
}
