/*
 * An SPF record is evaluated for our own addresses as a receiver would (RFC 7208 4), with a stack
 * of records of our own in the place of recursion. Macros and `exists` depend on the message, and
 * `ptr` should not be used: they count as questions, and never as a match.
 */
#include "core/check.h"
#include "format/spf.h"

enum {
    DEPTH = SPF_LOOKUPS_MAX + 1, /* of records in records: each costs a question */
    VOIDS_MOST = 2,              /* more should be an error (4.6.4), and to many receivers are */
    MX_MOST = 10,                /* hosts of one `mx`: more are an error (4.6.4) */
};

struct frame {
    struct str domain;
    struct spf_record record;
    size_t at;           /* the term that is next */
    bool included;       /* else it is the first, or redirected to */
    enum spf_result was; /* the result of the include that it stands for */
};

struct evaluation {
    struct check *check;
    const struct network *client;
    struct frame stack[DEPTH];
    size_t depth;
    unsigned lookups;
    unsigned voids;       /* of them brought nothing */
    struct err trouble;   /* of the DNS */
    struct str wrong;     /* a permanent error; p NULL: none */
    struct str wrong_for; /* where */
};

static void permanent(struct evaluation *evaluation, struct str wrong, struct str where)
{
    evaluation->wrong = wrong;
    evaluation->wrong_for = where;
}

static bool is_over(const struct evaluation *evaluation)
{
    return evaluation->wrong.p || err_is(evaluation->trouble);
}

/* There is none, or the name is no name: then nothing is there (4.3, 4.8). */
static bool is_no_record(struct err e)
{
    return check_is_absent(e) || e.code == ERR_USAGE;
}

/* May yield. False: it is over. */
static bool record_push(struct evaluation *evaluation, struct str domain, bool included,
                        enum spf_result was)
{
    struct check *check = evaluation->check;
    const struct str *texts;
    struct str text, wrong, where;
    size_t count;
    if (evaluation->depth == DEPTH) {
        permanent(evaluation, STR("more than 10 questions"), domain);
        return false;
    }
    struct err e = check_texts(check, domain, &texts, &count);
    if (err_is(e) && !is_no_record(e)) {
        evaluation->trouble = e;
        return false;
    }
    struct frame *frame = &evaluation->stack[evaluation->depth];
    *frame = (struct frame){.domain = domain, .included = included, .was = was};
    if (count == 0 || !spf_find(texts, count, &text, &wrong)) {
        permanent(evaluation, count > 0 && wrong.p ? wrong : STR("there is no SPF record"), domain);
        return false;
    }
    if (!spf_parse(text, check->arena, &frame->record, &wrong, &where)) {
        permanent(evaluation, wrong, where);
        return false;
    }
    evaluation->depth++;
    return true;
}

static bool within(const struct evaluation *evaluation, const char *address,
                   const struct spf_term *term)
{
    struct network other;
    if (!network_address(str_from(address), &other) ||
        network_is_v4(&other) != network_is_v4(evaluation->client))
        return false;
    struct network outer = network_cut(&other, term->v4, term->v6);
    return network_within(evaluation->client, &outer);
}

/* May yield. */
static bool host_matches(struct evaluation *evaluation, struct str host,
                         const struct spf_term *term)
{
    struct dns_addresses found;
    enum dns_type type = network_is_v4(evaluation->client) ? DNS_A : DNS_AAAA;
    struct err e =
        dns_address(evaluation->check->dns, host, type, evaluation->check->arena, &found);
    if (err_is(e) && !is_no_record(e))
        evaluation->trouble = e;
    evaluation->voids += check_is_absent(e);
    for (size_t i = 0; !err_is(e) && i < found.count; i++)
        if (within(evaluation, found.list[i].text, term))
            return true;
    return false;
}

/* May yield. */
static bool mx_matches(struct evaluation *evaluation, struct str domain,
                       const struct spf_term *term)
{
    struct dns_mxs mxs;
    struct err e = dns_mx(evaluation->check->dns, domain, evaluation->check->arena, &mxs);
    if (err_is(e) && !is_no_record(e))
        evaluation->trouble = e;
    evaluation->voids += check_is_absent(e);
    for (size_t i = 0; !err_is(e) && i < mxs.count; i++)
        if (i == MX_MOST) {
            permanent(evaluation, STR("more than 10 MX"), domain);
            return false;
        } else if (mxs.list[i].host.n > 0 && host_matches(evaluation, mxs.list[i].host, term))
            return true;
    return false;
}

