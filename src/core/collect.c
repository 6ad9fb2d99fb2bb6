/*
 * Why core makes the pair and not the edge: the edge could not pass its end to a courier, whom it
 * does not know, and core would have to keep it until a courier is found.
 *
 * Why a line has one collection at a time: its jobs go one by one, in order, and a second client
 * would be told of mail that the first is just being given.
 */
#include "core/collect.h"

#include "base/must.h"
#include "core/core.h"
#include "core/login.h"

enum {
    ROUSED_AT_ONCE = 1000, /* entries looked at in one turn */
    WALKED_AT_ONCE = 1000, /* destinations */
};

struct line_name {
    size_t n;
    char p[ROUTE_DESTINATION_MAX];
};

struct collection {
    LIST_ENTRY(collection) link;
    uint64_t id;
    struct peer *courier;
    size_t rousing; /* its request is not done with what waits */
    struct line_name lines[COLLECTION_LINES_MAX];
    size_t count;
};

/* --- Its life --- */

static struct collection *collection_find(struct queue *queue, uint64_t id)
{
    struct collection *one;
    LIST_FOREACH (one, &queue->collections, link)
        if (one->id == id)
            return one;
    return NULL;
}

struct peer *collection_courier(struct queue *queue, uint64_t id)
{
    const struct collection *one = collection_find(queue, id);
    return one && !one->courier->gone ? one->courier : NULL;
}

/* NULL: it is not this one's (any more). */
static struct destination *line_of(struct queue *queue, const struct collection *one, size_t i)
{
    struct destination *line =
        schedule_destination(&queue->schedule, str_make(one->lines[i].p, one->lines[i].n));
    return line && line->collection == one->id ? line : NULL;
}

static void over_tell(const struct collection *one)
{
    const struct msg msg = {.kind = MSG_collection_over,
                            .collection_over = {.collection = one->id}};
    if (!one->courier->gone && err_is(link_send(&one->courier->link, &msg)))
        peer_cut(one->courier, err_make(ERR_NO_MEMORY));
}

static void end(struct queue *queue, struct collection *one, bool tell)
{
    for (size_t i = 0; i < one->count; i++) {
        struct destination *line = line_of(queue, one, i);
        if (line)
            schedule_collect(&queue->schedule, line, 0);
    }
    if (tell)
        over_tell(one);
    log_event(queue->core->log, LOG_INFO, "collection_over", log_u64("collection", one->id));
    LIST_REMOVE(one, link);
    queue->collection_count--;
    free(one);
}

void collection_end(struct queue *queue, uint64_t id, bool tell)
{
    struct collection *one = collection_find(queue, id);
    if (one)
        end(queue, one, tell);
}

static bool is_wanted(struct queue *queue, const struct collection *one)
{
    for (size_t i = 0; i < one->count; i++) {
        const struct destination *line = line_of(queue, one, i);
        if (line && (line->under_way > 0 || line->place == DESTINATION_READY))
            return true;
    }
    return one->rousing > 0;
}

void collections_turn(struct queue *queue)
{
    struct collection *one, *next;
    for (one = LIST_FIRST(&queue->collections); one; one = next) {
        next = LIST_NEXT(one, link);
        if (!is_wanted(queue, one))
            end(queue, one, true);
    }
}

void collections_peer_gone(struct peer *peer)
{
    struct queue *queue = peer->core->queue;
    struct collection *one, *next;
    for (one = LIST_FIRST(&queue->collections); one; one = next) {
        next = LIST_NEXT(one, link);
        if (one->courier == peer)
            end(queue, one, false);
    }
}

void collections_free(struct queue *queue)
{
    struct collection *one;
    while ((one = LIST_FIRST(&queue->collections))) {
        LIST_REMOVE(one, link);
        free(one);
    }
}

void serve_collection_ended(struct request *request)
{
    struct queue *queue = request->peer->core->queue;
    uint64_t id = request->msg.collection_ended.collection;
    if (collection_courier(queue, id) == request->peer)
        collection_end(queue, id, false);
    queue_turn(queue);
}

/* --- What is asked for --- */

struct collecting {
    struct request *request;
    struct queue *queue;
    const struct conf *conf;
    struct str account; /* whose log-in it is */
    struct collection *one;
    size_t due;
    bool busy; /* a line is being collected by somebody else */
    bool more; /* not all that waits has been looked at */
};

