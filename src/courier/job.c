/*
 * A job's begin and end. Its order is copied into an arena of its own, where everything lives that
 * is learnt on its way, so that the end is one call.
 */
#include "courier/job.h"

#include "courier/connection.h"
#include "courier/require.h"
#include "courier/result.h"
#include "format/message_id.h"

enum {
    US = 1000 /* ns */
};

static int job_order(const struct job *a, const struct job *b)
{
    return a->order->job < b->order->job ? -1 : a->order->job > b->order->job;
}

RB_GENERATE_INTERNAL(job_tree, job, by_number, job_order, __attribute__((unused)) static)

struct job *job_find(struct courier *courier, uint64_t number)
{
    const struct msg_job order = {.job = number};
    struct job key = {.order = &order};
    return RB_FIND(job_tree, &courier->jobs, &key);
}

bool jobs_are_past_the_dot(struct courier *courier)
{
    struct job *job;
    RB_FOREACH (job, job_tree, &courier->jobs)
        if (job->state >= JOB_DOTTED)
            return true;
    return false;
}

static void job_free(struct job *job)
{
    msg_wipe(&job->message);
    arena_done(&job->arena);
    conf_let_go(job->conf);
    job->magic = 0;
    free(job);
}

static void job_forget(struct job *job)
{
    struct courier *courier = job->courier;
    RB_REMOVE(job_tree, &courier->jobs, job);
    courier->job_count--;
    job_free(job);
    if (courier->stopping && !courier_is_busy(courier))
        wait_over(courier->stopping);
}

void job_recorded(struct job *job)
{
    must(job->state == JOB_OVER);
    job_forget(job);
}

void job_moves(struct job *job, enum job_state to)
{
    bool back = to == JOB_CONNECTING && job->state <= JOB_IN_TRANSACTION;
    must(to >= job->state || back);
    job->state = to;
}

void job_meets_at(struct job *job, const struct connection *connection)
{
    memcpy(job->address, connection->ends.text, sizeof job->address);
    memcpy(job->tls, connection->tls, sizeof job->tls);
    job->port = connection->ends.port;
}

void job_spends(struct job *job, enum job_phase phase, int64_t since)
{
    job->spent[phase] += job->courier->loop->now - since;
}

/* --- Telling core ---------------------------------------------------------------------------- */

void job_tell(struct job *job)
{
    const struct msg_job *order = job->order;
    struct msg msg = {.kind = MSG_job_over,
                      .job_over = {.job = order->job,
                                   .message = order->message,
                                   .entry = order->entry,
                                   .trouble = (uint8_t)job->trouble,
                                   .dotted = job->dotted,
                                   .reports = job->reports,
                                   .host = job->host,
                                   .facts = job->facts,
                                   .results = job->results,
                                   .results_count = order->recipients_count,
                                   .sessions = job->sessions,
                                   .sessions_count = job->session_count}};
    must(job->state == JOB_OVER);
    job->told = courier_tell(job->courier, &msg);
}

void jobs_tell_rest(struct courier *courier)
{
    struct job *job;
    RB_FOREACH (job, job_tree, &courier->jobs)
        if (job->state == JOB_OVER && !job->told)
            job_tell(job);
}

static struct err names_tell(struct courier *courier)
{
    struct msg_job_name *names = calloc(courier->job_count + 1, sizeof *names);
    struct msg msg = {.kind = MSG_jobs, .jobs = {.names = names}};
    struct job *job;
    if (!names)
        return err_make(ERR_NO_MEMORY);
    RB_FOREACH (job, job_tree, &courier->jobs) {
        job->told = false;
        names[msg.jobs.names_count++] =
            (struct msg_job_name){.job = job->order->job,
                                  .message = job->order->message,
                                  .entry = job->order->entry,
                                  .dotted = job->state == JOB_DOTTED || job->dotted};
    }
    (void)courier_tell(courier, &msg);
    free(names);
    return err_none();
}

struct err jobs_tell(struct courier *courier)
{
    struct err e = names_tell(courier);
    if (!err_is(e))
        jobs_tell_rest(courier);
    return e;
}

/* --- From begin to end ----------------------------------------------------------------------- */

