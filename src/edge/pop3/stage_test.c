#include "edge/pop3/stage_test.h"

#include "base/must.h"

/* --- The core that answers --- */

static void answer(struct box_core *core, struct msg *msg, uint32_t call)
{
    msg_set_call(msg, call);
    must(!err_is(link_send(&core->link, msg)));
}

/* False: that is about neither log-ins nor TLS. */
static bool access(struct box_core *core, const struct msg *asked)
{
    struct msg msg;
    uint32_t call;
    if (!login_core_answer(&core->access, asked, &msg) && !tls_core_answer(&core->tls, asked, &msg))
        return false;
    if (msg_asks(asked, &call))
        answer(core, &msg, call);
    if (core->takes_back && msg.kind == MSG_logged_in) {
        struct msg ended = {.kind = MSG_login_ended,
                            .login_ended = {.handle = msg.logged_in.handle}};
        must(!err_is(link_send(&core->link, &ended)));
        core->takes_back = false;
    }
    return true;
}

static void rows(struct box_core *core, const struct msg_mailbox_open *asked)
{
    struct msg msg = {.kind = MSG_mailbox_rows, .mailbox_rows = {.uid_validity = 0xabc}};
    struct msg_mailbox_rows *page = &msg.mailbox_rows;
    arena_reset(&core->arena);
    page->rows = arena_take_array(&core->arena, BOX_PAGE, sizeof(struct msg_row));
    must(page->rows && str_eq(asked->mailbox, STR("INBOX")));
    uint32_t uid = asked->from_uid ? asked->from_uid : 1;
    for (; uid <= core->count && page->rows_count < BOX_PAGE; uid++)
        if (!core->messages[uid - 1].gone)
            page->rows[page->rows_count++] =
                (struct msg_row){.uid = uid, .size = core->messages[uid - 1].size};
    page->more = uid <= core->count;
    if (!login_core_knows(&core->access, asked->handle))
        msg.mailbox_rows = (struct msg_mailbox_rows){.error = ERR_NOT_ALLOWED};
    answer(core, &msg, asked->call);
}

static uint64_t octets_put(struct box_core *core, const struct msg_fetch *asked, struct str part)
{
    uint64_t given = 0;
    part = str_from_index(part, asked->offset < part.n ? (size_t)asked->offset : part.n);
    if (core->give)
        part = str_head(part, (size_t)core->give);
    for (size_t i = 0; i < asked->slabs_count; i++) {
        must(asked->slabs[i].index < BOX_SLABS && asked->slabs[i].length <= SLAB_SIZE);
        struct str here = str_head(part, asked->slabs[i].length);
        memcpy(core->slabs + (size_t)asked->slabs[i].index * SLAB_SIZE, here.p, here.n);
        part = str_from_index(part, here.n);
        given += here.n;
    }
    return given;
}

static void fetch(struct box_core *core, const struct msg_fetch *asked)
{
    struct msg msg = {.kind = MSG_fetched, .fetched = {.error = ERR_NOT_FOUND}};
    must(asked->uid >= 1 && asked->uid <= core->count);
    struct box_message *message = &core->messages[asked->uid - 1];
    core->fetches++;
    if (core->fetches == core->damaged_at) {
        msg.fetched.error = ERR_STORE_DAMAGED;
    } else if (!login_core_knows(&core->access, asked->handle)) {
        msg.fetched.error = ERR_NOT_ALLOWED;
    } else if (!message->gone) {
        struct str part = asked->part ? message->summary : message->stored;
        msg.fetched = (struct msg_fetched){.total = part.n,
                                           .prefix = asked->part ? 0 : message->prefix,
                                           .octets = octets_put(core, asked, part),
                                           .binary = message->binary};
    }
    answer(core, &msg, asked->call);
}

/* As core does it: what is plain and fits, up to the first that is not or does not. */
static void fetch_ahead(struct box_core *core, const struct msg_fetch_ahead *asked)
{
    struct msg_whole wholes[64];
    struct msg msg = {.kind = MSG_fetched_ahead, .fetched_ahead = {.messages = wholes}};
    size_t *count = &msg.fetched_ahead.messages_count;
    size_t at = 0, room = asked->slabs_count * SLAB_SIZE;
    core->aheads++;
    while (*count < asked->uids_count && login_core_knows(&core->access, asked->handle) &&
           !core->give) {
        must(asked->uids[*count].uid >= 1 && asked->uids[*count].uid <= core->count);
        const struct box_message *message = &core->messages[asked->uids[*count].uid - 1];
        struct str rest = message->stored;
        if (message->gone || message->binary || message->hidden || rest.n > room - at ||
            (core->ahead_most && *count == core->ahead_most))
            break;
        wholes[*count].octets = (uint32_t)rest.n;
        while (rest.n) {
            must(asked->slabs[at / SLAB_SIZE].index < BOX_SLABS);
            struct str here = str_head(rest, SLAB_SIZE - at % SLAB_SIZE);
            memcpy(core->slabs + (size_t)asked->slabs[at / SLAB_SIZE].index * SLAB_SIZE +
                       at % SLAB_SIZE,
                   here.p, here.n);
            rest = str_from_index(rest, here.n);
            at += here.n;
        }
        ++*count;
    }
    wholes[0].octets += core->ahead_lies;
    core->read_ahead += *count;
    answer(core, &msg, asked->call);
}

