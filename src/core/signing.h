/*
 * Signatures on what we send (DKIM): the keys of all domains, in core's memory alone. No message of
 * the bus carries one; what leaves is a finished field.
 *
 * Keys are loaded when core opens, and anew for a domain when a command or the schedule changed
 * them; store/dkim.h says which states a key has, and which of them sign. Numbers of RSA keys lie
 * in the memory that is neither swapped nor dumped (core/keys.h), which has room for those of about
 * 4,000 domains.
 *
 * RSA is computed on a lane of its own, so that neither handshakes nor log-ins wait for it.
 */
#ifndef CORE_SIGNING_H
#define CORE_SIGNING_H

#include "core/core.h"
#include "store/dkim.h"
#include "trust/dkim.h"

enum {
    SIGNING_THREADS = 2,
    SIGNING_WAITING_MAX = 10000, /* signatures that wait; then ERR_TRY_LATER */
    SIGNING_CHORES_MAX = 100,    /* keys made or retired in one look */
};
#define SIGNING_LOOK (3600 * NS_PER_SECOND)
#define SIGNING_REMIND (24 * 3600 * NS_PER_SECOND)

struct signing;

/* Of core_open and core_close. On a fiber; may yield. A key that cannot be read is told to the log,
 * and what it would have signed goes without. */
struct err signing_open(struct core *core);
void signing_close(struct core *core);

/*
 * The fields to be put in front of a message, each with its CR LF: one for each kind of key that
 * signs for this very domain. Empty where there is none, and where dkim.sign is off.
 *
 *   from_domain  of the From field (header_from_check's author): the d= that DMARC looks at
 *   headers      as they will be sent, from the first field on, to the empty line or the end
 *   body_hash    dkim_hash_end's
 *   now          wall, microseconds since 1970
 *   arena        takes the fields, and DKIM_SIGN_ARENA_MORE and twice the header for each on the
 * way
 *
 * May yield; all that is given must live as long. ERR_OVER_LIMIT (dkim_sign); ERR_TRY_LATER: too
 * many wait; ERR_NO_MEMORY.
 */
struct err signing_fields(struct core *core, struct str from_domain, struct str headers,
                          const unsigned char body_hash[DKIM_HASH], int64_t now,
                          struct arena *arena, struct str *fields_r);

/* A domain's keys were changed in the store: from now on those sign that are there. May yield; on
 * an error they are what they were. */
struct err signing_reload(struct core *core, struct str domain);

/* --- Making and ending keys (signing_keys.c); all may yield ----------------------------------- */

/* A new pair of keys, made on the lane and kept: K1 (dkim_kept_add, whose errors are its errors).
 * For any process that has the store. */
struct err signing_make(struct engine *engine, struct lane *lane, struct str domain, bool first,
                        int64_t now);

/* A TXT record was seen in the DNS at a name of dkim_record_name: where it publishes a key that
 * waits for that, this key signs from now on and the one before it retires. ERR_CONFIG with a
 * literal detail: what is wrong with the record. ERR_NOT_FOUND: no such key. */
struct err signing_published(struct core *core, struct str domain, struct str selector,
                             struct str txt);

/*
 * Asks the DNS for the record of a key; one that waits for it signs from then on. *said_r: what was
 * found, in words, a literal or in the arena. ERR_NOT_FOUND: it is not there, or says something
 * else; ERR_TRY_LATER: nobody knows; errors of signing_published.
 */
struct err signing_seek(struct core *core, struct str domain, struct str selector,
                        struct arena *arena, struct str *said_r);

/* Of core's duties; looks every SIGNING_LOOK: records that are waited for are asked of the DNS; the
 * next keys are made where those that sign are older than dkim.rotate_every, and those that retired
 * before dkim.keep_old end. What an operator has to do about it goes into the log as a warning,
 * once a day. */
struct err signing_duty(struct core *core);

#endif