/* May yield. */
static bool term_matches(struct evaluation *evaluation, const struct frame *frame,
                         const struct spf_term *term)
{
    struct str domain = term->domain.n > 0 ? term->domain : frame->domain;
    switch (term->mechanism) {
    case SPF_ALL:
        return true;
    case SPF_IP4:
    case SPF_IP6:
        return network_is_v4(evaluation->client) == (term->mechanism == SPF_IP4) &&
               network_within(evaluation->client, &term->network);
    case SPF_A:
        return !term->macro && host_matches(evaluation, domain, term);
    case SPF_MX:
        return !term->macro && mx_matches(evaluation, domain, term);
    case SPF_INCLUDE:
    case SPF_EXISTS:
    case SPF_PTR:
        break;
    }
    return false;
}

static bool may_ask(struct evaluation *evaluation)
{
    if (++evaluation->lookups <= SPF_LOOKUPS_MAX)
        return true;
    permanent(evaluation, STR("more than 10 questions"), evaluation->stack[0].domain);
    return false;
}

/* A record said no: what follows the include, a redirection, or the end. */
static bool record_pop(struct evaluation *evaluation, enum spf_result *result_r)
{
    struct frame *frame = &evaluation->stack[evaluation->depth - 1];
    if (frame->record.redirect.p) {
        struct str to = frame->record.redirect;
        bool included = frame->included, macro = frame->record.redirect_macro;
        enum spf_result was = frame->was;
        evaluation->depth--;
        if (!may_ask(evaluation) || macro)
            return true;
        return !record_push(evaluation, to, included, was);
    }
    *result_r = SPF_NEUTRAL;
    evaluation->depth--;
    return evaluation->depth == 0;
}

/* A term matched: of an included record only a pass counts (5.2). True: that is the result. */
static bool matched(struct evaluation *evaluation, enum spf_result result,
                    enum spf_result *result_r)
{
    *result_r = result;
    while (evaluation->depth > 0) {
        struct frame *frame = &evaluation->stack[--evaluation->depth];
        if (!frame->included)
            return true;
        if (*result_r != SPF_PASS)
            return false; /* the include did not match */
        *result_r = frame->was;
    }
    return true;
}

/* May yield. One step; true: it is over, and *result_r is the result where nothing is wrong. */
static bool step(struct evaluation *evaluation, enum spf_result *result_r)
{
    struct frame *frame = &evaluation->stack[evaluation->depth - 1];
    if (frame->at == frame->record.count)
        return record_pop(evaluation, result_r);
    const struct spf_term *term = &frame->record.terms[frame->at++];
    if (spf_asks(term) && !may_ask(evaluation))
        return true;
    if (term->mechanism == SPF_INCLUDE)
        return !term->macro && !record_push(evaluation, term->domain, true, term->result);
    bool matches = term_matches(evaluation, frame, term);
    return is_over(evaluation) || (matches && matched(evaluation, term->result, result_r));
}

/* --- What it means --------------------------------------------------------------------------- */

static struct str address_text(struct check *check, const struct network *network)
{
    struct buf text = buf_in(check->arena, NETWORK_TEXT);
    network_print(network, &text);
    struct str whole = buf_built(&text);
    ssize_t slash = str_index(whole, '/');
    return slash < 0 ? whole : str_head(whole, (size_t)slash);
}

static struct str own_term(struct check *check, const struct network *network)
{
    return check_text(check, "%s:%.*s", network_is_v4(network) ? "ip4" : "ip6",
                      STR_FMT(address_text(check, network)));
}

/* What there is, with our address in front of it. */
static struct str wanted(struct check *check, struct str record, const struct network *network)
{
    struct str rest = str_from_index(record, sizeof("v=spf1") - 1);
    if (!str_is_printable_ascii(record))
        rest = STR(" -all");
    return check_txt_record(
        check, check->domain,
        check_text(check, "v=spf1 %.*s%.*s", STR_FMT(own_term(check, network)), STR_FMT(rest)));
}

