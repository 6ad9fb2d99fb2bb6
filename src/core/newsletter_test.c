/*
 * Issues of newsletters in core: who gets one, in slices, past members who leave, a core that dies
 * at any call, and a store that fails at any.
 */
#include "core/newsletter.h"

#include <errno.h>
#include <jansson.h>

#include "core/operator_rig_test.h"
#include "core/signing.h"
#include "store/dkim.h"
#include "store/newsletter.h"

enum {
    MEMBERS = 120, /* elsewhere: more than two slices */
    MEMBERS_MOST = 1000,
};

#define CONF                                                                                       \
    "hostname = mx.example.test\nsending { processes = 1 }\n"                                      \
    "http { hostname = news.example.test\nlisten_tls = \"*:443\" }\n"                              \
    "smtp { relay_from = \"0.0.0.0/0\" }\n"
#define LETTER "From: The News <alice@example.test>\r\nSubject: new\r\n\r\nWhat is new.\r\n"
#define SEND "newsletter send news@example.test -"

/* --- The list -------------------------------------------------------------------------------- */

static void key_make(struct rig *rig, void *arg)
{
    struct dkim_key *key;
    struct buf private_key = buf_in(&house.arena, DKIM_KEY_MAX),
               record = buf_in(&house.arena, DKIM_RECORD_MAX);
    (void)arg;
    assert_false(err_is(dkim_key_make(DKIM_ED25519, &key)));
    assert_false(err_is(dkim_key_write(key, &private_key)));
    assert_false(err_is(dkim_key_record(key, &record)));
    dkim_key_free(key);
    const struct dkim_new made = {DKIM_ED25519, buf_built(&record), buf_built(&private_key)};
    int64_t now = world_wall(&rig->fake->world);
    struct str domain = STR("example.test");
    assert_false(err_is(dkim_kept_add(rig->engine, domain, true, &made, 1, now)));
}

struct membership {
    const char *list;
    const char *const *others;
    size_t count, others_count;
};

static void list_make(struct rig *rig, void *arg)
{
    const struct membership *given = arg;
    struct directory *directory = &house.core.directory;
    struct addr list = house_addr(&house, given->list),
                alice = house_addr(&house, "alice@example.test");
    struct mailing_list settings = {.name = STR("The News")};
    struct member_change *members =
        arena_take_array(&house.arena, given->count + given->others_count + 1, sizeof(*members));
    char text_of[64];
    size_t n = 0;
    (void)rig;
    for (size_t i = 0; i < given->count; i++) {
        snprintf(text_of, sizeof(text_of), "member%03zu@far%zu.test", i, i % 3);
        members[n++].member = house_addr(&house, text_of);
    }
    for (size_t i = 0; i < given->others_count; i++)
        members[n++].member = house_addr(&house, given->others[i]);
    assert_false(
        err_is(directory_list_add(directory, &list, &settings, &alice, members, n, &house.arena)));
}

static void list_of(size_t count, const char *const *others, size_t others_count)
{
    struct membership given = {"news@example.test", others, count, others_count};
    assert_true(rig_do(&house.rig, list_make, &given));
}

static void reload(struct rig *rig, void *arg)
{
    (void)rig;
    (void)arg;
    assert_false(err_is(signing_reload(&house.core, STR("example.test"))));
}

static void sign(void)
{
    assert_true(rig_do(&house.rig, key_make, NULL));
    (void)typed("dkim published example.test");
    assert_int_equal(typing.code, 0);
    assert_true(rig_do(&house.rig, reload, NULL));
}

static int begin(void **state)
{
    (void)state;
    house_open(&house, CONF, 1);
    mx = house_edge(&house, ROLE_MX);
    box = house_edge(&house, ROLE_BOX);
    courier = NULL;
    sign();
    typing.input = STR(LETTER);
    return 0;
}

static int end(void **state)
{
    typing.input = str_null();
    buf_done(&typing.out);
    buf_done(&typing.err);
    return teardown(state);
}

/* --- Who got it ------------------------------------------------------------------------------ */

static struct {
    char address[64];
    size_t count;
} got[MEMBERS_MOST];
static size_t got_count;

static void got_one(const char *address)
{
    size_t i = 0;
    while (i < got_count && strcmp(got[i].address, address) != 0)
        i++;
    assert_true(i < MEMBERS_MOST);
    if (i == got_count)
        snprintf(got[got_count++].address, sizeof(got[0].address), "%s", address);
    got[i].count++;
}

