"""One message to a list of 100,000 members elsewhere, on 100 domains: what core grows by, and what a core that is
killed in the middle makes of those that were acknowledged."""
import collections
import smtplib
import socket
import threading
import time

from cases.stage import KB
from peers.server import DOMAIN
from peers.veredus import VeredusRelay

MEMBERS = {"quick": 1000, "core": 100000, "full": 100000}
HOSTS = 100         # each is a destination of its own
SLOW = 0.05         # seconds between the dot and its reply: so that many wait for theirs when core is killed
BODY = 100 * KB     # kept once, or the store grows by a thousand of it
PATIENCE = 600      # seconds


class Recorder:
    """Servers on many addresses, by one thread for each connection; they count who was acknowledged, and how often."""

    def __init__(self, addresses):
        self.taken, self.lock = collections.Counter(), threading.Lock()
        self.sockets = [socket.create_server((address, 25), backlog=100) for address in addresses]
        for one in self.sockets:
            threading.Thread(target=self.accept, args=(one,), daemon=True).start()

    def accept(self, one):
        while True:
            try:
                connection = one.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 recorder\r\n")
                self.talk(connection, lines)
        except OSError:
            pass

    def talk(self, connection, lines):
        recipients = []
        for line in lines:
            verb = line[:4].upper()
            if verb == b"EHLO":
                connection.sendall(b"250-recorder\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                continue
            if verb == b"MAIL":
                recipients = []
            elif verb == b"RCPT":
                recipients.append(line[line.index(b"<") + 1:line.index(b">")])
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                if not any(more == b".\r\n" for more in lines):
                    return
                time.sleep(SLOW)
                with self.lock:
                    self.taken.update(recipients)
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return

    def count(self):
        with self.lock:
            return len(self.taken)

    def close(self):
        for one in self.sockets:
            one.shutdown(socket.SHUT_RDWR)  # or who accepts would keep it
            one.close()


class VeredusList(VeredusRelay):
    name, title = "veredus-list", "Veredus, with a list of members elsewhere"
    addresses = [f"127.0.1.{number}" for number in range(1, HOSTS + 1)]

    def __init__(self, folder, members):
        self.members = members
        super().__init__(folder)

    def configure(self):
        super().configure()
        with open(self.folder / "directory", "a") as directory:
            directory.write(f'list "all@{DOMAIN}" {{\n    owner = "u000000@{DOMAIN}"\n')
            directory.writelines(f'    member = "m{number:06d}@[{self.addresses[number % HOSTS]}]"\n'
                                 for number in range(self.members))
            directory.write("}\n")

    def stored(self):
        return self.status()["bytes_live"]

    def is_empty(self):
        return not self.tool("queue", "list", "--limit", "1")


def send(server):
    """Milliseconds until it was accepted."""
    text = "Subject: to all\r\n\r\n" + f"{'x' * 78}\r\n" * (BODY // 80)
    begun = time.monotonic()
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("load@client.test", [f"all@{DOMAIN}"], text)
    return (time.monotonic() - begun) * 1e3


def deliver(server, recorder, count, kills, at_first):
    """Kills core each time that another share has arrived. The most that it grew by meanwhile."""
    grown, end = 0, time.monotonic() + PATIENCE
    due = [count * (number + 1) // (kills + 1) for number in range(kills)]
    while recorder.count() < count or not server.is_empty():
        assert time.monotonic() < end, f"{recorder.count()} of {count} have arrived"
        if due and recorder.count() >= due[0]:
            due.pop(0)
            server.kill_core()
        grown = max(grown, server.core_memory() - at_first)
        time.sleep(0.02)
    return grown


def members(stage):
    count = MEMBERS[stage.size]
    for kills in (0, 3):
        recorder = Recorder(VeredusList.addresses)
        with VeredusList(stage.folder, count) as server:
            at_first, stored, begun = server.core_memory(), server.stored(), time.monotonic()
            accepted = send(server)
            kept = server.stored() - stored
            grown = deliver(server, recorder, count, kills, at_first)
            stage.add(f"list of {count} members, core killed {kills} times", server, accepted_ms=accepted,
                      seconds=time.monotonic() - begun, grown=float(grown), kept=float(kept),
                      twice=float(sum(number > 1 for number in recorder.taken.values())))
        recorder.close()
