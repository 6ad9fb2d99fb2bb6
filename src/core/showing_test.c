/*
 * SEND, SOML, SAML in core, with a terminal role that says who is on and takes what it is told to
 * take (catalogue of the field, F11).
 */
#include "base/test.h"

#define HOUSE_SETTINGS                                                                             \
    "hostname = mx.example.test\n"                                                                 \
    "smtp { relay_from = 192.0.2.64/26 }\n"                                                        \
    "terminal { commands = yes from = 192.0.2.0/28 }\n"                                            \
    "terminal_user robert { accounts = \"bob@example.test\" }\n"
#include "core/house_test.h"

#include "format/mail_command.h"

/* The role's end. */
static struct tty {
    struct link link;
    const char *on[2]; /* who is; NULL: nobody */
    bool takes_nothing;
    bool up;
    size_t asked, shown;
    char user[33], sender[100], text[100];
} tty;

static bool is_on(struct str user)
{
    for (size_t i = 0; i < 2; i++)
        if (tty.on[i] && str_eq(str_from(tty.on[i]), user))
            return true;
    return false;
}

static void keep(char *to, size_t room, struct str text)
{
    snprintf(to, room, "%.*s", STR_FMT(text));
}

static void tty_got(struct link *link, const struct msg *msg, int passed)
{
    struct msg answer = {.kind = MSG_terminal_told};
    (void)passed;
    if (msg->kind == MSG_terminal_ask) {
        tty.asked++;
        answer.terminal_told.call = msg->terminal_ask.call;
        answer.terminal_told.error = is_on(msg->terminal_ask.user) ? ERR_NONE : ERR_USER_NOT_ON;
    } else {
        const struct msg_terminal_show *show = &msg->terminal_show;
        bool taken = is_on(show->user) && !tty.takes_nothing;
        tty.shown += taken;
        keep(tty.user, sizeof tty.user, show->user);
        keep(tty.sender, sizeof tty.sender, show->sender);
        keep(tty.text, sizeof tty.text, show->text);
        answer.kind = MSG_terminal_shown;
        answer.terminal_shown.call = show->call;
        answer.terminal_shown.line = STR("pts/7");
        answer.terminal_shown.error = taken ? ERR_NONE : ERR_USER_NOT_ON;
    }
    assert_false(err_is(link_send(link, &answer)));
}

static void tty_ended(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
    tty.up = false;
}

static int tty_up(void **state)
{
    static const struct link_owner owner = {.got = tty_got, .ended = tty_ended};
    house_up(state);
    struct fake_world *fake = house.rig.fake;
    int pair[2];
    tty = (struct tty){.shown = 0};
    fake_packet_pair(fake, house.rig.role, mx->role, pair);
    fake_role_enter(fake, house.rig.role);
    assert_false(err_is(terminals_attach(&house.core.terminals, pair[0])));
    fake_role_enter(fake, mx->role);
    assert_int_equal(
        link_init(&tty.link, mx->loop, pair[1], ROLE_TERMINAL, ROLE_CORE, &owner, NULL), 0);
    tty.up = true;
    fake_role_enter(fake, 0);
    house_settle(&house);
    return 0;
}

static int tty_down(void **state)
{
    if (tty.up) {
        fake_role_enter(house.rig.fake, mx->role);
        link_done(&tty.link);
        fake_role_enter(house.rig.fake, 0);
        house_settle(&house);
    }
    return house_down(state);
}

/* --- What is asked --------------------------------------------------------------------------- */

static uint64_t transactions;

static struct msg_answer named_from(const char *client, enum mail_command command,
                                    const char *recipient, bool begins)
{
    static struct msg answer;
    struct msg_address address = {.text = str_from(recipient)};
    transactions += begins;
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transactions,
                                       .command = (uint8_t)command,
                                       .client = str_from(client),
                                       .server = STR("192.0.2.25"),
                                       .reverse_path = STR("x@c.example"),
                                       .recipients = &address,
                                       .recipients_count = 1}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    return answer.resolved.answers[0];
}

