/*
 * Why a fiber for each question: they are linear then, and the resolver answers in whatever order.
 * Why an answer about an earlier HELO or sender is dropped and not stopped: the resolver has it in
 * its cache afterwards, and a client that changes its mind twice a second costs no more for it.
 */
#include "edge/smtp/inquiry.h"

#include "base/must.h"

#define INQUIRY_MAGIC MAGIC('I', 'N', 'Q', 'U')

enum about {
    ABOUT_CLIENT, /* never changes within an inquiry */
    ABOUT_HELO,
    ABOUT_SENDER,
    ABOUTS
};

struct smtp_inquiry {
    uint32_t magic;
    struct edge *edge;
    const struct conf *conf; /* held */
    size_t under_way;
    size_t wanted[ABOUTS]; /* of these, those whose answers count */
    bool left;             /* the session is no more */
    struct wait *waiting;  /* RCPT */
    int64_t waited;        /* ns, in all */
    uint32_t since[ABOUTS];
    char client[IP_TEXT];
    char name[DNS_NAME_MAX + 1]; /* leads back; empty: none is known */
    char helo[DNS_NAME_MAX + 1];
    char sender[DNS_NAME_MAX + 1];
    enum reverse reverse;
    enum leads helo_leads;
    enum sender_domain sender_state;
    struct hits hits;
};

struct question {
    struct fiber_start start;
    struct smtp_inquiry *inquiry;
    enum about about;
    uint32_t since;
    void (*ask)(struct question *question, struct arena *arena); /* may yield */
    const struct conf_dns_list *list;
    enum conf_subject of;
    char subject[DNS_NAME_MAX + 1];
};

static struct smtp_inquiries *shared_of(const struct edge *edge)
{
    struct smtp_shared *shared = edge->smtp;
    return shared->inquiries;
}

/* --- Its end --------------------------------------------------------------------------------- */

static void hits_drop(struct smtp_inquiry *inquiry, enum about about)
{
    struct hit *hit, *next;
    for (hit = SLIST_FIRST(&inquiry->hits); hit; hit = next) {
        next = SLIST_NEXT(hit, link);
        bool helo = hit->of == CONF_SUBJECT_HELO, sender = hit->of == CONF_SUBJECT_SENDER;
        if (about != ABOUT_CLIENT && !(about == ABOUT_HELO ? helo : sender))
            continue;
        SLIST_REMOVE(&inquiry->hits, hit, hit, link);
        free(hit);
    }
}

static void inquiry_free(struct smtp_inquiry *inquiry)
{
    must_be(inquiry, INQUIRY_MAGIC);
    must(inquiry->under_way == 0 && inquiry->left);
    hits_drop(inquiry, ABOUT_CLIENT); /* all */
    conf_let_go(inquiry->conf);
    inquiry->magic = 0;
    free(inquiry);
}

void smtp_inquiry_end(struct smtp_session *s)
{
    struct smtp_inquiry *inquiry = s->inquiry;
    s->inquiry = NULL;
    if (!inquiry)
        return;
    must(!inquiry->waiting);
    inquiry->left = true;
    if (inquiry->under_way == 0)
        inquiry_free(inquiry);
}

/* --- Questions ------------------------------------------------------------------------------- */

static bool is_current(const struct question *question)
{
    const struct smtp_inquiry *inquiry = question->inquiry;
    return !inquiry->left && inquiry->since[question->about] == question->since;
}

static bool is_complete(const struct smtp_inquiry *inquiry)
{
    for (size_t i = 0; i < ABOUTS; i++)
        if (inquiry->wanted[i] > 0)
            return false;
    return true;
}

static void question_over(struct question *question)
{
    struct smtp_inquiry *inquiry = question->inquiry;
    struct smtp_inquiries *shared = shared_of(inquiry->edge);
    if (is_current(question))
        inquiry->wanted[question->about]--;
    free(question);
    shared->under_way--;
    inquiry->under_way--;
    if (inquiry->waiting && is_complete(inquiry))
        wait_over(inquiry->waiting);
    if (inquiry->under_way == 0 && inquiry->left)
        inquiry_free(inquiry);
    if (shared->under_way == 0 && shared->ended)
        wait_over(shared->ended);
}

static void question_run(void *arg)
{
    struct question *question = arg;
    struct edge *edge = question->inquiry->edge;
    struct arena *arena = is_current(question) ? edge_scratch_take(edge) : NULL;
    if (arena) {
        question->ask(question, arena);
        edge_scratch_give(edge, arena);
    }
    question_over(question);
}

