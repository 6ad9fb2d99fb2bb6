/*
 * How a connection begins. A greeting of 5yz (554: no mail here) is not held against the message:
 * it says something about this host and this moment, so the next host is asked, and where there is
 * none the job waits, as it does for a host that does not answer. In the end it expires, with these
 * words (RFC 5321 3.1 leaves it to the client; refusing at once would make a mistake of an
 * administrator's the end of all mail of that hour).
 */
#include "courier/connection.h"

#include <errno.h>

#include "courier/auth.h"
#include "courier/collected.h"
#include "courier/require.h"
#include "courier/rest.h"
#include "courier/result.h"
#include "courier/tls.h"
#include "sys/process.h"

/* --- Ends ------------------------------------------------------------------------------------ */

static void connection_free(struct connection *connection)
{
    struct courier *courier = connection->courier;
    timer_clear(courier->loop, &connection->idle);
    collected_part(connection);
    if (connection->resting)
        rest_remove(connection);
    if (connection->leaving)
        TAILQ_REMOVE(&courier->leaving, connection, link);
    talk_done(&connection->talk);
    free(connection->host);
    free(connection->destination);
    connection->magic = 0;
    free(connection);
}

void connection_cut(struct connection *connection)
{
    must_be(connection, CONNECTION_MAGIC);
    stream_done(&connection->talk.stream);
    connection_free(connection);
}

void connection_leave(struct connection *connection)
{
    must(!connection->resting && !connection->leaving);
    struct stream *stream = &connection->talk.stream;
    collected_part(connection);
    if (stream->seen != STREAM_OPEN) {
        connection_cut(connection);
        return;
    }
    connection->leaving = true;
    TAILQ_INSERT_TAIL(&connection->courier->leaving, connection, link);
    stream_put(stream, STR("QUIT\r\n"));
    stream_finish(stream);
    stream_resume(stream);
}

/* Nobody waits for it: it has gone, or has to. What comes while it rests is an end, or nothing that
 * anybody asked for. */
static void input(struct stream *stream)
{
    struct connection *connection = stream->arg;
    must_be(connection, CONNECTION_MAGIC);
    bool waits = connection->collection && !connection->taken;
    if (connection->resting || connection->leaving || waits)
        connection_cut(connection);
}

bool connection_has_room(const struct connection *connection, const struct conf *conf)
{
    uint64_t most = connection->collection ? UINT32_MAX : conf->sending.messages_per_connection;
    if (connection->can.mail_max > 0 && connection->can.mail_max < most)
        most = connection->can.mail_max;
    return connection->messages < most;
}

/* --- Calling --------------------------------------------------------------------------------- */

static struct connection *connection_new(struct job *job, const struct route_host *host)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    *connection = (struct connection){.magic = CONNECTION_MAGIC,
                                      .courier = job->courier,
                                      .lmtp = host->lmtp,
                                      .host = str_to_cstring(host->name),
                                      .destination = rest_destination(job)};
    talk_init(&connection->talk, job->courier);
    if (connection->host)
        return connection;
    connection_free(connection);
    return NULL;
}

/* One that is allowed is the only one that the rules need to name. */
struct callable {
    struct connect_to to[ROUTE_ADDRESSES_MAX];
    struct network allowed[ROUTE_ADDRESSES_MAX];
    size_t count, allowed_count;
    bool sourceless; /* some were left out: their family is none of the route's sources */
};

/* An address that stands in a route block itself, or this machine by its name there: no stranger's
 * DNS has led us to it. */
static bool is_meant(const struct route_host *host)
{
    return host->named && (host->address.n > 0 || str_eq_nocase(host->name, STR("localhost")));
}

/* Of the route's own addresses the one of this family; it has some. False: none. */
static bool source_for(struct str sources, struct str address, struct str *source_r)
{
    struct network there, here;
    bool known = network_address(address, &there);
    while (known && sources.n > 0) {
        *source_r = str_cut(&sources, ' ');
        if (network_address(*source_r, &here) && network_is_v4(&here) == network_is_v4(&there))
            return true;
    }
    return false;
}

