/*
 * The directory's entries as bytes. Inside src/store only. Never yields.
 *
 * Partition DIRECTORY, key -> value. "name" in a key is domain '@' folded local part, so that the
 * names of a domain stand together; <n> is a number, 8 octets, big endian; <h:x> the hash of x.
 *
 *   'd' domain                   -> domain record
 *   'n' name                     -> name record: account, alias, list or moved user
 *   'i' <account id>             -> name                    accounts by id
 *   'l' local '\0' domain        -> kind, name               names by local part (VRFY, log-in)
 *   'w' <h:display name> <account id>     -> name            accounts by folded display name
 *   's' <h:domain @ skeleton> <h:name>    -> name            look-alikes
 *   'x' name                     -> ''                       names that lead on: all but accounts
 *                                                            that forward nothing
 *   'm' <list id> name           -> member's address         members of a list
 *   'u' <list id> name           -> u8 1, time, how, address  who unsubscribed from it
 *   'c' <account id>             -> credentials record       not read for a recipient
 *   'f' fingerprint <account id> -> ''                       certificates, 32 octets of SHA-256
 *   'a' <account id> name        -> address                  what it may send as too
 *   'k'                          -> 32 octets                directory_salt_key
 *   'k' 'n', 'k' 'c'             -> name, credentials record nobody's (directory_nobody.c)
 *   'g' <account id> <mailbox id> -> ''                      removed, but not swept yet
 *   'v'                          -> version (directory_draft.h)
 *   '#' counter                  -> next number
 *
 * Partition ACCOUNT/account, beside what mailbox.h keeps there, since none of it changes who may do
 * what:
 *
 *   'a' <application password>   -> day (u32)                last used
 *   'k' network                  -> day, day (u32 each)      logged in well from: last, first
 *
 * Records are wire.h, versioned: FORMAT 1; of an account 3. Format 2 of it added services_off (u8)
 * and credential_version (u64) at its end, format 3 language (u8), forwards_only (u8) and forwards
 * (u32, then texts). One of format 1 has all services on, and version 0; one of format 2 the
 * server's language, and forwards nothing. Decoding: ERR_STORE_DAMAGED; texts borrow from the
 * value, arrays are the arena's (ERR_OVER_LIMIT).
 */
#ifndef STORE_DIRECTORY_RECORD_H
#define STORE_DIRECTORY_RECORD_H

#include "store/directory.h"

struct str domain_encode(const struct domain *domain, struct arena *arena);
struct err domain_decode(struct str name, struct str value, struct domain *domain_r);

/* str_null where the arena is full or the record above ENGINE_VALUE_MAX. */
struct str name_encode(const struct name *name, struct arena *arena);
struct err name_decode(struct str value, struct arena *arena, struct name *name_r);
struct str credentials_encode(const struct credentials *credentials, struct arena *arena);
struct err credentials_decode(struct str value, struct arena *arena,
                              struct credentials *credentials_r);

/* Its address, of whatever kind it is. */
struct str name_address(const struct name *name);

/* Keys, in the arena; str_null where it is full. */
struct str key_of(char kind, struct str rest, struct arena *arena);
struct str key_number(char kind, uint64_t number, struct str rest, struct arena *arena);
/* Two numbers and nothing behind them. */
struct str key_number_pair(char kind, uint64_t first, uint64_t second, struct arena *arena);
uint64_t key_number_at(struct str key, size_t at);

/* domain '@' folded local part, without the kind in front. */
struct str name_of_addr(const struct addr *addr, struct arena *arena);
struct str name_domain(struct str name);
struct str name_local(struct str name);
/* 'n' name, 'l' ... of it */
struct str key_name(struct str name, struct arena *arena);
struct str key_local(struct str local, struct str domain, struct arena *arena);
struct str key_certificate(struct str fingerprint, uint64_t account, struct arena *arena);
struct str key_full_name(struct str full_name, uint64_t account, struct arena *arena);

/* A display name as it is compared: NFC, case folded. */
struct str full_name_fold(struct str full_name, struct arena *arena);

#endif
