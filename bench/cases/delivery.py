"""Local delivery, end to end: from the first connection until every copy lies in its mailbox."""
from cases.contest import Contest
from cases.stage import KB
from peers.postfix import PostfixDovecot
from peers.veredus import Veredus

SIZE = 10 * KB
SESSIONS = 10
EACH = 200  # messages for each connection: 50 recipients are 52 commands, and Veredus takes 20,000


def delivery(stage):
    with Veredus(stage.folder) as veredus, PostfixDovecot(stage.folder, "local") as peer:
        for recipients in (1, 50):
            name = f"deliver 10 KB, {recipients} recipient{'s' if recipients > 1 else ''}"
            Contest(stage, name, [veredus, peer], wait=True, size=SIZE, sessions=SESSIONS, each=EACH,
                    recipients=recipients, accounts=100).run()
