/*
 * Opening beneath a folder, in the kernel's way and in the old one, apart so that the test can show
 * that both refuse the same. `name` is checked already (no "..", no empty part) and may be cut up.
 * O_CLOEXEC and O_NOFOLLOW are added. A descriptor or -errno.
 */
#ifndef SYS_REAL_OPEN_H
#define SYS_REAL_OPEN_H

#include <sys/types.h>

int real_open_beneath(int folder, char *name, int flags, mode_t mode);
/* Part by part; a link on the way is -ENOTDIR, at the end -ELOOP. */
int real_open_walk(int folder, char *name, int flags, mode_t mode);

#endif
