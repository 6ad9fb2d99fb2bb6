/*
 * TLS reports from the courier's word to what leaves: a courier that tells sessions and takes
 * posts, a resolver that says who wants reports, and days that pass.
 */
#include "core/tls_reports.h"

#include <isa-l/igzip_lib.h>

#include "core/operator_rig_test.h"
#include "core/signing_keys.h"
#include "core/tls_counts.h"

#include "core/resolver_rig_test.h"

#define HOUR (3600 * NS_PER_SECOND)
#define DAY (24 * HOUR)
#define CONF                                                                                       \
    "hostname = mx.example.test\nsmtp { relay_from = \"0.0.0.0/0\" }\nsending { processes = 1\n"

static struct {
    size_t count;
    char url[256];
    char body[64 << 10];
    size_t octets;
    uint16_t status; /* that the web server gives */
} posts;

static void answer_post(struct edge_end *edge, const struct msg_post *post)
{
    struct msg answer = {.kind = MSG_posted, .posted = {.status = posts.status}};
    posts.count++;
    snprintf(posts.url, sizeof(posts.url), "%.*s", STR_FMT(post->url));
    assert_true(post->body.n <= sizeof(posts.body));
    memcpy(posts.body, post->body.p, post->body.n);
    posts.octets = post->body.n;
    assert_str(post->type, STR("application/tlsrpt+gzip"));
    msg_set_call(&answer, post->call);
    assert_false(err_is(link_send(&edge->link, &answer)));
}

static void heard_all(struct edge_end *edge, const struct msg *msg)
{
    if (msg->kind == MSG_post)
        answer_post(edge, &msg->post);
    else
        heard(edge, msg);
}

static int up(const char *conf)
{
    open_house(conf);
    courier->heard = heard_all;
    resolver_up();
    published_count = asked = 0;
    silent = false;
    memset(&posts, 0, sizeof(posts));
    posts.status = 201;
    return 0;
}

static int begin(void **state)
{
    (void)state;
    up(CONF "}");
    (void)typed("dkim add example.test");
    (void)typed("dkim published example.test");
    return 0;
}

static void publish(const char *name, const char *record)
{
    snprintf(published[published_count].name, SIGNING_NAME_MAX, "%s", name);
    snprintf(published[published_count++].text, DKIM_RECORD_MAX, "%s", record);
}

/* --- What the courier tells --- */

static struct msg_tls_session session(enum tls_result result)
{
    struct msg_tls_session one = {.policy = TLS_REPORT_STS,
                                  .domain = STR("far.test"),
                                  .lines = STR("version: STSv1\nmode: enforce\nmx: mx.far.test"),
                                  .result = (uint8_t)result};
    if (result == TLS_RESULT_OK)
        return one;
    one.mx = STR("mx.far.test");
    one.sending = STR("192.0.2.25");
    one.receiving = STR("198.51.100.7");
    one.reason = STR("certificate has expired");
    return one;
}

