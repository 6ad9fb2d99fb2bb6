#include "base/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "store/local/index.h"

/* One suite for both indexes: every test opens its own, by the function in *state. */
enum {
    KEYS = 200,
    ROUNDS = 120,
    CHANGES = 60,
    PATH_SIZE = 64,
};

struct place {
    bool lmdb;
    char path[PATH_SIZE];
};

static void place_make(struct place *place, bool lmdb)
{
    *place = (struct place){.lmdb = lmdb, .path = "/tmp/veredus-index-XXXXXX"};
    assert_non_null(mkdtemp(place->path));
}

static void place_remove(struct place *place)
{
    char name[PATH_SIZE + 16];
    snprintf(name, sizeof name, "%s/data.mdb", place->path);
    unlink(name);
    snprintf(name, sizeof name, "%s/lock.mdb", place->path);
    unlink(name);
    assert_int_equal(rmdir(place->path), 0);
}

static struct index *index_open(struct place *place, uint64_t map)
{
    struct index *index = NULL;
    struct err e =
        place->lmdb ? index_lmdb_open(str_from(place->path), map, &index) : index_map_open(&index);
    assert_false(err_is(e));
    return index;
}

static uint32_t pick(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

/* --- A model: what each key should hold ------------------------------------------------------ */

struct model {
    char *values[KEYS]; /* NULL: not there */
    size_t lengths[KEYS];
};

/* Key i of the model, in key order; lengths differ, up to the longest allowed. */
static struct str model_key(unsigned i, char to[INDEX_KEY_MAX + 1])
{
    int n = snprintf(to, INDEX_KEY_MAX + 1, "%04u", i / 4);
    size_t length = (size_t)n + (i % 4 == 3 ? INDEX_KEY_MAX - 4 : i % 4);
    memset(to + n, 'x', length - (size_t)n);
    return str_make(to, length);
}

static void model_free(struct model *model)
{
    for (unsigned i = 0; i < KEYS; i++)
        free(model->values[i]);
}

static void model_copy(struct model *to, const struct model *from)
{
    for (unsigned i = 0; i < KEYS; i++) {
        to->lengths[i] = from->lengths[i];
        to->values[i] = NULL;
        if (from->values[i]) {
            to->values[i] = malloc(from->lengths[i] + 1);
            memcpy(to->values[i], from->values[i], from->lengths[i]);
        }
    }
}

static void model_set(struct model *model, unsigned i, struct str value)
{
    free(model->values[i]);
    model->values[i] = NULL;
    model->lengths[i] = value.n;
    if (value.p) {
        model->values[i] = malloc(value.n + 1);
        memcpy(model->values[i], value.p, value.n);
    }
}

static void model_compare_gets(struct model *model, struct index *index, struct index_view *view)
{
    char octets[INDEX_KEY_MAX + 1];
    for (unsigned i = 0; i < KEYS; i++) {
        struct str value;
        bool there = index->ops->get(view, model_key(i, octets), &value);
        assert_int_equal(there, model->values[i] != NULL);
        if (there)
            assert_str(value, str_make(model->values[i], model->lengths[i]));
    }
}

static void model_compare_walk(struct model *model, struct index *index, struct index_view *view,
                               unsigned from)
{
    char octets[INDEX_KEY_MAX + 1];
    struct str key;
    struct str value;
    bool more = index->ops->seek(view, from ? model_key(from, octets) : str_null(), &key, &value);
    for (unsigned i = from; i < KEYS; i++) {
        if (!model->values[i])
            continue;
        assert_true(more);
        assert_str(key, model_key(i, octets));
        assert_str(value, str_make(model->values[i], model->lengths[i]));
        more = index->ops->next(view, &key, &value);
    }
    assert_false(more);
}

static void model_compare(struct model *model, struct index *index, struct index_view *view,
                          uint64_t *seed, uint64_t round)
{
    assert_true(index->ops->position(view).segment == round);
    assert_true(index->ops->position(view).offset == round * 7);
    model_compare_gets(model, index, view);
    model_compare_walk(model, index, view, 0);
    model_compare_walk(model, index, view, pick(seed, KEYS));
    assert_false(index->ops->damaged(view));
}

static void random_write(struct model *model, struct index *index, uint64_t *seed, uint64_t round)
{
    static char filler[3 * 4096];
    memset(filler, 'a' + (int)(round % 26), sizeof filler);
    struct index_change changes[CHANGES];
    char keys[CHANGES][INDEX_KEY_MAX + 1];
    size_t count = pick(seed, CHANGES + 1);
    for (size_t i = 0; i < count; i++) {
        unsigned k = pick(seed, KEYS);
        size_t n = pick(seed, 8) == 0 ? pick(seed, sizeof filler) : pick(seed, 60);
        struct str value = pick(seed, 3) == 0 ? str_null() : str_make(filler, n);
        changes[i] = (struct index_change){.key = model_key(k, keys[i]), .value = value};
        model_set(model, k, value);
    }
    struct log_position position = {.segment = round, .offset = round * 7};
    assert_false(err_is(index->ops->write(index, changes, count, position)));
}

/* --- The suite ------------------------------------------------------------------------------- */

static void index_agrees_with_a_model(void **state)
{
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    struct model model = {0};
    struct model old_model = {0};
    struct index_view *old = NULL;
    struct index_view *view;
    uint64_t seed = 1;
    uint64_t old_round = 0;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        random_write(&model, index, &seed, round);
        assert_false(err_is(index->ops->view_begin(index, &view)));
        model_compare(&model, index, view, &seed, round);
        index->ops->view_end(index, view);
        if (old && pick(&seed, 4) == 0) {
            model_compare(&old_model, index, old, &seed, old_round);
            index->ops->view_end(index, old);
            model_free(&old_model);
            old = NULL;
        } else if (!old) {
            model_copy(&old_model, &model);
            old_round = round;
            assert_false(err_is(index->ops->view_begin(index, &old)));
        }
    }
    if (old) {
        model_compare(&old_model, index, old, &seed, old_round);
        index->ops->view_end(index, old);
    }
    assert_false(err_is(index->ops->check(index)));
    index->ops->close(index);
    model_free(&old_model);
    model_free(&model);
    place_remove(&place);
}

