"""How a server fares when it holds more: messages, then accounts."""
import generator
from cases.contest import Contest
from cases.stage import KB, REUSED, Numbers, probe
from cases.standing import fill, starts
from peers.postfix import Postfix
from peers.veredus import Veredus

STORED = {"quick": (100,), "core": (10**4, 10**5), "full": (10**4, 10**5, 10**6, 10**7)}
STORED_PEER = {"quick": (100,), "core": (), "full": (10**4, 10**5)}
ACCOUNTS = {"quick": (10,), "core": (10, 10**4), "full": (10, 10**3, 10**5)}
SESSIONS = 10
SECONDS = 4
READ = 50000  # messages that are read, if need be again and again


def look(stage, server, numbers, stored):
    """The same few measurements whatever is stored."""
    rate = probe(server, numbers, 200, size=KB, sessions=SESSIONS, each=REUSED)
    for number in range(stage.rounds):
        for size, portion in ((KB, 1), (10 * KB, 2)):
            count = stage.scaled(int(rate * SECONDS / portion), 100)
            found = stage.timed(server, count, first=numbers.take(count), size=size, sessions=SESSIONS, each=REUSED)
            stage.add(f"accept {size // KB} KB with {stored} messages stored", server, round=number, stored=stored,
                      **found)
        if server.pop3:
            each = max(1, stage.scaled(READ) * 100 // max(numbers.next, 100))
            found = generator.run("pop3", server.pop3, password="pw", sessions=1, accounts=1, each=each)
            stage.add(f"read 1 KB with {stored} messages stored", server, round=number, stored=stored, **found)


def messages(stage):
    for kind, levels in ((Veredus, STORED[stage.size]), (Postfix, STORED_PEER[stage.size])):
        if not levels:
            continue
        with kind(stage.folder) as server:
            numbers = Numbers()
            for stored in levels:
                fill(server, stored, numbers)
                look(stage, server, numbers, stored)
                if server.pop3:
                    starts(stage, server, stored)


def accounts(stage):
    for count in ACCOUNTS[stage.size]:
        with Veredus(stage.folder, accounts=count) as server:
            Contest(stage, f"accounts: {count}", [server], size=KB, sessions=SESSIONS,
                    each=REUSED, accounts=count).run()
