/* The local engine and a log that is not whole: torn tails, damaged records, flipped bits. */
#include "store/local/engine_put_test.h"

/* Where the next group goes in the one segment of a small store. */
static uint64_t log_end(struct rig *rig)
{
    return local_of(rig->engine)->at;
}

static void flip(struct rig *rig, uint64_t at)
{
    struct str name = STR("log/0000000000000001.seg");
    char octet;
    assert_int_equal(fake_disk_peek(rig->disk, name, &octet, 1, at), 1);
    octet ^= 4;
    assert_int_equal(fake_disk_poke(rig->disk, name, str_make(&octet, 1), at), 0);
}

/* --- Groups of several records --------------------------------------------------------------- */

static void pair_done(struct commit *commit, struct err e)
{
    struct pair *pair = commit->arg;
    if (err_is(e))
        *pair->err = e;
    if (--*pair->left == 0)
        wait_over(pair->wait);
}

/* One group of `count` commits; their keys are the octets of `keys`. */
static struct err put_group(struct rig *rig, const char *keys, int count, size_t value)
{
    static char octets[4000];
    struct pair pairs[8];
    struct wait wait = {0};
    struct err e = err_none();
    int left = count;
    assert_true(count <= 8 && value <= sizeof(octets));
    for (int i = 0; i < count; i++) {
        struct pair *pair = &pairs[i];
        *pair = (struct pair){.left = &left, .wait = &wait, .err = &e};
        pair->op = (struct op){.kind = OP_PUT,
                               .partition = inbox,
                               .key = str_make(&keys[i], 1),
                               .value = str_make(octets, value)};
        pair->commit = (struct commit){.ops = &pair->op, .op_count = 1, .done = pair_done};
        pair->commit.arg = pair;
        engine_commit(rig->engine, &pair->commit);
    }
    wait_for(&wait);
    return e;
}

struct places {
    uint64_t first, second, end;
};

static void two_groups(struct rig *rig, void *arg)
{
    struct places *places = arg;
    places->first = log_end(rig);
    assert_false(err_is(put(rig, "a", "1")));
    places->second = log_end(rig);
    assert_false(err_is(put_group(rig, "bcd", 3, 500)));
    places->end = log_end(rig);
}

static void only_a_is_left(struct rig *rig, void *arg)
{
    (void)arg;
    assert_false(status_of(rig).damaged);
    assert_true(has(rig, "a"));
    assert_false(has(rig, "b") || has(rig, "c") || has(rig, "d"));
    assert_false(err_is(put(rig, "e", "1")));
}

static void e_is_there(struct rig *rig, void *arg)
{
    only_a_is_left(rig, arg);
    assert_true(has(rig, "e"));
}

/* The group in flight, torn in each of its records: nothing of it counts, and never will. */
static void a_torn_tail_is_dropped_whole(void **state)
{
    (void)state;
    for (int record = 0; record < 3; record++) {
        struct rig rig;
        struct places places;
        rig_init(&rig, 7);
        rig.settings.prefill = false; /* all in the first segment */
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, two_groups, &places));
        rig_crash(&rig);
        uint64_t size = (places.end - places.second) / 3;
        flip(&rig, places.second + size * (uint64_t)record + 20);
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, only_a_is_left, NULL));
        rig_crash(&rig);
        if (record > 0) /* as it was; the first one is written over by now */
            flip(&rig, places.second + size * (uint64_t)record + 20);
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, e_is_there, NULL));
        rig_close(&rig);
        rig_done(&rig);
    }
}

static void another_group(struct rig *rig, void *arg)
{
    struct places *places = arg;
    assert_false(has(rig, "b"));
    places->second = log_end(rig);
    assert_false(err_is(put_group(rig, "xy", 2, 100)));
}

/* What the first torn group left behind the second is no later group. */
static void two_torn_tails_are_no_damage(void **state)
{
    (void)state;
    struct rig rig;
    struct places places;
    rig_init(&rig, 8);
    rig.settings.prefill = false; /* all in the first segment */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, two_groups, &places));
    rig_crash(&rig);
    flip(&rig, places.second + 20);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, another_group, &places));
    rig_crash(&rig);
    flip(&rig, places.second + 20);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, only_a_is_left, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void fsck_is_content(struct rig *rig, void *arg)
{
    uint64_t findings;
    (void)arg;
    assert_false(err_is(local_fsck(rig->engine, false, NULL, NULL, &findings)));
    assert_int_equal(findings, 0);
}

