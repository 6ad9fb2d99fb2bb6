"""Where cases run: one disk, the servers on it, and the rows that come out."""
import statistics
import sys
import time

import generator
import measure

LEAST_SECONDS = 3.0  # of a timed run
AIM_SECONDS = 3.6
PROBE_SECONDS = 0.7
KB, MB = 1 << 10, 1 << 20
QUIET = 0.3          # processors that others may use before a run begins, looked at for
QUIET_SECONDS = 0.5
REUSED = 1000        # messages for each connection: what Veredus, as shipped, takes in one session


class Stage:
    """One file system. size: "quick" (does it run at all), "core" or "full"."""

    def __init__(self, name, folder, size, cache=None):
        self.name, self.folder, self.size, self.cache = name, folder, size, cache
        self.disk = measure.Disk(folder)
        self.rounds = 1 if size == "quick" else 3
        self.rows = []
        self.repeats = {"quick": 0, "core": 60, "full": 300}[size]  # of runs that other work disturbed
        self.waiting = {"quick": 0, "core": 600, "full": 3600}[size]  # seconds for the machine to become quiet
        if size == "quick":
            self.disk.patience = 0.3

    def scaled(self, count, least=1):
        """Less of everything where only the bench itself is tried."""
        return max(least, count // 100) if self.size == "quick" else count

    def wait_quiet(self):
        """Until nobody else works on the machine, but not for ever."""
        while self.waiting > 0:
            begun, before = time.monotonic(), measure.busy()
            time.sleep(QUIET_SECONDS)
            passed = time.monotonic() - begun
            if (measure.busy() - before) / passed < QUIET:
                return
            self.waiting -= passed

    def may_repeat(self):
        self.repeats -= 1
        return self.repeats >= 0

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {self.name}: {text}", file=sys.stderr, flush=True)

    def add(self, case, server, **values):
        row = {"case": case, "disk": self.name, "size": self.size, "server": server.name, **values}
        self.rows.append(row)
        self.say(f"{case}, {server.name}: " + " ".join(
            f"{name}={value:.4g}" for name, value in values.items() if isinstance(value, float)))
        return row

    def timed(self, server, messages, mode="smtp", wait=False, port=None, **settings):
        """One run. wait: the time ends when the server has delivered, not when it has taken the last message."""
        meter = measure.Meter(server.group, self.disk, server.beside())
        if self.cache:
            self.cache.fill()
        self.wait_quiet()
        meter.begin()
        found = generator.run(mode, port or server.port, messages=messages, **settings)
        server.was_sent(messages)
        if wait and server.delivers_later():
            server.wait_delivered()
            found["seconds"] = time.monotonic() - meter.at
            found["rate"] = messages / found["seconds"]
        meter.stop()
        found.update(meter.end(messages))
        return found


class Numbers:
    """Gives messages numbers, so that what was stored can be compared with what was sent."""

    def __init__(self):
        self.next = 0

    def take(self, count):
        first, self.next = self.next, self.next + count
        return first


def probe(server, numbers, least, wait=False, **settings):
    """The rate, roughly; it warms the server up, too."""
    count = least
    while True:
        begun = time.monotonic()
        found = generator.run("smtp", server.port, messages=count, first=numbers.take(count), **settings)
        server.was_sent(count)
        if wait:
            server.wait_delivered()
        passed = time.monotonic() - begun if wait else found["seconds"]
        if passed >= PROBE_SECONDS:
            return count / passed
        count = int(count * min(10, max(2, 1.5 * PROBE_SECONDS / passed)))


def verify(stage, server, numbers, size, accounts=100, recipients=1):
    """Reads every message that a server acknowledged, and compares every octet."""
    found = generator.run("pop3", server.pop3, messages=numbers.next, size=size, accounts=accounts,
                          recipients=recipients, sessions=4, window=50, password="pw", verify=True)
    assert found["done"] == numbers.next * recipients, f"{found['done']} of {numbers.next * recipients} are there"
    stage.say(f"verified {found['done']} messages of {server.name}")


def median(rows, name):
    return statistics.median(row[name] for row in rows)


def size_name(octets):
    return f"{octets // MB} MB" if octets >= MB else f"{octets // KB} KB"
