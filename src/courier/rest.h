/*
 * Connections between two jobs: one that served a job well waits sending.idle for the next of the
 * same destination, which then needs neither DNS nor a hello. What is heard from it meanwhile is
 * its end. With the connections of jobs there are never more than sending.connections: the one that
 * has rested longest goes.
 */
#ifndef COURIER_REST_H
#define COURIER_REST_H

#include "courier/connection.h"

/* Whose jobs may share a connection: same route or domain, same log-in, and the same word about
 * REQUIRETLS and TLS-Required: what is in clear, or proves nothing, is nothing for who asks for
 * more. malloc'd; NULL: no memory, or never shared. */
char *rest_destination(const struct job *job);

/* It is the courier's now: rests, or leaves where nobody could use it. */
void rest_put(struct connection *connection);
/* NULL: none for this job rests. It is the caller's then, paused. */
struct connection *rest_take(const struct job *job);
/* connection.c: it ends while it rests. */
void rest_remove(struct connection *connection);
/* The oldest go, where there are more than places for connections (places.h). Never yields. */
void rest_make_room(struct courier *courier);
/* All leave. */
void rest_end(struct courier *courier);

#endif