/* fsck's picture of the log had a row of counts that the index had not. */
static void a_first_group_that_is_torn_leaves_nothing_to_find(void **state)
{
    (void)state;
    struct rig rig;
    struct places places;
    rig_init(&rig, 9);
    rig.settings.prefill = false; /* all in the first segment */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, two_groups, &places));
    rig_crash(&rig);
    char zeroes[4096] = {0};
    assert_int_equal(fake_disk_poke(rig.disk, STR("log/0000000000000001.seg"),
                                    str_make(zeroes, sizeof(zeroes)), places.first + 64),
                     0);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, fsck_is_content, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void damage_is_said(struct rig *rig, void *arg)
{
    (void)arg;
    struct local_status status = status_of(rig);
    assert_true(status.damaged && status.read_only);
    assert_true(str_find(str_from(status.why), STR("segment 1, octet 4096")) >= 0);
    assert_false(has(rig, "a"));
    assert_true(has(rig, "b") && has(rig, "d"));
    assert_int_equal(put(rig, "e", "1").code, ERR_STORE_DAMAGED);
}

/* A later group follows, in the same segment or in the next one: so the first was synced once. */
static void an_invalid_record_before_valid_ones_is_damage(void **state)
{
    (void)state;
    for (int prefill = 0; prefill < 2; prefill++) {
        struct rig rig;
        struct places places;
        rig_init(&rig, 9);
        rig.settings.prefill = prefill; /* so the first segment is left behind the first group */
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, two_groups, &places));
        assert_int_equal(local_of(rig.engine)->segment->sequence, 1 + prefill);
        rig_crash(&rig);
        flip(&rig, places.first + 20);
        for (int i = 0; i < 2; i++) {
            assert_true(rig_open(&rig));
            assert_true(rig_do(&rig, damage_is_said, NULL));
            rig_close(&rig);
        }
        rig_done(&rig);
    }
}

/* --- Bodies ---------------------------------------------------------------------------------- */

static void two_bodies(struct rig *rig, void *arg)
{
    (void)arg;
    blob_id blob;
    assert_false(err_is(put_body(rig, "a", &blob)));
    assert_int_equal(blob, 1);
    assert_false(err_is(put_body(rig, "b", &blob)));
    assert_false(err_is(local_apply_now(rig->engine)));
}

struct last_body {
    bool more;   /* a group behind the one with the body */
    uint64_t at; /* an octet of the body */
};

static void last_body_put(struct rig *rig, void *arg)
{
    struct last_body *last = arg;
    blob_id blob;
    assert_false(err_is(put(rig, "a", "1")));
    assert_false(err_is(put_body(rig, "b", &blob)));
    last->at = log_end(rig) - BODY / 2;
    if (last->more)
        assert_false(err_is(put(rig, "c", "1")));
}

static void last_body_is_seen(struct rig *rig, void *arg)
{
    const struct last_body *last = arg;
    assert_true(status_of(rig).damaged == last->more);
    assert_true(has(rig, "a"));
    assert_true(has(rig, "b") == last->more && has(rig, "c") == last->more);
}

/* The group in flight, torn in a body only, does not count; one that others followed was promised.
 */
static void a_torn_body_is_a_torn_tail(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct rig rig;
        struct last_body last = {.more = more};
        rig_init(&rig, 10);
        rig.settings.prefill = false; /* all in the first segment */
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, last_body_put, &last));
        rig_kill(&rig);
        flip(&rig, last.at);
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, last_body_is_seen, &last));
        rig_close(&rig);
        rig_done(&rig);
    }
}

static enum err_code read_whole(struct rig *rig, blob_id blob)
{
    struct arena arena;
    struct str head, body;
    arena_init(&arena, 2 * BODY);
    struct err e = engine_blob_whole(rig->engine, blob, 2 * BODY, &arena, &head, &body);
    arena_done(&arena);
    return e.code;
}

static void first_is_damaged(struct rig *rig, void *arg)
{
    (void)arg;
    char octets[BODY];
    assert_int_equal(read_whole(rig, 1), ERR_STORE_DAMAGED);
    assert_int_equal(read_whole(rig, 2), ERR_NONE);
    assert_int_equal(engine_blob_read(rig->engine, 1, 0, octets, BODY).code, ERR_STORE_DAMAGED);
    assert_int_equal(engine_blob_read(rig->engine, 1, 0, octets, 100).code, ERR_NONE);
    assert_int_equal(engine_blob_read(rig->engine, 2, 0, octets, BODY).code, ERR_NONE);
}

static void first_head_is_damaged(struct rig *rig, void *arg)
{
    (void)arg;
    struct arena arena;
    struct str head;
    arena_init(&arena, 1000);
    assert_int_equal(engine_blob_head(rig->engine, 1, &arena, &head).code, ERR_STORE_DAMAGED);
    assert_int_equal(engine_blob_head(rig->engine, 2, &arena, &head).code, ERR_NONE);
    assert_int_equal(read_whole(rig, 1), ERR_STORE_DAMAGED);
    assert_int_equal(read_whole(rig, 2), ERR_NONE);
    arena_done(&arena);
}

