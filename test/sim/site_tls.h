/*
 * TLS of one call to a site: OpenSSL's server, between the octets of the network and the lines of a
 * dialog. What is heard in TLS stands in dialog->in as if it had come in clear; dialog->out has the
 * octets of TLS.
 *
 * What goes wrong with it is drawn when the call begins, as for all else (site.c).
 */
#ifndef SIM_SITE_TLS_H
#define SIM_SITE_TLS_H

#include <openssl/ssl.h>

#include "dialog.h"

struct site;

/* What is wrong with a call's TLS; where the call is on the way is said behind each. */
enum tls_trouble {
    TLS_WELL,
    TLS_STRIPPED,  /* EHLO: STARTTLS is not announced */
    TLS_UNWILLING, /* STARTTLS: 454 */
    TLS_INJECTED,  /* behind the 220: replies that somebody says in clear */
    TLS_SILENT,    /* behind the 220: nothing */
    TLS_NONSENSE,  /* behind the client's first octets: no TLS */
    TLS_RESETS,    /* the same: the connection ends */
    TLS_HALF,      /* in the middle of what it says first: the same */
    TLS_TROUBLES
};

struct site_tls {
    struct site *site;
    SSL *ssl; /* NULL: in clear */
    enum tls_trouble trouble;
    bool forged; /* somebody else stands there, with a certificate of his */
    size_t forger;
    bool asked; /* STARTTLS was said */
    bool used;  /* something was heard in TLS */
};

enum site_tls_end {
    SITE_TLS_GOES_ON,
    SITE_TLS_FAILED, /* what is to be said of it is in dialog->out; then it ends */
    SITE_TLS_RESET,  /* it ends now */
};

/* May draw. */
struct site_tls site_tls_plan(const struct site *site);
bool site_tls_is_announced(const struct site *site, const struct site_tls *tls);
/* The 220 was said. */
void site_tls_begin(struct site_tls *tls, struct site *site, struct dialog *dialog);
void site_tls_end(struct site_tls *tls);
/* Instead of dialog_pull. */
enum site_tls_end site_tls_pull(struct site_tls *tls, struct dialog *dialog);
void site_tls_say(struct site_tls *tls, struct dialog *dialog, struct str octets);

/* A message of this sender begins: may it? Nothing is said to a host that has not proved what its
 * DNS says, but letters that may do without TLS; and who offers TLS is heard in it, unless a
 * handshake with him was lost. */
void site_tls_judge(const struct site *site, const struct site_tls *tls, struct str from);

#endif
