/*
 * The steps that changes of the directory are made of: checking and staging names on a draft
 * (directory_draft.h). The operator's single changes and `apply` are both built of these. Inside
 * src/store only. All may yield. Details of errors are literals or the draft's.
 */
#ifndef STORE_DIRECTORY_EDIT_H
#define STORE_DIRECTORY_EDIT_H

#include "store/directory_find.h"

/* A detail: the words, then the address or name in question. */
struct str detail_of(struct draft *draft, const char *words, struct str about);

/* addr_print form; "@domain" for a catch-all. In the draft's arena. */
struct str address_of(struct draft *draft, const struct addr *addr);

/* --- Domains --- */
struct err domain_stage(struct draft *draft, struct str domain);
/* ERR_DOMAIN_UNKNOWN, ERR_IN_USE */
struct err domain_unstage(struct draft *draft, struct str domain);

/* --- Names of any kind --- */

/* May this be a new name? EXISTS, DOMAIN_UNKNOWN, NAME_REFUSED. *name_r: domain '@' local. */
struct err name_check_new(struct draft *draft, const struct addr *addr, struct str *name_r);
/* A name that is there and of this kind; NOT_FOUND otherwise. */
struct err name_get_kind(struct draft *draft, const struct addr *addr, enum name_kind kind,
                         struct found *found_r);
/* Writes a new name with everything by which it is found, or (record only) an old one. */
struct err name_stage(struct draft *draft, struct str name, const struct name *record);
struct err name_restage(struct draft *draft, struct str name, const struct name *record);
/* ERR_IN_USE where an alias, list or forward leads to it. */
struct err name_unstage(struct draft *draft, const struct found *found);
/* A display name: UTF-8, no controls, short enough. */
struct err full_name_check(struct str full_name);

/* --- Who there is not (directory_nobody.c) --- */

/* The other half of a look for a log-in: nobody's record where none was found, and a miss where one
 * was. True: there is one; a store that no salt was asked of has none. */
bool nobody_name_get(struct draft *draft, bool found, struct found *nobody_r);
void nobody_credentials_get(struct draft *draft, bool found);

/* --- Accounts --- */
struct err account_stage(struct draft *draft, const struct addr *addr, struct account *account);
/* `credentials`: what the account is known by from now on, its certificates staged already. NULL:
 * as before, but for what goes and comes with a new password. */
struct err account_restage(struct draft *draft, const struct found *found,
                           const struct account *account, unsigned fields,
                           const struct credentials *credentials);

/* --- What an account is known by --- */

/* Empty ones where there are none. */
struct err credentials_get(struct draft *draft, uint64_t account,
                           struct credentials *credentials_r);
struct err credentials_stage(struct draft *draft, uint64_t account,
                             const struct credentials *credentials);
/* With the index of its certificates. */
struct err credentials_unstage(struct draft *draft, uint64_t account);

/* It has a record only where it says something. */
bool credentials_say_nothing(const struct credentials *credentials);

bool password_has_keys(const struct password_keys *keys);
bool password_is_salted_alike(const struct password_kept *a, const struct password_kept *b);

/* The main password's. NULL: nothing is kept. CONFLICT where application passwords have keys by
 * another salt. */
struct err password_kept_put(struct credentials *credentials, const struct password_kept *kept);
struct err password_stage(struct draft *draft, uint64_t account, const struct password_kept *kept);

/* ERR_USAGE, ERR_NAME_REFUSED. */
struct err app_password_check(const struct app_password *app);
struct err certificate_check(const struct client_certificate *certificate);
/* At the end of the list. One without a number (or date) is new: it gets that, and its index. */
struct err app_password_put(struct draft *draft, struct credentials *credentials,
                            const struct app_password *app);
struct err certificate_put(struct draft *draft, uint64_t account, struct credentials *credentials,
                           const struct client_certificate *certificate);
/* What is kept of one elsewhere. */
void app_password_drop(struct draft *draft, uint64_t account, uint64_t id);
void certificate_drop(struct draft *draft, uint64_t account,
                      const struct client_certificate *certificate);

/* --- What it may send as --- */

struct err grant_stage(struct draft *draft, uint64_t account, const struct addr *other);
struct str grant_key(struct draft *draft, uint64_t account, const struct addr *other);
struct err grants_unstage(struct draft *draft, uint64_t account);

/* --- Aliases, lists, moved users, accounts that forward: staged first, then checked, since they
 * may lead to each other --- */

/* All that a staged record leads to; its owner too. Is each an address here with somebody behind
 * it, or elsewhere, and does none lead back to it? NOT_FOUND (nobody), NOT_ALLOWED (an owner
 * elsewhere), ALIAS_LOOP, OVER_LIMIT. */
struct err group_check(struct draft *draft, const struct found *found);
/* Texts of the addresses, in the draft's arena, each once, in order. */
struct err addresses_print(struct draft *draft, const struct addr *addrs, size_t count,
                           struct str **texts_r, size_t *count_r);
/* An alias' targets. USAGE: none, or too many. */
struct err targets_print(struct draft *draft, const struct addr *addrs, size_t count,
                         struct alias *alias);
/* An account's forwards, in the record (to be restaged) and in the index of names that lead on.
 * `texts` lie in the draft's arena. */
void forwards_put(struct draft *draft, struct found *found, struct str *texts, size_t count,
                  bool only);
struct err member_stage(struct draft *draft, uint64_t list, const struct addr *member);
struct str member_key(struct draft *draft, uint64_t list, const struct addr *member);

/* --- Who left a list by himself (directory_unsubscribed.c) --- */

struct err unsubscribed_find(struct draft *draft, uint64_t list, const struct addr *member,
                             bool *left_r);
/* With his membership, where he has one. */
struct err unsubscribed_stage(struct draft *draft, uint64_t list, const struct addr *member,
                              int64_t time, enum unsubscribed_by by);
struct err unsubscribed_unstage(struct draft *draft, uint64_t list, const struct addr *member);
struct err unsubscribed_unstage_all(struct draft *draft, uint64_t list);

#endif
