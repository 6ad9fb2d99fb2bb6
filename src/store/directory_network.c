/*
 * What log-ins leave behind: where an account logged in well from, and when its application
 * passwords were used last. It lies in the account's own partition, not in the directory's: whoever
 * was told that the directory changed would ask again about everybody, at every log-in. A day is
 * fine enough, so that a program that comes back every minute writes once a day.
 */
#include "base/must.h"
#include "base/wire.h"
#include "store/directory_find.h"
#include "store/directory_record.h"

enum {
    SCRATCH_MAX = 1024 * 1024,
    /* Two notes at once may leave one too many: the next drops both. */
    READ_MAX = 2 * DIRECTORY_NETWORKS_MAX,
};

/* When an account logged in well from a network. */
struct visits {
    uint32_t last, first; /* days; last 0: never; first 0: it is where the account began */
};

static struct err day_decode(struct str value, uint32_t *day_r)
{
    struct wire_in in = wire_in(value);
    uint32_t day = wire_get_u32(&in);
    if (!wire_end(&in))
        return err_detail(ERR_STORE_DAMAGED, STR("a day of an account is malformed"));
    *day_r = day;
    return err_none();
}

static struct str day_encode(uint32_t day, struct arena *arena)
{
    struct buf buf = buf_in(arena, sizeof(day));
    wire_put_u32(&buf, day);
    return buf_built(&buf);
}

static struct err visits_decode(struct str value, struct visits *visits_r)
{
    struct wire_in in = wire_in(value);
    struct visits visits = {.last = 0};
    visits.last = wire_get_u32(&in);
    visits.first = wire_get_u32(&in);
    if (!wire_end(&in))
        return err_detail(ERR_STORE_DAMAGED, STR("a network of an account is malformed"));
    *visits_r = visits;
    return err_none();
}

static struct str visits_encode(struct visits visits, struct arena *arena)
{
    struct buf buf = buf_in(arena, sizeof(visits));
    wire_put_u32(&buf, visits.last);
    wire_put_u32(&buf, visits.first);
    return buf_built(&buf);
}

/* Day 0 where there is none. */
static struct err day_get(struct engine *engine, uint64_t account, struct str key,
                          struct arena *arena, uint32_t *day_r)
{
    struct entry entry;
    *day_r = 0;
    struct err e = engine_get(engine, mailbox_account_partition(account), key, arena, &entry);
    if (e.code == ERR_NOT_FOUND)
        return err_none();
    return err_is(e) ? e : day_decode(entry.value, day_r);
}

/* Unless the account is gone: then nobody would ever remove it. Its INBOX goes with it, and is in
 * the same partition, so that nobody is told of the directory. */
static struct err row_put(struct engine *engine, uint64_t account, struct op_list *ops,
                          struct str key, struct str value, struct arena *arena)
{
    struct partition partition = mailbox_account_partition(account);
    struct str inbox = mailbox_name_key(STR("INBOX"), arena);
    op_list_add(ops, OP_NEED_PRESENT, partition, inbox, str_null());
    op_list_add(ops, OP_PUT, partition, key, value);
    if (ops->over || arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops->ops, .op_count = ops->count};
    struct err e = engine_commit_wait(engine, &commit);
    return e.code == ERR_CONFLICT ? err_none() : e;
}

/* --- Networks --- */

static struct str network_key(struct str network, struct arena *arena)
{
    must(network.n && network.n <= DIRECTORY_NETWORK_TEXT);
    return key_of('k', network, arena);
}

static struct err visits_get(struct engine *engine, uint64_t account, struct str network,
                             struct arena *arena, struct visits *visits_r)
{
    struct entry entry;
    struct str key = network_key(network, arena);
    *visits_r = (struct visits){.last = 0};
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    struct err e = engine_get(engine, mailbox_account_partition(account), key, arena, &entry);
    if (e.code == ERR_NOT_FOUND)
        return err_none();
    return err_is(e) ? e : visits_decode(entry.value, visits_r);
}

struct err directory_network_known(struct directory *directory, uint64_t account,
                                   struct str network, uint32_t since, bool *known_r)
{
    struct arena scratch;
    struct visits visits;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    struct err e = visits_get(directory->engine, account, network, &scratch, &visits);
    if (!err_is(e))
        *known_r = visits.last != 0 && visits.last >= since;
    arena_done(&scratch);
    return e;
}

