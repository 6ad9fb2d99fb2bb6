/*
 * struct hand: the operator, somebody who has his hand on the queue while mail goes (`veredus
 * queue`): he holds, releases, retries, reroutes, pauses, resumes and removes what goes to one
 * domain, or all of it. What he removes counts in the law (law.c); all else is undone when he
 * settles.
 */
#ifndef SIM_HAND_H
#define SIM_HAND_H

#include "house.h"

/* Why he removes: by it the law tells what was reported from what was not. */
#define HAND_DROPS "thrown-away"
#define HAND_RETURNS "sent-back"

struct sim;

enum hand_kind {
    HAND_OTHER,
    HAND_HOLD,
    HAND_RELEASE,
    HAND_PAUSE,
    HAND_RESUME,
    HAND_REMOVE,
};

enum {
    HAND_UNDER_WAY = 128, /* messages at a time */
};

/* One command. */
struct hand_deed {
    enum hand_kind kind;
    const char *domain;   /* NULL: of several */
    int64_t begun, ended; /* mono; ended: its answer, or core's death */
    bool fine;            /* it was answered, and well */
    uint64_t *under_way;  /* messages, when it ended */
    size_t under_way_count;
};

struct hand {
    struct sim *sim;
    struct fake_event next;
    struct fake_random random;
    uint32_t operations_left;
    bool settles, idle;
    bool thinks;   /* before the next one */
    bool undoes;   /* what he did: when he has done all, and at the end */
    size_t undone; /* of what settling takes */
    bool asked;    /* the errand is under way */
    uint64_t core_deaths;
    int exit_code;
    char command[128];
    struct hand_deed deed;   /* that is being done */
    struct hand_deed *deeds; /* that were */
    size_t deed_count, deed_room;
    struct house_errand errand;
};

void hand_open(struct hand *hand, struct sim *sim, uint32_t operations);
/* Nothing is held or paused any more. */
void hand_settle(struct hand *hand);
void hand_close(struct hand *hand);

/* In which command was this decided (mono, of whole microseconds)? NULL: in none. */
const struct hand_deed *hand_deed_at(const struct hand *hand, int64_t when);
/* When the next command of this kind began that is about the domain, too; INT64_MAX: there is none.
 */
int64_t hand_deed_behind(const struct hand *hand, const struct hand_deed *deed, enum hand_kind kind,
                         struct str domain);

#endif
