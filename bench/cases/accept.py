"""Accept to durable: how many messages a second are acknowledged, beside a sink that takes the same mail from the same
generator and throws it away."""
import contextlib
import dataclasses
import statistics

from cases.stage import AIM_SECONDS, LEAST_SECONDS, SATURATED, Numbers, median, probe, verify
from peers.exim import Exim
from peers.opensmtpd import OpenSmtpd
from peers.postfix import Postfix
from peers.sink import Sink
from peers.veredus import Veredus

REUSED = 1000  # messages for each connection; no server here has a lower limit as shipped but OpenSMTPD
PEER_PART = 10  # in the core matrix slow peers get this part of the messages, but as many as last 3 s
STORE_MOST = 2 << 30  # octets after which the stores are emptied between rounds


@dataclasses.dataclass(frozen=True)
class Accept:
    size: int
    sessions: int
    each: int

    @property
    def name(self):
        size = f"{self.size >> 20} MB" if self.size >= 1 << 20 else f"{self.size >> 10} KB"
        return f"accept {size}, {self.sessions} {'reused' if self.each > 1 else 'each'}"

    def settings(self):
        return {"size": self.size, "sessions": self.sessions, "each": self.each, "accounts": 100}


KB, MB = 1 << 10, 1 << 20
FULL = [Accept(size, sessions, each) for size in (KB, 10 * KB, 100 * KB, 5 * MB) for sessions in (1, 10, 100)
        for each in (1, REUSED) if size < 100 * KB or each == REUSED]
CORE = [Accept(KB, 1, 1), Accept(KB, 1, REUSED), Accept(KB, 10, 1), Accept(KB, 10, REUSED), Accept(KB, 100, 1),
        Accept(KB, 100, REUSED), Accept(10 * KB, 10, 1), Accept(10 * KB, 10, REUSED), Accept(10 * KB, 100, REUSED),
        Accept(100 * KB, 10, REUSED), Accept(100 * KB, 100, REUSED), Accept(5 * MB, 10, REUSED)]
FIRST = [Accept(size, sessions, each) for size in (KB, 10 * KB) for sessions in (10, 100) for each in (1, REUSED)]
# Where all peers are compared, also in the core matrix; elsewhere Postfix stands for them.
ALL_PEERS = {Accept(KB, 10, 1), Accept(KB, 10, REUSED), Accept(10 * KB, 10, REUSED)}
ROOT_DISK = [Accept(KB, 10, 1), Accept(KB, 10, REUSED), Accept(KB, 100, REUSED), Accept(10 * KB, 10, REUSED)]


def pick_processes(sink, case, rate):
    """As many processes of the generator as are enough: twice as many bring the sink no further."""
    processes = 1
    while processes < 4 and processes * 2 <= case.sessions:
        more = probe(sink, Numbers(), int(rate), processes=processes * 2, **case.settings())
        if more < rate * SATURATED:
            break
        processes, rate = processes * 2, more
    return processes, rate


class Run:
    """One case with its servers, all started, each with its share of messages."""

    def __init__(self, stage, case, sink, servers):
        self.stage, self.case, self.sink, self.servers = stage, case, sink, servers
        self.numbers = {server: Numbers() for server in [sink, *servers]}
        self.counts = {}
        self.rows = {server: [] for server in [sink, *servers]}
        self.doubled = []

    def calibrate(self):
        case = self.case
        least = max(case.sessions * 2, min(200, (64 * MB) // case.size))
        rates = {server: probe(server, self.numbers[server], least, **case.settings())
                 for server in [self.sink, *self.servers]}
        self.processes, rates[self.sink] = pick_processes(self.sink, case, rates[self.sink])
        fastest = max(rate for server, rate in rates.items() if isinstance(server, (Sink, Veredus)))
        same = int(fastest * AIM_SECONDS)
        for server, rate in rates.items():
            slow = max(same // PEER_PART, int(rate * AIM_SECONDS))
            whole = isinstance(server, (Sink, Veredus)) or self.stage.size == "full"
            self.counts[server] = same if whole else min(same, slow)
        if self.stage.size == "quick":
            self.counts = {server: max(case.sessions, count // 10) for server, count in self.counts.items()}

    def one(self, server, processes):
        count = self.counts[server]
        return {"messages": count, "processes": processes,
                **self.stage.timed(server, count, first=self.numbers[server].take(count), processes=processes,
                                   **self.case.settings())}

    def round(self, number):
        sink = self.one(self.sink, self.processes)
        self.rows[self.sink].append(self.stage.add(self.case.name, self.sink, round=number, **sink))
        self.doubled.append(self.one(self.sink, self.processes * 2)["rate"] if self.case.sessions > 1 else sink["rate"])
        for server in self.servers:
            found = self.one(server, self.processes)
            ratio = found["rate"] / sink["rate"]
            self.rows[server].append(self.stage.add(self.case.name, server, round=number, of_sink=ratio, **found))
            self.clear(server)

    def clear(self, server):
        """Peers start each round with an empty queue; Veredus keeps its store, which is what it is for, while it is
        small."""
        if not isinstance(server, Veredus):
            server.purge()
        elif self.numbers[server].next * self.case.size > STORE_MOST:
            self.check(server)

    def check(self, server):
        if self.numbers[server].next:
            verify(self.stage, server, self.numbers[server], self.case.size)
            server.purge()
            self.numbers[server] = Numbers()

    def finish(self):
        """Verifies what is stored, and says of the rows whether they count."""
        gain = statistics.median(self.doubled) / median(self.rows[self.sink], "rate")
        for server, rows in self.rows.items():
            for row in rows:
                row["gain"] = gain
                row["counts"] = gain < SATURATED and row["seconds"] >= LEAST_SECONDS
            if isinstance(server, Veredus):
                self.check(server)


def run_cases(stage, cases, everywhere=(Postfix,), sometimes=(Exim, OpenSmtpd)):
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink(stage.folder))
        servers = {kind: stack.enter_context(kind(stage.folder)) for kind in (Veredus, *everywhere, *sometimes)}
        for case in cases:
            kinds = (Veredus, *everywhere, *(sometimes if stage.size == "full" or case in ALL_PEERS else ()))
            run = Run(stage, case, sink, [servers[kind] for kind in kinds])
            run.calibrate()
            for number in range(stage.rounds):
                run.round(number)
            run.finish()


def accept(stage):
    if stage.size == "quick":
        run_cases(stage, [Accept(KB, 10, REUSED)])
    elif stage.size == "full":
        run_cases(stage, FULL)
    else:
        run_cases(stage, CORE if stage.name == "journaled" else ROOT_DISK)


def first(stage):
    """A short picture: the sizes that most mail has, without the smaller peers."""
    run_cases(stage, FIRST, sometimes=())
