/*
 * Configurations that are replaced while somebody still looks at them: each is counted, and goes
 * with all its memory when the last one who held it lets it go.
 *
 * Whoever may look at a configuration behind a yield holds it: an edge's session that of its begin,
 * a request in core that of its begin, which holds all that come after it (conf_follow). A conf
 * that was not read by conf_held_read is its owner's, and holding it does nothing.
 */
#ifndef CONF_HELD_H
#define CONF_HELD_H

#include "conf/conf.h"

/* As conf_parse; on success it is held once, by the caller, and counted in *living until it goes.
 * The counter outlives it. */
struct err conf_held_read(struct str text, size_t *living, const struct conf **conf_r);

const struct conf *conf_hold(const struct conf *conf);
/* NULL is allowed. */
void conf_let_go(const struct conf *conf);

/* From now on whoever holds `old` may look at its successor as well. Once for each `old`. */
void conf_follow(const struct conf *old, const struct conf *successor);

#endif
