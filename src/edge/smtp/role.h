/*
 * The edges that speak SMTP: `mx` serves it, and LMTP, to strangers and can neither log in nor open
 * a mailbox; `sub` serves submission to users and can open none.
 */
#ifndef EDGE_SMTP_ROLE_H
#define EDGE_SMTP_ROLE_H

/* Each runs its edge to the end; the exit code. */
int edge_mx_main(void);
int edge_sub_main(void);

#endif
