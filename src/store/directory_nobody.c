/*
 * Who there is not. A log-in as nobody has a salt, like any other, and costs as much: what is found
 * in the store is summed, copied and decoded, which is a microsecond more than to miss it, and
 * SCRAM has no hash that this could hide behind. So each look of a log-in finds one record and
 * misses one: where there is an account its own is found and NOT_THERE is missed, else the other
 * way round with a record of nobody's.
 */
#include "store/directory_edit.h"
#include "store/directory_record.h"

enum {
    SMALL_MAX = 1024 * 1024,
    ROWS = 3,
};

#define SALT_KEY STR("k")
#define NOBODYS_NAME STR("kn")
#define NOBODYS_CREDENTIALS STR("kc")
#define NOT_THERE STR("k-")

static const struct partition DIRECTORY_PARTITION = {.kind = PARTITION_DIRECTORY};

/* --- Looks --- */

bool nobody_name_get(struct draft *draft, bool found, struct found *nobody_r)
{
    struct str value;
    return !err_is(draft_get(draft, found ? NOT_THERE : NOBODYS_NAME, &value)) &&
           !err_is(name_decode(value, draft->arena, &nobody_r->record));
}

void nobody_credentials_get(struct draft *draft, bool found)
{
    struct str value;
    struct credentials nobodys;
    if (!err_is(draft_get(draft, found ? NOT_THERE : NOBODYS_CREDENTIALS, &value)))
        (void)credentials_decode(value, draft->arena, &nobodys).code;
}

/* --- What is kept for it --- */

/* As long as most are. */
static struct str name_make(struct arena *arena)
{
    const struct name name = {
        .kind = NAME_ACCOUNT,
        .account = {.address = STR("nobody@nobody.invalid"),
                    .password = STR("$y$j9T$......................$"
                                    "...........................................")}};
    return name_encode(&name, arena);
}

static struct str credentials_make(struct arena *arena)
{
    const struct credentials credentials = {
        .password = {.rounds = SCRAM_ROUNDS_MOST,
                     .keys = {.has_sha_1 = true, .has_sha_256 = true}}};
    return credentials_encode(&credentials, arena);
}

/* Two who ask first at once: the second finds the first one's, as soon as it is durable. Commits
 * are durable in their order, so one that wants it to be there is behind it. */
static struct err salt_key_await(struct directory *directory)
{
    struct op op = {.kind = OP_NEED_PRESENT, .partition = DIRECTORY_PARTITION, .key = SALT_KEY};
    struct commit commit = {.ops = &op, .op_count = 1};
    return engine_commit_wait(directory->engine, &commit);
}

static struct err rows_make(struct directory *directory, struct arena *scratch)
{
    unsigned char octets[DIRECTORY_SALT_KEY];
    world_random(directory->world, octets, sizeof(octets));
    const struct {
        struct str key, value;
    } rows[ROWS] = {{SALT_KEY, str_make(octets, sizeof(octets))},
                    {NOBODYS_NAME, name_make(scratch)},
                    {NOBODYS_CREDENTIALS, credentials_make(scratch)}};
    struct op_list ops = op_list_take(scratch, ROWS + 1);
    op_list_add(&ops, OP_NEED_ABSENT, DIRECTORY_PARTITION, SALT_KEY, str_null());
    for (size_t i = 0; i < ROWS; i++) {
        ops.over |= !rows[i].value.p;
        op_list_add(&ops, OP_PUT, DIRECTORY_PARTITION, rows[i].key, rows[i].value);
    }
    if (ops.over)
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    struct err e = engine_commit_wait(directory->engine, &commit);
    return e.code == ERR_CONFLICT ? salt_key_await(directory) : e;
}

struct err directory_salt_key(struct directory *directory, unsigned char key_r[DIRECTORY_SALT_KEY])
{
    struct arena scratch;
    struct entry entry;
    arena_init_from(&scratch, SMALL_MAX, directory->spares);
    struct err e = engine_get(directory->engine, DIRECTORY_PARTITION, SALT_KEY, &scratch, &entry);
    if (e.code == ERR_NOT_FOUND) {
        e = rows_make(directory, &scratch);
        if (!err_is(e))
            e = engine_get(directory->engine, DIRECTORY_PARTITION, SALT_KEY, &scratch, &entry);
    }
    if (!err_is(e) && entry.value.n != DIRECTORY_SALT_KEY)
        e = err_detail(ERR_STORE_DAMAGED, STR("the key of the directory's salts is malformed"));
    if (!err_is(e))
        memcpy(key_r, entry.value.p, DIRECTORY_SALT_KEY);
    arena_done(&scratch);
    return e;
}
