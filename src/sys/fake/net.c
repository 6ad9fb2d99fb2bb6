/*
 * A connection is two pipes. Bytes are copied in at the sender, travel as segments with a time of
 * arrival, and are the reader's once a delivery, a step of its own, has moved the mark of what
 * arrived. So a reader sees any prefix the seed likes, at any time, but never a gap.
 *
 * Resets are as TCP's: what arrived can be read, what was on its way is lost; closing with unread
 * bytes resets; bytes that arrive at a closed end reset. That last rule has eaten many a final
 * reply of a mail server that closed too early.
 */
#include "base/network.h"
#include "sys/fake/inner.h"

enum {
    DEFAULT_CAPACITY = 64 * 1024,
    DEFAULT_BACKLOG = 128,
    FIRST_PORT = 32768, /* of those that a caller gets */
    PORTS = 28000
};

struct segment {
    TAILQ_ENTRY(segment) link;
    int64_t at;
    size_t n;
    bool last; /* the sender finished behind it */
};

TAILQ_HEAD(segment_list, segment);

struct pipe {
    struct conn *conn;
    struct fake_event delivery;
    struct segment_list flying;
    char *bytes;
    size_t from, n, room; /* n bytes lie at bytes + from; the first `arrived` of them arrived */
    size_t arrived;
    int64_t latest;
    bool full;     /* the sender was told so, or will be */
    bool finished; /* by the sender */
    bool ended;    /* the finish arrived */
};

enum side {
    SERVER,
    CALLER,
    SIDES
};

struct fake_stream {
    struct fake_thing thing;
    TAILQ_ENTRY(fake_stream) waiting; /* in its listener */
    struct conn *conn;
    enum side side;
};

/* Who is there: a role, or a stranger. Both NULL: closed. */
struct conn_end {
    struct fake_stream *stream;
    struct fake_client *client;
};

struct conn {
    struct fake_inner *w;
    struct conn_end ends[SIDES];
    struct pipe to[SIDES];
    struct peer_address peer;  /* the caller, as the server sees it */
    struct connect_to address; /* of a role's call */
    char address_text[IP_TEXT];
    struct fake_event call; /* when it is answered */
    int error;              /* that answered it */
    int role;               /* that accepted it, or called a stranger */
    bool calling, reset, vanished;
};

struct fake_client {
    LIST_ENTRY(fake_client) link;
    struct conn *conn;
    enum side side;
    struct fake_event event;
    void (*changed)(struct fake_client *, void *);
    void *arg;
};

struct fake_listener {
    struct fake_thing thing;
    LIST_ENTRY(fake_listener) link;
    char *name;
    TAILQ_HEAD(, fake_stream) waiting;
    size_t count;
};

static size_t capacity_of(const struct fake_inner *w)
{
    return w->settings.pipe_capacity ? w->settings.pipe_capacity : DEFAULT_CAPACITY;
}

/* ---- Pipes ---- */

static void pipe_clear(struct pipe *pipe)
{
    fake_event_clear(&pipe->conn->w->shown, &pipe->delivery);
    struct segment *segment;
    while ((segment = TAILQ_FIRST(&pipe->flying))) {
        TAILQ_REMOVE(&pipe->flying, segment, link);
        free(segment);
    }
    pipe->n = pipe->arrived;
}

static void pipe_done(struct pipe *pipe)
{
    pipe_clear(pipe);
    free(pipe->bytes);
}

static enum side side_of(const struct pipe *pipe)
{
    return pipe == &pipe->conn->to[SERVER] ? SERVER : CALLER;
}

static enum side other(enum side side)
{
    return side == SERVER ? CALLER : SERVER;
}

static void end_changed(struct conn *conn, enum side side)
{
    struct fake_client *client = conn->ends[side].client;
    if (client && client->changed && !client->event.ready_place)
        fake_event_set(&conn->w->shown, &client->event, conn->w->mono);
    if (conn->ends[side].stream)
        fake_thing_stir(conn->w, &conn->ends[side].stream->thing);
}

static void receiver_changed(struct pipe *pipe)
{
    end_changed(pipe->conn, side_of(pipe));
}

