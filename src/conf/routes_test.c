/*
 * Route blocks: which one holds for a message, what it comes to, and what is told of mistakes.
 */
#include "base/test.h"

#include "conf/routes.h"

enum {
    ENOUGH = 65536
};

struct given {
    struct arena arena;
    struct conf conf;
    struct conf_trouble trouble;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.trouble = {BUF_INIT(ENOUGH)}};
    arena_init(&given.arena, CONF_ARENA);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->trouble.text);
    return 0;
}

static const struct conf *taken(struct given *given, const char *text)
{
    buf_done(&given->trouble.text);
    arena_reset(&given->arena);
    struct err e = conf_parse(str_from(text), STR("f"), STR("/etc/v"), &given->arena, &given->conf,
                              &given->trouble);
    assert_str(buf_str(&given->trouble.text), STR(""));
    assert_int_equal(e.code, ERR_NONE);
    return &given->conf;
}

static void refused(struct given *given, const char *text, const char *trouble)
{
    buf_done(&given->trouble.text);
    arena_reset(&given->arena);
    struct err e = conf_parse(str_from(text), STR("f"), STR("/etc/v"), &given->arena, &given->conf,
                              &given->trouble);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_str(buf_str(&given->trouble.text), str_from(trouble));
}

/* The name of the block that holds; "" for none, "?" where an account would have to be known. */
static void goes(const struct conf *conf, const char *to, const char *from, const char *account,
                 const char *name)
{
    const struct route_question question = {.recipient = str_from(to),
                                            .sender = str_from(from),
                                            .account = account ? str_from(account) : str_null(),
                                            .account_unknown = !account};
    bool unsure;
    const struct conf_route *route = conf_route_find(conf, &question, &unsure);
    assert_str(unsure ? STR("?") : route ? route->name : STR(""), str_from(name));
}

static void precedence_goes_by_the_first_block_for_anybody(void **state)
{
    const struct conf *conf =
        taken(*state, "precedence boss { to = boss@far.test rank = first }\n"
                      "precedence staff { accounts = own.test rank = early }\n"
                      "precedence same { from = x@own.test rank = usual }\n"
                      "precedence reports { from = <> rank = late }\n"
                      "precedence rest { rank = last }\n");
    struct route_question both[] = {
        {.recipient = STR("a@far.test"), .sender = STR("x@own.test"), .account = STR("")},
        {.recipient = STR("boss@far.test"), .sender = STR("x@own.test"), .account = STR("")}};
    assert_int_equal(conf_priority(conf, both, 2), 6);
    assert_int_equal(conf_priority(conf, both, 1), 0);
    both[0].account = STR("x@own.test");
    assert_int_equal(conf_priority(conf, both, 1), 3);
    both[0] = (struct route_question){.recipient = STR("a@far.test"), .account = STR("")};
    assert_int_equal(conf_priority(conf, both, 1), -3);
    both[0].sender = STR("y@own.test");
    assert_int_equal(conf_priority(conf, both, 1), -6);
    assert_int_equal(conf_priority(taken(*state, ""), both, 1), 0);
    refused(*state, "precedence p { rank = highest }\n",
            "f:1: precedence.p.rank: \"highest\" is none of the choices; expected first, early, "
            "usual, late or last\n");
}

static void first_that_holds_wins(void **state)
{
    const struct conf *conf = taken(
        *state, "route never { to = spam.test deny = \"Not there.\" }\n"
                "route below { to = { .Big.test, one.test } via = a.test:25 }\n"
                "route boss { from = Boss@own.test via = b.test:587 user = u password_file = p }\n"
                "route reports { from = <> via = c.test:25 }\n"
                "route shop { accounts = { shop@own.test, .robots.test } via = d.test:25 }\n"
                "route person { to = \"Anna@far.test\" via = e.test:25 }\n"
                "route all { to = * from = own.test via = [2001:DB8::1]:2525 }\n");
    assert_int_equal(conf->route_count, 7);
    goes(conf, "x@spam.test", "boss@own.test", "", "never");
    goes(conf, "x@sub.big.test", "boss@own.test", "", "below");
    goes(conf, "x@one.test", "", "", "below");
    goes(conf, "x@big.test", "boss@own.test", "", "boss");
    goes(conf, "x@sub.one.test", "BOSS@own.test", "", "boss");
    goes(conf, "x@far.test", "", "", "reports");
    goes(conf, "x@far.test", "a@b.test", "shop@own.test", "shop");
    goes(conf, "x@far.test", "a@b.test", "r1@a.robots.test", "shop");
    goes(conf, "x@far.test", "a@b.test", "r1@robots.test", "");
    goes(conf, "ANNA@far.test", "a@b.test", "", "person");
    goes(conf, "anna2@far.test", "x@own.test", "", "all");
    goes(conf, "anna2@far.test", "x@sub.own.test", "", "");
    goes(conf, "far.test", "a@b.test", "", ""); /* a domain alone is nobody's address */
    goes(conf, "x@far.test", "a@b.test", NULL, "?");
    goes(conf, "x@one.test", "a@b.test", NULL, "below");
    assert_true(conf_routes_ask_accounts(conf));
    assert_str(conf->routes[6].via.list[0], STR("[2001:DB8::1]:2525"));
    assert_str(conf->routes[2].password_file, STR("/etc/v/p"));
    assert_true(conf_route_named(conf, STR("shop")) == &conf->routes[4]);
    assert_null(conf_route_named(conf, STR("Shop")));
}

