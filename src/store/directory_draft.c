/*
 * One version entry for the whole directory, rather than preconditions for each entry a check read:
 * loops, look-alikes and "is anything still there" read many entries, and a forgotten precondition
 * would be a race nobody sees. The price is that changes go one after another, at the pace of the
 * disk; they are an operator's. Look-ups take no part in it.
 */
#include "store/directory_draft.h"

#include "base/must.h"
#include "base/wire.h"
#include "sys/fiber.h"

enum {
    PAGE = 256,
    PAGE_MEMORY = 32 * 1024 * 1024,
    VERSION_OCTETS = 8,
    TURN_STEPS = 128, /* of some microseconds each */
};

static const struct partition DIRECTORY_PARTITION = {.kind = PARTITION_DIRECTORY};
static const struct str VERSION_KEY = STR_INIT("v");

static int staged_order(const struct staged *a, const struct staged *b)
{
    if (a->partition.kind != b->partition.kind)
        return a->partition.kind < b->partition.kind ? -1 : 1;
    if (a->partition.id != b->partition.id)
        return a->partition.id < b->partition.id ? -1 : 1;
    return str_cmp(a->key, b->key);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(staged_tree, staged, tree, staged_order, __attribute__((unused)) static)

struct str key_after(struct str key, struct arena *arena)
{
    char *to = arena_take(arena, key.n + 1);
    if (!to)
        return str_null();
    memcpy(to, key.p, key.n);
    return str_make(to, key.n + 1);
}

struct str key_end(struct str prefix, struct arena *arena)
{
    while (prefix.n && (unsigned char)prefix.p[prefix.n - 1] == 0xff)
        prefix.n--;
    must(prefix.n);
    char *to = arena_take(arena, prefix.n);
    if (!to)
        return str_null();
    memcpy(to, prefix.p, prefix.n);
    to[prefix.n - 1]++;
    return str_make(to, prefix.n);
}

void draft_read(struct draft *draft, struct directory *directory, struct arena *arena)
{
    must_be(directory, DIRECTORY_MAGIC);
    *draft = (struct draft){.directory = directory, .arena = arena};
    RB_INIT(&draft->tree);
    TAILQ_INIT(&draft->list);
    TAILQ_INIT(&draft->needs);
}

struct err draft_open(struct draft *draft, struct directory *directory, struct arena *arena)
{
    draft_read(draft, directory, arena);
    struct err e = draft_get(draft, VERSION_KEY, &draft->version);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

/* --- Staging --- */

static struct staged *staged_find(struct draft *draft, struct partition partition, struct str key)
{
    struct staged like = {.partition = partition, .key = key};
    return RB_FIND(staged_tree, &draft->tree, &like);
}

static void stage(struct draft *draft, struct partition partition, struct str key, struct str value)
{
    struct staged *staged = staged_find(draft, partition, key);
    if (!staged) {
        staged = arena_new(draft->arena, struct staged);
        if (!staged || !key.p)
            return;
        *staged = (struct staged){.partition = partition, .key = key};
        RB_INSERT(staged_tree, &draft->tree, staged);
        TAILQ_INSERT_TAIL(&draft->list, staged, list);
        draft->count++;
    }
    staged->value = value;
}

void draft_put_in(struct draft *draft, struct partition partition, struct str key, struct str value)
{
    /* A value that did not fit the arena must not become a removal: the arena remembers. */
    stage(draft, partition, key, value.p ? value : STR(""));
}

void draft_remove_in(struct draft *draft, struct partition partition, struct str key)
{
    stage(draft, partition, key, str_null());
}

void draft_put(struct draft *draft, struct str key, struct str value)
{
    draft_put_in(draft, DIRECTORY_PARTITION, key, value);
}

void draft_remove(struct draft *draft, struct str key)
{
    draft_remove_in(draft, DIRECTORY_PARTITION, key);
}

void draft_need(struct draft *draft, struct str key, struct str value)
{
    struct staged *need;
    TAILQ_FOREACH (need, &draft->needs, list) {
        if (str_eq(need->key, key))
            return;
    }
    need = arena_new(draft->arena, struct staged);
    if (!need)
        return;
    *need = (struct staged){.partition = DIRECTORY_PARTITION, .key = key, .value = value};
    TAILQ_INSERT_TAIL(&draft->needs, need, list);
}

void draft_step(struct draft *draft)
{
    struct loop *loop = draft->directory->loop;
    if (loop && ++draft->steps % TURN_STEPS == 0)
        fiber_sleep_until(loop, loop->now);
}

struct err draft_get(struct draft *draft, struct str key, struct str *value_r)
{
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    struct staged *staged = staged_find(draft, DIRECTORY_PARTITION, key);
    if (staged) {
        *value_r = staged->value;
        return staged->value.p ? err_none() : err_make(ERR_NOT_FOUND);
    }
    struct entry entry;
    struct err e =
        engine_get(draft->directory->engine, DIRECTORY_PARTITION, key, draft->arena, &entry);
    if (!err_is(e))
        *value_r = entry.value;
    return e;
}

struct err draft_number(struct draft *draft, struct str key, uint64_t *number_r)
{
    uint64_t number = 1;
    struct str value;
    struct err e = draft_get(draft, key, &value);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        return e;
    if (!err_is(e)) {
        struct wire_in in = wire_in(value);
        number = wire_get_u64(&in);
        if (!wire_end(&in))
            return err_detail(ERR_STORE_DAMAGED, STR("a counter of the directory is malformed"));
    }
    struct buf next = BUF_INIT(sizeof(number));
    wire_put_u64(&next, number + 1);
    draft_put(draft, key, buf_copy(&next, draft->arena));
    buf_done(&next);
    *number_r = number;
    return err_none();
}

/* --- Committing --- */

static void version_ops(struct draft *draft, struct op_list *ops)
{
    static const char blank[VERSION_OCTETS];
    op_list_add(ops, draft->version.p ? OP_NEED_VALUE : OP_NEED_ABSENT, DIRECTORY_PARTITION,
                VERSION_KEY, draft->version);
    struct op *put =
        op_list_add(ops, OP_PUT, DIRECTORY_PARTITION, VERSION_KEY, str_make(blank, sizeof(blank)));
    if (put)
        put->stamp = true;
}

/* What the version is after a commit: the stamp that its PUT, the second operation, was given. */
static struct err version_moved(struct draft *draft, const struct op *put)
{
    struct buf value = BUF_INIT(VERSION_OCTETS);
    wire_put_u64(&value, put->modseq);
    draft->version = buf_copy(&value, draft->arena);
    buf_done(&value);
    return draft->version.p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err slice_commit(struct draft *draft, struct staged **from, size_t needs)
{
    struct op_list ops = op_list_take(draft->arena, DRAFT_SLICE + 2 + needs);
    version_ops(draft, &ops);
    struct staged *one;
    TAILQ_FOREACH (one, &draft->needs, list) {
        if (needs)
            op_list_add(&ops, one->value.p ? OP_NEED_VALUE : OP_NEED_ABSENT, one->partition,
                        one->key, one->value);
    }
    for (size_t n = 0; n < DRAFT_SLICE && *from; n++, *from = TAILQ_NEXT(*from, list))
        op_list_add(&ops, (*from)->value.p ? OP_PUT : OP_REMOVE, (*from)->partition, (*from)->key,
                    (*from)->value);
    if (ops.over)
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    struct err e = engine_commit_wait(draft->directory->engine, &commit);
    return err_is(e) ? e : version_moved(draft, &ops.ops[1]);
}

struct err draft_commit(struct draft *draft)
{
    if (arena_over(draft->arena))
        return err_detail(ERR_OVER_LIMIT, STR("the change is too large"));
    if (draft->dry)
        return err_none();
    size_t needs = 0;
    struct staged *from = TAILQ_FIRST(&draft->list), *need;
    TAILQ_FOREACH (need, &draft->needs, list) {
        needs++;
    }
    struct err e = err_none();
    bool began = false;
    while (from && !err_is(e)) {
        e = slice_commit(draft, &from, began ? 0 : needs);
        began = true;
    }
    return e;
}

struct err directory_change(struct directory *directory, struct arena *arena,
                            struct err (*change)(struct draft *, void *arg), void *arg)
{
    struct arena scratch;
    arena_init(&scratch, DRAFT_MEMORY_MAX);
    struct err e;
    unsigned tries = 0;
    bool again;
    do {
        struct draft draft;
        again = false;
        arena_reset(&scratch);
        e = draft_open(&draft, directory, &scratch);
        if (!err_is(e))
            e = change(&draft, arg);
        if (!err_is(e)) {
            e = draft_commit(&draft);
            again = e.code == ERR_CONFLICT;
        }
    } while (again && ++tries < DRAFT_TRIES_MAX);
    if (e.detail.n)
        e.detail = arena_str(arena, e.detail);
    arena_done(&scratch);
    return e;
}

/* --- Walking --- */

struct err draft_walk_open(struct draft_walk *walk, struct draft *draft, struct str prefix)
{
    *walk = (struct draft_walk){.draft = draft};
    arena_init_from(&walk->page, PAGE_MEMORY, draft->directory->spares);
    walk->until = key_end(prefix, draft->arena);
    walk->next = arena_str(draft->arena, prefix);
    return walk->until.p && walk->next.p ? err_none() : err_make(ERR_OVER_LIMIT);
}

void draft_walk_done(struct draft_walk *walk)
{
    arena_done(&walk->page);
}

/* `next` lies in the page, so it is taken along when the page is let go. */
static struct err page_read(struct draft_walk *walk)
{
    char octets[ENGINE_KEY_MAX + 1];
    must(walk->next.n <= sizeof(octets));
    memcpy(octets, walk->next.p, walk->next.n);
    arena_reset(&walk->page);
    walk->next = arena_str(&walk->page, str_make(octets, walk->next.n));
    walk->at = 0;
    struct err e = engine_scan(walk->draft->directory->engine, DIRECTORY_PARTITION, walk->next,
                               walk->until, PAGE, &walk->page, &walk->entries, &walk->count);
    walk->last_page = err_is(e) || walk->count < PAGE;
    return e;
}

/* The first staged entry that was not passed, or NULL. */
static struct staged *staged_next(struct draft_walk *walk)
{
    struct staged like = {.partition = DIRECTORY_PARTITION, .key = walk->next};
    struct staged *staged = RB_NFIND(staged_tree, &walk->draft->tree, &like);
    if (!staged || staged->partition.kind != PARTITION_DIRECTORY || staged->partition.id != 0 ||
        str_cmp(staged->key, walk->until) >= 0)
        return NULL;
    return staged;
}

/* The next of what is stored and what is staged; of two with one key, the staged. */
static struct err step(struct draft_walk *walk, struct entry *entry_r)
{
    if (walk->at == walk->count && !walk->last_page) {
        struct err e = page_read(walk);
        if (err_is(e))
            return e;
    }
    struct entry *stored = walk->at < walk->count ? &walk->entries[walk->at] : NULL;
    struct staged *staged = staged_next(walk);
    if (!stored && !staged)
        return err_make(ERR_NOT_FOUND);
    int order = !stored ? 1 : !staged ? -1 : str_cmp(stored->key, staged->key);
    if (order <= 0)
        walk->at++;
    *entry_r = order < 0 ? *stored : (struct entry){.key = staged->key, .value = staged->value};
    if (order < 0 && !entry_r->value.p)
        entry_r->value = STR(""); /* stored and empty: not removed */
    walk->next = key_after(entry_r->key, &walk->page);
    return walk->next.p ? err_none() : err_make(ERR_OVER_LIMIT);
}

struct err draft_walk_next(struct draft_walk *walk, struct entry *entry_r)
{
    struct err e;
    do {
        e = step(walk, entry_r);
    } while (!err_is(e) && !entry_r->value.p);
    return e;
}