static bool is_allowed(const struct job *job, const struct route_host *host, struct str address)
{
    return conf_networks_hold(&job->conf->sending.allow_to, address) || is_meant(host);
}

struct str connection_forbids(const struct job *job, const struct route_host *host,
                              struct str address)
{
    struct str source;
    struct network network;
    if (conf_networks_hold(&job->conf->sending.deny_to, address))
        return STR("sending.deny_to");
    if (job->order->source.n > 0 && !source_for(job->order->source, address, &source))
        return STR("not of the kind of the route's source");
    bool known = network_address(address, &network);
    const struct destination_rules rules = {
        .allowed = &network, .allowed_count = known && is_allowed(job, host, address)};
    enum destination verdict = destination_judge(address, &rules);
    return verdict == DESTINATION_FINE ? STR("") : destination_words(verdict);
}

static void callable_make(struct job *job, const struct route_host *host,
                          const struct route_addresses *addresses, struct callable *callable_r)
{
    const struct conf *conf = job->conf;
    *callable_r = (struct callable){.count = 0};
    for (size_t i = 0; i < addresses->count; i++) {
        struct str address = addresses->list[i];
        if (conf_networks_hold(&conf->sending.deny_to, address))
            continue;
        struct str source = STR("");
        if (job->order->source.n > 0 && !source_for(job->order->source, address, &source)) {
            callable_r->sourceless = true;
            continue;
        }
        callable_r->to[callable_r->count++] =
            (struct connect_to){.address = address, .port = host->port, .from = source};
        if (is_allowed(job, host, address) &&
            network_address(address, &callable_r->allowed[callable_r->allowed_count]))
            callable_r->allowed_count++;
    }
}

static bool is_ours(const int *failures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (failures[i] == -ELOOP)
            return true;
    return false;
}

/* Those that were not tried, for another call. */
static void addresses_left(const struct callable *callable, const int *failures, struct str met,
                           struct route_addresses *left_r)
{
    left_r->count = 0;
    for (size_t i = 0; i < callable->count; i++)
        if (failures[i] == 0 && !str_eq(callable->to[i].address, met))
            left_r->list[left_r->count++] = callable->to[i].address;
}

/* Why none of them could be connected; where the rules forbid them that is said. */
static void call_failed(struct job *job, const struct callable *callable, int failure)
{
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    if (callable->count == 0 && callable->sourceless)
        buf_printf(&text, "it has no address of the kind of its route's source, %.*s",
                   STR_FMT(job->order->source));
    else if (callable->count == 0)
        buf_put(&text, STR("all its addresses are forbidden here (sending.deny_to)"));
    else if (failure == -ELOOP)
        buf_put(&text, STR("its address is this server's own"));
    else if (failure == -EPERM)
        buf_put(&text, STR("its address is one that mail is never sent to"));
    else if (failure == -EADDRNOTAVAIL && job->order->source.n > 0)
        buf_printf(&text, "this host has no such address as its route's source %.*s",
                   STR_FMT(job->order->source));
    else
        buf_printf(&text, "cannot connect: %s", strerrordesc_np(-failure));
    if (callable->count > 0)
        buf_printf(&text, " (%.*s port %u)", STR_FMT(callable->to[callable->count - 1].address),
                   callable->to[0].port);
    if ((callable->count == 0 && !callable->sourceless) || failure == -EPERM)
        job->forbidden++;
    else
        job->unforbidden += failure != -ELOOP;
    job_note(job, JOB_TROUBLE_CONNECT, NULL, buf_str(&text));
    buf_done(&text);
}

/* The socket of a server on this host. */
static bool call_local(struct job *job, const struct route_host *host,
                       struct connection *connection)
{
    struct courier *courier = job->courier;
    struct stream *stream = &connection->talk.stream;
    int handle;
    struct err e = process_connect_local(host->address, &handle);
    if (!err_is(e)) {
        int failed =
            stream_init(stream, courier->loop, courier->streams, handle, input, connection);
        if (!failed) {
            stream_pause(stream);
            return true;
        }
        courier->world->ops->close(courier->world, handle);
        e = err_os(-failed, STR("socket"));
    }
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    buf_printf(&text, "cannot connect: %s", e.os ? strerrordesc_np(e.os) : "no such path");
    job_note(job, JOB_TROUBLE_CONNECT, NULL, buf_str(&text));
    buf_done(&text);
    return false;
}