static void results_begin(struct job *job)
{
    for (size_t i = 0; i < job->order->recipients_count; i++)
        job->results[i] = (struct msg_job_result){.number = job->order->recipients[i].number,
                                                  .verdict = JOB_NOT_TRIED};
}

/* "address=192.0.2.1 port=25 tls=none connect=0.012 ...": what took no time is left out. */
static void facts_make(struct job *job)
{
    static const char *const phases[JOB_PHASES] = {
        [PHASE_DNS] = "dns",     [PHASE_CONNECT] = "connect",   [PHASE_TLS] = "tls_time",
        [PHASE_HELLO] = "hello", [PHASE_ENVELOPE] = "envelope", [PHASE_CONTENT] = "content",
        [PHASE_DOT] = "dot"};
    struct buf facts = buf_in(&job->arena, JOB_FACTS_MAX);
    if (job->address[0])
        buf_printf(&facts, "address=%s port=%u tls=%s ", job->address, job->port,
                   job->tls[0] ? job->tls : "none");
    for (size_t i = 0; i < JOB_PHASES; i++)
        if (job->spent[i] >= US)
            buf_printf(&facts, "%s=%lld.%06lld ", phases[i],
                       (long long)(job->spent[i] / NS_PER_SECOND),
                       (long long)(job->spent[i] % NS_PER_SECOND / US));
    struct str built = buf_built(&facts);
    job->facts = built.p ? str_trim(built) : STR("");
}

/* One line for each job; what was said to the first who was not sent to stands for all. */
static void job_log(const struct job *job)
{
    char id[MESSAGE_ID_TEXT];
    uint64_t counts[JOB_VERDICTS] = {0};
    const struct msg_job_result *said = &job->results[0];
    for (size_t i = 0; i < job->order->recipients_count; i++) {
        counts[job->results[i].verdict]++;
        if (said->verdict == JOB_SENT)
            said = &job->results[i];
    }
    message_id_print(job->order->message, id);
    log_event(job->courier->log, LOG_INFO, "job_over", log_str("id", str_make(id, sizeof(id))),
              log_str("domain", job->order->domain), log_str("host", job->host),
              log_u64("sent", counts[JOB_SENT]), log_u64("later", counts[JOB_LATER]),
              log_u64("failed", counts[JOB_FAILED]), log_u64("not_tried", counts[JOB_NOT_TRIED]),
              log_u64("trouble", job->trouble), log_u64("dotted", job->dotted),
              log_u64("code", said->code), log_str("said", said->text),
              log_str("facts", job->facts));
}

static void job_run(void *arg)
{
    struct job *job = arg;
    must_be(job, JOB_MAGIC);
    if (!job->courier->stops)
        job_send(job);
    place_give(job);
    msg_wipe(&job->message); /* the password: connections are told apart by what was made of it */
    facts_make(job);
    job_moves(job, JOB_OVER); /* J1, J2, J3, J4 -> J5: each recipient has a result */
    job_log(job);
    if (job->unknown)
        job_forget(job);
    else
        job_tell(job);
}

/* Copies the order. False: no memory. */
static bool job_take(struct job *job, const struct msg *message)
{
    arena_init(&job->arena, JOB_ARENA);
    if (err_is(msg_copy(message, &job->arena, &job->message)))
        return false;
    job->order = &job->message.job;
    job->results =
        arena_take_array(&job->arena, job->order->recipients_count, sizeof *job->results);
    if (job->results)
        results_begin(job);
    require_read(job);
    return job->results != NULL;
}

struct err job_begin(struct courier *courier, const struct msg *message)
{
    if (job_find(courier, message->job.job) || courier->job_count >= COURIER_JOBS_MAX ||
        message->job.recipients_count == 0)
        return err_detail(ERR_BUS_BROKEN, STR("a job twice, one too many, or one to nobody"));
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return err_make(ERR_NO_MEMORY);
    *job = (struct job){.magic = JOB_MAGIC,
                        .courier = courier,
                        .conf = conf_hold(courier->conf),
                        .start = {.run = job_run, .arg = job},
                        .began = courier->loop->now};
    if (!job_take(job, message)) {
        job_free(job);
        return err_make(ERR_NO_MEMORY);
    }
    RB_INSERT(job_tree, &courier->jobs, job);
    courier->job_count++;
    fiber_run(courier->fibers, &job->start);
    return err_none();
}
