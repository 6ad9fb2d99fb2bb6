/*
 * A text to apply, on a store that is empty and stays so (dry run). Properties: an error names a
 * line or a limit; what is taken is reported line by line; and every value that the reader gives is
 * given again when it is quoted.
 */
#include "base/must.h"
#include "store/directory.h"
#include "store/directory_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct err empty_get(struct engine *engine, struct partition partition, struct str key,
                            struct arena *arena, struct entry *entry_r)
{
    (void)engine;
    (void)partition;
    (void)key;
    (void)arena;
    (void)entry_r;
    return err_make(ERR_NOT_FOUND);
}

static struct err empty_scan(struct engine *engine, struct partition partition, struct str from,
                             struct str until, size_t limit, struct arena *arena,
                             struct entry **entries_r, size_t *count_r)
{
    (void)engine;
    (void)partition;
    (void)limit;
    must(str_cmp(from, until) < 0);
    *entries_r = arena_take_array(arena, 0, sizeof(**entries_r));
    *count_r = 0;
    return err_none();
}

static int64_t wall(struct world *world)
{
    (void)world;
    return US_PER_SECOND;
}

static void count_line(void *arg, struct str line)
{
    must(str_starts(line, STR("add ")) && str_index(line, '\n') < 0);
    ++*(uint64_t *)arg;
}

static void apply_check(struct str text)
{
    static const struct engine_ops ops = {.get = empty_get, .scan = empty_scan};
    static const struct world_ops clock_only = {.wall = wall};
    struct engine engine = {ENGINE_MAGIC, &ops};
    struct world world = {WORLD_MAGIC, &clock_only};
    const struct directory_settings settings = {.plus = '+'};
    struct directory directory;
    struct directory_applied applied;
    struct arena arena;
    uint64_t lines = 0;
    arena_init(&arena, 1 << 20);
    directory_init(&directory, &engine, &world, &settings);
    struct err e = directory_apply(&directory, text, true, count_line, &lines, &arena, &applied);
    if (err_is(e))
        must(str_starts(e.detail, STR("line ")) || e.code == ERR_OVER_LIMIT);
    else
        must(applied.added == lines && applied.changed == 0 && applied.unchanged == 0);
    arena_done(&arena);
}

static void quote_check(const struct text_field *field, struct arena *arena)
{
    struct buf text = BUF_INIT(4 * TEXT_VALUE_MAX);
    struct text_block block;
    buf_put(&text, STR("x \"\" { y = "));
    text_quote(&text, field->value);
    buf_putc(&text, '}');
    struct text_reader reader = text_reader(buf_str(&text), arena);
    must(!err_is(text_next(&reader, &block)));
    must(block.count == 1 && str_eq(block.fields[0].value, field->value));
    must(text_next(&reader, &block).code == ERR_NOT_FOUND);
    buf_done(&text);
}

static void reader_check(struct str text)
{
    struct arena arena;
    struct text_block block;
    arena_init(&arena, 4 << 20);
    struct text_reader reader = text_reader(text, &arena);
    while (!err_is(text_next(&reader, &block)))
        for (size_t i = 0; i < block.count && i < 16 && !arena_over(&arena); i++)
            quote_check(&block.fields[i], &arena);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_make(data, n);
    if (n > 16384)
        return 0;
    reader_check(text);
    apply_check(text);
    return 0;
}