/* All that waits for elsewhere, by address. */
static void count_all(void)
{
    got_count = 0;
    memset(got, 0, sizeof(got));
    typing.json = true;
    (void)typed("queue list");
    typing.json = false;
    for (struct str rest = buf_str(&typing.out); rest.n;) {
        struct str line = str_cut(&rest, '\n');
        json_t *entry = json_loadb(line.p, line.n, 0, NULL), *to;
        size_t i;
        json_array_foreach(json_object_get(entry, "recipients"), i, to)
            got_one(json_string_value(to));
        json_decref(entry);
    }
}

static size_t got_by(const char *address)
{
    for (size_t i = 0; i < got_count; i++)
        if (strcmp(got[i].address, address) == 0)
            return got[i].count;
    return 0;
}

static void assert_each_once(size_t members)
{
    count_all();
    for (size_t i = 0; i < got_count; i++)
        if (got[i].count != 1)
            fail_msg("%s has %zu", got[i].address, got[i].count);
    assert_int_equal(got_count, members);
}

static void under_way_count(struct rig *rig, void *arg)
{
    uint64_t *ids;
    assert_false(err_is(newsletters_find(rig->engine, &house.arena, &ids, arg)));
}

static size_t under_way(void)
{
    size_t count;
    assert_true(rig_do(&house.rig, under_way_count, &count));
    return count;
}

static void send_and_settle(void)
{
    (void)typed(SEND);
    assert_int_equal(typing.code, ADMIN_OK);
    house_pass(&house, 10 * NS_PER_SECOND);
}

