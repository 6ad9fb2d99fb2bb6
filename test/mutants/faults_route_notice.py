"""What the postmaster is owed before mail waits: one message, with what happens next."""
from fault import Fault

NOTICE, ERRAND, GIVE, GOVERNOR = "src/core/route_notice.c", "src/core/errand.c", "src/core/errand_give.c", "src/core/governor.c"

FAULTS = [
    Fault("a_limit_is_told_again_and_again", "a message for each time that a count comes and goes around four fifths",
          "unit route",
          NOTICE, "    return telling->before.p && wire_end(&in) && now >= then &&", "    return telling->before.p && !wire_end(&in) && now >= then &&"),
    Fault("a_start_tells_it_again", "each start of core tells the postmaster what he knows",
          "unit route",
          NOTICE, "    op_list_add(&delivery->ops, OP_PUT, queue, telling->key, now);", "    (void)now;"),
    Fault("once_is_for_ever", "a limit that is near again weeks later is told of no more",
          "unit route",
          NOTICE, "           now - then < window_of(telling->notice.kind);", "           window_of(telling->notice.kind) > 0;"),
    Fault("near_is_told_to_the_log_alone", "nobody reads that a limit is near",
          "unit route",
          GOVERNOR, "        if (nears && !governed->near[i])", "        if (nears && !governed->near[i] && now == 0)"),
    Fault("later_is_refused", "a host that is busy is told of as a log-in that is refused",
          "unit route",
          ERRAND, "           said->results[0].code == LOG_IN_REFUSED;", "           said->results[0].code >= 400;"),
    Fault("any_535_is_a_log_in", "a text of a server about something else is told of as a log-in",
          "unit route",
          ERRAND, "    return said->trouble == JOB_TROUBLE_LOGIN && said->results_count > 0 &&", "    return said->results_count > 0 &&"),
    Fault("a_lost_grant_is_told_nobody", "mail waits for a log-in that nobody knows to be needed",
          "unit tokens",
          GIVE, "    if (route_wants_new_grant(core, choice, arena))", "    if (route_wants_new_grant(core, choice, arena) && choice->lost)"),
    Fault("everybody_reads_english", "a postmaster who reads Chinese is told in English",
          "unit route",
          NOTICE, "    bool chinese = to->language == LANGUAGE_CHINESE;", "    bool chinese = to->language == LANGUAGES;"),
]
