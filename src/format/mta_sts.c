/*
 * Both texts are key and value, so one rule serves them: a line or a field that is not of that form
 * makes the whole thing none; a key that is not known says nothing; of a key that comes twice the
 * first counts (RFC 8461 3.2).
 */
#include "format/mta_sts.h"

#include "format/addr.h"
#include "format/policy_record.h"

/* --- The record --- */

static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_is_alpha(id.p[i]) && !ascii_is_digit(id.p[i]))
            return false;
    return id.n > 0 && id.n <= MTA_STS_ID_MAX;
}

static const char *fields_read(struct str fields, struct str *id_r)
{
    struct str key, value, id = str_null();
    bool malformed;
    while (policy_field_next(&fields, &key, &value, &malformed)) {
        if (!policy_is_value(value))
            return "the record has a malformed field";
        if (!id.p && str_eq(key, STR("id")))
            id = value;
    }
    if (malformed)
        return "the record has a malformed field";
    if (!id.p)
        return "the record has no id";
    *id_r = id;
    return is_id(id) ? NULL : "the record's id is not 1 to 32 letters and digits";
}

bool mta_sts_record_find(const struct str *texts, size_t count, struct str *id_r,
                         struct str *wrong_r)
{
    struct str fields;
    if (!policy_record_find(texts, count, STR("v=STSv1"), &fields, wrong_r))
        return false;
    *wrong_r = str_from(fields_read(fields, id_r));
    return !wrong_r->p;
}

/* --- The policy --- */

struct reading {
    struct arena *arena;
    struct str *mx; /* MTA_STS_MX_MAX of them, once there is one */
    size_t mx_count;
    bool version, mode, max_age;
    struct mta_sts_policy policy;
    const char *wrong;
};

struct str mta_sts_mode_word(enum mta_sts_mode mode)
{
    static const struct str words[] = {
        [MTA_STS_NONE] = STR_INIT("none"),
        [MTA_STS_TESTING] = STR_INIT("testing"),
        [MTA_STS_ENFORCE] = STR_INIT("enforce"),
    };
    return words[mode];
}

static const char *version_take(struct reading *reading, struct str value)
{
    if (!reading->version && !str_eq(value, STR("STSv1")))
        return "the policy's version is not STSv1";
    reading->version = true;
    return NULL;
}

static const char *mode_take(struct reading *reading, struct str value)
{
    if (reading->mode)
        return NULL;
    for (int mode = MTA_STS_NONE; mode <= MTA_STS_ENFORCE; mode++) {
        if (!str_eq(value, mta_sts_mode_word((enum mta_sts_mode)mode)))
            continue;
        reading->policy.mode = (enum mta_sts_mode)mode;
        reading->mode = true;
        return NULL;
    }
    return "the policy's mode is not enforce, testing or none";
}

static const char *max_age_take(struct reading *reading, struct str value)
{
    uint64_t seconds;
    if (reading->max_age)
        return NULL;
    if (value.n > 10 || !str_to_u64(value, &seconds))
        return "the policy's max_age is not a number of up to 10 digits";
    reading->policy.max_age = seconds < MTA_STS_AGE_MAX ? (uint32_t)seconds : MTA_STS_AGE_MAX;
    reading->max_age = true;
    return NULL;
}

/* A pattern in its one form, or str_null. */
static struct str pattern_parse(struct str value, struct arena *arena)
{
    bool wild = str_starts(value, STR("*."));
    struct str name = str_from_index(value, wild ? 2 : 0), host;
    if (!str_is_ascii(name) || err_is(domain_parse(name, arena, &host)))
        return str_null();
    if (!wild)
        return host;
    char *to = arena_take(arena, host.n + 2);
    if (!to)
        return str_null();
    memcpy(to, "*.", 2);
    memcpy(to + 2, host.p, host.n);
    return str_make(to, host.n + 2);
}