/* Its job is over, and those were its sessions. */
static void told(const char *recipient, const struct msg_tls_session *sessions, size_t count)
{
    (void)send_one(recipient);
    const struct msg_job *job = job_at(job_count - 1);
    struct msg_job_result result = {
        .number = job->recipients[0].number, .verdict = JOB_SENT, .code = 250};
    struct msg msg = {.kind = MSG_job_over,
                      .job_over = {.job = job->job,
                                   .message = job->message,
                                   .entry = job->entry,
                                   .results = &result,
                                   .results_count = 1,
                                   .sessions = (struct msg_tls_session *)(uintptr_t)sessions,
                                   .sessions_count = count}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
    job_count = 0;
}

/* To another one each time: what a client repeats is one message (core/resent.h). */
static void told_both(void)
{
    const struct msg_tls_session both[] = {session(TLS_RESULT_OK),
                                           session(TLS_RESULT_CERTIFICATE_EXPIRED)};
    char recipient[64];
    static unsigned number;
    snprintf(recipient, sizeof(recipient), "carol%u@far.test", number++);
    told(recipient, both, 2);
}

static bool is_counted(const char *line, const char *words)
{
    return str_find(typed(line), str_from(words)) >= 0;
}

/* --- What leaves --- */

static struct str unzipped(struct str octets)
{
    enum {
        MOST = 1 << 20
    };
    struct inflate_state *state = arena_new(&house.arena, struct inflate_state);
    uint8_t *to = arena_take(&house.arena, MOST);
    union {
        const char *from;
        uint8_t *to;
    } in = {.from = octets.p};
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    state->next_in = in.to;
    state->avail_in = (uint32_t)octets.n;
    state->next_out = to;
    state->avail_out = MOST;
    assert_int_equal(isal_inflate(state), ISAL_DECOMP_OK);
    return str_make(to, state->total_out);
}

static void days_pass(int count)
{
    for (int i = 0; i < 24 * count; i++)
        house_pass(&house, HOUR);
}

static struct str letter_of(const struct msg_job *job)
{
    struct buf letter = buf_in(&house.arena, 1 << 20);
    assert_false(err_is(fetch(job, SLAB_SIZE, &letter)));
    return buf_built(&letter);
}

/* --- Tests --- */

static void a_day_is_told_by_mail_once(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=mailto:tls@reports.test");
    told_both();
    told_both();
    assert_true(is_counted("tls report --domain far.test", "\"failed-session-count\": 2"));
    house_pass(&house, HOUR);
    assert_int_equal(job_count, 0); /* the day is not over */
    days_pass(2);
    assert_int_equal(job_count, 1);
    const struct msg_job *job = job_at(0);
    struct mail_options asked_for;
    assert_true(mail_options_read(job->asked, &asked_for) && asked_for.tls_optional);
    assert_int_equal(asked_of(job, 0).notify, DSN_NOTIFY_NEVER);
    assert_str(job->sender, STR(""));
    assert_str(job->recipients[0].address, STR("tls@reports.test"));
    struct str letter = letter_of(job);
    assert_true(str_starts(letter, STR("DKIM-Signature:")));
    assert_says(letter, "d=example.test;");
    assert_says(letter, "tls-report-domain:");
    assert_says(letter, "tls-report-submitter");
    assert_says(letter, "From: postmaster@mx.example.test\r\n");
    assert_says(letter, "TLS-Report-Domain: far.test\r\n");
    assert_says(letter, "TLS-Report-Submitter: mx.example.test\r\n");
    assert_says(letter, "report-type=\"tlsrpt\"");
    assert_says(letter, "application/tlsrpt+gzip");
    assert_says(letter, "filename=\"mx.example.test!far.test!");
    over_sent(job);
    assert_int_equal(waiting(), 0);
    days_pass(3);
    assert_int_equal(job_count, 1);
}

static void by_https_it_is_the_json(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    told_both();
    days_pass(2);
    assert_int_equal(posts.count, 1);
    assert_string_equal(posts.url, "https://reports.test/v1");
    struct str json = unzipped(str_make(posts.body, posts.octets));
    assert_says(json, "\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"version: STSv1\","
                      "\"mode: enforce\",\"mx: mx.far.test\"],\"policy-domain\":\"far.test\","
                      "\"mx-host\":[\"mx.far.test\"]}");
    assert_says(json, "\"summary\":{\"total-successful-session-count\":1,"
                      "\"total-failure-session-count\":1}");
    assert_says(json, "{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"192.0.2.25\","
                      "\"receiving-mx-hostname\":\"mx.far.test\","
                      "\"receiving-ip\":\"198.51.100.7\",\"failed-session-count\":1,"
                      "\"failure-reason-code\":\"certificate has expired\"}");
    assert_says(json, "T00:00:00Z\",\"end-datetime\":");
    assert_int_equal(job_count, 0);
}

/* RFC 8460 5.5: for a day, ever more rarely. */
static void what_is_not_taken_is_tried_for_a_day(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    posts.status = 503;
    told_both();
    days_pass(1);
    days_pass(1);
    assert_in_range(posts.count, 3, 9);
    size_t before = posts.count;
    days_pass(3);
    assert_in_range(posts.count, before, before + 1);
    posts.status = 200;
    before = posts.count;
    days_pass(1);
    assert_int_equal(posts.count, before);
    told_both();
    days_pass(2);
    assert_int_equal(posts.count, before + 1);
}

static void nobody_is_told_who_did_not_ask(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=ftp://reports.test/");
    told_both();
    days_pass(2);
    assert_int_equal(posts.count + job_count, 0);
    assert_true(asked > 0);
    size_t before = asked;
    days_pass(2);
    assert_int_equal(asked, before);
}

static void where_the_DNS_is_silent_it_waits(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    told_both();
    silent = true;
    for (int i = 0; i < 30; i++)
        house_pass(&house, HOUR);
    assert_int_equal(posts.count, 0);
    silent = false;
    days_pass(1);
    assert_int_equal(posts.count, 1);
}

static void without_a_key_it_goes_by_https_alone(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test",
            "v=TLSRPTv1; rua=mailto:tls@reports.test,https://reports.test/v1");
    told_both();
    days_pass(2);
    assert_int_equal(job_count, 0);
    assert_int_equal(posts.count, 1);
    days_pass(2);
    assert_int_equal(posts.count, 1);
}

static void both_places_get_it(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test",
            "v=TLSRPTv1; rua=mailto:tls@reports.test,https://reports.test/v1");
    told_both();
    days_pass(2);
    assert_int_equal(job_count, 1);
    assert_int_equal(posts.count, 1);
}

/* Whose reports are ours to read. */
static void a_mailbox_here_gets_its_own(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=mailto:alice@example.test");
    told_both();
    days_pass(2);
    assert_int_equal(job_count, 0);
    assert_says(newest("alice@example.test"), "TLS-Report-Domain: far.test");
}

static void links_again(void)
{
    for (size_t i = 0; i < 3; i++) {
        edge_end_leave(&house.edges[i]);
        edge_end_connect(&house.edges[i]);
    }
    courier_ready(NULL, 0);
    edge_end_close(&house.edges[--house.edge_count]);
    resolver_up();
    house_pass(&house, 10 * NS_PER_SECOND);
}

