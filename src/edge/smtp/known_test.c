/*
 * RCPT answered without core: what core says at COMMIT decides all the same.
 */
#include "edge/smtp/stage_test.h"

#include "base/test.h"

enum {
    REPLIES_MAX = 1 << 20,
};

#define LOCAL "127.0.0.1"
#define HELLO "HELO c.example\r\n"
#define MAIL "MAIL FROM:<a@b.example>\r\n"
#define BOB "RCPT TO:<bob@example.test>\r\n"
#define ANN "RCPT TO:<ann@example.test>\r\n"
#define QUOTA "RCPT TO:<quota@example.test>\r\n"
#define OTHER "RCPT TO:<bob@x.long.example.test>\r\n"
#define DATA "DATA\r\n"
#define TEXT "text\r\n.\r\n"
#define SENDER_OK "250 2.1.0 Sender OK\r\n"
#define RECIPIENT_OK "250 2.1.5 Recipient OK\r\n"
#define GO_AHEAD "354 Start mail input; end with <CRLF>.<CRLF>\r\n"

static struct stage stage;
static struct stage_core *const core = &stage.core;
static struct buf replies;

static struct str say(struct fake_client *client, struct str text)
{
    buf_clear(&replies);
    stage_send(&stage, client, text, SIZE_MAX, &replies);
    return buf_str(&replies);
}

static struct str hear(struct fake_client *client)
{
    buf_clear(&replies);
    stage_receive(client, &replies);
    return buf_str(&replies);
}

static bool is_accepted(struct str reply)
{
    return str_starts(reply, STR("250 2.0.0 Accepted id "));
}

/* A client that has said hello, on a stage whose edge knows bob. */
static struct fake_client *on_stage(bool lmtp)
{
    stage_open(&stage, str_null(), NULL, 1, STAGE_SLABS);
    buf_init(&replies, REPLIES_MAX);
    struct fake_client *client = stage_connect(&stage, lmtp, LOCAL);
    say(client, lmtp ? STR("LHLO c.example\r\n") : STR(HELLO));
    say(client, STR(MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->resolves, 1);
    return client;
}

static void off_stage(struct fake_client *client)
{
    if (core->up)
        stage_core_release(&stage);
    fake_client_done(client);
    stage_settle(&stage);
    stage_close(&stage);
    buf_done(&replies);
}

static void a_known_recipient_needs_no_question(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    for (size_t i = 1; i < 4; i++) {
        assert_str(say(client, STR(MAIL BOB DATA)), STR(SENDER_OK RECIPIENT_OK GO_AHEAD));
        assert_true(is_accepted(say(client, STR(TEXT))));
        assert_int_equal(core->resolves, 1);
        assert_int_equal(core->by_address, i);
        assert_int_equal(core->messages, 1 + i);
    }
    /* What core needs to know came with it. */
    assert_true(str_find(buf_str(&core->received), STR("id 0000000000004")) > 0);
    off_stage(client);
}

#define ASKING "MAIL FROM:<a@b.example> RET=FULL\r\nRCPT TO:<bob@example.test> NOTIFY=NEVER\r\n"

/* Core hears what they ask for with the commit, or, where it is another by then, before it. */
static void what_known_ones_ask_for_goes_with_them(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR(ASKING DATA));
    buf_clear(&core->asked);
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 1);
    assert_str(buf_str(&core->asked), STR(" RET=FULL | NOTIFY=NEVER"));
    say(client, STR(ASKING DATA));
    stage_core_die(&stage);
    stage_core_start(&stage);
    buf_clear(&core->asked);
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 1);
    assert_str(buf_str(&core->asked), STR(" RET=FULL | NOTIFY=NEVER"));
    off_stage(client);
}

/* One question for all, each with its own; the answer is taken by who asked for the same. */
static void each_asks_for_its_own(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR(MAIL "RCPT TO:<ann@example.test> NOTIFY=DELAY\r\nRCPT TO:<ann@example.test>\r\n"
                         "RCPT TO:<eve@example.test> ORCPT=rfc822;e\r\n"));
    assert_str(buf_str(&core->asked), STR(" | NOTIFY=DELAY | | ORCPT=rfc822;e"));
    assert_int_equal(core->resolves, 2);
    off_stage(client);
}

static void an_unknown_one_waits_for_core(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    core->holds = true;
    assert_str(say(client, STR(MAIL ANN)), STR(""));
    stage_core_release(&stage);
    assert_str(hear(client), STR(SENDER_OK RECIPIENT_OK));
    off_stage(client);
}

/* One question for both, and then one is not known. */
static void with_an_unknown_one_all_wait(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    core->holds = true;
    assert_str(say(client, STR(MAIL BOB ANN)), STR(""));
    assert_int_equal(core->resolves, 2);
    off_stage(client);
}

