/*
 * The rows of conf.def as a table that code can walk, and the values behind them: each type knows
 * how it is read, checked and printed, so no setting has code of its own.
 */
#ifndef CONF_ROWS_H
#define CONF_ROWS_H

#include "conf/conf.h"

enum setting_type {
    TYPE_HOST,
    TYPE_PATH,
    TYPE_ADDRESS,
    TYPE_MARK,
    TYPE_FLAG,
    TYPE_COUNT,
    TYPE_BYTES,
    TYPE_DURATION,
    TYPE_LISTEN,
    TYPE_NETWORKS,
    TYPE_CHOICE_log,
    TYPE_CHOICE_word,
    TYPE_CHOICE_verify
};

enum setting_reload {
    RELOAD_NOW,
    RELOAD_START
};

struct setting {
    const char *section; /* "server": outside of any block */
    const char *name;
    enum setting_type type;
    size_t offset; /* in struct conf */
    size_t size;   /* of the value */
    const char *standard;
    uint64_t least, most;
    enum setting_reload reload;
    const char *help;
};

struct section {
    const char *name;
    const char *help;
};

enum {
#define SECTION(name, help)
#define SECTION_END(name)
#define SETTING(section, name, type, standard, least, most, reload, help)                          \
    SETTING_##section##_##name,
#include "conf/conf.def"
#undef SETTING
#undef SECTION
#define SETTING(section, name, type, standard, least, most, reload, help)
    SETTING_COUNT,
    SECTION_FIRST = -1,
#define SECTION(name, help) SECTION_##name,
#include "conf/conf.def"
#undef SECTION
#undef SECTION_END
#undef SETTING
    SECTION_COUNT
};

extern const struct setting setting_rows[SETTING_COUNT];
extern const struct section section_rows[SECTION_COUNT];

/* Does a setting of this type take several values? */
bool setting_is_list(const struct setting *setting);

/*
 * Reads the words of a value into its place in conf. False: `why` got what is wrong and what was
 * expected, as the middle of a message. Texts go into the arena; a full arena is left to arena_over
 * (the result is then true and useless).
 */
bool value_parse(const struct setting *setting, const struct str *words, size_t count,
                 struct str folder, struct arena *arena, struct conf *conf, struct buf *why);
/* As value_parse reads it. */
void value_print(const struct setting *setting, const struct conf *conf, struct buf *to);
/* "a size from 1K to 2G, such as 50M": what a value of this setting looks like. */
void value_expected(const struct setting *setting, struct buf *to);
/* The names of a choice; NULL for other types. Ends with NULL. */
const char *const *value_choices(enum setting_type type);

#endif