static void sender_changed(struct pipe *pipe)
{
    end_changed(pipe->conn, other(side_of(pipe)));
}

static void conn_reset(struct conn *conn)
{
    if (conn->reset)
        return;
    conn->reset = true;
    pipe_clear(&conn->to[SERVER]);
    pipe_clear(&conn->to[CALLER]);
    fake_note(conn->w, 'R', conn->to[SERVER].n);
    end_changed(conn, SERVER);
    end_changed(conn, CALLER);
}

static bool is_closed(const struct conn_end *end)
{
    return !end->stream && !end->client;
}

/* The receiving end is closed: what arrives there is answered with a reset. */
static bool at_closed_end(const struct pipe *pipe)
{
    return is_closed(&pipe->conn->ends[side_of(pipe)]);
}

static bool weather_strikes(struct conn *conn)
{
    struct fake_inner *w = conn->w;
    if (fake_random_chance(&w->random.network, w->settings.vanish))
        conn->vanished = true;
    if (!conn->vanished && fake_random_chance(&w->random.network, w->settings.reset))
        conn_reset(conn);
    return conn->vanished || conn->reset;
}

static void pipe_deliver(struct fake_world *fake, struct fake_event *event)
{
    struct pipe *pipe = event->arg;
    struct fake_inner *w = fake_inner_in(fake);
    struct segment *first = TAILQ_FIRST(&pipe->flying);
    if (weather_strikes(pipe->conn))
        return;
    size_t part = first->n;
    if (part > 1 && fake_random_chance(&w->random.network, w->settings.split))
        part = 1 + (size_t)fake_random_below(&w->random.network, part);
    first->n -= part;
    pipe->arrived += part;
    fake_note(w, 'd', part);
    if (part > 0 && at_closed_end(pipe)) {
        conn_reset(pipe->conn);
        return;
    }
    if (first->n == 0) {
        pipe->ended = first->last;
        TAILQ_REMOVE(&pipe->flying, first, link);
        free(first);
    }
    first = TAILQ_FIRST(&pipe->flying);
    if (first)
        fake_event_set(fake, event, first->at);
    receiver_changed(pipe);
}

static struct segment *segment_for(struct pipe *pipe)
{
    struct fake_inner *w = pipe->conn->w;
    int64_t most = w->settings.delay_most, at = w->mono;
    if (most > 0)
        at += (int64_t)fake_random_below(&w->random.network, (uint64_t)most + 1);
    if (at < pipe->latest)
        at = pipe->latest;
    struct segment *segment = TAILQ_LAST(&pipe->flying, segment_list);
    if (segment && segment->at == at)
        return segment;
    segment = fake_take(sizeof(*segment));
    segment->at = at;
    TAILQ_INSERT_TAIL(&pipe->flying, segment, link);
    pipe->latest = at;
    if (!pipe->delivery.heap_place && !pipe->delivery.ready_place)
        fake_event_set(&w->shown, &pipe->delivery, at);
    return segment;
}

static void pipe_room(struct pipe *pipe, size_t n)
{
    if (pipe->from + pipe->n + n <= pipe->room)
        return;
    if (pipe->n)
        memmove(pipe->bytes, pipe->bytes + pipe->from, pipe->n);
    pipe->from = 0;
    if (pipe->n + n <= pipe->room)
        return;
    size_t room = pipe->room ? pipe->room : 256;
    while (room < pipe->n + n)
        room *= 2;
    pipe->bytes = realloc(pipe->bytes, room);
    must(pipe->bytes);
    pipe->room = room;
}

static size_t pipe_space(const struct pipe *pipe)
{
    size_t capacity = capacity_of(pipe->conn->w);
    return pipe->n < capacity ? capacity - pipe->n : 0;
}

static void pipe_put(struct pipe *pipe, struct str bytes)
{
    if (bytes.n == 0)
        return;
    pipe_room(pipe, bytes.n);
    memcpy(pipe->bytes + pipe->from + pipe->n, bytes.p, bytes.n);
    pipe->n += bytes.n;
    pipe->full = pipe_space(pipe) == 0;
    segment_for(pipe)->n += bytes.n;
}

