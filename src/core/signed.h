/*
 * Which messages leave with signatures (doc/sending.md, 8): those of users and of clients that may
 * relay, by the domain of their From where that has keys, and reports of our own. What strangers
 * send and we send on is never signed (catalogue D07). Inside src/core only. All may yield.
 */
#ifndef CORE_SIGNED_H
#define CORE_SIGNED_H

#include "core/delivery.h"
#include "core/transaction.h"
#include "format/header.h"
#include "trust/dkim.h"

/*
 * The fields to be put in front of a message that the request commits and that leaves; empty where
 * none are due. `header`: arrived_header's. A user's message is signed only where its author is one
 * of those that were judged. Errors of signing_fields, but for headers of too many fields, which
 * leave unsigned: the log is told.
 */
struct err signed_fields(const struct request *request, const struct transaction *transaction,
                         struct str header, struct arena *arena, struct str *fields_r);

/* Whose From it is; false: nobody's for certain. Texts are the arena's. */
bool signed_author(struct str header, struct arena *arena, struct header_author *author_r);

/* What signs for this very domain, as signing_fields; empty: nothing does. */
struct err signed_header(struct core *core, struct str domain, struct str headers,
                         const unsigned char hash[DKIM_HASH], struct arena *arena,
                         struct str *fields_r);

/* A report of ours with its signatures in front, by the domain of our host's name or one above it
 * that has keys; as it is where none has. */
struct err signed_report(struct delivery *delivery, struct str report, struct str *signed_r);

/* A message of ours, from an address of this domain: the same by its keys, or those of one above
 * it. */
struct err signed_by(struct delivery *delivery, struct str domain, struct str text,
                     struct str *signed_r);

#endif