static bool call(struct job *job, const struct route_host *host, struct connection *connection,
                 struct route_addresses *addresses, bool *ours_r)
{
    struct callable callable;
    int failures[ROUTE_ADDRESSES_MAX] = {0};
    callable_make(job, host, addresses, &callable);
    addresses->count = 0;
    const struct destination_rules rules = {.allowed = callable.allowed,
                                            .allowed_count = callable.allowed_count};
    const struct stream_call order = {.loop = job->courier->loop,
                                      .pool = job->courier->streams,
                                      .to = callable.to,
                                      .count = callable.count,
                                      .rules = &rules,
                                      .apart = CONNECT_APART,
                                      .each = job->conf->sending.connect_timeout,
                                      .deadline = INT64_MAX};
    int failed = -EPERM;
    if (callable.count > 0)
        failed = stream_connect(&connection->talk.stream, &order, input, connection,
                                &connection->ends, failures);
    *ours_r |= is_ours(failures, callable.count);
    if (failed) {
        call_failed(job, &callable, failed);
        return false;
    }
    job->unforbidden++;
    addresses_left(&callable, failures, str_from(connection->ends.text), addresses);
    return true;
}

/* --- Hello ----------------------------------------------------------------------------------- */

static struct str own_name(const struct job *job)
{
    const struct conf *conf = job->conf;
    if (job->order->helo.n > 0)
        return job->order->helo;
    return conf->sending.helo.n > 0 ? conf->sending.helo : conf->server.hostname;
}

/* It answered, and nothing stands behind the answer. */
static bool heard(struct talk *talk, enum talk_end end)
{
    return end == TALK_REPLY && !talk_is_disturbed(talk);
}

static bool is_success(const struct talk *talk)
{
    return talk_last(talk)->class == REPLY_SUCCESS;
}

/* EHLO, and where that is not known HELO (RFC 5321 3.2); False: neither, and `end` says how. */
static bool hello(struct job *job, struct connection *connection, enum talk_end *end)
{
    struct talk *talk = &connection->talk;
    struct str name = own_name(job);
    connection->can = (struct capabilities){.has = 0};
    talk_command(talk, "%s %.*s", connection->lmtp ? "LHLO" : "EHLO", STR_FMT(name));
    *end = talk_reply(talk, WITHIN_HELLO);
    if (!heard(talk, *end))
        return false;
    if (is_success(talk)) {
        capabilities_parse(talk_last(talk)->text, &connection->can);
        return true;
    }
    if (connection->lmtp || talk_last(talk)->class != REPLY_PERMANENT)
        return false;
    talk_command(talk, "HELO %.*s", STR_FMT(name));
    *end = talk_reply(talk, WITHIN_HELLO);
    return heard(talk, *end) && is_success(talk);
}

/* Greeting and hello, in clear. */
static bool greet(struct job *job, struct connection *connection)
{
    struct talk *talk = &connection->talk;
    int64_t since = job->courier->loop->now;
    enum talk_end end = talk_reply(talk, WITHIN_GREETING);
    bool met = heard(talk, end) && is_success(talk);
    if (met && !connection->collection)
        place_keep(job);
    met = met && hello(job, connection, &end);
    job_spends(job, PHASE_HELLO, since);
    if (met)
        return true;
    bool said = end == TALK_REPLY && !is_success(talk);
    job_note(job, JOB_TROUBLE_GREETING, said ? talk_last(talk) : NULL, talk_end_text(end, talk));
    return false;
}