static void a_restart_loses_nothing_of_a_day(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    told_both();
    house_stop(&house);
    house_start(&house);
    links_again();
    told_both();
    assert_true(is_counted("tls report", "good: 2, failed: 2"));
    days_pass(2);
    assert_int_equal(posts.count, 1);
    assert_says(unzipped(str_make(posts.body, posts.octets)),
                "\"total-successful-session-count\":2");
}

/* What was written is there, and what came behind it is not. */
static void a_crash_loses_what_was_not_written(void **state)
{
    (void)state;
    told_both();
    house_pass(&house, TLS_COUNTS_EVERY + 2 * 60 * NS_PER_SECOND);
    told_both();
    house_crash(&house);
    house_start(&house);
    links_again();
    assert_true(is_counted("tls report", "good: 1, failed: 1"));
}

/* It was down when the day ended, and for long. */
static void what_is_too_old_is_dropped(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    told_both();
    fake_wall_jump(house.rig.fake, 4 * DAY / 1000);
    house_pass(&house, HOUR);
    assert_int_equal(posts.count, 0);
    assert_true(is_counted("tls report", ""));
}

/* A courier may speak of its own job's domain, and of nothing that there is not. */
static void a_courier_is_not_believed_more_than_it_may_say(void **state)
{
    (void)state;
    struct msg_tls_session bad[] = {session(TLS_RESULT_OK), session(TLS_RESULT_OK),
                                    session(TLS_RESULT_OK), session(TLS_RESULT_OK)};
    bad[0].policy = TLS_REPORT_POLICY_TYPES;
    bad[1].result = TLS_RESULTS;
    bad[2].domain = STR("a b");
    bad[3].domain = STR("");
    told("carol@far.test", bad, 4);
    assert_str(typed("tls report"), STR(""));
    const struct msg_tls_session good = session(TLS_RESULT_OK);
    told("carol@near.test", &good, 1);
    assert_true(is_counted("tls report", "near.test"));
    assert_false(is_counted("tls report", "\nfar.test"));
}

/* What is counted meanwhile stays. */
static void an_operator_sends_it_now(void **state)
{
    (void)state;
    publish("_smtp._tls.far.test", "v=TLSRPTv1; rua=https://reports.test/v1");
    told_both();
    assert_says(typed("tls report today --domain far.test"), "https://reports.test/v1");
    assert_says(typed("tls report today --domain far.test --send"), "answered 201");
    assert_int_equal(posts.count, 1);
    assert_str(typed("tls report"), STR(""));
    assert_says(complaint("tls report today --domain far.test", ADMIN_NO_HOST), "nothing");
    posts.status = 500;
    told_both();
    (void)complaint("tls report today --domain far.test --send", ADMIN_LATER);
    assert_true(is_counted("tls report", "good: 1, failed: 1"));
    (void)complaint("tls report monday", ADMIN_USAGE);
    (void)complaint("tls report today --send", ADMIN_USAGE);
    assert_str(typed("tls report yesterday"), STR(""));
    assert_str(typed("tls report 2020-01-01"), STR(""));
}

static void the_domains_of_a_day_have_a_limit(void **state)
{
    (void)state;
    struct msg_tls_session good = session(TLS_RESULT_OK);
    char name[64];
    for (size_t i = 0; i < TLS_COUNTS_DOMAINS + 3; i++) {
        snprintf(name, sizeof(name), "d%zu.test", i);
        tls_counts_take(&house.core, str_from(name), &good, 1);
    }
    tls_counts_take(&house.core, STR("d7.test"), &good, 1);
    assert_true(is_counted("tls report --domain d7.test", "good             2\n"));
    assert_true(is_counted("tls report", "(further domains)"));
    assert_true(is_counted("tls report", "good: 3"));
    (void)complaint("tls report --domain d10001.test", ADMIN_NO_HOST);
}

static void off_nothing_is_counted(void **state)
{
    (void)state;
    told_both();
    assert_str(typed("tls report"), STR(""));
}

static int begin_off(void **state)
{
    (void)state;
    return up(CONF "tls_reports = no }");
}

static int begin_keyless(void **state)
{
    (void)state;
    return up(CONF "}");
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, begin, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_day_is_told_by_mail_once),
        ONE(by_https_it_is_the_json),
        ONE(what_is_not_taken_is_tried_for_a_day),
        ONE(nobody_is_told_who_did_not_ask),
        ONE(where_the_DNS_is_silent_it_waits),
        cmocka_unit_test_setup_teardown(without_a_key_it_goes_by_https_alone, begin_keyless,
                                        teardown),
        ONE(both_places_get_it),
        ONE(a_mailbox_here_gets_its_own),
        ONE(a_restart_loses_nothing_of_a_day),
        ONE(a_crash_loses_what_was_not_written),
        ONE(what_is_too_old_is_dropped),
        ONE(a_courier_is_not_believed_more_than_it_may_say),
        ONE(an_operator_sends_it_now),
        ONE(the_domains_of_a_day_have_a_limit),
        cmocka_unit_test_setup_teardown(off_nothing_is_counted, begin_off, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
