"""doc/performance.md, from the rows that were measured: medians, and beside each target whether it is met."""
import statistics

import machine
import plot
from cases import accept
from cases.stage import KB

PAGE = machine.ROOT / "doc" / "performance.md"
PLOT = machine.ROOT / "doc" / "performance.svg"


class Results:
    """All rows; what is asked of them is a median over the rounds."""

    def __init__(self, rows):
        self.rows = rows

    def of(self, case, server, disk="journaled"):
        return [row for row in self.rows if (row["case"], row["server"], row["disk"]) == (case, server, disk)]

    def median(self, case, server, field, disk="journaled"):
        """None where it was not measured."""
        values = [row[field] for row in self.of(case, server, disk) if row.get(field) is not None]
        return statistics.median(values) if values else None

    def ratio(self, case, one, other, field, disk="journaled"):
        above, below = self.median(case, one, field, disk), self.median(case, other, field, disk)
        return above / below if above is not None and below else None

    def counts(self, case, server, disk="journaled"):
        return all(row.get("counts", True) and not row.get("disturbed") for row in self.of(case, server, disk))

    def cases(self, start, disk="journaled"):
        """Names of cases, in the order in which they were measured; those of a growing store from small to large."""
        rows = [row for row in self.rows if row["disk"] == disk and row["case"].startswith(start)]
        return list(dict.fromkeys(row["case"] for row in sorted(rows, key=lambda row: row.get("stored", 0))))

    def servers(self, case, disk="journaled"):
        return list(dict.fromkeys(row["server"] for row in self.rows if (row["case"], row["disk"]) == (case, disk)))


# --- Figures as they are written ---

def number(value, digits=0, unit=""):
    if value is None:
        return "-"
    if digits == 0 and abs(value) < 10:
        digits = 1
    return f"{value:,.{digits}f}{unit}"


def percent(value):
    return "-" if value is None else f"{value * 100:.0f} %"


def times(value):
    return "-" if value is None else f"{value:.1f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


# --- Sections ---

def accept_table(results, disk):
    rows = []
    for case in results.cases("accept ", disk):
        if "sink" not in results.servers(case, disk):
            continue

        def of(server, field):
            return results.median(case, server, field, disk)

        rows.append([
            case.removeprefix("accept ") + ("" if results.counts(case, "veredus", disk) else " (*)"),
            number(of("sink", "rate")),
            f"{number(of('veredus', 'rate'))} = {percent(of('veredus', 'of_sink'))}",
            *(number(of(server, "rate")) for server in ("postfix", "exim", "opensmtpd")),
            times(results.ratio(case, "veredus", "postfix", "rate", disk)),
            *(f"{number(of(server, 'p50_ms'), 2)} / {number(of(server, 'p99_ms'), 2)}"
              for server in ("veredus", "postfix")),
            *(number(of(server, "cpu_us")) for server in ("veredus", "postfix")),
            *(number(of("veredus", field), 2) for field in ("syncs", "flushes")),
        ])
    return table(["size, sessions, connection", "sink /s", "Veredus /s, of the sink", "Postfix", "Exim", "OpenSMTPD",
                  "Veredus : Postfix", "Veredus p50 / p99 ms", "Postfix p50 / p99 ms", "CPU us Veredus",
                  "CPU us Postfix", "Veredus syncs", "Veredus flushes"], rows)


def delivery_table(results, disk):
    return table(["case", "Veredus /s", "Postfix + Dovecot /s", "ratio", "CPU us", "CPU us", "syncs", "syncs"], [
        [case.removeprefix("deliver "), *(number(results.median(case, server, "rate", disk)) for server in PAIR),
         times(results.ratio(case, *PAIR, "rate", disk)),
         *(number(results.median(case, server, "cpu_us", disk)) for server in PAIR),
         *(number(results.median(case, server, "syncs", disk), 2) for server in PAIR)]
        for case in results.cases("deliver ", disk)])


PAIR = ("veredus", "postfix-dovecot")


def plain_table(results, start, columns, disk="journaled"):
    """One line for each case and server; columns: {title: (field, digits)}."""
    rows = []
    for case in results.cases(start, disk):
        for server in results.servers(case, disk):
            rows.append([case, server] + [number(results.median(case, server, field, disk), digits)
                                          for field, digits in columns.values()])
    return table(["case", "server", *columns], rows)