/* In TLS, where that is to be and can be; what was heard before counts no more (RFC 3207 4.2). */
static bool secure(struct job *job, struct connection *connection, bool *again_r)
{
    bool without = connection->lmtp && job->order->tls == CONF_ROUTE_TLS_AUTO && !require_tls(job);
    enum tls_end end = without ? TLS_OFF : tls_begin(job, connection);
    enum talk_end heard_last = TALK_REPLY;
    struct talk *talk = &connection->talk;
    *again_r = end == TLS_FAILED;
    if (end != TLS_ON)
        return end == TLS_OFF;
    if (hello(job, connection, &heard_last))
        return true;
    bool said = heard_last == TALK_REPLY && !is_success(talk);
    job_note(job, JOB_TROUBLE_GREETING, said ? talk_last(talk) : NULL,
             talk_end_text(heard_last, talk));
    return false;
}

/* Greeting and all, in the order of its route. */
static bool begin(struct job *job, struct connection *connection, bool *again_r)
{
    if (job->order->tls != CONF_ROUTE_TLS_IMPLICIT)
        return greet(job, connection) && secure(job, connection, again_r);
    return tls_begin_first(job, connection) == TLS_ON && greet(job, connection);
}

/* Whom it reached. False: it is of no use; *again_r: another one in clear would be. */
static bool meet(struct job *job, struct connection *connection, bool *again_r)
{
    int64_t since = job->courier->loop->now;
    talk_limit(&connection->talk, since + LIMIT_HELLO);
    *again_r = false;
    bool met = begin(job, connection, again_r) && auth_log_in(job, connection);
    talk_limit(&connection->talk, INT64_MAX);
    return met;
}

static void again_in_clear(struct job *job, const struct connection *connection,
                           struct route_addresses *addresses)
{
    struct str address = arena_str(&job->arena, str_from(connection->ends.text));
    if (!address.p || addresses->count == ROUTE_ADDRESSES_MAX)
        return;
    memmove(&addresses->list[1], &addresses->list[0], addresses->count * sizeof address);
    addresses->list[0] = address;
    addresses->count++;
    job->in_clear = true;
}

/* Whoever says what is no SMTP, perhaps without an end, is not read any longer for a QUIT. */
static void go(struct connection *connection)
{
    if (talk_last(&connection->talk)->class == REPLY_BROKEN)
        connection_cut(connection);
    else
        connection_leave(connection);
}

struct connection *connection_open(struct job *job, const struct route_host *host,
                                   struct route_addresses *addresses, bool *ours_r)
{
    struct connection *connection = connection_new(job, host);
    int64_t since = job->courier->loop->now;
    bool again;
    if (!connection) {
        addresses->count = 0;
        job_note(job, JOB_NO_TROUBLE, NULL, STR("this server is short of memory"));
        return NULL;
    }
    addresses->count = host->local ? 0 : addresses->count;
    bool connected = host->local ? call_local(job, host, connection)
                                 : call(job, host, connection, addresses, ours_r);
    job_spends(job, PHASE_CONNECT, since);
    if (!connected) {
        connection_free(connection);
        return NULL;
    }
    job_meets_at(job, connection);
    if (meet(job, connection, &again)) {
        job_meets_at(job, connection);
        return connection;
    }
    if (again)
        again_in_clear(job, connection, addresses);
    go(connection);
    return NULL;
}

/* --- What was given to us -------------------------------------------------------------------- */

struct connection *connection_given(struct courier *courier, int handle, struct str host)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    *connection = (struct connection){
        .magic = CONNECTION_MAGIC, .courier = courier, .host = str_to_cstring(host)};
    talk_init(&connection->talk, courier);
    TAILQ_INIT(&connection->turns);
    struct stream *stream = &connection->talk.stream;
    if (connection->host &&
        stream_init(stream, courier->loop, courier->streams, handle, input, connection) == 0) {
        stream_pause(stream);
        return connection;
    }
    connection_free(connection);
    return NULL;
}

bool connection_greeted(struct job *job, struct connection *connection)
{
    talk_limit(&connection->talk, job->courier->loop->now + LIMIT_HELLO);
    bool met = greet(job, connection);
    talk_limit(&connection->talk, INT64_MAX);
    return met;
}
