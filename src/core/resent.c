/*
 * Why nothing is written for the ordinary message: the usual client goes on after our 250 (QUIT is
 * enough), so R1 lives in memory only, and an entry is made for the few sessions that end badly.
 * The look-up before each message is then one in a table that is nearly always empty.
 */
#include "core/resent.h"

#include "base/hash.h"

#include "base/must.h"
#include "base/sha256.h"
#include "base/wire.h"

enum {
    EXPIRED_A_CALL = 10000
};

/* R1, by message id. */
struct open_message {
    UT_hash_handle hh;
    uint64_t message;
    struct peer *peer;
    struct resent_key key;
    bool repeated; /* the entry of R3 is there already */
};

/* R3, by key. */
struct unseen_message {
    UT_hash_handle hh;
    struct resent_key key;
    uint64_t message;
    int64_t until; /* wall clock, microseconds */
    bool claimed;  /* a session repeats it and has not ended */
};

/* R4, by token, oldest first in `order`. */
struct known_try {
    UT_hash_handle hh;
    TAILQ_ENTRY(known_try) order;
    struct try_token token;
    uint64_t message;
    struct resent_key key;
};

struct resent {
    struct world *world;
    struct engine *engine;
    int64_t window;
    struct open_message *open;
    struct unseen_message *unseen;
    struct known_try *tries;
    TAILQ_HEAD(, known_try) order;
    size_t try_count;
    LIST_HEAD(, resent_flight) flights;
    LIST_HEAD(, flight_waiter) waiters; /* for the end of any lost flight */
};

struct flight_waiter {
    LIST_ENTRY(flight_waiter) link;
    struct wait wait;
};

static const struct partition partition = {PARTITION_RESENT, 0};

struct resent *resent_new(struct world *world)
{
    struct resent *resent = calloc(1, sizeof(*resent));
    if (!resent)
        return NULL;
    resent->world = world;
    TAILQ_INIT(&resent->order);
    LIST_INIT(&resent->flights);
    LIST_INIT(&resent->waiters);
    return resent;
}

void resent_free(struct resent *resent)
{
    struct open_message *open, *next_open;
    HASH_ITER (hh, resent->open, open, next_open) {
        HASH_DEL(resent->open, open);
        free(open);
    }
    struct unseen_message *unseen, *next_unseen;
    HASH_ITER (hh, resent->unseen, unseen, next_unseen) {
        HASH_DEL(resent->unseen, unseen);
        free(unseen);
    }
    struct known_try *try, *next_try;
    HASH_ITER (hh, resent->tries, try, next_try) {
        HASH_DEL(resent->tries, try);
        free(try);
    }
    free(resent);
}

void resent_set_window(struct resent *resent, int64_t window)
{
    resent->window = window;
}

/* --- Keys and tags --- */

static void digest_str(struct sha256 *sha256, struct str s)
{
    unsigned char length[8];
    key_put_u64(length, s.n);
    sha256_feed(sha256, str_make(length, sizeof(length)));
    sha256_feed(sha256, s);
}

static int recipient_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct resent_key resent_key(struct str client, struct str reverse_path, struct str *recipients,
                             size_t count, struct str digest)
{
    qsort(recipients, count, sizeof(*recipients), recipient_order);
    struct sha256 sha256;
    sha256_init(&sha256);
    digest_str(&sha256, client);
    digest_str(&sha256, reverse_path);
    digest_str(&sha256, digest);
    for (size_t i = 0; i < count; i++)
        digest_str(&sha256, recipients[i]);
    unsigned char whole[SHA256_SIZE];
    sha256_end(&sha256, whole);
    struct resent_key key;
    memcpy(key.octets, whole, sizeof(key.octets));
    return key;
}

void resent_tag(unsigned char tag[TRY_TAG_SIZE], struct try_token token, uint64_t message,
                struct resent_key key)
{
    memcpy(tag, token.octets, TRY_TOKEN_SIZE);
    key_put_u64(tag + TRY_TOKEN_SIZE, message);
    memcpy(tag + TRY_TOKEN_SIZE + 8, key.octets, RESENT_KEY_SIZE);
}

/* --- R4: tries --- */

static void try_remember(struct resent *resent, struct try_token token, uint64_t message,
                         struct resent_key key)
{
    struct known_try *try;
    HASH_FIND(hh, resent->tries, &token, sizeof(token), try);
    if (try)
        return;
    if (resent->try_count >= TRIES_KEPT) {
        try = TAILQ_FIRST(&resent->order);
        TAILQ_REMOVE(&resent->order, try, order);
        HASH_DEL(resent->tries, try);
        resent->try_count--;
    } else {
        try = malloc(sizeof(*try));
        if (!try)
            return; /* An edge that asks is told NOT_FOUND and commits again: at worst a copy. */
    }
    *try = (struct known_try){.token = token, .message = message, .key = key};
    HASH_ADD(hh, resent->tries, token, sizeof(token), try);
    TAILQ_INSERT_TAIL(&resent->order, try, order);
    resent->try_count++;
}

