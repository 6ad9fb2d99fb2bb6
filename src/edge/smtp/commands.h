/*
 * The commands of SMTP and LMTP: one row each in commands.c, one function each in cmd_NAME.c. A
 * command is looked up, its state and its form are checked by its row, `parse` makes a typed value
 * of its argument, and `run` sees nothing but that value.
 */
#ifndef EDGE_SMTP_COMMANDS_H
#define EDGE_SMTP_COMMANDS_H

#include "edge/smtp/session.h"
#include "format/addr.h"
#include "format/mail_options.h"
#include "format/xclient.h"

/* MAIL's parameters, and those of SEND, SOML and SAML. */
struct smtp_mail_arguments {
    enum mail_command command;
    struct addr sender;
    enum smtp_body_type body_type;
    bool utf8;
    uint64_t size;
    struct mail_options options;
};

/* What `parse` made of an argument. */
struct smtp_arguments {
    struct arena *arena; /* of the transaction; before there is one: valid until the next yield */
    struct str text;     /* as it came, trimmed; on the stack of the turn */
    struct smtp_mail_arguments mail;
    struct addr recipient;
    struct rcpt_options options; /* of the recipient */
    struct {
        uint64_t octets;
        bool last;
    } chunk;
    struct {
        struct str text;
        bool utf8; /* RFC 6531 3.7.4.2 */
    } verify;
    struct {
        struct msg_text_line *domains; /* none: all */
        size_t count;
    } collect;
    struct {
        enum etrn_scope scope;
        struct str name;
    } etrn;
    struct {
        struct str mechanism;
        struct str initial; /* in base64; p NULL: none */
    } auth;
    struct xclient *xclient;
};

enum {
    SMTP_COLLECT_MAX = 100 /* domains of one ATRN */
};

enum smtp_command_flag {
    SMTP_ONLY = 1 << 0,        /* unknown to LMTP */
    LMTP_ONLY = 1 << 1,        /* unknown to SMTP */
    SMTP_NO_ARGUMENT = 1 << 2, /* 501 where there is one */
    SMTP_FREE_TEXT = 1 << 3,   /* any text; a control character in it is no command at all (500) */
    SMTP_NOT_BUILT = 1 << 4,   /* recognised: 502 */
    SMTP_SWALLOWS = 1 << 5,    /* octets follow it, also when it is refused: it judges by itself */
    SMTP_LOGGED_IN = 1 << 6,   /* on a submission listener, for users who logged in: 530 */
    SMTP_USERS_ONLY = 1 << 7,  /* on a submission listener; elsewhere 502 */
    SMTP_STANDS_IN = 1 << 8,   /* from smtp.xclient_from: 550 */
    SMTP_TO_TERMINALS = 1 << 9 /* where terminals are served: 502; to this client: 550 */
};

struct smtp_command {
    const char *verb;
    unsigned states; /* enum smtp_state: where it may stand; elsewhere 503 */
    unsigned flags;
    const char *help; /* its syntax, for HELP */
    /* Is it there for this client? Else 502, and HELP does not know it. NULL: it is. */
    bool (*offered)(const struct smtp_session *s);
    /* May fail; nothing was changed then. The reply is the error's. */
    struct err (*parse)(struct smtp_session *s, struct str text, struct smtp_arguments *args);
    /* May yield. Replies. */
    void (*run)(struct smtp_session *s, struct smtp_arguments *args);
};

/* May yield: runs one command line, without its CR LF, and replies. */
void smtp_command_line(struct smtp_session *s, struct str line);

/* For HELP: rows in order, NULL at the end. */
const struct smtp_command *smtp_command_row(size_t i);

/* Says a refusal to core, for the trace. */
void smtp_tell_refused(struct smtp_session *s, const char *verb, enum err_code error,
                       struct str recipient, struct str text);

/* parse and run of the rows. */
struct err smtp_hello_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_mail_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_send_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_soml_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_saml_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_rcpt_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_bdat_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_verify_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_xclient_parse(struct smtp_session *, struct str, struct smtp_arguments *);
struct err smtp_xforward_parse(struct smtp_session *, struct str, struct smtp_arguments *);
void smtp_helo_run(struct smtp_session *, struct smtp_arguments *);
void smtp_ehlo_run(struct smtp_session *, struct smtp_arguments *);
void smtp_mail_run(struct smtp_session *, struct smtp_arguments *);
void smtp_rcpt_run(struct smtp_session *, struct smtp_arguments *);
void smtp_data_run(struct smtp_session *, struct smtp_arguments *);
void smtp_bdat_run(struct smtp_session *, struct smtp_arguments *);
struct err smtp_etrn_parse(struct smtp_session *, struct str, struct smtp_arguments *);
void smtp_etrn_run(struct smtp_session *, struct smtp_arguments *);
struct err smtp_atrn_parse(struct smtp_session *, struct str, struct smtp_arguments *);
void smtp_atrn_run(struct smtp_session *, struct smtp_arguments *);
void smtp_turn_run(struct smtp_session *, struct smtp_arguments *);
void smtp_vrfy_run(struct smtp_session *, struct smtp_arguments *);
void smtp_expn_run(struct smtp_session *, struct smtp_arguments *);
void smtp_rset_run(struct smtp_session *, struct smtp_arguments *);
void smtp_noop_run(struct smtp_session *, struct smtp_arguments *);
void smtp_help_run(struct smtp_session *, struct smtp_arguments *);
void smtp_quit_run(struct smtp_session *, struct smtp_arguments *);
struct err smtp_auth_parse(struct smtp_session *, struct str, struct smtp_arguments *);
void smtp_auth_run(struct smtp_session *, struct smtp_arguments *);
void smtp_starttls_run(struct smtp_session *, struct smtp_arguments *);

/* S11: the client's next line, without its end; may yield. Or one that is too long. */
void smtp_auth_line(struct smtp_session *s, struct str line);
void smtp_auth_too_long(struct smtp_session *s);
void smtp_xclient_run(struct smtp_session *, struct smtp_arguments *);
void smtp_xforward_run(struct smtp_session *, struct smtp_arguments *);

/* What has to come before `verb` here: the words behind "Bad sequence of commands" (RFC
 * 5321 4.1.4).
 */
struct str smtp_order_missing(const struct smtp_session *s, const char *verb);

#endif
