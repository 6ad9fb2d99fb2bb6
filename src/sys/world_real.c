/*
 * One table, so that a reader sees at once what a role can ask of the machine.
 */
#include "sys/world.h"

#include <errno.h>
#include <sched.h>
#include <sys/random.h>

#include "sys/real.h"

enum {
    PROCESSORS_MOST = 256
};

static int64_t clock_in(clockid_t clock, int64_t per_second)
{
    struct timespec t;
    must(clock_gettime(clock, &t) == 0);
    return (int64_t)t.tv_sec * per_second + (int64_t)t.tv_nsec / (NS_PER_SECOND / per_second);
}

static int64_t real_mono(struct world *world)
{
    (void)world;
    return clock_in(CLOCK_MONOTONIC, NS_PER_SECOND);
}

static int64_t real_wall(struct world *world)
{
    (void)world;
    return clock_in(CLOCK_REALTIME, US_PER_SECOND);
}

/* getrandom fails only when it is interrupted: it needs no descriptor and no memory. */
static void real_random(struct world *world, void *to, size_t n)
{
    (void)world;
    char *p = to;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        must(got > 0 || errno == EINTR);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

/* Those that we were given, not those that there are: a container has fewer. */
static int real_processors(struct world *world)
{
    cpu_set_t own;
    (void)world;
    int count = sched_getaffinity(0, sizeof(own), &own) == 0 ? CPU_COUNT(&own) : 1;
    return count < PROCESSORS_MOST ? count : PROCESSORS_MOST;
}

static const struct world_ops real_ops = {
    .mono = real_mono,
    .wall = real_wall,
    .random = real_random,
    .recv = real_recv,
    .send = real_send,
    .accept = real_accept,
    .connect = real_connect,
    .connected = real_connected,
    .stream_pair = real_stream_pair,
    .finish = real_finish,
    .close = real_close,
    .packet_recv = real_packet_recv,
    .packet_send = real_packet_send,
    .shm_create = real_shm_create,
    .shm_map = real_shm_map,
    .shm_unmap = real_shm_unmap,
    .folder_open = real_folder_open,
    .file_open = real_file_open,
    .file_size = real_file_size,
    .file_read = real_file_read,
    .file_read_nowait = real_file_read_nowait,
    .file_write = real_file_write,
    .file_sync = real_file_sync,
    .folder_sync = real_folder_sync,
    .file_truncate = real_file_truncate,
    .file_zero = real_file_zero,
    .file_rename = real_file_rename,
    .file_remove = real_file_remove,
    .folder_list = real_folder_list,
    .file_lock = real_file_lock,
    .folder_free = real_folder_free,
    .processors = real_processors,
    .log_line = real_log_line,
    .loop_begin = real_loop_begin,
    .loop_end = real_loop_end,
    .watch_begin = real_watch_begin,
    .watch_want = real_watch_want,
    .watch_end = real_watch_end,
    .wait = real_wait,
    .lane_begin = real_lane_begin,
    .lane_end = real_lane_end,
    .lane_submit = real_lane_submit,
};

struct world *world_real(void)
{
    static struct real_world real = {{.magic = WORLD_MAGIC, .ops = &real_ops}, .syslog = -1};
    return &real.world;
}