void resent_replayed(void *arg, struct str tag, const struct op *ops, size_t count)
{
    (void)ops;
    (void)count;
    struct wire_in in = wire_in(tag);
    struct str token = wire_get_octets(&in, TRY_TOKEN_SIZE);
    struct str message = wire_get_octets(&in, 8);
    struct str key = wire_get_octets(&in, RESENT_KEY_SIZE);
    if (!wire_end(&in))
        return; /* Some other commit's tag. */
    struct try_token try;
    struct resent_key resent_key;
    memcpy(try.octets, token.p, sizeof(try.octets));
    memcpy(resent_key.octets, key.p, sizeof(resent_key.octets));
    try_remember(arg, try, key_get_u64((const unsigned char *)message.p), resent_key);
}

uint64_t resent_ask(struct resent *resent, struct peer *peer, struct str token)
{
    if (token.n != TRY_TOKEN_SIZE)
        return 0;
    struct known_try *try;
    HASH_FIND(hh, resent->tries, token.p, TRY_TOKEN_SIZE, try);
    if (!try)
        return 0;
    resent_open(resent, peer, try->token, try->message, try->key);
    return try->message;
}

static struct unseen_message *unseen_of(struct resent *resent, struct resent_key key)
{
    struct unseen_message *unseen;
    HASH_FIND(hh, resent->unseen, &key, sizeof(key), unseen);
    return unseen;
}

/* --- R1: open --- */

void resent_open(struct resent *resent, struct peer *peer, struct try_token token, uint64_t message,
                 struct resent_key key)
{
    try_remember(resent, token, message, key);
    struct open_message *open;
    HASH_FIND(hh, resent->open, &message, sizeof(message), open);
    if (!open) {
        open = HASH_COUNT(resent->open) < OPENS_MAX ? malloc(sizeof(*open)) : NULL;
        if (!open)
            return; /* A repetition will then not be recognised; nothing is lost. */
        *open = (struct open_message){.message = message, .key = key};
        HASH_ADD(hh, resent->open, message, sizeof(message), open);
    }
    open->peer = peer;
    struct unseen_message *unseen = unseen_of(resent, key);
    open->repeated = unseen && unseen->message == message;
    if (open->repeated)
        unseen->claimed = true;
}

static void open_forget(struct resent *resent, struct open_message *open)
{
    HASH_DEL(resent->open, open);
    free(open);
}

/* --- R3: unseen --- */

/* One put or removal of an entry, in memory of its own until it is durable. */
struct entry_change {
    struct commit commit;
    struct op op;
    struct resent_key key;
    unsigned char value[16]; /* message id, until when: both big endian */
};

static void entry_changed(struct commit *commit, struct err e)
{
    /* A change that could not be made durable costs at most a second copy of a message that a
     * client repeats after the next restart: the table in memory has it. */
    (void)e;
    free(commit->arg);
}

static void entry_change(struct resent *resent, struct resent_key key, uint64_t message,
                         int64_t until, enum op_kind kind)
{
    struct entry_change *change = calloc(1, sizeof(*change));
    if (!change)
        return;
    change->key = key;
    key_put_u64(change->value, message);
    key_put_u64(change->value + 8, (uint64_t)until);
    change->op = (struct op){.kind = kind,
                             .partition = partition,
                             .key = str_make(&change->key, sizeof(change->key)),
                             .value = str_make(change->value, sizeof(change->value))};
    change->commit =
        (struct commit){.ops = &change->op, .op_count = 1, .done = entry_changed, .arg = change};
    engine_commit(resent->engine, &change->commit);
}

static bool unseen_keep(struct resent *resent, struct resent_key key, uint64_t message,
                        int64_t until)
{
    struct unseen_message *unseen = unseen_of(resent, key);
    if (!unseen) {
        unseen = HASH_COUNT(resent->unseen) < UNSEEN_MAX ? malloc(sizeof(*unseen)) : NULL;
        if (!unseen)
            return false;
        *unseen = (struct unseen_message){.key = key};
        HASH_ADD(hh, resent->unseen, key, sizeof(key), unseen);
    }
    unseen->message = message;
    unseen->until = until;
    unseen->claimed = false;
    return true;
}

static void unseen_drop(struct resent *resent, struct unseen_message *unseen)
{
    entry_change(resent, unseen->key, unseen->message, unseen->until, OP_REMOVE);
    HASH_DEL(resent->unseen, unseen);
    free(unseen);
}