static void copy(char to[DNS_NAME_MAX + 1], struct str from)
{
    memset(to, 0, DNS_NAME_MAX + 1);
    if (from.n > 0 && from.n <= DNS_NAME_MAX)
        memcpy(to, from.p, from.n);
}

/* An edge's share. */
static size_t questions_most(const struct conf *conf)
{
    uint64_t share = conf->dns.questions / (2 * conf->smtp.processes);
    if (share < INQUIRY_QUESTIONS_LEAST)
        return INQUIRY_QUESTIONS_LEAST;
    return share < INQUIRY_QUESTIONS_MOST ? (size_t)share : INQUIRY_QUESTIONS_MOST;
}

static void begin(struct smtp_inquiry *inquiry, enum about about, struct str subject,
                  const struct question *like)
{
    struct edge *edge = inquiry->edge;
    struct smtp_inquiries *shared = shared_of(edge);
    if (subject.n == 0 || subject.n > DNS_NAME_MAX ||
        shared->under_way >= questions_most(inquiry->conf))
        return;
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return;
    *question = *like;
    question->start = (struct fiber_start){.run = question_run, .arg = question};
    question->inquiry = inquiry;
    question->about = about;
    question->since = inquiry->since[about];
    copy(question->subject, subject);
    inquiry->wanted[about]++;
    inquiry->under_way++;
    shared->under_way++;
    fiber_run(edge->fibers, &question->start);
}

/* --- Lists ----------------------------------------------------------------------------------- */

static void ask_list(struct question *question, struct arena *arena)
{
    struct edge *edge = question->inquiry->edge;
    struct hit *hit = calloc(1, sizeof *hit);
    bool found = hit && dns_list_asks(edge, &shared_of(edge)->lists, question->list, question->of,
                                      str_from(question->subject), arena, hit);
    if (found && is_current(question))
        SLIST_INSERT_HEAD(&question->inquiry->hits, hit, link);
    else
        free(hit);
}

/* HELO and sender are anybody's word: no list allows for them. */
static bool is_asked(const struct conf_dns_list *list, enum conf_subject of)
{
    bool proven = of == CONF_SUBJECT_ADDRESS || of == CONF_SUBJECT_NAME;
    return list->of & 1u << of && (proven || list->kind == CONF_LIST_BLOCK);
}

static void begin_lists(struct smtp_inquiry *inquiry, enum about about, enum conf_subject of,
                        struct str subject)
{
    for (size_t i = 0; i < inquiry->conf->dns_list_count; i++) {
        const struct conf_dns_list *list = &inquiry->conf->dns_lists[i];
        const struct question question = {.ask = ask_list, .list = list, .of = of};
        if (is_asked(list, of))
            begin(inquiry, about, subject, &question);
    }
}

static bool any_list_of(const struct conf *conf, enum conf_subject of)
{
    for (size_t i = 0; i < conf->dns_list_count; i++)
        if (is_asked(&conf->dns_lists[i], of))
            return true;
    return false;
}

/* --- Where names lead ------------------------------------------------------------------------ */

static bool is_absent(struct err e)
{
    return e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA;
}

static bool same_address(const char *a, const char *b)
{
    struct network left, right;
    return network_address(str_from(a), &left) && network_address(str_from(b), &right) &&
           network_eq(&left, &right);
}

static enum leads leads_by(const struct smtp_inquiry *inquiry, struct err e,
                           const struct dns_addresses *found)
{
    if (err_is(e))
        return is_absent(e) ? LEADS_NOWHERE : LEADS_UNKNOWN;
    for (size_t i = 0; i < found->count; i++)
        if (same_address(found->list[i].text, inquiry->client))
            return LEADS_TO_CLIENT;
    return LEADS_ELSEWHERE;
}

/* The client's own family first: the other one only tells whether there is anything at all. */
static enum leads where_leads(const struct smtp_inquiry *inquiry, struct str name,
                              struct arena *arena)
{
    struct network client;
    struct dns_addresses found;
    bool v4 = network_address(str_from(inquiry->client), &client) && network_is_v4(&client);
    struct dns_client *dns = &inquiry->edge->dns;
    struct err e = dns_address(dns, name, v4 ? DNS_A : DNS_AAAA, arena, &found);
    enum leads leads = leads_by(inquiry, e, &found);
    if (leads != LEADS_NOWHERE)
        return leads;
    e = dns_address(dns, name, v4 ? DNS_AAAA : DNS_A, arena, &found);
    return leads_by(inquiry, e, &found);
}

