/*
 * Why nothing is written for the ordinary message: the usual client goes on after our 250 (QUIT is
 * enough), so R1 lives in memory only, and an entry is made for the few sessions that end badly.
 * The look-up before each message is then one in a table that is nearly always empty.
 */
#include "core/resent.h"

#include <bsd/sys/tree.h>

#include "base/hash.h"
#include "base/must.h"
#include "base/sha256.h"
#include "base/spares.h"
#include "base/wire.h"
#include "format/message_id.h"
#include "store/trace.h"

enum {
    EXPIRED_A_CALL = 10000,
    OPENS_SPARE = 1024,               /* kept for the next ones */
    ENTRY_SIZE = 16 + TRY_TOKEN_SIZE, /* of R3: message id, until when, both big endian; token */
    RECALL_ARENA = 1 << 20,
};

#define RECALL_MOST                                                                                \
    (INT64_C(3600) * US_PER_SECOND) /* the age of a try that an edge still holds                   \
                                     */

/* R1, by message id: a tree, because a hash table would be made and freed with each message of a
 * quiet server. */
struct open_message {
    RB_ENTRY(open_message) link;
    uint64_t message;
    struct peer *peer;
    struct try_token token;
    struct resent_key key;
    bool repeated; /* the entry of R3 is there already */
};

RB_HEAD(open_tree, open_message);

static int open_order(const struct open_message *a, const struct open_message *b)
{
    return a->message < b->message ? -1 : a->message > b->message;
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(open_tree, open_message, link, open_order, __attribute__((unused)) static)

/* R3, by key. */
struct unseen_message {
    UT_hash_handle hh;
    struct resent_key key;
    struct try_token token; /* of the try that ended so, or that repeats it now */
    uint64_t message;
    int64_t until; /* wall clock, microseconds */
    bool claimed;  /* a session repeats it and has not ended */
};

/* R4, by token, oldest first in `order`; in an arena, for none is ever given back. */
struct known_try {
    UT_hash_handle hh;
    TAILQ_ENTRY(known_try) order;
    struct try_token token;
    uint64_t message;
    struct resent_key key;
    bool earlier; /* an earlier core answered it, and nobody has said here how it went on */
};

struct resent {
    struct world *world;
    struct engine *engine;
    int64_t window;
    struct open_tree open;
    size_t open_count;
    struct spares spare_opens;
    struct unseen_message *unseen;
    struct known_try *tries;
    struct arena tries_arena;
    TAILQ_HEAD(, known_try) order;
    size_t try_count;
    LIST_HEAD(, resent_flight) flights, lost;
    LIST_HEAD(, flight_waiter) waiters; /* for the end of any lost flight or report */
    size_t reports;                     /* that are looked at */
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
    RB_INIT(&resent->open);
    spares_init(&resent->spare_opens, OPENS_SPARE * sizeof(struct open_message));
    arena_init(&resent->tries_arena, 2 * TRIES_KEPT * sizeof(struct known_try));
    TAILQ_INIT(&resent->order);
    LIST_INIT(&resent->flights);
    LIST_INIT(&resent->lost);
    LIST_INIT(&resent->waiters);
    return resent;
}

static struct open_message *open_find(struct resent *resent, uint64_t message)
{
    struct open_message wanted = {.message = message};
    return RB_FIND(open_tree, &resent->open, &wanted);
}

static void open_forget(struct resent *resent, struct open_message *open)
{
    RB_REMOVE(open_tree, &resent->open, open);
    resent->open_count--;
    spares_give(&resent->spare_opens, open, sizeof(*open));
}

void resent_free(struct resent *resent)
{
    while (!RB_EMPTY(&resent->open))
        open_forget(resent, RB_ROOT(&resent->open));
    spares_done(&resent->spare_opens);
    struct unseen_message *unseen, *next_unseen;
    HASH_ITER (hh, resent->unseen, unseen, next_unseen) {
        HASH_DEL(resent->unseen, unseen);
        free(unseen);
    }
    HASH_CLEAR(hh, resent->tries);
    arena_done(&resent->tries_arena);
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

static const char hex_digits[] = "0123456789abcdef";

static char *hex_put(char *to, const unsigned char *octets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *to++ = hex_digits[octets[i] >> 4];
        *to++ = hex_digits[octets[i] & 15];
    }
    return to;
}

static bool hex_get(const char *text, unsigned char *octets_r, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++) {
        const char *digit = memchr(hex_digits, text[i], 16);
        if (!digit)
            return false;
        octets_r[i / 2] = (unsigned char)(octets_r[i / 2] << 4 | (digit - hex_digits));
    }
    return true;
}

void resent_try_print(struct try_token token, struct resent_key key, char text[TRY_TEXT_SIZE])
{
    hex_put(hex_put(text, token.octets, TRY_TOKEN_SIZE), key.octets, RESENT_KEY_SIZE);
}