SECTIONS = (
    ("Bytes written for a message of 10 KB", "written ",
     "Sectors of the device, from before the first message until the server has been stopped in order and the file "
     "system synced: what is put off is counted.",
     {"times its size": ("times", 2), "octets": ("written", 0), "flushes": ("flushes", 2),
      "messages": ("messages", 0)}),
    ("Latency of the 250 at half the maximal rate", "latency ",
     "10 sessions, 1 KB, each message begun at its time. Beside it, in the same minute: 4 KB written over blocks that "
     "were written before, and one fdatasync.",
     {"rate /s": ("rate", 0), "p50 ms": ("p50_ms", 2), "p99 ms": ("p99_ms", 2), "sync p50 ms": ("sync_p50_ms", 2),
      "sync p99 ms": ("sync_p99_ms", 2), "p99 : sync p99": ("of_sync", 2), "late": ("late", 0)}),
    ("POP3", "read 10 KB",
     "Mailboxes of 1,000 messages of 10 KB, read whole, again and again.",
     {"messages /s": ("rate", 0), "MB/s": ("mb_s", 0), "CPU us": ("cpu_us", 0), "p50 ms": ("p50_ms", 3),
      "p99 ms": ("p99_ms", 3)}),
    ("Idle connections", "idle connections",
     "After EHLO. Octets of each connection; kernel memory apart. As many connections as each server lets in.",
     {"connections": ("held", 0), "PSS": ("pss_each", 0), "RssAnon": ("anonymous_each", 0),
      "processes": ("processes", 0)}),
    ("TLS hand-shakes", "hand-shake",
     "On POP3 in TLS, session and greeting included; beside it a bare TLS server that has the key in its own memory. "
     "Microseconds of processor of all the server's processes. One by one every process falls asleep between two steps of "
     "a hand-shake and is woken for the next: a server that has nothing else to do.",
     {"CPU us": ("cpu_us", 1), "of s_server's": ("of_bare", 2), "/s": ("rate", 0)}),
    ("Idle connections in TLS", "idle in TLS",
     "After the greeting of POP3. Octets of each connection; kernel memory apart.",
     {"connections": ("held", 0), "PSS": ("pss_each", 0), "RssAnon": ("anonymous_each", 0)}),
    ("Log-ins while others guess", "log-in, ",
     "Good users log in by POP3, 5 a second of each kind, each at its time, while others guess 1,000 times a second; passwords "
     "are hashed as Veredus makes them (yescrypt, 16 MB). Cold: a hash is computed; warm: it was right within the last hour. "
     "Known network: the account logged in well from there before. Every address is in a network of its own. They come 3 s "
     "after the storm has begun: before each of its addresses has tried once, nobody can tell it from a good user. "
     "Beyond the hash: p99, less the p50 of a cold log-in with nobody else where a hash is computed. Refused: of all log-ins of a round.",
     {"p50 ms": ("p50_ms", 1), "p99 ms": ("p99_ms", 1), "max ms": ("max_ms", 1), "beyond the hash ms": ("beyond_ms", 1),
      "refused": ("refused", 0), "of": ("begun", 0)}),
    ("", "storm: ", "What became of the guesses, and the processors that the server took.",
     {"guesses": ("begun", 0), "wrong": ("wrong", 0), "later": ("later", 0), "turned away": ("turned_away", 0),
      "processors": ("processors", 2)}),
    ("What the time of a refused log-in tells", "log-in timing",
     "10,000 of each kind, in turns of chance: a user who is there and one who is not (first, second); microseconds. The last "
     "row is what it looks like where time tells.",
     {"first us": ("first_us", 2), "second us": ("second_us", 2), "apart %": ("apart", 3), "Welch's t": ("t", 2),
      "t below p99": ("t_cropped", 2)}),
    ("Dripping clients", "good clients",
     "200 clients at a quarter of the maximal rate, beside 10,000 that send one octet a second.",
     {"dripping": ("dripping", 0), "p99 alone ms": ("alone_p99_ms", 2), "p99 beside them ms": ("p99_ms", 2),
      "times": ("times", 2), "refused": ("refused", 0)}),
    ("Start", "start ",
     "With the page cache dropped. Veredus has the messages in mailboxes, the others in the queue.",
     {"stored": ("stored", 0), "to the banner ms": ("banner_ms", 0), "to the first 250 ms": ("accepted_ms", 0)}),
    ("Growth: messages", "accept 1 KB with", "10 sessions, reused.",
     {"rate /s": ("rate", 0), "p99 ms": ("p99_ms", 2), "CPU us": ("cpu_us", 0), "written": ("written", 0)}),
    ("", "accept 10 KB with", "", {"rate /s": ("rate", 0), "p99 ms": ("p99_ms", 2), "CPU us": ("cpu_us", 0),
                                   "written": ("written", 0)}),
    ("", "read 1 KB with", "A mailbox that the machine has not in memory comes from the disk.",
     {"messages /s": ("rate", 0), "p99 ms": ("p99_ms", 3)}),
    ("Growth: accounts", "accounts: ", "10 sessions, reused, 1 KB.",
     {"rate /s": ("rate", 0), "p99 ms": ("p99_ms", 2), "CPU us": ("cpu_us", 0), "written": ("written", 0)}),
)


