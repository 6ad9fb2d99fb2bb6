/*
 * The edge that serves SMTP and LMTP to strangers: it can neither log in nor open a mailbox.
 */
#ifndef EDGE_SMTP_ROLE_H
#define EDGE_SMTP_ROLE_H

/* Runs it to its end; the exit code. */
int edge_mx_main(void);

#endif