static struct msg_answer named(enum mail_command command, const char *recipient)
{
    return named_from("192.0.2.1", command, recipient, true);
}

/* The error of a commit of the transaction that was named last. */
static enum err_code committed(size_t recipients, bool again)
{
    static uint64_t tokens;
    struct offer offer;
    struct msg answer;
    offer_make(&offer, mx, transactions, TEXT, recipients, ++tokens);
    offer.msg.commit.shown = STR("hello\n");
    offer.msg.commit.again = again;
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    return (enum err_code)answer.committed.error;
}

#define answers(error_, reply_, command, recipient)                                                \
    do {                                                                                           \
        struct msg_answer got = named(command, recipient);                                         \
        assert_int_equal(got.error, error_);                                                       \
        assert_int_equal(got.reply, reply_);                                                       \
    } while (0)

/* --- RCPT ------------------------------------------------------------------------------------ */

static void who_may(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    assert_int_equal(named_from("192.0.2.16", MAIL_SEND, "alice@example.test", true).error,
                     ERR_NOT_ALLOWED);
    assert_int_equal(named_from("192.0.2.16", MAIL_SAML, "alice@example.test", true).error,
                     ERR_NOT_ALLOWED);
    assert_int_equal(named_from("192.0.2.16", MAIL_MAIL, "alice@example.test", true).error,
                     ERR_NONE);
    assert_int_equal(named_from("192.0.2.15", MAIL_SEND, "alice@example.test", true).error,
                     ERR_NONE);
    assert_int_equal(named_from("192.0.2.64", MAIL_SEND, "alice@example.test", true).error,
                     ERR_NONE);
}

static void who_is_on(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SEND, "alice+tag@example.test");
    answers(ERR_USER_NOT_ON, 450, MAIL_SEND, "bob@example.test");
    answers(ERR_NONE, 250, MAIL_SEND, "two@example.test");
    assert_str(named(MAIL_SOML, "bob@example.test").text,
               STR("User not active now, so will do mail"));
    assert_int_equal(named(MAIL_SOML, "alice@example.test").text.n, 0);
    /* Whose name is another one here. */
    tty.on[0] = "robert";
    answers(ERR_NONE, 250, MAIL_SEND, "bob@example.test");
    tty.on[0] = "bob";
    answers(ERR_USER_NOT_ON, 450, MAIL_SEND, "bob@example.test");
}

static void who_has_no_terminal_here(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    tty.on[1] = "dave";
    answers(ERR_LIST_NOT_USER, 550, MAIL_SEND, "team@example.test");
    answers(ERR_NONE, 250, MAIL_SOML, "team@example.test");
    answers(ERR_MAILBOX_UNKNOWN, 550, MAIL_SEND, "nobody@example.test");
    answers(ERR_MAILBOX_DISABLED, 550, MAIL_SEND, "dave@example.test");
    answers(ERR_MAILBOX_MOVED, 551, MAIL_SEND, "old@example.test");
    struct msg_answer far = named_from("192.0.2.64", MAIL_SEND, "v@else.example", true);
    assert_int_equal(far.error, ERR_NO_TERMINAL);
    assert_int_equal(named_from("192.0.2.64", MAIL_SOML, "v@else.example", true).error, ERR_NONE);
}

static void what_is_on_now_does_not_last(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    assert_int_equal(named(MAIL_SOML, "alice@example.test").lasts, 0);
    assert_int_equal(named(MAIL_MAIL, "alice@example.test").lasts, 1);
    assert_int_equal(tty.asked, 1);
}

/* --- The message ----------------------------------------------------------------------------- */

