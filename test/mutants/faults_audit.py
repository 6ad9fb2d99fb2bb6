"""Faults in the audit: each makes the chain say less than it promises."""
from fault import Fault

AUDIT = "src/store/audit.c"
WAY_IN = "src/core/audit.c"
COMMANDS = "src/core/admin_audit.c"

FAULTS = [
    Fault("audit_links_stand_alone", "an event is hashed without what went before it",
          "unit audit",
          AUDIT, "    sha256_feed(&sha256, str_make(before, AUDIT_LINK));\n", "    (void)before;\n"),
    Fault("audit_octets_are_not_hashed", "an event may be changed",
          "unit audit",
          AUDIT, "    sha256_feed(&sha256, record);\n", "    (void)record;\n"),
    Fault("audit_gaps_are_fine", "events may be removed from the middle",
          "unit audit",
          AUDIT, "    if (number > verify->number + 1)", "    if (number > verify->number + 1 && number == 0)"),
    Fault("audit_end_is_not_looked_at", "events may be removed from the end",
          "unit audit",
          AUDIT, "    if (before->number > verify->number)", "    if (before->number > verify->number && before->number == 0)"),
    Fault("audit_added_meanwhile_is_trouble", "what is added while the chain is walked looks like a broken one",
          "unit audit",
          AUDIT, "    const struct audit_head *end = verify->number > before->number ? now : before;", "    const struct audit_head *end = before->number ? before : now;"),
    Fault("audit_tail_is_not_looked_at", "events may be put behind the end",
          "unit audit",
          AUDIT, "    else if (verify->number > end->number ||\n             (verify", "    else if ((verify"),
    Fault("audit_head_is_overwritten", "two writers make a chain with a fork",
          "unit audit",
          AUDIT, "        op_list_add(ops, OP_NEED_VALUE, totals, STR(\"h\"), head_encode(before, arena));\n", "        (void)before;\n"),
    Fault("audit_forgets_what_failed", "what the disk did not take is dropped",
          "unit core_audit",
          WAY_IN, "    if (err_is(e))\n        return e;\n    audit->head = head;\n    dequeue(audit, count);\n    return e;",
          "    if (!err_is(e))\n        audit->head = head;\n    dequeue(audit, count);\n    return e;"),
    Fault("audit_gap_is_silent", "events that were too many are lost without a word",
          "unit core_audit",
          WAY_IN, "    if (audit->lost && enqueue(audit, &event))", "    if (audit->lost == SIZE_MAX && enqueue(audit, &event))"),
    Fault("audit_of_a_reload_says_nothing", "a reload is on record without what it changed",
          "pytest test_audit.py",
          "src/core/core.c", "    conf_changes(before, now, TRACE_TEXT_MAX - how.n, &changes);", "    conf_changes(before, now, 0, &changes);"),
    Fault("audit_of_a_reload_sees_no_files", "what changed in a list's file is no change",
          "unit conf",
          "src/conf/print.c", "        if (before ? !same(setting, before, base, true)", "        if (before ? !same(setting, before, base, false)"),
    Fault("audit_of_a_reload_is_endless", "changes are told beyond what an event holds",
          "unit conf",
          "src/conf/print.c", "    if (changes->left_out || to->n + change->n + CHANGES_REST > changes->most) {", "    if (changes->left_out) {"),
    Fault("audit_shows_hashes", "a password hash that was typed stands in the audit",
          "pytest test_audit.py",
          COMMANDS, "        if (secret)", "        if (secret && i == 0)"),
]
