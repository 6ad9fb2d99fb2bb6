/* The words of `veredus send`. Pure; texts are those of the command line. */
#ifndef CLI_SEND_OPTIONS_H
#define CLI_SEND_OPTIONS_H

#include "base/buf.h"
#include "format/compose.h"

enum {
    SEND_WORDS_MAX = 1000, /* of one kind */
};

enum send_what {
    SEND_MESSAGE,
    SEND_FLUSH,
    SEND_LIST,
    SEND_HELP,
};

struct send_words {
    struct str *at;
    size_t count;
};

struct send_options {
    enum send_what what;
    struct send_words to, cc, bcc, files, fields;
    struct str subject, from, reply_to, conf, charset, at, html;
    struct str newsletter; /* the list; empty: none */
    enum compose_priority priority;
    bool receipt, loud;
    bool require_tls, tls_optional; /* RFC 8689: REQUIRETLS, "TLS-Required: No" */
    bool as_it_is;                  /* the text is labelled with its charset, and not made UTF-8 */
};

/* Memory is the arena's. False: what is wrong is in `why`. */
bool send_options_parse(int argc, char **argv, struct arena *arena, struct send_options *options_r,
                        struct buf *why);

/* "+30m", "+2h", "+3d", or a date and time of RFC 3339 with its zone; seconds since 1970. False:
 * neither, or no time to come. */
bool send_time_parse(struct str text, int64_t now, int64_t *time_r);

/* The type that a table as /etc/mime.types has for the name's ending; empty: none. */
struct str send_type(struct str table, struct str name);

extern const char send_usage[];

#endif