static void ask_reverse(struct question *question, struct arena *arena)
{
    struct smtp_inquiry *inquiry = question->inquiry;
    struct dns_names names;
    enum reverse reverse = REVERSE_ELSEWHERE;
    struct err e = dns_ptr(&inquiry->edge->dns, str_from(inquiry->client), arena, &names);
    if (err_is(e))
        reverse = is_absent(e) ? REVERSE_NONE : REVERSE_UNKNOWN;
    for (size_t i = 0; !err_is(e) && i < names.count && i < INQUIRY_NAMES_MOST; i++) {
        enum leads leads = where_leads(inquiry, names.list[i], arena);
        if (leads == LEADS_UNKNOWN)
            reverse = REVERSE_UNKNOWN;
        if (leads != LEADS_TO_CLIENT)
            continue;
        reverse = REVERSE_HOLDS;
        copy(inquiry->name, names.list[i]);
        break;
    }
    inquiry->reverse = reverse;
    if (reverse == REVERSE_HOLDS && !inquiry->left)
        begin_lists(inquiry, ABOUT_CLIENT, CONF_SUBJECT_NAME, str_from(inquiry->name));
}

static void ask_helo(struct question *question, struct arena *arena)
{
    enum leads leads = where_leads(question->inquiry, str_from(question->subject), arena);
    if (is_current(question))
        question->inquiry->helo_leads = leads;
}

static enum sender_domain sender_by_address(struct dns_client *dns, struct str domain,
                                            struct arena *arena)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    struct dns_addresses found;
    for (size_t i = 0; i < 2; i++) {
        struct err e = dns_address(dns, domain, types[i], arena, &found);
        if (!is_absent(e))
            return err_is(e) ? SENDER_UNKNOWN : SENDER_TAKES_MAIL;
    }
    return SENDER_NOWHERE;
}

static enum sender_domain sender_by_dns(struct dns_client *dns, struct str domain,
                                        struct arena *arena)
{
    struct dns_mxs mxs;
    struct err e = dns_mx(dns, domain, arena, &mxs);
    if (!err_is(e))
        return mxs.count == 1 && mxs.list[0].host.n == 0 ? SENDER_NULL_MX : SENDER_TAKES_MAIL;
    if (e.code == ERR_DNS_NO_NAME)
        return SENDER_NOWHERE;
    return e.code == ERR_DNS_NO_DATA ? sender_by_address(dns, domain, arena) : SENDER_UNKNOWN;
}

static void ask_sender(struct question *question, struct arena *arena)
{
    struct dns_client *dns = &question->inquiry->edge->dns;
    enum sender_domain state = sender_by_dns(dns, str_from(question->subject), arena);
    if (is_current(question))
        question->inquiry->sender_state = state;
}

/* --- For the session ------------------------------------------------------------------------- */

/* Users' edges have none, nor have tests without one. */
static bool has_resolver(const struct edge *edge)
{
    return edge->role == ROLE_MX && (edge->dns.link || edge->dns.alone);
}

static bool is_asked_about(const struct smtp_session *s)
{
    const struct conf *conf = smtp_conf(s);
    struct str client = edge_session_client(&s->base);
    struct network address;
    return s->base.listen == LISTEN_SMTP && has_resolver(s->base.edge) && judgement_asks(conf) &&
           network_address(client, &address) &&
           !conf_networks_hold(&conf->smtp.unchecked_from, client) &&
           !conf_networks_hold(&conf->smtp.relay_from, client);
}

void smtp_inquiry_begin(struct smtp_session *s)
{
    smtp_inquiry_end(s);
    if (!is_asked_about(s))
        return;
    struct smtp_inquiry *inquiry = calloc(1, sizeof *inquiry);
    if (!inquiry)
        return;
    inquiry->magic = INQUIRY_MAGIC;
    inquiry->edge = s->base.edge;
    inquiry->conf = conf_hold(smtp_conf(s));
    memcpy(inquiry->client, s->base.client->text, sizeof inquiry->client);
    s->inquiry = inquiry;
    struct str client = str_from(inquiry->client);
    const struct question reverse = {.ask = ask_reverse};
    if (inquiry->conf->smtp.reverse_dns != CONF_CHECK_IGNORE ||
        any_list_of(inquiry->conf, CONF_SUBJECT_NAME))
        begin(inquiry, ABOUT_CLIENT, client, &reverse);
    begin_lists(inquiry, ABOUT_CLIENT, CONF_SUBJECT_ADDRESS, client);
}

