/*
 * PROXY headers and XCLIENT arguments. Properties: a header is found the same however it comes in
 * pieces, and never is an octet behind it wanted; what it says can be said again in a line that
 * says the same.
 */
#include "base/buf.h"
#include "base/must.h"
#include "format/proxy.h"
#include "format/xclient.h"

static void line_again(const struct proxy *proxy)
{
    char room[PROXY_LINE_MAX + 1];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    bool v6 = strchr(proxy->client, ':') || strchr(proxy->server, ':');
    struct proxy again;
    size_t used;
    /* A mapped address at one end only: the other's family has no such form. */
    if (v6 && !(strchr(proxy->client, ':') && strchr(proxy->server, ':')))
        return;
    buf_printf(&line, "PROXY %s %s %s %u %u\r\n", v6 ? "TCP6" : "TCP4", proxy->client,
               proxy->server, proxy->client_port, proxy->server_port);
    must(proxy_parse(buf_str(&line), &again, &used) == PROXY_WHOLE && used == line.n);
    must(strcmp(again.client, proxy->client) == 0 && strcmp(again.server, proxy->server) == 0);
    must(again.client_port == proxy->client_port && again.server_port == proxy->server_port);
}

static void header_pieces(struct str octets)
{
    struct proxy whole, piece;
    size_t used, n = 0, ignored;
    enum proxy_found found = proxy_parse(octets, &whole, &used), step = PROXY_MORE;
    while (step == PROXY_MORE && n < octets.n) {
        size_t wanted = proxy_wanted(str_head(octets, n));
        must(wanted >= 1);
        if (n + wanted > octets.n)
            break;
        n += wanted;
        step = proxy_parse(str_head(octets, n), &piece, &ignored);
    }
    must(step != PROXY_WHOLE || (found == PROXY_WHOLE && n == used));
    must(found != PROXY_WHOLE || step == PROXY_WHOLE);
    if (found == PROXY_WHOLE && !whole.local)
        line_again(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str octets = str_make(data, size);
    struct arena arena;
    struct xclient told;
    header_pieces(octets);
    arena_init(&arena, 1024 * 1024);
    for (int forward = 0; forward < 2; forward++)
        if (!err_is(xclient_parse(octets, forward, &arena, &told)))
            for (size_t i = 0; i < XCLIENT_NAMES; i++)
                must(told.value[i].n <= XCLIENT_VALUE_MAX);
    arena_done(&arena);
    return 0;
}
