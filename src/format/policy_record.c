/*
 * Both RFCs have the same grammar, with other names for it.
 */
#include "format/policy_record.h"

bool policy_is_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        bool alnum = ascii_is_alpha(key.p[i]) || ascii_is_digit(key.p[i]);
        if (!alnum && (i == 0 || !memchr("_-.", key.p[i], 3)))
            return false;
    }
    return key.n > 0 && key.n <= POLICY_KEY_MAX;
}

bool policy_is_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= 0x20 || value.p[i] > 0x7e || value.p[i] == '=')
            return false;
    return value.n > 0;
}

/* The version and a ';', white space between them. */
static bool is_version(struct str text, struct str version, struct str *fields_r)
{
    struct str first = str_cut(&text, ';');
    *fields_r = text;
    return text.p && str_starts(first, version) && str_trim(first).n == version.n;
}

bool policy_record_find(const struct str *texts, size_t count, struct str version,
                        struct str *fields_r, struct str *wrong_r)
{
    size_t found = 0;
    *wrong_r = str_null();
    for (size_t i = 0; i < count; i++) {
        struct str fields;
        if (!is_version(texts[i], version, &fields))
            continue;
        *fields_r = fields;
        found++;
    }
    if (found > 1)
        *wrong_r = STR("there is more than one record");
    return found == 1;
}

bool policy_field_next(struct str *fields, struct str *key_r, struct str *value_r,
                       bool *malformed_r)
{
    *malformed_r = false;
    if (!fields->p)
        return false;
    struct str value = str_trim(str_cut(fields, ';'));
    if (value.n == 0 && !fields->p)
        return false; /* behind the last ';' */
    *key_r = str_cut(&value, '=');
    *value_r = value;
    *malformed_r = !value.p || !policy_is_key(*key_r);
    return !*malformed_r;
}
