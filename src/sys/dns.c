/*
 * Why an answer is copied and told from a task: libunbound answers from its cache before the call
 * that asks has returned, and lends its buffer for the length of a callback that runs deep in its
 * own code. Whoever is told may ask again at once, so he is told from where nothing of it is below.
 *
 * Why the time limit is ours: libunbound goes on as long as there is a server it has not tried
 * often enough, which may be minutes.
 */
#include "sys/dns_backend.h"

#include "base/must.h"

enum {
    NAME_MAX_OCTETS = 253
};

void dns_init(struct dns *dns, const struct dns_backend *backend, struct loop *loop, int64_t limit,
              size_t most)
{
    must(limit > 0 && most > 0 && most <= DNS_UNDER_WAY);
    *dns = (struct dns){
        .magic = DNS_MAGIC, .backend = backend, .loop = loop, .limit = limit, .most = most};
    TAILQ_INIT(&dns->questions);
}

/* It is no longer under way. */
static void question_leave(struct dns_question *question)
{
    struct dns *dns = question->dns;
    TAILQ_REMOVE(&dns->questions, question, link);
    dns->under_way--;
    timer_clear(dns->loop, &question->limit);
    task_cancel(dns->loop, &question->end);
    question->dns = NULL;
}

static void tell(struct task *task)
{
    struct dns_question *question = task->arg;
    struct err e = question->error;
    struct dns_reply reply = question->reply;
    char *kept = question->kept;
    question_leave(question);
    question->done(question, e, &reply);
    free(kept);
}

static bool reply_keep(struct dns_question *question, const struct dns_reply *reply)
{
    size_t n = reply->message.n + reply->why.n;
    question->kept = malloc(n ? n : 1);
    if (!question->kept)
        return false;
    if (reply->message.n)
        memcpy(question->kept, reply->message.p, reply->message.n);
    if (reply->why.n)
        memcpy(question->kept + reply->message.n, reply->why.p, reply->why.n);
    question->reply = (struct dns_reply){
        .verdict = reply->verdict,
        .message = str_make(question->kept, reply->message.n),
        .why = str_make(question->kept + reply->message.n, reply->why.n),
    };
    return true;
}

void dns_answered(struct dns_question *question, struct err e, const struct dns_reply *reply)
{
    must_be(question->dns, DNS_MAGIC);
    must(!question->end.queued);
    if (!err_is(e) && !reply_keep(question, reply))
        e = err_make(ERR_NO_MEMORY);
    question->error = e;
    timer_clear(question->dns->loop, &question->limit);
    loop_soon(question->dns->loop, &question->end);
}

static void took_too_long(struct timer *timer)
{
    struct dns_question *question = timer->arg;
    struct dns *dns = question->dns;
    dns->backend->cancel(dns, question);
    dns_answered(question, err_detail(ERR_DNS_FAILED, STR("no answer in time")), NULL);
}

/* What no library may misread: they take C strings, and backslashes for escapes. */
static bool name_can_be_asked(struct str name)
{
    if (name.n > NAME_MAX_OCTETS)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '\\')
            return false;
    return true;
}

void dns_ask(struct dns *dns, struct dns_question *question)
{
    must_be(dns, DNS_MAGIC);
    question->dns = dns;
    question->kept = NULL;
    question->reply = (struct dns_reply){.verdict = DNS_INSECURE};
    question->end = (struct task){.run = tell, .arg = question};
    question->limit = (struct timer){.run = took_too_long, .arg = question};
    TAILQ_INSERT_TAIL(&dns->questions, question, link);
    struct err e = err_none();
    if (dns->under_way++ >= dns->most)
        e = err_detail(ERR_TRY_LATER, STR("too many DNS questions under way"));
    else if (!name_can_be_asked(question->name))
        e = err_detail(ERR_USAGE, STR("not a name"));
    if (!err_is(e)) {
        timer_set(dns->loop, &question->limit, dns->loop->now + dns->limit);
        e = dns->backend->ask(dns, question);
    }
    if (err_is(e))
        dns_answered(question, e, NULL);
}

void dns_cancel(struct dns_question *question)
{
    struct dns *dns = question->dns;
    if (!dns)
        return;
    must_be(dns, DNS_MAGIC);
    if (!question->end.queued)
        dns->backend->cancel(dns, question);
    question_leave(question);
    free(question->kept);
    question->kept = NULL;
}

size_t dns_under_way(const struct dns *dns)
{
    return dns->under_way;
}

void dns_close(struct dns *dns)
{
    must_be(dns, DNS_MAGIC);
    while (!TAILQ_EMPTY(&dns->questions))
        dns_cancel(TAILQ_FIRST(&dns->questions));
    dns->magic = 0;
    dns->backend->close(dns);
}
