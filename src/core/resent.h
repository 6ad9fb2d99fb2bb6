/*
 * Messages that a client may send again because it never learnt of our 250 (RFC 1047). A message
 * counts as resent only if the connection ended before its client sent anything after our 250; then
 * the same client, envelope and body within smtp.resent_window gets a 250 with the first id, and
 * nothing is added. Two completed transactions are always two messages.
 *
 * States of an accepted message, as core sees it (doc/invariants.md R1..R4):
 *   R1 open     the 250 is on its way; in memory, with the peer that will say how it went on
 *   R2 seen     its client went on: forgotten
 *   R3 unseen   its session ended first, or its edge did: an entry in PARTITION_RESENT, until
 *               the window is over
 *   R4 tried    known by the edge's token of that try: in memory; in the log's tail; in the trace
 * A core that dies forgets R1: its edges live on, learn by token what became of a try that had no
 * answer (ask_commit), and name to the next core, by token, what they still had open or had not
 * yet been told to be kept (tries). If edge and core die together nobody knows, and a client that
 * repeats is believed.
 *
 * The token is what makes a message an edge's own, also to a core that did not answer it: its edge
 * made it of 16 random octets, and no other edge ever sees it.
 */
#ifndef CORE_RESENT_H
#define CORE_RESENT_H

#include "base/arena.h"
#include "base/err.h"
#include "bus/messages.h"
#include "store/engine.h"
#include "sys/fiber.h"
#include "sys/world.h"

struct peer;
struct resent;

enum {
    RESENT_KEY_SIZE = 16, /* of the digest over client, envelope and body */
    TRY_TOKEN_SIZE = 16,
    TRY_TAG_SIZE = TRY_TOKEN_SIZE + 8 + RESENT_KEY_SIZE,    /* a commit's tag in the log */
    TRY_TEXT_SIZE = 2 * (TRY_TOKEN_SIZE + RESENT_KEY_SIZE), /* a try in the trace */
    TRIES_KEPT = 65536,  /* tokens in memory; older ones are looked for in the trace */
    OPENS_MAX = 262144,  /* R1 at a time; beyond it a repetition is not recognised */
    UNSEEN_MAX = 262144, /* R3 at a time; as above */
};

struct resent_key {
    unsigned char octets[RESENT_KEY_SIZE];
};

/* R0: a try between COMMIT and its answer. In the memory of whoever works on it. */
struct resent_flight {
    LIST_ENTRY(resent_flight) link; /* of those in flight, or of the lost ones */
    struct resent_key key;
    struct peer *peer;
    bool lost; /* its edge is gone: whoever sent it may try again before we have answered */
};

struct try_token {
    unsigned char octets[TRY_TOKEN_SIZE];
};

/* What an edge says about a try of its own. */
struct try_report {
    struct try_token token;
    uint64_t message; /* as the edge knows it: where the trace of the try is */
    enum try_end end;
};

/* Before local_open, so that resent_replayed can be given to it. NULL: no memory. */
struct resent *resent_new(struct world *world);
void resent_free(struct resent *resent);
/* For local_open: a commit in the log's tail. `arg` is the struct resent. */
void resent_replayed(void *arg, struct str tag, const struct op *ops, size_t count);
/* Reads R3 from the store. May yield. */
struct err resent_load(struct resent *resent, struct engine *engine);
void resent_set_window(struct resent *resent, int64_t window); /* ns; 0: off */

/* The key of a message: who sent it, from whom, to whom (in any order), which body. */
struct resent_key resent_key(struct str client, struct str reverse_path, struct str *recipients,
                             size_t count, struct str digest);

/* The tag that makes a commit known after a crash; TRY_TAG_SIZE octets. */
void resent_tag(unsigned char tag[TRY_TAG_SIZE], struct try_token token, uint64_t message,
                struct resent_key key);

/* The try in the trace of its message, TRACE_try: how it is known when the log's tail is applied.
 */
void resent_try_print(struct try_token token, struct resent_key key, char text[TRY_TEXT_SIZE]);

/* Was this very message accepted before from a session that ended unseen? Its id, or 0: also while
 * another session has it as its repetition, for two sessions that complete are two messages. */
uint64_t resent_find(struct resent *resent, struct resent_key key);

/*
 * May yield: a try begins. Where the same message is in flight for an edge that is gone, this may
 * be its repetition and waits until that is decided; so it does while a report is looked at. Then
 * resent_find knows. resent_flight_end belongs to every begin.
 */
void resent_flight_begin(struct resent *resent, struct peer *peer, struct resent_key key,
                         struct resent_flight *flight);
/* Its edge is gone. */
void resent_flight_lose(struct resent *resent, struct resent_flight *flight);
void resent_flight_end(struct resent *resent, struct resent_flight *flight);

/* R1: accepted; `peer` will say how the session went on. */
void resent_open(struct resent *resent, struct peer *peer, struct try_token token, uint64_t message,
                 struct resent_key key);
/* May yield. R3 -> R1: recognised; the entry names the try that repeats it now. */
void resent_repeat(struct resent *resent, struct peer *peer, struct try_token token,
                   uint64_t message, struct resent_key key);
/* R1 -> R2; of a message that is not open with this peer: nothing. */
void resent_seen(struct resent *resent, const struct peer *peer, uint64_t message);
/* R1 -> R3; as above. */
void resent_unseen(struct resent *resent, const struct peer *peer, uint64_t message);
/*
 * May yield, until it is durable. Reports about tries that are open with this peer, or that an
 * earlier core answered: R1 (again), R1 -> R2, R1 -> R3. Of any other try: nothing. An error: it is
 * done, but may be forgotten with this core.
 */
struct err resent_reported(struct resent *resent, struct peer *peer,
                           const struct try_report *reports, size_t count);
/* All R1 of an edge that is gone -> R3; its R0 are lost. */
void resent_peer_gone(struct resent *resent, struct peer *peer);

/* May yield. R4: the message accepted under this token, or 0. It is R1 with `peer` where it is not
 * decided yet; *repeated_r: the try was a repetition. `message`: as in a report. */
uint64_t resent_ask(struct resent *resent, struct peer *peer, struct str token, uint64_t message,
                    bool *repeated_r);

/* Removes what is past the window. Call it now and then; never yields. */
void resent_expire(struct resent *resent);

#endif
