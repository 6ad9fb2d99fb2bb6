/*
 * Routes (doc/sending.md, 3), judged by what sites took:
 *
 *  1. mail that a block holds for goes to its hosts, all other to its domain's MX; by a
 *     configuration that was in force since its job began, or as an operator rerouted it
 *  2. no message has more recipients than its block says
 *  3. within the hour that slides (store/sending.h), no more recipients and messages than its block
 *     says, over deaths of core, too. What a core gave that died with its courier before it could
 *     record it is not counted: nobody knows of it
 *  4. what waits for a limit until its time is over waits because others go: four fifths of an
 *     hour's went in the last one, where all was well
 */
#ifndef SIM_LAW_ROUTES_H
#define SIM_LAW_ROUTES_H

#include "law_order.h"

struct letter;

/* At the end of a run. letter NULL: it is a report. */
void routes_judge(struct sim *sim, const struct order_question *question,
                  const struct letter *letter);
void routes_judge_limits(struct sim *sim);

#endif
