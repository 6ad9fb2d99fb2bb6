/*
 * A file of its own because a lane's jobs and the courier's have one name.
 */
#include "courier/log_ins.h"

#include <stdlib.h>

#include "sys/worker.h"

struct log_ins {
    struct lane lane;
};

struct log_ins *log_ins_new(struct loop *loop)
{
    struct log_ins *log_ins = calloc(1, sizeof *log_ins);
    if (log_ins && lane_init(&log_ins->lane, loop, "log-ins", 1) == 0)
        return log_ins;
    free(log_ins);
    return NULL;
}

void log_ins_free(struct log_ins *log_ins)
{
    if (!log_ins)
        return;
    lane_done(&log_ins->lane);
    free(log_ins);
}

void log_ins_call(struct log_ins *log_ins, void (*run)(void *arg), void *arg)
{
    if (log_ins)
        lane_call(&log_ins->lane, run, arg);
    else
        run(arg);
}