static void pipe_finish(struct pipe *pipe)
{
    if (pipe->finished || pipe->conn->reset)
        return;
    pipe->finished = true;
    segment_for(pipe)->last = true;
}

static size_t pipe_take(struct pipe *pipe, void *to, size_t n)
{
    /* `full`: by the capacity of then; the network may have changed since. */
    bool was_full = pipe->full || pipe_space(pipe) == 0;
    if (n > pipe->arrived)
        n = pipe->arrived;
    if (n == 0)
        return 0;
    memcpy(to, pipe->bytes + pipe->from, n);
    pipe->from += n;
    pipe->n -= n;
    pipe->arrived -= n;
    if (pipe->n == 0)
        pipe->from = 0;
    pipe->full = pipe_space(pipe) == 0;
    if (was_full && !pipe->conn->vanished)
        sender_changed(pipe);
    return n;
}

static void pipe_init(struct pipe *pipe, struct conn *conn)
{
    pipe->conn = conn;
    pipe->delivery.run = pipe_deliver;
    pipe->delivery.arg = pipe;
    TAILQ_INIT(&pipe->flying);
}

/* ---- Connections ---- */

static void conn_free_if_unused(struct conn *conn)
{
    if (!is_closed(&conn->ends[SERVER]) || !is_closed(&conn->ends[CALLER]))
        return;
    fake_event_clear(&conn->w->shown, &conn->call);
    pipe_done(&conn->to[SERVER]);
    pipe_done(&conn->to[CALLER]);
    free(conn);
}

static void client_event(struct fake_world *fake, struct fake_event *event)
{
    struct fake_client *client = event->arg;
    fake_note(fake_inner_in(fake), 'c', client->conn->to[client->side].arrived);
    client->changed(client, client->arg);
}

static struct conn *conn_make(struct fake_inner *w, const struct peer_address *peer)
{
    struct conn *conn = fake_take(sizeof(*conn));
    conn->w = w;
    conn->peer = *peer;
    pipe_init(&conn->to[SERVER], conn);
    pipe_init(&conn->to[CALLER], conn);
    return conn;
}

static struct fake_stream *conn_stream(struct conn *conn, enum side side)
{
    struct fake_stream *stream = fake_take(sizeof(*stream));
    fake_thing_init(&stream->thing, FAKE_STREAM);
    stream->conn = conn;
    stream->side = side;
    conn->ends[side].stream = stream;
    return stream;
}

static struct fake_client *conn_client(struct conn *conn, enum side side)
{
    struct fake_client *client = fake_take(sizeof(*client));
    client->conn = conn;
    client->side = side;
    client->event.run = client_event;
    client->event.arg = client;
    conn->ends[side].client = client;
    LIST_INSERT_HEAD(&conn->w->clients, client, link);
    return client;
}

void fake_stream_end(struct fake_inner *w, struct fake_thing *thing)
{
    (void)w;
    struct fake_stream *stream = (struct fake_stream *)(void *)thing;
    struct conn *conn = stream->conn;
    enum side side = stream->side;
    conn->ends[side].stream = NULL;
    free(stream);
    if (conn->to[side].arrived > 0 && !conn->vanished)
        conn_reset(conn);
    else if (!conn->calling)
        pipe_finish(&conn->to[other(side)]);
    conn_free_if_unused(conn);
}

unsigned fake_stream_ready(const struct fake_thing *thing)
{
    const struct fake_stream *stream = (const struct fake_stream *)(const void *)thing;
    const struct conn *conn = stream->conn;
    const struct pipe *in = &conn->to[stream->side], *out = &conn->to[other(stream->side)];
    unsigned ready = 0;
    if (conn->calling)
        return 0;
    if (in->arrived > 0 || in->ended || conn->reset || conn->error)
        ready |= READY_READ;
    if (conn->reset || conn->error || out->finished || pipe_space(out) > 0)
        ready |= READY_WRITE;
    return ready;
}

