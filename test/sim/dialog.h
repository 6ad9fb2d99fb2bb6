/*
 * struct dialog: a client's end of a connection, with what was heard and not yet understood, and
 * what was said and not yet taken by the network. Driver only; nothing here yields.
 */
#ifndef SIM_DIALOG_H
#define SIM_DIALOG_H

#include "base/buf.h"
#include "sys/fake/fake.h"

enum {
    DIALOG_IN_MAX = 16 << 20, /* octets heard and not yet understood */
    DIALOG_OUT_MAX = 4 << 20, /* octets said and not yet sent */
};

struct dialog {
    struct fake_client *client; /* NULL: not connected */
    struct buf in, out;
    size_t in_at;    /* octets of `in` that were understood */
    size_t out_at;   /* octets of `out` that were sent */
    uint64_t said;   /* octets said in all */
    uint64_t spoken; /* of these, sent */
    size_t drip;     /* the most that one push sends; 0: all that there is */
};

/* How a client leaves. */
enum dialog_end {
    DIALOG_CLOSES,
    DIALOG_RESETS,
    DIALOG_VANISHES, /* power off: the server is not told */
};

/* False: nobody listens. */
bool dialog_open(struct dialog *dialog, struct fake_world *fake, const char *listener,
                 const char *address, void (*changed)(struct fake_client *, void *), void *arg);
/* An end that is there already. */
void dialog_take(struct dialog *dialog, struct fake_client *client,
                 void (*changed)(struct fake_client *, void *), void *arg);
void dialog_end(struct dialog *dialog, enum dialog_end how);

void dialog_say(struct dialog *dialog, struct str octets);
/* Sends what the network takes now. */
void dialog_push(struct dialog *dialog);
static inline bool dialog_is_pushed(const struct dialog *dialog)
{
    return dialog->out_at == dialog->out.n;
}

/* Takes in what arrived. */
void dialog_pull(struct dialog *dialog);
/* The next line without its CR LF; false: none is whole. Valid until the next pull. */
bool dialog_line(struct dialog *dialog, struct str *line_r);
/* The connection is over and every line was taken. */
bool dialog_is_over(const struct dialog *dialog);

#endif
