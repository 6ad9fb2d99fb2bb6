/* The local engine as the server runs it: system calls, threads, LMDB. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "base/wire.h"
#include "store/local/local.h"
#include "sys/fiber.h"

enum {
    WRITERS = 20,
    EACH = 100,
    BODY = 3000,
    TURNS = 3
};

struct real {
    char path[64];
    int folder;
    struct loop loop;
    struct fiber_pool *fibers;
    struct local_settings settings;
    struct engine *engine;
    int writing;
    int turn; /* of the test */
    uint64_t committed;
};

struct writer {
    struct real *real;
    int number;
    struct fiber_start start;
};

static const struct partition inbox = {PARTITION_MAILBOX, 1};

static void write_run(void *arg)
{
    struct writer *writer = arg;
    struct real *real = writer->real;
    char *body = malloc(BODY);
    assert_non_null(body);
    for (int i = 0; i < EACH; i++) {
        memset(body, 'a' + (writer->number + i) % 26, BODY);
        struct iovec part = {body, BODY};
        struct blob_put blob = {.blob = engine_blob_new(real->engine),
                                .head = STR("head"),
                                .body = &part,
                                .body_parts = 1};
        struct op op = {.kind = OP_APPEND, .partition = inbox, .key = STR("m"), .blob = blob.blob};
        op.value = str_make(body, 1);
        struct commit commit = {.ops = &op, .op_count = 1, .blobs = &blob, .blob_count = 1};
        struct err e = engine_commit_wait(real->engine, &commit);
        assert_int_equal(e.code, ERR_NONE);
        real->committed++;
    }
    free(body);
    if (--real->writing == 0)
        loop_stop(&real->loop);
}

static void check_body(struct real *real, const struct entry *entry)
{
    char body[BODY];
    assert_int_equal(engine_blob_read(real->engine, entry->blob, 0, body, BODY).code, ERR_NONE);
    for (int i = 0; i < BODY; i++)
        assert_int_equal(body[i], entry->value.p[0]);
}

/* Every message of all turns, in order of their UIDs, each with its own body. */
static void check_run(void *arg)
{
    struct real *real = arg;
    struct arena arena;
    struct entry *entries;
    size_t count;
    arena_init(&arena, 100000000);
    assert_int_equal(
        engine_scan(real->engine, inbox, STR(""), str_null(), 1000000, &arena, &entries, &count)
            .code,
        ERR_NONE);
    assert_int_equal(count, real->committed);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(key_get_u32((const unsigned char *)entries[i].key.p + 1), i + 1);
        check_body(real, &entries[i]);
    }
    arena_done(&arena);
    loop_stop(&real->loop);
}

static void open_run(void *arg)
{
    struct real *real = arg;
    struct index *index;
    char path[80];
    (void)snprintf(path, sizeof(path), "%s/index", real->path);
    assert_int_equal(index_lmdb_open(str_from(path), 0, &index).code, ERR_NONE);
    assert_int_equal(local_open(&real->loop, real->folder, index, &real->settings, true, NULL, NULL,
                                &real->engine)
                         .code,
                     ERR_NONE);
    loop_stop(&real->loop);
}

static void close_run(void *arg)
{
    struct real *real = arg;
    engine_close(real->engine);
    loop_stop(&real->loop);
}

static void on_fiber(struct real *real, void (*run)(void *))
{
    struct fiber_start start = {.run = run, .arg = real};
    fiber_run(real->fibers, &start);
    loop_run(&real->loop);
}

static void write_all(struct real *real)
{
    static struct writer writers[WRITERS];
    real->writing = WRITERS;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.real = real, .number = i};
        writers[i].start = (struct fiber_start){.run = write_run, .arg = &writers[i]};
        fiber_run(real->fibers, &writers[i].start);
    }
    loop_run(&real->loop);
}

static void remove_all(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char below[400];
        struct stat stat;
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (lstat(below, &stat) == 0 && S_ISDIR(stat.st_mode))
            remove_all(below);
        else
            (void)unlink(below);
    }
    closedir(folder);
    (void)rmdir(path);
}

static void opened_written_closed_and_opened_again(void **state)
{
    (void)state;
    static struct real real;
    char index[80];
    (void)snprintf(real.path, sizeof(real.path), "/tmp/veredus-store-XXXXXX");
    assert_non_null(mkdtemp(real.path));
    (void)snprintf(index, sizeof(index), "%s/index", real.path);
    assert_int_equal(mkdir(index, 0700), 0);
    real.folder = open(real.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    local_settings_default(&real.settings);
    real.settings.segment_size = 2 << 20;
    real.settings.overlay_soft = 200000;
    for (real.turn = 0; real.turn < TURNS; real.turn++) {
        assert_int_equal(loop_init(&real.loop, world_real()), 0);
        real.fibers = fiber_pool_open(&real.loop, 64);
        assert_non_null(real.fibers);
        on_fiber(&real, open_run);
        on_fiber(&real, check_run);
        write_all(&real);
        struct local_status status;
        local_status(real.engine, &status);
        assert_int_equal(status.blobs, real.committed);
        assert_true(status.groups < WRITERS * EACH);
        on_fiber(&real, check_run);
        on_fiber(&real, close_run);
        loop_turn(&real.loop);
        fiber_pool_close(real.fibers);
        loop_done(&real.loop);
    }
    close(real.folder);
    remove_all(real.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opened_written_closed_and_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
