"""Faults at the door: each lets in whom it should turn away, or believes whom it should not."""
from fault import Fault

ACCEPT = "src/edge/accept.c"
PROXIED = "src/edge/proxied.c"
DOOR = "src/edge/door.c"
PROXY = "src/format/proxy.c"
XCLIENT = "src/format/xclient.c"

FAULTS = [
    Fault("denied_come_in", "clients of deny_from are served",
          "unit smtp_admission",
          ACCEPT, "        return ERR_CLIENT_DENIED;", "        (void)0;"),
    Fault("allowed_are_denied", "allow_from counts for nothing",
          "unit smtp_admission",
          ACCEPT, " &&\n        !conf_networks_hold(limits.allow_from, client))", ")"),
    Fault("network_has_no_limit", "a network may have all sessions",
          "unit smtp_admission",
          ACCEPT, "    if (door_sessions(edge->door, &network) >= limits->sessions_per_network)", "    if (door_sessions(edge->door, &network) == UINT32_MAX)"),
    Fault("sessions_come_as_fast_as_they_like", "new sessions are not counted",
          "unit smtp_admission",
          ACCEPT, "    return most > 0 && !door_passes", "    return most == UINT64_MAX && !door_passes"),
    Fault("proxy_needs_no_header", "S23: a proxy's connection without a header is the proxy's own",
          "unit smtp_admission",
          PROXIED, "    if (found == PROXY_WHOLE)\n        admit", "    if (found != PROXY_MORE)\n        admit"),
    Fault("everybody_is_a_proxy", "S23: a PROXY header is believed from anybody",
          "unit smtp_admission",
          ACCEPT, "    if (conf_networks_hold(&edge->conf->server.proxy_from, str_from(peer.text)))", "    if (edge->conf->server.proxy_from.count > 0)"),
    Fault("proxy_hides_its_client", "behind a proxy the limits are the proxy's",
          "unit smtp_admission",
          PROXIED, "        memcpy(peer.text, proxy->client, sizeof peer.text);\n", ""),
    Fault("rate_never_ends", "who once came too often stays out",
          "unit edge_door",
          DOOR, "empty = visitor->empty > now ? visitor->empty : now;", "empty = visitor->empty ? visitor->empty : now;"),
    Fault("inside_is_forgotten", "the sessions of a network are forgotten while they are open",
          "unit edge_door",
          DOOR, "    if (visitor->sessions++ == 0)\n        TAILQ_REMOVE(&door->idle, visitor, link);", "    if (visitor->sessions++ == UINT32_MAX)\n        TAILQ_REMOVE(&door->idle, visitor, link);"),
    Fault("proxy_header_without_a_bound", "S23: a header of 64 KB is waited for",
          "unit proxy",
          PROXY, "    if (size > PROXY_MAX)\n        return PROXY_BAD;", "    if (size > 16 * PROXY_MAX)\n        return PROXY_BAD;"),
    Fault("mapped_address_is_another", "::ffff:127.0.0.1 behind a proxy is not 127.0.0.1",
          "unit proxy",
          PROXY, "    if (family == AF_INET6 && memcmp(octets, mapped, sizeof mapped) == 0) {", "    if (family == AF_INET6 && octets[0] == 1 && memcmp(octets, mapped, sizeof mapped) == 0) {"),
    Fault("xclient_name_twice", "the second of two values counts",
          "unit xclient",
          XCLIENT, "    if (xclient->given[at])", "    if (xclient->given[at] && forward && at == XCLIENT_NAMES)"),
]
