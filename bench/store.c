/*
 * What a durable commit costs: WRITERS fibers, each waiting for its own commit of a body and one
 * entry before it makes the next. Prints commits a second, commits a group, microseconds of
 * processor time a commit and octets written for each octet of body.
 *
 *     bench_store FOLDER WRITERS BODY SECONDS
 */
#include <sys/resource.h>

#include "store/local/local.h"
#include "sys/fiber.h"
#include "sys/process.h"

enum {
    WRITERS_MAX = 1000,
    PATH_ROOM = 400
};

struct bench {
    struct loop loop;
    struct fiber_pool *fibers;
    struct engine *engine;
    const char *path;
    size_t body;
    int64_t until;
    int writing;
    char *octets;
};

static void write_run(void *arg)
{
    struct bench *bench = arg;
    struct iovec part = {bench->octets, bench->body};
    while (world_mono(bench->loop.world) < bench->until) {
        struct blob_put blob = {.blob = engine_blob_new(bench->engine),
                                .head = STR("summary"),
                                .body = &part,
                                .body_parts = 1};
        struct op op = {.kind = OP_APPEND,
                        .partition = {PARTITION_MAILBOX, 1 + blob.blob % 1000},
                        .key = STR("m"),
                        .value =
                            STR("........ sixty octets of a message's hot record ............"),
                        .stamp = true,
                        .blob = blob.blob};
        struct commit commit = {.ops = &op, .op_count = 1, .blobs = &blob, .blob_count = 1};
        must(engine_commit_wait(bench->engine, &commit).code == ERR_NONE);
    }
    if (--bench->writing == 0)
        loop_stop(&bench->loop);
}

static void open_run(void *arg)
{
    struct bench *bench = arg;
    struct local_settings settings;
    struct index *index;
    char path[PATH_ROOM];
    int folder;
    local_settings_default(&settings);
    (void)process_make_folder(str_from(bench->path), 0700);
    (void)snprintf(path, sizeof(path), "%s/index", bench->path);
    (void)process_make_folder(str_from(path), 0700);
    must(process_open_folder(str_from(bench->path), &folder).code == ERR_NONE);
    must(index_lmdb_open(str_from(path), 0, &index).code == ERR_NONE);
    int64_t before = world_mono(bench->loop.world);
    must(
        local_open(&bench->loop, folder, index, &settings, true, NULL, NULL, &bench->engine).code ==
        ERR_NONE);
    printf("opened in %.1f ms\n", (double)(world_mono(bench->loop.world) - before) / NS_PER_MS);
    loop_stop(&bench->loop);
}

static void close_run(void *arg)
{
    struct bench *bench = arg;
    engine_close(bench->engine);
    loop_stop(&bench->loop);
}

static double processor_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void on_fiber(struct bench *bench, void (*run)(void *))
{
    struct fiber_start start = {.run = run, .arg = bench};
    fiber_run(bench->fibers, &start);
    loop_run(&bench->loop);
}

static void measure(struct bench *bench, int writers, double seconds)
{
    static struct fiber_start starts[WRITERS_MAX];
    double before = processor_us();
    bench->writing = writers;
    bench->until = world_mono(bench->loop.world) + (int64_t)(seconds * (double)NS_PER_SECOND);
    for (int i = 0; i < writers; i++) {
        starts[i] = (struct fiber_start){.run = write_run, .arg = bench};
        fiber_run(bench->fibers, &starts[i]);
    }
    loop_run(&bench->loop);
    struct local_status status;
    local_status(bench->engine, &status);
    double commits = (double)status.commits;
    printf("%.0f commits/s, %.1f a group, %.1f us of processor, %.2f octets logged per octet, "
           "%llu rounds\n",
           commits / seconds, commits / (double)status.groups, (processor_us() - before) / commits,
           (double)status.bytes_logged / (commits * (double)bench->body),
           (unsigned long long)status.applier_rounds);
}

int main(int count, char **words)
{
    static struct bench bench;
    uint64_t writers, body, seconds;
    if (count != 5 || !str_to_u64(str_from(words[2]), &writers) ||
        !str_to_u64(str_from(words[3]), &body) || !str_to_u64(str_from(words[4]), &seconds) ||
        writers < 1 || writers > WRITERS_MAX || body < 1 || body > ENGINE_BODY_INLINE_MAX) {
        fprintf(stderr, "bench_store FOLDER WRITERS BODY SECONDS\n");
        return 64;
    }
    bench.path = words[1];
    bench.body = body;
    bench.octets = calloc(1, body);
    must(bench.octets);
    must(loop_init(&bench.loop, world_real()) == 0);
    bench.fibers = fiber_pool_open(&bench.loop, WRITERS_MAX);
    must(bench.fibers);
    on_fiber(&bench, open_run);
    measure(&bench, (int)writers, (double)seconds);
    on_fiber(&bench, close_run);
    return 0;
}