static ssize_t split(struct fake_inner *w, size_t n)
{
    if (n > 1 && fake_random_chance(&w->random.network, w->settings.split))
        n = 1 + (size_t)fake_random_below(&w->random.network, n);
    return (ssize_t)n;
}

static ssize_t stream_recv(struct fake_inner *w, struct fake_stream *stream, void *to, size_t n)
{
    const struct conn *conn = stream->conn;
    struct pipe *in = &stream->conn->to[stream->side];
    size_t there = in->arrived < n ? in->arrived : n;
    if (conn->calling || conn->error)
        return conn->error ? conn->error : -EAGAIN;
    if (there > 0)
        return (ssize_t)pipe_take(in, to, (size_t)split(w, there));
    if (conn->reset)
        return -ECONNRESET;
    return in->ended || n == 0 ? 0 : -EAGAIN;
}

ssize_t fake_op_recv(struct world *world, int handle, void *to, size_t n)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_RECV, .handle = handle, .n = n};
    struct fake_stream *stream = (void *)fake_handle_of(w, handle, FAKE_STREAM);
    ssize_t got = fake_call_begin(w, &call);
    if (got == 0)
        got = stream_recv(w, stream, to, n);
    if (got > 0)
        call.got = str_make(to, (size_t)got);
    return (ssize_t)fake_call_end(w, &call, got);
}

static ssize_t stream_send(struct fake_inner *w, struct fake_stream *stream,
                           const struct iovec *parts, int count)
{
    const struct conn *conn = stream->conn;
    struct pipe *out = &stream->conn->to[other(stream->side)];
    if (conn->calling)
        return -EAGAIN;
    if (conn->reset || conn->error || out->finished)
        return conn->reset ? -ECONNRESET : -EPIPE;
    size_t n = 0, space = pipe_space(out);
    for (int i = 0; i < count; i++)
        n += parts[i].iov_len;
    if (n > 0 && space == 0) {
        out->full = true;
        return -EAGAIN;
    }
    n = (size_t)split(w, n < space ? n : space);
    size_t left = n;
    for (int i = 0; i < count && left > 0; i++) {
        size_t part = parts[i].iov_len < left ? parts[i].iov_len : left;
        pipe_put(out, str_make(parts[i].iov_base, part));
        left -= part;
    }
    return (ssize_t)n;
}

ssize_t fake_op_send(struct world *world, int handle, const struct iovec *parts, int count)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_SEND, .handle = handle, .parts = parts, .count = count};
    struct fake_stream *stream = (void *)fake_handle_of(w, handle, FAKE_STREAM);
    ssize_t sent = fake_call_begin(w, &call);
    if (sent == 0)
        sent = stream_send(w, stream, parts, count);
    return (ssize_t)fake_call_end(w, &call, sent);
}

int fake_op_finish(struct world *world, int handle)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FINISH, .handle = handle};
    struct fake_stream *stream = (void *)fake_handle_of(w, handle, FAKE_STREAM);
    int e = fake_call_begin(w, &call);
    const struct conn *conn = stream->conn;
    if (e == 0 && (conn->reset || conn->calling || conn->error))
        e = -ENOTCONN;
    if (e == 0)
        pipe_finish(&stream->conn->to[other(stream->side)]);
    return (int)fake_call_end(w, &call, e);
}

/* ---- Listeners ---- */

static struct fake_listener *listener_named(struct fake_inner *w, const char *name)
{
    struct fake_listener *listener;
    LIST_FOREACH (listener, &w->listeners, link)
        if (str_eq(str_from(listener->name), str_from(name)))
            return listener;
    return NULL;
}

/* The world keeps a reference, as the parent keeps the socket: who connects while no role accepts
 * waits. */
int fake_listen(struct fake_world *fake, int role, const char *name)
{
    struct fake_inner *w = fake_inner_in(fake);
    struct fake_listener *listener = listener_named(w, name);
    if (!listener) {
        listener = fake_take(sizeof(*listener));
        fake_thing_init(&listener->thing, FAKE_LISTENER);
        listener->name = strdup(name);
        must(listener->name);
        TAILQ_INIT(&listener->waiting);
        LIST_INSERT_HEAD(&w->listeners, listener, link);
    }
    return fake_handle_make(w, role, &listener->thing);
}

