/*
 * Why a name of ours in HELO counts only where it does not lead to the client: a second host behind
 * one name, or the server itself on another address, says it rightly. Nobody else has a reason to;
 * it is the oldest trick to look like a neighbour.
 */
#include "edge/smtp/judgement.h"

#include "base/buf.h"

static const struct row {
    size_t check; /* offset in struct conf */
    uint64_t score;
    enum err_code error;
    const char *word, *text;
} rows[FINDING_COUNT] = {
#define FINDING(name, its_check, its_score, its_error, its_word, its_text)                         \
    [FINDING_##name] = {.check = offsetof(struct conf, smtp.its_check),                            \
                        .score = its_score,                                                        \
                        .error = ERR_##its_error,                                                  \
                        .word = its_word,                                                          \
                        .text = its_text},
#include "edge/smtp/findings.def"
};

static enum conf_check check_of(const struct conf *conf, const struct row *row)
{
    enum conf_check check;
    memcpy(&check, (const char *)conf + row->check, sizeof(check));
    return check;
}

/* --- What speaks against it ------------------------------------------------------------------ */

static bool is_literal(struct str helo)
{
    return helo.n > 0 && helo.p[0] == '[';
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
static bool is_literal_of(struct str helo, struct str client)
{
    struct network a, b;
    struct str inside = str_make(helo.p + 1, helo.n - 1);
    if (inside.n > 0 && inside.p[inside.n - 1] == ']')
        inside.n--;
    if (str_starts_nocase(inside, STR("IPv6:")))
        inside = str_from_index(inside, 5);
    return network_address(inside, &a) && network_address(client, &b) && network_eq(&a, &b);
}

static struct str domain_of(struct str address)
{
    ssize_t at = str_last_index(address, '@');
    return at < 0 ? str_null() : str_from_index(address, (size_t)at + 1);
}

static bool is_ours(struct str helo, const struct conf *conf, struct str recipient)
{
    if (str_eq_nocase(helo, conf->server.hostname) || str_eq_nocase(helo, conf->sending.helo) ||
        str_eq_nocase(helo, domain_of(recipient)))
        return true;
    for (size_t i = 0; i < conf->domain_count; i++)
        if (str_eq_nocase(helo, conf->domains[i].name))
            return true;
    return false;
}

static unsigned helo_findings(const struct known_of_client *known, const struct conf *conf)
{
    struct str helo = known->helo;
    if (helo.n == 0)
        return 0;
    if (is_literal(helo))
        return is_literal_of(helo, known->client) ? 0 : 1u << FINDING_HELO_LITERAL;
    if (known->helo_leads == LEADS_UNKNOWN || known->helo_leads == LEADS_TO_CLIENT)
        return 0;
    if (is_ours(helo, conf, known->recipient))
        return 1u << FINDING_HELO_OURS;
    return known->helo_leads == LEADS_NOWHERE ? 1u << FINDING_HELO_UNKNOWN
                                              : 1u << FINDING_HELO_ELSEWHERE;
}

static unsigned findings_of(const struct known_of_client *known, const struct conf *conf)
{
    unsigned found = helo_findings(known, conf);
    if (known->reverse == REVERSE_NONE)
        found |= 1u << FINDING_NO_REVERSE;
    if (known->reverse == REVERSE_ELSEWHERE)
        found |= 1u << FINDING_REVERSE_ELSEWHERE;
    if (known->sender == SENDER_NOWHERE)
        found |= 1u << FINDING_SENDER_UNKNOWN;
    if (known->sender == SENDER_NULL_MX)
        found |= 1u << FINDING_SENDER_NULL_MX;
    return found;
}

/* --- What follows ---------------------------------------------------------------------------- */

struct writing {
    struct judgement *judgement;
    struct buf words, text;
};

static void word_put(struct writing *writing, struct str word)
{
    buf_putc(&writing->words, ' ');
    buf_put(&writing->words, word);
}

/* The first reason is the one that is told. */
static void refuse(struct writing *writing, enum err_code error, struct str name, struct str reason)
{
    struct judgement *judgement = writing->judgement;
    if (judgement->refusal != ERR_NONE)
        return;
    judgement->refusal = error;
    buf_put(&writing->text, name);
    buf_put(&writing->text, name.n > 0 && reason.n > 0 ? STR(": ") : STR(""));
    buf_put(&writing->text, reason);
}

static void findings_weigh(struct writing *writing, const struct conf *conf)
{
    for (unsigned i = 0; i < FINDING_COUNT; i++) {
        const struct row *row = &rows[i];
        enum conf_check check = check_of(conf, row);
        if (!(writing->judgement->found & 1u << i) || check == CONF_CHECK_IGNORE)
            continue;
        writing->judgement->score += row->score;
        word_put(writing, str_from(row->word));
        if (check == CONF_CHECK_REFUSE && row->error != ERR_NONE)
            refuse(writing, row->error, str_null(), str_from(row->text));
    }
}

static void hit_put(struct writing *writing, const struct hit *hit, const char *key)
{
    char room[CONF_NAME_MOST + HIT_CODE + 16];
    struct buf word = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_printf(&word, "%s=%.*s/%s", key, STR_FMT(hit->list->name), hit->code);
    word_put(writing, buf_str(&word));
}

static void hits_weigh(struct writing *writing, const struct hits *hits)
{
    const struct hit *hit;
    SLIST_FOREACH(hit, hits, link)
    {
        if (hit->list->kind == CONF_LIST_ALLOW)
            continue;
        writing->judgement->score += hit->list->score;
        hit_put(writing, hit, "list");
        struct str reason = hit->list->text.n > 0 ? hit->list->text : str_from(hit->reason);
        if (hit->list->refuse)
            refuse(writing, ERR_LISTED, hit->list->name, reason);
    }
}

static bool is_allowed(struct writing *writing, const struct hits *hits)
{
    const struct hit *hit;
    SLIST_FOREACH(hit, hits, link)
    {
        if (hit->list->kind != CONF_LIST_ALLOW)
            continue;
        hit_put(writing, hit, "allowed");
        return true;
    }
    return false;
}

/* Words that found no room any more are left out. */
static void finish(struct writing *writing)
{
    struct judgement *judgement = writing->judgement;
    struct str words = buf_str(&writing->words);
    struct buf whole = {.p = judgement->words, .max = sizeof(judgement->words) - 1};
    whole.cap = whole.max;
    if (words.n > 0) {
        buf_printf(&whole, "score=%llu", (unsigned long long)judgement->score);
        buf_put(&whole, str_head(words, whole.max - whole.n));
    }
    judgement->words[whole.n] = 0;
    judgement->text[writing->text.n] = 0;
}

void judgement_of(const struct known_of_client *known, const struct conf *conf,
                  struct judgement *judgement_r)
{
    char room[JUDGEMENT_WORDS];
    struct writing writing = {
        .judgement = judgement_r,
        .words = {.p = room, .cap = sizeof room, .max = sizeof room},
        .text = {.p = judgement_r->text,
                 .cap = sizeof(judgement_r->text) - 1,
                 .max = sizeof(judgement_r->text) - 1},
    };
    *judgement_r = (struct judgement){.found = findings_of(known, conf)};
    if (!is_allowed(&writing, known->hits)) {
        findings_weigh(&writing, conf);
        hits_weigh(&writing, known->hits);
        uint64_t most = conf->smtp.refuse_score;
        if (most > 0 && judgement_r->score >= most)
            refuse(&writing, ERR_SCORE, str_null(), str_trim(buf_str(&writing.words)));
    }
    if (judgement_spares(known->recipient))
        judgement_r->refusal = ERR_NONE;
    finish(&writing);
}

/* --- Before anything is known ---------------------------------------------------------------- */

bool judgement_may_refuse(const struct conf *conf)
{
    for (unsigned i = 0; i < FINDING_COUNT; i++)
        if (check_of(conf, &rows[i]) == CONF_CHECK_REFUSE)
            return true;
    for (size_t i = 0; i < conf->dns_list_count; i++)
        if (conf->dns_lists[i].kind == CONF_LIST_BLOCK && conf->dns_lists[i].refuse)
            return true;
    return conf->smtp.refuse_score > 0;
}

bool judgement_asks(const struct conf *conf)
{
    for (unsigned i = 0; i < FINDING_COUNT; i++)
        if (check_of(conf, &rows[i]) != CONF_CHECK_IGNORE)
            return true;
    return conf->dns_list_count > 0;
}

bool judgement_spares(struct str recipient)
{
    ssize_t at = str_last_index(recipient, '@');
    struct str local = at < 0 ? recipient : str_head(recipient, (size_t)at);
    return str_eq_nocase(local, STR("postmaster")) || str_eq_nocase(local, STR("abuse"));
}