# --- Targets ---

def targets(results):
    """(what, value, limit, is it met, as text)"""
    found = []

    def at_least(what, value, limit, shown):
        if value is not None:
            found.append([what, shown(value), "at least " + shown(limit), "yes" if value >= limit else "**no**"])

    def at_most(what, value, limit, shown):
        if value is not None:
            found.append([what, shown(value), "at most " + shown(limit), "yes" if value <= limit else "**no**"])

    for size, sessions, each, limit, *one_by_one in (
            (1, 100, 1000, .75), (1, 100, 1000, .75, True), (1, 100, 1, .75), (10, 100, 1000, 1), (10, 100, 1, 1),
            (100, 100, 1000, 1), (1, 10, 1000, .35), (1, 10, 1000, .35, True), (1, 10, 1, .60), (10, 10, 1000, .75),
            (10, 10, 1, .75)):
        case = accept.Accept(size * KB, sessions, each, *one_by_one).name
        at_least(f"{case}: of the sink", results.median(case, "veredus", "of_sink"), limit, percent)
        at_most(f"{case}: CPU of Postfix's", results.ratio(case, "veredus", "postfix", "cpu_us"), 1 / 8, percent)
    for each in (1000, 1):
        case = accept.Accept(KB, 1, each).name
        for field in ("syncs", "flushes"):
            at_most(f"{case}: {field} for each message", results.median(case, "veredus", field), 1.02,
                    lambda value: f"{value:.2f}")
    for recipients, limit in (("1 recipient", 15), ("50 recipients", 50)):
        case = f"deliver 10 KB, {recipients}"
        at_least(f"{case}: Postfix + Dovecot's rate, times", results.ratio(case, *PAIR, "rate"), limit, times)
    for case in results.cases("written "):
        if "accounts" not in case:
            limit = 4 if "50 recipients" in case else 1.5
            for server in results.servers(case):
                prefilled = server == "veredus" and "written before" not in case  # reported, and no target
                if server != "postfix-dovecot" and not prefilled:
                    at_most(f"{case}, {server}: times its size", results.median(case, server, "times"), limit, times)
    at_most("p99 at half the rate: p99 of a bare fdatasync, times",
            results.median("latency at half the rate", "veredus", "of_sync"), 3, times)
    at_most("good clients' p99 beside dripping ones, times",
            results.median("good clients beside dripping ones", "veredus", "times"), 2, times)
    at_most("good clients' messages refused beside dripping ones",
            results.median("good clients beside dripping ones", "veredus", "refused"), 0, number)
    for field, what in (("pss_each", "PSS"), ("anonymous_each", "RssAnon")):
        held = results.median("idle connections", "veredus", field)
        at_most(f"idle connection: {what}, octets", held, 4 * KB, number)
    for case in results.cases("hand-shake"):
        if "at once" in case:
            at_most(f"{case}: CPU of s_server's, times", results.median(case, "veredus", "of_bare"), 1.2,
                    lambda value: f"{value:.2f}")
    for field, what in (("pss_each", "PSS"), ("anonymous_each", "RssAnon")):
        at_most(f"idle in TLS: {what}, octets", results.median("idle in TLS", "veredus", field), 24 * KB, number)
    for case in results.cases("log-in, "):
        if "nobody else" not in case:
            at_most(f"{case}: p99 beyond the hash, ms", results.median(case, "veredus", "beyond_ms"), 250, number)
            at_most(f"{case}: refused", results.median(case, "veredus", "refused"), 0, number)
    for case in results.cases("log-in timing"):
        if "stops" not in case:
            at_most(f"{case}: medians apart, %", results.median(case, "veredus", "apart"), 1, lambda value: number(value, 3))
            at_most(f"{case}: Welch's t", results.median(case, "veredus", "t"), 4.5, lambda value: number(value, 2))
    for kind in GROWING:
        stored = [case for case in results.cases(kind) if results.of(case, "veredus")]
        if len(stored) > 1:
            least, most = (results.median(case, "veredus", "rate") for case in (stored[0], stored[-1]))
            at_least(f"{stored[-1]}: of the rate with the fewest", most / least, .9, percent)
    return found


