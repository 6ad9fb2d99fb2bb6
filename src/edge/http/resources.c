/*
 * What there is: a row for each path. Names of hosts come first: who asks for one that is not
 * served here was led astray, and hears nothing of what else there is (catalogue W01).
 */
#include "edge/http/pages.h"

#include "conf/own_sts.h"

enum {
    POLICY_HOST_PREFIX = sizeof "mta-sts." - 1
};

static void refuse(struct http_session *s, const struct http_request_here *request, unsigned status)
{
    const struct http_answer answer = {.status = status};
    http_answer(s, &request->asked, &answer);
}

/* The host as asked for, without the dot of the root. */
static struct str host_of(const struct http_request_here *request)
{
    struct str host = request->asked.host;
    return str_ends(host, STR(".")) ? str_head(host, host.n - 1) : host;
}

/* The policy's domain; p NULL: the host is another one. */
static struct str policy_domain(struct str host)
{
    bool is_one = str_starts_nocase(host, STR("mta-sts."));
    return is_one ? str_from_index(host, POLICY_HOST_PREFIX) : str_null();
}

/* RFC 8461 3.3 */
static void policy(struct http_session *s, const struct http_request_here *request)
{
    struct http_answer answer = {.status = 200, .type = STR("text/plain; charset=utf-8")};
    struct buf text = BUF_INIT(CONF_STS_MAX);
    (void)conf_sts_print(s->base.conf, policy_domain(host_of(request)), &text);
    answer.body = buf_str(&text);
    if (buf_over(&text))
        answer = (struct http_answer){.status = 503};
    http_answer(s, &request->asked, &answer);
    buf_done(&text);
}

enum site {
    SITE_NONE,
    SITE_POLICY,
    SITE_LINKS, /* of newsletters */
};

static enum site site_of(const struct http_session *s, const struct http_request_here *request)
{
    struct str domain = policy_domain(host_of(request));
    char id[CONF_STS_ID] = "";
    if (domain.p)
        conf_sts_id(s->base.conf, domain, id);
    if (id[0])
        return SITE_POLICY;
    const struct conf *conf = s->base.conf;
    struct str host = host_of(request);
    bool links = str_eq_nocase(host, conf->server.hostname) ||
                 (conf->http.hostname.n > 0 && str_eq_nocase(host, conf->http.hostname));
    return links ? SITE_LINKS : SITE_NONE;
}

static const struct resource {
    enum site site;
    struct str path;
    bool posts; /* else it is got */
    const char *allow;
    void (*serve)(struct http_session *, const struct http_request_here *);
} resources[] = {
    {SITE_POLICY, STR_INIT("/.well-known/mta-sts.txt"), false, "GET, HEAD", policy},
    {SITE_LINKS, STR_INIT("/unsubscribe/"), false, "GET, HEAD, POST", http_unsubscribe_look},
    {SITE_LINKS, STR_INIT("/unsubscribe/"), true, "GET, HEAD, POST", http_unsubscribe},
};

static bool is_asked(const struct resource *resource, enum site site, struct str path)
{
    bool all_below = str_ends(resource->path, STR("/"));
    return resource->site == site &&
           (all_below ? str_starts(path, resource->path) : str_eq(path, resource->path));
}

void http_serve(struct http_session *s, const struct http_request_here *request)
{
    enum site site = site_of(s, request);
    const char *allow = NULL;
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        if (!is_asked(&resources[i], site, request->asked.path))
            continue;
        allow = resources[i].allow;
        if (resources[i].posts == (request->asked.method == HTTP_POST)) {
            resources[i].serve(s, request);
            return;
        }
    }
    const struct http_answer not_so = {.status = 405, .allow = allow};
    if (allow)
        http_answer(s, &request->asked, &not_so);
    else
        refuse(s, request, site == SITE_NONE ? 421 : 404);
}
