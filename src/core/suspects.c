/*
 * Why an even fading: the time of each failure need not be kept, and there is no moment at which a
 * window begins anew and all its guesses are free again. Why back-offs are remembered for longer
 * than failures: who waited until the count was gone would else never see the second one.
 */
#include "core/suspects.h"

#include "base/must.h"
#include "sys/world.h"

enum {
    NONE = 0,
    LOOKED_AT = 8, /* of the oldest, when one must go */
    LONGEST_SHIFT = 40,
};

struct suspects {
    size_t count, most, chains;
    uint32_t oldest, newest;
    uint32_t *heads; /* behind the places */
    struct suspect places[];
};

struct suspects *suspects_open(size_t most)
{
    size_t chains = 1;
    must(most > 0 && most < UINT32_MAX);
    while (chains < most)
        chains *= 2;
    struct suspects *suspects =
        calloc(1, sizeof(*suspects) + most * sizeof(struct suspect) + chains * sizeof(uint32_t));
    if (!suspects)
        return NULL;
    suspects->most = most;
    suspects->chains = chains;
    suspects->heads = (uint32_t *)(void *)&suspects->places[most];
    return suspects;
}

void suspects_close(struct suspects *suspects)
{
    free(suspects);
}

size_t suspects_count(const struct suspects *suspects)
{
    return suspects->count;
}

/* --- Places ---------------------------------------------------------------------------------- */

static struct suspect *at(struct suspects *suspects, uint32_t place)
{
    return &suspects->places[place - 1];
}

static uint32_t *head_of(struct suspects *suspects, uint64_t key)
{
    return &suspects->heads[key & (suspects->chains - 1)];
}

static uint32_t place_of(struct suspects *suspects, uint64_t key)
{
    uint32_t place = *head_of(suspects, key);
    while (place != NONE && at(suspects, place)->key != key)
        place = at(suspects, place)->next;
    return place;
}

static void order_leave(struct suspects *suspects, uint32_t place)
{
    struct suspect *suspect = at(suspects, place);
    *(suspect->older ? &at(suspects, suspect->older)->newer : &suspects->oldest) = suspect->newer;
    *(suspect->newer ? &at(suspects, suspect->newer)->older : &suspects->newest) = suspect->older;
}

static void order_join(struct suspects *suspects, uint32_t place)
{
    struct suspect *suspect = at(suspects, place);
    suspect->older = suspects->newest;
    suspect->newer = NONE;
    *(suspect->older ? &at(suspects, suspect->older)->newer : &suspects->oldest) = place;
    suspects->newest = place;
}

static void chain_leave(struct suspects *suspects, uint32_t place)
{
    uint32_t *link = head_of(suspects, at(suspects, place)->key);
    while (*link != place) {
        must(*link != NONE);
        link = &at(suspects, *link)->next;
    }
    *link = at(suspects, place)->next;
}

static bool is_lighter(const struct suspect *a, const struct suspect *b)
{
    return a->back_offs != b->back_offs ? a->back_offs < b->back_offs : a->level < b->level;
}

/* Who failed and came back is newer than who did not; among the oldest few the lightest goes, so
 * that a flood of new addresses does not wash out those that guess most. */
static uint32_t who_goes(struct suspects *suspects)
{
    uint32_t found = NONE;
    int looked = 0;
    for (uint32_t place = suspects->oldest; place && looked < LOOKED_AT;
         place = at(suspects, place)->newer) {
        if (at(suspects, place)->pending)
            continue;
        looked++;
        if (!found || is_lighter(at(suspects, place), at(suspects, found)))
            found = place;
    }
    return found;
}

static uint32_t place_free(struct suspects *suspects)
{
    if (suspects->count < suspects->most)
        return (uint32_t)++suspects->count;
    uint32_t place = who_goes(suspects);
    if (place != NONE) {
        chain_leave(suspects, place);
        order_leave(suspects, place);
    }
    return place;
}

/* --- Counts ---------------------------------------------------------------------------------- */

static void fade(struct suspect *suspect, int64_t now, const struct suspect_limits *limits)
{
    if (now <= suspect->faded)
        return;
    uint64_t passed = (uint64_t)(now - suspect->faded) / NS_PER_MS;
    uint64_t within = (uint64_t)limits->within / NS_PER_MS;
    uint64_t all = (uint64_t)limits->failures * SUSPECT_FAILURE;
    if (passed >= within) {
        suspect->level = 0;
        suspect->faded = now;
    } else {
        uint64_t gone = all * passed / within;
        suspect->level = suspect->level > gone ? suspect->level - (uint32_t)gone : 0;
        suspect->faded += (int64_t)(gone * within / all) * NS_PER_MS;
    }
    if (suspect->level == 0 && now - suspect->until >= limits->back_off_most + limits->within) {
        suspect->back_offs = suspect->bans = 0;
        suspect->refused = 0;
    }
}

struct suspect *suspects_find(struct suspects *suspects, uint64_t key, int64_t now,
                              const struct suspect_limits *limits)
{
    uint32_t place = place_of(suspects, key);
    if (place == NONE)
        return NULL;
    fade(at(suspects, place), now, limits);
    return at(suspects, place);
}

struct suspect *suspects_take(struct suspects *suspects, uint64_t key, int64_t now,
                              const struct suspect_limits *limits)
{
    uint32_t place = place_of(suspects, key);
    if (place != NONE) {
        fade(at(suspects, place), now, limits);
        order_leave(suspects, place);
    } else {
        place = place_free(suspects);
        if (place == NONE)
            return NULL;
        uint32_t *head = head_of(suspects, key);
        *at(suspects, place) = (struct suspect){.key = key, .faded = now, .next = *head};
        *head = place;
    }
    order_join(suspects, place);
    return at(suspects, place);
}

static int64_t back_off_of(uint16_t times, const struct suspect_limits *limits)
{
    int64_t length = limits->back_off;
    for (int i = 1; i < times && i < LONGEST_SHIFT && length < limits->back_off_most; i++)
        length *= 2;
    return length < limits->back_off_most ? length : limits->back_off_most;
}

bool suspect_failed(struct suspect *suspect, int64_t now, const struct suspect_limits *limits)
{
    uint32_t most = limits->failures * SUSPECT_FAILURE;
    fade(suspect, now, limits);
    suspect->level += SUSPECT_FAILURE;
    if (suspect->level < most || suspect->until > now)
        return false;
    suspect->level = most;
    if (suspect->back_offs < UINT16_MAX)
        suspect->back_offs++;
    suspect->until = now + back_off_of(suspect->back_offs, limits);
    suspect->faded = suspect->until;
    return true;
}
