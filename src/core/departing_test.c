/* What a sender asks of TLS on the way (RFC 8689): kept with each entry, and with reports. And
 * where an entry stands in its line. */
#include "core/departing.h"

#include "core/courier_rig_test.h"

static uint64_t send_text(const char *sender, const char *recipient, struct mail_options asked,
                          struct str octets)
{
    struct msg_address *list = arena_take_array(&house.arena, 1, sizeof(*list));
    uint64_t transaction = next_transaction++;
    struct offer offer;
    struct msg answer;
    list[0].text = str_from(recipient);
    struct msg_resolved resolved =
        enveloped(transaction, sender, mail_options_keep(&asked, &house.arena), list, 1);
    assert_int_equal(resolved.answers[0].error, ERR_NONE);
    offer_make(&offer, mx, transaction, octets, 1, transaction);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    house_settle(&house);
    return answer.committed.message;
}

static struct mail_options way_of(const struct msg_job *job)
{
    struct mail_options options;
    assert_true(mail_options_read(job->asked, &options));
    return options;
}

static const struct mail_options nothing = {.priority = 0};
static const struct mail_options requires = {.require_tls = true};

/* --- TLS-Required (3, 4.1) --- */

static void the_field_is_found(void **state)
{
    static const struct {
        struct str header;
        bool optional;
    } rows[] = {
        {STR_INIT("From: a@b.test\r\n"), false},
        {STR_INIT("TLS-Required: No\r\n"), true},
        {STR_INIT("From: a@b.test\r\ntls-required:no\r\nTo: c@d.test\r\n"), true},
        {STR_INIT("TLS-Required:\r\n No \r\n"), true},
        {STR_INIT("TLS-Required: Yes\r\n"), false},
        {STR_INIT("TLS-Required: No, really\r\n"), false},
        {STR_INIT("TLS-Required:\r\n"), false},
        {STR_INIT("TLS-Required: No\r\nTLS-Required: No\r\n"), false}, /* "MUST NOT appear" */
        {STR_INIT("X-TLS-Required: No\r\n"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct buf octets = buf_in(&house.arena, 1000);
        buf_printf(&octets, "%.*s\r\nTLS-Required: No\r\n", STR_FMT(rows[i].header));
        send_text("alice@example.test", "carol@far.test", nothing, buf_built(&octets));
        assert_int_equal(way_of(job_at(i)).tls_optional, rows[i].optional);
        over_sent(job_at(i));
    }
}

static const struct str optional_text =
    STR_INIT("From: alice@example.test\r\nSubject: hello\r\nTLS-Required: No\r\n\r\nbody\r\n");

/* 4.1: the parameter was said, so the field counts for nothing. What else was asked for stays. */
static void the_parameter_stands_before_the_field(void **state)
{
    (void)state;
    send_text("alice@example.test", "carol@far.test", requires, optional_text);
    assert_true(way_of(job_at(0)).require_tls && !way_of(job_at(0)).tls_optional);
    const struct mail_options more = {.envid = STR("QQ 314"), .ret = DSN_RETURN_FULL};
    send_text("alice@example.test", "dave@far.test", more, optional_text);
    assert_true(way_of(job_at(1)).tls_optional);
    assert_str(way_of(job_at(1)).envid, STR("QQ 314"));
    assert_int_equal(way_of(job_at(1)).ret, DSN_RETURN_FULL);
}

/* --- Sent on (4.1: "all instances MUST be tagged in the same manner"; 6) --- */

static void list_add(struct rig *rig, void *arg)
{
    (void)rig;
    (void)arg;
    struct addr list = house_addr(&house, "far@example.test"),
                owner = house_addr(&house, "alice@example.test"),
                member = house_addr(&house, "me@far.test");
    struct mailing_list facts = {.expandable = true};
    struct member_change change = {.member = member};
    assert_false(err_is(directory_list_add(&house.core.directory, &list, &facts, &owner, &change, 1,
                                           &house.arena)));
}

static void a_list_and_an_alias_keep_it(void **state)
{
    (void)state;
    assert_true(rig_do(&house.rig, list_add, NULL));
    send_text("zoe@other.test", "far@example.test", requires, text);
    assert_str(job_at(0)->sender, STR("alice@example.test"));
    assert_true(way_of(job_at(0)).require_tls);
    send_text("zoe@other.test", "away@example.test", requires, text);
    assert_true(way_of(job_at(1)).require_tls);
    send_text("zoe@other.test", "away@example.test", nothing, optional_text);
    assert_true(way_of(job_at(2)).tls_optional);
}

/* --- Reports (5) --- */

static void report_fetch(const struct msg_job *job, struct buf *octets)
{
    assert_int_equal(job->sender.n, 0);
    assert_false(err_is(fetch(job, SLAB_SIZE, octets)));
    assert_says(buf_str(octets), "multipart/report");
}

static void a_report_is_asked_for_the_same_and_has_the_header_alone(void **state)
{
    (void)state;
    const struct mail_options asked = {.require_tls = true, .ret = DSN_RETURN_FULL};
    struct buf octets = BUF_INIT(1 << 20);
    send_text("zoe@other.test", "carol@far.test", asked, text);
    over_with(job_at(0), JOB_FAILED, 0, STR("5.7.30"), STR("it promises no TLS"), JOB_NO_TROUBLE,
              false);
    struct mail_options way = way_of(job_at(1));
    assert_true(way.require_tls && !way.tls_optional && way.ret == DSN_RETURN_UNSAID);
    report_fetch(job_at(1), &octets);
    assert_says(buf_str(&octets), "Status: 5.7.30\r\n");
    assert_says(buf_str(&octets), "It can be sent without that demand.");
    assert_says(buf_str(&octets), "Content-Type: text/rfc822-headers");
    assert_silent(buf_str(&octets), "TLS-Required");
    assert_silent(buf_str(&octets), "\r\n\r\nbody\r\n");
    over_sent(job_at(1));
    buf_clear(&octets);
    send_text("zoe@other.test", "carol@far.test", asked, text);
    over_with(job_at(2), JOB_FAILED, 0, STR("5.7.10"), STR("TLS failed"), JOB_NO_TROUBLE, false);
    report_fetch(job_at(3), &octets);
    assert_says(buf_str(&octets), "It can be sent without that demand.");
    /* Without the demand it comes back whole. */
    send_text("zoe@other.test", "carol@far.test", nothing, text);
    over_failed(job_at(4));
    buf_clear(&octets);
    report_fetch(job_at(5), &octets);
    assert_false(way_of(job_at(5)).require_tls);
    assert_says(buf_str(&octets), "\r\n\r\nbody\r\n");
    buf_done(&octets);
}

static void a_report_says_that_TLS_is_optional(void **state)
{
    (void)state;
    struct buf octets = BUF_INIT(1 << 20);
    send_text("zoe@other.test", "carol@far.test", nothing, optional_text);
    over_failed(job_at(0));
    assert_true(way_of(job_at(1)).tls_optional);
    report_fetch(job_at(1), &octets);
    struct str header =
        str_head(buf_str(&octets), (size_t)str_find(buf_str(&octets), STR("\r\n\r\n")));
    assert_says(header, "\r\nTLS-Required: No\r\n");
    buf_done(&octets);
}

#define IN_HOUSE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* --- Priority (doc/sending.md, 2) ------------------------------------------------------------- */

static int up_ranked(void **state)
{
    (void)state;
    open_house("hostname = mx.example.test\n"
               "smtp { relay_from = \"0.0.0.0/0\" }\n"
               "sending { processes = 1 }\n"
               "precedence boss { to = carol@far.test rank = first }\n"
               "precedence bulk { from = news@example.test rank = last }\n");
    return 0;
}

struct ranked {
    uint64_t message;
    int priority;
};

static void priority_read(struct rig *rig, void *arg)
{
    struct ranked *ranked = arg;
    struct queue_entry entry;
    assert_false(err_is(queue_read(rig->engine, ranked->message, 0, &house.arena, &entry)));
    ranked->priority = entry.priority;
}

static int priority_of(const char *sender, const char *recipient, struct mail_options asked)
{
    struct ranked ranked = {.message = send_text(sender, recipient, asked, text)};
    assert_true(rig_do(&house.rig, priority_read, &ranked));
    return ranked.priority;
}

static void blocks_rank_what_says_nothing_itself(void **state)
{
    static const struct mail_options low = {.priority = -1}, high = {.priority = 9};
    (void)state;
    assert_int_equal(priority_of("a@example.test", "carol@far.test", nothing), 6);
    assert_int_equal(priority_of("news@example.test", "carol@far.test", nothing), 6);
    assert_int_equal(priority_of("news@example.test", "dave@far.test", nothing), -6);
    assert_int_equal(priority_of("a@example.test", "dave@far.test", nothing), 0);
    assert_int_equal(priority_of("a@example.test", "carol@far.test", low), -1);
    assert_int_equal(priority_of("news@example.test", "dave@far.test", high), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOUSE(the_field_is_found),
        IN_HOUSE(the_parameter_stands_before_the_field),
        IN_HOUSE(a_list_and_an_alias_keep_it),
        IN_HOUSE(a_report_is_asked_for_the_same_and_has_the_header_alone),
        IN_HOUSE(a_report_says_that_TLS_is_optional),
        cmocka_unit_test_setup_teardown(blocks_rank_what_says_nothing_itself, up_ranked, teardown),
    };
    return cmocka_run_group_tests_name("core_departing", tests, NULL, NULL);
}