/* --- R4: tries --- */

static struct known_try *try_find(struct resent *resent, struct try_token token)
{
    struct known_try *try;
    HASH_FIND(hh, resent->tries, &token, sizeof(token), try);
    return try;
}

static void try_remember(struct resent *resent, struct try_token token, uint64_t message,
                         struct resent_key key, bool earlier)
{
    struct known_try *try = try_find(resent, token);
    if (try)
        return;
    if (resent->try_count >= TRIES_KEPT) {
        try = TAILQ_FIRST(&resent->order);
        TAILQ_REMOVE(&resent->order, try, order);
        HASH_DEL(resent->tries, try);
        resent->try_count--;
    } else {
        try = arena_new(&resent->tries_arena, struct known_try);
        if (!try)
            return; /* An edge that asks is told NOT_FOUND and commits again: at worst a copy. */
    }
    *try = (struct known_try){.token = token, .message = message, .key = key, .earlier = earlier};
    HASH_ADD(hh, resent->tries, token, sizeof(token), try);
    if (!HASH_ADDED(try))
        return; /* as above; the arena has it */
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
    try_remember(arg, try, key_get_u64((const unsigned char *)message.p), resent_key, true);
}

static bool event_names(const struct trace_event *event, struct try_token token,
                        struct resent_key *key_r)
{
    struct try_token named;
    for (size_t i = 0; i < event->value_count; i++) {
        struct str text = event->values[i].text;
        if (event->values[i].field == TRACE_try && text.n == TRY_TEXT_SIZE)
            return hex_get(text.p, named.octets, TRY_TOKEN_SIZE) &&
                   memcmp(&named, &token, sizeof(token)) == 0 &&
                   hex_get(text.p + 2 * TRY_TOKEN_SIZE, key_r->octets, RESENT_KEY_SIZE);
    }
    return false;
}

/* May yield: a try whose commit is no longer in the log's tail, or too long ago. The trace is there
 * exactly when the message is, for they are one commit. */
static void try_recall(struct resent *resent, struct try_token token, uint64_t message)
{
    struct arena arena;
    struct trace_event *events;
    struct resent_key key;
    size_t count = 0;
    int64_t now = world_wall(resent->world), made = message_id_time(message);
    if (made < now - RECALL_MOST || made > now + RECALL_MOST)
        return;
    arena_init(&arena, RECALL_ARENA);
    if (err_is(trace_by_message(resent->engine, message, now, &arena, &events, &count)))
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (event_names(&events[i], token, &key))
            try_remember(resent, token, message, key, true);
    arena_done(&arena);
}

/* May yield. */
static struct known_try *try_of(struct resent *resent, struct try_token token, uint64_t message)
{
    if (!try_find(resent, token))
        try_recall(resent, token, message);
    return try_find(resent, token);
}

static struct unseen_message *unseen_of(struct resent *resent, struct resent_key key)
{
    struct unseen_message *unseen;
    HASH_FIND(hh, resent->unseen, &key, sizeof(key), unseen);
    return unseen;
}

/* --- R1: open --- */

static struct open_message *open_add(struct resent *resent, struct peer *peer,
                                     struct try_token token, uint64_t message,
                                     struct resent_key key)
{
    struct open_message *open = open_find(resent, message);
    if (!open) {
        open = resent->open_count < OPENS_MAX ? spares_take(&resent->spare_opens, sizeof(*open))
                                              : NULL;
        if (!open)
            return NULL; /* A repetition will then not be recognised; nothing is lost. */
        *open = (struct open_message){.message = message, .key = key};
        (void)RB_INSERT(open_tree, &resent->open, open);
        resent->open_count++;
    }
    open->peer = peer;
    open->token = token;
    struct unseen_message *unseen = unseen_of(resent, key);
    open->repeated = unseen && unseen->message == message;
    if (open->repeated)
        unseen->claimed = true;
    return open;
}

void resent_open(struct resent *resent, struct peer *peer, struct try_token token, uint64_t message,
                 struct resent_key key)
{
    try_remember(resent, token, message, key, false);
    open_add(resent, peer, token, message, key);
}

/*
 * The R1 that an edge speaks of when it names a try: open with this edge; or with nobody, where
 * this core does not know how the try went on, or knows that nobody has repeated it yet.
 */
static struct open_message *open_of_try(struct resent *resent, struct peer *peer,
                                        struct known_try *try)
{
    struct open_message *open = open_find(resent, try->message);
    if (open)
        return open->peer == peer ? open : NULL;
    const struct unseen_message *unseen = unseen_of(resent, try->key);
    bool waits = unseen && unseen->message == try->message && !unseen->claimed;
    if (!try->earlier && !waits)
        return NULL;
    try->earlier = false;
    return open_add(resent, peer, try->token, try->message, try->key);
}

