/*
 * Why not all at once: a configuration may be longer than a link would keep for a child that does
 * not read, and there are two hundred children. So the text is there once, however many are being
 * told it, and each gets the next part when the one before has left. What is said behind it waits
 * in line, handles too: a child that has no setup yet would close them.
 */
#include "parent/outbox.h"

#include "base/must.h"
#include "parent/certificates.h"
#include "parent/house.h"

enum {
    AHEAD_MOST = 2 * CONFIGURATION_PART /* octets that wait for the child to read */
};

enum parcel_kind {
    PARCEL_CONFIGURATION,
    PARCEL_CERTIFICATES,
    PARCEL_HANDLE
};

struct parcel {
    STAILQ_ENTRY(parcel) next;
    enum parcel_kind kind;
    /* PARCEL_CONFIGURATION */
    struct house_text *text;
    size_t at; /* octets that were told */
    bool setup;
    /* PARCEL_CERTIFICATES */
    struct certificates *certificates;
    size_t place;
    /* PARCEL_HANDLE */
    struct msg msg;
    int handle;
    bool own; /* the handle is ours to close */
};

/* --- The text that several are told ---------------------------------------------------------- */

struct house_text *house_text_new(void)
{
    struct house_text *text = calloc(1, sizeof(*text));
    if (text)
        *text = (struct house_text){.holders = 1, .text = BUF_INIT(HOUSE_TEXT_MAX)};
    return text;
}

void house_text_release(struct house_text *text)
{
    if (!text || --text->holders)
        return;
    buf_done(&text->text);
    free(text);
}

/* --- Parcels --------------------------------------------------------------------------------- */

/* What it holds. */
static void parcel_drop(struct child *child, const struct parcel *parcel)
{
    struct world *world = child->house->world;
    if (parcel->kind == PARCEL_HANDLE && parcel->own)
        world->ops->close(world, parcel->handle);
    house_text_release(parcel->text);
    certificates_free(parcel->certificates);
}

static void parcel_free(struct child *child, struct parcel *parcel)
{
    parcel_drop(child, parcel);
    free(parcel);
}

void outbox_clear(struct child *child)
{
    struct parcel *parcel;
    while ((parcel = STAILQ_FIRST(&child->outbox))) {
        STAILQ_REMOVE_HEAD(&child->outbox, next);
        parcel_free(child, parcel);
    }
}

static bool has_room(const struct link *link)
{
    return link->queued + link->out.n < AHEAD_MOST;
}

static struct err part_send(struct child *child, struct str part)
{
    struct msg msg = {.kind = MSG_configuration_part, .configuration_part = {.text = part}};
    return link_send(&child->link, &msg);
}

static struct err last_part_send(struct child *child, const struct parcel *parcel, struct str part)
{
    struct msg setup = {.kind = MSG_setup,
                        .setup = {.instance = child->instance,
                                  .configuration = part,
                                  .as_root = parent_changes_users(),
                                  .after_fault = child->faulted}};
    struct msg configure = {.kind = MSG_configure, .configure = {.configuration = part}};
    return link_send(&child->link, parcel->setup ? &setup : &configure);
}

/* Each of these sends what there is room for. *sent_r: all of it. */
static struct err configuration_send(struct child *child, struct parcel *parcel, bool *sent_r)
{
    struct err e = err_none();
    while (!*sent_r && !err_is(e) && has_room(&child->link)) {
        struct str rest = str_from_index(buf_str(&parcel->text->text), parcel->at);
        struct str part = str_head(rest, CONFIGURATION_PART);
        *sent_r = part.n == rest.n;
        e = *sent_r ? last_part_send(child, parcel, part) : part_send(child, part);
        parcel->at += part.n;
    }
    return e;
}

static struct err certificates_send(struct child *child, struct parcel *parcel, bool *sent_r)
{
    struct err e = err_none();
    while (!*sent_r && !err_is(e) && has_room(&child->link)) {
        struct msg msg;
        *sent_r = !certificates_msg(parcel->certificates, parcel->place++, &msg);
        if (!*sent_r)
            e = link_send(&child->link, &msg);
    }
    return e;
}

static struct err handle_send(struct child *child, struct parcel *parcel, bool *sent_r)
{
    struct err e = link_send_handle(&child->link, &parcel->msg, parcel->handle);
    *sent_r = !err_is(e);
    return e.code == ERR_OVER_LIMIT ? err_none() : e; /* no room now */
}

static struct err parcel_send(struct child *child, struct parcel *parcel, bool *sent_r)
{
    *sent_r = false;
    if (parcel->kind == PARCEL_CONFIGURATION)
        return configuration_send(child, parcel, sent_r);
    if (parcel->kind == PARCEL_CERTIFICATES)
        return certificates_send(child, parcel, sent_r);
    return handle_send(child, parcel, sent_r);
}

void outbox_send(struct child *child)
{
    struct parcel *parcel;
    bool sent = true;
    while (sent && child->linked && (parcel = STAILQ_FIRST(&child->outbox))) {
        struct err e = parcel_send(child, parcel, &sent);
        if (sent) {
            STAILQ_REMOVE_HEAD(&child->outbox, next);
            parcel_free(child, parcel);
        }
        if (err_is(e))
            link_cut(&child->link, e);
        sent = sent && !err_is(e);
    }
}

/* In line behind what is there. A child that cannot be told is cut: it would go on without. */
static void put(struct child *child, const struct parcel *draft)
{
    struct parcel *parcel = malloc(sizeof(*parcel));
    if (!parcel) {
        parcel_drop(child, draft);
        link_cut(&child->link, err_make(ERR_NO_MEMORY));
        return;
    }
    *parcel = *draft;
    STAILQ_INSERT_TAIL(&child->outbox, parcel, next);
    outbox_send(child);
}

void outbox_configuration(struct child *child, bool setup)
{
    struct house_text *text = child->house->text;
    struct parcel parcel = {.kind = PARCEL_CONFIGURATION, .text = text, .setup = setup};
    if (!child->linked)
        return;
    text->holders++;
    put(child, &parcel);
}

void outbox_certificates(struct child *child, struct certificates **certificates)
{
    struct parcel parcel = {.kind = PARCEL_CERTIFICATES, .certificates = *certificates};
    if (!child->linked)
        return;
    *certificates = NULL;
    put(child, &parcel);
}

void outbox_handle(struct child *child, const struct msg *msg, int handle, bool own)
{
    struct world *world = child->house->world;
    struct parcel parcel = {.kind = PARCEL_HANDLE, .msg = *msg, .handle = handle, .own = own};
    if (child->linked)
        put(child, &parcel);
    else if (own)
        world->ops->close(world, handle);
}
