/*
 * The TXT records by which a domain says that it has a policy: "v=STSv1; id=1" (RFC 8461 3.1),
 * "v=TLSRPTv1; rua=mailto:a@b" (RFC 8460 3). The version, then fields; which of them mean something
 * is the reader's. All borrow; nothing yields.
 */
#ifndef FORMAT_POLICY_RECORD_H
#define FORMAT_POLICY_RECORD_H

#include "base/str.h"

enum {
    POLICY_KEY_MAX = 32, /* octets of a field's name */
};

/* The name of a field, known or not. */
bool policy_is_key(struct str key);

/* The one of the records that begins with `version` ("v=STSv1") and a ';'; *fields_r is what stands
 * behind that. False where there is none, and where there is more than one: then *wrong_r says so.
 */
bool policy_record_find(const struct str *texts, size_t count, struct str version,
                        struct str *fields_r, struct str *wrong_r);

/* The next key=value; false at the end, and where one is malformed: then *malformed_r is true. The
 * value has no blank at its ends and is not looked into. */
bool policy_field_next(struct str *fields, struct str *key_r, struct str *value_r,
                       bool *malformed_r);
/* sts-ext-value, tlsrpt-ext-value: visible ASCII without '='. */
bool policy_is_value(struct str value);

#endif
