/*
 * Mailboxes. An account has mailboxes by name; a mailbox has messages by UID, each a hot record
 * that refers to a blob whose head (message_head.h) all recipients share.
 *
 * Partition ACCOUNT/account
 *   'm' name -> {format, mailbox id, uid_validity, created}
 *   'u'      -> usage {octets, messages} (OP_ADD)
 *   's'      -> what the account sent (sending.h)
 * Partition MAILBOX/mailbox
 *   'h'      -> {format, account, name}: here as long as the mailbox is
 *   'e' uid  -> hot record (OP_APPEND), at most MAILBOX_RECORD_MAX octets
 * Partition DIRECTORY/0
 *   "#mailbox" -> {next mailbox id, last uid_validity}
 *
 * Names are UTF-8 in NFC, levels divided by '/'; they are keys and never become paths (catalogue
 * I10). INBOX is one name in any case, made with the account.
 *
 * A delivery and a removal need 'h' to be there, so nothing can be added to a mailbox that is
 * going.
 */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include "store/engine.h"
#include "store/op_list.h"
#include "sys/world.h"

enum {
    MAILBOX_NAME_MAX = 255,      /* octets in NFC */
    MAILBOX_LEVELS_MAX = 32,     /* of a name */
    MAILBOXES_MAX = 10000,       /* of an account */
    MAILBOX_RECORD_MAX = 64,     /* octets of a hot record */
    MAILBOX_EXPUNGE_MAX = 20000, /* UIDs of one commit: these operations and the trace of each */
    MAILBOX_EXPUNGE_OPS = 2,     /* what mailbox_expunge_ops adds for each UID, */
    MAILBOX_EXPUNGE_MORE = 2,    /* and for all of them */
    MAILBOX_DELIVERY_OPS = 3,    /* what mailbox_delivery_ops adds for one recipient */
};

struct mailbox {
    uint64_t account;
    uint64_t id;
    uint32_t uid_validity; /* for the life of the mailbox; never the same for a later one */
    int64_t created;       /* microseconds since 1970 */
    struct str name;
};

/* A name into its one form, in the arena. ERR_NAME_REFUSED with a literal detail: empty, not UTF-8,
 * controls, wildcards, empty levels, "." or ".." as a level, a leading '~', too long, too deep. */
struct err mailbox_name_parse(struct str text, struct arena *arena, struct str *name_r);

/* All may yield. `name` as mailbox_name_parse gives it. */
struct err mailbox_find(struct engine *engine, uint64_t account, struct str name,
                        struct arena *arena, struct mailbox *mailbox_r);
/* The name it has now. ERR_NOT_FOUND: removed meanwhile. */
struct err mailbox_name(struct engine *engine, uint64_t mailbox, struct arena *arena,
                        struct str *name_r);
/* ERR_EXISTS, ERR_OVER_LIMIT (MAILBOXES_MAX), ERR_NOT_FOUND (no such account). */
struct err mailbox_create(struct engine *engine, struct world *world, uint64_t account,
                          struct str name, struct arena *arena, struct mailbox *mailbox_r);
/* Sorted by name. */
struct err mailbox_list(struct engine *engine, uint64_t account, struct arena *arena,
                        struct mailbox **mailboxes_r, size_t *count_r);

/* --- Delivering ------------------------------------------------------------------------------ */

enum mailbox_flag {
    FLAG_SEEN = 1,
    FLAG_ANSWERED = 2,
    FLAG_FLAGGED = 4,
    FLAG_DELETED = 8,
    FLAG_DRAFT = 16,
};

/* A message in a mailbox: the hot record. */
struct mailbox_message {
    uint32_t uid;
    uint64_t modseq;
    blob_id blob;
    uint32_t recipient;    /* index into the head's delivered_to */
    uint32_t flags;        /* enum mailbox_flag */
    uint64_t size;         /* octets as served, prefix included */
    int64_t internal_date; /* microseconds since 1970 */
    uint64_t message;      /* message id */
};

/* Adds to a commit what puts one message into one mailbox: MAILBOX_DELIVERY_OPS operations. uid and
 * modseq of `message` are ignored: they stand in *append_r (may be NULL) once the commit is done.
 * The commit fails with ERR_CONFLICT if the mailbox was removed meanwhile. Never yields. */
void mailbox_delivery_ops(uint64_t account, uint64_t mailbox, const struct mailbox_message *message,
                          struct arena *arena, struct op_list *ops, struct op **append_r);

/* --- Reading --------------------------------------------------------------------------------- */

struct mailbox_row {
    uint32_t uid;
    uint64_t size;
};

/* May yield. Up to `limit` rows with uid >= from_uid, ascending. *more_r: there may be further
 * ones; ask again from the last UID + 1. */
struct err mailbox_rows(struct engine *engine, uint64_t mailbox, uint32_t from_uid, size_t limit,
                        struct arena *arena, struct mailbox_row **rows_r, size_t *count_r,
                        bool *more_r);

/* May yield. ERR_NOT_FOUND: removed meanwhile. */
struct err mailbox_message(struct engine *engine, uint64_t mailbox, uint32_t uid,
                           struct arena *arena, struct mailbox_message *message_r);

/* --- Removing -------------------------------------------------------------------------------- */

struct mailbox_removed {
    uint32_t uid;
    uint64_t message; /* message id */
};

/* May yield. Adds to a commit what removes these messages and corrects the usage; UIDs that are
 * gone are left out, the rows of *removed_r (the arena's) are those that were there. At most
 * MAILBOX_EXPUNGE_MAX, each UID once; MAILBOX_EXPUNGE_OPS operations each and MAILBOX_EXPUNGE_MORE.
 * ERR_CONFLICT at the commit means that another session removed one of them: build the list again.
 */
struct err mailbox_expunge_ops(struct engine *engine, uint64_t account, uint64_t mailbox,
                               const uint32_t *uids, size_t count, struct arena *arena,
                               struct op_list *ops, struct mailbox_removed **removed_r,
                               size_t *removed_count_r);

/* --- Usage ----------------------------------------------------------------------------------- */

struct usage {
    uint64_t octets; /* as served */
    uint64_t messages;
};

/* May yield. Zeroes where nothing was ever delivered. */
struct err mailbox_usage(struct engine *engine, uint64_t account, struct arena *arena,
                         struct usage *usage_r);

/* --- For the directory's changes -------------------------------------------------------------- */

/* The entries behind the above, so that an account and its INBOX are one commit. Keys and values
 * are the arena's; p == NULL where it is full. */
struct partition mailbox_account_partition(uint64_t account);
struct partition mailbox_partition(uint64_t mailbox);
struct str mailbox_name_key(struct str name, struct arena *arena);
struct str mailbox_name_value(const struct mailbox *mailbox, struct arena *arena);
struct str mailbox_header_value(const struct mailbox *mailbox, struct arena *arena);
/* The counter of ids: its key; and its value, of which the next id and uid_validity are taken. An
 * empty value is that of a new store. `now`: microseconds since 1970. */
struct str mailbox_counter_key(void);
struct err mailbox_counter_next(struct str value, int64_t now, struct arena *arena,
                                struct mailbox *mailbox, struct str *next_r);
struct err mailbox_name_decode(uint64_t account, struct str key, struct str value,
                               struct mailbox *mailbox_r);
/* The key of the header entry, in any mailbox. */
struct str mailbox_header_key(void);

#endif
