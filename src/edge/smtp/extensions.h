/*
 * What EHLO and LHLO announce: one row each in extensions.c. Only what is accepted is announced.
 */
#ifndef EDGE_SMTP_EXTENSIONS_H
#define EDGE_SMTP_EXTENSIONS_H

#include "edge/smtp/session.h"

/* The lines behind the first, the last one ends the reply. */
void smtp_extensions_print(struct smtp_session *s);

/* Is this a parameter of MAIL or RCPT that an extension brings that is offered here? Of those in
 * format/mail_options.h; SIZE and the like are always taken. */
bool smtp_parameter_is_taken(const struct smtp_session *s, struct str key);

/* Here and now: there is a certificate, and the session is plain. */
bool smtp_starttls_is_offered(const struct smtp_session *s);
/* Is VRFY served to anybody? */
bool smtp_verify_is_on(const struct smtp_session *s);
/* To this client: something is sent here, and he may ask for it. */
bool smtp_etrn_is_served(const struct smtp_session *s);
/* On this listener: there is mail to be collected. */
bool smtp_atrn_is_served(const struct smtp_session *s);
bool smtp_turn_is_served(const struct smtp_session *s);

/* May this client say for whom it speaks (XCLIENT, XFORWARD)? */
bool smtp_is_trusted(const struct smtp_session *s); /* a user, or a client that may relay */
bool smtp_may_stand_in(const struct smtp_session *s);

#endif
