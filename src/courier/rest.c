/*
 * A list, newest first, that is walked: it is short, for what rests longer than some seconds goes,
 * and a job that finds nothing has a lookup and a hello before it anyway.
 */
#include "courier/rest.h"

#include "base/sha256.h"
#include "courier/require.h"

/* All that makes two connections of one route different, after a reload too: no name has a NUL. */
static void difference(const struct msg_job *order, unsigned char different_r[SHA256_SIZE])
{
    const struct str parts[] = {order->via,  order->tls_names, order->source,
                                order->helo, order->user,      order->password};
    const unsigned char numbers[] = {order->lmtp, order->tls, order->token,
                                     (unsigned char)order->mechanisms,
                                     (unsigned char)(order->mechanisms >> 8)};
    struct sha256 sha256;
    sha256_init(&sha256);
    sha256_feed(&sha256, str_make(numbers, sizeof numbers));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        sha256_feed(&sha256, parts[i]);
        sha256_feed(&sha256, str_make("", 1));
    }
    sha256_end(&sha256, different_r);
}

char *rest_destination(const struct job *job)
{
    const struct msg_job *order = job->order;
    struct buf text = BUF_INIT(1024);
    /* No name has a space; who logs in is told by a hash, so that a password stays in one place. */
    buf_put(&text, order->route.n > 0 ? order->route : order->domain);
    buf_put(&text, order->route.n > 0 ? STR(" route ") : STR(" "));
    if (require_tls(job))
        buf_put(&text, STR("proven "));
    if (require_is_optional(job))
        buf_put(&text, STR("optional "));
    if (str_starts(order->route, STR("@"))) {
        unsigned char different[SHA256_SIZE];
        difference(order, different);
        for (size_t i = 0; i < sizeof different; i++)
            buf_printf(&text, "%02x", different[i]);
    }
    char *destination = buf_over(&text) ? NULL : str_to_cstring(buf_str(&text));
    buf_done(&text);
    return destination;
}

void rest_remove(struct connection *connection)
{
    must(connection->resting);
    TAILQ_REMOVE(&connection->courier->resting, connection, link);
    connection->courier->resting_count--;
    connection->resting = false;
}

static void rested(struct connection *connection)
{
    timer_clear(connection->courier->loop, &connection->idle);
    rest_remove(connection);
    connection_leave(connection);
}

static void rested_enough(struct timer *timer)
{
    rested(timer->arg);
}

void rest_make_room(struct courier *courier)
{
    uint64_t most = courier->conf->sending.connections;
    while (courier->resting_count > 0 && courier->resting_count + places_held(courier) > most)
        rested(TAILQ_LAST(&courier->resting, connections));
}

void rest_put(struct connection *connection)
{
    struct courier *courier = connection->courier;
    int64_t idle = courier->conf->sending.idle;
    if (idle == 0 || courier->stops || !connection->destination ||
        !connection_has_room(connection, courier->conf) || talk_is_disturbed(&connection->talk)) {
        connection_leave(connection);
        return;
    }
    connection->resting = true;
    connection->used = true;
    TAILQ_INSERT_HEAD(&courier->resting, connection, link);
    courier->resting_count++;
    connection->idle = (struct timer){.run = rested_enough, .arg = connection};
    timer_set(courier->loop, &connection->idle, courier->loop->now + idle);
    stream_resume(&connection->talk.stream);
    rest_make_room(courier);
}

struct connection *rest_take(const struct job *job)
{
    struct courier *courier = job->courier;
    struct connection *connection;
    char *destination = rest_destination(job);
    TAILQ_FOREACH (connection, &courier->resting, link)
        if (destination && strcmp(connection->destination, destination) == 0)
            break;
    free(destination);
    if (!connection)
        return NULL;
    timer_clear(courier->loop, &connection->idle);
    rest_remove(connection);
    stream_pause(&connection->talk.stream);
    return connection;
}

void rest_end(struct courier *courier)
{
    while (!TAILQ_EMPTY(&courier->resting))
        rested(TAILQ_FIRST(&courier->resting));
}
