#include "edge/http/stage_test.h"

#include "base/must.h"

/* --- The core that answers --- */

static void die(struct web_core *core)
{
    struct web_stage *stage = (struct web_stage *)((char *)core - offsetof(struct web_stage, core));
    if (!core->up)
        return;
    core->up = false;
    link_done(&core->link);
    stage->fake->world.ops->close(&stage->fake->world, core->pool);
}

static void welcome(struct web_core *core)
{
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = WEB_SLABS}};
    must(!err_is(link_send_handle(&core->link, &msg, core->pool)));
    tls_core_tell(&core->tls, &core->link);
}

/* One token is good. */
static void unsubscribe(struct web_core *core, const struct msg_unsubscribe *asked,
                        struct msg *answer)
{
    *answer = (struct msg){.kind = MSG_unsubscribed, .unsubscribed = {.error = ERR_NOT_FOUND}};
    if (core->fails)
        answer->unsubscribed.error = ERR_TRY_LATER;
    else if (str_eq(asked->token, STR("good")))
        answer->unsubscribed = (struct msg_unsubscribed){.list = STR("news@a.example"),
                                                         .name = STR("News & <b>\"more'")};
    core->looks += answer->unsubscribed.error == ERR_NONE && !asked->leaves;
    core->leaves += answer->unsubscribed.error == ERR_NONE && asked->leaves;
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct web_core *core = link->arg;
    struct msg answer;
    uint32_t call;
    must(passed < 0);
    if (msg->kind == MSG_hello) {
        welcome(core);
        return;
    }
    if (msg->kind == MSG_unsubscribe)
        unsubscribe(core, &msg->unsubscribe, &answer);
    else
        must(tls_core_answer(&core->tls, msg, &answer));
    must(msg_asks(msg, &call));
    msg_set_call(&answer, call);
    must(!err_is(link_send(&core->link, &answer)));
}

static void ended(struct link *link, struct err why)
{
    (void)why;
    die(link->arg);
}

static void core_start(struct web_stage *stage)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    struct web_core *core = &stage->core;
    struct world *world = &stage->fake->world;
    int pair[2];
    fake_packet_pair(stage->fake, stage->core_role, stage->edge_role, pair);
    fake_role_enter(stage->fake, stage->core_role);
    core->pool = world->ops->shm_create(world, (size_t)WEB_SLABS * SLAB_SIZE);
    must(core->pool >= 0);
    must(link_init(&core->link, &stage->core_loop, pair[0], ROLE_CORE, ROLE_WEB, &owner, core) ==
         0);
    core->up = true;
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_core_attach(&stage->edge, pair[1])));
    fake_role_enter(stage->fake, 0);
    web_settle(stage);
}

void web_core_certifies(struct web_stage *stage)
{
    tls_core_open(&stage->core.tls);
    fake_role_enter(stage->fake, stage->core_role);
    tls_core_tell(&stage->core.tls, &stage->core.link);
    fake_role_enter(stage->fake, 0);
    web_settle(stage);
}

/* --- The stage --- */

static void listen_on(struct web_stage *stage, enum listen_protocol protocol, const char *name)
{
    int handle = fake_listen(stage->fake, stage->edge_role, name);
    stage->edge.protocols[protocol] = &http_protocol;
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_listen(&stage->edge, protocol, handle, str_from(name))));
    fake_role_enter(stage->fake, 0);
}

static void edge_begin(struct web_stage *stage)
{
    fake_role_enter(stage->fake, stage->edge_role);
    must(loop_init(&stage->edge_loop, &stage->fake->world) == 0);
    stage->fibers = fiber_pool_open(&stage->edge_loop, 64);
    log_init(&stage->log, &stage->fake->world, "web");
    must(!err_is(edge_open(&stage->edge, &stage->edge_loop, stage->fibers, &stage->log, ROLE_WEB, 1,
                           &stage->conf)));
    fake_role_enter(stage->fake, 0);
    listen_on(stage, LISTEN_HTTP, "http");
    listen_on(stage, LISTEN_HTTPS, "https");
}

void web_open(struct web_stage *stage, const char *conf, uint64_t seed)
{
    struct conf_trouble trouble;
    *stage = (struct web_stage){.core = {.up = false}};
    arena_init(&stage->conf_arena, 4 << 20);
    struct err e = conf_parse(str_from(conf), STR("stage"), STR("/"), &stage->conf_arena,
                              &stage->conf, &trouble);
    must(!err_is(e));
    buf_done(&trouble.text);
    stage->fake = fake_world_open(seed, NULL);
    stage->edge_role = fake_role_open(stage->fake, "edge");
    stage->core_role = fake_role_open(stage->fake, "core");
    fake_role_enter(stage->fake, stage->core_role);
    must(loop_init(&stage->core_loop, &stage->fake->world) == 0);
    fake_role_enter(stage->fake, 0);
    edge_begin(stage);
    core_start(stage);
}

static void stop_run(void *arg)
{
    struct web_stage *stage = arg;
    edge_stop(&stage->edge);
    edge_close(&stage->edge);
    loop_stop(&stage->edge_loop);
}

void web_close(struct web_stage *stage)
{
    struct fiber_start start = {.run = stop_run, .arg = stage};
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_run(stage->fibers, &start);
    fake_role_enter(stage->fake, 0);
    web_pass(stage, EDGE_STOP_WAIT);
    must(stage->edge.magic == 0);
    fake_role_enter(stage->fake, stage->core_role);
    die(&stage->core);
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_pool_close(stage->fibers);
    loop_done(&stage->edge_loop);
    fake_role_enter(stage->fake, stage->core_role);
    loop_done(&stage->core_loop);
    fake_role_enter(stage->fake, 0);
    must(fake_role_handles(stage->fake, stage->edge_role) == 0);
    fake_world_close(stage->fake);
    arena_done(&stage->conf_arena);
    tls_core_close(&stage->core.tls);
}

void web_settle(struct web_stage *stage)
{
    web_pass(stage, 0);
}

void web_pass(struct web_stage *stage, int64_t ns)
{
    (void)fake_run(stage->fake, world_mono(&stage->fake->world) + ns);
}

struct fake_client *web_connect(struct web_stage *stage, const char *name, const char *address)
{
    struct peer_address peer = {.port = 4711, .uid = -1, .pid = -1};
    memcpy(peer.text, address, strnlen(address, sizeof peer.text - 1));
    struct fake_client *client = fake_connect(stage->fake, name, &peer);
    must(client);
    web_settle(stage);
    return client;
}

static void receive(struct web_stage *stage, struct fake_client *client, struct buf *replies)
{
    char bytes[65536];
    size_t n;
    do {
        n = fake_client_recv(client, bytes, sizeof(bytes));
        buf_put(replies, str_make(bytes, n));
        web_settle(stage);
    } while (n > 0);
}

void web_send(struct web_stage *stage, struct fake_client *client, struct str bytes, size_t piece,
              struct buf *replies)
{
    while (bytes.n > 0) {
        size_t sent = fake_client_send(client, str_head(bytes, piece));
        web_settle(stage);
        receive(stage, client, replies);
        if (sent == 0 && fake_client_state(client) != FAKE_CLIENT_OPEN)
            break;
        bytes = str_from_index(bytes, sent);
    }
    receive(stage, client, replies);
}
