/*
 * The commands of POP3 (RFC 1939, 2449, 6856): one row each in commands.c.
 */
#ifndef EDGE_POP3_COMMANDS_H
#define EDGE_POP3_COMMANDS_H

#include "edge/pop3/session.h"

enum {
    POP3_NUMBERS_MAX = 2,
    POP3_TEXT = -1, /* `most`: the argument is text up to the line's end, not numbers */
};

struct pop3_arguments {
    struct str text;
    uint32_t number[POP3_NUMBERS_MAX];
    int count;
};

struct pop3_command {
    const char *verb;
    unsigned states; /* enum pop3_state: where it may stand */
    int least, most; /* numbers it takes */
    /* May yield. Replies. */
    void (*run)(struct pop3_session *s, const struct pop3_arguments *args);
};

/* cmd_login.c */
void pop3_user(struct pop3_session *, const struct pop3_arguments *);
void pop3_pass(struct pop3_session *, const struct pop3_arguments *);
void pop3_auth(struct pop3_session *, const struct pop3_arguments *);
/* cmd_stls.c */
void pop3_stls(struct pop3_session *, const struct pop3_arguments *);
/* Here and now: there is a certificate, and the session is plain. */
bool pop3_stls_is_offered(const struct pop3_session *s);
/* cmd_mailbox.c */
void pop3_stat(struct pop3_session *, const struct pop3_arguments *);
void pop3_list(struct pop3_session *, const struct pop3_arguments *);
void pop3_uidl(struct pop3_session *, const struct pop3_arguments *);
void pop3_retr(struct pop3_session *, const struct pop3_arguments *);
void pop3_top(struct pop3_session *, const struct pop3_arguments *);
void pop3_dele(struct pop3_session *, const struct pop3_arguments *);
void pop3_rset(struct pop3_session *, const struct pop3_arguments *);
void pop3_quit(struct pop3_session *, const struct pop3_arguments *);
/* commands.c */
void pop3_capa(struct pop3_session *, const struct pop3_arguments *);
void pop3_utf8(struct pop3_session *, const struct pop3_arguments *);
void pop3_noop(struct pop3_session *, const struct pop3_arguments *);

#endif
