/*
 * The table is opened with the first ban: most edges never have one. What a core that was taken
 * over could say here is nonsense, which is left out, or bans, which end.
 */
#include "edge/bans.h"

enum {
    BAN_SECONDS_MOST = 400 * 86400 /* longer than any setting */
};

static bool is_open(struct edge *edge)
{
    unsigned char key[SIPHASH_KEY];
    if (edge->bans)
        return true;
    world_random(edge->world, key, sizeof key);
    edge->bans = bans_open(BANS_MOST, key);
    return edge->bans != NULL;
}

static void ban_told(struct edge *edge, const struct msg_ban *told)
{
    struct ban dropped, ban = {.since = edge->loop->now};
    uint64_t seconds = told->seconds < BAN_SECONDS_MOST ? told->seconds : BAN_SECONDS_MOST;
    if (!network_parse(told->network, &ban.network))
        return;
    ban.until = edge->loop->now + (int64_t)seconds * NS_PER_SECOND;
    (void)bans_put(edge->bans, &ban, &dropped);
}

void edge_bans_told(struct edge *edge, const struct msg_bans *told)
{
    if (!is_open(edge))
        return;
    for (size_t i = 0; i < told->bans_count; i++)
        ban_told(edge, &told->bans[i]);
}

void edge_ban_lifted(struct edge *edge, const struct msg_ban_lifted *lifted)
{
    struct network network;
    if (edge->bans && network_parse(lifted->network, &network))
        (void)bans_remove(edge->bans, &network);
}

void edge_bans_forget(struct edge *edge)
{
    if (edge->bans)
        bans_clear(edge->bans);
}

void edge_bans_close(struct edge *edge)
{
    bans_close(edge->bans);
    edge->bans = NULL;
}

bool edge_is_banned(const struct edge *edge, struct str client)
{
    struct network address;
    return edge->bans && bans_count(edge->bans) > 0 && network_address(client, &address) &&
           bans_find(edge->bans, &address, edge->loop->now);
}
