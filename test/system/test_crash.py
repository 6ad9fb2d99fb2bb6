"""Kill -9 of core and of an edge, at random moments, under the load of real SMTP clients.

The ledger is kept here, outside of the server: every message has an id of its own, and its client repeats it until it
has read a 250, as mail clients do. Afterwards each acknowledged message is in the mailbox exactly once, octet for
octet, and fsck finds nothing. One process is killed at a time: where an edge and core die together nobody can know
whether a 250 was seen, and a client that repeats is believed (src/core/resent.h).

CRASH_ROUNDS=200 CRASH_SEED=7 make it longer, and repeat a run's choices.
"""
import os
import random
import signal
import smtplib
import subprocess
import threading
import time

import pytest

import veredus
from test_clients import libraries, smtp_source
from veredus import HASH, Mailbox, Server, wait_until

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("CRASH_SEED", random.randrange(1 << 32)))
ROUNDS_A_LIFE = 5  # the parent waits twice as long with each death, so after a few the server is started anew
THREADS = 4


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}
        self.acknowledged = {}
        self.tries = {}

    def begin(self, name, body):
        with self.lock:
            self.sent[name] = body

    def acknowledge(self, name, reply):
        with self.lock:
            self.acknowledged[name] = reply

    def tried(self, name):
        with self.lock:
            self.tries[name] = self.tries.get(name, 0) + 1


def body_of(name, size):
    line = b"%s .%s\r\n" % (name.encode(), b"x" * 60)
    return b"Subject: %s\r\nX-Name: %s\r\n\r\n" % (name.encode(), name.encode()) + line * (1 + size // len(line))


class Client(threading.Thread):
    """Sends messages with smtplib, one after the other, each until it was accepted."""

    def __init__(self, server, ledger, number, seed):
        super().__init__(daemon=True)
        self.server, self.ledger, self.number = server, ledger, number
        self.random = random.Random(seed * 100 + number)
        self.stopping = threading.Event()
        self.count = 0
        self.trouble = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.count += 1
                name = f"m-{self.number}-{self.count}-{self.random.randrange(1 << 40):x}"
                body = body_of(name, self.random.choice((10, 500, 5000, 60_000, 400_000)))
                self.ledger.begin(name, body)
                self.send_until_accepted(name, body)
        except Exception as trouble:  # for the main thread to tell
            self.trouble = trouble

    def send_until_accepted(self, name, body):
        end = time.monotonic() + 3 * veredus.PATIENCE
        while time.monotonic() < end:
            self.ledger.tried(name)
            try:
                with smtplib.SMTP("127.0.0.1", self.server.smtp, "client.example.test", veredus.PATIENCE) as client:
                    client.ehlo()
                    if client.mail("alice@example.test")[0] == 250 and client.rcpt("bob@example.test")[0] == 250:
                        code, reply = client.data(body)
                        if code == 250:
                            self.ledger.acknowledge(name, reply)
                            return
                        assert code < 500, reply
            except (OSError, smtplib.SMTPException):
                pass
            time.sleep(0.02)
        raise AssertionError(f"{name} was never accepted")


class Source(threading.Thread):
    """smtp-source, again and again: it gives up when a connection breaks."""

    def __init__(self, server, home):
        super().__init__(daemon=True)
        self.server, self.stopping, self.runs = server, threading.Event(), 0
        self.mail = os.path.join(str(home), "mail")
        self.body = b"Subject: source\r\n\r\n" + b"line\r\n" * 300
        with open(self.mail, "wb") as file:
            file.write(self.body.replace(b"\r\n", b"\n"))

    def run(self):
        words = [smtp_source(), "-s", "3", "-m", "100", "-M", "client.example.test", "-f", "alice@example.test", "-t",
                 "alice@example.test", "-F", self.mail, f"inet:127.0.0.1:{self.server.smtp}"]
        environment = dict(os.environ, LD_LIBRARY_PATH=libraries())
        while not self.stopping.is_set():
            subprocess.run(words, env=environment, capture_output=True)
            self.runs += 1
            time.sleep(0.1)


def kill_one(server, chance):
    role = chance.choice(("core", "mx"))
    pids = wait_until(lambda: server.role(role), f"there is a {role}")
    pid = chance.choice(pids)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in server.roles() and server.running() and len(server.role("mx")) == 2, "it is back")