static const char *mx_take(struct reading *reading, struct str value)
{
    if (reading->mx_count == MTA_STS_MX_MAX)
        return "the policy has too many mx lines";
    if (!reading->mx)
        reading->mx = arena_take_array(reading->arena, MTA_STS_MX_MAX, sizeof(*reading->mx));
    struct str pattern = reading->mx ? pattern_parse(value, reading->arena) : str_null();
    if (!pattern.p)
        return arena_over(reading->arena) ? "there is no memory for the policy"
                                          : "an mx of the policy is no host name";
    reading->mx[reading->mx_count++] = pattern;
    return NULL;
}

static const struct {
    struct str key;
    const char *(*take)(struct reading *reading, struct str value);
} keys[] = {
    {STR_INIT("version"), version_take},
    {STR_INIT("mode"), mode_take},
    {STR_INIT("max_age"), max_age_take},
    {STR_INIT("mx"), mx_take},
};

/* sts-policy-ext-value, or one of ours */
static bool is_line_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
            return false;
    return value.n > 0 && str_is_utf8(value);
}

static const char *line_take(struct reading *reading, struct str line)
{
    struct str value = line, key = str_cut(&value, ':');
    value = str_trim(value);
    if (!value.p || !policy_is_key(key) || !is_line_value(value))
        return "the policy has a line that is no key and value";
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (str_eq(keys[i].key, key))
            return keys[i].take(reading, value);
    return NULL;
}

static const char *lines_take(struct reading *reading, struct str text)
{
    for (size_t n = 0; text.p; n++) {
        struct str line = str_cut(&text, '\n');
        if (str_ends(line, STR("\r")))
            line.n--;
        if (n == MTA_STS_LINES_MAX && text.p)
            return "the policy has too many lines";
        const char *wrong = str_trim(line).n ? line_take(reading, line) : NULL;
        if (wrong)
            return wrong;
    }
    return NULL;
}

static const char *what_is_missing(const struct reading *reading)
{
    if (!reading->version)
        return "the policy has no version";
    if (!reading->mode)
        return "the policy has no mode";
    if (!reading->max_age)
        return "the policy has no max_age";
    if (reading->policy.mode != MTA_STS_NONE && reading->mx_count == 0)
        return "the policy has no mx";
    return NULL;
}

bool mta_sts_policy_parse(struct str text, struct arena *arena, struct mta_sts_policy *policy_r,
                          struct str *wrong_r)
{
    struct reading reading = {.arena = arena};
    const char *wrong = text.n > MTA_STS_POLICY_MAX ? "the policy is longer than 64 KiB" : NULL;
    if (!wrong)
        wrong = lines_take(&reading, text);
    if (!wrong)
        wrong = what_is_missing(&reading);
    *wrong_r = str_from(wrong);
    if (wrong)
        return false;
    if (reading.policy.mode != MTA_STS_NONE) {
        reading.policy.mx = reading.mx;
        reading.policy.mx_count = reading.mx_count;
    }
    *policy_r = reading.policy;
    return true;
}

void mta_sts_policy_print(const struct mta_sts_policy *policy, struct buf *buf)
{
    buf_put(buf, STR("version: STSv1\nmode: "));
    buf_put(buf, mta_sts_mode_word(policy->mode));
    for (size_t i = 0; i < policy->mx_count; i++) {
        buf_put(buf, STR("\nmx: "));
        buf_put(buf, policy->mx[i]);
    }
    buf_printf(buf, "\nmax_age: %u\n", policy->max_age);
}

/* --- Matching --- */

static bool pattern_allows(struct str pattern, struct str host)
{
    if (!str_starts(pattern, STR("*.")))
        return str_eq_nocase(pattern, host);
    struct str behind = host;
    struct str label = str_cut(&behind, '.');
    return label.n > 0 && behind.p && str_eq_nocase(str_from_index(pattern, 2), behind);
}

bool mta_sts_allows(const struct mta_sts_policy *policy, struct str host)
{
    if (str_ends(host, STR(".")))
        host.n--;
    for (size_t i = 0; i < policy->mx_count; i++)
        if (pattern_allows(policy->mx[i], host))
            return true;
    return false;
}
