/*
 * A message of ours to people: header, a text, attachments (RFC 5322, 2045 to 2049, 2183, 2231). It
 * is written into a sink piece by piece, so an attachment of any size takes no memory:
 *
 *     struct err e = compose_begin(&compose, &head, sink);     header and text
 *     compose_attach(&compose, name, type);                    for each attachment
 *     compose_feed(&compose, octets);                          any number of times
 *     e = compose_end(&compose);                               in every case behind begin
 *
 * All of it is 7-bit, but for addresses that have no ASCII form (compose.utf8 says so). Lines end
 * in CR LF. Values that come from outside stay values: an end of line in a subject, a name of a
 * file or an address begins no field. Nothing yields but the sink. The memory is a buf's: some
 * times the text, and COMPOSE_PIECE for attachments.
 */
#ifndef FORMAT_COMPOSE_H
#define FORMAT_COMPOSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "format/boundary.h"
#include "format/encodings.h"

enum {
    COMPOSE_TEXT_MAX = 64 << 20, /* octets of a text */
    COMPOSE_PIECE = 64 << 10,    /* octets that the sink is given at once, at most */
    COMPOSE_NAME_MAX = 255,      /* octets of an attachment's name; the rest is cut off */
};

/* Takes the next octets; false: no more can be taken, and compose_end says ERR_OS. */
struct compose_sink {
    void *context;
    bool (*put)(void *context, struct str octets);
};

struct compose_mailbox {
    struct str name;    /* UTF-8, may be empty */
    struct str address; /* addr_print form */
};

struct compose_mailboxes {
    const struct compose_mailbox *at;
    size_t count;
};

enum compose_priority {
    COMPOSE_NORMAL,
    COMPOSE_HIGH,
    COMPOSE_LOW,
};

struct compose_head {
    struct compose_mailbox from;
    struct compose_mailboxes to, cc, reply_to; /* neither to nor cc: undisclosed-recipients */
    bool to_follows;                           /* To is written in front of it by somebody else */
    struct str subject;                        /* UTF-8; empty: no field */
    int64_t time;                              /* seconds since 1970 */
    int zone;                                  /* minutes east of UTC */
    struct str message_id;                     /* without angle brackets */
    struct str user_agent;                     /* empty: no field */
    enum compose_priority priority; /* X-Priority, Importance, Priority (RFC 2156 5.3.6) */
    struct str
        receipt_to; /* Disposition-Notification-To (RFC 8098 2.1); empty: none is asked for */
    /* List-Unsubscribe (RFC 2369 3.2): an https URL, with which List-Unsubscribe-Post says that
     * one click is enough (RFC 8058), and an address. Either may be empty. */
    struct str unsubscribe_url, unsubscribe_mail;

    struct str text;
    /* Of the text; empty: us-ascii or utf-8 where it is that, else unknown-8bit (RFC 1428 3). */
    struct str charset;
    struct str html;  /* the same as HTML, UTF-8, for who reads that; empty: text alone */
    bool attachments; /* there will be some */
};

struct compose {
    struct compose_sink sink;
    struct buf out;
    struct base64_encode base64;
    char boundary[BOUNDARY_MAX];
    size_t boundary_n; /* 0: there are no attachments */
    bool attached;     /* an attachment is begun */
    bool refused;      /* by the sink */
    bool utf8;         /* what was written takes SMTPUTF8 */
};

/*
 * ERR_PARAMETER_VALUE, with a literal detail, and nothing was written: a charset that is no word,
 * or an unsubscribe_url that is no https URL. ERR_MESSAGE_TOO_LARGE: a text or HTML beyond
 * COMPOSE_TEXT_MAX. What the sink says shows in compose_end.
 */
struct err compose_begin(struct compose *compose, const struct compose_head *head,
                         struct compose_sink sink);

/* `name`: of the file, UTF-8; what stands before its last '/' is left out. `type`: "image/png";
 * empty, or malformed: as compose_type says. Ends the attachment before it. */
void compose_attach(struct compose *compose, struct str name, struct str type);
/* The same, of a text, which its octets are in: "gb18030"; empty, or no word: nothing is said. */
void compose_attach_text(struct compose *compose, struct str name, struct str type,
                         struct str charset);
void compose_feed(struct compose *compose, struct str octets);

/* ERR_OS where the sink refused; ERR_NO_MEMORY. */
struct err compose_end(struct compose *compose);

/* The type that goes with the end of a file's name; "application/octet-stream" where none is
 * known. */
struct str compose_type(struct str name);

#endif