static void index_begins_empty_at_position_nothing(void **state)
{
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    struct index_view *view;
    struct str key;
    struct str value;
    assert_false(err_is(index->ops->view_begin(index, &view)));
    assert_true(index->ops->position(view).segment == 0);
    assert_true(index->ops->position(view).offset == 0);
    assert_false(index->ops->seek(view, str_null(), &key, &value));
    assert_false(index->ops->next(view, &key, &value));
    assert_false(index->ops->get(view, STR("a"), &value));
    assert_false(index->ops->damaged(view));
    index->ops->view_end(index, view);
    index->ops->close(index);
    place_remove(&place);
}

static void the_last_change_of_a_key_counts(void **state)
{
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    struct index_change changes[] = {
        {.key = STR("b"), .value = STR("1")}, {.key = STR("a"), .value = STR("1")},
        {.key = STR("b"), .value = {0}},      {.key = STR("c"), .value = {0}},
        {.key = STR("a"), .value = STR("2")}, {.key = STR("c"), .value = STR("")},
    };
    struct index_view *view;
    struct str value;
    struct log_position position = {.segment = 1};
    assert_false(err_is(index->ops->write(index, changes, 6, position)));
    assert_false(err_is(index->ops->view_begin(index, &view)));
    assert_true(index->ops->get(view, STR("a"), &value));
    assert_str(value, STR("2"));
    assert_false(index->ops->get(view, STR("b"), &value));
    assert_true(index->ops->get(view, STR("c"), &value));
    assert_str(value, STR(""));
    index->ops->view_end(index, view);
    index->ops->close(index);
    place_remove(&place);
}

