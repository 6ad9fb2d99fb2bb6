"""The queue: what is sent when, by whom, and what becomes of it (src/core/queue.c and its neighbours, src/store/queue.c)."""
from fault import Fault

SCHEDULE, QUEUE, ERRAND = "src/core/schedule.c", "src/core/queue.c", "src/core/errand.c"
OUTCOME, REPORT, OUTGOING = "src/core/outcome.c", "src/core/report.c", "src/core/outgoing.c"
ENVELOPE, STORE = "src/core/envelope.c", "src/store/queue.c"

FAULTS = [
    # --- The schedule ---
    Fault("who_sends_much_is_first", "10,000 messages of one sender stand before the one of another",
          "unit schedule",
          SCHEDULE, "    one->key = ++sender->turn;", "    one->key = sender->turn;"),
    Fault("priorities_wait_in_line", "a message of higher priority waits behind all others",
          "unit schedule",
          SCHEDULE, "    if (a->priority != b->priority)\n        return a->priority > b->priority ? -1 : 1;\n    return time_order", "    return time_order"),
    Fault("windows_never_close", "a destination in trouble is given as many jobs as before",
          "unit schedule",
          SCHEDULE, "destination->window > 1 ? destination->window / 2 : 1;", "destination->window;"),
    Fault("the_dead_take_all_places", "destinations in trouble may have every place, and nobody else's mail leaves",
          "unit schedule",
          SCHEDULE, "    if (doubtful && schedule->doubtful_under_way < share)", "    if (doubtful && schedule->doubtful_under_way <= share * 100)"),
    Fault("trouble_is_told_once_for_each", "each job that was under way doubles the time a destination is quiet",
          "unit schedule",
          SCHEDULE, "    if (destination->troubles > 0 && destination->quiet_until > mono) {", "    if (destination->troubles > 1000) {"),
    Fault("held_entries_go", "what an operator holds is sent all the same",
          "unit schedule",
          SCHEDULE, "    if (!one->holds) {\n        wait_enter", "    if (one) {\n        wait_enter"),
    Fault("paused_destinations_go", "a destination that is paused is sent to",
          "unit schedule",
          SCHEDULE, "destination->due > 0 && !destination->paused &&", "destination->due > 0 &&"),

    # --- Core's queue ---
    Fault("core_does_not_ask_its_couriers", "what was under way when core died is sent a second time",
          "unit core_queue",
          QUEUE, "    return queue->couriers > 0 && (all ||", "    return queue->couriers < 64 || (all ||"),
    Fault("jobs_of_an_earlier_core_are_nobodys", "a job that a courier brings along is not known as under way",
          "unit core_queue",
          ERRAND, "    if (!schedule_claim(&queue->schedule, one))", "    if (one)"),
    Fault("a_broken_link_sends_again", "jobs are given up when their courier's link breaks, though it lives",
          "unit core_queue",
          ERRAND, "        timer_set(loop, &errand->timer, loop->now + QUEUE_ORPHANED);", "        timer_set(loop, &errand->timer, loop->now);"),
    Fault("dead_couriers_keep_their_jobs", "what a courier had when it died is never sent",
          "unit core_queue",
          ERRAND, "        if (!errand->peer && errand->instance == request->peer->instance &&", "        if (!errand->peer && errand->instance > 100 &&"),
    Fault("dots_are_forgotten", "a second copy may go out and the trace does not say so",
          "unit core_queue",
          ERRAND, "    errand->dotted = true;\n    timer_clear", "    timer_clear"),
    Fault("relaying_is_remembered", "an edge answers strangers as it answered one who may relay",
          "unit core_queue",
          ENVELOPE, " && resolved.kind == RESOLVED_FOUND &&", " &&"),

    # --- Outcomes ---
    Fault("waits_are_all_the_same", "a server that says later is asked every two minutes for five days",
          "unit core_queue",
          OUTCOME, "        pause *= 2;\n", "        pause += 0;\n"),
    Fault("nothing_expires", "a message that cannot be sent waits for ever",
          "unit core_queue",
          OUTCOME, "deciding->now >= deciding->entry.expires &&", "deciding->now < 0 &&"),
    Fault("warned_at_each_try", "a sender is told at each try that his message waits",
          "unit core_queue",
          OUTCOME, "                     !(entry->flags & QUEUE_WARNED) &&", "                     true &&"),
    Fault("failures_are_not_reported", "a message that failed vanishes without a word",
          "unit core_queue",
          OUTCOME, "        return !notify || notify & DSN_NOTIFY_FAILURE;", "        return notify & DSN_NOTIFY_FAILURE;"),
    Fault("reports_about_reports", "F14: a report that cannot be delivered is reported to its sender",
          "unit core_queue",
          REPORT, "        .sender = str_make(\"\", 0),", "        .sender = reader->text,"),
    Fault("those_who_have_it_get_it_again", "a recipient that took the message is tried again with the others",
          "unit core_queue",
          OUTCOME, "        if (!waits(fate))\n            continue;\n        if (!first)", "        if (!first)"),

    # --- Entries ---
    Fault("an_address_twice_is_two_copies", "who is named twice gets the message twice",
          "unit core_queue",
          OUTGOING, "target_order(&targets[kept - 1], &targets[i]) == 0)\n            continue;", "target_order(&targets[kept - 1], &targets[i]) == 0)\n            kept += 0;"),
    Fault("removed_entries_come_back", "an entry that was removed is written again by who still changes it",
          "unit queue",
          STORE, "    if (!fresh)\n        op_list_add(ops, OP_NEED_PRESENT", "    if (fresh)\n        op_list_add(ops, OP_NEED_PRESENT"),
    Fault("queue_records_may_be_longer", "octets behind an entry's record are no damage",
          "unit queue",
          STORE, "    if (!wire_end(&in))\n        return damaged();\n    *entry_r = entry;", "    *entry_r = entry;"),
]
