/*
 * What DNSSEC is checked against where nothing else was told: the keys of the root.
 */
#ifndef RESOLVER_ANCHORS_H
#define RESOLVER_ANCHORS_H

#include "base/str.h"

struct str root_anchors(void);

#endif