static struct err has_networks(struct engine *engine, uint64_t account, struct arena *arena,
                               bool *has_r)
{
    struct entry *entries;
    size_t count;
    struct partition partition = mailbox_account_partition(account);
    struct err e = engine_scan(engine, partition, STR("k"), STR("l"), 1, arena, &entries, &count);
    *has_r = !err_is(e) && count > 0;
    return e;
}

struct err directory_network_is_new(struct directory *directory, uint64_t account,
                                    struct str network, uint32_t day, bool *new_r)
{
    struct arena scratch;
    struct visits visits;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    struct err e = visits_get(directory->engine, account, network, &scratch, &visits);
    if (!err_is(e) && visits.last == 0)
        e = has_networks(directory->engine, account, &scratch, new_r);
    else if (!err_is(e))
        *new_r = visits.first != 0 && day < visits.first + DIRECTORY_NETWORK_NEW;
    arena_done(&scratch);
    return e;
}

struct noted {
    struct str key;
    uint32_t day;
};

static int oldest_first(const void *a, const void *b)
{
    const struct noted *x = a, *y = b;
    int order = (x->day > y->day) - (x->day < y->day);
    return order ? order : str_cmp(x->key, y->key);
}

/* Makes room for one more; how many there were. */
static struct err networks_shrink(struct engine *engine, uint64_t account, struct op_list *ops,
                                  struct arena *arena, size_t *count_r)
{
    struct noted noted[READ_MAX];
    struct visits visits = {.last = 0};
    struct entry *entries;
    size_t count;
    struct partition partition = mailbox_account_partition(account);
    struct err e =
        engine_scan(engine, partition, STR("k"), STR("l"), READ_MAX, arena, &entries, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        noted[i].key = entries[i].key;
        e = visits_decode(entries[i].value, &visits);
        noted[i].day = visits.last;
    }
    *count_r = count;
    if (err_is(e) || count < DIRECTORY_NETWORKS_MAX)
        return e;
    qsort(noted, count, sizeof(*noted), oldest_first);
    for (size_t i = 0; i + DIRECTORY_NETWORKS_MAX <= count; i++)
        op_list_add(ops, OP_REMOVE, partition, noted[i].key, str_null());
    return err_none();
}

static struct err network_note(struct engine *engine, uint64_t account, struct str network,
                               uint32_t day, struct arena *arena)
{
    struct visits visits;
    size_t others = 0;
    struct op_list ops = op_list_take(arena, READ_MAX + 2);
    struct err e = visits_get(engine, account, network, arena, &visits);
    if (err_is(e) || visits.last >= day)
        return e;
    if (visits.last == 0)
        e = networks_shrink(engine, account, &ops, arena, &others);
    if (others > 0)
        visits.first = day;
    visits.last = day;
    struct str value = visits_encode(visits, arena);
    return err_is(e) ? e
                     : row_put(engine, account, &ops, network_key(network, arena), value, arena);
}

struct err directory_network_note(struct directory *directory, uint64_t account, struct str network,
                                  uint32_t day)
{
    struct arena scratch;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    struct err e = network_note(directory->engine, account, network, day, &scratch);
    arena_done(&scratch);
    return e;
}

/* --- Application passwords --- */

static struct str used_key(uint64_t app_password, struct arena *arena)
{
    return key_number('a', app_password, str_null(), arena);
}

static struct err app_used(struct engine *engine, uint64_t account, uint64_t id, uint32_t day,
                           struct arena *arena)
{
    uint32_t noted;
    struct op_list ops = op_list_take(arena, 2);
    struct str key = used_key(id, arena);
    if (!key.p)
        return err_make(ERR_OVER_LIMIT);
    struct err e = day_get(engine, account, key, arena, &noted);
    return err_is(e) || noted >= day
               ? e
               : row_put(engine, account, &ops, key, day_encode(day, arena), arena);
}

struct err directory_app_password_used(struct directory *directory, uint64_t account, uint64_t id,
                                       uint32_t day)
{
    struct arena scratch;
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    struct err e = app_used(directory->engine, account, id, day, &scratch);
    arena_done(&scratch);
    return e;
}

struct err directory_app_passwords_used(struct directory *directory, uint64_t account,
                                        struct credentials *credentials)
{
    struct arena scratch;
    struct err e = err_none();
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    for (size_t i = 0; !err_is(e) && i < credentials->app_password_count; i++) {
        struct app_password *app = &credentials->app_passwords[i];
        struct str key = used_key(app->id, &scratch);
        e = key.p ? day_get(directory->engine, account, key, &scratch, &app->last_used)
                  : err_make(ERR_OVER_LIMIT);
    }
    arena_done(&scratch);
    return e;
}
