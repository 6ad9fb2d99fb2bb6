/*
 * What value.c and value_list.c, its other half, have in common. As value_parse: false, and `why`
 * says what is wrong.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "conf/rows.h"

/* Which of the names of a type the word is. */
bool value_choice(enum setting_type type, struct str word, unsigned *choice_r, struct buf *why);
bool value_host(struct str word, struct arena *arena, struct str *host_r, struct buf *why);
bool value_path(struct str word, struct str folder, struct arena *arena, struct str *path_r,
                struct buf *why);

/* value_route.c: each brings a word into its one form. */
bool value_hop(struct str word, struct arena *arena, struct str *hop_r, struct buf *why);
bool value_people(struct str word, struct arena *arena, struct str *people_r, struct buf *why);
bool value_ip(struct str word, struct arena *arena, struct str *address_r, struct buf *why);

/* Is it a struct conf_texts? */
bool value_is_texts(enum setting_type type);
/* Does a setting of this type take several values? */
bool value_is_list(enum setting_type type);
bool value_list_parse(const struct setting *setting, const struct value_words *words,
                      struct arena *arena, void *place, struct buf *why);

#endif
