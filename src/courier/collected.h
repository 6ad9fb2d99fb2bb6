/*
 * Connections of clients that collect their mail (ATRN; doc/sending.md, 12). The other side has
 * connected, logged in and asked; core gives the end of it here, and we are the SMTP client from
 * its greeting on. A connection serves the jobs that name its collection, one at a time, and no
 * others; with its end it is told to core (collection_ended).
 *
 * A job that does not find its connection ends without a result: it was not tried.
 */
#ifndef COURIER_COLLECTED_H
#define COURIER_COLLECTED_H

#include "courier/connection.h"

/* Core's `collection`. Takes the handle over; one that cannot be used is closed and told. */
void collected_begin(struct courier *courier, const struct msg_collection *collection, int handle);
/* Core's `collection_over`: QUIT, behind the job that runs. */
void collected_over(struct courier *courier, uint64_t collection);
/* May yield: the job's message by the connection of its collection. */
void collected_send(struct job *job);
/* The connection ends, or says QUIT: it is nobody's any more. connection.c's. */
void collected_part(struct connection *connection);
/* Core went away, or we end: as if it had said that all are over. */
void collected_end(struct courier *courier);

#endif
