/*
 * The command line of sendmail, as forty years of callers write it: flags together ("-ti"), values
 * behind their letter or in the next word, letters of long gone programs that change nothing. Pure.
 */
#ifndef CLI_SENDMAIL_OPTIONS_H
#define CLI_SENDMAIL_OPTIONS_H

#include "base/str.h"
#include "format/mail_options.h"

enum sendmail_mode {
    SENDMAIL_DELIVER, /* -bm */
    SENDMAIL_SMTP,    /* -bs */
    SENDMAIL_QUEUE,   /* -bp */
    SENDMAIL_ALIASES, /* -bi */
    SENDMAIL_RETRY,   /* -q */
};

struct sendmail_options {
    enum sendmail_mode mode;
    bool dots_stay;   /* -i, -oi */
    bool require_tls; /* -O RequireTLS: REQUIRETLS (RFC 8689) */
    bool from_header;
    bool has_sender;
    struct str sender, full_name;
    uint8_t notify; /* enum dsn_notify */
    enum dsn_return ret;
    struct str envid; /* p NULL: none */
    bool loud;
    int first; /* of the words that are recipients */
};

/* False: what is wrong is in `why_r`, for a line. */
bool sendmail_options_parse(int argc, char **argv, struct sendmail_options *options_r,
                            struct buf *why);

#endif