static void mark(struct box_core *core, struct msg_uid uid)
{
    must(core->marked_count < core->count);
    core->marked[core->marked_count++] = uid;
}

static void expunge(struct box_core *core, const struct msg_expunge *asked)
{
    struct msg msg = {.kind = MSG_expunged};
    core->expunges++;
    for (size_t i = 0; i < asked->uids_count; i++)
        mark(core, asked->uids[i]);
    if (!asked->more) {
        msg.expunged.error = (uint16_t)core->expunge_error;
        for (size_t i = 0; i < core->marked_count && core->expunge_error == ERR_NONE; i++)
            core->messages[core->marked[i].uid - 1].gone = true;
        core->marked_count = 0;
    }
    answer(core, &msg, asked->call);
}

static void die(struct box_core *core)
{
    struct box_stage *stage = (struct box_stage *)((char *)core - offsetof(struct box_stage, core));
    if (!core->up)
        return;
    core->up = false;
    link_done(&core->link);
    stage->fake->world.ops->close(&stage->fake->world, core->pool);
}

static void welcome(struct box_core *core)
{
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = BOX_SLABS}};
    must(!err_is(link_send_handle(&core->link, &msg, core->pool)));
    tls_core_tell(&core->tls, &core->link);
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct box_core *core = link->arg;
    must(passed < 0);
    if (msg->kind == MSG_hello)
        welcome(core);
    else if (msg->kind == MSG_mailbox_open)
        rows(core, &msg->mailbox_open);
    else if (msg->kind == MSG_fetch && core->dies_at && core->fetches + 1 >= core->dies_at)
        die(core);
    else if (msg->kind == MSG_fetch)
        fetch(core, &msg->fetch);
    else if (msg->kind == MSG_fetch_ahead && core->dies_ahead)
        die(core);
    else if (msg->kind == MSG_fetch_ahead && core->ahead_late)
        must(!err_is(msg_copy(msg, &core->late_arena, &core->late)));
    else if (msg->kind == MSG_fetch_ahead)
        fetch_ahead(core, &msg->fetch_ahead);
    else if (msg->kind == MSG_expunge)
        expunge(core, &msg->expunge);
    else
        (void)access(core, msg);
}

static void ended(struct link *link, struct err why)
{
    (void)why;
    die(link->arg);
}

void box_core_start(struct box_stage *stage)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    struct box_core *core = &stage->core;
    struct world *world = &stage->fake->world;
    int pair[2];
    fake_packet_pair(stage->fake, stage->core_role, stage->edge_role, pair);
    fake_role_enter(stage->fake, stage->core_role);
    core->pool = world->ops->shm_create(world, (size_t)BOX_SLABS * SLAB_SIZE);
    core->slabs = world->ops->shm_map(world, core->pool, (size_t)BOX_SLABS * SLAB_SIZE);
    must(core->pool >= 0 && core->slabs);
    must(link_init(&core->link, &stage->core_loop, pair[0], ROLE_CORE, ROLE_BOX, &owner, core) ==
         0);
    core->up = true;
    core->dies_at = 0;
    core->dies_ahead = false;
    login_core_forget(&core->access);
    core->marked_count = 0;
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_core_attach(&stage->edge, pair[1])));
    fake_role_enter(stage->fake, 0);
    box_settle(stage);
}

void box_core_die(struct box_stage *stage)
{
    fake_role_enter(stage->fake, stage->core_role);
    die(&stage->core);
    fake_role_enter(stage->fake, 0);
    box_settle(stage);
}

void box_core_certifies(struct box_stage *stage)
{
    tls_core_open(&stage->core.tls);
    fake_role_enter(stage->fake, stage->core_role);
    tls_core_tell(&stage->core.tls, &stage->core.link);
    fake_role_enter(stage->fake, 0);
    box_settle(stage);
}

void box_core_ends_login(struct box_stage *stage, uint64_t handle)
{
    struct msg msg = {.kind = MSG_login_ended, .login_ended = {.handle = handle}};
    fake_role_enter(stage->fake, stage->core_role);
    must(!err_is(link_send(&stage->core.link, &msg)));
    fake_role_enter(stage->fake, 0);
    box_settle(stage);
}

void box_core_go_on(struct box_stage *stage)
{
    fake_role_enter(stage->fake, stage->core_role);
    stage->core.ahead_late = false;
    fetch_ahead(&stage->core, &stage->core.late.fetch_ahead);
    arena_reset(&stage->core.late_arena);
    fake_role_enter(stage->fake, 0);
    box_settle(stage);
}

/* --- The stage --- */

static void listen_on(struct box_stage *stage, enum listen_protocol protocol, const char *name)
{
    int handle = fake_listen(stage->fake, stage->edge_role, name);
    stage->edge.protocols[protocol] = &pop3_protocol;
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(edge_listen(&stage->edge, protocol, handle, str_from(name))));
    fake_role_enter(stage->fake, 0);
}

