"""doc/performance-sending.md: what was measured of mail for elsewhere, and beside each target whether it is met."""
import machine
from report import Results, number, percent, table, times

PAGE = machine.ROOT / "doc" / "performance-sending.md"
CASES = ("relay ", "queue of ", "list of ")
PAIR = ("veredus-relay", "postfix-relay")
MB = 1 << 20

HEAD = """# Performance of sending

Written by `bench/run` on {date} from what it measured; do not edit. How it is measured, and with which servers beside it:
`doc/performance.md`.

**The machine**: {processors} processors ({model}), {memory_gb} GB, {system}. Veredus at commit {commits}.
The file system is an ext4 with a journal, durability is on everywhere.
"""

RELAY = """Both take mail from the same generator and send it on to the same smtp-sink on this machine, which throws it away; the time
ends when the last message has arrived there, and as many must have arrived as were taken. The generator, the server and
the sink share the processors. CPU is the server's, syncs and flushes are for each message, in and out together.
"""

QUEUE = """Messages of 1 KB for 1,000 domains whose names nobody knows. Accept: rate into the empty queue and into the full one. Live: from the
first word to us until a message has arrived at a server that is there. Restart: from the start of the program to such an
arrival. RssAnon is core's.
"""

LIST = """A message of 100 KB to a list whose members live on 100 hosts, which wait 50 ms before they reply to it and count whom they have
acknowledged. Store: what it holds more when the message was accepted. Grows: by how much anonymous memory core has more at most until
the queue is empty. Twice: members who got it again; a killed core is started again, the couriers live on.
"""


def is_sending(row):
    return row["case"].startswith(CASES)


def relay_table(results):
    def both(case, field, digits=0):
        return [number(results.median(case, server, field), digits) for server in PAIR]

    return table(["case", "Veredus /s", "Postfix /s", "times", "CPU us", "CPU us", "part", "syncs", "syncs", "flushes", "flushes"], [
        [case + ("" if all(results.counts(case, server) for server in PAIR) else " (*)"), *both(case, "rate"),
         times(results.ratio(case, *PAIR, "rate")), *both(case, "cpu_us"), percent(results.ratio(case, *PAIR, "cpu_us")),
         *both(case, "syncs", 2), *both(case, "flushes", 2)] for case in results.cases("relay ")])


def queue_table(results):
    fields = (("rate_empty", 0), ("rate", 0), ("live_ms", 1), ("live_most_ms", 1), ("restart_ms", 0), ("list_ms", 1))
    return table(["case", "accept, empty /s", "accept, full /s", "live p50 ms", "live most ms", "restart ms", "list: first line ms",
                  "RssAnon MB"], [
        [case, *(number(results.median(case, "veredus-queue", field), digits) for field, digits in fields),
         number(results.median(case, "veredus-queue", "anonymous") / MB)] for case in results.cases("queue of ")])


def list_table(results):
    def of(case, field, unit=1, digits=0):
        return number(results.median(case, "veredus-list", field) / unit, digits)

    return table(["case", "accepted in ms", "delivered in s", "store MB", "core grows MB", "twice"], [
        [case, of(case, "accepted_ms"), of(case, "seconds", 1, 1), of(case, "kept", MB, 1), of(case, "grown", MB, 1), of(case, "twice")]
        for case in results.cases("list of ")])


def targets(results):
    found = []

    def row(what, value, limit, shown, is_met):
        if value is not None:
            found.append([what, shown(value), shown(limit), "yes" if is_met else "**no**"])

    for case in results.cases("relay "):
        rate, cpu = (results.ratio(case, *PAIR, field) for field in ("rate", "cpu_us"))
        flushes = results.median(case, PAIR[0], "flushes")
        row(f"{case}: Postfix's rate, times, at least", rate, 6, times, rate and rate >= 6)
        row(f"{case}: CPU of Postfix's, at most", cpu, 1 / 8, percent, cpu and cpu <= 1 / 8)
        row(f"{case}: flushes for each message, at most", flushes, 1, lambda value: f"{value:.2f}", flushes is not None and flushes <= 1)
    for case in results.cases("queue of "):
        def of(field):
            return results.median(case, "veredus-queue", field)

        row(f"{case}: accept rate of that of an empty one, at least", of("rate") / of("rate_empty"), .9, percent,
            of("rate") >= .9 * of("rate_empty"))
        for what, field, limit in (("restart to an arrival, ms, at most", "restart_ms", 5000),
                                   ("a live destination's mail, ms, at most", "live_most_ms", 1000),
                                   ("first line of the list, ms, at most", "list_ms", 100),
                                   ("core's RssAnon, octets, at most", "anonymous", 400 * MB)):
            row(f"{case}: {what}", of(field), limit, number, of(field) is not None and of(field) <= limit)
    for case in results.cases("list of "):
        for what, field, limit in (("octets that the store keeps, at most", "kept", 32 * MB),
                                   ("octets that core grows by, at most", "grown", 64 * MB), ("members who got it twice, at most", "twice", 0)):
            value = results.median(case, "veredus-list", field)
            row(f"{case}: {what}", value, limit, number, value <= limit)
    return found


def write(facts, rows):
    results = Results(rows)
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows))
    parts = [HEAD.format(**facts, commits=commits),
             "## What it must reach\n", table(["target", "measured", "limit", "met"], targets(results))]
    if results.cases("relay "):
        parts += ["## Relay\n", RELAY, relay_table(results)]
    if results.cases("queue of "):
        parts += ["## A full queue\n", QUEUE, queue_table(results)]
    if results.cases("list of "):
        parts += ["## A list of many members elsewhere\n", LIST, list_table(results)]
    PAGE.write_text("\n".join(parts))
