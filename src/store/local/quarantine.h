/*
 * quarantine/: what was found damaged and set aside (doc/format.md). The folder is made when it is
 * first needed. Everything here waits for the disk, and is durable when it returns.
 */
#ifndef STORE_LOCAL_QUARANTINE_H
#define STORE_LOCAL_QUARANTINE_H

#include "base/err.h"
#include "base/str.h"
#include "sys/world.h"

enum {
    QUARANTINE_NAME_MAX = 64,
};

/* Moves the file `from` (a path in the store's folder) to quarantine/NAME. The folder it leaves is
 * the caller's to sync. ERR_NOT_FOUND: there is none. */
struct err quarantine_move(struct world *world, int store_folder, struct str from, struct str name);
/* Writes quarantine/NAME. */
struct err quarantine_write(struct world *world, int store_folder, struct str name,
                            struct str octets);

#endif
