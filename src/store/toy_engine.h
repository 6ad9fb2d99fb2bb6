/*
 * An engine of a sorted array, for the tests of what stands on top of the engine: commits take
 * effect at once and `done` runs before engine_commit returns. Blobs are kept in memory; uploads
 * and watches are not. `fail_next` makes the commit after so many others fail with TRY_LATER.
 */
#ifndef STORE_TOY_ENGINE_H
#define STORE_TOY_ENGINE_H

#include "base/must.h"
#include "base/wire.h"
#include "store/engine.h"

struct toy_entry {
    struct str key; /* partition kind, id, key */
    struct str value;
    blob_id blob;
};

struct toy_numbers {
    struct partition partition;
    struct numbers numbers;
};

struct toy_engine {
    struct engine engine;
    struct arena arena; /* everything; never given back before the end */
    struct toy_entry *entries;
    size_t count, cap;
    struct toy_numbers numbers[16384];
    size_t numbers_count;
    blob_id last_blob;
    struct str heads[256];
    int fail_in, conflict_in; /* 0: never */
    unsigned commits;
};

static struct str toy_key(struct arena *arena, struct partition partition, struct str key)
{
    unsigned char *to = arena_take(arena, 12 + key.n);
    must(to);
    key_put_u32(to, partition.kind);
    key_put_u64(to + 4, partition.id);
    if (key.n)
        memcpy(to + 12, key.p, key.n);
    return str_make(to, 12 + key.n);
}

