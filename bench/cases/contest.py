"""Servers that get the same mail in turns, round after round, so that whatever else happens on the machine meets all of
them. Before the first round each is probed; afterwards what it acknowledged is read back where it can be."""
import statistics

from cases.stage import AIM_SECONDS, LEAST_SECONDS, MB, Numbers, median, probe, verify
from peers.veredus import Veredus

SATURATED = 1.05  # doubling the generator's processes may raise the sink's rate by less than this
PROCESSES_MOST = 4
TRIES = 3         # for a run that was disturbed,
LONG = 8          # unless it lasted so many seconds
DISTURBED = 0.5   # processors that something else took; the kernel's own threads are part of it
STORE_MOST = 2 << 30  # octets of a store that is emptied between rounds


class Contest:
    """sink: what sets the ceiling, and shows whether the generator is fast enough; None where nothing does.
    wait: a round lasts until a server has delivered. settings: of the generator."""

    def __init__(self, stage, name, servers, sink=None, wait=False, **settings):
        self.stage, self.name, self.wait, self.settings = stage, name, wait, settings
        self.sink, self.servers = sink, servers
        self.all = [*([sink] if sink else []), *servers]
        self.numbers = {server: Numbers() for server in self.all}
        self.rows = {server: [] for server in self.all}
        self.doubled = {}  # the sink's rates with twice as many processes, by round

    def run(self):
        self.calibrate()
        for number in range(self.stage.rounds):
            self.round(number)
            while self.stage.size != "quick" and self.was_short():
                self.forget_round(number)
                self.round(number)
        self.finish()

    # --- How many messages ---

    def calibrate(self):
        least = max(self.settings["sessions"] * 2, min(200, 16 * MB // self.settings["size"]))
        if self.stage.size == "quick":
            self.processes, self.counts = 1, {server: self.settings["sessions"] * 2 for server in self.all}
            return
        rates = {server: probe(server, self.numbers[server], least, self.wait, **self.settings)
                 for server in self.all}
        self.processes = self.pick_processes(rates[self.sink]) if self.sink else 1
        same = int(AIM_SECONDS * max(rate for server, rate in rates.items() if not self.is_slow(server)))
        self.counts = {server: same if self.stage.size == "full" or not self.is_slow(server)
                       else min(same, int(rate * AIM_SECONDS)) for server, rate in rates.items()}

    def is_slow(self, server):
        return server is not self.sink and not isinstance(server, Veredus)

    def pick_processes(self, rate):
        """As many processes of the generator as are enough: twice as many bring the sink no further."""
        processes = 1
        while processes * 2 <= min(PROCESSES_MOST, self.settings["sessions"]):
            more = probe(self.sink, Numbers(), int(rate), processes=processes * 2, **self.settings)
            if more < rate * SATURATED:
                break
            processes, rate = processes * 2, more
        return processes

    def was_short(self):
        """A probe that was disturbed gave too few messages: more of them then, and the round again. The sink and
        Veredus keep getting the same number."""
        seconds = {server: self.rows[server][-1]["seconds"] for server in self.all}
        fast = min(passed for server, passed in seconds.items() if not self.is_slow(server))
        for server in self.all:
            passed = seconds[server] if self.is_slow(server) else fast
            if passed < LEAST_SECONDS:
                self.counts[server] = int(self.counts[server] * AIM_SECONDS / passed)
        return min(seconds.values()) < LEAST_SECONDS

    def forget_round(self, number):
        for rows in self.rows.values():
            self.stage.rows.remove(rows.pop())
        self.doubled.pop(number, None)

    # --- Rounds ---

    def one(self, server, processes):
        """A run; again where other work on the machine was in its way, as long as the stage has time for that. The
        least disturbed one is taken."""
        runs = [self.once(server, processes)]
        while (runs[-1]["others"] >= DISTURBED and runs[-1]["seconds"] < LONG and len(runs) < TRIES
               and not self.is_slow(server) and self.stage.may_repeat()):
            runs.append(self.once(server, processes))
        return min(runs, key=lambda run: run["others"])

    def once(self, server, processes):
        count = self.counts[server]
        first = self.numbers[server].take(count)
        return {"messages": count, "processes": processes,
                **self.stage.timed(server, count, first=first, processes=processes, wait=self.wait, **self.settings)}

    def round(self, number):
        ceiling = None
        if self.sink:
            found = self.one(self.sink, self.processes)
            ceiling = found["rate"]
            self.keep(self.sink, number, found, {})
            twice = min(self.processes * 2, self.settings["sessions"])
            if twice == self.processes:
                self.doubled[number] = ceiling
            elif number == 0 or self.stage.size == "full":
                self.doubled[number] = self.one(self.sink, twice)["rate"]
        for server in self.servers:
            found = self.one(server, self.processes)
            self.keep(server, number, found, {"of_sink": found["rate"] / ceiling} if ceiling else {})
            self.clear(server)

    def keep(self, server, number, found, more):
        self.rows[server].append(self.stage.add(self.name, server, round=number, octets_each=self.settings["size"],
                                                **found, **more))

    def clear(self, server):
        """Peers start each round with an empty queue. Veredus keeps its store, which is what it is for, unless the
        disk gets full."""
        if self.is_slow(server):
            server.purge()
        elif self.numbers[server].next * self.settings["size"] > STORE_MOST:
            self.check(server)

    def check(self, server):
        if self.numbers[server].next:
            verify(self.stage, server, self.numbers[server], self.settings["size"], self.settings["accounts"],
                   self.settings.get("recipients", 1))
            server.purge()
            self.numbers[server] = Numbers()

    def finish(self):
        """Verifies what is stored, and says of the rows whether they count."""
        gain = statistics.median(self.doubled.values()) / median(self.rows[self.sink], "rate") if self.sink else 1
        for server, rows in self.rows.items():
            for row in rows:
                row["gain"] = gain
                row["counts"] = gain < SATURATED and row["seconds"] >= LEAST_SECONDS
                row["disturbed"] = row["others"] >= DISTURBED
            if isinstance(server, Veredus):
                self.check(server)