static void a_value_of_the_largest_size_fits(void **state)
{
    static char octets[INDEX_VALUE_MAX];
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    memset(octets, 7, sizeof octets);
    struct index_change change = {.key = STR("k"), .value = str_make(octets, sizeof octets)};
    struct index_view *view;
    struct str value;
    assert_false(err_is(index->ops->write(index, &change, 1, (struct log_position){0})));
    assert_false(err_is(index->ops->view_begin(index, &view)));
    assert_true(index->ops->get(view, STR("k"), &value));
    assert_true(str_eq(value, change.value));
    index->ops->view_end(index, view);
    index->ops->close(index);
    place_remove(&place);
}

static void reset_begins_anew(void **state)
{
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    struct model model = {0};
    uint64_t seed = 3;
    for (uint64_t round = 1; round <= 5; round++)
        random_write(&model, index, &seed, round);
    assert_false(err_is(index->ops->reset(index)));
    model_free(&model);
    memset(&model, 0, sizeof model);
    for (uint64_t round = 0; round <= 3; round++) {
        struct index_view *view;
        if (round > 0)
            random_write(&model, index, &seed, round);
        assert_false(err_is(index->ops->view_begin(index, &view)));
        model_compare(&model, index, view, &seed, round);
        index->ops->view_end(index, view);
    }
    assert_false(err_is(index->ops->check(index)));
    index->ops->close(index);
    model_free(&model);
    place_remove(&place);
}

struct writer {
    struct index *index;
    unsigned rounds;
};

/* Each round writes its number under every key. */
static void *writer_run(void *arg)
{
    struct writer *writer = arg;
    for (unsigned round = 1; round <= writer->rounds; round++) {
        struct index_change changes[KEYS];
        char keys[KEYS][INDEX_KEY_MAX + 1];
        for (unsigned i = 0; i < KEYS; i++)
            changes[i] = (struct index_change){.key = model_key(i, keys[i]),
                                               .value = str_make(&round, sizeof round)};
        struct log_position position = {.segment = round};
        must(!err_is(writer->index->ops->write(writer->index, changes, KEYS, position)));
    }
    return NULL;
}

static void views_see_whole_writes_while_another_thread_writes(void **state)
{
    struct place place;
    place_make(&place, *(bool *)*state);
    struct index *index = index_open(&place, 0);
    struct writer writer = {.index = index, .rounds = 50};
    pthread_t thread;
    uint64_t seen = 0;
    assert_int_equal(pthread_create(&thread, NULL, writer_run, &writer), 0);
    while (seen < writer.rounds) {
        struct index_view *view;
        struct str key;
        struct str value;
        assert_false(err_is(index->ops->view_begin(index, &view)));
        uint64_t round = index->ops->position(view).segment;
        assert_true(round >= seen);
        seen = round;
        unsigned keys = 0;
        bool more = index->ops->seek(view, str_null(), &key, &value);
        for (; more; more = index->ops->next(view, &key, &value), keys++)
            assert_memory_equal(value.p, &round, sizeof(unsigned)); /* little endian, as wire.h */
        assert_int_equal(keys, round ? KEYS : 0);
        index->ops->view_end(index, view);
    }
    pthread_join(thread, NULL);
    index->ops->close(index);
    place_remove(&place);
}

/* --- What only a file can do ----------------------------------------------------------------- */

static void lmdb_is_there_after_closing(void **state)
{
    (void)state;
    struct place place;
    place_make(&place, true);
    struct model model = {0};
    uint64_t seed = 5;
    for (uint64_t round = 1; round <= 10; round++) {
        struct index *index = index_open(&place, 0);
        random_write(&model, index, &seed, round);
        index->ops->close(index);
        index = index_open(&place, 0);
        struct index_view *view;
        assert_false(err_is(index->ops->view_begin(index, &view)));
        model_compare(&model, index, view, &seed, round);
        index->ops->view_end(index, view);
        index->ops->close(index);
    }
    model_free(&model);
    place_remove(&place);
}

