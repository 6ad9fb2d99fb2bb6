/*
 * Whom to cut is a guess among many, and must cost little: an attacker who fills the memory asks
 * for it with every octet. A list in order of speed was weighed; speeds change by themselves, so it
 * would be wrong as soon as it is made. A few are looked at instead and go to the end of the list;
 * where most drip there is a dripper among them, and where few are parked it is all of them.
 */
#include "edge/smtp/parking.h"

#include "edge/smtp/message.h"

enum {
    PARKING_LOOKED_AT = 64
};

void smtp_parking_open(struct smtp_parking *parking)
{
    *parking = (struct smtp_parking){.most = SMTP_PARKING_MAX};
    TAILQ_INIT(&parking->waiting);
}

void smtp_parking_enter(struct smtp_parking *parking, struct smtp_session *s)
{
    must(!s->parks && !s->busy && s->mail && s->mail->body.parked.p);
    s->parks = true;
    TAILQ_INSERT_TAIL(&parking->waiting, s, parker);
}

void smtp_parking_leave(struct smtp_parking *parking, struct smtp_session *s)
{
    if (!s->parks)
        return;
    s->parks = false;
    TAILQ_REMOVE(&parking->waiting, s, parker);
}

static uint64_t rate_of(const struct smtp_session *s)
{
    return smtp_body_rate(&s->mail->body, s->base.edge->loop->now);
}

/* NULL: nobody waits. */
static struct smtp_session *slowest(struct smtp_parking *parking)
{
    struct smtp_session *slow = NULL, *first = TAILQ_FIRST(&parking->waiting), *s = first;
    for (int i = 0; s && i < PARKING_LOOKED_AT; i++) {
        if (!slow || rate_of(s) < rate_of(slow))
            slow = s;
        TAILQ_REMOVE(&parking->waiting, s, parker);
        TAILQ_INSERT_TAIL(&parking->waiting, s, parker);
        s = TAILQ_FIRST(&parking->waiting);
        if (s == first)
            break;
    }
    return slow;
}

static struct err make_room(struct smtp_parking *parking, size_t octets, uint64_t rate)
{
    while (octets > parking->most - parking->held) {
        struct smtp_session *slow = slowest(parking);
        if (!slow)
            return err_make(ERR_TRY_LATER);
        if (rate_of(slow) >= rate)
            return err_make(ERR_TOO_SLOW_NOW);
        parking->cuts++;
        smtp_message_cut(slow);
    }
    return err_none();
}

struct err smtp_parking_resize(struct smtp_parking *parking, struct smtp_parked *parked,
                               size_t room, uint64_t rate)
{
    must(room > 0 && room <= SMTP_PARKED_MAX && room >= parked->n);
    struct err e = err_none();
    if (room > parked->room)
        e = make_room(parking, room - parked->room, rate);
    if (err_is(e))
        return e;
    char *p = realloc(parked->p, room);
    if (!p)
        return err_make(ERR_NO_MEMORY);
    parking->held = parking->held - parked->room + room;
    parked->p = p;
    parked->room = room;
    return err_none();
}

size_t smtp_parking_left(const struct smtp_parking *parking, const struct smtp_parked *parked)
{
    return parking->most - parking->held + parked->room;
}

void smtp_parked_put(struct smtp_parked *parked, struct str octets)
{
    must(octets.n <= parked->room - parked->n);
    if (octets.n > 0)
        memcpy(parked->p + parked->n, octets.p, octets.n);
    parked->n += octets.n;
}

void smtp_parked_free(struct smtp_parking *parking, struct smtp_parked *parked)
{
    free(parked->p);
    parking->held -= parked->room;
    *parked = (struct smtp_parked){.p = NULL};
}
