#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/real_open.h"
#include "sys/world.h"

/* A folder of the test's own, given as handle; the test removes what it made by its end. */
struct place {
    char path[64];
    int folder;
    struct world *world;
    const struct world_ops *ops;
};

static int place_open(void **state)
{
    static struct place place;
    snprintf(place.path, sizeof(place.path), "/tmp/veredus-file-XXXXXX");
    if (!mkdtemp(place.path))
        return -1;
    place.folder = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place.world = world_real();
    place.ops = place.world->ops;
    *state = &place;
    return place.folder < 0 ? -1 : 0;
}

static int place_close(void **state)
{
    struct place *p = *state;
    static const char *const made[] = {"plain", "link", "hard", "fifo", "folder/deep", "other"};
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        unlinkat(p->folder, made[i], 0);
    unlinkat(p->folder, "folder", AT_REMOVEDIR);
    unlinkat(p->folder, "linked", 0);
    close(p->folder);
    return rmdir(p->path);
}

static int file_make(struct place *p, const char *name)
{
    int file = p->ops->file_open(p->world, p->folder, str_from(name),
                                 FILE_READ | FILE_WRITE | FILE_CREATE);
    assert_true(file >= 0);
    return file;
}

static void what_is_written_is_read(void **state)
{
    struct place *p = *state;
    int file = file_make(p, "plain");
    char a[] = "abc", b[] = "", c[] = "defgh";
    struct iovec parts[] = {{a, 3}, {b, 0}, {c, 5}};
    assert_int_equal(p->ops->file_write(p->world, file, parts, 3, 10), 8);
    assert_int_equal(p->ops->file_size(p->world, file), 18);
    char got[32];
    assert_int_equal(p->ops->file_read(p->world, file, got, 8, 10), 8);
    assert_str(str_make(got, 8), STR("abcdefgh"));
    assert_int_equal(p->ops->file_read(p->world, file, got, 32, 16), 2);
    assert_int_equal(p->ops->file_read(p->world, file, got, 32, 18), 0);
    ssize_t now = p->ops->file_read_nowait(p->world, file, got, 32, 16);
    assert_true(now == 2 || now == -EAGAIN);
    assert_int_equal(p->ops->file_sync(p->world, file), 0);
    assert_int_equal(p->ops->folder_sync(p->world, p->folder), 0);
    assert_int_equal(p->ops->file_truncate(p->world, file, 3), 0);
    assert_int_equal(p->ops->file_size(p->world, file), 3);
    struct stat st;
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(p->ops->folder_free(p->world, p->folder) > 0);
    close(file);
}

/* More parts than the kernel takes at once, and parts of no length. */
static void a_write_of_many_parts_is_whole(void **state)
{
    struct place *p = *state;
    enum {
        PARTS = 3000
    };
    int file = file_make(p, "plain");
    static char bytes[PARTS];
    static struct iovec parts[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        bytes[i] = (char)(i % 251);
        parts[i] = (struct iovec){bytes + i, i % 3 ? 1 : 0};
    }
    assert_int_equal(p->ops->file_write(p->world, file, parts, PARTS, 0), PARTS / 3 * 2);
    static char got[PARTS];
    assert_int_equal(p->ops->file_read(p->world, file, got, PARTS, 0), PARTS / 3 * 2);
    size_t at = 0;
    for (size_t i = 0; i < PARTS; i++)
        if (i % 3)
            assert_int_equal(got[at++], bytes[i]);
    close(file);
}

static void zeroes_are_written_over_what_was_there(void **state)
{
    struct place *p = *state;
    int file = file_make(p, "plain");
    char a[] = "abcdefgh";
    struct iovec part = {a, 8};
    assert_int_equal(p->ops->file_write(p->world, file, &part, 1, 0), 8);
    enum {
        ZEROES = 2 * 1024 * 1024 + 5
    };
    assert_int_equal(p->ops->file_zero(p->world, file, 4, ZEROES), 0);
    assert_int_equal(p->ops->file_size(p->world, file), ZEROES + 4);
    char got[10];
    assert_int_equal(p->ops->file_read(p->world, file, got, 10, 0), 10);
    assert_memory_equal(got, "abcd\0\0\0\0\0\0", 10);
    assert_int_equal(p->ops->file_read(p->world, file, got, 10, ZEROES), 4);
    assert_memory_equal(got, "\0\0\0\0", 4);
    close(file);
}

