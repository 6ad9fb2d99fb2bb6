/*
 * Counted by client and not by session, so that a hundred sessions with one guess each are no
 * better than one with a hundred. A slow session costs what an idle one costs: no fiber sleeps.
 */
#include "edge/smtp/pace.h"

enum {
    ONE_V4 = 32 /* bits: an address by itself */
};

/* False: nobody whose pace is minded. */
static bool is_minded(const struct smtp_session *s, struct network *from_r)
{
    struct network address;
    struct str client = edge_session_client(&s->base);
    if (s->base.listen != LISTEN_SMTP || !network_address(client, &address) ||
        conf_networks_hold(&smtp_conf(s)->smtp.unlimited_from, client))
        return false;
    /* One host may have all addresses of a /64. */
    *from_r = network_cut(&address, ONE_V4, DOOR_V6);
    return true;
}

bool smtp_pace_message(struct smtp_session *s)
{
    struct edge *edge = s->base.edge;
    struct network from;
    uint64_t most = smtp_conf(s)->smtp.messages_per_minute;
    return most == 0 || !is_minded(s, &from) ||
           door_passes(edge->door, DOOR_MESSAGES, &from, most, PACE_MESSAGES_IN, edge->loop->now);
}

void smtp_pace_unknown(struct smtp_session *s)
{
    struct edge *edge = s->base.edge;
    const struct conf *conf = smtp_conf(s);
    struct network from;
    if (conf->smtp.tarpit > 0 && is_minded(s, &from) &&
        !door_passes(edge->door, DOOR_UNKNOWN, &from, conf->smtp.tarpit_after, PACE_UNKNOWN_IN,
                     edge->loop->now))
        s->slow_until = edge->loop->now + conf->smtp.tarpit;
}
