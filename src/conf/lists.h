/*
 * What is known only when the whole file was read: what is in the lists' files, and which lists
 * stand in a value that names some.
 */
#ifndef CONF_LISTS_H
#define CONF_LISTS_H

#include "conf/mistakes.h"

struct lists {
    const struct conf_reading *how;
    struct mistakes *mistakes;
    struct arena *arena; /* the configuration's */
    struct conf *conf;
};

/* Reads the files and looks up the names, and tells what is wrong with either. */
void lists_settle(struct lists *lists);

#endif