static void line_add(struct collecting *collecting, struct str name)
{
    struct collection *one = collecting->one;
    if (one->count == COLLECTION_LINES_MAX || name.n > ROUTE_DESTINATION_MAX)
        return;
    one->lines[one->count].n = name.n;
    memcpy(one->lines[one->count++].p, name.p, name.n);
}

/* False: it is not his. */
static bool domain_add(struct collecting *collecting, struct str domain)
{
    const struct conf *conf = collecting->conf;
    char room[ROUTE_DESTINATION_MAX];
    bool his = false;
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        struct buf name = {.p = room, .cap = sizeof room, .max = sizeof room};
        if (!conf_route_is_collected_by(route, collecting->account) ||
            !conf_route_is_for(route, domain))
            continue;
        his = true;
        buf_printf(&name, "@%.*s/%.*s", STR_FMT(route->name), STR_FMT(domain));
        if (!buf_over(&name))
            line_add(collecting, buf_str(&name));
    }
    return his;
}

static bool is_his(const struct collecting *collecting, const struct destination *line)
{
    struct str rest = destination_name(line), route;
    if (line->entries == 0 || !str_starts(rest, STR("@")))
        return false;
    rest = str_from_index(rest, 1);
    route = str_cut(&rest, '/');
    const struct conf_route *block = conf_route_named(collecting->conf, route);
    return block && conf_route_is_collected_by(block, collecting->account);
}

/* May yield: every line that is his and has something. */
static void all_add(struct collecting *collecting)
{
    struct queue *queue = collecting->queue;
    struct loop *loop = queue->core->loop;
    struct destination *line = schedule_next_destination(&queue->schedule, NULL);
    struct line_name at;
    for (size_t i = 1; line; i++) {
        if (is_his(collecting, line))
            line_add(collecting, destination_name(line));
        if (i % WALKED_AT_ONCE) {
            line = schedule_next_destination(&queue->schedule, line);
            continue;
        }
        at.n = line->name_length;
        memcpy(at.p, line->name, at.n);
        fiber_sleep_until(loop, loop->now); /* others have their turn */
        line = schedule_destination_behind(&queue->schedule, str_make(at.p, at.n));
    }
}

/* What waits in its lines comes due. */
static void lines_rouse(struct collecting *collecting)
{
    struct queue *queue = collecting->queue;
    struct collection *one = collecting->one;
    for (size_t i = 0; i < one->count; i++) {
        struct destination *line =
            schedule_destination(&queue->schedule, str_make(one->lines[i].p, one->lines[i].n));
        struct schedule_after after = {0};
        size_t roused = 0;
        if (!line || line->entries == 0)
            continue;
        schedule_collected(&queue->schedule, line, true);
        collecting->busy |= line->collection != 0 || line->under_way > 0;
        collecting->more |= schedule_rouse(&queue->schedule, line, queue->core->loop->now,
                                           ROUSED_AT_ONCE, &after, &roused);
        collecting->due += line->paused || queue->schedule.paused ? 0 : line->due;
    }
}

/* --- The two ends --- */

static struct peer *courier_free(const struct queue *queue)
{
    const struct core *core = queue->core;
    size_t least = core->conf->sending.connections;
    struct peer *peer, *best = NULL;
    LIST_FOREACH (peer, &core->peers, link_in_core) {
        if (peer->role != ROLE_COURIER || !peer->takes_jobs || peer->gone || peer->jobs >= least)
            continue;
        best = peer;
        least = peer->jobs;
    }
    return best;
}

/* Both are told before the answer, so that the edge has its end when it says 250. */
static struct err ends_pass(struct collecting *collecting)
{
    struct world *world = collecting->queue->core->world;
    const struct msg_collect *asked = &collecting->request->msg.collect;
    struct collection *one = collecting->one;
    const struct msg to_courier = {.kind = MSG_collection,
                                   .collection = {.collection = one->id,
                                                  .host = asked->helo,
                                                  .address = asked->client,
                                                  .port = asked->port}};
    const struct msg to_edge = {.kind = MSG_line, .line = {.line = one->id}};
    int pair[2];
    int failed = world->ops->stream_pair(world, pair);
    if (failed)
        return err_os(-failed, STR("a pair of sockets"));
    struct err e = link_send_handle(&one->courier->link, &to_courier, pair[0]);
    if (!err_is(e)) {
        e = link_send_handle(&collecting->request->peer->link, &to_edge, pair[1]);
        if (err_is(e))
            over_tell(one);
    }
    world->ops->close(world, pair[0]);
    world->ops->close(world, pair[1]);
    return e;
}

