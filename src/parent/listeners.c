/*
 * All ports before anything else is begun: whoever has a port in use or a right missing learns it
 * in one line, and finds nothing half started.
 */
#include <errno.h>

#include "parent/house.h"

/* Is it one of ours that stands in the way? */
static bool is_open(const struct house *house, struct str address)
{
    for (size_t i = 0; i < house->listener_count; i++)
        if (str_eq(house->listeners[i].address, address))
            return true;
    return false;
}

static void say_why(struct house *house, const char *setting, struct str address, struct err e)
{
    const char *hint = "";
    if (e.os == EACCES)
        hint = "; ports below 1024 need root or CAP_NET_BIND_SERVICE";
    else if (e.os == EADDRINUSE && is_open(house, address))
        hint = "; it stands twice in the configuration";
    else if (e.os == EADDRINUSE)
        hint = "; another program serves there (ss -ltnp shows it)";
    house_say(house, "cannot listen on %.*s (%s): %s%s", STR_FMT(address), setting,
              e.os ? strerrordesc_np(e.os) : err_row(e.code)->text, hint);
}

static bool protocol_open(struct house *house, enum listen_protocol protocol, const char *setting,
                          const struct conf_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        struct listener *listener = &house->listeners[house->listener_count];
        *listener = (struct listener){.protocol = protocol, .address = listen->addresses[i]};
        struct err e = process_listen(listener->address, &listener->handle);
        if (err_is(e)) {
            say_why(house, setting, listener->address, e);
            return false;
        }
        house->listener_count++;
    }
    return true;
}

bool listeners_open(struct house *house)
{
    const struct conf *conf = &house->conf;
    bool open = protocol_open(house, LISTEN_SMTP, "smtp.listen", &conf->smtp.listen) &&
                protocol_open(house, LISTEN_LMTP, "lmtp.listen", &conf->lmtp.listen) &&
                protocol_open(house, LISTEN_POP3, "pop3.listen", &conf->pop3.listen);
    if (!open)
        listeners_close(house);
    return open;
}

void listeners_close(struct house *house)
{
    while (house->listener_count) {
        int handle = house->listeners[--house->listener_count].handle;
        house->world->ops->close(house->world, handle);
    }
}