static void lmdb_grows_its_map(void **state)
{
    (void)state;
    enum {
        SMALL_MAP = 64 * 1024,
        VALUE = 1000,
        WRITES = 100,
        EACH = 20
    };
    struct place place;
    place_make(&place, true);
    struct index *index = index_open(&place, SMALL_MAP);
    char octets[VALUE] = {0};
    for (unsigned w = 0; w < WRITES; w++) {
        struct index_change changes[EACH];
        char keys[EACH][16];
        for (unsigned i = 0; i < EACH; i++) {
            int n = snprintf(keys[i], sizeof keys[i], "%u-%u", w, i);
            changes[i] = (struct index_change){.key = str_make(keys[i], (size_t)n),
                                               .value = str_make(octets, sizeof octets)};
        }
        struct log_position position = {.segment = w + 1};
        assert_false(err_is(index->ops->write(index, changes, EACH, position)));
        struct index_view *view;
        struct str value;
        assert_false(err_is(index->ops->view_begin(index, &view)));
        assert_true(index->ops->get(view, changes[EACH - 1].key, &value));
        assert_true(index->ops->position(view).segment == w + 1);
        index->ops->view_end(index, view);
    }
    index->ops->close(index);
    index = index_open(&place, SMALL_MAP);
    assert_false(err_is(index->ops->check(index)));
    index->ops->close(index);
    place_remove(&place);
}

