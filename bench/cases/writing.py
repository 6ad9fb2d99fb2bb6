"""What a message costs the disk: octets and flushes, counted on the device until what was put off is done."""
import time

import generator
import measure
from cases.stage import KB, Numbers
from peers.postfix import PostfixDovecot
from peers.veredus import Veredus, VeredusGrowing

SIZE = 10 * KB
MESSAGES = 20000
PEER_MESSAGES = 2000
SESSIONS = 10
EACH = 200
SEGMENT = 64 << 20
SEGMENTS = 8    # that are filled and emptied
KEPT = 4        # segments that a store keeps to write them again
RECYCLING = 30  # seconds it has for that


def whole(stage, name, server, messages, recipients, numbers, accounts=100):
    """Server is stopped before the count ends, so that nothing is left to be written."""
    meter = measure.Meter(server.group, stage.disk)
    meter.begin()
    found = generator.run("smtp", server.port, messages=messages, first=numbers.take(messages), size=SIZE,
                          sessions=SESSIONS, each=EACH, recipients=recipients, accounts=accounts)
    server.wait_delivered()
    meter.stop()
    server.stop()
    cost = meter.end(messages)
    stage.add(name, server, messages=messages, octets_each=SIZE, times=cost["written"] / SIZE, **{**found, **cost})


def name_of(recipients):
    return f"{recipients} recipient{'s' if recipients > 1 else ''}"


def recycle(stage, server):
    """Mail comes, goes, and comes again, until the store has segments that were written before: it looks for dead
    mail when it has filled a segment."""
    numbers = Numbers()
    settings = {"size": SIZE, "sessions": SESSIONS, "each": EACH}
    segment = stage.scaled(SEGMENT // SIZE + 1)
    generator.run("smtp", server.port, messages=SEGMENTS * segment, first=numbers.take(SEGMENTS * segment), **settings)
    generator.run("pop3", server.pop3, password="pw", remove=True, window=50, sessions=4)
    generator.run("smtp", server.port, messages=segment, first=numbers.take(segment), **settings)
    end = time.monotonic() + stage.scaled(RECYCLING, 0.1)
    while server.status()["segments_free"] < KEPT and time.monotonic() < end:
        time.sleep(0.2)
    return numbers, server.status()["segments_free"]


def writing(stage):
    messages = stage.scaled(MESSAGES, 100)
    for recipients in (1, 50):
        name = f"written for 10 KB, {name_of(recipients)}"
        for kind in (Veredus, VeredusGrowing):
            with kind(stage.folder) as server:
                whole(stage, name, server, messages, recipients, Numbers())
        with PostfixDovecot(stage.folder, "local") as server:
            few = stage.scaled(PEER_MESSAGES // (1 if recipients == 1 else 10), 10)
            whole(stage, name, server, few, recipients, Numbers())
    for recipients in (1, 50):
        with Veredus(stage.folder) as server:
            numbers, free = recycle(stage, server)
            whole(stage, f"written for 10 KB, {name_of(recipients)}, {free} segments written before", server, messages,
                  recipients, numbers)
    accounts = stage.scaled(100000)
    with Veredus(stage.folder, accounts=accounts) as server:
        whole(stage, f"written for 10 KB, 1 recipient, {accounts} accounts", server, messages, 1, Numbers(), accounts)
