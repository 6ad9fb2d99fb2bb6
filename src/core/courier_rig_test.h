/*
 * For tests of what leaves: core's house (core_rig_test.h) with a courier that says what the test
 * wants. `jobs` are those that it was given, in order. Clients may relay, unless the test opens
 * another house.
 */
#ifndef CORE_COURIER_RIG_TEST_H
#define CORE_COURIER_RIG_TEST_H

#include "base/test.h"
#include "core/core_rig_test.h"
#include "core/queue.h"
#include "format/mail_options.h"
#include "store/trace.h"

static const struct str text =
    STR_INIT("From: alice@example.test\r\nSubject: hello\r\n\r\nbody\r\n");
static const char open_to_all[] = "smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 }";

enum {
    JOBS_MAX = 64
};

static struct house house;
static struct edge_end *mx, *box, *courier;
static struct msg jobs[JOBS_MAX]; /* that the courier was given, in order */
static size_t job_count, recorded, dropped;
static uint64_t last_recorded;

static inline void heard(struct edge_end *edge, const struct msg *msg)
{
    (void)edge;
    if (msg->kind == MSG_job_recorded) {
        recorded++;
        last_recorded = msg->job_recorded.job;
        return;
    }
    if (msg->kind == MSG_job_drop) {
        dropped++;
        return;
    }
    assert_int_equal(msg->kind, MSG_job);
    assert_true(job_count < JOBS_MAX);
    assert_false(err_is(msg_copy(msg, &house.arena, &jobs[job_count++])));
}

static inline void courier_ready(const struct msg_job_name *names, size_t count)
{
    struct msg msg = {
        .kind = MSG_jobs,
        .jobs = {.names = (struct msg_job_name *)(uintptr_t)names, .names_count = count}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
}

static inline void open_house(const char *conf)
{
    house_open(&house, conf, 1);
    mx = house_edge(&house, ROLE_MX);
    box = house_edge(&house, ROLE_BOX);
    courier = house_edge(&house, ROLE_COURIER);
    courier->heard = heard;
    job_count = recorded = dropped = 0;
    courier_ready(NULL, 0);
}

static inline int setup(void **state)
{
    (void)state;
    open_house(open_to_all);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    house_close(&house);
    return 0;
}

/* --- What the tests say for the edge and the courier --- */

static uint64_t next_transaction = 100;

/* The envelope alone. */
static inline struct msg_resolved enveloped(uint64_t transaction, const char *sender,
                                            struct str asked, struct msg_address *list,
                                            size_t count)
{
    struct msg answer;
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = TRANSMISSION_ESMTP,
                                       .client = STR("192.0.2.1"),
                                       .server = STR("192.0.2.25"),
                                       .helo = STR("c.example"),
                                       .reverse_path = str_from(sender),
                                       .asked = asked,
                                       .recipients = list,
                                       .recipients_count = count}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    return answer.resolved;
}

