"""Faults in what is asked of the DNS and believed of it."""
from fault import Fault

FORMAT, CLIENT, ROLE = "src/format/dns.c", "src/role/dns.c", "src/resolver/resolver.c"
SEAM, UNBOUND = "src/sys/dns.c", "src/sys/dns_unbound.c"
LANDLOCK, SECCOMP = "src/sys/sandbox_landlock.c", "src/sys/sandbox_seccomp.c"
CHILD, SETTINGS = "src/parent/child.c", "src/parent/settings.c"

FAULTS = [
    # --- Messages and records ---
    Fault("names_hold_any_octet", "S28: what a PTR says breaks lines of headers and logs",
          "unit dns",
          FORMAT, "    return c > ' ' && c <= '~' && !strchr(", "    return c && !strchr("),
    Fault("any_name_is_a_host", "S28: a PTR's name need not be a host's",
          "unit dns",
          FORMAT, "    return name_take(rdata, true, arena, host_r);", "    return name_take(rdata, false, arena, host_r);"),
    Fault("ttl_has_a_sign", "N01: a TTL of 2^31 is kept for a day",
          "unit dns",
          FORMAT, "    if (ttl >> TTL_SIGN)\n", "    if (ttl == UINT32_MAX)\n"),
    Fault("chains_go_on", "N01: a chain of 50 CNAMEs is followed",
          "unit dns",
          FORMAT, "links <= DNS_CHAIN_MAX;", "links <= 200;"),
    Fault("any_question_is_ours", "an answer to another question is taken",
          "unit dns",
          FORMAT, "           type == reading->type && class == CLASS_IN;", "           (type == reading->type || class == CLASS_IN);"),
    Fault("truncated_is_whole", "N01: a truncated answer is taken for all there is",
          "unit dns",
          FORMAT, "flags & FLAG_ANSWER && !(flags & FLAG_TRUNCATED) &&", "flags & FLAG_ANSWER && FLAG_TRUNCATED &&"),
    Fault("rdata_runs_over", "what stands behind a name in its record is passed over",
          "unit dns",
          FORMAT, "    in->bad = in->bad || part.bad || part.at != record->end;", "    in->bad = in->bad || part.bad;"),

    # --- Who asks ---
    Fault("bogus_is_believed", "N03: what failed its signature is data",
          "unit resolver",
          CLIENT, "    if (answer->verdict == DNS_BOGUS)\n", "    if (answer->verdict == DNS_BOGUS + 9)\n"),
    Fault("no_usable_mx_is_none", "mail goes to the A record of a domain whose MX cannot be read",
          "unit resolver",
          CLIENT, "    return mxs_r->count ? e : malformed(", "    return mxs_r->count ? e : true ? err_make(ERR_DNS_NO_DATA) : malformed("),
    Fault("unusable_tlsa_are_forgotten", "RFC 7672 2.1.1: a domain with DANE is taken for one without",
          "unit resolver",
          CLIENT, "            tlsas_r->unusable++;", "            tlsas_r->unusable += 0;"),
    Fault("a_question_goes_round", "a question that kills the resolver is asked of the next one, and the next",
          "unit resolver",
          CLIENT, "tries < 2; tries++", "tries < 20; tries++"),
    Fault("a_dead_resolver_is_the_end", "a question dies with its resolver",
          "unit resolver",
          CLIENT, "tries < 2; tries++", "tries < 1; tries++"),
    Fault("a_liar_names_any_error", "a resolver that was taken over has mail refused for good",
          "unit resolver",
          CLIENT, "    if (code != ERR_NONE)\n        return err_detail(ERR_TRY_LATER, answer->why);", "    if (code != ERR_NONE)\n        return err_detail(code, answer->why);"),

    # --- The resolver ---
    Fault("one_role_takes_all", "a role that was taken over keeps the others from asking",
          "unit resolver",
          ROLE, "2 * peer->count >= resolver->questions", "peer->count > 1000000"),
    Fault("who_died_asks_on", "questions of a role that is gone stay under way",
          "unit resolver",
          ROLE, "        dns_cancel(&question->dns);\n        question_free(question);", "        question_free(question);"),
    Fault("answers_take_for_ever", "N01: a question has no time limit",
          "unit resolver",
          SEAM, "        timer_set(dns->loop, &question->limit, dns->loop->now + dns->limit);\n", ""),
    Fault("unbound_says_bogus_in_vain", "N03: libunbound's verdict is not looked at",
          "pytest test_dns.py",
          UNBOUND, "    if (secure == 1) {", "    if (secure == 9) {"),
    Fault("bad_anchors_are_found_late", "a server with trust anchors that are none starts",
          "pytest test_dns.py",
          UNBOUND, '    return failed ? failed : ub_ctx_zone_remove(context, "final.invalid.");', "    return failed;"),

    # --- Its walls and its parent ---
    Fault("resolver_connects_anywhere", "O05: a resolver that was taken over speaks to any port",
          "unit sandbox",
          LANDLOCK, "    if (sandbox->rights & SANDBOX_CONNECT && !sandbox->port_count)", "    if (sandbox->rights & SANDBOX_CONNECT)"),
    Fault("sockets_of_any_kind", "O05: who connects may have sockets of every family",
          "unit sandbox",
          SECCOMP, "connect_calls[] = {CALL(connect),", "connect_calls[] = {CALL(socket), CALL(connect),"),
    Fault("resolver_ends_first", "the resolver is gone while couriers and core still ask",
          "unit parent",
          CHILD, "    return child->role == ROLE_RESOLVER ? 2", "    return child->role == ROLE_RESOLVER ? 0"),
    Fault("edges_have_no_resolver", "mx edges are not linked with the resolver",
          "unit parent",
          CHILD, "{ROLE_RESOLVER, ROLE_MX},", "{ROLE_RESOLVER, ROLE_SUB},"),
    Fault("anchors_are_told_once", "new trust anchors wait for a restart",
          "unit parent",
          SETTINGS, "    if (!child->linked)\n        return;\n    settings_tell_anchors(child);\n", "    if (!child->linked)\n        return;\n"),
]
