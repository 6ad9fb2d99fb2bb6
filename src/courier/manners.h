/*
 * How hosts answer, by name, as far as this courier met them: memory alone, for MANNERS_KEPT, of
 * the MANNERS_MAX that were met last.
 *
 *   nothing known   commands leave together where it says PIPELINING; a message by BDAT behind
 *                   their answers
 *   it counts       it answered an envelope with as many answers as there were commands: a small
 *                   message leaves with its envelope
 *   alone           it answered less, more, or never: one command at a time
 *
 * A host that says PIPELINING and cannot do it takes no mail else (catalogue row S27's kin: a proxy
 * in front of it, mostly). And one that gives an answer too many would, where the message is on its
 * way already, have that taken for the message's own.
 *
 * Never yields. Where there is no memory nothing is known.
 */
#ifndef COURIER_MANNERS_H
#define COURIER_MANNERS_H

#include "courier/courier.h"

enum {
    MANNERS_MAX = 4096,
};
#define MANNERS_KEPT (24 * 3600 * NS_PER_SECOND)

enum manner {
    MANNER_UNKNOWN,
    MANNER_COUNTS,
    MANNER_ALONE,
};

struct manners *manners_open(void);
void manners_close(struct manners *manners);

/* `host`: its name; now: mono. */
enum manner manners_of(struct manners *manners, struct str host, int64_t now);
/* That a host counts ends nothing before its time: who was alone stays so for MANNERS_KEPT. */
void manners_learn(struct manners *manners, struct str host, enum manner manner, int64_t now);
size_t manners_count(const struct manners *manners);

#endif