void fake_listener_end(struct fake_inner *w, struct fake_thing *thing)
{
    struct fake_listener *listener = (struct fake_listener *)(void *)thing;
    struct fake_stream *stream;
    while ((stream = TAILQ_FIRST(&listener->waiting))) {
        TAILQ_REMOVE(&listener->waiting, stream, waiting);
        fake_thing_drop(w, &stream->thing);
    }
    LIST_REMOVE(listener, link);
    free(listener->name);
    free(listener);
}

void fake_listeners_end(struct fake_inner *w)
{
    while (!LIST_EMPTY(&w->listeners))
        fake_thing_drop(w, &LIST_FIRST(&w->listeners)->thing);
}

unsigned fake_listener_ready(const struct fake_thing *thing)
{
    const struct fake_listener *listener = (const struct fake_listener *)(const void *)thing;
    return listener->count > 0 ? READY_READ : 0;
}

static bool has_room(const struct fake_inner *w, const struct fake_listener *listener)
{
    size_t backlog = w->settings.backlog ? w->settings.backlog : DEFAULT_BACKLOG;
    return listener && listener->count < backlog;
}

static void listener_queue(struct fake_inner *w, struct fake_listener *listener, struct conn *conn)
{
    struct fake_stream *stream = conn_stream(conn, SERVER);
    TAILQ_INSERT_TAIL(&listener->waiting, stream, waiting);
    listener->count++;
    fake_note(w, 'C', listener->count);
    fake_thing_stir(w, &listener->thing);
}

static int listener_accept(struct fake_inner *w, struct fake_listener *listener,
                           struct peer_address *peer_r)
{
    struct fake_stream *stream = TAILQ_FIRST(&listener->waiting);
    if (!stream)
        return -EAGAIN;
    int handle = fake_handle_make(w, w->running, &stream->thing);
    if (handle < 0)
        return handle;
    TAILQ_REMOVE(&listener->waiting, stream, waiting);
    listener->count--;
    stream->conn->role = w->running;
    *peer_r = stream->conn->peer;
    fake_thing_drop(w, &stream->thing);
    return handle;
}

int fake_op_accept(struct world *world, int handle, struct peer_address *peer_r)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_ACCEPT, .handle = handle};
    struct fake_listener *listener = (void *)fake_handle_of(w, handle, FAKE_LISTENER);
    int e = fake_call_begin(w, &call);
    if (e == 0)
        e = listener_accept(w, listener, peer_r);
    if (e >= 0)
        call.name = str_from(peer_r->text);
    return (int)fake_call_end(w, &call, e);
}

/* ---- Calls of roles ---- */

void fake_host_add(struct fake_world *fake, struct fake_host *host)
{
    host->calls = 0;
    LIST_INSERT_HEAD(&fake_inner_in(fake)->hosts, host, link);
}

void fake_host_remove(struct fake_host *host)
{
    LIST_REMOVE(host, link);
}

static struct fake_host *host_called(const struct conn *conn)
{
    struct network wanted, there;
    must(network_address(conn->address.address, &wanted));
    struct fake_host *host;
    LIST_FOREACH (host, &conn->w->hosts, link) {
        must(network_address(str_from(host->address), &there));
        if ((host->port == 0 || host->port == conn->address.port) && network_eq(&wanted, &there))
            return host;
    }
    return NULL;
}

/* What a call comes to; 1: somebody's to answer. */
static int call_result(const struct conn *conn, const struct fake_host *host)
{
    if (!host || host->way == FAKE_HOST_UNREACHABLE)
        return -EHOSTUNREACH;
    if (host->way == FAKE_HOST_REFUSES ||
        (host->listener && !has_room(conn->w, listener_named(conn->w, host->listener))))
        return -ECONNREFUSED;
    return conn->reset ? -ECONNRESET : 0;
}

