/*
 * Local parts that could be taken for others (UTS 39, catalogue S29): what a new name may be made
 * of, and the skeleton by which two names that look alike are found. ICU's spoof checker, and the
 * only file that knows it. Never yields.
 */
#ifndef STORE_LOOKALIKE_H
#define STORE_LOOKALIKE_H

#include "base/arena.h"
#include "base/err.h"

/* May a new name have this local part (NFC)? ERR_NAME_REFUSED with a literal detail: mixed scripts,
 * invisible characters, compatibility forms such as full-width letters, characters outside of UTS
 * 39's recommended set. ASCII passes. */
struct err lookalike_check(struct str local);

/* The skeleton of a folded local part, in the arena: equal for names that look alike. */
struct err lookalike_skeleton(struct str local, struct arena *arena, struct str *skeleton_r);

#endif
