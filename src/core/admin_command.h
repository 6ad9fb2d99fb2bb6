/*
 * One operator's command: its row in the table (admin_commands.c), what was typed, and how it
 * answers. Inside src/core only.
 *
 * An answer is built once, as JSON values, and shown in two ways: as JSON, or as text made of the
 * same members in the same order. Members that are empty (null, "", false, 0 where it says nothing)
 * are left out of the text, never out of the JSON.
 */
#ifndef CORE_ADMIN_COMMAND_H
#define CORE_ADMIN_COMMAND_H

#include <jansson.h>

#include "core/admin.h"

enum {
    ADMIN_OPTIONS_MAX = 16, /* kinds of options of a command */
    ADMIN_GIVEN_MAX = 256,  /* options given in one command */
    ADMIN_LINE_MAX = 1024 * 1024,
};

enum admin_exit {
    ADMIN_OK = 0,
    ADMIN_FOUND_WANTING = 1, /* check: something fails */
    ADMIN_USAGE = 64,
    ADMIN_DATA = 65,
    ADMIN_NO_USER = 67,
    ADMIN_NO_HOST = 68,
    ADMIN_UNAVAILABLE = 69,
    ADMIN_SOFTWARE = 70,
    ADMIN_CANNOT_CREATE = 73,
    ADMIN_DISK = 74,
    ADMIN_LATER = 75,
    ADMIN_NOT_ALLOWED = 77,
    ADMIN_CONFIG = 78,
};

struct admin_option {
    const char *name; /* with its dashes */
    bool has_value;
};

struct admin_given {
    struct str name, value;
};

struct admin_call {
    struct admin *admin;
    const struct admin_command *command;
    const struct str *words; /* positional, without the command's own */
    size_t count;
    struct admin_given given[ADMIN_GIVEN_MAX];
    size_t given_count;
};

struct admin_command {
    const char *noun, *verb; /* verb "": the noun alone; of two words: "grant add" */
    const char *arguments;   /* for the usage line */
    const char *help;
    size_t least, most; /* positional words */
    struct admin_option options[ADMIN_OPTIONS_MAX];
    int (*run)(struct admin_call *);
};

extern const struct admin_command admin_commands[];
extern const size_t admin_command_count;

/* --- What was typed (admin.c) --- */

/* The value of an option that was given (the last time), or str_null. */
struct str admin_value(const struct admin_call *call, const char *option);
bool admin_has(const struct admin_call *call, const char *option);

/* Parses an address, domain, quota or time; says what is wrong on error. 0 or the exit code. A
 * domain may end in the dot of the root. */
int admin_addr(struct admin_call *call, struct str text, struct addr *addr_r);
int admin_domain_name(struct admin_call *call, struct str text, struct str *domain_r);
int admin_quota(struct admin_call *call, struct str text, uint64_t *quota_r);
/* The account that the first word names. */
int admin_account(struct admin_call *call, struct addr *addr_r, struct account *account_r);
/* "90s", "15m", "1h", "7d" into microseconds. */
bool admin_span(struct str text, int64_t *span_r);

/* May yield: what was done becomes an event of the audit, unless it was only looking
 * (admin_audit.c). */
void admin_record(struct admin *admin, const struct admin_command *command, const struct str *words,
                  size_t count, int code);

/* --- Answering (admin_answer.c) --- */

/* Says an error on standard error and gives its exit code; 0 for no error. */
int admin_fail(struct admin_call *call, struct err e);
/* The same with an exit code and words of the command's own. */
int admin_refuse(struct admin_call *call, int code, const char *words, struct str about);

/* Text as it is; for commands that have no members (trace, export). */
void admin_text(struct admin_call *call, struct str text);

/* A done change: "added account bob@example.test", {"done": "added", ...}. */
int admin_done(struct admin_call *call, const char *done, const char *what, struct str about);

/* Shows one object, takes it (NULL: no memory). 0 or the exit code. */
int admin_show(struct admin_call *call, json_t *object);

/* Lists objects, one line each, or as a JSON array; each is taken. */
struct admin_list {
    struct admin_call *call;
    bool any;
    bool failed;
};
struct admin_list admin_list_open(struct admin_call *call);
void admin_list_item(struct admin_list *list, json_t *object);
int admin_list_close(struct admin_list *list, struct err e);

/* An object as such a line, with its line end. */
void admin_line_put(struct buf *to, json_t *object);
/* A member a line. */
void admin_lines_put(struct buf *to, json_t *object);

/* Members of objects. A NULL object is passed on. */
void json_put(json_t *object, const char *name, json_t *value);
void json_put_text(json_t *object, const char *name, struct str text);
void json_put_number(json_t *object, const char *name, uint64_t number);
void json_put_flag(json_t *object, const char *name, bool flag);
/* Microseconds since 1970 as "2026-11-21T05:44:19Z". */
void json_put_time(json_t *object, const char *name, int64_t time);
json_t *json_text(struct str text);

/*
 * Addresses and domains, as they are stored. People are shown U-labels (addr_text_display),
 * programs what is stored.
 */
json_t *admin_address(const struct admin_call *call, struct str address);
/* What an object is about; JSON has "display" beside it, where people are shown something else. */
void admin_put_name(const struct admin_call *call, json_t *object, const char *name,
                    struct str address);
