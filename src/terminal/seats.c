/*
 * Why the time of the last key and not of the log-in: who has ten windows sits at one of them.
 */
#include "terminal/seats.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool seat_is_named_well(const char *line)
{
    bool part = false; /* the part so far has a character */
    for (; *line; line++) {
        if (*line == '/' ? !part : !is_word(*line))
            return false;
        part = *line != '/';
    }
    return part;
}

static bool is_taken_over(const struct terminal_login *logins, size_t count,
                          const struct terminal_login *login)
{
    for (size_t i = 0; i < count; i++)
        if (logins[i].since > login->since && strcmp(logins[i].line, login->line) == 0)
            return true;
    return false;
}

const struct terminal_login *seat_choose(const struct terminal_login *logins, size_t count,
                                         struct str user,
                                         struct terminal_state (*look)(const char *line))
{
    const struct terminal_login *chosen = NULL;
    int64_t heard = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        const struct terminal_login *login = &logins[i];
        if (!str_eq(str_from(login->user), user) || !seat_is_named_well(login->line) ||
            is_taken_over(logins, count, login))
            continue;
        struct terminal_state state = look(login->line);
        if (!state.accepts || state.heard <= heard)
            continue;
        chosen = login;
        heard = state.heard;
    }
    return chosen;
}
