/*
 * The edge that serves mailboxes: POP3. It takes no mail.
 */
#ifndef EDGE_POP3_ROLE_H
#define EDGE_POP3_ROLE_H

/* Runs it to its end; the exit code. */
int edge_box_main(void);

#endif