/* The form that is stored. */
struct str admin_stored(const struct admin_call *call, const struct addr *addr);

/* --- The commands --- */

int admin_domain_add(struct admin_call *call);
int admin_domain_show(struct admin_call *call);
int admin_domain_list(struct admin_call *call);
int admin_domain_remove(struct admin_call *call);

int admin_account_add(struct admin_call *call);
int admin_account_set(struct admin_call *call);
int admin_account_show(struct admin_call *call);
int admin_account_list(struct admin_call *call);
int admin_account_remove(struct admin_call *call);
int admin_account_password(struct admin_call *call);
int admin_account_hold(struct admin_call *call);
int admin_account_release(struct admin_call *call);
int admin_mailbox_list(struct admin_call *call);

int admin_app_password_add(struct admin_call *call);
int admin_app_password_list(struct admin_call *call);
int admin_app_password_remove(struct admin_call *call);
int admin_certificate_add(struct admin_call *call);
int admin_certificate_list(struct admin_call *call);
int admin_certificate_remove(struct admin_call *call);
int admin_forward_add(struct admin_call *call);
int admin_forward_list(struct admin_call *call);
int admin_forward_set(struct admin_call *call);
int admin_forward_remove(struct admin_call *call);
int admin_grant_add(struct admin_call *call);
int admin_grant_list(struct admin_call *call);
int admin_grant_remove(struct admin_call *call);

int admin_alias_add(struct admin_call *call);
int admin_alias_set(struct admin_call *call);
int admin_alias_show(struct admin_call *call);
int admin_alias_list(struct admin_call *call);
int admin_alias_remove(struct admin_call *call);

int admin_list_add(struct admin_call *call);
int admin_list_set(struct admin_call *call);
int admin_list_show(struct admin_call *call);
int admin_list_list(struct admin_call *call);
int admin_list_remove(struct admin_call *call);

int admin_newsletter_send(struct admin_call *call);

int admin_moved_add(struct admin_call *call);
int admin_moved_set(struct admin_call *call);
int admin_moved_show(struct admin_call *call);
int admin_moved_list(struct admin_call *call);
int admin_moved_remove(struct admin_call *call);

int admin_export(struct admin_call *call);
int admin_apply(struct admin_call *call);
int admin_trace(struct admin_call *call);
int admin_ban_add(struct admin_call *call);
int admin_ban_lift(struct admin_call *call);
int admin_ban_list(struct admin_call *call);

int admin_audit_verify(struct admin_call *call);
int admin_audit_list(struct admin_call *call);
int admin_audit_export(struct admin_call *call);
int admin_check_domain(struct admin_call *call);
int admin_dns_query(struct admin_call *call);
int admin_explain_send(struct admin_call *call);
int admin_queue_list(struct admin_call *call);
int admin_queue_show(struct admin_call *call);
int admin_queue_top(struct admin_call *call);
int admin_queue_hold(struct admin_call *call);
int admin_queue_release(struct admin_call *call);
int admin_queue_retry(struct admin_call *call);
int admin_queue_remove(struct admin_call *call);
int admin_queue_reroute(struct admin_call *call);
int admin_queue_pause(struct admin_call *call);
int admin_queue_resume(struct admin_call *call);
int admin_dkim_add(struct admin_call *call);
int admin_dkim_check(struct admin_call *call);
int admin_dkim_list(struct admin_call *call);
int admin_dkim_show(struct admin_call *call);
int admin_dkim_rotate(struct admin_call *call);
int admin_dkim_published(struct admin_call *call);
int admin_dkim_remove(struct admin_call *call);
int admin_route_list(struct admin_call *call);
int admin_route_show(struct admin_call *call);
int admin_route_presets(struct admin_call *call);
int admin_tls_show(struct admin_call *call);
int admin_tls_policy(struct admin_call *call);
int admin_tls_forget(struct admin_call *call);
int admin_tls_report(struct admin_call *call);
int admin_status(struct admin_call *call);
/* A line for each certificate, for status. */
void admin_put_certificates(struct admin_call *call, json_t *object);
int admin_fsck(struct admin_call *call);

/*
 * How the command says the main password is given (--password-stdin, --password-hash,
 * --no-password, --new-password or --new), and what is kept of it. FIELD_PASSWORD where it does;
 * `make_up`: one is made up where it does not. Texts are the command's; *made_r is one that was
 * made up, to be printed. `id`: of the account, 0: a new one.
 */
int admin_password(struct admin_call *call, uint64_t id, bool make_up, struct account *account,
                   unsigned *fields, struct str *made_r);
/* "changed account x", and the password that was made up, if there is one. */
int admin_account_done(struct admin_call *call, const char *done, struct str address,
                       struct str made);
/* ["bob@example.test", ...], each by admin_address. */
json_t *admin_addresses(const struct admin_call *call, const struct str *addresses, size_t count);
/* ["smtp", ...] */
json_t *admin_services(uint8_t services);
/* What `show` says of log-ins and sending, added to the account's object. */
int admin_access_put(struct admin_call *call, json_t *object, const struct account *account);

/* The names of one kind, of one domain (p == NULL: of all), one line each. */
int admin_names(struct admin_call *call, enum name_kind kind,
                json_t *(*object_of)(struct admin_call *, const struct name *));

#endif