GROWING = ("accept 1 KB with", "accept 10 KB with", "read 1 KB with")  # what may not slow down


# --- The page ---

HEAD = """# Performance

Written by `bench/run` on {date} from what it measured; do not edit. `bench/run` measures again, `bench/run --help` says
what else it can do.

**The machine**: {processors} processors ({model}), {memory_gb} GB, {system}. Veredus at commit
{commit}. The generator (`bench/load`) shares the processors with the server it drives.
{others}
**How it is measured**: every server gets the same messages from the same generator with the same settings, in turns,
round after round; figures are medians of {rounds} rounds. A timed run lasts at least 3 s. The generator pipelines MAIL,
RCPT and DATA where PIPELINING is offered, as mail servers do, but in the rows "one by one". "each" is a connection for
each message, "reused" 1,000 messages for each connection. The sink and Veredus get the same number of messages; {part}
A row marked (*) does not count: a run was shorter than 3 s, or doubling the generator's processes raised the sink's
rate by 5 % or more, or other work on the machine took half a processor or more. (Over all runs of the sink and of Veredus it
took {others_middle:.2f} processors in the median, {others_most:.2f} at most, the kernel's own threads included.)

After each case everything that Veredus acknowledged is read back by POP3 and compared octet by octet; rows exist only
where nothing was missing. CPU is that of the server's processes alone (cgroup), in microseconds for each message; syncs
are its calls of fsync and fdatasync, flushes those that reached the device.

**File systems**: the quoted figures are those of an ext4 *with a journal* (a file in a loop device, direct I/O, flushes
passed on). {root} Data lie on the real disk, durability is on everywhere.

**The servers**

{servers}
"""

PART_OF_PEERS = """the slower
peers get as many as last 3 s (`--full`: as many as the others)."""
ROOT_JOURNAL = "This machine's root file system has a journal, too."
ROOT_WITHOUT = "This machine's root file system has none: a sync is cheaper there, and\ncreating files dearer."
SERVERS_HEAD = ["server", "version", "settings"]


def other_commits(results, commit):
    """Rows that an earlier run measured, by the commit that it measured."""
    cases = {}
    for row in results.rows:
        if row["server"].startswith("veredus") and row["commit"] != commit:
            cases.setdefault(row["commit"], {})[f'{row["case"]} ({row["disk"]})'] = True
    return "".join(f"Measured at commit {other}: {'; '.join(names)}.\n" for other, names in cases.items())


def head(results, facts, kinds):
    full = any(row.get("size") == "full" for row in results.rows)
    others = sorted(row["others"] for row in results.rows if "others" in row and row["server"] in ("sink", "veredus"))
    return HEAD.format(
        **facts, others=other_commits(results, facts["commit"]),
        rounds=max((row.get("round", 0) + 1 for row in results.rows), default=0),
        others_middle=others[len(others) // 2] if others else 0, others_most=others[-1] if others else 0,
        part="so do the peers." if full else PART_OF_PEERS, root=ROOT_JOURNAL if facts["journal"] else ROOT_WITHOUT,
        servers=table(SERVERS_HEAD, [[kind.title, kind.version(), kind.stated] for kind in kinds]))


def write(facts, rows, kinds):
    """facts: of the machine, when it was measured; kinds: classes of the servers."""
    results = Results(rows)
    parts = [head(results, facts, kinds), "## What it must reach\n",
             table(["target", "measured", "limit", "met"], targets(results)),
             "## Accept to durable\n",
             f"![Rates as a share of the sink's]({PLOT.name})\n",
             "Postfix, Exim and Veredus have the message on disk before their 250; OpenSMTPD 6.8 does not sync its "
             "queue, so its figures are no durable accepts. The sink throws everything away.\n",
             accept_table(results, "journaled")]
    if results.cases("accept ", "root"):
        parts += ["On the root file system:\n", accept_table(results, "root")]
    parts += ["## Local delivery\n", "10 KB, 10 sessions, 100 accounts, until every copy is in its mailbox.\n",
              delivery_table(results, "journaled")]
    if results.cases("deliver ", "root"):
        parts += ["On the root file system:\n", delivery_table(results, "root")]
    for title, start, text, columns in SECTIONS:
        if results.cases(start):
            parts += [f"## {title}\n"] * bool(title) + [text + "\n"] * bool(text)
            parts.append(plain_table(results, start, columns))
    PAGE.write_text("\n".join(parts))
    PLOT.write_text(plot.draw(results))
