/*
 * When nothing may be sent (doc/sending.md, 2 and 11), judged by the trace, the operator's commands
 * (hand.h) and what sites took:
 *
 *  1. what an operator removed, and what was given up, is taken by no site later
 *  2. what he holds is not tried until the next release begins
 *  3. what goes to a destination that he paused is not tried until the next resume begins
 *
 * All but what was under way when his command was answered: that may end, once, by the courier that
 * had it.
 */
#ifndef SIM_LAW_ORDER_H
#define SIM_LAW_ORDER_H

#include "store/trace.h"

struct sim;

/* A message, and all that its trace says. */
struct order_question {
    uint64_t message;
    const struct trace_event *events;
    size_t count;
    bool routed; /* a route may hold for it by who sends it */
};

/* At the end of a run. */
void order_judge(struct sim *sim, const struct order_question *question);
void order_judge_pauses(struct sim *sim);

/* Was mail to this address kept from leaving by a pause, for so long that it may have expired? A
 * resume that failed ended none. */
bool order_was_paused(const struct sim *sim, struct str recipient);
/* A text of an event, empty where it has none; when it was (mono); the domain of an address. */
struct str order_text(const struct trace_event *event, enum trace_field field);
int64_t order_mono(const struct sim *sim, int64_t wall);
struct str order_domain(struct str address);

#endif
