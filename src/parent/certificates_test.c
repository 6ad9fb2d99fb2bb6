/*
 * The secret files that a configuration names, as they may be found: whose rights, how large, what
 * in them, and what becomes of one that others write anew.
 */
#include "parent/certificates.h"

#include "base/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "sys/process.h"
#include "trust/key_rig_test.h"

enum {
    ARENA = 4 << 20,
    LINE = 400,
};

#define GRANT                                                                                      \
    "{\"refresh_token\":\"r\",\"client_id\":\"c\",\"token_endpoint\":\"https://a.test/t\"}"

static struct {
    char folder[64], path[LINE];
    struct arena arena;
    struct conf conf;
    struct buf trouble;
    struct certificates *loaded;
} at;

static const char *path_of(const char *name)
{
    snprintf(at.path, sizeof(at.path), "%s/%s", at.folder, name);
    return at.path;
}

static void write_file(const char *name, struct str octets, unsigned mode)
{
    assert_int_equal(process_write_file(str_from(path_of(name)), octets, mode).code, ERR_NONE);
}

static void conf_is(const char *text)
{
    struct conf_trouble trouble;
    struct err e =
        conf_parse(str_from(text), STR("conf"), str_from(at.folder), &at.arena, &at.conf, &trouble);
    if (err_is(e))
        print_error("%.*s", STR_FMT(buf_str(&trouble.text)));
    assert_false(err_is(e));
    buf_done(&trouble.text);
}

static struct err load(void)
{
    certificates_free(at.loaded);
    buf_clear(&at.trouble);
    return certificates_load(&at.conf, STR("conf"), &at.loaded, &at.trouble);
}

/* The n-th of what routes log in with. */
static bool told(size_t n, struct msg *msg_r)
{
    for (size_t place = 0; certificates_msg(at.loaded, place, msg_r); place++)
        if (msg_r->kind == MSG_route_secret && n-- == 0)
            return true;
    return false;
}

static struct str secret_of(size_t n)
{
    struct msg msg;
    assert_true(told(n, &msg));
    return msg.route_secret.secret;
}

static void in_trouble(const char *words)
{
    if (str_find(buf_str(&at.trouble), str_from(words)) < 0) {
        print_error("%.*s", STR_FMT(buf_str(&at.trouble)));
        fail_msg("no word of: %s", words);
    }
}

#define ROUTE(name, setting)                                                                       \
    "route " name " { to = far.test via = s.test:465 user = u " setting " }\n"

static int begin(void **state)
{
    (void)state;
    snprintf(at.folder, sizeof(at.folder), "/tmp/veredus-secrets-XXXXXX");
    arena_init(&at.arena, ARENA);
    at.trouble = (struct buf)BUF_INIT(CONF_TROUBLE_SIZE);
    at.loaded = NULL;
    return mkdtemp(at.folder) ? 0 : -1;
}

static int end(void **state)
{
    static const char *const made[] = {"s", "t", "o", "c.pem", "k.pem", "link", "pipe"};
    (void)state;
    certificates_free(at.loaded);
    buf_done(&at.trouble);
    arena_done(&at.arena);
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        unlink(path_of(made[i]));
    rmdir(path_of("folder"));
    return rmdir(at.folder);
}

/* --- What routes log in with ----------------------------------------------------------------- */

static void a_password_is_the_first_line(void **state)
{
    (void)state;
    static const struct {
        struct str octets;
        const char *secret;
    } rows[] = {
        {STR_INIT("secret"), "secret"},     {STR_INIT("secret\n"), "secret"},
        {STR_INIT("secret\r\n"), "secret"}, {STR_INIT(" secret \nsecond line\n"), " secret "},
        {STR_INIT("s\rx\n"), "s\rx"},       {STR_INIT("\303\274\n"), "\303\274"},
    };
    conf_is(ROUTE("a", "password_file = s"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file("s", rows[i].octets, 0600);
        assert_int_equal(load().code, ERR_NONE);
        assert_str(secret_of(0), str_from(rows[i].secret));
        assert_int_equal(at.trouble.n, 0);
    }
}

static void one_with_nothing_in_it(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "\n", "\r\n", "\nsecret\n"};
    conf_is("\n\n" ROUTE("a", "password_file = s"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file("s", str_from(rows[i]), 0600);
        assert_int_equal(load().code, ERR_CONFIG);
        in_trouble("conf:3: route.a.password_file: ");
        in_trouble("/s: has nothing in its first line");
        assert_int_equal(secret_of(0).n, 0); /* core is told that there is none any more */
    }
}

/* Catalogue O04. */
static void rights_of_others(void **state)
{
    (void)state;
    static const unsigned refused[] = {0640, 0604, 0610, 0601, 0620, 0602, 0644, 0666, 0777},
                          taken[] = {0600, 0400, 0700};
    conf_is(ROUTE("a", "password_file = s") ROUTE("b", "password_file = t"));
    write_file("t", STR("other"), 0600);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        write_file("s", STR("secret"), refused[i]);
        assert_int_equal(load().code, ERR_CONFIG);
        in_trouble("/s: may be read or written by others than its owner; chmod 600 mends it");
        assert_int_equal(secret_of(0).n, 0);
        assert_str(secret_of(1), STR("other")); /* the mistake is that one's alone */
        assert_true(str_find(buf_str(&at.trouble), STR("secret\n")) < 0);
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        write_file("s", STR("secret"), taken[i]);
        assert_int_equal(load().code, ERR_NONE);
        assert_str(secret_of(0), STR("secret"));
    }
}

