/*
 * An operator's command as core runs it (core/admin.h): for house_do and house_errand. On a fiber
 * of core, which may be killed in the middle of it.
 */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

#include "core/core.h"

enum {
    COMMAND_ANSWER = 4000 /* octets */
};

/* What a command printed; what does not fit is left out. */
struct command_answer {
    char text[COMMAND_ANSWER];
    size_t n;
};

/* Words with one space between them. `input` is its standard input. `answer`: JSON, or NULL. The
 * exit code. */
int command_run(struct core *core, const char *text, struct str input,
                struct command_answer *answer);

#endif
