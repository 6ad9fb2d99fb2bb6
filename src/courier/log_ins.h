/*
 * A thread of the courier's for what a log-in computes: the key of a SCRAM password takes tenths of
 * a second, and other servers' mail does not wait for it. It begins with the first of them.
 */
#ifndef COURIER_LOG_INS_H
#define COURIER_LOG_INS_H

#include "sys/loop.h"

struct log_ins;

/* Not before the sandbox has closed. NULL: no memory, or no thread is to be had. */
struct log_ins *log_ins_new(struct loop *loop);
/* Blocks until what runs is done. NULL is allowed. */
void log_ins_free(struct log_ins *log_ins);
/* May yield: `run(arg)` on the thread; at once where there is none. */
void log_ins_call(struct log_ins *log_ins, void (*run)(void *arg), void *arg);

#endif
