"""Faults of the queue and the courier that whole runs against a made-up internet show (test/sim)."""
from fault import Fault

ADOPT, ERRAND, OUTCOME, OUTGOING, QUEUE = "src/core/errand_adopt.c", "src/core/errand.c", "src/core/outcome.c", "src/core/outgoing.c", "src/core/queue.c"
CONNECT, STUFFING, TRANSACTION = "src/sys/stream_connect.c", "src/format/stuffing.c", "src/courier/transaction.c"
GIVE, GOVERNOR, ROUTE = "src/core/errand_give.c", "src/core/governor.c", "src/core/route.c"
LINE, SCHEDULE = "src/core/schedule_line.c", "src/core/schedule.c"
CHANGE = "src/core/queue_change.c"
DOWNCONVERT = "src/format/downconvert.c"
TLS, POLICY, GIVE = "src/courier/tls.c", "src/courier/policy.c", "src/core/errand_give.c"
REST, KEPT = "src/courier/rest.c", "src/sys/tls_kept.c"

FAULTS = [
    # --- Once, whoever dies ---
    Fault("sim_result_is_taken_before_it_is_durable", "a courier forgets a result that a power cut takes from core",
          "unit sim",
          ERRAND, "        errand->deciding = true;\n        errand->holds++;\n",
          "        recorded_tell(peer, said->job);\n        errand->deciding = true;\n        errand->holds++;\n"),
    Fault("sim_jobs_of_an_earlier_core_are_nobodys", "4: what was under way when core died goes a second time",
          "unit sim",
          ADOPT, "            errand_adopt(request, &said->names[i], &arena);\n", "            (void)errand_adopt;\n"),
    Fault("sim_one_courier_speaks_for_all", "4: core gives out mail before each courier said what it has",
          "sim 150",
          QUEUE, "    bool all = queue->couriers >= core->conf->sending.processes;\n", "    bool all = queue->couriers > 0;\n"),

    # --- Nothing is lost, nobody is told what is not so ---
    Fault("sim_failures_are_not_told", "a recipient that failed is gone, and nobody hears of it",
          "unit sim",
          OUTCOME, "        e = report(deciding);\n", "        (void)report;\n"),
    Fault("sim_a_removal_is_told_nobody", "an operator sends mail back, and nobody hears of it",
          "unit sim",
          OUTCOME, "    if (fate->removed && !(deciding->entry.flags & QUEUE_RETURNED))", "    if (fate->removed)"),
    Fault("sim_who_waits_goes_with_the_others", "a recipient who is told later is forgotten where another was sent to",
          "sim 150",
          OUTCOME, "    if (deciding->left == 0) {\n", "    if (deciding->left == 0 || deciding->sent > 0) {\n"),
    Fault("sim_nothing_expires", "what can never be sent waits for ever",
          "unit sim",
          OUTCOME, "deciding->now >= entry->expires && !deciding->held", "deciding->now >= INT64_MAX && !deciding->held"),
    Fault("sim_delays_are_told_at_every_try", "a sender is told again and again that it waits",
          "unit sim",
          OUTCOME, "        entry->flags |= QUEUE_WARNED;\n", "        entry->flags |= 0;\n"),

    # --- What may not leave ---
    Fault("sim_removed_mail_is_sent", "an operator removes what is under way, and it is sent again",
          "sim 150",
          CHANGE, "    change->entry.flags |= QUEUE_REMOVED;\n", "    change->entry.flags |= 0;\n"),
    Fault("sim_held_entries_are_sent", "an operator holds what waits, and it goes all the same",
          "sim 150",
          CHANGE, "    one->holds = change->entry.holds;\n", "    one->holds = 0;\n"),
    Fault("sim_pauses_end_with_core", "what goes to a paused destination leaves when core was started again",
          "sim 150",
          "src/core/queue_load.c", "        if (!schedule_pause(&queue->schedule, pauses[i].domain, true))\n", "        if (false)\n"),

    # --- Routes ---
    Fault("sim_routes_ask_no_account", "mail that a route block holds for by its account goes to the MX",
          "sim 150",
          ROUTE, "    return err_is(e) ? STR(\"\") : account.address;\n", "    return err_is(e) ? STR(\"\") : STR(\"\");\n"),
    Fault("sim_messages_of_a_route_are_not_split", "more recipients go in one message than its route takes",
          "sim 150",
          GOVERNOR, "    size_t may = limits->recipients_per_message && limits->recipients_per_message < recipients\n",
          "    size_t may = limits->recipients_per_message > 1000\n"),
    Fault("sim_recipients_of_a_route_are_not_counted", "more recipients go by a route within an hour than its limit says",
          "sim 150",
          GOVERNOR, "    sending_add(&governed->use.recipients, (uint32_t)recipients);\n", "    (void)recipients;\n"),
    Fault("sim_a_limit_sleeps_too_long", "what waits for a route's limit waits ten times as long",
          "sim 150",
          GIVE, "core->loop->now + in * 1000);", "core->loop->now + in * 10000);"),

    # --- Who waits for whom ---
    Fault("sim_proven_destinations_wait_for_others", "mail to a domain that is well leaves when nobody else is tried",
          "sim 150",
          SCHEDULE, "    return schedule->under_way_to[DESTINATION_PROVEN] < places.proven\n",
          "    return schedule->under_way_to[DESTINATION_PROVEN] < places.proven && unproven_under_way(schedule) == 0\n"),
    Fault("sim_lines_know_no_priority", "RFC 6710: what has priority stands in line behind what came before",
          "sim 150",
          LINE, "    if (a->priority != b->priority)\n        return a->priority > b->priority ? -1 : 1;\n", ""),

    # --- What leaves, when, and where to ---
    Fault("sim_dots_are_not_doubled", "S02: a line of the message that begins with a dot loses it",
          "unit sim",
          STUFFING, "stuffing->dots && stuffing->line_start && octets.p[at] == '.'", "stuffing->dots && false && octets.p[at] == '.'"),
    Fault("sim_held_mail_leaves_at_once", "RFC 4865: HOLDFOR is said, and nothing is held",
          "unit sim",
          OUTGOING, "    entry->next = later ? held : delivery->now;\n", "    entry->next = delivery->now;\n"),
    Fault("sim_by_mode_is_not_looked_at", "RFC 2852 4.1.4.1: what is to return in time goes to who does not return it",
          "unit sim",
          TRANSACTION, "    else if (!may_be_timed(t))\n", "    else if (!may_be_timed(t) && false)\n"),
    Fault("sim_inside_is_connected", "N02: a DNS that says 127.0.0.1 leads inside",
          "unit sim",
          CONNECT, "destination_judge(to.address, rules) != DESTINATION_FINE", "destination_judge(to.address, rules) > 1000"),
    Fault("sim_binary_bodies_grow", "a binary body that ends no line gets a line end by DATA",
          "unit downconvert",
          DOWNCONVERT, "convert->cr || (convert->column > 0 &&", "convert->cr || (convert->column > 1000000 &&"),

    # --- In TLS, and with whom ---
    Fault("sim_dane_is_not_asked", "RFC 7672: whoever stands in front of a host with TLSA records gets its mail",
          "unit sim",
          POLICY, "bool proven = host->proven && host->address.n == 0", "bool proven = false && host->address.n == 0"),
    Fault("sim_dane_takes_any_certificate", "RFC 7672 2.2: TLS is a must, and the certificate is not held against the records",
          "unit sim",
          TLS, "[TLS_NEED_DANE] = TLS_VERIFY_DANE", "[TLS_NEED_DANE] = TLS_VERIFY_NONE"),
    Fault("sim_dane_goes_on_in_clear", "RFC 7672 2.2: who strikes out STARTTLS gets the mail of a host with TLSA records in clear",
          "unit sim",
          TLS, "    if (need != TLS_NEED_NONE) {\n", "    if (need > TLS_NEED_DANE) {\n"),
    Fault("sim_unknown_records_are_none", "RFC 7672 2.1.1: who keeps the answer about TLSA records from us gets the mail",
          "unit sim",
          POLICY, "e.code == ERR_NONE ? FOUND : unknown(job, asked, e, to->found.why);", "e.code == ERR_NONE ? FOUND : FOUND_NONE;"),
    Fault("sim_sts_names_anybody", "RFC 8461 4.1: a host that the domain's policy does not name gets its mail",
          "unit sim",
          POLICY, "    if (mta_sts_allows(&found->policy, host->name))\n", "    if (mta_sts_allows(&found->policy, host->name) || true)\n"),
    Fault("sim_sts_takes_any_certificate", "RFC 8461 4.1: TLS is a must, and nobody looks at the certificate",
          "unit sim",
          TLS, "[TLS_NEED_PKIX] = TLS_VERIFY_PKIX", "[TLS_NEED_PKIX] = TLS_VERIFY_NONE"),
    Fault("sim_sts_is_forgotten", "RFC 8461 5.1: a policy that is kept is given to nobody, so who takes its record away takes it away",
          "unit sim",
          GIVE, "    sts_give(core, entry->domain, arena, &sts);\n", "    sts = (struct sts_kept){.mode = 0};\n"),
    Fault("sim_no_is_not_heard", "RFC 8689 4.2: a message that may do without TLS is given up for a certificate",
          "sim 50",
          POLICY, "    if (require_is_optional(job))\n", "    if (require_is_optional(job) && false)\n"),
    Fault("sim_connections_without_proof_are_used_again", "a connection that need not prove anything serves the next message, which wants a proof",
          "sim 150",
          REST, "    if (require_is_optional(job))\n", "    if (require_is_optional(job) && false)\n"),
    Fault("sim_sessions_without_proof_are_resumed", "who had a session without a proof resumes it where his certificate is to be looked at",
          "sim 150",
          KEPT, "    feed(&sha256, str_make(how, sizeof(how)));\n    feed(&sha256, peer->destination);\n    feed(&sha256, peer->name);\n    feed(&sha256, peer->certificate);\n    feed(&sha256, str_make(records, sizeof(records)));\n    for (size_t i = 0; i < peer->name_count; i++)\n        feed(&sha256, peer->names[i]);\n",
          "    (void)how;\n    feed(&sha256, peer->destination);\n"),
    Fault("sim_a_broken_handshake_is_final", "RFC 7435: a host that offers STARTTLS and cannot do it gets no mail at all",
          "unit sim",
          TLS, "return need == TLS_NEED_NONE ? TLS_FAILED : TLS_REFUSED;", "return need == TLS_NEED_NONE && false ? TLS_FAILED : TLS_REFUSED;"),
    Fault("sim_tls_that_is_offered_is_not_used", "RFC 3207: mail to hosts that offer STARTTLS goes in clear",
          "unit sim",
          TLS, "    if (job->in_clear && need == TLS_NEED_NONE)\n", "    if (need == TLS_NEED_NONE)\n"),
]
