/*
 * What routes log in with: passwords and access tokens, in memory that is neither swapped nor
 * dumped as far as the system allows (keys.h). The parent reads their files and tells them; a
 * courier gets one with a job that needs it. Nothing yields.
 *
 * Each is for the hosts that its block named when its file was read: behind a reload that changes
 * them it is no secret for anybody until the parent has told it anew.
 */
#ifndef CORE_SECRETS_H
#define CORE_SECRETS_H

#include "bus/messages.h"
#include "conf/conf.h"

struct secrets;

/* Behind keys_new, which takes that memory. NULL: no memory. */
struct secrets *secrets_new(void);
/* Wipes them. NULL is allowed. */
void secrets_free(struct secrets *secrets);

/* In the place of what was told of this block before. ERR_NO_MEMORY: there is none then. */
struct err secrets_take(struct secrets *secrets, const struct msg_route_secret *told);
/* Those of blocks that are not in the configuration any more. */
void secrets_forget(struct secrets *secrets, const struct conf *conf);

/* Borrowed until the next secrets_take. Empty: none for these hosts. */
struct str secrets_find(const struct secrets *secrets, struct str name, struct str via);

#endif
