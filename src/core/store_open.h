/*
 * Opening the store, in core and on the command line: the data folder, the index, the engine.
 */
#ifndef CORE_STORE_OPEN_H
#define CORE_STORE_OPEN_H

#include "conf/conf.h"
#include "core/resent.h"
#include "store/engine.h"
#include "sys/loop.h"

/* How much of the index is looked at before it is trusted. */
enum store_look {
    STORE_LOOK_ROOTS, /* a few pages: every start */
    STORE_LOOK_ALL,   /* every page: after a fault; about a second for a gigabyte */
};

/*
 * On a fiber, inside the sandbox, whose folder (the working folder) is the data folder. `resent`
 * may be NULL. ERR_STORE_LOCKED: another process has it open. ERR_NOT_FOUND: there is none and
 * `create` is false. *rebuilt_r: the index was damaged and is made anew from the log.
 */
struct err store_open(struct loop *loop, const struct conf *conf, bool create, enum store_look look,
                      struct resent *resent, struct engine **engine_r, bool *rebuilt_r);

#endif
