/*
 * Why by prefix length and not a tree: nearly all bans are single addresses, /32 and /64, so two
 * look-ups in a hash find any of them, and an operator's /8 adds a third.
 */
#include "trust/bans.h"

#include "base/must.h"

enum {
    CHAINS = 32768, /* a power of two above BANS_MOST */
    NONE = 0,       /* places in chains are counted from 1 */
};

struct place {
    struct ban ban;
    uint32_t next;
};

struct bans {
    unsigned char key[SIPHASH_KEY];
    size_t count, most;
    uint32_t of_length[NETWORK_BITS + 1];
    uint32_t chains[CHAINS];
    struct place places[];
};

struct bans *bans_open(size_t most, const unsigned char key[SIPHASH_KEY])
{
    must(most > 0 && most <= BANS_MOST);
    struct bans *bans = calloc(1, sizeof(*bans) + most * sizeof(struct place));
    if (!bans)
        return NULL;
    bans->most = most;
    memcpy(bans->key, key, sizeof(bans->key));
    return bans;
}

void bans_close(struct bans *bans)
{
    free(bans);
}

static size_t chain_of(const struct bans *bans, const struct network *network)
{
    unsigned char text[NETWORK_OCTETS + 1];
    memcpy(text, network->octets, NETWORK_OCTETS);
    text[NETWORK_OCTETS] = network->bits;
    return siphash(bans->key, str_make(text, sizeof(text))) % CHAINS;
}

/* Where the place's number stands: the head of its chain, or the one before it. NULL: nowhere. */
static uint32_t *link_of(struct bans *bans, const struct network *network)
{
    uint32_t *at = &bans->chains[chain_of(bans, network)];
    while (*at != NONE && !network_eq(&bans->places[*at - 1].ban.network, network))
        at = &bans->places[*at - 1].next;
    return *at == NONE ? NULL : at;
}

static const struct ban *look(const struct bans *bans, const struct network *network)
{
    uint32_t at = bans->chains[chain_of(bans, network)];
    while (at != NONE && !network_eq(&bans->places[at - 1].ban.network, network))
        at = bans->places[at - 1].next;
    return at == NONE ? NULL : &bans->places[at - 1].ban;
}

const struct ban *bans_of(const struct bans *bans, const struct network *network)
{
    return bans->of_length[network->bits] ? look(bans, network) : NULL;
}

const struct ban *bans_find(const struct bans *bans, const struct network *network, int64_t now)
{
    const struct ban *found = NULL;
    for (unsigned bits = 0; bans->count > 0 && bits <= network->bits; bits++) {
        if (!bans->of_length[bits])
            continue;
        struct network outer = network_of(network, bits);
        const struct ban *ban = look(bans, &outer);
        if (ban && ban->until > now && (!found || ban->until > found->until))
            found = ban;
    }
    return found;
}

static bool goes_before(const struct ban *a, const struct ban *b)
{
    return a->by_hand != b->by_hand ? b->by_hand : a->until < b->until;
}

static struct ban first_to_go(const struct bans *bans)
{
    const struct ban *first = &bans->places[0].ban;
    for (size_t i = 1; i < bans->count; i++)
        if (goes_before(&bans->places[i].ban, first))
            first = &bans->places[i].ban;
    return *first;
}

bool bans_put(struct bans *bans, const struct ban *ban, struct ban *dropped_r)
{
    uint32_t *same = link_of(bans, &ban->network);
    if (same) {
        bans->places[*same - 1].ban = *ban;
        return false;
    }
    bool full = bans->count == bans->most;
    if (full) {
        *dropped_r = first_to_go(bans);
        bans_remove(bans, &dropped_r->network);
    }
    uint32_t *head = &bans->chains[chain_of(bans, &ban->network)];
    bans->places[bans->count] = (struct place){.ban = *ban, .next = *head};
    *head = (uint32_t)++bans->count;
    bans->of_length[ban->network.bits]++;
    return full;
}

bool bans_remove(struct bans *bans, const struct network *network)
{
    uint32_t *at = link_of(bans, network);
    if (!at)
        return false;
    size_t place = *at - 1, last = bans->count - 1;
    bans->of_length[network->bits]--;
    *at = bans->places[place].next;
    if (place != last) {
        uint32_t *of_last = link_of(bans, &bans->places[last].ban.network);
        must(of_last);
        *of_last = (uint32_t)place + 1;
        bans->places[place] = bans->places[last];
    }
    bans->count--;
    return true;
}

void bans_clear(struct bans *bans)
{
    bans->count = 0;
    memset(bans->of_length, 0, sizeof(bans->of_length));
    memset(bans->chains, 0, sizeof(bans->chains));
}

size_t bans_count(const struct bans *bans)
{
    return bans->count;
}

const struct ban *bans_at(const struct bans *bans, size_t index)
{
    must(index < bans->count);
    return &bans->places[index].ban;
}
