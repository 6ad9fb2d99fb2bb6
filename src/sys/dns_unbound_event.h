/*
 * struct ub_event_base of libunbound (unbound-event.h) on a struct loop: its sockets are watches
 * of ours, its timers are our timers. Only dns_unbound.c includes this.
 */
#ifndef SYS_DNS_UNBOUND_EVENT_H
#define SYS_DNS_UNBOUND_EVENT_H

#include <sys/time.h>
#include <unbound-event.h>

#include "sys/loop.h"

struct unbound_base {
    struct ub_event_base base;      /* first: libunbound knows no more */
    struct ub_event_base_vmt table; /* libunbound wants tables that could be written to */
    struct ub_event_vmt event_table;
    struct loop *loop;
    size_t events; /* that are not freed */
};

void unbound_base_init(struct unbound_base *base, struct loop *loop);

#endif