static void say_result(struct check *check, struct str record, const struct network *network,
                       enum spf_result result)
{
    static const char *const words[] = {[SPF_PASS] = "pass",
                                        [SPF_FAIL] = "fail",
                                        [SPF_SOFTFAIL] = "softfail",
                                        [SPF_NEUTRAL] = "neutral"};
    struct str address = address_text(check, network);
    check_say(check, "spf", result == SPF_PASS ? CHECK_OK : CHECK_FAIL,
              check_text(check, "mail from %.*s gets \"%s\"", STR_FMT(address), words[result]),
              result == SPF_PASS ? str_null() : wanted(check, record, network), str_null());
}

static void voids_tell(struct check *check, const struct network *network, unsigned voids)
{
    if (voids > VOIDS_MOST)
        check_say(check, "spf", CHECK_WARN,
                  check_text(check,
                             "for mail from %.*s it asks for %u names that are not there: many "
                             "receivers take more than two for an error",
                             STR_FMT(address_text(check, network)), voids),
                  str_null(), str_null());
}

/* May yield. False: no other address needs to be looked at. */
static bool evaluate(struct check *check, struct str record, const struct network *network)
{
    struct evaluation *evaluation = arena_new(check->arena, struct evaluation);
    enum spf_result result = SPF_NEUTRAL;
    if (!evaluation)
        return false;
    evaluation->check = check;
    evaluation->client = network;
    if (record_push(evaluation, check->domain, false, SPF_PASS))
        while (!step(evaluation, &result)) {
        }
    if (err_is(evaluation->trouble))
        return check_unknown(check, "spf", check->domain, evaluation->trouble), false;
    if (evaluation->wrong.p) {
        check_say(check, "spf", CHECK_FAIL,
                  check_text(check, "receivers take it for an error: %.*s: %.*s",
                             STR_FMT(check_quoted(check, evaluation->wrong_for)),
                             STR_FMT(evaluation->wrong)),
                  str_null(), str_null());
        return false;
    }
    say_result(check, record, network, result);
    voids_tell(check, network, evaluation->voids);
    return true;
}

static void missing(struct check *check, struct str why)
{
    struct buf terms = buf_in(check->arena, CHECK_TEXT);
    buf_put(&terms, STR("v=spf1 mx"));
    for (size_t i = 0; i < check->own_count; i++) {
        buf_putc(&terms, ' ');
        buf_put(&terms, own_term(check, &check->own[i]));
    }
    buf_put(&terms, STR(" -all"));
    check_say(check, "spf", CHECK_FAIL, why,
              check_txt_record(check, check->domain, buf_built(&terms)), str_null());
}

static bool is_everybody(const struct spf_term *term)
{
    return term->mechanism == SPF_ALL ||
           (term->mechanism == SPF_IP4 && term->network.bits == NETWORK_V4) ||
           (term->mechanism == SPF_IP6 && term->network.bits == 0);
}

/* A record under which a stranger's mail passes says nothing of ours. Included ones are not looked
 * at: they are others'. */
static void openness_tell(struct check *check, struct str text)
{
    struct spf_record record;
    struct str wrong, where;
    size_t at = 0;
    if (!spf_parse(text, check->arena, &record, &wrong, &where))
        return; /* told where it is evaluated */
    while (at < record.count && !is_everybody(&record.terms[at]))
        at++;
    if (at < record.count && record.terms[at].result == SPF_PASS)
        check_say(
            check, "spf", CHECK_FAIL,
            STR("it lets everybody pass: anybody may send in its name; it should end in -all"),
            str_null(), str_null());
}

void check_spf(struct check *check)
{
    const struct str *texts;
    struct str record, wrong;
    size_t count;
    struct err e = check_texts(check, check->domain, &texts, &count);
    if (check_unknown(check, "spf", check->domain, e))
        return;
    if (count == 0 || !spf_find(texts, count, &record, &wrong)) {
        bool several = count > 0 && wrong.p;
        missing(check, several ? STR("there is more than one SPF record: receivers take none; "
                                     "one is to stay")
                               : STR("there is no SPF record: anybody may send in its name"));
        return;
    }
    openness_tell(check, record);
    for (size_t i = 0; i < check->own_count; i++)
        if (!evaluate(check, record, &check->own[i]))
            return;
    if (check->own_count == 0)
        check_say(check, "spf", CHECK_UNKNOWN,
                  STR("none of our addresses is known; see hostname, or --address"), str_null(),
                  str_null());
}
