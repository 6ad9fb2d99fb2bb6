"""A queue full of mail that cannot leave: what it costs, and whether it stands in anybody's way."""
import smtplib
import statistics
import subprocess
import time

import generator
from cases.stage import KB, REUSED
from peers.server import wait_until
from peers.sink import Destination
from peers.veredus import PROGRAM, VeredusRelay

WAITING = {"quick": 2000, "core": 1000000, "full": 1000000}
DOMAINS = 1000    # whose names nobody knows
PORTION = 100000  # messages that are sent at once; the fewest that a rate is measured with
LIVE = 10         # messages to a destination that is there
SETTLING = 30     # seconds, after which each domain has been tried once


class VeredusQueue(VeredusRelay):
    """Nobody answers its questions about names, so whatever is not for the destination waits."""
    name, title = "veredus-queue", "Veredus, with a full queue"

    def more(self):
        return super().more() + 'dns {\n    forwarders = {"127.0.0.1:9"}\n}\n'


def fill(server, count):
    return generator.run("smtp", server.port, messages=count, size=KB, sessions=50, accounts=100003, each=REUSED,
                         domains=DOMAINS, domain="dead.test")["rate"]


def first_line(server):
    """Milliseconds until `queue list` has printed its first line."""
    begun = time.monotonic()
    process = subprocess.Popen([PROGRAM, "queue", "list", "--home", server.home], stdout=subprocess.PIPE)
    assert process.stdout.readline()
    found = (time.monotonic() - begun) * 1e3
    process.stdout.close()
    process.wait()
    return found


def live(server, destination):
    """Milliseconds from the first word to the arrival."""
    before, begun = destination.count, time.monotonic()
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("load@client.test", [f"live@[{destination.address}]"], "Subject: live\r\n\r\nlive\r\n")
    wait_until(lambda: destination.count > before, "a message has arrived")
    return (time.monotonic() - begun) * 1e3


def queue(stage):
    count, portion = WAITING[stage.size], stage.scaled(PORTION)
    with Destination(stage.folder) as destination, VeredusQueue(stage.folder) as server:
        empty = []
        for _ in range(stage.rounds):
            empty.append(fill(server, portion))
            server.purge()
        for _ in range(0, count, portion):
            fill(server, portion)
        time.sleep(stage.scaled(SETTLING, 1))
        full = [fill(server, portion) for _ in range(stage.rounds)]
        anonymous = server.core_memory()
        lines = [first_line(server) for _ in range(LIVE)]
        delays = [live(server, destination) for _ in range(LIVE)]
        for number in range(stage.rounds):
            server.stop()
            begun = time.monotonic()
            server.start()
            live(server, destination)
            stage.add(f"queue of {count} messages", server, round=number, waiting=count, rate_empty=empty[number],
                      rate=full[number], anonymous=float(anonymous), live_ms=statistics.median(delays),
                      live_most_ms=max(delays),
                      list_ms=max(lines), restart_ms=(time.monotonic() - begun) * 1e3)