def kill_all(server, chance):
    server.stop(hard=True)

    def checked():
        done = server.cli("fsck", check=False)
        return done.returncode != 75 and done  # a dying process may hold the store's lock for a moment

    done = wait_until(checked, "the store's lock is free")
    assert done.returncode == 0, done
    server.start()


def life(server, home, ledger, seed, rounds, kill=kill_one):
    """Some rounds under load; the load ends when all that it began is acknowledged."""
    chance = random.Random(seed)
    clients = [Client(server, ledger, number, seed) for number in range(THREADS)]
    source = Source(server, home)
    for one in [*clients, source]:
        one.start()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.6))
        kill(server, chance)
        # What the dead left behind is sorted out before the next one is killed.
        begun = len(ledger.acknowledged)
        wait_until(lambda: len(ledger.acknowledged) >= begun + THREADS or any(c.trouble for c in clients),
                   "the clients go on")
    for one in [*clients, source]:
        one.stopping.set()
    for one in [*clients, source]:
        one.join(4 * veredus.PATIENCE)
        assert not one.is_alive()
    for one in clients:
        if one.trouble:
            raise one.trouble
    return source


def judge(server, ledger, source, believed=False):
    """believed: a client that was in the middle of a try when everything died may have two copies."""
    found = {}
    for body in Mailbox(server, "bob@example.test").bodies():
        name = body.split(b"\r\n", 1)[0].partition(b": ")[2].decode()
        found.setdefault(name, []).append(body)
    lost = [name for name in ledger.acknowledged if name not in found]
    doubled = {name: len(bodies) for name, bodies in found.items()
               if len(bodies) > (ledger.tries[name] if believed else 1)}
    changed = [name for name, bodies in found.items() if any(body != ledger.sent.get(name) for body in bodies)]
    assert not lost, f"{len(lost)} of {len(ledger.acknowledged)} acknowledged messages are lost: {lost[:5]}"
    assert not doubled, f"{len(doubled)} messages are there more than once: {list(doubled.items())[:5]}"
    assert not changed, f"changed: {changed[:5]}"
    others = Mailbox(server, "alice@example.test").bodies()
    assert set(others) <= {source.body + b"\r\n"}, "a message of smtp-source is not whole"


def test_kill_9_of_the_whole_server(tmp_path):
    print(f"CRASH_SEED={SEED}")
    server = Server()
    ledger = Ledger()
    try:
        source = life(server, tmp_path, ledger, SEED, max(3, ROUNDS // 10), kill_all)
        judge(server, ledger, source, believed=True)
    finally:
        server.close()


def test_kill_9_of_core_and_of_an_edge(tmp_path):
    print(f"CRASH_ROUNDS={ROUNDS} CRASH_SEED={SEED}")
    server = Server({"store": {"prefill": "no"}})
    acknowledged = 0
    try:
        for number in range(0, ROUNDS, ROUNDS_A_LIFE):
            ledger = Ledger()
            source = life(server, tmp_path, ledger, SEED + number, min(ROUNDS_A_LIFE, ROUNDS - number))
            assert source.runs and ledger.acknowledged
            assert server.stop() == 0
            checked = server.cli("fsck", check=False)
            assert checked.returncode == 0, checked
            server.start()
            judge(server, ledger, source)
            acknowledged += len(ledger.acknowledged)
            print(f"round {number + ROUNDS_A_LIFE}: {len(ledger.acknowledged)} acknowledged in {sum(ledger.tries.values())} tries")
            for user in ("bob@example.test", "alice@example.test"):
                Mailbox(server, user).empty()
        assert server.alarms() == []
        assert acknowledged >= ROUNDS * THREADS
    finally:
        keep = os.environ.get("CRASH_KEEP")
        if keep:
            import shutil
            shutil.copytree(server.home, keep, dirs_exist_ok=True)
        server.close()
