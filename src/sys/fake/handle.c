/*
 * Handles and things. A thing ends with its last reference, by the function of its kind: six kinds
 * that will not become many more, so a switch and not a table of functions.
 */
#include "sys/fake/inner.h"

enum {
    FIRST_ROOM = 64,
    DEFAULT_HANDLES = 65536
};

void *fake_take(size_t n)
{
    void *taken = calloc(1, n);
    must(taken);
    return taken;
}

static void handles_grow(struct fake_inner *w)
{
    size_t room = w->handle_room ? w->handle_room * 2 : FIRST_ROOM;
    w->handles = realloc(w->handles, room * sizeof(*w->handles));
    must(w->handles);
    memset(w->handles + w->handle_room, 0, (room - w->handle_room) * sizeof(*w->handles));
    w->handle_room = room;
}

int fake_handle_make(struct fake_inner *w, int role, struct fake_thing *thing)
{
    size_t most = w->settings.handles ? w->settings.handles : DEFAULT_HANDLES;
    if (w->roles[role].handles >= most)
        return -EMFILE;
    while (w->first_free < w->handle_room && w->handles[w->first_free].thing)
        w->first_free++;
    if (w->first_free >= w->handle_room)
        handles_grow(w);
    size_t handle = w->first_free++;
    w->handles[handle] = (struct fake_handle){.thing = thing, .role = role};
    w->roles[role].handles++;
    thing->refs++;
    return (int)handle;
}

static struct fake_handle *handle_at(struct fake_inner *w, int handle)
{
    must(handle >= 0 && (size_t)handle < w->handle_room);
    struct fake_handle *at = &w->handles[handle];
    must(at->thing);
    must(w->running == 0 || at->role == w->running);
    return at;
}

struct fake_thing *fake_handle_thing(struct fake_inner *w, int handle)
{
    return handle_at(w, handle)->thing;
}

struct fake_thing *fake_handle_of(struct fake_inner *w, int handle, enum fake_kind kind)
{
    struct fake_thing *thing = handle_at(w, handle)->thing;
    must(thing->kind == kind);
    return thing;
}

void fake_handle_close(struct fake_inner *w, int handle)
{
    struct fake_handle *at = handle_at(w, handle);
    struct fake_thing *thing = at->thing;
    w->roles[at->role].handles--;
    at->thing = NULL;
    if ((size_t)handle < w->first_free)
        w->first_free = (size_t)handle;
    fake_thing_drop(w, thing);
}

void fake_thing_init(struct fake_thing *thing, enum fake_kind kind)
{
    *thing = (struct fake_thing){.kind = kind, .refs = 1};
    TAILQ_INIT(&thing->watches);
}

static void thing_end(struct fake_inner *w, struct fake_thing *thing)
{
    must(TAILQ_EMPTY(&thing->watches));
    switch (thing->kind) {
    case FAKE_STREAM:
        fake_stream_end(w, thing);
        return;
    case FAKE_LISTENER:
        fake_listener_end(w, thing);
        return;
    case FAKE_PACKETS:
        fake_packets_end(w, thing);
        return;
    case FAKE_SHM:
        fake_shm_end(w, thing);
        return;
    case FAKE_FILE:
    case FAKE_FOLDER:
        fake_open_file_end(w, thing);
        return;
    }
}

void fake_thing_drop(struct fake_inner *w, struct fake_thing *thing)
{
    must(thing->refs > 0);
    if (--thing->refs == 0)
        thing_end(w, thing);
}

unsigned fake_thing_ready(const struct fake_thing *thing)
{
    switch (thing->kind) {
    case FAKE_STREAM:
        return fake_stream_ready(thing);
    case FAKE_LISTENER:
        return fake_listener_ready(thing);
    case FAKE_PACKETS:
        return fake_packets_ready(thing);
    case FAKE_SHM:
    case FAKE_FILE:
    case FAKE_FOLDER:
        break;
    }
    return 0;
}
