/*
 * Networks that core told to be turned away at the connection (struct bans, trust/bans.h). All of
 * them come behind core's welcome, later what is new and what was lifted; a ban ends by itself. Of
 * an edge that strangers send mail to there are none: bans are about log-ins. Never yields.
 */
#ifndef EDGE_BANS_H
#define EDGE_BANS_H

#include "edge/edge.h"

/* Without memory nobody is banned here; core turns away who is at the log-in. */
void edge_bans_told(struct edge *edge, const struct msg_bans *told);
void edge_ban_lifted(struct edge *edge, const struct msg_ban_lifted *lifted);
/* A new core tells all anew. */
void edge_bans_forget(struct edge *edge);
void edge_bans_close(struct edge *edge);

/* By its address as text. */
bool edge_is_banned(const struct edge *edge, struct str client);

#endif
