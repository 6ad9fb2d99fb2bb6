/*
 * Applying a text: what its parts share. Inside src/store only.
 */
#ifndef STORE_DIRECTORY_APPLY_H
#define STORE_DIRECTORY_APPLY_H

#include "store/directory_edit.h"
#include "store/directory_text.h"

enum {
    APPLY_WORDS_MAX = 1024 /* octets of a report's line, or of an error */
};

enum wanted_kind {
    WANT_DOMAIN,
    WANT_ACCOUNT,
    WANT_ALIAS,
    WANT_LIST,
    WANT_MOVED,
    WANT_COUNT
};

/* What an account is to be known by, beside its password. */
struct wanted_access {
    struct password_kept kept; /* its salt is that of all keys given here */
    bool has_scram, has_cram_secret, has_app_passwords, has_certificates;
    struct credentials listed; /* its lists */
};

/* Who is to have left a list. */
struct wanted_left {
    struct addr addr;
    int64_t time;
    enum unsubscribed_by by;
};

/* One block, understood. */
struct wanted {
    enum wanted_kind kind;
    unsigned line;
    struct str title; /* as written */
    struct str name;  /* a domain, or domain '@' folded local part */
    struct addr addr;
    struct str full_name, password;
    bool has_password, disabled, expandable, has_owner, forward;
    uint8_t services_off;
    uint64_t quota;
    enum account_language language;
    struct addr *forwards; /* of an account */
    size_t forward_count;
    bool forwards_only;
    struct wanted_access *access; /* NULL: nothing of it is given */
    struct addr owner;
    struct addr *others; /* targets, members, where somebody moved, what one may send as */
    size_t other_count;
    struct wanted_left *left;
    size_t left_count;
    bool staged; /* a change: where it leads must be checked */
};

struct line {
    STAILQ_ENTRY(line) link;
    struct str text;
};

STAILQ_HEAD(line_list, line);

struct apply {
    struct arena parsed; /* the text, understood */
    struct wanted *wanted;
    size_t count, cap;
    struct arena reported; /* of one try */
    struct line_list lines;
    struct directory_applied applied;
    bool dry_run;
};

/* --- Understanding blocks (may not yield) --- */

struct reading {
    struct apply *apply;
    const struct text_block *block;
    struct wanted *wanted;
};

/* ERR_CONFIG: "line N: words", and the text in quotes where it is not empty. */
struct err apply_trouble(struct apply *apply, unsigned line, const char *words, struct str about);
struct err apply_read_flag(struct reading *reading, const struct text_field *field, bool *flag_r);
struct err apply_read_addr(struct reading *reading, const struct text_field *field,
                           struct addr *addr_r);

/* Settings of accounts. */
struct err apply_read_password(struct reading *reading, const struct text_field *field);
struct err apply_read_scram(struct reading *reading, const struct text_field *field);
struct err apply_read_cram_secret(struct reading *reading, const struct text_field *field);
struct err apply_read_app_password(struct reading *reading, const struct text_field *field);
struct err apply_read_certificate(struct reading *reading, const struct text_field *field);
struct err apply_read_quota(struct reading *reading, const struct text_field *field);
struct err apply_read_services(struct reading *reading, const struct text_field *field);
struct err apply_read_disabled(struct reading *reading, const struct text_field *field);
struct err apply_read_grant(struct reading *reading, const struct text_field *field);
struct err apply_read_language(struct reading *reading, const struct text_field *field);
struct err apply_read_forward(struct reading *reading, const struct text_field *field);
struct err apply_read_keep(struct reading *reading, const struct text_field *field);

/* --- Telling --- */

void apply_tell_added(struct apply *apply, const struct wanted *wanted);
/* `what`: "name, quota", or empty: nothing. */
void apply_tell_changed(struct apply *apply, const struct wanted *wanted, const struct buf *what);
/* Adds the name to `what` where there is a difference; gives it back. */
bool apply_differs(struct buf *what, bool differ, const char *name);

/* --- Staging (may yield) --- */

/* What is there under the name: its record, or ERR_NOT_FOUND; ERR_EXISTS where it is of another
 * kind. */
struct err apply_there(struct draft *draft, const struct wanted *wanted, enum name_kind kind,
                       struct found *found);
struct err apply_account(struct apply *apply, struct draft *draft, struct wanted *wanted);

/* --- Who left a list (directory_unsubscribed.c) --- */

struct err apply_read_unsubscribed(struct reading *reading, const struct text_field *field);
struct err apply_unsubscribed(struct draft *draft, uint64_t list, const struct wanted *wanted,
                              bool *changed_r);

#endif
