"""`veredus fsck` of a whole store, and `fsck --repair` of a damaged one, ended at its n-th call or with a call that
fails: the next one says the store is whole, or mends what that one left."""
import errno
import os
import shutil
import subprocess
import time

import veredus
from fault import ERRORS
from house import BOB, Message, Violation, require
from kill import in_turn
from table import NEVER, SYSTEM

WHOLE = 0
ENDED = 128  # exit codes from here on: by a signal
WORDS = {"check": (), "repair": ("--repair",)}


def damage(folder):
    """The index is lost in its middle; the log has everything."""
    path = os.path.join(folder, "store", "index", "data.mdb")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"\xa5" * 4096)


def copy(old, new):
    """With its owners."""
    subprocess.run(["cp", "-a", old, new], check=True)


class Workshop:
    """A home to be looked at again and again, with the mail that must be in it afterwards. The house's server is
    stopped."""

    def __init__(self, house):
        self.house = house
        for size in (500, 3000, 60_000, 400_000):
            house.send_until_accepted(Message(size, (BOB,), BOB))
        house.look((BOB,), full=True)
        house.stop()
        self.row = house.table["fsck"]
        self.data = os.path.join(house.server.home, "data")
        self.damaged = os.path.join(house.server.home, "damaged")
        copy(self.data, self.damaged)
        damage(self.damaged)

    def renew(self, words):
        if words:
            shutil.rmtree(self.data)
            copy(self.damaged, self.data)

    def fsck(self, *words, armed=False):
        command = (self.house.table.before if armed else []) + [veredus.BINARY, "fsck", *words, "--home",
                                                                self.house.server.home]
        return subprocess.run(command, capture_output=True, text=True, timeout=veredus.PATIENCE)

    def whole(self, words):
        """By one more repair, where this is about repairs."""
        again = self.fsck(*words) if words else ""
        checked = self.fsck()
        require(checked.returncode == WHOLE, f"{again} {checked}")

    def tries(self, kind, words):
        """[(functions, error or None, n)]"""
        self.renew(words)
        before = self.row.counts()
        self.row.arm(NEVER, SYSTEM)
        self.fsck(*words, armed=True)
        self.row.disarm()
        self.whole(words)
        after = self.row.counts()
        if kind == "kill":
            return [(SYSTEM, None, n) for n in range(1, self.row.seen + 1)]
        return [([call], error, n) for call in ERRORS for error in ERRORS[call].split()
                for n in range(1, after[call] - before[call] + 1)]

    def round(self, words, calls, error, n):
        self.renew(words)
        self.row.arm(n, calls, getattr(errno, error) if error else 0)
        done = self.fsck(*words, armed=True)
        hit = self.row.disarm()
        if error:
            alarms = [alarm for alarm in veredus.ALARMS if alarm in done.stderr]
            require(0 <= done.returncode < ENDED and not alarms, f"{done}")
            lied = hit == "pread" and error == "EIO" and not words and done.returncode == WHOLE
            require(not lied, "it could not read, and said the store is whole")
        self.whole(words)
        return bool(hit)


def shop_sweep(shop, tally, kind, piece, deadline, chance):
    """As kill_sweep."""
    words = WORDS[piece]
    swept, hit, begun = 0, 0, time.monotonic()
    for calls, error, n in in_turn(shop.tries(kind, words), deadline, chance):
        if deadline and time.monotonic() > deadline:
            break
        try:
            hit += shop.round(words, calls, error, n)
        except Violation as what:
            what = f"{calls[0]} says {error}: {what}" if error else f"ended: {what}"
            tally.violation(f"{piece}: at call {n} {what}")
            return False
        swept += 1
    tally.rounds += swept
    tally.add(kind, piece, "fsck", swept, hit, time.monotonic() - begun, [])
    return True


def shop_close(shop):
    """The server is started once more, and everything is there."""
    shop.house.server.start()
    shop.house.look((BOB,), full=True)
    shop.house.close()
