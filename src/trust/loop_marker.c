/*
 * Why a field of our own and not Delivered-To: that one others write too, with what words they
 * like, and it shows to the next hop whom the mail was for. Why without "X-": new names have none
 * (RFC 6648), and some gateways take away whatever begins so, which is the case this is made for.
 *
 * Why not Subject, To or the body in what names a message: lists and gateways change these, and a
 * loop that goes through one has to be found. Where From or Message-ID is changed on each round the
 * mark does not find it; the count of Received fields then does.
 */
#include "trust/loop_marker.h"

#include "format/header.h"
#include "format/token.h"
#include "trust/keyed_hash.h"

_Static_assert((int)LOOP_KEY == (int)KEYED_HASH_KEY, "one size of keys");

static const struct str field_name = STR_INIT("Veredus-Loop");

/* The first of each counts: what is put in front on the way is of other names. */
static const struct str identity_names[] = {
    STR_INIT("message-id"),        STR_INIT("date"),        STR_INIT("from"),
    STR_INIT("resent-message-id"), STR_INIT("resent-date"),
};

enum {
    IDENTITY_NAMES = sizeof(identity_names) / sizeof(identity_names[0])
};

/* --- Reading --------------------------------------------------------------------------------- */

/* Without any white space: where a fold was, and how a blank was written, is no difference. */
static void value_feed(struct sha256 *sha256, struct str value)
{
    while (value.n) {
        size_t n = 0;
        while (n < value.n && !is_fws(value.p[n]))
            n++;
        sha256_feed(sha256, str_head(value, n));
        value = str_from_index(value, n + (n < value.n));
    }
}

/* "v1 TOKEN"; what else there may be in the field was not made by us. */
static void mark_take(struct loop_marks *marks, struct str value)
{
    value = fws_trim(value);
    if (!str_starts_nocase(value, STR("v1")))
        return;
    struct str token = fws_trim(str_from_index(value, 2));
    if (token.n != LOOP_TOKEN)
        return;
    if (marks->count == LOOP_MARKS_MAX)
        marks->too_many = true;
    else
        marks->tokens[marks->count++] = token;
}

static void identity_note(struct str values[IDENTITY_NAMES], const struct header_field *field)
{
    for (size_t i = 0; i < IDENTITY_NAMES; i++)
        if (!values[i].p && str_eq_nocase(field->name, identity_names[i]))
            values[i] = field->value;
}

void loop_marks_read(struct str headers, struct loop_marks *marks_r)
{
    struct str values[IDENTITY_NAMES] = {{NULL, 0}};
    struct header_field field;
    struct sha256 sha256;
    *marks_r = (struct loop_marks){.count = 0};
    while (header_next(&headers, &field)) {
        identity_note(values, &field);
        if (str_eq_nocase(field.name, field_name))
            mark_take(marks_r, field.value);
    }
    sha256_init(&sha256);
    for (size_t i = 0; i < IDENTITY_NAMES; i++) {
        value_feed(&sha256, values[i]);
        sha256_feed(&sha256, STR("\n")); /* it is in no value */
    }
    sha256_end(&sha256, marks_r->message);
}

/* --- Marks ----------------------------------------------------------------------------------- */

static void token_print(const struct loop_marks *marks, const unsigned char key[LOOP_KEY],
                        struct str address, struct buf *to)
{
    unsigned char octets[KEYED_HASH];
    struct keyed_hash hash;
    keyed_hash_begin(&hash, key);
    keyed_hash_feed(&hash, STR("loop"));
    keyed_hash_feed(&hash, str_make(marks->message, sizeof(marks->message)));
    keyed_hash_feed_lower(&hash, address);
    keyed_hash_end(&hash, octets);
    base32_print(octets, sizeof(octets), LOOP_TOKEN, to);
}

static bool marked_with(const struct loop_marks *marks, const unsigned char key[LOOP_KEY],
                        struct str address)
{
    char text[LOOP_TOKEN];
    struct buf expected = {.p = text, .cap = LOOP_TOKEN, .max = LOOP_TOKEN};
    token_print(marks, key, address, &expected);
    for (size_t i = 0; i < marks->count; i++)
        if (str_eq_secret(marks->tokens[i], buf_str(&expected)))
            return true;
    return false;
}

bool loop_marks_found(const struct loop_marks *marks, const struct loop_keys *keys,
                      struct str address)
{
    if (marks->too_many)
        return true;
    return marks->count && (marked_with(marks, keys->now, address) ||
                            (keys->has_before && marked_with(marks, keys->before, address)));
}

void loop_mark_print(const struct loop_marks *marks, const struct loop_keys *keys,
                     struct str address, struct buf *to)
{
    buf_put(to, field_name);
    buf_put(to, STR(": v1 "));
    token_print(marks, keys->now, address, to);
    buf_put(to, STR("\r\n"));
}
