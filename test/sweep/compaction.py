"""One compaction of a real store, with core ended at its n-th call: whatever was moved is there once, at its old or its
new place."""
import os
import shutil
import subprocess
import tempfile
import time

from house import ACKNOWLEDGED, ALICE, BOB, House, Message, Violation, require
from kill import in_turn
from table import NEVER, SYSTEM
from veredus import Smtp, stuffed

INLINE = 250_000  # octets of a message that lies in a segment
SEGMENT = 64 << 20
SEGMENTS = 5  # worth of dead octets, one more than starts a compaction
KEPT_ONE_OF = 40
MEMORY, ROOM = "/dev/shm", 2 << 30  # where there is room for it, a store is copied quicker
QUIET = 0.4  # seconds without a call of core: it has nothing to do


class Compaction:
    """A store in which the next segment begins a compaction, to be brought back again and again."""

    def __init__(self):
        numbers = os.statvfs(MEMORY)
        if numbers.f_bavail * numbers.f_frsize > ROOM:
            tempfile.tempdir = MEMORY
        self.house = House({"smtp": {"messages": "100000"}})
        self.data = os.path.join(self.house.server.home, "data")
        self.before = os.path.join(self.house.server.home, "before")
        self.fill(lambda: len(self.segments()) > SEGMENTS + 1)
        self.thin_out()
        self.fill(lambda: os.path.getsize(self.segments()[-1]) > SEGMENT - 3 * INLINE)
        self.thin_out()
        self.house.stop()
        self.kept = dict(self.house.kept[BOB])
        subprocess.run(["cp", "-a", self.data, self.before], check=True)

    def segments(self):
        """Their files, the newest last."""
        folder = os.path.join(self.data, "store", "log")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".seg")]

    def fill(self, is_enough):
        with Smtp(self.house.server.smtp) as session:
            while not is_enough():
                message = Message(INLINE, (BOB,), BOB)
                session.envelope(ALICE, BOB)
                require(session.data(message.octets).code == 250, "not accepted")
                self.house.keep(message)

    def thin_out(self):
        with self.house.log_in(BOB) as session:
            for number, name in enumerate(list(self.house.kept[BOB]), 1):
                if number % KEPT_ONE_OF:
                    session.expect(f"DELE {number}", True)
                    del self.house.kept[BOB][name]
            session.expect("QUIT", True)

    def renew(self):
        shutil.rmtree(self.data)
        subprocess.run(["cp", "-a", self.before, self.data], check=True)
        self.house.kept[BOB] = dict(self.kept)
        self.house.server.start()

    def work(self):
        """Mail until the segment is full, and what core then does by itself. Who sends may be cut off."""
        core = self.house.table["core"]
        last = self.segments()[-1]
        unfinished = None
        while not core.away() and not unfinished and self.segments()[-1] <= last:
            message = Message(INLINE, (BOB,), BOB)
            if self.house.send(message) == ACKNOWLEDGED:
                self.house.keep(message)
            else:
                unfinished = message
        self.wait_until_quiet(core)
        if unfinished:
            self.house.send_until_accepted(unfinished)

    def wait_until_quiet(self, core):
        seen, since = None, time.monotonic()
        while time.monotonic() < since + QUIET and not core.away():
            now = sum(core.counts().values())
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.01)

    def round(self, n):
        """Which call core ended at, "" if it lived, and how many it made."""
        core = self.house.table["core"]
        self.renew()
        core.arm(n, SYSTEM)
        self.work()
        seen, hit = core.seen, core.disarm()
        self.house.look((BOB,), full=True)
        compacted = "compactions      1\n" in self.house.server.cli("status").stdout
        require(hit or compacted, "there was no compaction")
        self.house.stop()
        checked = self.house.server.cli("fsck", check=False)
        require(checked.returncode == 0, f"fsck: {checked.stdout}{checked.stderr}")
        return hit, seen


def compaction_sweep(tally, deadline, chance):
    """As kill_sweep, in a house of its own."""
    work = Compaction()
    try:
        _, most = work.round(NEVER)
        hit, swept, back, begun = 0, 0, [], time.monotonic()
        for n in in_turn(list(range(1, most + 1)), deadline, chance):
            if swept and deadline and time.monotonic() > deadline:
                break
            try:
                hit += bool(work.round(n)[0])
            except Violation as what:
                tally.violation(f"compaction: core ended at call {n} of {most}: {what}")
                work.house.leave()
                return
            swept += 1
        tally.rounds += swept
        tally.add("kill", "compaction", "core", swept, hit, time.monotonic() - begun, back)
        work.house.server.start()
        work.house.close()
    except BaseException:
        work.house.leave()
        raise
