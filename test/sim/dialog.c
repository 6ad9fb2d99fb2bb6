#include "dialog.h"

#include "base/must.h"

void dialog_take(struct dialog *dialog, struct fake_client *client,
                 void (*changed)(struct fake_client *, void *), void *arg)
{
    *dialog = (struct dialog){
        .client = client, .in = BUF_INIT(DIALOG_IN_MAX), .out = BUF_INIT(DIALOG_OUT_MAX)};
    if (client)
        fake_client_watch(client, changed, arg);
}

bool dialog_open(struct dialog *dialog, struct fake_world *fake, const char *listener,
                 const char *address, void (*changed)(struct fake_client *, void *), void *arg)
{
    struct peer_address peer = {.port = 40000, .server = "192.0.2.25", .uid = -1, .pid = -1};
    struct buf text = {.p = peer.text, .cap = sizeof(peer.text), .max = sizeof(peer.text) - 1};
    buf_printf(&text, "%s", address);
    dialog_take(dialog, fake_connect(fake, listener, &peer), changed, arg);
    return dialog->client != NULL;
}

void dialog_end(struct dialog *dialog, enum dialog_end how)
{
    if (!dialog->client)
        return;
    if (how == DIALOG_RESETS)
        fake_client_reset(dialog->client);
    else if (how == DIALOG_VANISHES)
        fake_client_vanish(dialog->client);
    fake_client_done(dialog->client);
    dialog->client = NULL;
    buf_done(&dialog->in);
    buf_done(&dialog->out);
}

void dialog_say(struct dialog *dialog, struct str octets)
{
    must(buf_put(&dialog->out, octets));
    dialog->said += octets.n;
}

void dialog_push(struct dialog *dialog)
{
    size_t n;
    do {
        struct str rest = str_from_index(buf_str(&dialog->out), dialog->out_at);
        if (dialog->drip)
            rest = str_head(rest, dialog->drip);
        n = rest.n ? fake_client_send(dialog->client, rest) : 0;
        dialog->out_at += n;
        dialog->spoken += n;
    } while (n > 0 && !dialog->drip);
    if (dialog_is_pushed(dialog)) {
        buf_clear(&dialog->out);
        dialog->out_at = 0;
    }
}

void dialog_pull(struct dialog *dialog)
{
    buf_drop_front(&dialog->in, dialog->in_at);
    dialog->in_at = 0;
    size_t waiting;
    while ((waiting = fake_client_waiting(dialog->client)) > 0) {
        char *room = buf_room(&dialog->in, waiting);
        must(room);
        buf_added(&dialog->in, fake_client_recv(dialog->client, room, waiting));
    }
}

bool dialog_line(struct dialog *dialog, struct str *line_r)
{
    struct str rest = str_from_index(buf_str(&dialog->in), dialog->in_at);
    ssize_t end = str_index(rest, '\n');
    if (end < 0)
        return false;
    bool whole = end > 0 && rest.p[end - 1] == '\r';
    *line_r = str_head(rest, (size_t)end - whole);
    dialog->in_at += (size_t)end + 1;
    return true;
}

bool dialog_is_over(const struct dialog *dialog)
{
    return fake_client_state(dialog->client) != FAKE_CLIENT_OPEN;
}
