/* Apart, since two things of the server are called a job. */
#include "courier/job.h"
#include "waiting.h"

/* The tree's own walk is known to job.c alone. */
static size_t walk(struct job *job, uint64_t *messages, size_t most)
{
    size_t count = 0;
    if (!job || most == 0)
        return 0;
    messages[count++] = job->order->message;
    count += walk(RB_LEFT(job, by_number), messages + count, most - count);
    return count + walk(RB_RIGHT(job, by_number), messages + count, most - count);
}

size_t waiting_jobs(const struct courier *courier, uint64_t *messages, size_t most)
{
    return walk(RB_ROOT(&courier->jobs), messages, most);
}

static int64_t began(struct job *job, uint64_t message, struct str domain)
{
    if (!job)
        return INT64_MAX;
    int64_t left = began(RB_LEFT(job, by_number), message, domain);
    int64_t right = began(RB_RIGHT(job, by_number), message, domain);
    int64_t first = left < right ? left : right;
    bool is = job->order->message == message && str_eq(job->order->domain, domain);
    return is && job->began < first ? job->began : first;
}

int64_t waiting_job_began(const struct courier *courier, uint64_t message, struct str domain)
{
    int64_t first = began(RB_ROOT(&courier->jobs), message, domain);
    return first == INT64_MAX ? 0 : first;
}