/* Index of the first entry that is not below the key. */
static size_t toy_seek(struct toy_engine *toy, struct str key)
{
    size_t low = 0, high = toy->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_cmp(toy->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct toy_entry *toy_find(struct toy_engine *toy, struct str key)
{
    size_t at = toy_seek(toy, key);
    return at < toy->count && str_eq(toy->entries[at].key, key) ? &toy->entries[at] : NULL;
}

static struct numbers *toy_numbers(struct toy_engine *toy, struct partition partition)
{
    for (size_t i = 0; i < toy->numbers_count; i++)
        if (toy->numbers[i].partition.kind == partition.kind &&
            toy->numbers[i].partition.id == partition.id)
            return &toy->numbers[i].numbers;
    must(toy->numbers_count < sizeof(toy->numbers) / sizeof(toy->numbers[0]));
    struct toy_numbers *fresh = &toy->numbers[toy->numbers_count++];
    *fresh = (struct toy_numbers){partition, {1, 1}};
    return &fresh->numbers;
}

static void toy_put(struct toy_engine *toy, struct str key, struct str value, blob_id blob)
{
    struct toy_entry *there = toy_find(toy, key);
    value = arena_str(&toy->arena, value);
    must(value.p);
    if (!there) {
        if (toy->count == toy->cap) {
            toy->cap = toy->cap ? toy->cap * 2 : 64;
            toy->entries = realloc(toy->entries, toy->cap * sizeof(*toy->entries));
            must(toy->entries);
        }
        size_t at = toy_seek(toy, key);
        memmove(toy->entries + at + 1, toy->entries + at,
                (toy->count++ - at) * sizeof(*toy->entries));
        there = &toy->entries[at];
    }
    *there = (struct toy_entry){key, value, blob};
}

static void toy_remove(struct toy_engine *toy, struct str key)
{
    size_t at = toy_seek(toy, key);
    if (at == toy->count || !str_eq(toy->entries[at].key, key))
        return;
    memmove(toy->entries + at, toy->entries + at + 1, (--toy->count - at) * sizeof(*toy->entries));
}

static void toy_add(struct toy_engine *toy, struct str key, struct str value)
{
    struct toy_entry *there = toy_find(toy, key);
    struct buf sum = BUF_INIT(64);
    struct wire_in old = wire_in(there ? there->value : str_null()), add = wire_in(value);
    for (size_t i = 0; i < value.n / 8; i++)
        wire_put_u64(&sum, (there ? wire_get_u64(&old) : 0) + wire_get_u64(&add));
    toy_put(toy, key, buf_str(&sum), 0);
    buf_done(&sum);
}

static bool toy_holds(struct toy_engine *toy, const struct op *op)
{
    struct toy_entry *there = toy_find(toy, toy_key(&toy->arena, op->partition, op->key));
    if (op->kind == OP_NEED_ABSENT)
        return !there;
    if (op->kind == OP_NEED_PRESENT)
        return there;
    return op->kind != OP_NEED_VALUE || (there && str_eq(there->value, op->value));
}

static void toy_apply(struct toy_engine *toy, struct op *op)
{
    struct numbers *numbers = toy_numbers(toy, op->partition);
    struct buf value = BUF_INIT(ENGINE_VALUE_MAX), key = BUF_INIT(ENGINE_KEY_MAX);
    buf_put(&key, op->key);
    buf_put(&value, op->value);
    if (op->kind == OP_APPEND) {
        op->uid = numbers->uid_next++;
        unsigned char uid[4];
        key_put_u32(uid, op->uid);
        buf_put(&key, str_make(uid, 4));
    }
    if (op->stamp) {
        op->modseq = numbers->modseq_next++;
        must(value.n >= 8);
        for (int i = 0; i < 8; i++)
            value.p[i] = (char)(op->modseq >> (8 * i));
    }
    must(!buf_over(&key) && !buf_over(&value) && op->key.n <= ENGINE_KEY_MAX);
    struct str whole = toy_key(&toy->arena, op->partition, buf_str(&key));
    if (op->kind == OP_PUT || op->kind == OP_APPEND)
        toy_put(toy, whole, buf_str(&value), op->blob);
    if (op->kind == OP_REMOVE)
        toy_remove(toy, whole);
    if (op->kind == OP_ADD)
        toy_add(toy, whole, op->value);
    buf_done(&key);
    buf_done(&value);
}

static bool toy_due(int *in)
{
    if (*in > 0)
        return --*in == 0;
    return *in < 0;
}

static void toy_commit(struct engine *engine, struct commit *commit)
{
    struct toy_engine *toy = (struct toy_engine *)engine;
    must(commit->op_count <= ENGINE_COMMIT_OPS_MAX);
    toy->commits++;
    if (toy_due(&toy->fail_in)) {
        commit->done(commit, err_make(ERR_TRY_LATER));
        return;
    }
    if (toy_due(&toy->conflict_in)) {
        commit->done(commit, err_make(ERR_CONFLICT));
        return;
    }
    for (size_t i = 0; i < commit->op_count; i++)
        if (!toy_holds(toy, &commit->ops[i])) {
            commit->done(commit, err_make(ERR_CONFLICT));
            return;
        }
    for (size_t i = 0; i < commit->blob_count; i++)
        toy->heads[commit->blobs[i].blob] = arena_str(&toy->arena, commit->blobs[i].head);
    for (size_t i = 0; i < commit->op_count; i++)
        toy_apply(toy, &commit->ops[i]);
    commit->done(commit, err_none());
}

static struct err toy_give(const struct toy_entry *from, struct arena *arena, struct entry *to)
{
    *to = (struct entry){arena_str(arena, str_from_index(from->key, 12)),
                         arena_str(arena, from->value), from->blob};
    return to->key.p && to->value.p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err toy_get(struct engine *engine, struct partition partition, struct str key,
                          struct arena *arena, struct entry *entry_r)
{
    struct toy_engine *toy = (struct toy_engine *)engine;
    struct toy_entry *there = toy_find(toy, toy_key(&toy->arena, partition, key));
    return there ? toy_give(there, arena, entry_r) : err_make(ERR_NOT_FOUND);
}

static struct err toy_scan(struct engine *engine, struct partition partition, struct str from,
                           struct str until, size_t limit, struct arena *arena,
                           struct entry **entries_r, size_t *count_r)
{
    struct toy_engine *toy = (struct toy_engine *)engine;
    size_t at = toy_seek(toy, toy_key(&toy->arena, partition, from)), count = 0;
    struct str end = toy_key(&toy->arena, partition, until);
    if (!until.p) {
        struct partition behind = {partition.kind, partition.id + 1};
        end = toy_key(&toy->arena, behind, str_null());
    }
    while (at + count < toy->count && count < limit &&
           str_cmp(toy->entries[at + count].key, end) < 0)
        count++;
    struct entry *entries = arena_take_array(arena, count, sizeof(*entries));
    if (!entries)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < count; i++) {
        struct err e = toy_give(&toy->entries[at + i], arena, &entries[i]);
        if (err_is(e))
            return e;
    }
    *entries_r = entries;
    *count_r = count;
    return err_none();
}

static blob_id toy_blob_new(struct engine *engine)
{
    return ++((struct toy_engine *)engine)->last_blob;
}

static const struct engine_ops toy_ops = {
    .commit = toy_commit,
    .get = toy_get,
    .scan = toy_scan,
    .blob_new = toy_blob_new,
};

static struct toy_engine *toy_open(void)
{
    struct toy_engine *toy = calloc(1, sizeof(*toy));
    must(toy);
    toy->engine = (struct engine){ENGINE_MAGIC, &toy_ops};
    arena_init(&toy->arena, (size_t)1 << 32);
    return toy;
}

static void toy_close(struct toy_engine *toy)
{
    arena_done(&toy->arena);
    free(toy->entries);
    free(toy);
}

#endif
