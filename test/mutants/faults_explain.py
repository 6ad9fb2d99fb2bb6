"""What would become of a message, and is a domain well: what the operator is told is what would happen."""
from fault import Fault

SENDER, RECIPIENT = "src/core/explain_sender.c", "src/core/explain_recipient.c"
WAY, HOSTS, EXPLAIN = "src/core/explain_way.c", "src/core/explain_hosts.c", "src/core/explain.c"
TELL, CONNECTION, SENDING = "src/courier/policy_tell.c", "src/courier/connection.c", "src/core/sending.c"
STS = "src/core/sts.c"
CHECK_LOOK, LOOK = "src/core/check_look.c", "src/courier/look.c"

FAULTS = [
    # --- veredus explain send ---
    Fault("asking_is_counted", "who asks what would become of a message has sent it",
          "unit explain",
          SENDER, "sender_would(sender, core->conf, &load, world_wall(core->world)),",
          "sender_add(&core->senders, sender, core->conf, &load, world_wall(core->world)),"),
    Fault("an_owner_of_two", "an address that leads to two accounts is one account's",
          "unit explain",
          SENDER, "resolved.kind == RESOLVED_FOUND && resolved.count == 1", "resolved.kind == RESOLVED_FOUND && resolved.count >= 1"),
    Fault("anybody_s_address", "an address that is not its own is told to be well",
          "unit explain",
          SENDER, "    bool may = transaction->sender.kind == ADDR_NULL;", "    bool may = transaction->sender.kind != ADDR_LOCAL_ONLY;"),
    Fault("routes_without_the_account", "a route for accounts is not told to whom it is for",
          "unit explain",
          WAY, "        .account = transaction->account,\n", ""),
    Fault("a_full_route_is_well", "a route whose limit is reached is told to let mail go",
          "unit explain",
          WAY, "    return most > 0 && used >= most;", "    return most > 0 && used > most;"),
    Fault("a_quiet_destination_is_well", "a destination in trouble is told to be called at once",
          "unit explain",
          WAY, "                 destination->quiet_until > schedule->mono;", "                 destination->quiet_until > schedule->mono + INT64_MAX / 2;"),
    Fault("what_goes_back_waits", "what would go back is told to wait",
          "unit explain",
          HOSTS, "told->refused ? EXPLAIN_RETURNS : EXPLAIN_WAITS", "told->refused > 1 ? EXPLAIN_RETURNS : EXPLAIN_WAITS"),
    Fault("the_last_word_is_the_mildest", "of several decisions the last one is the outcome",
          "unit explain",
          EXPLAIN, "    if (state > explain->worst)\n", ""),
    Fault("forbidden_addresses_are_told_as_called", "N02: an address that mail is never sent to is told as one that is called",
          "pytest test_explain.py",
          CONNECTION, "    return verdict == DESTINATION_FINE ? STR(\"\") : destination_words(verdict);", "    (void)verdict;\n    return STR(\"\");"),
    Fault("hosts_without_the_route", "a courier is asked about the MX where a route names hosts",
          "unit explain",
          STS, "                                     .via = way->via,\n", ""),
    Fault("requiretls_asks_for_nothing", "RFC 8689: hosts are told to prove nothing to whom TLS is required of",
          "pytest test_explain.py",
          TELL, "    require_read(&question->job);\n", ""),

    # --- veredus check: what is served ---
    Fault("everybody_s_ports_are_looked_at", "another server of the domain is connected for a check",
          "unit core_check_hosts",
          CHECK_LOOK, "        if (!check->mx[i].ours)\n            continue;\n        records_take", "        records_take",
          CHECK_LOOK, "            if (check_is_own(check, found.list[j].text))\n", ""),
    Fault("a_policy_without_its_MX", "RFC 8461: a policy that does not name an MX is well",
          "unit core_check_hosts",
          CHECK_LOOK, "        if (mta_sts_allows(policy, check->mx[i].name))", "        if (mta_sts_allows(policy, check->mx[0].name))"),
    Fault("records_are_not_held_against_it", "a TLSA record that fits nothing that is served is well",
          "unit courier_transcripts",
          LOOK, "    peer.verify = TLS_VERIFY_DANE;", "    peer.verify = TLS_VERIFY_NONE;"),
    Fault("a_look_without_end", "what stands at a port says an octet now and then, and a look has no end",
          "unit courier_transcripts",
          LOOK, "    talk_limit(talk, look->courier->loop->now + LOOK_WITHIN);\n", ""),
    Fault("our_web_server_is_nobody_s", "the policy of a domain whose web server is here cannot be looked at",
          "unit courier_transcripts",
          LOOK, "        count += network_address(asked->own[i].text, &own[count]);", "        count += network_address(asked->own[i].text, &own[count]) && false;"),
    Fault("anywhere_is_looked_at", "N02: a loopback address in the DNS is connected for a check",
          "unit core_check_hosts",
          CHECK_LOOK, "    if (judged == DESTINATION_FINE)", "    if (judged <= DESTINATION_LOOPBACK)"),

    # --- What veredus send reads ---
    Fault("bad_octets_are_left_out", "what stands behind octets that are not of the charset vanishes, and the letter goes",
          "unit cli_charset",
          "src/cli/charset.c", "            return CHARSET_WRONG;", "            return CHARSET_FINE;"),
    Fault("an_open_tag_is_looked_for_again", "HTML that is no HTML takes the square of its length",
          "unit html_text",
          "src/format/html_text.c", "            open = open || is_tag(html);\n", ""),
    Fault("scripts_are_read", "what stands in scripts and styles is in the plain text",
          "unit html_text",
          "src/format/html_text.c", "            if (what == TAG_SKIPPED && !tag.ends)\n                html = behind(html, tag.name);\n", "            (void)behind;\n"),
    Fault("html_without_its_text", "RFC 2046 5.1.4: a message as HTML has no plain text in front",
          "unit compose",
          "src/format/compose.c", "    for (size_t i = 0; i < 2; i++) {\n        buf_printf(to", "    for (size_t i = 1; i < 2; i++) {\n        buf_printf(to"),
]