static void a_file_of_another_s_by_a_link(void **state)
{
    (void)state;
    char target[LINE];
    conf_is(ROUTE("a", "password_file = link"));
    write_file("s", STR("secret"), 0600);
    snprintf(target, sizeof(target), "%s", path_of("s"));
    assert_int_equal(symlink(target, path_of("link")), 0);
    assert_int_equal(load().code, ERR_NONE);
    assert_str(secret_of(0), STR("secret"));
    chmod(target, 0644); /* the file's rights count, not the link's */
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("/link: may be read or written by others");
}

static void as_large_as_it_may_be(void **state)
{
    (void)state;
    char *octets = arena_take(&at.arena, CERTIFICATES_SECRET_MAX + 1);
    memset(octets, 'x', CERTIFICATES_SECRET_MAX + 1);
    conf_is(ROUTE("a", "password_file = s"));
    write_file("s", str_make(octets, CERTIFICATES_SECRET_MAX), 0600);
    assert_int_equal(load().code, ERR_NONE);
    assert_int_equal(secret_of(0).n, CERTIFICATES_SECRET_MAX);
    write_file("s", str_make(octets, CERTIFICATES_SECRET_MAX + 1), 0600);
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("/s: is too long for what it should be");
    assert_int_equal(secret_of(0).n, 0);
}

/* Whoever may write where a token stands must not keep the server waiting. */
static void what_is_no_file(void **state)
{
    (void)state;
    conf_is(ROUTE("a", "password_file = s"));
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("/s: No such file or directory");
    conf_is(ROUTE("a", "password_file = folder"));
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("/folder: is no file");
    conf_is(ROUTE("a", "token_file = pipe"));
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    alarm(20); /* it would wait for a writer */
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("/pipe: is no file");
    assert_null(certificates_load_tokens(&at.conf));
    alarm(0);
    conf_is(ROUTE("a", "password_file = /dev/zero"));
    assert_int_equal(load().code, ERR_CONFIG);
    assert_int_equal(secret_of(0).n, 0);
}

/* --- Tokens ---------------------------------------------------------------------------------- */

static struct certificates *tokens_again(void)
{
    certificates_free(at.loaded);
    at.loaded = certificates_load_tokens(&at.conf);
    return at.loaded;
}

static void tokens_are_read_again(void **state)
{
    (void)state;
    struct msg msg;
    conf_is(ROUTE("a", "password_file = s") ROUTE("b", "token_file = t")
                ROUTE("c", "oauth_file = o"));
    write_file("s", STR("secret"), 0600);
    write_file("t", STR("one\n"), 0600);
    write_file("o", STR(GRANT), 0600);
    assert_int_equal(load().code, ERR_NONE);
    assert_str(secret_of(1), STR("one"));
    assert_str(secret_of(2), STR(GRANT));
    write_file("t", STR("two\n"), 0600);
    write_file("s", STR("changed"), 0600);
    assert_non_null(tokens_again());
    assert_true(certificates_msg(at.loaded, 0, &msg)); /* neither certificates nor passwords */
    assert_str(msg.route_secret.name, STR("b"));
    assert_str(msg.route_secret.secret, STR("two"));
    assert_false(msg.route_secret.grant);
    assert_true(certificates_msg(at.loaded, 1, &msg));
    assert_true(msg.route_secret.grant);
    assert_false(certificates_msg(at.loaded, 2, &msg));
}

