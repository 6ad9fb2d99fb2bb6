/*
 * The directory: who lives here. Domains, accounts, aliases, mailing lists, moved users and
 * catch-alls, kept in PARTITION_DIRECTORY; look-ups for RCPT, VRFY, EXPN and log-ins; the
 * operator's changes.
 *
 * Every address is the name of one thing: an account, an alias, a list or a moved user. Names are
 * found by addr_local_key (format/addr.h), so Bob@ and bob@ are one. A catch-all is an alias whose
 * name has an empty local part, written "@domain".
 *
 * A name is looked for as it is; then without its tag (bob+tag is bob's); then, for postmaster, as
 * the server's postmaster, also at the name or address of the host itself; then as the domain's
 * catch-all.
 *
 * All calls with a struct directory may yield, but directory_init. Results live in the arena that
 * was given. A change is one commit (an `apply` of more than 8,192 entries is several, each sound)
 * that fails unless the directory is as it was when the change was checked; it is tried again up to
 * five times, then ERR_CONFLICT. Details of errors are literals or the arena's.
 */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "format/addr.h"
#include "store/engine.h"
#include "store/mailbox.h"
#include "sys/world.h"

enum {
    DIRECTORY_DEPTH_MAX = 16,       /* aliases and lists inside each other */
    DIRECTORY_MEMBERS_MAX = 10000,  /* accounts that one address leads to; members of a list */
    DIRECTORY_TARGETS_MAX = 100,    /* of an alias */
    DIRECTORY_CANDIDATES_MAX = 20,  /* of an ambiguous VRFY */
    DIRECTORY_EXPAND_MAX = 1000,    /* lines of an EXPN */
    DIRECTORY_NAME_MAX = 200,       /* octets of a display name */
    DIRECTORY_APPLY_MAX = 64 << 20, /* octets of a text to apply */
};

#define DIRECTORY_MAGIC MAGIC('D', 'I', 'R', 'E')

/* From the configuration; texts are the caller's. */
struct directory_settings {
    char plus;             /* begins a tag in a local part; '\0': no tags */
    uint64_t quota;        /* octets, of accounts without one of their own; 0: no limit */
    struct str postmaster; /* an address; empty: the first account that was made */
    struct str hostname;   /* postmaster@ of it is the postmaster, though it is no domain here */
};

struct directory {
    uint32_t magic;
    struct engine *engine;
    struct world *world;
    struct directory_settings settings;
    /* Others on it get their turns during long work (a list of 10,000, a large text); NULL, as
     * directory_init leaves it: there are none. */
    struct loop *loop;
    struct spares *spares; /* memory of what lives for one call; NULL as above: malloc's */
};

void directory_init(struct directory *directory, struct engine *engine, struct world *world,
                    const struct directory_settings *settings);

/* Finishes what a crash interrupted: the slices of a removed account. At the start of core. */
struct err directory_sweep(struct directory *directory);

/* --- Records --------------------------------------------------------------------------------- */

struct domain {
    struct str name; /* A-labels, or a literal in brackets */
    int64_t created; /* microseconds since 1970, as all `created` */
};

/* An account's own word that it has no limit, whatever the server's default is. Stored. */
#define QUOTA_NONE UINT64_MAX

struct account {
    uint64_t id;
    uint64_t inbox; /* mailbox id of INBOX */
    int64_t created;
    uint64_t quota; /* octets; 0: the server's default; QUOTA_NONE: no limit */
    bool disabled;
    struct str address;  /* addr_print form */
    struct str name;     /* display name; may be empty */
    struct str password; /* hash (trust/password.h); empty: nobody can log in */
};

struct alias {
    int64_t created;
    struct str address; /* "@domain": the domain's catch-all */
    struct str *targets;
    size_t target_count;
};

struct mailing_list {
    uint64_t id;
    int64_t created;
    bool expandable; /* EXPN may show its members */
    struct str address;
    struct str name;
    struct str owner; /* an address here */
    uint64_t members; /* how many; from _show only */
};

struct moved {
    int64_t created;
    bool forward; /* true: mail goes to `to`, reply 251; false: 551 with `to` as the new path */
    struct str address;
    struct str to;
};

/* --- Looking up ------------------------------------------------------------------------------ */

enum resolved_kind {
    RESOLVED_ACCOUNTS, /* one or more copies */
    RESOLVED_MOVED,    /* moved_to: 551 */
    RESOLVED_UNKNOWN,  /* our domain or address, nobody there */
    RESOLVED_RELAY,    /* not our domain */
};