static size_t logged(const char *words)
{
    struct str rest = fake_log(house.rig.fake);
    size_t count = 0;
    for (ssize_t at; (at = str_find(rest, str_from(words))) >= 0; count++)
        rest = str_from_index(rest, (size_t)at + 1);
    return count;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void each_member_gets_one(void **state)
{
    (void)state;
    static const char *const others[] = {"alice@example.test", "away@example.test",
                                         "gr\303\245@far1.test", "team@example.test"};
    list_of(MEMBERS, others, 4);
    send_and_settle();
    /* "away" leads elsewhere; "team" and it have carol, whose quota it may not pass */
    assert_each_once(MEMBERS + 2);
    assert_int_equal(got_by("new@else.example"), 1);
    assert_int_equal(got_by("gr\303\245@far1.test"), 1);
    assert_true(house_count(box, "alice@example.test") >= 1);
    assert_int_equal(under_way(), 0);
    assert_int_equal(logged("newsletter_sent"), 1);
    send_and_settle(); /* the same once more is another issue */
    count_all();
    assert_int_equal(got_by("member000@far0.test"), 2);
}

static void a_member_with_no_room_is_left_out(void **state)
{
    (void)state;
    static const char *const others[] = {"carol@example.test", "dave@example.test"};
    char large[4096];
    list_of(3, others, 2);
    memset(large, 'x', sizeof(large));
    struct buf letter = buf_in(&house.arena, 8192);
    buf_put(&letter, STR("From: alice@example.test\r\n\r\n"));
    for (size_t i = 0; i < sizeof(large); i += 64) {
        buf_put(&letter, str_make(large, 62));
        buf_put(&letter, STR("\r\n"));
    }
    typing.input = buf_built(&letter);
    send_and_settle();
    assert_each_once(3);
    assert_int_equal(under_way(), 0);
    assert_true(logged("newsletter_member_left_out") >= 2);
}

/* --- Links ----------------------------------------------------------------------------------- */

/* What leaves for that recipient. */
static struct str letter_for(const char *address)
{
    for (size_t i = 0; i < job_count; i++)
        if (str_eq(job_at(i)->recipients[0].address, str_from(address))) {
            struct buf octets = buf_in(&house.arena, 1 << 16);
            assert_int_equal(job_at(i)->recipients_count, 1);
            assert_false(err_is(fetch(job_at(i), SLAB_SIZE, &octets)));
            return buf_built(&octets);
        }
    fail_msg("nothing for %s", address);
    return str_null();
}

static struct msg_unsubscribed follow(struct edge_end *web, struct str letter, bool leaves)
{
    static const char before[] = "List-Unsubscribe: <https://news.example.test/unsubscribe/";
    struct msg answer;
    ssize_t at = str_find(letter, str_from(before));
    assert_true(at >= 0);
    struct str token = str_from_index(letter, (size_t)at + sizeof(before) - 1);
    token = str_head(token, (size_t)str_index(token, '>'));
    struct msg question = {
        .kind = MSG_unsubscribe,
        .unsubscribe = {.token = token, .leaves = leaves, .client = STR("192.0.2.9")}};
    assert_false(err_is(house_ask(web, question, &answer)));
    return answer.unsubscribed;
}

static void each_link_is_its_member_s(void **state)
{
    (void)state;
    struct edge_end *web = house_edge(&house, ROLE_WEB);
    list_of(3, NULL, 0);
    job_count = 0;
    courier = house_edge(&house, ROLE_COURIER);
    courier->heard = heard;
    courier_ready(NULL, 0);
    send_and_settle();
    struct str one = letter_for("member001@far1.test"), two = letter_for("member002@far2.test");
    assert_says(one, "\r\nTo: <member001@far1.test>\r\n");
    assert_says(one, "\r\nList-Id: <news.example.test>\r\n");
    assert_says(one, "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    assert_says(one, "DKIM-Signature:");
    assert_silent(one, "member002");
    assert_str(follow(web, one, false).list, STR("news@example.test"));
    assert_int_equal(follow(web, two, true).error, ERR_NONE);
    job_count = 0;
    send_and_settle();
    assert_int_equal(job_count, 2); /* whoever only looked stays */
    (void)letter_for("member001@far1.test");
    assert_int_equal(follow(web, two, true).error, ERR_NONE); /* once more is no error */
    (void)typed("list remove news@example.test");
    assert_int_equal(follow(web, one, true).error, ERR_NOT_FOUND);
    struct str forged = arena_str(&house.arena, one);
    ssize_t at = str_find(forged, STR("/unsubscribe/")) + 20;
    ((char *)(uintptr_t)forged.p)[at] ^= 1;
    assert_int_equal(follow(web, forged, true).error, ERR_NOT_FOUND);
}

/* --- A list's own turns ---------------------------------------------------------------------- */

static void an_empty_list(void **state)
{
    (void)state;
    list_of(0, NULL, 0);
    assert_says(complaint(SEND, ADMIN_DATA), "it has no members");
    assert_int_equal(under_way(), 0);
    (void)complaint("newsletter send none@example.test -", ADMIN_NO_USER);
}

/* Signatures are not made from the nth sync of the disk on: what comes then waits. */
static struct fake_hook hook;
static size_t syncs_left;

static void sync_seen(struct fake_hook *self, const struct fake_call *call)
{
    (void)self;
    if (call->kind == FAKE_FILE_SYNC && call->role == house.rig.role && syncs_left &&
        --syncs_left == 0)
        house.conf.dkim.sign = false;
}

/* The first slices are in the queue, the others wait; how many there are. */
static size_t stop_midway(size_t syncs)
{
    syncs_left = syncs;
    hook = (struct fake_hook){.after = sync_seen};
    fake_hook_add(house.rig.fake, &hook);
    send_and_settle();
    fake_hook_remove(house.rig.fake, &hook);
    assert_false(house.conf.dkim.sign);
    assert_int_equal(under_way(), 1);
    assert_int_equal(logged("newsletter_waits"), 1); /* not once a second */
    assert_int_equal(logged("no key signs for example.test"), 1);
    count_all();
    assert_true(got_count > 0 && got_count < MEMBERS && got_count % NEWSLETTER_SLICE == 0);
    return got_count;
}

static void go_on(void)
{
    house.conf.dkim.sign = true;
    house_pass(&house, 5 * NS_PER_SECOND);
    assert_int_equal(under_way(), 0);
}

static void who_leaves_meanwhile_gets_nothing(void **state)
{
    (void)state;
    list_of(MEMBERS, NULL, 0);
    (void)stop_midway(4);
    assert_int_equal(got_by("member000@far0.test"), 1);
    assert_int_equal(got_by("member119@far2.test"), 0);
    (void)typed("list set news@example.test --drop member000@far0.test");
    (void)typed("list set news@example.test --drop member119@far2.test");
    assert_int_equal(typing.code, 0);
    go_on();
    assert_each_once(MEMBERS - 1);
    assert_int_equal(got_by("member000@far0.test"), 1);
    assert_int_equal(got_by("member119@far2.test"), 0);
}

static void who_comes_meanwhile_gets_it_if_his_turn_comes(void **state)
{
    (void)state;
    list_of(MEMBERS, NULL, 0);
    (void)stop_midway(4);
    (void)typed("list set news@example.test --member zoe@far9.test --member aaron@far.test");
    assert_int_equal(typing.code, 0);
    go_on();
    assert_each_once(MEMBERS + 1);
    assert_int_equal(got_by("zoe@far9.test"), 1);
}

static void a_list_that_goes_ends_its_issues(void **state)
{
    (void)state;
    list_of(MEMBERS, NULL, 0);
    size_t before = stop_midway(4);
    (void)typed("list remove news@example.test");
    assert_int_equal(typing.code, 0);
    go_on();
    assert_each_once(before);
}

/* And one that goes before a new core has read it. */
static void a_list_that_is_gone_at_the_start(void **state)
{
    (void)state;
    list_of(MEMBERS, NULL, 0);
    size_t before = stop_midway(4);
    (void)typed("list remove news@example.test");
    house_crash(&house);
    edge_end_leave(mx);
    edge_end_leave(box);
    house_start(&house);
    go_on();
    assert_each_once(before);
    assert_int_equal(logged("newsletter_ended"), 1);
}

/* --- What is refused ------------------------------------------------------------------------- */

static void refused(struct str letter, const char *words)
{
    typing.input = letter;
    (void)typed(SEND);
    assert_true(typing.code != 0);
    assert_says(buf_str(&typing.err), words);
    assert_int_equal(under_way(), 0);
}

static void letters_that_are_none(void **state)
{
    (void)state;
    list_of(1, NULL, 0);
    refused(STR(""), "");
    refused(STR("From: alice@example.test\r\n"), "no end of its header");
    refused(STR("From: alice@example.test\r\n\r\na\nb\r\n"), "do not end in CR LF");
    refused(STR("From: alice@example.test\r\n\r\na\rb\r\n"), "do not end in CR LF");
    refused(STR("From: alice@example.test\r\n\r\na\r"), "do not end in CR LF");
    refused(STR("Subject: x\r\n\r\n"), "does not name one author");
    refused(STR("From: alice@example.test\r\nFrom: bob@far.test\r\n\r\n"),
            "does not name one author");
    refused(STR("From: alice@example.test\r\nBCC : x@far.test\r\n\r\n"), "it has one of them");
    refused(STR("list-unsubscribe: <x>\r\nFrom: alice@example.test\r\n\r\n"), "it has one of them");
    refused(STR("From: bob@far.test\r\n\r\n"), "no key signs");
    house.conf.dkim.sign = false;
    refused(STR(LETTER), "no key signs");
    house.conf.dkim.sign = true;
    house.conf.http.listen_tls.count = 0;
    refused(STR(LETTER), "nobody could unsubscribe");
    house.conf.http.listen_tls.count = 1;
    house.conf.sending.processes = 0;
    refused(STR(LETTER), "nothing is sent here");
    assert_int_equal(waiting(), 0);
}

static struct str letter_of(size_t octets)
{
    char *room = arena_take(&house.arena, octets);
    size_t head = sizeof(LETTER) - 1;
    memcpy(room, LETTER, head);
    memset(room + head, 'x', octets - head);
    for (size_t i = head + 62; i + 1 < octets; i += 64)
        memcpy(room + i, "\r\n", 2);
    memcpy(room + octets - 3, "x\r\n", 3);
    if (room[octets - 4] == '\r')
        room[octets - 4] = 'x';
    return str_make(room, octets);
}

static void a_letter_at_the_limit(void **state)
{
    (void)state;
    list_of(3, NULL, 0);
    refused(letter_of(NEWSLETTER_MAX + 1), "at most 200K");
    typing.input = letter_of(NEWSLETTER_MAX);
    send_and_settle();
    assert_each_once(3);
}

static void others_put(struct rig *rig, void *arg)
{
    const size_t *count = arg;
    struct op_list ops = op_list_take(&house.arena, *count * NEWSLETTER_OPS);
    for (size_t i = 0; i < *count; i++) {
        struct newsletter one = {.id = i + 1, .list = STR("x@example.test"), .after = STR("")};
        newsletter_put_ops(&one, &house.arena, &ops);
    }
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(rig->engine, &commit)));
}