/* Where the first head lies. */
static uint64_t head_find(struct rig *rig)
{
    static const char head[] = "the head";
    char octets[sizeof(head) - 1];
    for (uint64_t at = SEGMENT_HEADER_SIZE;; at++) {
        assert_int_equal(
            fake_disk_peek(rig->disk, STR("log/0000000000000001.seg"), octets, sizeof(octets), at),
            sizeof(octets));
        if (memcmp(octets, head, sizeof(octets)) == 0)
            return at;
    }
}

static void a_flipped_bit_in_a_head_is_never_given_out(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 11);
    rig.settings.prefill = false; /* all in the first segment */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, two_bodies, NULL));
    rig_close(&rig);
    flip(&rig, head_find(&rig) + 3);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, first_head_is_damaged, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

static void a_flipped_bit_in_a_body_is_never_given_out(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 10);
    rig.settings.prefill = false; /* all in the first segment */
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, two_bodies, NULL));
    rig_close(&rig);
    flip(&rig, SEGMENT_HEADER_SIZE + 30000);
    assert_true(rig_open(&rig));
    assert_true(rig_do(&rig, first_is_damaged, NULL));
    rig_close(&rig);
    rig_done(&rig);
}

enum {
    FLIPS = 300,
    BODIES = 6
};

struct flips {
    uint64_t end; /* of the log */
    size_t bad, seen;
};

static void some_bodies(struct rig *rig, void *arg)
{
    struct flips *flips = arg;
    char key[2] = "a";
    blob_id blob;
    for (int i = 0; i < BODIES; i++, key[0]++) {
        assert_false(err_is(put_body(rig, key, &blob)));
        assert_false(err_is(put(rig, (char[]){key[0], 'x', 0}, "the value")));
    }
    flips->end = log_end(rig);
}

/* Everything that is given out is as it was put. */
static void look_at_bodies(struct rig *rig, void *arg)
{
    struct flips *flips = arg;
    struct arena arena;
    struct entry *entries;
    size_t count;
    arena_init(&arena, 1000000);
    assert_false(err_is(
        engine_scan(rig->engine, inbox, STR(""), str_null(), 100, &arena, &entries, &count)));
    assert_true(count <= 2 * BODIES);
    bool bad = status_of(rig).damaged || count < 2 * BODIES;
    for (size_t i = 0; i < count; i++) {
        static char body[BODY];
        struct str head;
        if (!entries[i].blob) {
            assert_str(entries[i].value, STR("the value"));
            continue;
        }
        struct err e = engine_blob_read(rig->engine, entries[i].blob, 0, body, BODY);
        assert_true(!err_is(e) || e.code == ERR_STORE_DAMAGED || e.code == ERR_NOT_FOUND);
        for (size_t j = 0; j < BODY && !err_is(e); j++)
            assert_int_equal((unsigned char)body[j], j % 251);
        bad |= err_is(e);
        e = engine_blob_head(rig->engine, entries[i].blob, &arena, &head);
        assert_true(err_is(e) || str_eq(head, STR("the head")));
        bad |= err_is(e);
    }
    flips->bad += bad;
    flips->seen++;
    arena_done(&arena);
}

/* Any bit of the log, with the index at its end and without it: what is wrong is said, never given
 * out. Bits that nothing depends on (the filling between records) are few. */
static void any_flipped_bit_is_found(void **state)
{
    (void)state;
    struct flips flips = {0};
    for (int i = 0; i < FLIPS; i++) {
        struct rig rig;
        rig_init(&rig, 100 + (uint64_t)i);
        rig.settings.prefill = false; /* all in the first segment */
        rig.settings.segment_size = 1024 * 1024;
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, some_bodies, &flips));
        if (i % 2)
            rig_close(&rig); /* the index goes with it: all is replayed */
        else
            rig_crash(&rig);
        flip(&rig,
             SEGMENT_HEADER_SIZE + fake_random_below(&rig.random, flips.end - SEGMENT_HEADER_SIZE));
        assert_true(rig_open(&rig));
        assert_true(rig_do(&rig, look_at_bodies, &flips));
        rig_close(&rig);
        rig_done(&rig);
    }
    assert_int_equal(flips.seen, FLIPS);
    assert_true(flips.bad > FLIPS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_tail_is_dropped_whole),
        cmocka_unit_test(two_torn_tails_are_no_damage),
        cmocka_unit_test(a_first_group_that_is_torn_leaves_nothing_to_find),
        cmocka_unit_test(an_invalid_record_before_valid_ones_is_damage),
        cmocka_unit_test(a_torn_body_is_a_torn_tail),
        cmocka_unit_test(a_flipped_bit_in_a_head_is_never_given_out),
        cmocka_unit_test(a_flipped_bit_in_a_body_is_never_given_out),
        cmocka_unit_test(any_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