/* The one who is called learns of it in the same step, so that he may be the first to speak. */
static void call_answered(struct fake_world *fake, struct fake_event *event)
{
    struct conn *conn = event->arg;
    struct fake_host *host = host_called(conn);
    bool is_lost = weather_strikes(conn) && !conn->reset;
    if (is_lost || (host && host->way == FAKE_HOST_SILENT))
        return;
    conn->calling = false;
    conn->error = call_result(conn, host);
    fake_note(fake_inner_in(fake), 'K', (uint64_t)(uint32_t)conn->error);
    end_changed(conn, CALLER);
    if (conn->error)
        return;
    host->calls++;
    if (host->listener)
        listener_queue(conn->w, listener_named(conn->w, host->listener), conn);
    else
        host->called(host, conn_client(conn, SERVER), &conn->peer);
}

static bool ip_copy(struct str text, char to[IP_TEXT], struct network *address_r)
{
    if (text.n >= IP_TEXT || !network_address(text, address_r))
        return false;
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

/* Both ends of the call as addresses. */
static int call_ends(struct conn *conn, const struct connect_to *to)
{
    struct network there, here;
    if (!ip_copy(to->address, conn->address_text, &there))
        return -EINVAL;
    struct str own = str_from(network_is_v4(&there) ? FAKE_OWN_V4 : FAKE_OWN_V6);
    struct str from = to->from.n > 0 ? to->from : own;
    if (!ip_copy(from, conn->peer.text, &here) || network_is_v4(&here) != network_is_v4(&there))
        return -EADDRNOTAVAIL;
    struct network ours;
    must(network_address(own, &ours));
    if (!to->may_be_ours && (network_eq(&there, &ours) || network_eq(&there, &here)))
        return -ELOOP;
    memcpy(conn->peer.server, conn->address_text, IP_TEXT);
    conn->address = (struct connect_to){str_from(conn->address_text), to->port, STR(""), false};
    return 0;
}

static int64_t call_takes(struct conn *conn)
{
    struct fake_inner *w = conn->w;
    const struct fake_host *host = host_called(conn);
    int64_t most = w->settings.delay_most, takes = host ? host->delay : 0;
    if (most > 0)
        takes += (int64_t)fake_random_below(&w->random.network, (uint64_t)most + 1);
    return takes;
}

static int call_begin(struct fake_inner *w, const struct connect_to *to)
{
    struct peer_address peer = {
        .port = (uint16_t)(FIRST_PORT + w->calls++ % PORTS), .uid = -1, .pid = -1};
    struct conn *conn = conn_make(w, &peer);
    int e = call_ends(conn, to);
    struct fake_stream *stream = conn_stream(conn, CALLER);
    conn->calling = true;
    conn->role = w->running;
    if (e == 0)
        e = fake_handle_make(w, w->running, &stream->thing);
    conn->call = (struct fake_event){.run = call_answered, .arg = conn};
    if (e >= 0)
        fake_event_set(&w->shown, &conn->call, w->mono + call_takes(conn));
    fake_thing_drop(w, &stream->thing);
    return e;
}

int fake_op_connect(struct world *world, const struct connect_to *to)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {
        .kind = FAKE_CONNECT, .name = to->address, .to = to->from, .n = to->port};
    int e = fake_call_begin(w, &call);
    if (e == 0)
        e = call_begin(w, to);
    return (int)fake_call_end(w, &call, e);
}

static int call_outcome(const struct conn *conn, struct peer_address *ends_r)
{
    if (conn->calling || conn->error)
        return conn->error ? conn->error : -EAGAIN;
    if (conn->reset)
        return -ECONNRESET;
    *ends_r = (struct peer_address){.port = conn->address.port, .uid = -1, .pid = -1};
    memcpy(ends_r->text, conn->address_text, IP_TEXT);
    memcpy(ends_r->server, conn->peer.text, IP_TEXT);
    return 0;
}

int fake_op_connected(struct world *world, int handle, struct peer_address *ends_r)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_CONNECTED, .handle = handle};
    const struct fake_stream *stream = (void *)fake_handle_of(w, handle, FAKE_STREAM);
    int e = fake_call_begin(w, &call);
    if (e == 0)
        e = call_outcome(stream->conn, ends_r);
    return (int)fake_call_end(w, &call, e);
}

