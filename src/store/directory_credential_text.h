/*
 * What accounts are known by, as values of the directory's text (directory_text.h):
 *
 *   scram         "SCRAM-SHA-256$600000:SALT$STOREDKEY:SERVERKEY", base64 (RFC 5803)
 *   cram_md5      the password, base64
 *   app_password  "SERVICES HASH KEYS NAME": services joined by commas; keys as in scram, joined by
 *                 commas, or "-"
 *   certificate   "FINGERPRINT NAME"
 *
 * Inside src/store only. Never yields. What a reader gives borrows from the text or is the arena's.
 * A reader gives NULL, or words about what it expected; they repeat nothing of the value, which is
 * secret.
 */
#ifndef STORE_DIRECTORY_CREDENTIAL_TEXT_H
#define STORE_DIRECTORY_CREDENTIAL_TEXT_H

#include "store/directory.h"

/* `salt`: whose salt and rounds the keys are by. Nothing where there is no key of that kind. */
void text_put_scram(struct buf *to, enum sasl_mechanism mechanism, const struct password_kept *salt,
                    const struct password_keys *keys);
/* Takes the salt where *salt has none; one that has another is an error: an account has one. */
const char *text_to_scram(struct str text, struct password_kept *salt, struct password_keys *keys);

void text_put_app_password(struct buf *to, const struct app_password *app,
                           const struct password_kept *salt);
const char *text_to_app_password(struct str text, struct password_kept *salt,
                                 struct app_password *app_r);

void text_put_certificate(struct buf *to, const struct client_certificate *certificate);
const char *text_to_certificate(struct str text, struct client_certificate *certificate_r);

const char *text_to_cram_secret(struct str text, struct arena *arena, struct str *secret_r);

#endif