/* What was asked before counts no more. */
static void anew(struct smtp_inquiry *inquiry, enum about about)
{
    inquiry->since[about]++;
    inquiry->wanted[about] = 0;
    hits_drop(inquiry, about);
}

static bool is_name(struct str text)
{
    return text.n > 0 && text.n <= DNS_NAME_MAX && text.p[0] != '[' && dns_name_ok(text);
}

void smtp_inquiry_helo(struct smtp_session *s)
{
    struct smtp_inquiry *inquiry = s->inquiry;
    struct str helo = smtp_helo(s);
    if (!inquiry || str_eq_nocase(str_from(inquiry->helo), helo))
        return;
    anew(inquiry, ABOUT_HELO);
    inquiry->helo_leads = LEADS_UNKNOWN;
    copy(inquiry->helo, helo);
    const struct question question = {.ask = ask_helo};
    if (!is_name(helo))
        return;
    if (inquiry->conf->smtp.helo_check != CONF_CHECK_IGNORE)
        begin(inquiry, ABOUT_HELO, helo, &question);
    begin_lists(inquiry, ABOUT_HELO, CONF_SUBJECT_HELO, helo);
}

void smtp_inquiry_sender(struct smtp_session *s, struct str domain)
{
    struct smtp_inquiry *inquiry = s->inquiry;
    if (!inquiry || str_eq_nocase(str_from(inquiry->sender), domain))
        return;
    anew(inquiry, ABOUT_SENDER);
    inquiry->sender_state = SENDER_UNKNOWN;
    copy(inquiry->sender, domain);
    const struct question question = {.ask = ask_sender};
    if (!is_name(domain))
        return;
    if (inquiry->conf->smtp.sender_check != CONF_CHECK_IGNORE)
        begin(inquiry, ABOUT_SENDER, domain, &question);
    begin_lists(inquiry, ABOUT_SENDER, CONF_SUBJECT_SENDER, domain);
}

static void waited_enough(struct timer *timer)
{
    wait_over(timer->arg);
}

/* May yield. */
static void wait_for_answers(struct smtp_inquiry *inquiry)
{
    struct loop *loop = inquiry->edge->loop;
    struct wait wait = {.fiber = NULL};
    struct timer late = {.run = waited_enough, .arg = &wait};
    int64_t began = loop->now, left = inquiry->conf->smtp.dns_wait - inquiry->waited;
    if (is_complete(inquiry) || left <= 0)
        return;
    inquiry->waiting = &wait;
    timer_set(loop, &late, began + left);
    wait_for(&wait);
    timer_clear(loop, &late);
    inquiry->waiting = NULL;
    inquiry->waited += loop->now - began;
}

void smtp_inquiry_judge_now(const struct smtp_session *s, struct str recipient,
                            struct judgement *judgement_r)
{
    const struct smtp_inquiry *inquiry = s->inquiry;
    *judgement_r = (struct judgement){.score = 0};
    if (!inquiry)
        return;
    const struct known_of_client known = {.client = str_from(inquiry->client),
                                          .helo = smtp_helo(s),
                                          .recipient = recipient,
                                          .reverse = inquiry->reverse,
                                          .helo_leads = inquiry->helo_leads,
                                          .sender = inquiry->sender_state,
                                          .hits = &inquiry->hits};
    judgement_of(&known, inquiry->conf, judgement_r);
}

void smtp_inquiry_judge(struct smtp_session *s, struct str recipient, struct judgement *judgement_r)
{
    if (s->inquiry && !judgement_spares(recipient) && judgement_may_refuse(s->inquiry->conf))
        wait_for_answers(s->inquiry);
    smtp_inquiry_judge_now(s, recipient, judgement_r);
}

struct str smtp_inquiry_name(const struct smtp_session *s)
{
    return s->inquiry ? str_from(s->inquiry->name) : str_null();
}

/* --- At the end of the edge ------------------------------------------------------------------ */

void smtp_inquiries_close(struct smtp_inquiries *inquiries)
{
    struct wait wait = {.fiber = NULL};
    if (inquiries->under_way > 0) {
        inquiries->ended = &wait;
        wait_for(&wait);
        inquiries->ended = NULL;
    }
    dns_lists_close(&inquiries->lists);
}
