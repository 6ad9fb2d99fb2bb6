/*
 * The table of calls, the clocks, the log, roles and handles. What is called is in files.c, net.c,
 * packets.c and run.c.
 */
#include "sys/fake/inner.h"

#define WALL_START INT64_C(1767225600000000) /* 2026-01-01 00:00:00 UTC */

enum {
    FIRST_HANDLE = 3,
    DEFAULT_LOG = 1024 * 1024
};

static int64_t op_mono(struct world *world)
{
    return fake_inner_of(world)->mono;
}

static int64_t op_wall(struct world *world)
{
    struct fake_inner *w = fake_inner_of(world);
    return w->mono / 1000 + w->wall_offset;
}

static void op_random(struct world *world, void *to, size_t n)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_RANDOM, .n = n};
    fake_call_begin(w, &call);
    fake_random_fill(&w->random.bytes, to, n);
    call.got = str_make(to, n);
    fake_call_end(w, &call, 0);
}

static int op_close(struct world *world, int handle)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_CLOSE, .handle = handle};
    if (fake_call_begin(w, &call) == 0)
        fake_handle_close(w, handle);
    return (int)fake_call_end(w, &call, 0);
}

/* Half of it goes at a time, so that a long run does not move a megabyte for each line. */
static void log_make_room(struct fake_inner *w, size_t n)
{
    size_t cut = w->log.n / 2;
    if (cut < w->log.n + n - w->log.max)
        cut = w->log.n + n - w->log.max;
    ssize_t end = cut < w->log.n ? str_index(str_from_index(buf_str(&w->log), cut - 1), '\n') : -1;
    buf_drop_front(&w->log, end < 0 ? w->log.n : cut + (size_t)end);
}

static void log_keep(struct fake_inner *w, struct str line)
{
    if (w->log.n > 0 && w->log.n + line.n > w->log.max)
        log_make_room(w, line.n);
    if (line.n <= w->log.max)
        buf_put(&w->log, line);
}

/* As many as a small machine has. */
static int op_processors(struct world *world)
{
    (void)world;
    return FAKE_PROCESSORS;
}

static void op_log_line(struct world *world, int word, struct str line)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_LOG_LINE, .how = (unsigned)word, .name = line};
    if (fake_call_begin(w, &call) == 0) {
        log_keep(w, line);
        if (w->on_line)
            w->on_line(w->on_line_arg, w->running, word, line);
    }
    fake_call_end(w, &call, 0);
}

static const struct world_ops fake_ops = {
    .mono = op_mono,
    .wall = op_wall,
    .random = op_random,
    .recv = fake_op_recv,
    .send = fake_op_send,
    .accept = fake_op_accept,
    .connect = fake_op_connect,
    .connected = fake_op_connected,
    .stream_pair = fake_op_stream_pair,
    .finish = fake_op_finish,
    .close = op_close,
    .packet_recv = fake_op_packet_recv,
    .packet_send = fake_op_packet_send,
    .shm_create = fake_op_shm_create,
    .shm_map = fake_op_shm_map,
    .shm_unmap = fake_op_shm_unmap,
    .folder_open = fake_op_folder_open,
    .file_open = fake_op_file_open,
    .file_size = fake_op_file_size,
    .file_read = fake_op_file_read,
    .file_read_nowait = fake_op_file_read_nowait,
    .file_write = fake_op_file_write,
    .file_sync = fake_op_file_sync,
    .folder_sync = fake_op_folder_sync,
    .file_truncate = fake_op_file_truncate,
    .file_zero = fake_op_file_zero,
    .file_rename = fake_op_file_rename,
    .file_remove = fake_op_file_remove,
    .folder_list = fake_op_folder_list,
    .file_lock = fake_op_file_lock,
    .folder_free = fake_op_folder_free,
    .processors = op_processors,
    .log_line = op_log_line,
    .loop_begin = fake_op_loop_begin,
    .loop_end = fake_op_loop_end,
    .watch_begin = fake_op_watch_begin,
    .watch_want = fake_op_watch_want,
    .watch_end = fake_op_watch_end,
    .wait = fake_op_wait,
    .lane_begin = fake_op_lane_begin,
    .lane_end = fake_op_lane_end,
    .lane_submit = fake_op_lane_submit,
};

struct fake_world *fake_world_open(uint64_t seed, const struct fake_settings *settings)
{
    struct fake_inner *w = fake_take(sizeof(*w));
    w->shown.world = (struct world){.magic = WORLD_MAGIC, .ops = &fake_ops};
    w->shown.seed = seed;
    w->shown.hash = fake_mix(0, seed);
    if (settings)
        w->settings = *settings;
    w->mono = NS_PER_SECOND;
    w->wall_offset = w->settings.wall_start ? w->settings.wall_start : WALL_START;
    fake_random_init(&w->random.bytes, seed, "bytes");
    fake_random_init(&w->random.schedule, seed, "schedule");
    fake_random_init(&w->random.network, seed, "network");
    fake_random_init(&w->random.disk, seed, "disk");
    w->roles[0] = (struct fake_role){.name = "driver", .open = true};
    w->first_free = FIRST_HANDLE;
    TAILQ_INIT(&w->loops);
    TAILQ_INIT(&w->maps);
    TAILQ_INIT(&w->hooks);
    TAILQ_INIT(&w->faults);
    LIST_INIT(&w->listeners);
    LIST_INIT(&w->clients);
    LIST_INIT(&w->hosts);
    buf_init(&w->log, w->settings.log_most ? w->settings.log_most : DEFAULT_LOG);
    return &w->shown;
}