/* One copy for one account; each account occurs once. */
struct copy {
    uint64_t account;
    uint64_t mailbox;        /* its INBOX */
    struct str address;      /* of the account */
    struct str delivered_to; /* what led to it: for the Delivered-To field */
    struct str list;         /* address of the (innermost) list it came from, or str_null */
    struct str list_owner;
    uint64_t quota; /* octets; 0: no limit */
    uint64_t used;
    bool disabled;
    bool over_quota; /* it has no room for the message */
};

/* Has a mailbox room for a message of `size` octets (0: not known)? NONE; QUOTA_FULL_LATER: not
 * now; QUOTA_FULL: not even were it empty. */
enum err_code copy_room(const struct copy *copy, uint64_t size);

struct resolved {
    enum resolved_kind kind;
    /* What RCPT should answer: NONE, MAILBOX_UNKNOWN, MAILBOX_MOVED, RELAY_DENIED, ALIAS_LOOP;
     * MAILBOX_DISABLED where every copy is; QUOTA_FULL_LATER or QUOTA_FULL where a copy that came
     * from no list has no room (the sender keeps the mail; a list refuses for no member). */
    struct err refusal;
    struct copy *copies; /* in a fixed order, disabled ones too */
    size_t count;
    struct str moved_to; /* RESOLVED_MOVED; also where a 251 forward was followed directly */
    bool forwarded;      /* the address itself is a moved user whose mail we forward: 251 */
};

/* `size`: octets of the message, as far as they are known; or 0. `server`: our IP address that the
 * client connected to, as text, or str_null: at its literal is the postmaster and nobody else (RFC
 * 1123 5.2.17), and it is no place to relay to. ERR_OVER_LIMIT where the limits above are passed;
 * errors of the engine. Unknown is no error. */
struct err directory_resolve(struct directory *directory, const struct addr *addr, uint64_t size,
                             struct str server, struct arena *arena, struct resolved *resolved_r);

/* Lines "Full Name <mailbox@domain>", in the order of the addresses. */
struct directory_lines {
    struct str *lines;
    size_t count;
    bool forwarded; /* VRFY: the line is where a moved user's mail is forwarded to (251) */
};

/*
 * VRFY: by mailbox ("<a@b>" or "a@b"), local part, or full name. NONE with one line;
 * MAILBOX_AMBIGUOUS with the candidates; MAILBOX_MOVED with the new path as the line;
 * LIST_NOT_USER; MAILBOX_UNKNOWN. An alias to one account is that account.
 */
struct err directory_verify(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r);

/* EXPN: the members of a list or targets of an alias, one level. MAILBOX_UNKNOWN, USER_NOT_LIST,
 * ACCESS_DENIED (the list is not expandable), OVER_LIMIT (more than DIRECTORY_EXPAND_MAX). */
struct err directory_expand(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r);

/* By log-in name: an address, or a local part that only one account has. LOGIN_FAILED where there
 * is no such account; a disabled account is given back (the caller says LOGIN_DISABLED, after it
 * checked the password). */
struct err directory_login(struct directory *directory, struct str user, struct arena *arena,
                           struct account *account_r);

/* Octets that the account may hold as things are set; 0: no limit. */
uint64_t directory_quota(const struct directory *directory, const struct account *account);

struct err directory_account_by_id(struct directory *directory, uint64_t id, struct arena *arena,
                                   struct account *account_r);

/* --- Changing -------------------------------------------------------------------------------- */

/* The address of a name as an operator writes it: local@domain, or @domain for a catch-all. */
struct err directory_name_parse(struct str text, struct arena *arena, struct addr *addr_r);
void directory_name_print(struct buf *to, const struct addr *addr);

/* Errors of all: EXISTS, NOT_FOUND, DOMAIN_UNKNOWN (it is not ours), NAME_REFUSED (S29, O02:
 * look-alike of an existing name, mixed scripts, invisible characters, names that are paths or
 * commands elsewhere), IN_USE (something else leads there), ALIAS_LOOP, USAGE, OVER_LIMIT. `domain`
 * as host_parse gives it. Targets, owners, members and forwards must be addresses here (else
 * NOT_ALLOWED: sending is not part of the server yet). */
struct err directory_domain_add(struct directory *directory, struct str domain,
                                struct arena *arena);
struct err directory_domain_show(struct directory *directory, struct str domain,
                                 struct arena *arena, struct domain *domain_r);
struct err directory_domain_remove(struct directory *directory, struct str domain,
                                   struct arena *arena);

/* Which fields of the struct a set changes. */
enum directory_field {
    FIELD_NAME = 1,
    FIELD_PASSWORD = 2,
    FIELD_QUOTA = 4,
    FIELD_DISABLED = 8,
    FIELD_OWNER = 16,
    FIELD_EXPANDABLE = 32,
};

