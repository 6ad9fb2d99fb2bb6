"""Log-ins of good users while others guess passwords, a thousand times a second."""
import json
import subprocess

import machine
from peers.server import PASSWORD
from peers.veredus import VeredusLogins

PROGRAM = machine.ROOT / "build" / "bench" / "load" / "logins"
RATE = 5          # log-ins a second, of each kind of good users
SECONDS = 30
BEFOREHAND = 3    # seconds that a storm has raged when the good users come
LEARNING = 20     # log-ins a second by which networks become known
STORM_RATE = 1000
MANY = 1000       # accounts that are guessed at in turn, and the addresses from which; only half of the accounts exist
GUESSED = 5000    # the first of them

# Where each kind comes from; the second octet and the third count networks, neighbours share none.
KNOWN, NEW, STORM = 32768, 40960, 256
KINDS = {
    "cold, known network": {"first": 0, "network": KNOWN},
    "cold, never seen": {"first": 1000, "network": NEW},
    "warm": {"first": 2000, "network": KNOWN + 4096},
}
WARM = 20         # accounts that log in again and again

STORMS = {
    "nobody else": None,
    "one account from 20,000 addresses": {"accounts": 1, "addresses": 20000},
    "1,000 accounts from 1,000 addresses": {"accounts": MANY, "addresses": MANY},
}


def begin(port, **settings):
    line = [str(PROGRAM)]
    for name, value in settings.items():
        line += [f"--{name}", str(value)]
    return subprocess.Popen([*line, str(port)], stdout=subprocess.PIPE, text=True)


def end(process):
    found = json.loads(process.communicate()[0])
    assert process.returncode == 0
    return found


def people(kind, seconds, rate=RATE, **more):
    """Each logs in once, but the warm ones."""
    count = WARM if kind == "warm" else seconds * RATE
    return {"rate": rate, "seconds": seconds, "accounts": count, "addresses": count, "password": PASSWORD, **KINDS[kind],
            **more}


def learn(server, kind, seconds):
    """So many log-ins as there are people of a kind, one behind the other."""
    count = WARM if kind == "warm" else seconds * RATE
    found = end(begin(server.pop3, **people(kind, seconds, rate=LEARNING) | {"seconds": -(-count // LEARNING)}))
    assert found["in"] == found["begun"], found


def weather(stage, server, name, storm, number, alone):
    """alone: milliseconds of a cold log-in without a storm; None where this is to be found now."""
    seconds = stage.scaled(SECONDS, 4)
    server.purge()
    learn(server, "cold, known network", seconds)
    server.stop()  # what was right is forgotten, networks are not
    server.start()
    learn(server, "warm", seconds)
    stage.wait_quiet()
    raging = None
    before = sum(server.group.cpu())
    if storm:
        raging = begin(server.pop3, rate=STORM_RATE, seconds=seconds + BEFOREHAND + 1, first=GUESSED, network=STORM, **storm)
        try:
            raging.wait(BEFOREHAND)
        except subprocess.TimeoutExpired:
            pass
    coming = {kind: begin(server.pop3, **people(kind, seconds)) for kind in KINDS}
    found = {kind: end(process) for kind, process in coming.items()}
    alone = alone or found["cold, known network"]["p50_ms"]
    for kind, row in found.items():
        beyond = row["p99_ms"] - (0 if kind == "warm" else alone)
        stage.add(f"log-in, {kind}: {name}", server, round=number, p50_ms=row["p50_ms"], p99_ms=row["p99_ms"],
                  max_ms=row["max_ms"], beyond_ms=beyond, refused=row["begun"] - row["in"], begun=row["begun"])
    if raging:
        guesses = end(raging)
        stage.add(f"storm: {name}", server, round=number, processors=(sum(server.group.cpu()) - before) /
                  (seconds + BEFOREHAND + 1), **{key: guesses[key] for key in
                                                 ("begun", "in", "wrong", "later", "turned_away", "unanswered")})
        stage.say(f"storm: {guesses}")
    return alone


def login_storm(stage):
    with VeredusLogins(stage.folder, accounts=GUESSED + MANY // 2) as server:
        for number in range(stage.rounds):
            alone = None
            for name, storm in STORMS.items():
                alone = weather(stage, server, name, storm, number, alone)