static void role_end(struct fake_inner *w, int role)
{
    fake_loops_end(w, role);
    fake_maps_end(w, role);
    for (size_t i = 0; i < w->handle_room; i++)
        if (w->handles[i].thing && w->handles[i].role == role)
            fake_handle_close(w, (int)i);
    must(w->roles[role].handles == 0);
}

void fake_world_close(struct fake_world *fake)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(w->running == 0);
    fake_clients_end(w);
    for (int role = 1; role < FAKE_ROLES; role++)
        if (w->roles[role].open)
            fake_kill_role(fake, role);
    role_end(w, 0);
    fake_listeners_end(w);
    free(w->heap);
    free(w->ready);
    free(w->handles);
    buf_done(&w->log);
    free(w);
}

void fake_world_random(const struct fake_world *fake, const char *stream, struct fake_random *r)
{
    uint64_t drivers = fake_mix_bytes(fake->seed, STR("driver"));
    fake_random_init(r, drivers, stream);
}

struct fake_settings *fake_world_settings(struct fake_world *fake)
{
    return &fake_inner_in(fake)->settings;
}

void fake_advance(struct fake_world *fake, int64_t ns)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(ns >= 0);
    w->mono += ns;
    fake_note(w, 'a', (uint64_t)ns);
}

void fake_wall_jump(struct fake_world *fake, int64_t us)
{
    struct fake_inner *w = fake_inner_in(fake);
    w->wall_offset += us;
    fake_note(w, 'w', (uint64_t)us);
}

void fake_log_watch(struct fake_world *fake,
                    void (*line)(void *arg, int role, int word, struct str line), void *arg)
{
    struct fake_inner *w = fake_inner_in(fake);
    w->on_line = line;
    w->on_line_arg = arg;
}

struct str fake_log(const struct fake_world *fake)
{
    return buf_str(&((const struct fake_inner *)(const void *)fake)->log);
}

static struct fake_role *role_of(struct fake_inner *w, int role)
{
    must(role >= 0 && role < FAKE_ROLES && w->roles[role].open);
    return &w->roles[role];
}

int fake_role_open(struct fake_world *fake, const char *name)
{
    struct fake_inner *w = fake_inner_in(fake);
    int role = 1;
    while (role < FAKE_ROLES && w->roles[role].open)
        role++;
    must(role < FAKE_ROLES);
    struct str text = str_head(str_from(name), FAKE_ROLE_NAME - 1);
    w->roles[role] = (struct fake_role){.open = true, .memory = fake_memory_open()};
    memcpy(w->roles[role].name, text.p, text.n);
    fake_note(w, 'r', (uint64_t)role);
    return role;
}

int fake_role_enter(struct fake_world *fake, int role)
{
    struct fake_inner *w = fake_inner_in(fake);
    int before = w->running;
    fake_memory_charge(role_of(w, role)->memory);
    w->running = role;
    return before;
}

void fake_kill_role(struct fake_world *fake, int role)
{
    struct fake_inner *w = fake_inner_in(fake);
    must(role > 0 && w->running == 0);
    struct fake_role *killed = role_of(w, role);
    role_end(w, role);
    fake_memory_close(killed->memory);
    *killed = (struct fake_role){.open = false};
    fake_note(w, 'k', (uint64_t)role);
}

void fake_kill_role_at(struct fake_world *fake, int role, uint64_t n)
{
    struct fake_role *doomed = role_of(fake_inner_in(fake), role);
    must(role > 0);
    doomed->die_at = n > 0 ? doomed->calls + n : 0;
}

void fake_role_watch(struct fake_world *fake,
                     void (*died)(struct fake_world *, int role, void *arg), void *arg)
{
    struct fake_inner *w = fake_inner_in(fake);
    w->on_death = died;
    w->on_death_arg = arg;
}

bool fake_role_alive(const struct fake_world *fake, int role)
{
    const struct fake_inner *w = (const struct fake_inner *)(const void *)fake;
    must(role >= 0 && role < FAKE_ROLES);
    return w->roles[role].open && !w->roles[role].dying;
}

uint64_t fake_role_calls(const struct fake_world *fake, int role)
{
    const struct fake_inner *w = (const struct fake_inner *)(const void *)fake;
    must(role >= 0 && role < FAKE_ROLES);
    return w->roles[role].calls;
}

size_t fake_role_handles(const struct fake_world *fake, int role)
{
    const struct fake_inner *w = (const struct fake_inner *)(const void *)fake;
    must(role >= 0 && role < FAKE_ROLES);
    return w->roles[role].handles;
}

struct fake_memory *fake_role_memory(struct fake_world *fake, int role)
{
    must(role > 0);
    return role_of(fake_inner_in(fake), role)->memory;
}