static void who_was_refused_is_not_known(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    static const char *const others[] = {"nobody", "forward", "full", "later", "brief"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, MAIL "RCPT TO:<%s@example.test>\r\nRSET\r\n", others[i]);
        say(client, str_from(line));
        size_t resolves = core->resolves;
        say(client, str_from(line));
        assert_int_equal(core->resolves, resolves + 1);
    }
    off_stage(client);
}

/* Core refuses whom it accepted before, and said nothing of a change. */
static void what_core_says_decides(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    core->refuses = ERR_MAILBOX_UNKNOWN;
    assert_str(say(client, STR(MAIL BOB DATA)), STR(SENDER_OK RECIPIENT_OK GO_AHEAD));
    assert_true(str_starts(say(client, STR(TEXT)), STR("451 4.3.0 ")));
    assert_int_equal(core->messages, 1);
    assert_int_equal(core->refusals, 2); /* the recipient's, and the message's */
    /* And now it is known no more. */
    assert_true(str_starts(say(client, STR(MAIL BOB)), STR(SENDER_OK "550 5.1.1 ")));
    off_stage(client);
}

/* Nobody is left out without a word: the reply is one for both. */
static void one_refused_of_two_refuses_the_message(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR(MAIL ANN "RSET\r\n" MAIL BOB ANN DATA));
    core->refuses = ERR_MAILBOX_UNKNOWN;
    assert_true(str_starts(say(client, STR(TEXT)), STR("451 4.3.0 ")));
    assert_int_equal(core->messages, 1);
    assert_int_equal(core->refusals, 3);
    off_stage(client);
}

/* Then all are named to core, and those that were known get their tokens, too. */
static void an_unknown_one_behind_a_known_one(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(true);
    say(client, STR(MAIL QUOTA "RSET\r\n"));
    say(client, STR(MAIL QUOTA));
    assert_int_equal(core->resolves, 2);
    say(client, STR(ANN));
    assert_int_equal(core->resolves, 3);
    say(client, STR(DATA));
    struct str said = say(client, STR(TEXT));
    assert_int_equal(core->resolves, 4);
    assert_int_equal(core->by_address, 0);
    assert_true(str_starts(str_cut(&said, '\n'), STR("552 5.2.2 ")));
    assert_true(is_accepted(str_cut(&said, '\n')));
    /* ... or are refused, where core does not accept them any more. */
    say(client, STR(MAIL QUOTA));
    say(client, STR("RCPT TO:<other@example.test>\r\n" DATA));
    core->refuses = ERR_MAILBOX_UNKNOWN;
    assert_true(str_starts(say(client, STR(TEXT)), STR("451 4.3.0 ")));
    off_stage(client);
}

/* Core gave none ahead, or has forgotten it. */
static void without_an_id_core_is_asked(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false), *other = stage_connect(&stage, false, LOCAL);
    core->gives_no_ids = true;
    say(client, STR(MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 1); /* with the one that was left */
    say(client, STR(MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 1);
    assert_int_equal(core->resolves, 2);
    core->gives_no_ids = false;
    say(client, STR(MAIL ANN DATA));
    assert_true(is_accepted(say(client, STR(TEXT)))); /* gives one ... */
    core->next_message++;                             /* ... that is another's now */
    say(other, STR(HELLO MAIL BOB DATA));
    assert_true(is_accepted(say(other, STR(TEXT))));
    assert_int_equal(core->by_address, 2);
    assert_int_equal(core->resolves, 4);
    assert_int_equal(core->messages, 5);
    fake_client_done(other);
    off_stage(client);
}

/* Core is asked at the second try, however many ids are left that it has forgotten. */
static void many_forgotten_ids(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    for (int i = 0; i < 5; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, MAIL "RCPT TO:<user%d@example.test>\r\n" DATA, i);
        say(client, str_from(line));
        assert_true(is_accepted(say(client, STR(TEXT))));
    }
    core->next_message++;
    say(client, STR(MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 1);
    off_stage(client);
}

/* An id is as young as the recipients are. */
static void an_old_id_is_not_used(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    stage_pass(&stage, SMTP_KNOWN_FOR);
    say(client, STR(MAIL BOB "RSET\r\n" MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->by_address, 0);
    off_stage(client);
}

/* What the client declares may be more than there is room for. */
static void a_large_one_is_asked_for(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR("EHLO c.example\r\n"));
    say(client, STR("MAIL FROM:<a@b.example> SIZE=262144\r\n" BOB "RSET\r\n"));
    assert_int_equal(core->resolves, 1);
    say(client, STR("MAIL FROM:<a@b.example> SIZE=262145\r\n" BOB "RSET\r\n"));
    assert_int_equal(core->resolves, 2);
    off_stage(client);
}

static void a_change_that_is_told_is_seen_at_once(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    core->refuses = ERR_MAILBOX_UNKNOWN;
    stage_core_changes(&stage);
    assert_true(str_starts(say(client, STR(MAIL BOB)), STR(SENDER_OK "550 5.1.1 ")));
    off_stage(client);
}

static void another_core_knows_nobody(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    stage_core_die(&stage);
    stage_core_start(&stage);
    core->refuses = ERR_MAILBOX_UNKNOWN;
    assert_true(str_starts(say(client, STR(MAIL BOB)), STR(SENDER_OK "550 5.1.1 ")));
    off_stage(client);
}

/* Since core was asked; a message in between does not make it longer. */
static void known_for_a_while(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    stage_pass(&stage, SMTP_KNOWN_FOR - 1);
    say(client, STR(MAIL BOB DATA));
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->resolves, 1);
    stage_pass(&stage, 1);
    say(client, STR(MAIL BOB));
    assert_int_equal(core->resolves, 2);
    off_stage(client);
}