struct err resent_load(struct resent *resent, struct engine *engine)
{
    enum {
        PAGE = 1000
    };
    resent->engine = engine;
    struct arena arena;
    arena_init(&arena, 4 * 1024 * 1024);
    unsigned char from[RESENT_KEY_SIZE + 1] = {0};
    size_t from_size = 0, count = PAGE;
    struct err e = err_none();
    while (count == PAGE && !err_is(e)) {
        struct entry *entries;
        arena_reset(&arena);
        e = engine_scan(engine, partition, str_make(from, from_size), str_null(), PAGE, &arena,
                        &entries, &count);
        for (size_t i = 0; !err_is(e) && i < count; i++) {
            struct resent_key key;
            if (entries[i].key.n != sizeof(key) || entries[i].value.n != 16)
                continue;
            memcpy(key.octets, entries[i].key.p, sizeof(key));
            const unsigned char *value = (const unsigned char *)entries[i].value.p;
            unseen_keep(resent, key, key_get_u64(value), (int64_t)key_get_u64(value + 8));
            memcpy(from, key.octets, sizeof(key));
            from_size = sizeof(from);
        }
    }
    arena_done(&arena);
    return e;
}

uint64_t resent_find(struct resent *resent, struct resent_key key)
{
    if (resent->window == 0 || !resent->unseen)
        return 0;
    struct unseen_message *unseen = unseen_of(resent, key);
    int64_t now = world_wall(resent->world);
    /* A clock set back must not make an entry live for ever. */
    int64_t window = resent->window / 1000;
    if (!unseen || unseen->claimed || unseen->until <= now || unseen->until > now + window)
        return 0;
    return unseen->message;
}

/* --- From state to state --- */

/* An edge speaks of its own sessions only. */
static struct open_message *open_of(struct resent *resent, const struct peer *peer,
                                    uint64_t message)
{
    struct open_message *open;
    HASH_FIND(hh, resent->open, &message, sizeof(message), open);
    return open && open->peer == peer ? open : NULL;
}

void resent_seen(struct resent *resent, const struct peer *peer, uint64_t message)
{
    struct open_message *open = open_of(resent, peer, message);
    if (!open)
        return;
    /* R1 -> R2. The repetition is complete: the same bytes once more are a new message. */
    struct unseen_message *unseen = open->repeated ? unseen_of(resent, open->key) : NULL;
    if (unseen && unseen->message == message)
        unseen_drop(resent, unseen);
    open_forget(resent, open);
}

static void end_unseen(struct resent *resent, struct open_message *open)
{
    /* R1 -> R3 */
    if (resent->window > 0) {
        int64_t until = world_wall(resent->world) + resent->window / 1000;
        if (unseen_keep(resent, open->key, open->message, until))
            entry_change(resent, open->key, open->message, until, OP_PUT);
    }
    open_forget(resent, open);
}

void resent_unseen(struct resent *resent, const struct peer *peer, uint64_t message)
{
    struct open_message *open = open_of(resent, peer, message);
    if (open)
        end_unseen(resent, open);
}

/* --- R0 --- */

static bool lost_flight_of(const struct resent *resent, struct resent_key key)
{
    const struct resent_flight *flight;
    LIST_FOREACH (flight, &resent->flights, link)
        if (flight->lost && memcmp(&flight->key, &key, sizeof(key)) == 0)
            return true;
    return false;
}

void resent_flight_begin(struct resent *resent, struct peer *peer, struct resent_key key,
                         struct resent_flight *flight)
{
    while (lost_flight_of(resent, key)) {
        struct flight_waiter waiter = {.wait = {.done = false}};
        LIST_INSERT_HEAD(&resent->waiters, &waiter, link);
        wait_for(&waiter.wait);
    }
    *flight = (struct resent_flight){.key = key, .peer = peer};
    LIST_INSERT_HEAD(&resent->flights, flight, link);
}

void resent_flight_end(struct resent *resent, struct resent_flight *flight)
{
    struct flight_waiter *waiter;
    LIST_REMOVE(flight, link);
    if (!flight->lost)
        return;
    while ((waiter = LIST_FIRST(&resent->waiters))) {
        LIST_REMOVE(waiter, link);
        wait_over(&waiter->wait);
    }
}

void resent_peer_gone(struct resent *resent, struct peer *peer)
{
    struct resent_flight *flight;
    LIST_FOREACH (flight, &resent->flights, link)
        flight->lost |= flight->peer == peer;
    struct open_message *open, *next;
    HASH_ITER (hh, resent->open, open, next) {
        if (open->peer == peer)
            end_unseen(resent, open);
    }
}

void resent_expire(struct resent *resent)
{
    int64_t now = world_wall(resent->world);
    struct unseen_message *unseen, *next;
    int left = EXPIRED_A_CALL;
    HASH_ITER (hh, resent->unseen, unseen, next) {
        if (left == 0)
            return; /* the others at the next call: they are not found any more */
        if (unseen->until > now && unseen->until <= now + resent->window / 1000)
            continue;
        unseen_drop(resent, unseen);
        left--;
    }
}
