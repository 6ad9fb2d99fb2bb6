/*
 * The directory: who lives here. Domains, accounts, aliases, mailing lists, moved users and
 * catch-alls, kept in PARTITION_DIRECTORY; look-ups for RCPT, VRFY, EXPN and log-ins; what an
 * account is known by and may send as; the operator's changes.
 *
 * Every address is the name of one thing: an account, an alias, a list or a moved user. Names are
 * found by addr_local_key (format/addr.h), so Bob@ and bob@ are one. A catch-all is an alias whose
 * name has an empty local part, written "@domain".
 *
 * A name is looked for as it is; then without its tag (bob+tag is bob's); then, for postmaster, as
 * the server's postmaster, also at the name or address of the host itself; then as the domain's
 * catch-all.
 *
 * What an address leads to may be elsewhere: an alias, a list, a moved user and an account that
 * forwards may name addresses whose domain is not ours, and neither is the host itself. Which
 * domains are ours is asked when mail comes, so a domain that is added takes over what was sent to
 * it elsewhere.
 *
 * All calls with a struct directory may yield, but directory_init. Results live in the arena that
 * was given. A change is one commit (an `apply` of more than 8,192 entries is several, each sound)
 * that fails unless the directory is as it was when the change was checked; it is tried again up to
 * five times, then ERR_CONFLICT. Details of errors are literals or the arena's.
 */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include "base/sha256.h"
#include "format/addr.h"
#include "format/language.h"
#include "store/engine.h"
#include "store/mailbox.h"
#include "sys/world.h"
#include "trust/sasl.h"

enum {
    DIRECTORY_DEPTH_MAX = 16,       /* aliases and lists inside each other */
    DIRECTORY_MEMBERS_MAX = 100000, /* of a list; addresses elsewhere that one address leads to */
    DIRECTORY_COPIES_MAX = 10000,   /* accounts that one address leads to */
    DIRECTORY_TARGETS_MAX = 100,    /* of an alias */
    DIRECTORY_CANDIDATES_MAX = 20,  /* of an ambiguous VRFY */
    DIRECTORY_EXPAND_MAX = 1000,    /* lines of an EXPN */
    DIRECTORY_NAME_MAX = 200,       /* octets of a display name */
    DIRECTORY_APPLY_MAX = 64 << 20, /* octets of a text to apply */
    /* Of an account: */
    DIRECTORY_APP_PASSWORDS_MAX = 50,
    DIRECTORY_CERTIFICATES_MAX = 20,
    DIRECTORY_GRANTS_MAX = 100,
    DIRECTORY_FORWARDS_MAX = 10, /* addresses that its mail goes on to */
    DIRECTORY_NETWORKS_MAX = 64, /* it logged in from; the oldest go */
    DIRECTORY_LABEL_MAX = 100,   /* octets of the name of an application password or certificate */
    DIRECTORY_NETWORK_TEXT = 64, /* octets of a network as text */
    DIRECTORY_NETWORK_NEW = 2,   /* days (of UTC) for which a network is new to an account */
};

#define DIRECTORY_MAGIC MAGIC('D', 'I', 'R', 'E')