/* Core's answer is older than the change that it told behind it. */
static void a_change_behind_the_answer(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    core->holds = true;
    say(client, STR(MAIL ANN));
    core->changes_behind = true;
    stage_core_release(&stage);
    assert_str(hear(client), STR(SENDER_OK RECIPIENT_OK));
    core->refuses = ERR_MAILBOX_UNKNOWN;
    assert_true(str_starts(say(client, STR("RSET\r\n" MAIL ANN)),
                           STR("250 2.0.0 Flushed\r\n" SENDER_OK "550 5.1.1 ")));
    off_stage(client);
}

/* In LMTP an outcome shows whose it was. */
static void each_has_its_own_outcome(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(true);
    say(client, STR(MAIL QUOTA "RSET\r\n" MAIL BOB QUOTA BOB DATA));
    struct str said = say(client, STR(TEXT));
    assert_int_equal(core->by_address, 1);
    assert_true(is_accepted(str_cut(&said, '\n')));
    assert_true(str_starts(str_cut(&said, '\n'), STR("552 5.2.2 ")));
    assert_true(is_accepted(str_cut(&said, '\n')));
    assert_int_equal(said.n, 0);
    off_stage(client);
}

/* Core was told nothing that it would have to forget. */
static void over_without_a_message(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR(MAIL BOB "RSET\r\n" MAIL BOB DATA "\rx"));
    assert_int_equal(core->forgets, 0);
    assert_int_equal(core->resolves, 1);
    off_stage(client);
}

/* Told by one core, committed to another. */
static void core_goes_before_the_commit(void **state)
{
    (void)state;
    struct fake_client *client = on_stage(false);
    say(client, STR(MAIL BOB DATA));
    stage_core_die(&stage);
    stage_core_start(&stage);
    assert_true(is_accepted(say(client, STR(TEXT))));
    assert_int_equal(core->resolves, 2);
    say(client, STR(MAIL BOB "RSET\r\n" MAIL BOB DATA));
    core->refuses = ERR_MAILBOX_UNKNOWN;
    stage_core_die(&stage);
    stage_core_start(&stage);
    assert_true(str_starts(say(client, STR(TEXT)), STR("451 4.3.0 ")));
    assert_int_equal(core->messages, 2);
    off_stage(client);
}

/* The try is found by the id that was given ahead, whether or not it had an effect. */
static void the_answer_is_lost_with_core(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct fake_client *client = on_stage(false);
        say(client, STR(MAIL BOB DATA));
        core->commit_silent = true;
        core->commit_lost = lost;
        assert_str(say(client, STR(TEXT)), STR(""));
        assert_int_equal(core->by_address, 1);
        stage_core_die(&stage);
        stage_core_start(&stage);
        assert_true(is_accepted(hear(client)));
        assert_int_equal(core->messages, 2);
        assert_int_equal(core->resolves, 1 + lost);
        off_stage(client);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_recipient_needs_no_question),
        cmocka_unit_test(an_unknown_one_waits_for_core),
        cmocka_unit_test(what_known_ones_ask_for_goes_with_them),
        cmocka_unit_test(each_asks_for_its_own),
        cmocka_unit_test(with_an_unknown_one_all_wait),
        cmocka_unit_test(who_was_refused_is_not_known),
        cmocka_unit_test(what_core_says_decides),
        cmocka_unit_test(one_refused_of_two_refuses_the_message),
        cmocka_unit_test(an_unknown_one_behind_a_known_one),
        cmocka_unit_test(without_an_id_core_is_asked),
        cmocka_unit_test(many_forgotten_ids),
        cmocka_unit_test(an_old_id_is_not_used),
        cmocka_unit_test(a_large_one_is_asked_for),
        cmocka_unit_test(a_change_that_is_told_is_seen_at_once),
        cmocka_unit_test(another_core_knows_nobody),
        cmocka_unit_test(known_for_a_while),
        cmocka_unit_test(a_change_behind_the_answer),
        cmocka_unit_test(each_has_its_own_outcome),
        cmocka_unit_test(over_without_a_message),
        cmocka_unit_test(core_goes_before_the_commit),
        cmocka_unit_test(the_answer_is_lost_with_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
