#include "edge/smtp/judgement.h"

#include "base/test.h"

struct given {
    struct arena arena;
    struct conf conf;
    struct hits hits;
    struct judgement judgement;
};

static int open_given(void **state)
{
    static struct given given;
    given = (struct given){.hits = SLIST_HEAD_INITIALIZER(given.hits)};
    arena_init(&given.arena, 8 << 20);
    *state = &given;
    return 0;
}

static int close_given(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    return 0;
}

static void configured(struct given *given, struct str text)
{
    struct conf_trouble trouble;
    assert_int_equal(
        conf_parse(text, STR("f"), STR("/"), &given->arena, &given->conf, &trouble).code, ERR_NONE);
    buf_done(&trouble.text);
}

static void add_hit(struct given *given, size_t list, enum conf_subject of, const char *reason)
{
    struct hit *hit = arena_new(&given->arena, struct hit);
    assert_non_null(hit);
    *hit = (struct hit){.list = &given->conf.dns_lists[list], .of = of, .code = "127.0.0.2"};
    memcpy(hit->reason, reason, strlen(reason));
    SLIST_INSERT_HEAD(&given->hits, hit, link);
}

static const struct judgement *judged(struct given *given, struct known_of_client known)
{
    known.hits = &given->hits;
    judgement_of(&known, &given->conf, &given->judgement);
    return &given->judgement;
}

static void nothing_known_is_nothing_found(void **state)
{
    struct given *given = *state;
    configured(given, STR("hostname = mx.test\nsmtp { reverse_dns = refuse\nhelo_check = refuse\n"
                          "sender_check = refuse\nrefuse_score = 1 }"));
    const struct judgement *judgement =
        judged(given, (struct known_of_client){.client = STR("192.0.2.1"),
                                               .helo = STR("mx.test"),
                                               .recipient = STR("bob@mx.test")});
    assert_int_equal(judgement->score, 0);
    assert_int_equal(judgement->refusal, ERR_NONE);
    assert_string_equal(judgement->words, "");
}

static void scores_add_up_to_the_limit(void **state)
{
    struct given *given = *state;
    struct known_of_client known = {.client = STR("192.0.2.1"),
                                    .helo = STR("x.test"),
                                    .reverse = REVERSE_NONE,
                                    .helo_leads = LEADS_NOWHERE,
                                    .sender = SENDER_NULL_MX};
    configured(given, STR("smtp { refuse_score = 8 }"));
    const struct judgement *judgement = judged(given, known);
    assert_int_equal(judgement->score, 7);
    assert_int_equal(judgement->refusal, ERR_NONE);
    assert_string_equal(judgement->words, "score=7 no-reverse helo-unknown sender-null-mx");
    configured(given, STR("smtp { refuse_score = 7 }"));
    judgement = judged(given, known);
    assert_int_equal(judgement->refusal, ERR_SCORE);
    assert_string_equal(judgement->text, "no-reverse helo-unknown sender-null-mx");
    configured(given, STR("smtp { refuse_score = 6\nreverse_dns = ignore }"));
    assert_int_equal(judged(given, known)->score, 5);
    configured(given, STR(""));
    assert_int_equal(judged(given, known)->refusal, ERR_NONE); /* 0: never */
}

static void the_first_reason_is_told(void **state)
{
    struct given *given = *state;
    configured(given, STR("smtp { sender_check = refuse }\ndns_list a { zone = a.test\n"
                          "refuse = yes\ntext = \"ask us\" }"));
    add_hit(given, 0, CONF_SUBJECT_ADDRESS, "their words");
    const struct judgement *judgement =
        judged(given, (struct known_of_client){.sender = SENDER_NOWHERE});
    assert_int_equal(judgement->refusal, ERR_SENDER_DOMAIN);
    judgement = judged(given, (struct known_of_client){.sender = SENDER_UNKNOWN});
    assert_int_equal(judgement->refusal, ERR_LISTED);
    assert_string_equal(judgement->text, "a: ask us");
}

