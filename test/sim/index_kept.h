/*
 * An index that outlives the core that uses it, as a file does: a sorted map (index_map_open) whose
 * memory is nobody's (sys/fake/memory.h), so that killing the role leaves it as the last finished
 * write left it. Closing it keeps it too; it goes with kept_index_free.
 *
 * Driver and role code may call it; never yields.
 */
#ifndef SIM_INDEX_KEPT_H
#define SIM_INDEX_KEPT_H

#include "store/local/index.h"

struct index *kept_index_open(void);
/* The role that used it is dead: its views end. */
void kept_index_abandon(struct index *index);
void kept_index_free(struct index *index);

#endif
