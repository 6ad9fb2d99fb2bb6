/*
 * A table without chains: what matters are the addresses that get mail all the time, and they come
 * back by themselves where another has taken their place.
 */
#include "edge/smtp/known.h"

#include "base/hash.h"
#include "edge/smtp/session.h"

static struct smtp_known *known_now(struct edge *edge)
{
    struct smtp_shared *shared = edge->smtp;
    struct smtp_known *known = &shared->known;
    if (known->core_since != edge->core_since || known->changes != edge->directory_changes) {
        memset(known, 0, sizeof *known);
        known->core_since = edge->core_since;
        known->changes = edge->directory_changes;
    }
    return known;
}

/* Never 0, which no address has. */
static uint64_t hash_both(struct str address, struct str server)
{
    return XXH3_64bits_withSeed(address.p, address.n, XXH3_64bits(server.p, server.n)) | 1;
}

void smtp_known_add(struct edge *edge, struct str address, struct str server)
{
    struct smtp_known *known = known_now(edge);
    uint64_t hash = hash_both(address, server);
    known->at[hash / 2 % SMTP_KNOWN].hash = hash;
    known->at[hash / 2 % SMTP_KNOWN].until = edge->loop->now + SMTP_KNOWN_FOR;
}

void smtp_known_drop(struct edge *edge, struct str address, struct str server)
{
    struct smtp_known *known = known_now(edge);
    uint64_t hash = hash_both(address, server);
    if (known->at[hash / 2 % SMTP_KNOWN].hash == hash)
        known->at[hash / 2 % SMTP_KNOWN].hash = 0;
}

bool smtp_known_has(struct edge *edge, struct str address, struct str server)
{
    struct smtp_known *known = known_now(edge);
    uint64_t hash = hash_both(address, server);
    return known->at[hash / 2 % SMTP_KNOWN].hash == hash &&
           known->at[hash / 2 % SMTP_KNOWN].until > edge->loop->now;
}

void smtp_known_id_add(struct edge *edge, uint64_t id)
{
    struct smtp_known *known = known_now(edge);
    if (known->id_count == SMTP_KNOWN_IDS)
        return;
    known->ids[known->id_count].id = id;
    known->ids[known->id_count++].until = edge->loop->now + SMTP_KNOWN_FOR;
}

uint64_t smtp_known_id_take(struct edge *edge)
{
    struct smtp_known *known = known_now(edge);
    if (known->id_count > 0 && known->ids[known->id_count - 1].until <= edge->loop->now)
        known->id_count = 0;
    return known->id_count > 0 ? known->ids[--known->id_count].id : 0;
}