/* From the configuration; texts are the caller's. */
struct directory_settings {
    char plus;              /* begins a tag in a local part; '\0': no tags */
    uint64_t quota;         /* octets, of accounts without one of their own; 0: no limit */
    struct str postmaster;  /* an address; empty: the first account that was made */
    struct str hostname;    /* postmaster@ of it is the postmaster, though it is no domain here */
    enum language language; /* of accounts without one of their own */
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

/* What an account can be used through. Stored. */
enum directory_service {
    SERVICE_SMTP = 1, /* submission */
    SERVICE_POP3 = 2,
    SERVICE_IMAP = 4,
    SERVICES_ALL = SERVICE_SMTP | SERVICE_POP3 | SERVICE_IMAP,
};

/* An account's language, where it has one of its own. Stored. */
enum account_language {
    ACCOUNT_LANGUAGE_DEFAULT, /* the server's */
    ACCOUNT_LANGUAGE_ENGLISH,
    ACCOUNT_LANGUAGE_CHINESE,
    ACCOUNT_LANGUAGES
};

struct account {
    uint64_t id;
    uint64_t inbox; /* mailbox id of INBOX */
    int64_t created;
    uint64_t quota; /* octets; 0: the server's default; QUOTA_NONE: no limit */
    bool disabled;
    uint8_t services_off; /* enum directory_service: switched off */
    /* Another one after each change of what decides about log-ins: password, application passwords,
     * certificates, services, disabled. A session, and a cached success, is good for one. */
    uint64_t credential_version;
    struct str address;             /* addr_print form */
    struct str name;                /* display name; may be empty */
    struct str password;            /* hash (trust/password.h); empty: it has no password */
    enum account_language language; /* of reports to it */
    /* Where its mail goes on to, in addr_print form, here or elsewhere. Not given by the look-ups
     * of log-ins, and not used by add and set: see directory_forward_add. */
    struct str *forwards;
    size_t forward_count;
    bool forwards_only; /* and it gets no copy of what goes on; false where nothing does */
    /* To add and set only, with the password: what else is to be kept of it; NULL: nothing, and
     * what was kept of the old one goes. */
    const struct password_kept *kept;
};

/* What mechanisms with a challenge need of a password (trust/sasl.h). */
struct password_keys {
    bool has_sha_1, has_sha_256;
    struct scram_keys sha_1, sha_256;
};

/* Beside its hash. */
struct password_kept {
    unsigned char salt[SCRAM_SALT];
    uint32_t rounds; /* of the keys; 0: there are none */
    struct password_keys keys;
    struct str cram_secret; /* the password itself, for CRAM-MD5; empty: not kept */
};

/* A password that one program has, made here: it may do less, and is taken back alone. */
struct app_password {
    uint64_t id; /* of the account, never used twice */
    int64_t created;
    uint8_t services; /* enum directory_service: what it is good for; never more than the account */
    struct str name;
    struct str hash;           /* trust/password.h */
    struct password_keys keys; /* by the account's salt and rounds */
    uint32_t last_used;        /* days since 1970; 0: never, or not asked for */
};

struct client_certificate {
    int64_t created;
    struct str name;
    unsigned char fingerprint[SHA256_SIZE]; /* of its DER */
};

/* What an account is known by, beside the hash of its password. */
struct credentials {
    struct password_kept password; /* its salt and rounds are those of all keys of the account;
                                      rounds 0: it has none */
    struct app_password *app_passwords;
    size_t app_password_count;
    struct client_certificate *certificates;
    size_t certificate_count;
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
    RESOLVED_FOUND,   /* one or more copies, or addresses elsewhere */
    RESOLVED_MOVED,   /* moved_to: 551 */
    RESOLVED_UNKNOWN, /* our domain or address, nobody there */
    RESOLVED_RELAY,   /* not our domain */
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
    enum language language; /* of reports to the account */
    bool disabled;
    bool over_quota; /* it has no room for the message */
};

/* An address elsewhere that the mail goes on to; each occurs once, by the name rule of addresses
 * here (Bob@ and bob@ are one, written as it was met first). */
struct outside {
    struct addr addr;
    struct str text;  /* addr_print form */
    struct str given; /* the last address here before it, whose name led there: of the alias, list
                         or moved user, or of the account that forwards; as it was written (tags) */
    struct str list;  /* as of a copy */
    struct str list_owner;
    bool forward; /* it came through no list: it is sent on in the name of its sender */
};

/* Has a mailbox room for a message of `size` octets (0: not known)? NONE; QUOTA_FULL_LATER: not
 * now; QUOTA_FULL: not even were it empty. */
enum err_code copy_room(const struct copy *copy, uint64_t size);

struct resolved {
    enum resolved_kind kind;
    /* What RCPT should answer: NONE, MAILBOX_UNKNOWN, MAILBOX_MOVED, RELAY_DENIED, ALIAS_LOOP;
     * MAILBOX_DISABLED where every copy is, and nothing goes elsewhere; QUOTA_FULL_LATER or
     * QUOTA_FULL where a copy that came from no list has no room (the sender keeps the mail; a list
     * refuses for no member). */
    struct err refusal;
    struct copy *copies; /* in a fixed order, disabled ones too */
    size_t count;
    struct outside *outside; /* in a fixed order; of RESOLVED_FOUND only: what is to become of
                                RESOLVED_RELAY the caller decides */
    size_t outside_count;
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
 * LIST_NOT_USER; MAILBOX_UNKNOWN. An alias to one account is that account, one to one address
 * elsewhere is a mailbox; what an account forwards is not looked at.
 */
struct err directory_verify(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r);

/* EXPN: the members of a list or targets of an alias, one level. MAILBOX_UNKNOWN, USER_NOT_LIST,
 * ACCESS_DENIED (the list is not expandable), OVER_LIMIT (more than DIRECTORY_EXPAND_MAX). */
struct err directory_expand(struct directory *directory, struct str text, struct arena *arena,
                            struct directory_lines *lines_r);

/* By log-in name, prepared already (trust/prepare.h): an address, an alias that leads to one
 * account and to no list, or a local part that only one account has. LOGIN_FAILED where there is no
 * such account; a disabled account is given back (the caller says LOGIN_DISABLED, after it checked
 * the password), and so is one whose services are off. */
struct err directory_login(struct directory *directory, struct str user, struct arena *arena,
                           struct account *account_r);

/* In what language it is written to. */
enum language directory_language(const struct directory *directory, const struct account *account);

/* Octets that the account may hold as things are set; 0: no limit. */
uint64_t directory_quota(const struct directory *directory, const struct account *account);

struct err directory_account_by_id(struct directory *directory, uint64_t id, struct arena *arena,
                                   struct account *account_r);

/* --- Log-ins --------------------------------------------------------------------------------- */

/*
 * Read the account first: a session belongs to the credential_version that was read before anything
 * was compared. Who keeps sessions asks for the version again once a session is in its table, and
 * whenever PARTITION_DIRECTORY changed; another one, or NOT_FOUND (removed), ends the session.
 */
struct err directory_credential_version(struct directory *directory, uint64_t account,
                                        uint64_t *version_r);

/* Of an account; empty ones where it has none. last_used is not filled in. */
struct err directory_credentials(struct directory *directory, uint64_t account, struct arena *arena,
                                 struct credentials *credentials_r);

enum {
    DIRECTORY_SALT_KEY = 32
};
/* What salts of users whom there are not are made of (scram_salt_made_up): made when it is asked
 * for first, and the same for as long as the store lives. */
struct err directory_salt_key(struct directory *directory, unsigned char key_r[DIRECTORY_SALT_KEY]);

/* Have application passwords keys by the account's salt? Then all keys have to be by it, since
 * these could not be made anew. */
bool directory_salt_is_held(const struct credentials *credentials);

/* The account that has the certificate. `as` empty: the only one that has it; else the one of this
 * log-in name, if it has it. LOGIN_FAILED. */
struct err directory_login_certificate(struct directory *directory,
                                       const unsigned char fingerprint[SHA256_SIZE], struct str as,
                                       struct arena *arena, struct account *account_r);

/*
 * The same password, kept in a better way: `hash` and `kept` replace what is kept of it, and the
 * credential version stays. CONFLICT unless that is still `version`: then nothing is changed. SCRAM
 * keys must be by the account's salt and rounds where application passwords have keys by them (else
 * CONFLICT too). A CRAM secret stays as it is.
 */
struct err directory_password_keep(struct directory *directory, uint64_t account, uint64_t version,
                                   struct str hash, const struct password_kept *kept);

/* The application password was used that day (days since 1970). Writes at most once a day. Not in
 * PARTITION_DIRECTORY, as what follows neither. */
struct err directory_app_password_used(struct directory *directory, uint64_t account, uint64_t id,
                                       uint32_t day);

/* Did the account log in well from this network (CIDR text, "192.0.2.0/24") on
 * `since` or later (days since 1970)? */
struct err directory_network_known(struct directory *directory, uint64_t account,
                                   struct str network, uint32_t since, bool *known_r);
/* Is it new to the account on that day? It logged in well from other networks before, and from this
 * one never, or for the first time on that day or the one before it. Where an account logs in first
 * of all is not new. */
struct err directory_network_is_new(struct directory *directory, uint64_t account,
                                    struct str network, uint32_t day, bool *new_r);
/* It logged in well from there on that day. Writes at most once a day for a network; the
 * DIRECTORY_NETWORKS_MAX newest are kept. An account that was removed is no error. */
struct err directory_network_note(struct directory *directory, uint64_t account, struct str network,
                                  uint32_t day);

/* --- Sending --------------------------------------------------------------------------------- */

/*
 * May the account send as this address? Where mail to it comes to the account and to nobody else,
 * by the rules of directory_resolve and through no list (its own address, its tags, an alias or a
 * catch-all that leads to it alone; where the account forwards it to does not count), or where the
 * address or its domain was granted. A disabled account may not; nobody may as the null path. False
 * is no error; NOT_FOUND: no such account.
 */
struct err directory_may_send(struct directory *directory, uint64_t account,
                              const struct addr *addr, struct arena *arena, bool *may_r);

/* --- Changing -------------------------------------------------------------------------------- */

/* The address of a name as an operator writes it: local@domain, or @domain for a catch-all. */
struct err directory_name_parse(struct str text, struct arena *arena, struct addr *addr_r);
void directory_name_print(struct buf *to, const struct addr *addr);

/* Errors of all: EXISTS, NOT_FOUND, DOMAIN_UNKNOWN (it is not ours), NAME_REFUSED (S29, O02:
 * look-alike of an existing name, mixed scripts, invisible characters, names that are paths or
 * commands elsewhere), IN_USE (something else leads there), ALIAS_LOOP, USAGE, OVER_LIMIT. `domain`
 * as host_parse gives it. Targets, members and forwards at domains of ours must have somebody there
 * (NOT_FOUND); elsewhere they may be any address. The owner of a list is an address here (else
 * NOT_ALLOWED). */
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
    FIELD_SMTP = 64, /* its bit in services_off; the next two likewise */
    FIELD_POP3 = 128,
    FIELD_IMAP = 256,
    FIELD_LANGUAGE = 512,
    FIELD_SERVICES = FIELD_SMTP | FIELD_POP3 | FIELD_IMAP,
};

/* Name, password with `kept`, quota, disabled, services_off, language of `account` are used, and id
 * and inbox given back in it. */
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

/* Name, services, hash, keys of `app` are used, and its id given back. `kept`: the salt and rounds
 * that its keys are by, if it has any; CONFLICT where the account has others meanwhile. Errors of
 * these: EXISTS (the name), NAME_REFUSED (empty, not UTF-8, controls, too long), OVER_LIMIT. */
struct err directory_app_password_add(struct directory *directory, const struct addr *addr,
                                      struct app_password *app, const struct password_kept *kept,
                                      struct arena *arena);
/* By name, or by its number where none has that name. */
struct err directory_app_password_remove(struct directory *directory, const struct addr *addr,
                                         struct str which, struct arena *arena);
/* Fills in last_used of all. */
struct err directory_app_passwords_used(struct directory *directory, uint64_t account,
                                        struct credentials *credentials);

/* EXISTS also where the account has the certificate under another name. */
struct err directory_certificate_add(struct directory *directory, const struct addr *addr,
                                     const struct client_certificate *certificate,
                                     struct arena *arena);
/* By name, or by its fingerprint. */
struct err directory_certificate_remove(struct directory *directory, const struct addr *addr,
                                        struct str which, struct arena *arena);

/* 64 hexadecimal digits, in any case, with colons between octets or without, "SHA256:" in front or
 * not; printed in lower case and bare. */
bool directory_fingerprint_parse(struct str text, unsigned char fingerprint_r[SHA256_SIZE]);
void directory_fingerprint_print(struct buf *to, const unsigned char fingerprint[SHA256_SIZE]);

/* Does an account that forwards get a copy of its own? */
enum forward_keep {
    FORWARD_KEEP_AS_IS, /* as before; one that did not forward keeps one */
    FORWARD_KEEP,
    FORWARD_KEEP_NONE,
};

/* Its mail goes on to `target` too: an operator's word is taken as it is, nobody at the other end
 * is asked. A disabled account forwards nothing, since it gets nothing. EXISTS, OVER_LIMIT, and as
 * for aliases NOT_FOUND and ALIAS_LOOP; with the last that goes the account keeps its mail again.
 */
struct err directory_forward_add(struct directory *directory, const struct addr *addr,
                                 const struct addr *target, enum forward_keep keep,
                                 struct arena *arena);
struct err directory_forward_remove(struct directory *directory, const struct addr *addr,
                                    const struct addr *target, struct arena *arena);
/* USAGE: none where it forwards nothing. */
struct err directory_forward_keep(struct directory *directory, const struct addr *addr,
                                  enum forward_keep which, struct arena *arena);

/* `other`: an address, or a whole domain ("@domain"), here or elsewhere, that the account may send
 * as too. EXISTS, OVER_LIMIT, NOT_FOUND. */
struct err directory_grant_add(struct directory *directory, const struct addr *addr,
                               const struct addr *other, struct arena *arena);
struct err directory_grant_remove(struct directory *directory, const struct addr *addr,
                                  const struct addr *other, struct arena *arena);
/* addr_print form, or "@domain"; sorted by domain, then local part. */
struct err directory_grant_list(struct directory *directory, uint64_t account, struct arena *arena,
                                struct str **grants_r, size_t *count_r);

struct err directory_alias_add(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena);
struct err directory_alias_set(struct directory *directory, const struct addr *addr,
                               const struct addr *targets, size_t count, struct arena *arena);
struct err directory_alias_show(struct directory *directory, const struct addr *addr,
                                struct arena *arena, struct alias *alias_r);
struct err directory_alias_remove(struct directory *directory, const struct addr *addr,
                                  struct arena *arena);

/* A member that comes to a list or leaves it. One that is there already, or is not there, is
 * EXISTS or NOT_FOUND; one that unsubscribed comes back only where `again` says so (NOT_ALLOWED).
 */
struct member_change {
    struct addr member;
    bool drop, again;
    bool unsubscribes; /* an operator says that he did; whether he was a member or not */
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
/* As _show, without counting its members. */
struct err directory_list_find(struct directory *directory, const struct addr *addr,
                               struct arena *arena, struct mailing_list *list_r);
struct err directory_list_remove(struct directory *directory, const struct addr *addr,
                                 struct arena *arena);
/* How somebody left a list by himself. Stored. */
enum unsubscribed_by {
    UNSUBSCRIBED_BY_LINK,     /* of a newsletter (RFC 8058) */
    UNSUBSCRIBED_BY_OPERATOR, /* who was asked to */
    UNSUBSCRIBED_WAYS
};

struct unsubscribed {
    struct str address;
    int64_t time;
    enum unsubscribed_by by;
};

/* He is no member from now on, and is not made one again unless somebody says so; once more is no
 * error, and neither is who was no member. NOT_FOUND: no such list. */
struct err directory_unsubscribe(struct directory *directory, const struct addr *list,
                                 const struct addr *member, enum unsubscribed_by by,
                                 struct arena *arena);
/* All who did, sorted by address. */
struct err directory_unsubscribed(struct directory *directory, const struct mailing_list *list,
                                  struct arena *arena, struct unsubscribed **list_r,
                                  size_t *count_r);
/* "link", "operator" */
struct str directory_unsubscribed_word(enum unsubscribed_by by);
/* "2026-11-22T11:00:00Z link bob@example.test", as `apply` reads it. */
void directory_unsubscribed_print(const struct unsubscribed *one, struct buf *to);

/* Up to `limit` members behind this one (empty: from the first), sorted as in directory_members. */
struct err directory_members_after(struct directory *directory, const struct mailing_list *list,
                                   struct str after, size_t limit, struct arena *arena,
                                   struct str **members_r, size_t *count_r);
/* All members, sorted. */
struct err directory_members(struct directory *directory, const struct mailing_list *list,
                             struct arena *arena, struct str **members_r, size_t *count_r);

/* forward: to an address here (with somebody there) or elsewhere; otherwise `to` may be any. */
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
 * with password hashes, keys and CRAM-MD5 secrets. `out` gets it in pieces. */
struct err directory_export(struct directory *directory, void (*out)(void *arg, struct str text),
                            void *arg);

/*
 * Makes the directory hold what the text says: adds what is missing, changes what differs, removes
 * nothing that the text does not name (the targets of a named alias, the members of a named list
 * and what a named account may send as are made equal). Who unsubscribed from a list does not
 * become a member again by it. What an account is known by (password,
 * scram, cram_md5, app_password, certificate) and is not given stays, but for what was kept of a
 * password that is another one now; every other setting that is not given gets its default. The
 * whole text is checked before anything is written; an error's detail says the line: "line 12:
 * ...". `report` is called once for each change, in words, when all is done. dry_run: reports what
 * it would do.
 */
struct directory_applied {
    uint64_t added, changed, unchanged;
};
struct err directory_apply(struct directory *directory, struct str text, bool dry_run,
                           void (*report)(void *arg, struct str line), void *arg,
                           struct arena *arena, struct directory_applied *applied_r);

#endif