/* What is beyond them, a core that starts would not find. */
static void more_issues_than_may_be_under_way(void **state)
{
    (void)state;
    size_t others = NEWSLETTERS_MAX - 1;
    list_of(1, NULL, 0);
    assert_true(rig_do(&house.rig, others_put, &others));
    send_and_settle();
    assert_each_once(1);
    others = NEWSLETTERS_MAX;
    assert_true(rig_do(&house.rig, others_put, &others));
    assert_says(complaint(SEND, ADMIN_LATER), "too many");
    assert_int_equal(waiting(), 1);
}

/* --- Cores that die, stores that fail -------------------------------------------------------- */

struct sending_try {
    bool answered;
};

static void send_run(struct rig *rig, void *arg)
{
    struct sending_try *try = arg;
    type(rig, NULL);
    try->answered = true;
}

/* The command, and ten seconds; true: it said that it was taken. */
static bool send_through(void)
{
    struct sending_try try = {.answered = false};
    buf_clear(&typing.out);
    buf_clear(&typing.err);
    typing.line = SEND;
    (void)rig_do(&house.rig, send_run, &try);
    house_pass(&house, 10 * NS_PER_SECOND);
    return try.answered && typing.code == 0;
}

static void core_comes_again(void)
{
    house_crash(&house);
    edge_end_leave(mx);
    edge_end_leave(box);
    house_start(&house);
    house_pass(&house, 10 * NS_PER_SECOND);
}

