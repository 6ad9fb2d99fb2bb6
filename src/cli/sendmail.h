/*
 * sendmail, mailq and newaliases: `veredus` by another name, for programs that know no other. What
 * sendmail(8) of dist/ says is what holds.
 */
#ifndef CLI_SENDMAIL_H
#define CLI_SENDMAIL_H

#include "base/str.h"

/* Was the program called by one of these names? `path`: argv[0]. */
bool sendmail_is_meant(const char *path);
/* The exit code: sysexits(3). */
int sendmail_main(int argc, char **argv);

#endif
