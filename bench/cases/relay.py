"""Relay, end to end: from the first connection in until the last message has arrived at a server of somebody else's."""
from cases.contest import Contest
from cases.stage import KB, REUSED
from peers.postfix import PostfixRelay
from peers.sink import Destination
from peers.veredus import VeredusRelay

SIZE = 10 * KB
SESSIONS = (10, 100)


class RelayContest(Contest):
    """Nothing is kept that could be read back: as many messages must have arrived as were taken."""

    def check(self, server):
        server.check()
        server.purge()


def relay(stage):
    with Destination(stage.folder) as destination, VeredusRelay(stage.folder) as veredus, \
            PostfixRelay(stage.folder) as postfix:
        veredus.destination = postfix.destination = destination
        for sessions in SESSIONS:
            RelayContest(stage, f"relay 10 KB, {sessions}", [veredus, postfix], wait=True, size=SIZE, sessions=sessions,
                         each=REUSED, domain=f"[{destination.address}]").run()
