/*
 * SASLprep (RFC 4013): names and passwords in the one form in which they are compared, so that "é"
 * is "é" however a keyboard made it. ICU's tables, which are those of Unicode 3.2 for ever; ASCII
 * needs none of them. Callable on any thread: nothing is kept between calls. Never yields.
 *
 * A query is what a client brings to be compared; a stored string is what later queries will be
 * compared with. Code points that Unicode 3.2 had not assigned (emoji among them) are allowed in
 * queries only (RFC 3454 7): whoever stores one cannot know what other clients make of it.
 *
 * Results are in the arena, or are the input where it is in that form already. ICU keeps no copies,
 * but does not wipe what it worked with; a password in ASCII never gets there.
 *
 * Errors of all: ERR_NO_MEMORY; ERR_OS where ICU cannot load its tables.
 */
#ifndef TRUST_PREPARE_H
#define TRUST_PREPARE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PREPARE_MAX = 1024 /* octets, before and after */
};

/* A name that a client says: a query. ERR_SASL_SYNTAX: not UTF-8, prohibited characters (controls
 * too), nothing left, too long. */
struct err prepare_name(struct str name, struct arena *arena, struct str *prepared_r);

/*
 * A password at a log-in: a query. What SASLprep cannot prepare (not UTF-8, controls, nothing left,
 * too long) stays as it was typed: no new password is like that, but an imported hash may be of
 * one. An imported hash may also be of octets that were never prepared: see password_verify_typed.
 */
struct err prepare_password(struct str password, struct arena *arena, struct str *prepared_r);

/* A password that is being set: a stored string. ERR_USAGE with a literal detail where it cannot be
 * prepared, or is too long then (PASSWORD_MAX). */
struct err prepare_new_password(struct str password, struct arena *arena, struct str *prepared_r);

#endif
