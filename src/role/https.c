/*
 * What fails is told in words where it fails: a policy that cannot be fetched is somebody's work to
 * mend, and "it did not work" mends nothing.
 */
#include "role/https.h"

#include <errno.h>
#include <string.h>

enum {
    ARENA = 64 << 10,      /* octets of a look-up */
    REQUEST_MAX = 4 << 20, /* octets of a request with its body */
    PIECE_TIME = 15,       /* seconds that one address may take to connect */
};
#define APART (250 * NS_PER_MS) /* RFC 8305 5 */

void https_answer_done(struct https_answer *answer)
{
    if (answer->secret)
        str_wipe(buf_str(&answer->response.body));
    http_done(&answer->response);
}

static enum https_end ended(struct https_answer *answer, enum https_end end, struct str why)
{
    struct buf text = BUF_INIT(sizeof answer->why - 1);
    buf_put_escaped(&text, why, sizeof answer->why / 5);
    snprintf(answer->why, sizeof answer->why, "%.*s", STR_FMT(buf_str(&text)));
    buf_done(&text);
    answer->end = end;
    return end;
}

/* --- Addresses ------------------------------------------------------------------------------- */

struct places {
    struct connect_to to[HTTPS_ADDRESSES_MAX];
    struct network allowed[HTTPS_ADDRESSES_MAX];
    size_t count, allowed_count;
};

static bool may_be_ours(const struct https *https, struct str address)
{
    struct network network;
    for (size_t i = 0; i < https->own_count && network_address(address, &network); i++)
        if (network_eq(&network, &https->own[i]))
            return true;
    return conf_networks_hold(https->allow, address);
}

static void place_add(const struct https *https, struct places *places, struct str address,
                      uint16_t port)
{
    if (places->count == HTTPS_ADDRESSES_MAX || conf_networks_hold(https->deny, address))
        return;
    places->to[places->count++] = (struct connect_to){.address = address, .port = port};
    if (may_be_ours(https, address) &&
        network_address(address, &places->allowed[places->allowed_count]))
        places->allowed_count++;
}

static bool is_known(struct err e)
{
    return e.code == ERR_NONE || e.code == ERR_DNS_NO_DATA || e.code == ERR_DNS_NO_NAME;
}

static enum https_end places_find(const struct https *https, const struct https_order *order,
                                  struct arena *arena, struct places *places,
                                  struct https_answer *answer)
{
    struct dns_addresses six, four;
    struct err e6 = dns_address(https->dns, order->host, DNS_AAAA, arena, &six);
    struct err e4 = dns_address(https->dns, order->host, DNS_A, arena, &four);
    *places = (struct places){.count = 0};
    for (size_t i = 0; i < six.count || i < four.count; i++) {
        if (i < six.count)
            place_add(https, places, str_from(six.list[i].text), order->port);
        if (i < four.count)
            place_add(https, places, str_from(four.list[i].text), order->port);
    }
    if (places->count > 0)
        return HTTPS_ANSWERED;
    if (six.count > 0 || four.count > 0)
        return ended(answer, HTTPS_CONNECT, STR("all its addresses are forbidden here"));
    if (is_known(e6) && is_known(e4))
        return ended(answer, HTTPS_NO_HOST, STR("there is no such host, or it has no address"));
    return ended(answer, HTTPS_DNS, STR("no usable DNS answer about the host"));
}

/* --- The exchange ---------------------------------------------------------------------------- */

/* The stream is paused all the time: this fiber reads it. */
static void input(struct stream *stream)
{
    (void)stream;
}

static enum https_end connect_to(const struct https *https, const struct places *places,
                                 int64_t deadline, struct stream *stream,
                                 struct https_answer *answer)
{
    const struct destination_rules rules = {.allowed = places->allowed,
                                            .allowed_count = places->allowed_count};
    const struct stream_call call = {.loop = https->loop,
                                     .pool = https->streams,
                                     .to = places->to,
                                     .count = places->count,
                                     .rules = &rules,
                                     .apart = APART,
                                     .each = PIECE_TIME * NS_PER_SECOND,
                                     .deadline = deadline};
    struct peer_address ends;
    int failed = stream_connect(stream, &call, input, NULL, &ends, NULL);
    if (!failed)
        return HTTPS_ANSWERED;
    if (failed == -EPERM || failed == -ELOOP)
        return ended(answer, HTTPS_CONNECT, STR("its address is one that is never connected"));
    return ended(answer, failed == -ETIMEDOUT ? HTTPS_LATE : HTTPS_CONNECT,
                 str_from(strerrordesc_np(-failed)));
}

static enum https_end shake_hands(const struct https *https, const struct https_order *order,
                                  int64_t deadline, struct stream *stream,
                                  struct https_answer *answer)
{
    const struct tls_peer peer = {.verify = TLS_VERIFY_PKIX, .name = order->host};
    struct tls_verdict verdict;
    int failed = stream_tls_connect(stream, https->tls, &peer, deadline);
    if (!failed)
        return HTTPS_ANSWERED;
    stream_tls_verdict(stream, &verdict);
    answer->tls = verdict.result;
    return ended(answer, HTTPS_TLS,
                 verdict.words.n > 0 ? verdict.words : tls_result_text(verdict.result));
}

