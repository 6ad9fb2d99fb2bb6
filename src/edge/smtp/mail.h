/*
 * struct smtp_mail: one mail transaction, from MAIL, SEND, SOML or SAML to its end, and the message
 * that belongs to it. Lent from a pool of the edge, so that its memory and its digest serve the
 * next transaction; what it points to lives in its arenas and goes with smtp_mail_give.
 */
#ifndef EDGE_SMTP_MAIL_H
#define EDGE_SMTP_MAIL_H

#include "edge/smtp/body.h"
#include "edge/smtp/known.h"
#include "format/mail_command.h"

enum {
    SMTP_ENVELOPE_MAX = 4 << 20, /* octets of addresses, answers and their parsing */
    SMTP_MAILS_KEPT = 64,        /* in the pool, unused */
    SMTP_LOOK_AHEAD_MAX = 1000,  /* recipients of one question (messages.def) */
};

/* An accepted recipient. */
struct smtp_recipient {
    struct str address; /* addr_print form */
    struct str asked;   /* rcpt_options_keep */
    uint32_t token;     /* core's name for it; 0: core was not asked (known.h) */
};

/* A recipient that core was asked about before its command's turn came. */
struct smtp_expected {
    struct str address, asked;
    struct msg_answer answer;
};

struct smtp_mail {
    SLIST_ENTRY(smtp_mail) link; /* in the pool */
    struct arena arena;          /* transaction */
    uint64_t number;
    uint64_t core_since;                 /* the core that knows `number`; 0: none was asked */
    uint64_t message;                    /* the id it will have */
    unsigned char token[EDGE_TRY_TOKEN]; /* names its try, from its commit on */
    enum mail_command command;
    struct str reverse_path;
    struct str asked; /* mail_options_keep */
    bool utf8;
    enum smtp_body_type body_type;
    uint64_t size; /* SIZE= of MAIL, or 0 */
    struct smtp_recipient *recipients;
    size_t recipient_count, recipient_room;
    size_t domain_count; /* different domains of the recipients */
    struct smtp_expected *expected;
    size_t expected_count, expected_next;
    uint64_t expected_since; /* the core that said, or would say, so */
    bool unnamed;            /* some recipients have no token */
    bool any_refused;        /* a recipient was */
    bool stale; /* core must be asked for all of them again: it is another, or forgot the id */
    struct buf *head; /* of a message that is to be shown: its first octets; else NULL */
    struct smtp_body body;
};

struct smtp_inquiries;

/* The pool, and what else the sessions of an edge share. */
struct smtp_shared {
    SLIST_HEAD(, smtp_mail) mails;
    size_t mails_kept;
    struct smtp_known known;
    struct smtp_parking parking;
    struct smtp_inquiries *inquiries; /* inquiry.h */
    struct arena scratch;             /* for one command's parsing; void at the next yield */
};

/* NULL: no memory. */
struct smtp_mail *smtp_mail_take(struct smtp_shared *shared);
/* Gives slabs back and drops an upload. The pointer is NULL afterwards. */
void smtp_mail_give(struct smtp_shared *shared, struct smtp_mail **mail);

/* Frees what the pool keeps. */
void smtp_mails_close(struct smtp_shared *shared);

/* False: the arena is full. `address` and `asked` must live in the mail's arena. */
bool smtp_mail_add(struct smtp_mail *mail, struct str address, struct str asked, uint32_t token);
/* Would this recipient bring a domain that no recipient has? */
bool smtp_mail_new_domain(const struct smtp_mail *mail, struct str address);

#endif
