/*
 * Networks as text and in order. What is kept is ascending, and none lies within another: two
 * networks are either apart or one holds the other, so the inner ones add nothing, and the one that
 * can hold an address is found by halving.
 */
#ifndef CONF_NETWORKS_H
#define CONF_NETWORKS_H

#include "conf/mistakes.h"

/* As network_parse. False: `why` got what is wrong. */
bool networks_parse_one(struct str word, struct network *network_r, struct buf *why);
/* As it is read; an address without a length. */
void networks_print_one(const struct network *network, struct buf *to);

/* Puts them in order and takes out what lies within another. */
void networks_settle(struct conf_networks *networks);
/* Adds to *steps how many networks were looked at; NULL: uncounted. */
bool networks_hold_counted(const struct conf_networks *networks, struct str address, size_t *steps);

/* The text of a list's file: an address or a network on each line, # and what follows is a comment.
 * What is wrong is told with its line. */
void networks_read(struct str text, struct str file, struct mistakes *mistakes, struct arena *arena,
                   struct conf_networks *networks_r);

#endif