static void nothing_configured_holds_for_nobody(void **state)
{
    const struct conf *conf = taken(*state, "hostname = h.test\n");
    goes(conf, "x@far.test", "", "", "");
    assert_false(conf_routes_ask_accounts(conf));
}

static void what_a_block_comes_to(void **state)
{
    const struct conf *conf = taken(
        *state,
        "route a { via = s.test:465 user = u password_file = p }\n"
        "route b { via = s.test:587 user = u password_file = p mechanisms = scram-sha-256 }\n"
        "route c { via = mx }\n"
        "route d { via = s.test:25 recipients_per_message = 7 messages_per_hour = 3 }\n"
        "route e { via = s.test:25 tls = off user = u password_file = p }\n"
        "route f { preset = gmail user = u password_file = p recipients_per_day = 2000 }\n"
        "route g { preset = gmail via = relay.test:587 user = u token_file = t tls = required }\n"
        "route h { preset = gmail user = u password_file = p recipients_per_day = none }\n"
        "route i { preset = gmail user = u password_file = p recipients_per_day = 0 }\n");
    struct conf_way way;
    conf_route_way(&conf->routes[0], &way);
    assert_int_equal(way.tls, CONF_ROUTE_TLS_IMPLICIT);
    assert_true(way.logs_in);
    assert_false(route_has_rates(&way.limits));
    conf_route_way(&conf->routes[1], &way);
    assert_int_equal(way.tls, CONF_ROUTE_TLS_VERIFIED);
    assert_int_equal(way.mechanisms, 1u << CONF_MECHANISM_SCRAM_SHA_256);
    conf_route_way(&conf->routes[2], &way);
    assert_int_equal(way.via.count, 0);
    assert_int_equal(way.tls, CONF_ROUTE_TLS_OPPORTUNISTIC);
    assert_false(way.logs_in);
    conf_route_way(&conf->routes[3], &way);
    assert_int_equal(way.limits.recipients_per_message, 7);
    assert_int_equal(way.limits.messages_per_hour, 3);
    assert_true(route_has_rates(&way.limits));
    conf_route_way(&conf->routes[4], &way);
    assert_int_equal(way.tls, CONF_ROUTE_TLS_OFF);
    conf_route_way(&conf->routes[5], &way);
    assert_str(way.via.list[0], STR("smtp.gmail.com:465"));
    assert_int_equal(way.tls, CONF_ROUTE_TLS_IMPLICIT);
    assert_int_equal(way.limits.recipients_per_message, 100);
    assert_int_equal(way.limits.recipients_per_day, 2000); /* the block's */
    conf_route_way(&conf->routes[6], &way);
    assert_str(way.via.list[0], STR("relay.test:587"));
    assert_int_equal(way.tls, CONF_ROUTE_TLS_REQUIRED);
    conf_route_way(&conf->routes[7], &way);
    assert_false(route_has_rates(&way.limits)); /* the preset's is lifted */
    conf_route_way(&conf->routes[8], &way);
    assert_int_equal(way.limits.recipients_per_day, 500);
}