static enum https_end ask(const struct https_order *order, int64_t deadline, struct stream *stream,
                          struct https_answer *answer)
{
    struct buf octets = BUF_INIT(REQUEST_MAX);
    struct http_request request = order->request;
    if (order->secret) /* what grows leaves copies behind */
        (void)buf_room(&octets, HTTP_HEAD_MAX + request.body.n);
    char host[HTTPS_HOST_MAX + sizeof ":65535"];
    snprintf(host, sizeof host, order->port == HTTPS_PORT ? "%.*s" : "%.*s:%u",
             STR_FMT(order->host), order->port);
    request.host = str_from(host);
    bool printed = http_request_print(&request, &octets);
    if (printed)
        stream_put(stream, buf_str(&octets));
    if (order->secret)
        str_wipe(buf_str(&octets));
    buf_done(&octets);
    if (!printed)
        return ended(answer, HTTPS_WRONG, STR("that cannot be asked"));
    return stream_flush(stream, deadline) ? HTTPS_ANSWERED
                                          : ended(answer, HTTPS_BROKEN, STR("it does not read"));
}

static enum https_end hear(const struct loop *loop, int64_t deadline, struct stream *stream,
                           struct https_answer *answer)
{
    enum http_end end = HTTP_MORE;
    while (end == HTTP_MORE) {
        struct str pending = stream_pending(stream);
        end = http_feed(&answer->response, pending);
        stream_take(stream, pending.n);
        if (end != HTTP_MORE)
            break;
        if (loop->now >= deadline) /* the octets of a drip must not outrun the clock */
            return ended(answer, HTTPS_LATE, STR("no whole answer in time"));
        int failed = stream_await(stream, deadline);
        if (failed == -ETIMEDOUT)
            return ended(answer, HTTPS_LATE, STR("no whole answer in time"));
        if (failed == -EPIPE)
            end = http_closed(&answer->response);
        else if (failed)
            return ended(answer, HTTPS_BROKEN, STR("the connection was lost"));
    }
    if (end == HTTP_TOO_LARGE)
        return ended(answer, HTTPS_TOO_LARGE, STR("the answer is larger than it may be"));
    if (end != HTTP_DONE)
        return ended(answer, HTTPS_BROKEN, STR("the answer is no HTTP, or cut"));
    return ended(answer, HTTPS_ANSWERED, STR(""));
}

static enum https_end exchange(const struct https *https, const struct https_order *order,
                               const struct places *places, struct https_answer *answer)
{
    struct stream stream;
    int64_t deadline = https->loop->now + order->within;
    enum https_end end = connect_to(https, places, deadline, &stream, answer);
    if (end != HTTPS_ANSWERED)
        return end;
    end = shake_hands(https, order, deadline, &stream, answer);
    if (order->secret)
        stream_wipe_input(&stream);
    if (end == HTTPS_ANSWERED)
        end = ask(order, deadline, &stream, answer);
    if (end == HTTPS_ANSWERED)
        end = hear(https->loop, deadline, &stream, answer);
    stream_done(&stream);
    return end;
}

static bool is_host(struct str host)
{
    struct network address;
    return host.n <= HTTPS_HOST_MAX && dns_host_ok(host) && !network_address(host, &address);
}

enum https_end https_call(const struct https *https, const struct https_order *order,
                          struct https_answer *answer_r)
{
    struct arena arena;
    struct places places;
    memset(answer_r, 0, sizeof *answer_r);
    answer_r->secret = order->secret;
    http_begin(&answer_r->response, order->body_most);
    if (order->secret)
        (void)buf_room(&answer_r->response.body, order->body_most);
    if (!is_host(order->host) || !https->tls)
        return ended(answer_r, HTTPS_WRONG, STR("that is no host to ask"));
    arena_init(&arena, ARENA);
    enum https_end end = places_find(https, order, &arena, &places, answer_r);
    if (end == HTTPS_ANSWERED)
        end = exchange(https, order, &places, answer_r);
    arena_done(&arena);
    return end;
}

/* --- URLs ------------------------------------------------------------------------------------ */

static bool port_cut(struct str *host, uint16_t *port_r)
{
    uint64_t port = HTTPS_PORT;
    ssize_t colon = str_index(*host, ':');
    if (colon >= 0 && (!str_to_u64(str_from_index(*host, (size_t)colon + 1), &port) || port == 0 ||
                       port > UINT16_MAX))
        return false;
    if (colon >= 0)
        *host = str_head(*host, (size_t)colon);
    *port_r = (uint16_t)port;
    return true;
}

static bool is_path(struct str path)
{
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ' || (unsigned char)path.p[i] >= 0x7f)
            return false;
    return path.n > 0 && path.p[0] == '/';
}

bool https_url_parse(struct str url, struct https_order *order_r)
{
    if (!str_starts_nocase(url, STR("https://")))
        return false;
    struct str rest = str_from_index(url, sizeof "https://" - 1);
    rest = str_head(rest, str_index(rest, '#') < 0 ? rest.n : (size_t)str_index(rest, '#'));
    ssize_t slash = str_index(rest, '/');
    struct str host = slash < 0 ? rest : str_head(rest, (size_t)slash);
    struct str path = slash < 0 ? STR("/") : str_from_index(rest, (size_t)slash);
    *order_r = (struct https_order){.request = {.method = STR("GET"), .path = path}};
    if (!port_cut(&host, &order_r->port) || !is_host(host) || !is_path(path))
        return false;
    order_r->host = host;
    return true;
}
