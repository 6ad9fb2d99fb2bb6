"""`veredus fsck --repair` of a damaged store, ended at its n-th call: the next one mends what that one left."""
import os
import shutil
import subprocess
import time

import veredus
from house import BOB, Message, Violation, require
from kill import in_turn
from table import NEVER, SYSTEM

WHOLE = 0


def damage(folder):
    """The index is lost in its middle; the log has everything."""
    path = os.path.join(folder, "data", "store", "index", "data.mdb")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"\xa5" * 4096)


def copy(old, new):
    """With its owners."""
    subprocess.run(["cp", "-a", old, new], check=True)


class Workshop:
    """A home to be repaired again and again, with the mail that must be in it afterwards."""

    def __init__(self, house):
        self.house = house
        for size in (500, 3000, 60_000, 400_000):
            house.send_until_accepted(Message(size, (BOB,), BOB))
        house.look((BOB,), full=True)
        self.kept = dict(house.kept[BOB])
        house.stop()
        self.home = house.server.home
        self.pristine = os.path.join(self.home, "pristine")
        damage(self.home)
        copy(os.path.join(self.home, "data"), self.pristine)

    def renew(self):
        data = os.path.join(self.home, "data")
        shutil.rmtree(data)
        copy(self.pristine, data)

    def fsck(self, *words, armed=False):
        command = (self.house.table.before if armed else []) + [veredus.BINARY, "fsck", *words, "--home", self.home]
        return subprocess.run(command, capture_output=True, text=True, timeout=veredus.PATIENCE)

    def calls(self):
        self.renew()
        row = self.house.table["fsck"]
        row.arm(NEVER, SYSTEM)
        done = self.fsck("--repair", armed=True)
        row.disarm()
        require(self.fsck().returncode == WHOLE, f"not repaired: {done.stdout}{done.stderr}")
        return row.seen

    def round(self, n):
        self.renew()
        row = self.house.table["fsck"]
        row.arm(n, SYSTEM)
        self.fsck("--repair", armed=True)
        hit = row.disarm()
        again = self.fsck("--repair")
        checked = self.fsck()
        require(checked.returncode == WHOLE, f"{again.stdout}{again.stderr}{checked.stdout}{checked.stderr}")
        return bool(hit)


def repair_sweep(house, tally, deadline, chance):
    """The house is used up: its server is stopped, at the end started once more to be read."""
    shop = Workshop(house)
    most = shop.calls()
    swept, hit, begun = 0, 0, time.monotonic()
    for n in in_turn(list(range(1, most + 1)), deadline, chance):
        if deadline and time.monotonic() > deadline:
            break
        try:
            hit += shop.round(n)
        except Violation as what:
            tally.violation(f"repair: ended at call {n} of {most}: {what}")
            return False
        swept += 1
    house.server.start()
    house.look((BOB,), full=True)
    tally.rounds += swept
    tally.add("kill", "repair", "fsck", swept, hit, time.monotonic() - begun, [])
    return True