uint64_t resent_ask(struct resent *resent, struct peer *peer, struct str token, uint64_t message,
                    bool *repeated_r)
{
    struct try_token name;
    *repeated_r = false;
    if (token.n != sizeof(name.octets))
        return 0;
    memcpy(name.octets, token.p, sizeof(name.octets));
    struct known_try *try = try_of(resent, name, message);
    if (!try)
        return 0;
    const struct open_message *open = open_of_try(resent, peer, try);
    *repeated_r = open && open->repeated;
    return try->message;
}

/* --- R3: unseen --- */

/* Whoever waits until changes of entries are durable. */
struct settling {
    size_t left;
    struct err failed;
    struct wait wait;
};

/* One put or removal of an entry, in memory of its own until it is durable. */
struct entry_change {
    struct commit commit;
    struct op op;
    struct resent_key key;
    unsigned char value[ENTRY_SIZE];
    struct settling *settling;
};

static void entry_changed(struct commit *commit, struct err e)
{
    /* A change that could not be made durable costs at most a second copy of a message that a
     * client repeats after the next restart: the table in memory has it. */
    struct entry_change *change = commit->arg;
    struct settling *settling = change->settling;
    free(change);
    if (!settling)
        return;
    if (err_is(e))
        settling->failed = e;
    if (--settling->left == 0)
        wait_over(&settling->wait);
}

/* Never yields; `settling` (or NULL) has one more to wait for. */
static void entry_change(struct resent *resent, const struct unseen_message *unseen,
                         enum op_kind kind, struct settling *settling)
{
    struct entry_change *change = calloc(1, sizeof(*change));
    if (!change) {
        if (settling)
            settling->failed = err_make(ERR_NO_MEMORY);
        return;
    }
    if (settling)
        settling->left++;
    change->settling = settling;
    change->key = unseen->key;
    key_put_u64(change->value, unseen->message);
    key_put_u64(change->value + 8, (uint64_t)unseen->until);
    memcpy(change->value + 16, unseen->token.octets, TRY_TOKEN_SIZE);
    change->op = (struct op){.kind = kind,
                             .partition = partition,
                             .key = str_make(&change->key, sizeof(change->key)),
                             .value = str_make(change->value, sizeof(change->value))};
    change->commit =
        (struct commit){.ops = &change->op, .op_count = 1, .done = entry_changed, .arg = change};
    engine_commit(resent->engine, &change->commit);
}

/* May yield. */
static struct err settle(struct settling *settling)
{
    if (settling->left > 0)
        wait_for(&settling->wait);
    return settling->failed;
}

/* The entry of this message, or NULL: there are too many. */
static struct unseen_message *unseen_keep(struct resent *resent, struct resent_key key,
                                          struct try_token token, uint64_t message, int64_t until)
{
    struct unseen_message *unseen = unseen_of(resent, key);
    if (!unseen) {
        unseen = HASH_COUNT(resent->unseen) < UNSEEN_MAX ? malloc(sizeof(*unseen)) : NULL;
        if (!unseen)
            return NULL;
        *unseen = (struct unseen_message){.key = key};
        HASH_ADD(hh, resent->unseen, key, sizeof(key), unseen);
        if (!HASH_ADDED(unseen)) {
            free(unseen);
            return NULL;
        }
    }
    unseen->token = token;
    unseen->message = message;
    unseen->until = until;
    unseen->claimed = false;
    return unseen;
}

static void unseen_drop(struct resent *resent, struct unseen_message *unseen,
                        struct settling *settling)
{
    entry_change(resent, unseen, OP_REMOVE, settling);
    HASH_DEL(resent->unseen, unseen);
    free(unseen);
}

/* Its try is known, too: the session of a repetition may have outlived the core that answered. */
static void entry_load(struct resent *resent, const struct entry *entry)
{
    struct resent_key key;
    struct try_token token = {.octets = {0}};
    if (entry->key.n != sizeof(key) || (entry->value.n != ENTRY_SIZE && entry->value.n != 16))
        return;
    memcpy(key.octets, entry->key.p, sizeof(key));
    const unsigned char *value = (const unsigned char *)entry->value.p;
    uint64_t message = key_get_u64(value);
    if (entry->value.n == ENTRY_SIZE) {
        memcpy(token.octets, value + 16, TRY_TOKEN_SIZE);
        try_remember(resent, token, message, key, true);
    }
    unseen_keep(resent, key, token, message, (int64_t)key_get_u64(value + 8));
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
            entry_load(resent, &entries[i]);
            from_size = entries[i].key.n + 1;
            must(from_size <= sizeof(from));
            memcpy(from, entries[i].key.p, entries[i].key.n);
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
    struct open_message *open = open_find(resent, message);
    return open && open->peer == peer ? open : NULL;
}