/* Both ends are the caller's, until it passes them on. */
static int pair_make(struct fake_inner *w, int pair_r[2])
{
    static const struct peer_address nobody = {.uid = -1, .pid = -1};
    struct conn *conn = conn_make(w, &nobody);
    struct fake_stream *ends[SIDES] = {conn_stream(conn, SERVER), conn_stream(conn, CALLER)};
    conn->role = w->running;
    pair_r[0] = fake_handle_make(w, w->running, &ends[0]->thing);
    pair_r[1] = pair_r[0] < 0 ? -1 : fake_handle_make(w, w->running, &ends[1]->thing);
    int failed = pair_r[0] < 0 ? pair_r[0] : pair_r[1] < 0 ? pair_r[1] : 0;
    if (failed && pair_r[0] >= 0)
        fake_handle_close(w, pair_r[0]);
    fake_thing_drop(w, &ends[0]->thing);
    fake_thing_drop(w, &ends[1]->thing);
    return failed;
}

int fake_op_stream_pair(struct world *world, int pair_r[2])
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_STREAM_PAIR};
    int e = fake_call_begin(w, &call);
    if (e == 0)
        e = pair_make(w, pair_r);
    return (int)fake_call_end(w, &call, e);
}

/* ---- Clients ---- */

struct fake_client *fake_connect(struct fake_world *fake, const char *name,
                                 const struct peer_address *peer)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(w->running == 0);
    struct fake_listener *listener = listener_named(w, name);
    if (!has_room(w, listener))
        return NULL;
    struct conn *conn = conn_make(w, peer);
    listener_queue(w, listener, conn);
    return conn_client(conn, CALLER);
}

void fake_client_watch(struct fake_client *client, void (*changed)(struct fake_client *, void *),
                       void *arg)
{
    client->changed = changed;
    client->arg = arg;
}

size_t fake_client_send(struct fake_client *client, struct str bytes)
{
    struct pipe *out = &client->conn->to[other(client->side)];
    must(client->conn->w->running == 0);
    if (client->conn->reset || out->finished)
        return 0;
    size_t n = pipe_space(out) < bytes.n ? pipe_space(out) : bytes.n;
    pipe_put(out, str_head(bytes, n));
    fake_note(client->conn->w, 's', n);
    return n;
}

size_t fake_client_recv(struct fake_client *client, void *to, size_t n)
{
    return pipe_take(&client->conn->to[client->side], to, n);
}

size_t fake_client_waiting(const struct fake_client *client)
{
    return client->conn->to[client->side].arrived;
}

void fake_client_finish(struct fake_client *client)
{
    pipe_finish(&client->conn->to[other(client->side)]);
}

void fake_client_reset(struct fake_client *client)
{
    if (!client->conn->vanished)
        conn_reset(client->conn);
}

void fake_client_vanish(struct fake_client *client)
{
    client->conn->vanished = true;
}

bool fake_client_is_vanished(const struct fake_client *client)
{
    return client->conn->vanished;
}

enum fake_client_state fake_client_state(const struct fake_client *client)
{
    const struct conn *conn = client->conn;
    if (conn->reset)
        return FAKE_CLIENT_RESET;
    const struct pipe *in = &conn->to[client->side];
    return in->ended && in->arrived == 0 ? FAKE_CLIENT_ENDED : FAKE_CLIENT_OPEN;
}

int fake_client_role(const struct fake_client *client)
{
    return client->conn->role;
}

void fake_client_done(struct fake_client *client)
{
    struct conn *conn = client->conn;
    fake_event_clear(&conn->w->shown, &client->event);
    LIST_REMOVE(client, link);
    conn->ends[client->side].client = NULL;
    pipe_finish(&conn->to[other(client->side)]);
    free(client);
    conn_free_if_unused(conn);
}

void fake_clients_end(struct fake_inner *w)
{
    while (!LIST_EMPTY(&w->clients))
        fake_client_done(LIST_FIRST(&w->clients));
}