/* Whoever renews it has not finished, or has gone wrong: the one before may still be good. */
static void a_token_that_cannot_be_read_now_is_not_told(void **state)
{
    (void)state;
    struct msg msg;
    conf_is(ROUTE("a", "token_file = t") ROUTE("b", "oauth_file = o"));
    write_file("t", STR("one"), 0600);
    write_file("o", STR("{}"), 0600);
    assert_non_null(tokens_again());
    assert_true(certificates_msg(at.loaded, 0, &msg));
    assert_str(msg.route_secret.name, STR("a"));
    assert_false(certificates_msg(at.loaded, 1, &msg));
    write_file("t", STR(""), 0600);
    assert_null(tokens_again());
    write_file("t", STR("one"), 0644);
    assert_null(tokens_again());
    unlink(path_of("t"));
    assert_null(tokens_again());
    write_file("o", STR(GRANT), 0600);
    assert_non_null(tokens_again());
    assert_true(certificates_msg(at.loaded, 0, &msg));
    assert_str(msg.route_secret.name, STR("b"));
}

static void grants_that_are_none(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "[]",
        "{\"client_id\":\"c\",\"token_endpoint\":\"https://a.test/t\"}",
        "{\"refresh_token\":\"r\",\"client_id\":\"c\"}",
        "{\"refresh_token\":\"r\",\"client_id\":\"c\",\"token_endpoint\":\"http://a.test/t\"}",
        GRANT GRANT,
    };
    conf_is(ROUTE("a", "oauth_file = o"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file("o", str_from(rows[i]), 0600);
        assert_int_equal(load().code, ERR_CONFIG);
        in_trouble("route.a.oauth_file: ");
        assert_int_equal(secret_of(0).n, 0);
    }
}

/* --- Certificates ---------------------------------------------------------------------------- */

static void a_pair_and_its_mistakes(void **state)
{
    (void)state;
    struct msg msg;
    struct rig_pair pair = rig_pair(EVP_EC_gen("P-256"), "DNS:a.test", &at.arena),
                    other = rig_pair(EVP_EC_gen("P-256"), "DNS:b.test", &at.arena);
    conf_is("certificate a { chain = c.pem key = k.pem }\n");
    write_file("c.pem", pair.chain, 0644);
    write_file("k.pem", pair.key, 0600);
    assert_int_equal(load().code, ERR_NONE);
    assert_true(certificates_msg(at.loaded, 0, &msg));
    assert_str(msg.certificate_files.key, pair.key);
    const struct {
        struct str chain, key;
        unsigned mode;
        const char *words;
    } rows[] = {
        {pair.chain, pair.key, 0644, "k.pem: may be read or written by others"},
        {pair.chain, pair.key, 0660, "k.pem: may be read or written by others"},
        {pair.chain, other.key, 0600, "k.pem: is not the key of its certificate"},
        {pair.chain, STR(""), 0600, "a.key: "},
        {STR(""), pair.key, 0600, "a.chain: "},
        {pair.key, pair.key, 0600, "a.chain: "},
        {pair.chain, pair.chain, 0600, "a.key: "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file("c.pem", rows[i].chain, 0644);
        write_file("k.pem", rows[i].key, rows[i].mode);
        assert_int_equal(load().code, ERR_CONFIG);
        in_trouble(rows[i].words);
        assert_true(str_find(buf_str(&at.trouble), STR("PRIVATE")) < 0);
        assert_true(certificates_msg(at.loaded, 0, &msg));
        assert_int_equal(msg.certificate_files.count, 0);
    }
}

static void a_key_that_is_too_large(void **state)
{
    (void)state;
    struct rig_pair pair = rig_pair(EVP_EC_gen("P-256"), "DNS:a.test", &at.arena);
    char *octets = arena_take(&at.arena, CERTIFICATES_CHAIN_MAX + 1);
    memset(octets, '\n', CERTIFICATES_CHAIN_MAX + 1);
    conf_is("certificate a { chain = c.pem key = k.pem }\n");
    memcpy(octets, pair.key.p, pair.key.n);
    write_file("c.pem", pair.chain, 0644);
    write_file("k.pem", str_make(octets, CERTIFICATES_KEY_MAX), 0600);
    assert_int_equal(load().code, ERR_NONE);
    write_file("k.pem", str_make(octets, CERTIFICATES_KEY_MAX + 1), 0600);
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("k.pem: is too long for what it should be");
    write_file("k.pem", pair.key, 0600);
    memcpy(octets, pair.chain.p, pair.chain.n);
    write_file("c.pem", str_make(octets, CERTIFICATES_CHAIN_MAX + 1), 0644);
    assert_int_equal(load().code, ERR_CONFIG);
    in_trouble("c.pem: is too long for what it should be");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_password_is_the_first_line),
        TEST(one_with_nothing_in_it),
        TEST(rights_of_others),
        TEST(a_file_of_another_s_by_a_link),
        TEST(as_large_as_it_may_be),
        TEST(what_is_no_file),
        TEST(tokens_are_read_again),
        TEST(a_token_that_cannot_be_read_now_is_not_told),
        TEST(grants_that_are_none),
        TEST(a_pair_and_its_mistakes),
        TEST(a_key_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