/* R1 -> R2. A repetition is complete then: the same bytes once more are a new message. */
static void end_seen(struct resent *resent, struct open_message *open, struct settling *settling)
{
    struct unseen_message *unseen = open->repeated ? unseen_of(resent, open->key) : NULL;
    if (unseen && unseen->message == open->message)
        unseen_drop(resent, unseen, settling);
    open_forget(resent, open);
}

/* R1 -> R3 */
static void end_unseen(struct resent *resent, struct open_message *open, struct settling *settling)
{
    if (resent->window > 0) {
        int64_t until = world_wall(resent->world) + resent->window / 1000;
        const struct unseen_message *unseen =
            unseen_keep(resent, open->key, open->token, open->message, until);
        if (unseen)
            entry_change(resent, unseen, OP_PUT, settling);
    }
    open_forget(resent, open);
}

void resent_seen(struct resent *resent, const struct peer *peer, uint64_t message)
{
    struct open_message *open = open_of(resent, peer, message);
    if (open)
        end_seen(resent, open, NULL);
}

void resent_unseen(struct resent *resent, const struct peer *peer, uint64_t message)
{
    struct open_message *open = open_of(resent, peer, message);
    if (open)
        end_unseen(resent, open, NULL);
}

void resent_repeat(struct resent *resent, struct peer *peer, struct try_token token,
                   uint64_t message, struct resent_key key)
{
    struct settling settling = {.left = 0};
    struct unseen_message *unseen = unseen_of(resent, key);
    resent_open(resent, peer, token, message, key);
    must(unseen && unseen->message == message); /* found a moment ago */
    unseen->token = token;
    entry_change(resent, unseen, OP_PUT, &settling);
    (void)settle(
        &settling); /* the message is durable; only that it was repeated may be forgotten */
}

/* --- Reports --- */

static void waiters_wake(struct resent *resent)
{
    struct flight_waiter *waiter;
    while ((waiter = LIST_FIRST(&resent->waiters))) {
        LIST_REMOVE(waiter, link);
        wait_over(&waiter->wait);
    }
}

/* May yield. */
static void report_take(struct resent *resent, struct peer *peer, const struct try_report *report,
                        struct settling *settling)
{
    struct known_try *try = try_of(resent, report->token, report->message);
    struct open_message *open = try ? open_of_try(resent, peer, try) : NULL;
    if (open && report->end == TRY_SEEN)
        end_seen(resent, open, settling);
    else if (open && report->end == TRY_UNSEEN)
        end_unseen(resent, open, settling);
}

struct err resent_reported(struct resent *resent, struct peer *peer,
                           const struct try_report *reports, size_t count)
{
    struct settling settling = {.left = 0};
    resent->reports++;
    for (size_t i = 0; i < count; i++)
        report_take(resent, peer, &reports[i], &settling);
    if (--resent->reports == 0)
        waiters_wake(resent);
    return settle(&settling);
}

/* --- R0 --- */

static bool lost_flight_of(const struct resent *resent, struct resent_key key)
{
    const struct resent_flight *flight;
    LIST_FOREACH (flight, &resent->lost, link)
        if (memcmp(&flight->key, &key, sizeof(key)) == 0)
            return true;
    return false;
}

void resent_flight_begin(struct resent *resent, struct peer *peer, struct resent_key key,
                         struct resent_flight *flight)
{
    while (resent->reports > 0 || lost_flight_of(resent, key)) {
        struct flight_waiter waiter = {.wait = {.done = false}};
        LIST_INSERT_HEAD(&resent->waiters, &waiter, link);
        wait_for(&waiter.wait);
    }
    *flight = (struct resent_flight){.key = key, .peer = peer};
    LIST_INSERT_HEAD(&resent->flights, flight, link);
}

void resent_flight_lose(struct resent *resent, struct resent_flight *flight)
{
    if (flight->lost)
        return;
    flight->lost = true;
    LIST_REMOVE(flight, link);
    LIST_INSERT_HEAD(&resent->lost, flight, link);
}

void resent_flight_end(struct resent *resent, struct resent_flight *flight)
{
    LIST_REMOVE(flight, link);
    if (flight->lost)
        waiters_wake(resent);
}

void resent_peer_gone(struct resent *resent, struct peer *peer)
{
    struct resent_flight *flight = LIST_FIRST(&resent->flights), *next_flight;
    for (; flight; flight = next_flight) {
        next_flight = LIST_NEXT(flight, link);
        if (flight->peer == peer)
            resent_flight_lose(resent, flight);
    }
    struct open_message *open, *next;
    RB_FOREACH_SAFE (open, open_tree, &resent->open, next) {
        if (open->peer == peer)
            end_unseen(resent, open, NULL);
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
        unseen_drop(resent, unseen, NULL);
        left--;
    }
}
