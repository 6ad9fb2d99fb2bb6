/*
 * Which terminal a user is shown something on: of those where he is logged in and lets others
 * write, the one that he typed at last. Pure, but for what `look` looks at.
 */
#ifndef TERMINAL_SEATS_H
#define TERMINAL_SEATS_H

#include "sys/terminals.h"

/* A terminal of utmp may be named so: beneath /dev, by parts of letters, digits, '_' and '-'. */
bool seat_is_named_well(const char *line);

/*
 * NULL: there is none. Where utmp has a terminal twice, the later log-in has it: an entry that was
 * left behind would lead to somebody else's screen. The first of those used at the same time is
 * taken.
 */
const struct terminal_login *seat_choose(const struct terminal_login *logins, size_t count,
                                         struct str user,
                                         struct terminal_state (*look)(const char *line));

#endif
