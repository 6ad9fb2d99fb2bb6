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
    TYPE_TEXT,
    TYPE_MARK,
    TYPE_FLAG,
    TYPE_COUNT,
    TYPE_LIMIT,
    TYPE_BYTES,
    TYPE_DURATION,
    TYPE_LISTEN,
    TYPE_HOSTS,
    TYPE_SERVERS,
    TYPE_NETWORKS,
    TYPE_FILES,
    TYPE_HOPS,
    TYPE_PEOPLE,
    TYPE_ADDRESSES,
    TYPE_CHOICE_log,
    TYPE_CHOICE_word,
    TYPE_CHOICE_verify,
    TYPE_CHOICE_bounce,
    TYPE_CHOICE_rank,
    TYPE_CHOICE_language,
    TYPE_CHOICE_route_tls,
    TYPE_CHOICE_protocol,
    TYPE_CHOICE_preset,
    TYPE_CHOICE_check,
    TYPE_CHOICE_list_kind,
    TYPE_CHOICE_mta_sts,
    TYPE_CHOICES_subject,
    TYPE_CHOICES_listener,
    TYPE_CHOICES_mechanism,
    TYPE_COUNT_
};

enum setting_reload {
    RELOAD_NOW,
    RELOAD_START
};

struct setting {
    const char *section; /* "server": outside of any block */
    const char *name;
    enum setting_type type;
    size_t offset;        /* in struct conf; of a titled section in its own struct */
    size_t size;          /* of the value */
    const char *standard; /* NULL: it must be set */
    uint64_t least, most;
    enum setting_reload reload;
    const char *help;
};

enum section_title {
    TITLE_NONE,
    TITLE_NAME,
    TITLE_HOST
};

/* Where settings stand: outside of any block, in a block, or in each of several blocks of a kind.
 */
struct section {
    const char *name;
    const char *help;
    const struct setting *settings;
    size_t count;
    enum section_title title;
    /* Titled: */
    size_t most;
    size_t size;    /* of its struct, which begins as struct conf_titled */
    size_t list;    /* offsets in struct conf: where they are, */
    size_t counter; /* and how many */
};

/* How the struct of every titled block begins. */
struct conf_titled {
    struct str name;
    unsigned line;
};

enum {
#define SECTION(name, help) SETTING_BEGIN_##name, SETTING_BACK_##name = SETTING_BEGIN_##name - 1,
#define SECTION_END(name) SETTING_END_##name, SETTING_BEHIND_##name = SETTING_END_##name - 1,
#define SETTING(section, name, type, standard, least, most, reload, help)                          \
    SETTING_##section##_##name,
#define BLOCK(kind, title, most, help) SECTION(kind, help)
#define BLOCK_SETTING(kind, name, type, standard, least, most, help) SETTING_##kind##_##name,
#define BLOCK_END(kind) SECTION_END(kind)
#include "conf/conf.def"
    SETTING_COUNT,
    SECTION_FIRST = -1,
#define SECTION(name, help) SECTION_##name,
#define BLOCK(kind, title, most, help) SECTION_##kind,
#include "conf/conf.def"
    SECTION_COUNT
};

extern const struct setting setting_rows[SETTING_COUNT];
extern const struct section section_rows[SECTION_COUNT];

/* How many there are of a section: 1, or its blocks. */
size_t section_instances(const struct section *section, const struct conf *conf);
/* What the offsets of its settings count from. */
const void *section_base(const struct section *section, const struct conf *conf, size_t instance);
void *section_place(const struct section *section, struct conf *conf, size_t instance);
/* The name of an instance; str_null where it has none. */
struct str section_title(const struct section *section, const struct conf *conf, size_t instance);

/* Calls `visit` for every value of a type. */
struct value_at {
    const struct section *section;
    size_t instance;
    struct str title;
    const struct setting *setting;
    void *value;
};
void conf_each(struct conf *conf, enum setting_type type,
               void (*visit)(void *arg, const struct value_at *at), void *arg);

/* The words of a value, and what they mean something in. */
struct value_words {
    const struct str *list;
    size_t count;
    unsigned line;
    struct str folder; /* for relative paths */
    bool whole;        /* what is in files stands here instead of their paths */
};

/*
 * Reads the words into the place of the value behind `base`. False: `why` got what is wrong and
 * what was expected, as the middle of a message. Texts go into the arena; a full arena is left to
 * arena_over (the result is then true and useless). Names of lists are not looked up.
 */
bool value_parse(const struct setting *setting, const struct value_words *words,
                 struct arena *arena, void *base, struct buf *why);
/* As value_parse reads it. `whole`: as in the words. */
void value_print(const struct setting *setting, const void *base, bool whole, struct buf *to);
/* "a size from 1K to 2G, such as 50M": what a value of this setting looks like. */
void value_expected(const struct setting *setting, struct buf *to);
/* `"50Q" is WHAT`; always false, for the caller to return. */
bool value_wrong(struct buf *why, struct str word, const char *what);
/* The names of a choice; NULL for other types. Ends with NULL. */
const char *const *value_choices(enum setting_type type);

#endif
