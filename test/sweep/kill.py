"""The kill sweep: a role ends at its n-th call, for all n of a piece of work."""
import random
import time

from pieces import PIECES
from table import NEVER, SYSTEM


class Tally:
    def __init__(self):
        self.lines, self.violations = [], []
        self.rounds = 0

    def add(self, kind, piece, role, swept, hit, seconds, back):
        worst = f"{max(back) / 1e9:.2f} s" if back else "-"
        self.lines.append(f"{kind:5} {piece:9} {role:5} {swept:5} rounds, {hit:5} hit, {swept / max(seconds, 1e-9):6.1f}/s, "
                          f"back within {worst}")
        print(self.lines[-1], flush=True)

    def violation(self, what):
        self.violations.append(what)
        print(f"VIOLATION {what}", flush=True)


def calls_of(house, piece, role):
    """How many calls the role makes in the piece of work; the most of three times."""
    most = 0
    for _ in range(3):
        house.table[role].wait_back()
        piece.prepare()
        house.table[role].arm(NEVER, SYSTEM)
        piece.do()
        most = max(most, house.table[role].seen)
        house.table[role].disarm()
        piece.look()
    return most


def in_turn(wanted, deadline, chance):
    return chance.sample(wanted, len(wanted)) if deadline else wanted


def kill_round(house, piece, role, n):
    """Which function it died in, "" if it lived."""
    row = house.table[role]
    row.wait_back()
    piece.prepare()
    row.arm(n, SYSTEM)
    piece.do()
    call = row.disarm()
    begun = house.now()
    piece.look()
    if call:
        house.back.append(house.now() - begun)
    return call


def kill_sweep(house, tally, name, role, deadline, chance):
    """All n, or those that chance draws before the deadline. True: the house may be used again."""
    piece = PIECES[name](house, role)
    most = calls_of(house, piece, role)
    wanted = in_turn(list(range(1, most + 1)), deadline, chance)
    house.back, swept, hit, begun = [], 0, 0, time.monotonic()
    for n in wanted:
        if deadline and time.monotonic() > deadline:
            break
        try:
            hit += bool(kill_round(house, piece, role, n))
        except (AssertionError, OSError, EOFError) as what:
            tally.violation(f"{name}: {role} killed at call {n} of {most}: {what}")
            return False
        swept += 1
    tally.rounds += swept
    tally.add("kill", name, role, swept, hit, time.monotonic() - begun, house.back)
    return True