static inline struct msg_resolved named(uint64_t transaction, const char *sender,
                                        const char *const *recipients, size_t count)
{
    struct msg_address *list = arena_take_array(&house.arena, count, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        list[i].text = str_from(recipients[i]);
    return enveloped(transaction, sender, STR(""), list, count);
}

/* And the message, to all of them: its id. */
static inline uint64_t sent(uint64_t transaction, const struct msg_resolved *resolved)
{
    struct offer offer;
    struct msg answer;
    size_t count = resolved->answers_count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(resolved->answers[i].error, ERR_NONE);
    offer_make(&offer, mx, transaction, text, count, transaction);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    house_settle(&house);
    return answer.committed.message;
}

static inline uint64_t send_from(const char *sender, const char *const *recipients, size_t count)
{
    uint64_t transaction = next_transaction++;
    struct msg_resolved resolved = named(transaction, sender, recipients, count);
    return sent(transaction, &resolved);
}

static inline uint64_t send_one(const char *recipient)
{
    return send_from("alice@example.test", &recipient, 1);
}

/* The courier says what became of its job, the same for all recipients. */
static inline void over_with(const struct msg_job *job, enum job_verdict verdict, uint16_t code,
                             struct str status, struct str words, enum job_trouble trouble,
                             bool dotted)
{
    struct msg_job_result *results =
        arena_take_array(&house.arena, job->recipients_count, sizeof(*results));
    for (size_t i = 0; i < job->recipients_count; i++)
        results[i] = (struct msg_job_result){.number = job->recipients[i].number,
                                             .verdict = (uint8_t)verdict,
                                             .code = code,
                                             .status = status,
                                             .text = words};
    struct msg msg = {.kind = MSG_job_over,
                      .job_over = {.job = job->job,
                                   .message = job->message,
                                   .entry = job->entry,
                                   .trouble = (uint8_t)trouble,
                                   .dotted = dotted,
                                   .host = STR("mx.far.test"),
                                   .facts = STR("tls=none"),
                                   .results = results,
                                   .results_count = job->recipients_count}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
}

static inline void over_sent(const struct msg_job *job)
{
    over_with(job, JOB_SENT, 250, STR("2.0.0"), STR("ok"), JOB_NO_TROUBLE, false);
}

static inline void over_later(const struct msg_job *job)
{
    over_with(job, JOB_LATER, 451, STR("4.7.1"), STR("greylisted"), JOB_NO_TROUBLE, false);
}

static inline void over_failed(const struct msg_job *job)
{
    over_with(job, JOB_FAILED, 550, STR("5.1.1"), STR("no such user"), JOB_NO_TROUBLE, false);
}

static inline const struct msg_job *job_at(size_t i)
{
    assert_true(i < job_count);
    return &jobs[i].job;
}

static inline size_t waiting(void)
{
    return house.core.queue->schedule.entries;
}

/* What the courier gets of a job's message. */
static inline struct err fetch(const struct msg_job *job, uint32_t each, struct buf *to)
{
    struct err e = err_none();
    while (!err_is(e) && to->n < job->size) {
        struct msg_slab slabs[2] = {{.index = 0, .length = each}, {.index = 1, .length = each}};
        struct msg answer;
        struct msg question = {
            .kind = MSG_job_fetch,
            .job_fetch = {.job = job->job, .offset = to->n, .slabs = slabs, .slabs_count = 2}};
        e = house_ask(courier, question, &answer);
        if (err_is(e) || answer.job_fetched.error)
            return err_is(e) ? e : err_make((enum err_code)answer.job_fetched.error);
        uint64_t left = answer.job_fetched.octets;
        assert_true(left > 0);
        for (size_t i = 0; i < 2 && left; i++) {
            size_t n = left < each ? (size_t)left : each;
            buf_put(to, str_make(courier->slabs + i * SLAB_SIZE, n));
            left -= n;
        }
    }
    return e;
}

/* All that the trace says of a message. */
static struct str story;

static inline void story_read(struct rig *rig, void *arg)
{
    uint64_t message = *(uint64_t *)arg;
    struct trace_event *events;
    size_t count;
    struct buf told = buf_in(&house.arena, 1 << 20);
    assert_false(err_is(trace_by_message(rig->engine, message, world_wall(&rig->fake->world),
                                         &house.arena, &events, &count)));
    for (size_t i = 0; i < count; i++) {
        trace_print(&events[i], &told);
        buf_putc(&told, '\n');
    }
    story = buf_built(&told);
}

static inline void assert_told(uint64_t message, const char *words)
{
    assert_true(rig_do(&house.rig, story_read, &message));
    if (str_find(story, str_from(words)) < 0) {
        print_error("%.*s\n", STR_FMT(story));
        fail_msg("no word of: %s", words);
    }
}

/* The newest message of an account. */
static inline struct str newest(const char *user)
{
    uint64_t handle = house_enter(box, user);
    struct msg_mailbox_rows rows = house_rows(box, handle, 0);
    struct buf message = buf_in(&house.arena, 1 << 20);
    assert_true(rows.rows_count > 0);
    house_read(box, handle, rows.rows[rows.rows_count - 1].uid, &message);
    edge_end_tell(box, &(struct msg){.kind = MSG_logout, .logout = {.handle = handle}});
    return buf_built(&message);
}

static inline void assert_says(struct str message, const char *words)
{
    if (str_find(message, str_from(words)) < 0) {
        print_error("%.*s\n", STR_FMT(message));
        fail_msg("no word of: %s", words);
    }
}

/* As send_from, with what is asked for of each recipient. */
static inline uint64_t send_asking(const char *sender, const char *const *recipients, size_t count,
                                   uint8_t notify)
{
    struct msg_address *list = arena_take_array(&house.arena, count, sizeof(*list));
    uint64_t transaction = next_transaction++;
    struct mail_options mail = {.ret = DSN_RETURN_HEADERS, .envid = STR("QQ 314")};
    for (size_t i = 0; i < count; i++) {
        struct buf orcpt = buf_in(&house.arena, 200);
        buf_printf(&orcpt, "rfc822;orig-%s", recipients[i]);
        struct rcpt_options options = {.notify = notify, .orcpt = buf_built(&orcpt)};
        list[i] = (struct msg_address){.text = str_from(recipients[i]),
                                       .asked = rcpt_options_keep(&options, &house.arena)};
    }
    struct msg_resolved resolved =
        enveloped(transaction, sender, mail_options_keep(&mail, &house.arena), list, count);
    return sent(transaction, &resolved);
}

static inline void assert_silent(struct str message, const char *words)
{
    if (str_find(message, str_from(words)) >= 0) {
        print_error("%.*s\n", STR_FMT(message));
        fail_msg("a word of: %s", words);
    }
}

static inline struct rcpt_options asked_of(const struct msg_job *job, size_t i)
{
    struct rcpt_options options;
    assert_true(rcpt_options_read(job->recipients[i].asked, &options));
    return options;
}

#endif