static void file_change(struct place *place, long at, const void *octets, size_t n)
{
    char name[PATH_SIZE + 16];
    snprintf(name, sizeof name, "%s/data.mdb", place->path);
    FILE *file = fopen(name, at < 0 ? "w" : "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at < 0 ? 0 : at, SEEK_SET), 0);
    assert_int_equal(fwrite(octets, 1, n, file), n);
    fclose(file);
}

static void lmdb_refuses_what_is_not_ours(void **state)
{
    (void)state;
    struct place place;
    struct index *index = NULL;
    place_make(&place, true);
    char octets[8192];
    memset(octets, 'z', sizeof octets);
    file_change(&place, -1, octets, sizeof octets);
    struct err e = index_lmdb_open(str_from(place.path), 0, &index);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
    file_change(&place, -1, "short", 5);
    e = index_lmdb_open(str_from(place.path), 0, &index);
    assert_int_equal(e.code, ERR_STORE_DAMAGED);
    place_remove(&place);
}

static void lmdb_needs_its_folder(void **state)
{
    (void)state;
    struct index *index = NULL;
    struct err e = index_lmdb_open(STR("/nonexistent/veredus"), 0, &index);
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* The octets of a value are found in the file and one is changed. */
static void lmdb_finds_a_flipped_bit_in_a_value(void **state)
{
    (void)state;
    struct place place;
    place_make(&place, true);
    struct index *index = index_open(&place, 0);
    struct index_change changes[] = {
        {.key = STR("key a"), .value = STR("a value to look for")},
        {.key = STR("key b"), .value = STR("another")},
    };
    struct log_position position = {.segment = 1};
    assert_false(err_is(index->ops->write(index, changes, 2, position)));
    index->ops->close(index);

    char name[PATH_SIZE + 16];
    static char file_octets[1024 * 1024];
    snprintf(name, sizeof name, "%s/data.mdb", place.path);
    FILE *file = fopen(name, "r");
    size_t n = fread(file_octets, 1, sizeof file_octets, file);
    fclose(file);
    ssize_t at = str_find(str_make(file_octets, n), STR("a value to look for"));
    assert_true(at > 0);
    file_change(&place, at + 2, "w", 1);

    index = index_open(&place, 0);
    struct index_view *view;
    struct str value;
    assert_int_equal(index->ops->check(index).code, ERR_STORE_DAMAGED);
    assert_false(err_is(index->ops->view_begin(index, &view)));
    assert_true(index->ops->get(view, STR("key b"), &value));
    assert_false(index->ops->damaged(view));
    assert_false(index->ops->get(view, STR("key a"), &value));
    assert_true(index->ops->damaged(view));
    index->ops->view_end(index, view);
    index->ops->close(index);
    place_remove(&place);
}

static void file_name(struct place *place, char to[PATH_SIZE + 16])
{
    snprintf(to, PATH_SIZE + 16, "%s/data.mdb", place->path);
}

static void bit_flip(struct place *place, uint64_t bit)
{
    char name[PATH_SIZE + 16];
    file_name(place, name);
    FILE *file = fopen(name, "r+");
    assert_non_null(file);
    fseek(file, (long)(bit / 8), SEEK_SET);
    int octet = fgetc(file);
    fseek(file, (long)(bit / 8), SEEK_SET);
    fputc(octet ^ 1 << (bit % 8), file);
    fclose(file);
}

static uint64_t file_bits(struct place *place)
{
    char name[PATH_SIZE + 16];
    file_name(place, name);
    FILE *file = fopen(name, "r");
    fseek(file, 0, SEEK_END);
    uint64_t bits = (uint64_t)ftell(file) * 8;
    fclose(file);
    return bits;
}

/* Nothing was found: then all of the last write is there, or all of the one before it, which a
 * damaged meta page leads back to, with its position. */
static void compare_either(struct index *index, struct model models[2], uint64_t rounds)
{
    struct index_view *view;
    uint64_t seed = 3;
    assert_false(err_is(index->ops->view_begin(index, &view)));
    uint64_t round = index->ops->position(view).segment;
    assert_true(round == rounds || round == rounds - 1);
    model_compare(&models[rounds - round], index, view, &seed, round);
    index->ops->view_end(index, view);
}

static void lmdb_finds_any_flipped_bit_that_matters(void **state)
{
    (void)state;
    enum {
        WRITES = 30,
        FLIPS = 1500
    };
    struct place place;
    place_make(&place, true);
    struct model models[2] = {0};
    uint64_t seed = 11;
    struct index *index = index_open(&place, 0);
    for (uint64_t round = 1; round <= WRITES; round++) {
        if (round == WRITES)
            model_copy(&models[1], &models[0]);
        random_write(&models[0], index, &seed, round);
    }
    index->ops->close(index);
    uint64_t bits = file_bits(&place);
    unsigned found = 0;
    for (unsigned i = 0; i < FLIPS; i++) {
        /* Every other one in the meta pages, which are few and matter most. */
        uint64_t bit = pick(&seed, (uint32_t)(i % 2 ? bits : 8 * 8192));
        bit_flip(&place, bit);
        if (err_is(index_lmdb_open(str_from(place.path), 0, &index))) {
            found++;
        } else {
            if (err_is(index->ops->check(index)))
                found++;
            else
                compare_either(index, models, WRITES);
            index->ops->close(index);
        }
        bit_flip(&place, bit);
    }
    assert_true(found > FLIPS / 10);
    model_free(&models[0]);
    model_free(&models[1]);
    place_remove(&place);
}

#define ON_BOTH(test)                                                                              \
    cmocka_unit_test_prestate(test, &on_map), cmocka_unit_test_prestate(test, &on_lmdb)

int main(void)
{
    static bool on_map = false;
    static bool on_lmdb = true;
    const struct CMUnitTest tests[] = {
        ON_BOTH(index_agrees_with_a_model),
        ON_BOTH(index_begins_empty_at_position_nothing),
        ON_BOTH(the_last_change_of_a_key_counts),
        ON_BOTH(a_value_of_the_largest_size_fits),
        ON_BOTH(reset_begins_anew),
        ON_BOTH(views_see_whole_writes_while_another_thread_writes),
        cmocka_unit_test(lmdb_is_there_after_closing),
        cmocka_unit_test(lmdb_grows_its_map),
        cmocka_unit_test(lmdb_refuses_what_is_not_ours),
        cmocka_unit_test(lmdb_needs_its_folder),
        cmocka_unit_test(lmdb_finds_a_flipped_bit_in_a_value),
        cmocka_unit_test(lmdb_finds_any_flipped_bit_that_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