/* Whatever call core dies at, and whatever the power then takes: all members or, where nothing was
 * promised, none; each once. */
static void a_core_that_dies_anywhere(void **state)
{
    bool lived = false;
    size_t none = 0, cut = 0;
    for (uint64_t nth = 1; !lived; nth += 1 + nth / 12) {
        assert_int_equal(begin(state), 0);
        list_of(MEMBERS, NULL, 0);
        fake_kill_role_at(house.rig.fake, house.rig.role, nth);
        bool promised = send_through();
        lived = fake_role_alive(house.rig.fake, house.rig.role);
        house.rig.dead = !lived;
        core_comes_again();
        assert_int_equal(under_way(), 0);
        count_all();
        none += got_count == 0;
        cut += promised && !lived;
        if (promised || got_count)
            assert_each_once(MEMBERS);
        end(state);
    }
    assert_true(none > 0 && cut > 0); /* before it was promised, and in the middle */
}

/* A call that fails once or for a while: the same, without a new core. */
static void a_store_that_fails_anywhere(void **state)
{
    static const enum fake_call_kind kinds[] = {FAKE_FILE_WRITE, FAKE_FILE_SYNC, FAKE_FILE_OPEN,
                                                FAKE_FILE_READ};
    size_t fired = 0, taken = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (uint64_t nth = 1, all_fired = 1; all_fired; nth++) {
            assert_int_equal(begin(state), 0);
            list_of(MEMBERS, NULL, 0);
            struct fake_fault fault = {.kind = kinds[i],
                                       .role = house.rig.role,
                                       .nth = nth,
                                       .times = 1 + nth % 3,
                                       .error = nth % 2 ? -ENOSPC : -EIO};
            fake_fault_add(house.rig.fake, &fault);
            bool promised = send_through();
            fake_fault_remove(house.rig.fake, &fault);
            house_pass(&house, 60 * NS_PER_SECOND);
            assert_true(fake_role_alive(house.rig.fake, house.rig.role));
            all_fired = fault.fired > 0;
            fired += all_fired;
            taken += promised && all_fired;
            assert_int_equal(under_way(), 0);
            count_all();
            if (promised || got_count)
                assert_each_once(MEMBERS);
            end(state);
        }
    assert_true(fired > 4 && taken > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_member_gets_one),
        TEST(a_member_with_no_room_is_left_out),
        TEST(each_link_is_its_member_s),
        TEST(an_empty_list),
        TEST(who_leaves_meanwhile_gets_nothing),
        TEST(who_comes_meanwhile_gets_it_if_his_turn_comes),
        TEST(a_list_that_goes_ends_its_issues),
        TEST(a_list_that_is_gone_at_the_start),
        TEST(letters_that_are_none),
        TEST(a_letter_at_the_limit),
        TEST(more_issues_than_may_be_under_way),
        cmocka_unit_test(a_core_that_dies_anywhere),
        cmocka_unit_test(a_store_that_fails_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