static void names_stay_beneath_their_folder(void **state)
{
    struct place *p = *state;
    static const struct str bad[] = {
        STR_INIT(""),       STR_INIT("/etc/passwd"), STR_INIT(".."),  STR_INIT("../x"),
        STR_INIT("a/../b"), STR_INIT("a//b"),        STR_INIT("./a"), STR_INIT("a/"),
        STR_INIT("a\0b"),   STR_INIT("a/./b"),       {NULL, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned create = FILE_WRITE | FILE_CREATE;
        assert_int_equal(p->ops->file_open(p->world, p->folder, bad[i], create), -EINVAL);
        assert_int_equal(p->ops->folder_open(p->world, p->folder, bad[i], true), -EINVAL);
        assert_int_equal(p->ops->file_remove(p->world, p->folder, bad[i]), -EINVAL);
        assert_int_equal(p->ops->file_rename(p->world, p->folder, STR("x"), bad[i]), -EINVAL);
    }
    char name[1025];
    memset(name, 'x', sizeof(name));
    assert_int_equal(p->ops->file_open(p->world, p->folder, str_make(name, 1024), FILE_READ),
                     -ENAMETOOLONG);
}

/* Catalogue O01: what a local user could plant is not opened, by either way of opening. */
static void links_and_fifos_are_refused(void **state)
{
    struct place *p = *state;
    close(file_make(p, "plain"));
    assert_int_equal(symlinkat("plain", p->folder, "link"), 0);
    assert_int_equal(mkfifoat(p->folder, "fifo", 0600), 0);
    int folder = p->ops->folder_open(p->world, p->folder, STR("folder"), true);
    assert_true(folder >= 0);
    close(file_make(p, "folder/deep"));
    assert_int_equal(symlinkat("folder", p->folder, "linked"), 0);

    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("link"), FILE_READ), -ELOOP);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("fifo"), FILE_READ), -EPERM);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("linked/deep"), FILE_READ), -ELOOP);
    assert_true(p->ops->folder_open(p->world, p->folder, STR("linked"), true) < 0);
    assert_true(p->ops->file_remove(p->world, p->folder, STR("linked/deep")) < 0);
    assert_true(p->ops->file_rename(p->world, p->folder, STR("plain"), STR("linked/x")) < 0);

    char through[] = "linked/deep", end[] = "link", good[] = "folder/deep";
    assert_int_equal(real_open_walk(p->folder, through, O_RDONLY, 0), -ENOTDIR);
    assert_int_equal(real_open_walk(p->folder, end, O_RDONLY, 0), -ELOOP);
    int file = real_open_walk(p->folder, good, O_RDONLY, 0);
    assert_true(file >= 0);
    close(file);

    assert_int_equal(linkat(p->folder, "plain", p->folder, "hard", 0), 0);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("plain"), FILE_READ), -EPERM);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("hard"), FILE_READ), -EPERM);
    unlinkat(p->folder, "hard", 0);
    close(folder);
}

static void files_of_others_are_refused(void **state)
{
    struct place *p = *state;
    if (geteuid() != 0)
        skip();
    close(file_make(p, "plain"));
    assert_int_equal(fchownat(p->folder, "plain", 65534, 65534, 0), 0);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("plain"), FILE_READ), -EPERM);
    assert_int_equal(fchown(p->folder, 65534, 65534), 0);
    int file = p->ops->file_open(p->world, p->folder, STR("plain"), FILE_READ);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(fchown(p->folder, 0, 0), 0);
}

static void create_exclusive_finds_what_is_there(void **state)
{
    struct place *p = *state;
    unsigned new = FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE;
    int file = p->ops->file_open(p->world, p->folder, STR("plain"), new);
    assert_true(file >= 0);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("plain"), new), -EEXIST);
    assert_int_equal(p->ops->file_open(p->world, p->folder, STR("other"), FILE_READ), -ENOENT);
    close(file);
}

struct listing {
    int files;
    uint64_t bytes;
};

static void count_file(void *arg, struct str name, uint64_t size)
{
    struct listing *l = arg;
    assert_true(str_eq(name, STR("plain")) || str_eq(name, STR("other")));
    l->files++;
    l->bytes += size;
}

static void listing_shows_plain_files_only(void **state)
{
    struct place *p = *state;
    int file = file_make(p, "plain");
    p->ops->file_truncate(p->world, file, 7);
    close(file);
    close(file_make(p, "other"));
    assert_int_equal(symlinkat("plain", p->folder, "link"), 0);
    close(p->ops->folder_open(p->world, p->folder, STR("folder"), true));
    for (int i = 0; i < 2; i++) {
        struct listing l = {0};
        assert_int_equal(p->ops->folder_list(p->world, p->folder, count_file, &l), 0);
        assert_int_equal(l.files, 2);
        assert_int_equal(l.bytes, 7);
    }
}

static void rename_replaces_and_remove_removes(void **state)
{
    struct place *p = *state;
    int file = file_make(p, "plain");
    p->ops->file_truncate(p->world, file, 7);
    close(file);
    close(file_make(p, "other"));
    close(p->ops->folder_open(p->world, p->folder, STR("folder"), true));
    assert_int_equal(p->ops->file_rename(p->world, p->folder, STR("plain"), STR("other")), 0);
    assert_int_equal(p->ops->file_rename(p->world, p->folder, STR("other"), STR("folder/deep")), 0);
    file = p->ops->file_open(p->world, p->folder, STR("folder/deep"), FILE_READ);
    assert_int_equal(p->ops->file_size(p->world, file), 7);
    close(file);
    assert_int_equal(p->ops->file_remove(p->world, p->folder, STR("folder/deep")), 0);
    assert_int_equal(p->ops->file_remove(p->world, p->folder, STR("folder/deep")), -ENOENT);
}

static void a_lock_is_held_once(void **state)
{
    struct place *p = *state;
    int first = file_make(p, "plain"), second = file_make(p, "plain");
    assert_int_equal(p->ops->file_lock(p->world, first), 0);
    assert_int_equal(p->ops->file_lock(p->world, second), -EWOULDBLOCK);
    close(first);
    assert_int_equal(p->ops->file_lock(p->world, second), 0);
    close(second);
}

int main(void)
{
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)
    const struct CMUnitTest tests[] = {
        WITH_PLACE(what_is_written_is_read),
        WITH_PLACE(a_write_of_many_parts_is_whole),
        WITH_PLACE(zeroes_are_written_over_what_was_there),
        WITH_PLACE(names_stay_beneath_their_folder),
        WITH_PLACE(links_and_fifos_are_refused),
        WITH_PLACE(files_of_others_are_refused),
        WITH_PLACE(create_exclusive_finds_what_is_there),
        WITH_PLACE(listing_shows_plain_files_only),
        WITH_PLACE(rename_replaces_and_remove_removes),
        WITH_PLACE(a_lock_is_held_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
