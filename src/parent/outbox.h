/*
 * What a child is to be told, in order and as fast as it reads: its configuration, core its
 * certificates, and handles. What cannot be told cuts the child's link. Nothing here yields.
 */
#ifndef PARENT_OUTBOX_H
#define PARENT_OUTBOX_H

#include "parent/certificates.h"
#include "parent/house.h"

/* The configuration as it is now: `setup`, else `configure`. */
void outbox_configuration(struct child *child, bool setup);
/* Takes them over where the child can be told. */
void outbox_certificates(struct child *child, struct certificates **certificates);
/* What the message borrows outlives the child. own: the handle is closed behind it. */
void outbox_handle(struct child *child, const struct msg *msg, int handle, bool own);

/* Goes on: the child read what was sent before. */
void outbox_send(struct child *child);
/* Forgets what was not sent. */
void outbox_clear(struct child *child);

#endif
