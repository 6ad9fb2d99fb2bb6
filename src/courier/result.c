#include "courier/result.h"

#include "courier/auth.h"

/* A cut in the middle of a character would be no text. */
static size_t text_cut(struct str text)
{
    size_t n = text.n < JOB_TEXT_MAX ? text.n : JOB_TEXT_MAX;
    while (n > 0 && n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static struct str text_keep(struct job *job, struct str text)
{
    size_t n = text_cut(text);
    char *to = arena_take(&job->arena, n);
    if (!to)
        return STR("");
    for (size_t i = 0; i < n; i++)
        to[i] = text.p[i] == '\n' ? ' ' : text.p[i];
    return str_make(to, n);
}

static struct str status_keep(struct job *job, const struct reply *reply)
{
    struct buf buf = buf_in(&job->arena, STATUS_TEXT_MAX);
    if (!reply->status.class)
        return STR("");
    status_code_print(&buf, reply->status);
    struct str status = buf_built(&buf);
    return status.p ? status : STR("");
}

/* The text without the status in front of it, which has a place of its own. */
static struct str said_keep(struct job *job, const struct reply *reply, struct str status)
{
    struct str said = reply->text;
    if (status.n > 0 && str_starts(said, status) && said.n > status.n && said.p[status.n] == ' ')
        said = str_from_index(said, status.n + 1);
    return text_keep(job, said);
}

size_t results_open(const struct job *job)
{
    size_t open = 0;
    for (size_t i = 0; i < job->order->recipients_count; i++)
        open += result_is_open(job, i);
    return open;
}

static void decide(struct job *job, size_t recipient, enum job_verdict verdict,
                   const struct reply *reply)
{
    struct msg_job_result *result = &job->results[recipient];
    if (!result_is_open(job, recipient))
        return;
    result->verdict = (uint8_t)verdict;
    result->code = reply->code;
    result->status = status_keep(job, reply);
    result->text = said_keep(job, reply, result->status);
}

void result_by_reply(struct job *job, size_t recipient, const struct reply *reply)
{
    enum job_verdict verdict = JOB_LATER;
    if (reply->class == REPLY_SUCCESS)
        verdict = JOB_SENT;
    else if (reply->class == REPLY_PERMANENT && auth_is_meant(job, reply))
        job->trouble = JOB_TROUBLE_LOGIN;
    else if (reply->class == REPLY_PERMANENT)
        verdict = JOB_FAILED;
    decide(job, recipient, verdict, reply);
}

void result_later(struct job *job, size_t recipient, const struct reply *reply)
{
    decide(job, recipient, JOB_LATER, reply);
}

void results_say(struct job *job, enum job_verdict verdict, const char *status, struct str text)
{
    struct str kept = text_keep(job, text);
    for (size_t i = 0; i < job->order->recipients_count; i++) {
        struct msg_job_result *result = &job->results[i];
        if (!result_is_open(job, i))
            continue;
        result->verdict = (uint8_t)verdict;
        result->status = str_from(status);
        result->text = kept;
    }
}

void job_meets(struct job *job, struct str host)
{
    struct str kept = arena_str(&job->arena, host);
    job->host = kept.p ? kept : STR("");
}

void job_note(struct job *job, enum job_trouble trouble, const struct reply *reply, struct str text)
{
    struct job_noted *noted = &job->noted;
    if (noted->host_spoke && !reply)
        return;
    *noted = (struct job_noted){.trouble = trouble, .host_spoke = reply != NULL, .host = job->host};
    noted->code = reply ? reply->code : 0;
    noted->status = reply ? status_keep(job, reply) : STR("");
    noted->text = reply ? said_keep(job, reply, noted->status) : text_keep(job, text);
}

void job_noted_to_all(struct job *job)
{
    const struct job_noted *noted = &job->noted;
    bool any = false;
    for (size_t i = 0; i < job->order->recipients_count; i++) {
        if (!result_is_open(job, i))
            continue;
        any = true;
        job->results[i] = (struct msg_job_result){.number = job->results[i].number,
                                                  .verdict = JOB_LATER,
                                                  .code = noted->code,
                                                  .status = noted->status,
                                                  .text = noted->text};
    }
    if (!any)
        return;
    job->trouble = noted->trouble;
    job->host = noted->host;
}
