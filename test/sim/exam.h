/*
 * The exam of log-ins, in fair weather, behind everything else that was done: what must hold there
 * to the letter, because nothing is in its way (doc/testing.md).
 */
#ifndef SIM_EXAM_H
#define SIM_EXAM_H

struct sim;

void exam(struct sim *sim);

#endif