static void send_shows_and_keeps_nothing(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SEND, "alice@example.test");
    assert_int_equal(named_from("192.0.2.1", MAIL_SEND, "bob@example.test", false).error,
                     ERR_TOO_MANY_RECIPIENTS);
    assert_int_equal(committed(1, false), ERR_NONE);
    assert_int_equal(tty.shown, 1);
    assert_string_equal(tty.user, "alice");
    assert_string_equal(tty.sender, "x@c.example");
    assert_string_equal(tty.text, "hello\n");
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    tty.takes_nothing = true;
    answers(ERR_NONE, 250, MAIL_SEND, "alice@example.test");
    assert_int_equal(committed(1, false), ERR_USER_NOT_ON);
    assert_int_equal(house_count(box, "alice@example.test"), 0);
}

static void soml_keeps_what_was_not_shown(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SOML, "two@example.test");
    assert_int_equal(named_from("192.0.2.1", MAIL_SOML, "alice@example.test", false).error,
                     ERR_NONE);
    assert_int_equal(committed(2, false), ERR_NONE);
    assert_int_equal(tty.shown, 1); /* though two addresses lead to her */
    assert_int_equal(house_count(box, "alice@example.test"), 0);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    tty.takes_nothing = true; /* since RCPT */
    answers(ERR_NONE, 250, MAIL_SOML, "alice@example.test");
    assert_int_equal(committed(1, false), ERR_NONE);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

static void soml_to_who_is_on_needs_no_room(void **state)
{
    (void)state;
    house.core.directory.settings.quota = 1; /* nobody has any */
    answers(ERR_NONE, 250, MAIL_SOML, "alice@example.test");
    assert_int_equal(committed(1, false), ERR_QUOTA_FULL);
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SOML, "alice@example.test");
    assert_int_equal(committed(1, false), ERR_NONE);
    assert_int_equal(tty.shown, 1);
}

static void saml_keeps_all_and_shows_what_it_can(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SAML, "two@example.test");
    assert_int_equal(committed(1, false), ERR_NONE);
    assert_int_equal(tty.shown, 1);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    tty.takes_nothing = true;
    answers(ERR_NONE, 250, MAIL_SAML, "alice@example.test");
    assert_int_equal(committed(1, false), ERR_NONE);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
}

/* An earlier core may have shown it. */
static void nothing_is_shown_a_second_time(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SEND, "alice@example.test");
    assert_int_equal(committed(1, true), ERR_USER_NOT_ON);
    answers(ERR_NONE, 250, MAIL_SOML, "alice@example.test");
    assert_int_equal(committed(1, true), ERR_NONE);
    answers(ERR_NONE, 250, MAIL_SAML, "alice@example.test");
    assert_int_equal(committed(1, true), ERR_NONE);
    assert_int_equal(tty.shown, 0);
    assert_int_equal(house_count(box, "alice@example.test"), 2);
}

static void without_the_role_nobody_is_on(void **state)
{
    (void)state;
    tty.on[0] = "alice";
    answers(ERR_NONE, 250, MAIL_SOML, "alice@example.test");
    terminals_done(&house.core.terminals);
    assert_int_equal(committed(1, false), ERR_NONE);
    answers(ERR_USER_NOT_ON, 450, MAIL_SEND, "alice@example.test");
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

static void what_no_edge_says(void **state)
{
    (void)state;
    struct msg_address address = {.text = STR("alice@example.test")};
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = 1,
                                       .command = MAIL_COMMANDS,
                                       .client = STR("192.0.2.1"),
                                       .recipients = &address,
                                       .recipients_count = 1}};
    refused_with_a_cut(mx, question);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, tty_up, tty_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_may),
        TEST(who_is_on),
        TEST(who_has_no_terminal_here),
        TEST(what_is_on_now_does_not_last),
        TEST(send_shows_and_keeps_nothing),
        TEST(soml_keeps_what_was_not_shown),
        TEST(soml_to_who_is_on_needs_no_room),
        TEST(saml_keeps_all_and_shows_what_it_can),
        TEST(nothing_is_shown_a_second_time),
        TEST(without_the_role_nobody_is_on),
        TEST(what_no_edge_says),
    };
    return cmocka_run_group_tests_name("showing", tests, NULL, NULL);
}
