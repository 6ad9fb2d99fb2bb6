"""A command takes no memory but its arena's: how often a role calls malloc does not grow with what it is told.

Every kind of work is done 3K times to warm up, then K and 2K times on one connection, one command at a time. Both times
a role may call malloc AT_ALL times, and for each piece of work as often as its figure below says. To lower a figure,
mend what calls, and set it to what the test then finds: it cannot rise again unseen. (With a figure set too low the
test fails and prints where the latest calls came from.)

The applier's thread is not counted: LMDB takes pages for each of its rounds, which come by the clock and by volume and
not by command. Nor is the one that makes password hashes. What core's other threads take is core's.
"""
import json
import os

import pytest

import allocations
import veredus
from veredus import Pop3, Smtp, message

pytestmark = [
    pytest.mark.usefixtures("unharmed"),
    pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer has a malloc of its own"),
]

K = 100
AT_ALL = 20  # what grows by doubling, a round of the applier, a timer that is due
TRIES = 4
NOT_COUNTED = {"core/store-apply", "core/passwords"}

# Calls of malloc for each piece of work; what is not named makes none. An edge makes none. Of an upload one is its header,
# which core keeps, since nobody knows before the end whether it leaves.
EDGE = 0
CORE = {"upload": 11}


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    return allocations.Allocations(os.path.join(tmp_path_factory.mktemp("counts"), "table"))


@pytest.fixture(scope="module")
def server(counted):
    one = veredus.Server({"smtp": {"processes": "1", "messages": "100000", "commands": "1000000",
                                   "errors": "100000"}},
                         before=counted.before)
    yield one
    one.close()


@pytest.fixture
def costs_nothing(server, counted):
    """Does a piece of work again and again; `edge` is the role that serves it."""
    def check(edge, kind, work):
        def settled():
            """The applier has the rows that were written: their memory is there for the next ones."""
            return json.loads(server.cli("status", json=True).stdout)["overlay_bytes"] == 0

        def repeat(times):
            before = counted.calls()
            for _ in range(times):
                work()
            return counted.calls() - before

        def too_many(times):
            took = repeat(times)
            core = sum(calls for name, calls in took.items() if name.startswith("core") and name not in NOT_COUNTED)
            for role, calls, most in ((edge, took[edge], EDGE), ("core", core, CORE.get(kind, 0))):
                if calls > most * times + AT_ALL:
                    return f"{role} called malloc {calls} times for {times} x {kind}; its latest calls:\n" + \
                        counted.latest(role, min(calls, 2 * most + 10))
            return None

        def settle():
            if kind not in POP3:
                veredus.wait_until(settled, "the applier has had its turn")

        repeat(3 * K)
        settle()
        for times in (K, 2 * K):
            excess = too_many(times)
            for _ in range(TRIES):
                if not excess:
                    break
                # A round of the applier fell into what went before, maybe: then the most that is ever held at once was
                # not seen yet. What each piece of work takes, it takes again.
                settle()
                excess = too_many(times)
            assert not excess, excess
    return check


def bdat(session, octets, parameters=""):
    session.envelope("alice@example.test", "bob@example.test", parameters)
    session.send(b"BDAT %d LAST\r\n" % len(octets) + octets)
    assert session.reply().code == 250


def lmtp(session):
    session.envelope("alice@example.test", ["bob@example.test", "alice@example.test"])
    assert session.data(SMALL).code == 250 and session.reply().code == 250


def rcpt(session):
    session.envelope("alice@example.test", "bob@example.test")
    session.expect("RSET", 250)


def pipelined(session):
    names = ["bob"] + [f"bob+{number}" for number in range(9)]
    session.send("MAIL FROM:<alice@example.test>\r\n" +
                 "".join(f"RCPT TO:<{name}@example.test>\r\n" for name in names) + "RSET\r\n")
    for _ in range(len(names) + 2):
        assert session.reply().code == 250


def large(kilobytes):
    return message(body="0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n" * 16 * kilobytes)


SMALL, SLABS, UPLOAD = message(), large(64), large(300)
BINARY = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
          b"Content-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)) * 40)

SMTP = {
    "noop": lambda session: session.expect("NOOP", 250),
    "refused": lambda session: session.expect("BOGUS", 500),
    "mail": lambda session: (session.expect("MAIL FROM:<alice@example.test>", 250), session.expect("RSET", 250)),
    "mail_rcpt": rcpt,
    "pipelined": pipelined,
    "message": lambda session: session.deliver(SMALL),
    "slabs": lambda session: session.deliver(SLABS),
    "upload": lambda session: session.deliver(UPLOAD),
    "bdat": lambda session: bdat(session, SMALL),
    "binary": lambda session: bdat(session, BINARY, " BODY=BINARYMIME"),
    # Its trace is written while the client is answered already; behind a message that is durable it is, too.
    "rcpt_refused": lambda session: (session.expect("MAIL FROM:<alice@example.test>", 250),
                                     session.expect("RCPT TO:<nobody@example.test>", 550),
                                     session.expect("RSET", 250),
                                     session.deliver(SMALL)),
    "vrfy": lambda session: session.expect("VRFY bob", 250),
}

POP3 = {
    "noop": lambda session: session.expect("NOOP", True),
    "stat": lambda session: session.stat(),
    "list": lambda session: session.many("LIST"),
    "uidl": lambda session: session.many("UIDL"),
    "dele": lambda session: (session.expect("DELE 1", True), session.expect("RSET", True)),
    "retr": lambda session: session.many("RETR 1"),
    "retr_binary": lambda session: session.many("RETR 4"),
    "retr_in_order": lambda session: [session.many(f"RETR {number}") for number in (5, 6, 7, 8)],
    "top": lambda session: session.many("TOP 1 1"),
}


@pytest.mark.parametrize("kind", SMTP)
def test_smtp(server, costs_nothing, kind):
    with Smtp(server.smtp) as session:
        costs_nothing("mx", kind, lambda: SMTP[kind](session))


def test_lmtp(server, costs_nothing):
    with Smtp(server.lmtp, "LHLO") as session:
        costs_nothing("mx", "lmtp", lambda: lmtp(session))


@pytest.mark.parametrize("kind", POP3)
def test_pop3(server, bob, costs_nothing, kind):
    with Smtp(server.smtp) as session:
        for _ in range(3):
            session.deliver(SLABS)
        bdat(session, BINARY, " BODY=BINARYMIME")
        for _ in range(4):
            session.deliver(SMALL)
    with bob.session() as session:
        costs_nothing("box", kind, lambda: POP3[kind](session))