static void who_is_allowed_is_not_weighed(void **state)
{
    struct given *given = *state;
    configured(given, STR("smtp { reverse_dns = refuse\nrefuse_score = 1 }\n"
                          "dns_list a { zone = a.test\nrefuse = yes }\n"
                          "dns_list b { zone = b.test\nkind = allow }"));
    add_hit(given, 0, CONF_SUBJECT_ADDRESS, "");
    add_hit(given, 1, CONF_SUBJECT_ADDRESS, "");
    const struct judgement *judgement =
        judged(given, (struct known_of_client){.reverse = REVERSE_NONE});
    assert_int_equal(judgement->refusal, ERR_NONE);
    assert_int_equal(judgement->score, 0);
    assert_string_equal(judgement->words, "score=0 allowed=b/127.0.0.2");
}

static void postmaster_and_abuse_are_spared(void **state)
{
    static const struct {
        struct str recipient;
        bool spared;
    } those[] = {
        {STR_INIT("postmaster@a.test"), true},    {STR_INIT("PostMaster"), true},
        {STR_INIT("abuse@a.test"), true},         {STR_INIT("abuser@a.test"), false},
        {STR_INIT("a@postmaster.test"), false},   {STR_INIT(""), false},
        {STR_INIT("postmaster+x@a.test"), false},
    };
    struct given *given = *state;
    configured(given, STR("smtp { reverse_dns = refuse }"));
    for (size_t i = 0; i < sizeof those / sizeof *those; i++) {
        const struct judgement *judgement =
            judged(given, (struct known_of_client){.reverse = REVERSE_NONE,
                                                   .recipient = those[i].recipient});
        assert_int_equal(judgement->refusal == ERR_NONE, those[i].spared);
        assert_int_equal(judgement->score, 2);
    }
}

/* Twenty lists with the longest names: what has no room is left out, and nothing is written beyond.
 */
static void words_have_an_end(void **state)
{
    struct given *given = *state;
    struct buf text = BUF_INIT(65536);
    buf_put(&text, STR("smtp { refuse_score = 1 }\n"));
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "dns_list l%063d { zone = l%d.test }\n", i, i);
    configured(given, buf_str(&text));
    for (size_t i = 0; i < 20; i++)
        add_hit(given, i, CONF_SUBJECT_ADDRESS, "");
    const struct judgement *judgement =
        judged(given, (struct known_of_client){.sender = SENDER_UNKNOWN});
    assert_int_equal(judgement->score, 100);
    assert_int_equal(judgement->refusal, ERR_SCORE);
    assert_true(strlen(judgement->words) < JUDGEMENT_WORDS);
    assert_true(strlen(judgement->text) < JUDGEMENT_TEXT);
    assert_true(strncmp(judgement->words, "score=100 list=l", 16) == 0);
    buf_done(&text);
}

static void literals_are_compared_as_addresses(void **state)
{
    static const struct {
        struct str helo, client;
        bool same;
    } those[] = {
        {STR_INIT("[192.0.2.1]"), STR_INIT("192.0.2.1"), true},
        {STR_INIT("[192.0.2.2]"), STR_INIT("192.0.2.1"), false},
        {STR_INIT("[IPv6:2001:DB8:0::1]"), STR_INIT("2001:db8::1"), true},
        {STR_INIT("[IPv6:2001:db8::2]"), STR_INIT("2001:db8::1"), false},
        {STR_INIT("[IPv6:::ffff:192.0.2.1]"), STR_INIT("192.0.2.1"), true},
        {STR_INIT("["), STR_INIT("192.0.2.1"), false},
        {STR_INIT("[tag:x]"), STR_INIT("192.0.2.1"), false},
    };
    struct given *given = *state;
    configured(given, STR("smtp { helo_check = refuse }"));
    for (size_t i = 0; i < sizeof those / sizeof *those; i++) {
        const struct judgement *judgement = judged(
            given, (struct known_of_client){.helo = those[i].helo, .client = those[i].client});
        assert_int_equal(judgement->refusal == ERR_NONE, those[i].same);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_given, close_given)
    const struct CMUnitTest tests[] = {
        TEST(nothing_known_is_nothing_found),     TEST(scores_add_up_to_the_limit),
        TEST(the_first_reason_is_told),           TEST(who_is_allowed_is_not_weighed),
        TEST(postmaster_and_abuse_are_spared),    TEST(words_have_an_end),
        TEST(literals_are_compared_as_addresses),
    };
    return cmocka_run_group_tests_name("judgement", tests, NULL, NULL);
}
