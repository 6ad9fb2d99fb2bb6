/*
 * Rates by the generic cell rate algorithm: one time for each who comes, when it would be empty
 * again if it came evenly. So an entry is as small for a limit of 10,000 as for one of 3.
 */
#include "edge/door.h"

#include <sys/queue.h>

#include "base/hash.h"
#include "base/must.h"

struct visitor {
    UT_hash_handle hh;
    TAILQ_ENTRY(visitor) link; /* oldest first; not of those with sessions */
    uint64_t key;
    int64_t empty; /* mono: by then everything it brought has been let in evenly */
    uint32_t sessions;
};

#define DOOR_MAGIC MAGIC('D', 'O', 'O', 'R')

struct door {
    uint32_t magic;
    unsigned char key[SIPHASH_KEY];
    size_t most;
    struct visitor *visitors;
    TAILQ_HEAD(, visitor) idle;
};

enum {
    OF_NETWORK = 255 /* the kind of those with sessions; the others are enum door_count's */
};

struct door *door_open(size_t most, const unsigned char key[SIPHASH_KEY])
{
    struct door *door = calloc(1, sizeof *door);
    if (!door)
        return NULL;
    door->magic = DOOR_MAGIC;
    door->most = most;
    memcpy(door->key, key, SIPHASH_KEY);
    TAILQ_INIT(&door->idle);
    return door;
}

static void visitor_forget(struct door *door, struct visitor *visitor)
{
    must(visitor->sessions == 0);
    TAILQ_REMOVE(&door->idle, visitor, link);
    HASH_DEL(door->visitors, visitor);
    free(visitor);
}

void door_close(struct door *door)
{
    struct visitor *visitor;
    must_be(door, DOOR_MAGIC);
    while ((visitor = TAILQ_FIRST(&door->idle)))
        visitor_forget(door, visitor);
    must(!door->visitors);
    door->magic = 0;
    free(door);
}

static uint64_t key_of(const struct door *door, unsigned what, const struct network *from)
{
    unsigned char octets[NETWORK_OCTETS + 2];
    memcpy(octets, from->octets, NETWORK_OCTETS);
    octets[NETWORK_OCTETS] = from->bits;
    octets[NETWORK_OCTETS + 1] = (unsigned char)what;
    return siphash(door->key, str_make(octets, sizeof octets));
}

static struct visitor *visitor_find(const struct door *door, uint64_t key)
{
    struct visitor *visitor;
    HASH_FIND(hh, door->visitors, &key, sizeof key, visitor);
    return visitor;
}

/* NULL: no memory, or all places are taken by who has sessions. */
static struct visitor *visitor_take(struct door *door, uint64_t key)
{
    struct visitor *visitor = visitor_find(door, key);
    if (visitor) {
        if (visitor->sessions == 0) {
            TAILQ_REMOVE(&door->idle, visitor, link);
            TAILQ_INSERT_TAIL(&door->idle, visitor, link);
        }
        return visitor;
    }
    if (HASH_COUNT(door->visitors) >= door->most && !TAILQ_EMPTY(&door->idle))
        visitor_forget(door, TAILQ_FIRST(&door->idle));
    if (HASH_COUNT(door->visitors) >= door->most)
        return NULL;
    visitor = calloc(1, sizeof *visitor);
    if (!visitor)
        return NULL;
    visitor->key = key;
    HASH_ADD(hh, door->visitors, key, sizeof visitor->key, visitor);
    if (!HASH_ADDED(visitor)) {
        free(visitor);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&door->idle, visitor, link);
    return visitor;
}

bool door_passes(struct door *door, enum door_count what, const struct network *from, uint64_t most,
                 int64_t within, int64_t now)
{
    must_be(door, DOOR_MAGIC);
    must(most > 0 && within > 0);
    struct visitor *visitor = visitor_take(door, key_of(door, what, from));
    if (!visitor)
        return true;
    int64_t each = within / (int64_t)most, empty = visitor->empty > now ? visitor->empty : now;
    if (empty - now > within - each)
        return false;
    visitor->empty = empty + each;
    return true;
}

uint32_t door_sessions(const struct door *door, const struct network *from)
{
    const struct visitor *visitor = visitor_find(door, key_of(door, OF_NETWORK, from));
    return visitor ? visitor->sessions : 0;
}

bool door_enter(struct door *door, const struct network *from)
{
    must_be(door, DOOR_MAGIC);
    struct visitor *visitor = visitor_take(door, key_of(door, OF_NETWORK, from));
    if (!visitor)
        return false;
    if (visitor->sessions++ == 0)
        TAILQ_REMOVE(&door->idle, visitor, link);
    return true;
}

void door_leave(struct door *door, const struct network *from)
{
    struct visitor *visitor = visitor_find(door, key_of(door, OF_NETWORK, from));
    must(visitor && visitor->sessions > 0);
    if (--visitor->sessions == 0)
        TAILQ_INSERT_TAIL(&door->idle, visitor, link);
}

size_t door_remembered(const struct door *door)
{
    return HASH_COUNT(door->visitors);
}