static void edge_begin(struct box_stage *stage)
{
    fake_role_enter(stage->fake, stage->edge_role);
    must(loop_init(&stage->edge_loop, &stage->fake->world) == 0);
    stage->fibers = fiber_pool_open(&stage->edge_loop, 64);
    log_init(&stage->log, &stage->fake->world, "box");
    must(!err_is(edge_open(&stage->edge, &stage->edge_loop, stage->fibers, &stage->log, ROLE_BOX, 1,
                           &stage->conf)));
    fake_role_enter(stage->fake, 0);
    listen_on(stage, LISTEN_POP3, "pop3");
    listen_on(stage, LISTEN_POP3S, "pop3s");
}

void box_open(struct box_stage *stage, const char *conf, const struct fake_settings *settings,
              uint64_t seed)
{
    struct conf_trouble trouble;
    *stage = (struct box_stage){.core = {.up = false}};
    login_core_open(&stage->core.access);
    arena_init(&stage->core.arena, 1 << 20);
    arena_init(&stage->core.late_arena, 1 << 20);
    arena_init(&stage->conf_arena, 4 << 20);
    struct err e = conf_parse(str_from(conf), STR("stage"), STR("/"), &stage->conf_arena,
                              &stage->conf, &trouble);
    must(!err_is(e));
    buf_done(&trouble.text);
    stage->fake = fake_world_open(seed, settings);
    stage->edge_role = fake_role_open(stage->fake, "edge");
    stage->core_role = fake_role_open(stage->fake, "core");
    fake_role_enter(stage->fake, stage->core_role);
    must(loop_init(&stage->core_loop, &stage->fake->world) == 0);
    fake_role_enter(stage->fake, 0);
    edge_begin(stage);
    box_core_start(stage);
}

static void stop_run(void *arg)
{
    struct box_stage *stage = arg;
    edge_stop(&stage->edge);
    edge_close(&stage->edge);
    loop_stop(&stage->edge_loop);
}

void box_close(struct box_stage *stage)
{
    struct fiber_start start = {.run = stop_run, .arg = stage};
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_run(stage->fibers, &start);
    fake_role_enter(stage->fake, 0);
    box_pass(stage, EDGE_STOP_WAIT);
    must(stage->edge.magic == 0);
    box_core_die(stage);
    fake_role_enter(stage->fake, stage->edge_role);
    fiber_pool_close(stage->fibers);
    loop_done(&stage->edge_loop);
    fake_role_enter(stage->fake, stage->core_role);
    loop_done(&stage->core_loop);
    fake_role_enter(stage->fake, 0);
    must(fake_role_handles(stage->fake, stage->edge_role) == 0);
    fake_world_close(stage->fake);
    arena_done(&stage->core.arena);
    arena_done(&stage->core.late_arena);
    arena_done(&stage->conf_arena);
    login_core_close(&stage->core.access);
    tls_core_close(&stage->core.tls);
    free(stage->core.messages);
    free(stage->core.marked);
}

void box_add(struct box_stage *stage, struct str stored, uint64_t prefix)
{
    struct box_core *core = &stage->core;
    if (core->count == core->room) {
        core->room = core->room ? core->room * 2 : 16;
        core->messages = realloc(core->messages, core->room * sizeof(*core->messages));
        core->marked = realloc(core->marked, core->room * sizeof(*core->marked));
        must(core->messages && core->marked);
    }
    core->messages[core->count++] =
        (struct box_message){.stored = stored, .prefix = prefix, .size = stored.n};
}

void box_settle(struct box_stage *stage)
{
    box_pass(stage, 0);
}

void box_pass(struct box_stage *stage, int64_t ns)
{
    (void)fake_run(stage->fake, world_mono(&stage->fake->world) + ns);
}

struct fake_client *box_connect(struct box_stage *stage, const char *address)
{
    return box_connect_to(stage, "pop3", address);
}

struct fake_client *box_connect_to(struct box_stage *stage, const char *name, const char *address)
{
    struct peer_address peer = {.port = 4711, .uid = -1, .pid = -1};
    memcpy(peer.text, address, strnlen(address, sizeof peer.text - 1));
    struct fake_client *client = fake_connect(stage->fake, name, &peer);
    must(client);
    box_settle(stage);
    return client;
}

void box_receive(struct box_stage *stage, struct fake_client *client, struct buf *replies)
{
    char bytes[65536];
    size_t n;
    do {
        n = fake_client_recv(client, bytes, sizeof(bytes));
        buf_put(replies, str_make(bytes, n));
        box_settle(stage);
    } while (n > 0);
}

void box_send(struct box_stage *stage, struct fake_client *client, struct str bytes, size_t piece,
              struct buf *replies)
{
    while (bytes.n > 0) {
        size_t sent = fake_client_send(client, str_head(bytes, piece));
        box_settle(stage);
        box_receive(stage, client, replies);
        if (sent == 0 && fake_client_state(client) != FAKE_CLIENT_OPEN)
            break;
        bytes = str_from_index(bytes, sent);
    }
    box_receive(stage, client, replies);
}