/* G1 -> G2. Where the edge could not be told, the courier meets the end of the octets. */
static struct err begin(struct collecting *collecting)
{
    struct queue *queue = collecting->queue;
    struct collection *one = collecting->one;
    one->id = core_message_id(queue->core);
    one->courier = courier_free(queue);
    if (!one->courier || queue->collection_count == COLLECTIONS_MAX)
        return err_make(ERR_OVER_LIMIT);
    struct err e = ends_pass(collecting);
    if (err_is(e))
        return e;
    LIST_INSERT_HEAD(&queue->collections, one, link);
    queue->collection_count++;
    for (size_t i = 0; i < one->count; i++) {
        struct destination *line =
            schedule_destination(&queue->schedule, str_make(one->lines[i].p, one->lines[i].n));
        if (line && line->collected)
            schedule_collect(&queue->schedule, line, one->id);
    }
    return err_none();
}

/* --- Answers --- */

static void answer(const struct collecting *collecting, int reply, uint64_t line, struct str text)
{
    const struct msg_collect *asked = &collecting->request->msg.collect;
    struct msg msg = {.kind = MSG_collect_answer,
                      .collect_answer = {.reply = (uint16_t)reply, .line = line, .text = text}};
    log_event(collecting->queue->core->log, LOG_INFO, "collect", log_str("client", asked->client),
              log_str("account", collecting->account), log_u64("reply", (uint64_t)reply),
              log_u64("collection", line), log_u64("waiting", collecting->due));
    request_answer(collecting->request, &msg);
}

/* 0: it may begin. */
static int refusal(struct collecting *collecting, struct str *why_r)
{
    if (collecting->busy) {
        *why_r = STR("it is being collected already");
        return 450;
    }
    *why_r = str_null();
    return collecting->due == 0 && !collecting->more ? 453 : 0;
}

/* May yield, until what waits has been roused. The collection may end meanwhile. */
static void go_on(struct collecting *collecting, int64_t since)
{
    struct queue *queue = collecting->queue;
    struct collection *one = collecting->one;
    uint64_t id = one->id;
    if (!collecting->more)
        return;
    one->rousing++;
    for (size_t i = 0; (one = collection_find(queue, id)) && i < one->count; i++) {
        struct line_name line = one->lines[i];
        queue_rouse(queue, str_make(line.p, line.n), since, &collecting->request->peer->gone);
    }
    if (one)
        one->rousing--;
    queue_turn(queue);
}

/* May yield. What it asked for is in `one`, which the queue has from G2 on. */
static void serve(struct collecting *collecting)
{
    struct str why;
    int64_t since = collecting->queue->core->loop->now;
    lines_rouse(collecting);
    int refused = refusal(collecting, &why);
    struct err e = refused ? err_none() : begin(collecting);
    if (refused || err_is(e)) {
        answer(collecting, refused ? refused : 451, 0, refused ? why : STR("try again later"));
        free(collecting->one);
        return;
    }
    answer(collecting, 250, collecting->one->id, str_null());
    queue_turn(collecting->queue);
    go_on(collecting, since);
}

static bool domains_add(struct collecting *collecting)
{
    const struct msg_collect *asked = &collecting->request->msg.collect;
    bool his = true;
    for (size_t i = 0; i < asked->domains_count && his; i++)
        his = domain_add(collecting, asked->domains[i].text);
    return his;
}

void serve_collect(struct request *request)
{
    const struct msg_collect *asked = &request->msg.collect;
    const struct login *login = login_find(request->peer, asked->login);
    struct collecting collecting = {.request = request,
                                    .queue = request->peer->core->queue,
                                    .conf = request->conf,
                                    .one = calloc(1, sizeof(struct collection))};
    if (login && !login->local)
        collecting.account = arena_str(&request->arena, login->address);
    if (!collecting.account.p || !collecting.one) {
        answer(&collecting, 451, 0, STR("try again later"));
        free(collecting.one);
        return;
    }
    if (asked->domains_count == 0)
        all_add(&collecting);
    if (domains_add(&collecting)) {
        serve(&collecting);
        return;
    }
    answer(&collecting, 450, 0, STR("not all of that is yours"));
    free(collecting.one);
}
