/*
 * One row a keyword. Values are read leniently: a peer that writes its SIZE wrong can still do all
 * the rest, and a limit that cannot be read is one that was not said.
 */
#include "format/capabilities.h"

#include "format/date.h"

struct keyword {
    struct str name;
    enum capability capability;
    void (*values)(struct capabilities *capabilities, struct str values);
};

/* The next word, spaces and tabs around it skipped; empty: there is none. */
static struct str word_take(struct str *rest)
{
    size_t n = 0;
    *rest = str_trim(*rest);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    struct str word = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return word;
}

static uint64_t number_take(struct str *rest)
{
    uint64_t number = 0;
    return str_to_u64(word_take(rest), &number) ? number : 0;
}

static void size_values(struct capabilities *capabilities, struct str values)
{
    capabilities->size = number_take(&values);
}

static void limits_values(struct capabilities *capabilities, struct str values)
{
    const struct {
        struct str name;
        uint32_t *to;
    } limits[] = {
        {STR("MAILMAX="), &capabilities->mail_max},
        {STR("RCPTMAX="), &capabilities->rcpt_max},
        {STR("RCPTDOMAINMAX="), &capabilities->rcpt_domain_max},
    };
    struct str word;
    while ((word = word_take(&values)).n) {
        for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
            uint64_t number;
            if (str_starts_nocase(word, limits[i].name) &&
                str_to_u64(str_from_index(word, limits[i].name.n), &number) && number <= UINT32_MAX)
                *limits[i].to = (uint32_t)number;
        }
    }
}

static void mechanism_add(struct capabilities *capabilities, struct str name)
{
    size_t n = capabilities->mechanisms_n;
    if (name.n == 0 || capabilities_have_mechanism(capabilities, name) ||
        !str_is_printable_ascii(name) || n + (n > 0) + name.n > CAPABILITY_MECHANISMS_MAX)
        return;
    if (n > 0)
        capabilities->mechanisms[n++] = ' ';
    for (size_t i = 0; i < name.n; i++) {
        bool small = name.p[i] >= 'a' && name.p[i] <= 'z';
        capabilities->mechanisms[n++] = (char)(small ? name.p[i] - 32 : name.p[i]);
    }
    capabilities->mechanisms_n = (uint16_t)n;
}

static void auth_values(struct capabilities *capabilities, struct str values)
{
    struct str name;
    while ((name = word_take(&values)).n)
        mechanism_add(capabilities, name);
}

static void future_release_values(struct capabilities *capabilities, struct str values)
{
    struct date date;
    capabilities->hold_max = number_take(&values);
    if (date_parse_rfc3339(word_take(&values), &date))
        capabilities->hold_until_max = date.time;
}

static void deliver_by_values(struct capabilities *capabilities, struct str values)
{
    capabilities->deliver_by_min = number_take(&values);
}

static const struct keyword keywords[] = {
    {STR_INIT("PIPELINING"), CAPABILITY_PIPELINING, NULL},
    {STR_INIT("SIZE"), CAPABILITY_SIZE, size_values},
    {STR_INIT("8BITMIME"), CAPABILITY_8BITMIME, NULL},
    {STR_INIT("SMTPUTF8"), CAPABILITY_SMTPUTF8, NULL},
    {STR_INIT("CHUNKING"), CAPABILITY_CHUNKING, NULL},
    {STR_INIT("BINARYMIME"), CAPABILITY_BINARYMIME, NULL},
    {STR_INIT("DSN"), CAPABILITY_DSN, NULL},
    {STR_INIT("ENHANCEDSTATUSCODES"), CAPABILITY_ENHANCEDSTATUSCODES, NULL},
    {STR_INIT("STARTTLS"), CAPABILITY_STARTTLS, NULL},
    {STR_INIT("REQUIRETLS"), CAPABILITY_REQUIRETLS, NULL},
    {STR_INIT("LIMITS"), CAPABILITY_LIMITS, limits_values},
    {STR_INIT("AUTH"), CAPABILITY_AUTH, auth_values},
    {STR_INIT("MT-PRIORITY"), CAPABILITY_MT_PRIORITY, NULL},
    {STR_INIT("FUTURERELEASE"), CAPABILITY_FUTURERELEASE, future_release_values},
    {STR_INIT("DELIVERBY"), CAPABILITY_DELIVERBY, deliver_by_values},
    {STR_INIT("ETRN"), CAPABILITY_ETRN, NULL},
};

static void line_parse(struct capabilities *capabilities, struct str line)
{
    struct str word = word_take(&line);
    /* The form before RFC 2554, which some clients still need and some servers still say. */
    bool old_auth = str_starts_nocase(word, STR("AUTH="));
    if (old_auth) {
        mechanism_add(capabilities, str_from_index(word, 5));
        word = STR("AUTH");
    }
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
        const struct keyword *keyword = &keywords[i];
        if (!str_eq_nocase(word, keyword->name))
            continue;
        bool again = capabilities_have(capabilities, keyword->capability);
        if (keyword->values && (!again || keyword->capability == CAPABILITY_AUTH))
            keyword->values(capabilities, line);
        capabilities->has |= keyword->capability;
    }
}

void capabilities_parse(struct str text, struct capabilities *capabilities_r)
{
    *capabilities_r = (struct capabilities){0};
    str_cut(&text, '\n');
    while (text.p)
        line_parse(capabilities_r, str_cut(&text, '\n'));
    if (!capabilities_have(capabilities_r, CAPABILITY_CHUNKING))
        capabilities_r->has &= ~(uint32_t)CAPABILITY_BINARYMIME;
}

bool capabilities_have_mechanism(const struct capabilities *capabilities, struct str name)
{
    struct str rest = capabilities_mechanisms(capabilities);
    while (rest.n)
        if (str_eq_nocase(str_cut(&rest, ' '), name))
            return true;
    return false;
}
