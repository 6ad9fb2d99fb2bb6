/*
 * What begins the first message of SCRAM's and OAUTHBEARER's clients: the GS2 header (RFC 5801 4,
 * RFC 5802 7), with its names unescaped. Pure; nothing yields.
 *
 * ERR_SASL_SYNTAX; ERR_NO_MEMORY.
 */
#ifndef TRUST_GS2_H
#define TRUST_GS2_H

#include "trust/sasl.h"

struct gs2 {
    enum scram_binding binding;
    struct str binding_type; /* SCRAM_BINDS only */
    struct str as;           /* unescaped; empty where it is not said */
    struct str header;       /* as it came, with its two commas */
};

/* From the front of *rest, which is moved behind it. */
struct err gs2_take(struct str *rest, struct arena *arena, struct gs2 *gs2_r);

/* A saslname: "=2C" and "=3D" are a comma and an equals sign, any other "=" is an error. */
struct err gs2_name_read(struct str text, struct arena *arena, struct str *name_r);

/* What every message of a text mechanism must be: UTF-8 without NUL, SASL_MESSAGE_MAX at most. */
bool gs2_is_text(struct str message);

#endif
