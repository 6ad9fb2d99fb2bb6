/*
 * Why the greeting is read by the first job and not when the connection comes: whatever goes wrong
 * with it is then a result, with words that the trace and the queue have.
 */
#include "courier/collected.h"

#include "courier/require.h"
#include "courier/result.h"
#include "courier/transaction.h"

static struct connection *find(struct courier *courier, uint64_t collection)
{
    struct connection *one;
    TAILQ_FOREACH (one, &courier->collected, link)
        if (one->collection == collection)
            return one;
    return NULL;
}

/* Jobs of several lines come for one connection. */
struct collector_turn {
    TAILQ_ENTRY(collector_turn) link;
    struct wait wait;
};

static void turn_wait(struct connection *connection)
{
    struct collector_turn turn = {.wait = {.done = false}};
    TAILQ_INSERT_TAIL(&connection->turns, &turn, link);
    wait_for(&turn.wait);
}

static void turn_over(struct connection *connection)
{
    struct collector_turn *first = TAILQ_FIRST(&connection->turns);
    if (!first)
        return;
    TAILQ_REMOVE(&connection->turns, first, link);
    wait_over(&first->wait);
}

static void ended_tell(struct courier *courier, uint64_t collection)
{
    const struct msg msg = {.kind = MSG_collection_ended,
                            .collection_ended = {.collection = collection}};
    (void)courier_tell(courier, &msg);
}

void collected_begin(struct courier *courier, const struct msg_collection *collection, int handle)
{
    struct connection *connection = NULL;
    if (collection->collection && !courier->stops && !find(courier, collection->collection))
        connection = connection_given(courier, handle, collection->host);
    if (!connection) {
        courier->world->ops->close(courier->world, handle);
        ended_tell(courier, collection->collection);
        return;
    }
    connection->collection = collection->collection;
    connection->ends.port = collection->port;
    snprintf(connection->ends.text, sizeof connection->ends.text, "%.*s",
             STR_FMT(collection->address));
    TAILQ_INSERT_HEAD(&courier->collected, connection, link);
}

void collected_part(struct connection *connection)
{
    if (!connection->collection)
        return;
    TAILQ_REMOVE(&connection->courier->collected, connection, link);
    ended_tell(connection->courier, connection->collection);
    connection->collection = 0;
    while (!TAILQ_EMPTY(&connection->turns))
        turn_over(connection);
}

/* A job that has it lets it go. */
static void leave(struct connection *connection)
{
    connection->last = true;
    if (!connection->taken)
        connection_leave(connection);
}

void collected_over(struct courier *courier, uint64_t collection)
{
    struct connection *connection = find(courier, collection);
    if (connection)
        leave(connection);
}

void collected_end(struct courier *courier)
{
    struct connection *connection, *next;
    for (connection = TAILQ_FIRST(&courier->collected); connection; connection = next) {
        next = TAILQ_NEXT(connection, link);
        leave(connection);
    }
}

/* --- A job --- */

/* Nobody has it now: the next one, or whoever ends it. A greeting waits for the first. */
static void let_go(struct connection *connection)
{
    if (!TAILQ_EMPTY(&connection->turns))
        turn_over(connection);
    else if (connection->used)
        stream_resume(&connection->talk.stream);
}

static void give_back(struct connection *connection, enum transaction_end end)
{
    bool disturbed = connection->used && talk_is_disturbed(&connection->talk); /* else: greeted */
    bool last = connection->last || end != TRANSACTION_OVER || disturbed;
    connection->taken = false;
    if (end == TRANSACTION_LOST)
        connection_cut(connection);
    else if (last)
        connection_leave(connection);
    else
        let_go(connection);
}

/* Who logged in has proved no name (RFC 8689 4.2.1). A report is told all the same (5). */
static bool may_go(struct job *job)
{
    if (!job->require.tls)
        return true;
    job->require.relaxed = job->order->sender.n == 0;
    if (!job->require.relaxed)
        results_say(job, JOB_FAILED, REQUIRE_NO_PROMISE,
                    STR("TLS is required (REQUIRETLS), and who collects his mail proves no name"));
    return job->require.relaxed;
}

static enum transaction_end sent_by(struct job *job, struct connection *connection)
{
    if (!may_go(job))
        return TRANSACTION_OVER;
    if (!connection->used && !connection_greeted(job, connection))
        return talk_last(&connection->talk)->class == REPLY_BROKEN ? TRANSACTION_LOST
                                                                   : TRANSACTION_LAST;
    enum transaction_end end = transaction_run(job, connection);
    connection->used = true;
    return end;
}

void collected_send(struct job *job)
{
    struct connection *connection;
    while ((connection = find(job->courier, job->order->collection)) && connection->taken)
        turn_wait(connection);
    if (connection && job->dropped)
        let_go(connection);
    if (!connection || job->dropped)
        return;
    stream_pause(&connection->talk.stream);
    connection->taken = true;
    job_moves(job, JOB_CONNECTING); /* J1 -> J2 */
    job_meets(job, str_from(connection->host));
    job_meets_at(job, connection);
    give_back(connection, sent_by(job, connection));
    if (!job->given_up)
        job_noted_to_all(job);
}
