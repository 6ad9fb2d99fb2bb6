/*
 * Networks that core bans, at the door of an edge.
 */
#include "edge/pop3/client_test.h"

static void core_says(const struct msg *msg)
{
    fake_role_enter(stage.fake, stage.core_role);
    assert_false(err_is(link_send(&stage.core.link, msg)));
    fake_role_enter(stage.fake, 0);
    box_settle(&stage);
}

static void ban(const char *network, uint64_t seconds)
{
    struct msg_ban one = {.network = str_from(network), .seconds = seconds};
    core_says(&(struct msg){.kind = MSG_bans, .bans = {.bans = &one, .bans_count = 1}});
}

/* Is a client from there let in? */
static bool comes_in(const char *address)
{
    struct fake_client *client = box_connect(&stage, address);
    struct str said = say(client, "");
    bool in = str_starts(said, STR("+OK"));
    if (!in) {
        assert_str(said, STR("-ERR [SYS/TEMP] Too many failed log-ins from your network; try "
                             "again later\r\n"));
        assert_int_equal(fake_client_state(client), FAKE_CLIENT_ENDED);
    }
    leave(client);
    return in;
}

static void a_banned_network_is_turned_away(void **state)
{
    (void)state;
    ban("192.0.2.7/32", 60);
    ban("2001:db8:1:2::/64", 60);
    assert_false(comes_in("192.0.2.7"));
    assert_true(comes_in("192.0.2.8"));
    assert_false(comes_in("2001:db8:1:2::9"));
    assert_true(comes_in("2001:db8:1:3::9"));
    assert_true(stage.core.up);        /* and nothing was said that an edge may not say */
    struct fake_client *idle = come(); /* time passes until this one is too slow */
    box_pass(&stage, 601 * NS_PER_SECOND);
    fake_client_done(idle);
    assert_true(comes_in("192.0.2.7"));
}

static void a_ban_is_lifted(void **state)
{
    (void)state;
    ban("192.0.2.0/24", 3600);
    assert_false(comes_in("192.0.2.7"));
    core_says(
        &(struct msg){.kind = MSG_ban_lifted, .ban_lifted = {.network = STR("192.0.2.0/24")}});
    assert_true(comes_in("192.0.2.7"));
}

/* A new core tells its bans anew; what is no network is no ban. */
static void another_core_has_other_bans(void **state)
{
    (void)state;
    ban("192.0.2.7/32", 3600);
    ban("nonsense", 3600);
    ban("198.51.100.7/24", 3600);
    box_core_die(&stage);
    assert_false(comes_in("192.0.2.7"));
    box_core_start(&stage);
    box_settle(&stage);
    assert_true(comes_in("192.0.2.7"));
    assert_true(comes_in("198.51.100.7"));
}

/* It told core as an edge for mail does, and core cut it. */
static void a_mailbox_edge_turns_a_client_away_and_lives(void **state)
{
    (void)state;
    static struct conf_networks all;
    static struct network everybody;
    all = (struct conf_networks){.list = &everybody, .count = 1};
    stage.conf.pop3.deny_from = all;
    struct fake_client *client = box_connect(&stage, "192.0.2.9");
    assert_true(str_starts(say(client, ""), STR("-ERR")));
    leave(client);
    assert_true(stage.core.up);
    assert_true(stage.edge.core_up);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, on_stage, off_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_banned_network_is_turned_away),
        TEST(a_ban_is_lifted),
        TEST(another_core_has_other_bans),
        TEST(a_mailbox_edge_turns_a_client_away_and_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
