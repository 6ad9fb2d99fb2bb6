"""What a server costs that only stands there, and how fast it stands again with much mail in it."""
import subprocess
import time

import generator
from cases.stage import KB, REUSED, Numbers
from peers.exim import Exim
from peers.opensmtpd import OpenSmtpd
from peers.postfix import Postfix
from peers.veredus import Veredus

# As many as each lets in: one process for each connection is what limits the others.
IDLE = {Veredus: 15000, Postfix: 1000, Exim: 1000, OpenSmtpd: 900}
SETTLING = 2  # seconds until memory is looked at
STORED = {"quick": 200, "core": 20000, "full": 100000}
STORED_VEREDUS = {"quick": 200, "core": 100000, "full": 1000000}


def idle(stage):
    for kind, count in IDLE.items():
        count = stage.scaled(count)
        with kind(stage.folder, "idle") as server:
            generator.run("smtp", server.port, messages=100)
            time.sleep(stage.scaled(SETTLING, 0.2))
            before = server.group.memory()
            held = generator.Held("idle", server.port, sessions=count, processes=2, spread=True)
            time.sleep(stage.scaled(SETTLING, 0.2))
            after = server.group.memory()
            stands = held.counts["held"]
            held.close()
            stage.add("idle connections", server, held=stands, failed=held.counts["failed"],
                      pss_each=(after["pss"] - before["pss"]) / max(1, stands),
                      anonymous_each=(after["anonymous"] - before["anonymous"]) / max(1, stands),
                      pss_before=before["pss"], processes=after["processes"])


def forget():
    """Makes the kernel forget what it has read from the disk."""
    subprocess.run(["sync"], check=True)
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def fill(server, count, numbers):
    """Until so many messages of 1 KB were sent; in portions, so that nobody waits without end."""
    while numbers.next < count:
        portion = min(500000, count - numbers.next)
        generator.run("smtp", server.port, messages=portion, first=numbers.take(portion), size=KB,
                      sessions=min(50, portion), each=REUSED)


def starts(stage, server, count):
    for number in range(stage.rounds):
        server.stop()
        forget()
        begun = time.monotonic()
        server.start()
        banner = time.monotonic()
        generator.run("smtp", server.port, messages=1, first=count + number, sessions=1)
        stage.add(f"start with {count} messages", server, round=number, stored=count, banner_ms=(banner - begun) * 1e3,
                  accepted_ms=(time.monotonic() - begun) * 1e3)


def start(stage):
    for kind in (Veredus, Postfix, Exim):
        count = (STORED_VEREDUS if kind is Veredus else STORED)[stage.size]
        with kind(stage.folder) as server:
            fill(server, count, Numbers())
            starts(stage, server, count)
