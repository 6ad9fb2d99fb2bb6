/*
 * The edge that serves HTTP: it takes no mail, knows no user and opens no mailbox.
 */
#ifndef EDGE_HTTP_ROLE_H
#define EDGE_HTTP_ROLE_H

/* Runs it to its end; the exit code. */
int edge_web_main(void);

#endif