static void mistakes_are_told(void **state)
{
    refused(*state, "route a { via = s.test }\n",
            "f:1: route.a.via: \"s.test\" has no port; expected HOST:PORT such as "
            "smtp.example.test:587 or [2001:db8::1]:25, several in braces, or mx\n");
    refused(*state, "route a { via = 2001:db8::1:25 }\n",
            "f:1: route.a.via: \"2001:db8::1:25\" is not an IPv6 address in brackets; expected "
            "HOST:PORT such as smtp.example.test:587 or [2001:db8::1]:25, several in braces, or "
            "mx\n");
    refused(*state, "\nroute a { via = s.test:25 user = u }\n",
            "f:2: route.a.user: no secret to log in with; expected password_file, token_file or "
            "oauth_file\n");
    refused(*state, "route a { via = s.test:25 password_file = p }\n",
            "f:1: route.a.password_file: nobody to log in as; expected user\n");
    refused(*state, "route a { via = s.test:25 user = u password_file = p token_file = t }\n",
            "f:1: route.a.token_file: beside another file with a secret; expected one of them\n");
    refused(*state, "route a { user = u password_file = p }\n",
            "f:1: route.a.user: a log-in at whatever the DNS says; expected hosts in via, or a "
            "preset\n");
    refused(*state, "route a { via = s.test:587 tls = opportunistic user = u password_file = p }\n",
            "f:1: route.a.tls: a log-in where encryption may be struck out; expected verified, "
            "implicit, required, or off for a host of this machine\n");
    refused(*state, "route a { to = b.test deny = no via = s.test:25 }\n",
            "f:1: route.a.deny: mail that is refused goes no way; expected nothing beside it but "
            "to, from and accounts\n");
    refused(*state, "route a { via = { mx, s.test:25 } }\n",
            "f:1: route.a.via: mx beside other hosts; expected either mx or hosts\n");
    refused(*state, "route a { protocol = lmtp }\n",
            "f:1: route.a.protocol: lmtp to whatever the DNS says; expected hosts in via (RFC 2033 "
            "5)\n");
    refused(*state, "route a { to = <> }\n",
            "f:1: route.a.to: <> is no recipient; expected an address, a domain or *\n");
    refused(*state, "route a { source = { 192.0.2.1, 192.0.2.2 } }\n",
            "f:1: route.a.source: two of one family; expected one of each at most\n");
    refused(*state, "route a { messages_per_day = all }\n",
            "f:1: route.a.messages_per_day: \"all\" is no number; expected none, or a number from "
            "0 to 1000000000\n");
    refused(*state, "route a { connections = none }\n",
            "f:1: route.a.connections: \"none\" is no number; expected a number from 0 to 1000\n");
    refused(*state, "route a { from = \"a!b\" }\n",
            "f:1: route.a.from: \"a!b\" is no host name; expected user@example.test, example.test, "
            ".example.test, <> or *, several in braces\n");
}

/* What the parent tells the roles is read back to the same. */
static void as_it_is_told(void **state)
{
    struct given *given = *state;
    const struct conf *conf =
        taken(given, "route x { to = { .a.test, b@c.test, * } from = <> via = { s.test:25, "
                     "[::1]:26 } shuffle = yes tls = required tls_names = *.s.test helo = h.test "
                     "source = { 192.0.2.1, ::1 } connections = 3 messages_per_day = none "
                     "recipients_per_hour = 7 }\n"
                     "route y { to = z.test deny = \"Ask Anna.\" }\n");
    struct buf text = BUF_INIT(ENOUGH), again = BUF_INIT(ENOUGH);
    conf_print_whole(conf, &text);
    struct str copy = buf_str(&text);
    char *kept = str_to_cstring(copy);
    conf_print_whole(taken(given, kept), &again);
    assert_str(buf_str(&again), copy);
    assert_true(str_starts(copy, STR("route x {\n    to = {")));
    free(kept);
    buf_done(&text);
    buf_done(&again);
}

/* Each preset says where it is from, and can be used as it is. */
static void presets_are_whole(void **state)
{
    (void)state;
    for (enum conf_preset i = CONF_PRESET_NONE + 1; i < CONF_PRESETS; i++) {
        const struct route_preset *preset = conf_preset(i);
        bool implicit = str_ends(str_from(preset->via), STR(":465"));
        assert_true(str_starts(str_from(preset->source), STR("https://")));
        assert_int_equal(strlen(preset->date), 10);
        assert_int_equal(preset->tls, implicit ? CONF_ROUTE_TLS_IMPLICIT : CONF_ROUTE_TLS_VERIFIED);
        assert_true(preset->limits.recipients_per_message <= 100);
    }
    assert_null(conf_preset(CONF_PRESET_NONE));
}

int main(void)
{
#define GIVEN(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        GIVEN(precedence_goes_by_the_first_block_for_anybody),
        GIVEN(first_that_holds_wins),
        GIVEN(nothing_configured_holds_for_nobody),
        GIVEN(what_a_block_comes_to),
        GIVEN(mistakes_are_told),
        GIVEN(as_it_is_told),
        GIVEN(presets_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
