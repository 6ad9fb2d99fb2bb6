/*
 * SEND, SOML and SAML: messages that are shown on terminals (doc/sending.md, 14). An edge says what
 * a terminal is to show, and no more than that: core decides whose, and cleans it.
 */
#ifndef EDGE_SMTP_TERMINALS_H
#define EDGE_SMTP_TERMINALS_H

#include "edge/smtp/session.h"
#include "format/screen.h"

/* Are they served here at all? */
bool smtp_terminals_are_on(const struct smtp_session *s);
/* To this client? */
bool smtp_may_use_terminals(const struct smtp_session *s);

/* A message to be shown begins: its first octets are kept. False: no memory. */
bool smtp_screen_begin(struct smtp_mail *mail);
/* The message is whole and good: what a terminal shows of it, in the transaction's arena. */
struct err smtp_screen_make(struct smtp_session *s, struct str *shown_r);

#endif