/* Name, password, quota, disabled of `account` are used, and id and inbox given back in it. */
struct err directory_account_add(struct directory *directory, const struct addr *addr,
                                 struct account *account, struct arena *arena);
struct err directory_account_set(struct directory *directory, const struct addr *addr,
                                 const struct account *account, unsigned fields,
                                 struct arena *arena);
struct err directory_account_show(struct directory *directory, const struct addr *addr,
                                  struct arena *arena, struct account *account_r);
/* Removes its mailboxes too, in slices; a crash in between is finished by directory_sweep. */
struct err directory_account_remove(struct directory *directory, const struct addr *addr,
                                    struct arena *arena);

struct err directory_alias_add(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena);
struct err directory_alias_set(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena);
struct err directory_alias_show(struct directory *directory, const struct addr *addr,
                                struct arena *arena, struct alias *alias_r);
struct err directory_alias_remove(struct directory *directory, const struct addr *addr,
                                  struct arena *arena);

/* A member that comes to a list or leaves it. One that is there already, or is not there, is
 * EXISTS or NOT_FOUND. */
struct member_change {
    struct addr member;
    bool drop;
};

/* Name, expandable of `list` are used. Members change in this order, and the whole, up to 8,000 of
 * them, is one commit: it took place or it did not. `members` may be NULL where count is 0. */
struct err directory_list_add(struct directory *directory, const struct addr *addr,
                              const struct mailing_list *list, const struct addr *owner,
                              const struct member_change *members, size_t count,
                              struct arena *arena);
/* Owner is used, and may be NULL, by its field; fields may be 0. */
struct err directory_list_set(struct directory *directory, const struct addr *addr,
                              const struct mailing_list *list, const struct addr *owner,
                              unsigned fields, const struct member_change *members, size_t count,
                              struct arena *arena);
struct err directory_list_show(struct directory *directory, const struct addr *addr,
                               struct arena *arena, struct mailing_list *list_r);
struct err directory_list_remove(struct directory *directory, const struct addr *addr,
                                 struct arena *arena);
/* All members, sorted. */
struct err directory_members(struct directory *directory, const struct mailing_list *list,
                             struct arena *arena, struct str **members_r, size_t *count_r);

/* forward: `to` must be an address here; otherwise it may be any. */
struct err directory_moved_add(struct directory *directory, const struct addr *addr,
                               const struct addr *to, bool forward, struct arena *arena);
struct err directory_moved_set(struct directory *directory, const struct addr *addr,
                               const struct addr *to, bool forward, struct arena *arena);
struct err directory_moved_show(struct directory *directory, const struct addr *addr,
                                struct arena *arena, struct moved *moved_r);
struct err directory_moved_remove(struct directory *directory, const struct addr *addr,
                                  struct arena *arena);

/* --- Listing --------------------------------------------------------------------------------- */

/* What a name is. Values are stored: add at the end. */
enum name_kind {
    NAME_ACCOUNT = 1,
    NAME_ALIAS = 2,
    NAME_LIST = 3,
    NAME_MOVED = 4,
};

struct name {
    enum name_kind kind;
    union {
        struct account account;
        struct alias alias;
        struct mailing_list list;
        struct moved moved;
    };
};

/* Calls `each` for every domain, or every name of a domain (all domains: domain.p == NULL), sorted
 * by domain, then local part. Texts are valid during the call, which may yield; it stops at the
 * first error and gives it back. */
struct err directory_domains(struct directory *directory,
                             struct err (*each)(void *arg, const struct domain *), void *arg);
struct err directory_names(struct directory *directory, struct str domain,
                           struct err (*each)(void *arg, const struct name *), void *arg);

/* --- As one text ----------------------------------------------------------------------------- */

/* The whole directory as text that directory_apply reads: blocks like the configuration's, sorted,
 * with password hashes. `out` gets it in pieces. */
struct err directory_export(struct directory *directory, void (*out)(void *arg, struct str text),
                            void *arg);

/*
 * Makes the directory hold what the text says: adds what is missing, changes what differs, removes
 * nothing that the text does not name (the targets of a named alias and the members of a named list
 * are made equal). A password that is not given stays; every other setting that is not given gets
 * its default. The whole text is checked before anything is written; an error's detail says the
 * line: "line 12: ...". `report` is called once for each change, in words, when all is done.
 * dry_run: reports what it would do.
 */
struct directory_applied {
    uint64_t added, changed, unchanged;
};
struct err directory_apply(struct directory *directory, struct str text, bool dry_run,
                           void (*report)(void *arg, struct str line), void *arg,
                           struct arena *arena, struct directory_applied *applied_r);

#endif
