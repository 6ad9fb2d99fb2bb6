"""Every limit is a setting; what lies beyond it has a defined answer, and what a client may cost has an end."""
import threading

import pytest

import veredus
from veredus import Mailbox, Pop3, Smtp, message, parted, stuffed, wait_until

pytestmark = pytest.mark.usefixtures("unharmed")

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def settings():
    return {"smtp": {"processes": "1", "message_size": "60M"}}


@pytest.fixture
def setting(server):
    """Sets something for one test, by a reload."""
    first = {section: dict(values) for section, values in server.settings.items()}

    def reload_with(settings):
        begun = len(server.log())
        server.settings = settings
        server.write_configuration()
        server.reload()
        wait_until(lambda: server.logged("reloaded", begun), "the reload is done")

    def change(section, check, **values):
        changed = {name: dict(old) for name, old in first.items()}
        changed.setdefault(section, {}).update({name: str(value) for name, value in values.items()})
        reload_with(changed)
        wait_until(check, f"{values} holds")

    yield change
    reload_with(first)
    wait_until(lambda: announced(server, f"SIZE {60 * MEGABYTE}"), "everything is as it was")


def announced(server, word):
    with Smtp(server.smtp, greeted=False) as session:
        if session.reply().code != 220:
            return False  # a session before this one may not have ended yet
        return any(word in line.split(" ") or word == line for line in session.expect("EHLO x.test", 250).lines)


def test_message_size_while_reading(server, bob, setting):
    setting("smtp", lambda: announced(server, "SIZE 102400"), message_size="100K")
    fits = b"Subject: size\r\n\r\n" + b"x" * (102400 - 19) + b"\r\n"
    assert len(fits) == 102400
    with Smtp(server.smtp) as session:
        session.deliver(fits)
        session.envelope("alice@example.test", "bob@example.test")
        refused = session.data(fits[:-2] + b"x\r\n")
        assert (refused.code, refused.enhanced) == (552, "5.3.4")
        session.expect("NOOP", 250)
    assert bob.bodies() == [fits]


def test_messages_in_a_session(server, bob, setting):
    setting("smtp", lambda: announced(server, "MAILMAX=2"), messages=2)
    with Smtp(server.smtp) as session:
        session.deliver(message("1"))
        session.deliver(message("2"))
        session.send(b"MAIL FROM:<alice@example.test>\r\n")
        session.refused_and_closed(421, "4.7.0")
    assert bob.count() == 2


def test_recipients_and_their_domains(server, setting):
    setting("smtp", lambda: announced(server, "RCPTMAX=100"), recipients=100, recipient_domains=1)
    with Smtp(server.smtp) as session:
        session.expect("MAIL FROM:<>", 250)
        session.expect("RCPT TO:<bob@example.test>", 250)
        session.expect("RCPT TO:<bob@xn--fsqu00a.xn--0zwm56d>", 452, "4.5.3")
        for number in range(99):
            session.expect(f"RCPT TO:<bob+{number}@example.test>", 250)
        session.expect("RCPT TO:<alice@example.test>", 452, "4.5.3")


def test_commands_and_errors_in_a_session(server, setting):
    setting("smtp", lambda: announced(server, "MAILMAX=999"), messages=999, commands=100, errors=3)
    with Smtp(server.smtp, None) as session:
        for _ in range(100):
            session.expect("NOOP", 250)
        session.send(b"NOOP\r\n")
        session.refused_and_closed(421, "4.7.0")
    with Smtp(server.smtp, None) as session:
        for _ in range(3):
            session.expect("BOGUS", 500)
        session.refused_and_closed(421, "4.7.0")


def test_sessions_of_one_address(server, setting):
    setting("smtp", lambda: announced(server, "MAILMAX=998"), messages=998, sessions_per_address=2,
            unlimited_from='{"192.0.2.1"}')
    there = "127.0.0.3"
    with Smtp(server.smtp, source=there) as one, Smtp(server.smtp, source=there) as two:
        with Smtp(server.smtp, source=there, greeted=False) as third:
            third.refused_and_closed(421, "4.7.0")
        with Smtp(server.smtp, source="127.0.0.2") as elsewhere:
            elsewhere.expect("NOOP", 250)
        one.expect("NOOP", 250)
        two.expect("NOOP", 250)
    wait_until(lambda: announced(server, "PIPELINING"), "there is room again")


def test_bare_newlines_from_who_may_send_them(server, bob, setting):
    setting("smtp", lambda: announced(server, "MAILMAX=997"), messages=997, bare_newlines_from='{"127.0.0.0/8"}')
    with Smtp(server.smtp) as session:
        session.envelope("alice@example.test", "bob@example.test")
        session.expect("DATA", 354)
        session.send(b"Subject: bare\n\nline\rline\n.\nline\r\n.\r\n")
        assert session.reply().code == 250
    # One message, whatever was in it, and every line ends as lines do.
    assert bob.bodies() == [b"Subject: bare\r\n\r\nline\r\nline\r\n.\r\nline\r\n"]


def test_a_full_disk_refuses_mail_and_serves_what_is_there(server, bob, setting):
    with Smtp(server.smtp) as session:
        session.deliver(message("there"))
    setting("store", lambda: refuses_mail(server), least_free="1024G")
    with bob.session() as session:
        kept = session.stat()[0]
    assert refuses_mail(server)
    with bob.session() as session:
        assert session.stat()[0] == kept
    # What came until the reload held, and nothing else.
    assert bob.bodies() == [message("there")] + [message("too much")] * (kept - 1)


def refuses_mail(server):
    with Smtp(server.smtp) as session:
        session.expect("MAIL FROM:<alice@example.test>", 250)
        reply = session.command("RCPT TO:<bob@example.test>")
        if reply.code == 250:
            reply = session.command("DATA")
            if reply.code == 354:
                session.send(stuffed(message("too much")))
                reply = session.reply()
        return (reply.code, reply.enhanced) == (452, "4.3.1")


def test_plain_text_log_ins_are_refused_where_they_are_not_allowed(server, setting):
    setting("login", lambda: not may_log_in(server), plain_text_from='{"192.0.2.1"}')


def may_log_in(server):
    with Pop3(server.pop3) as session:
        ok, text = session.command("USER bob@example.test")
        assert ok or text.startswith("[AUTH]")
        assert ok == (b"USER" in session.many("CAPA").splitlines())
        return ok


# --- What a client may cost ---

@pytest.fixture
def peak(server):
    """The most memory each role held while something ran, above what it held before."""
    def measure(work):
        before = server.memory()
        most = dict(before)
        done = threading.Event()

        def watch():
            while not done.is_set():
                for pid, held in server.memory().items():
                    most[pid] = max(most.get(pid, 0), held)
                done.wait(0.02)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            done.set()
            watcher.join()
        return {server.roles()[pid][0]: held - before[pid] for pid, held in most.items()}
    return measure


@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer's memory is its own")
def test_a_message_of_50_megabytes_needs_no_more_than_one(server, bob, peak):
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\r\n" * 800_000
    with Smtp(server.smtp) as session:  # fills the pools, as any day does
        session.deliver(large[:63 * 20_000 + 18])
    bob.raw()

    def work():
        with Smtp(server.smtp) as session:
            session.deliver(large)
    grown = peak(work)
    assert all(octets <= MEGABYTE for octets in grown.values()), grown
    bodies = []
    grown = peak(lambda: bodies.extend(bob.bodies()))
    assert bodies[-1] == large
    assert all(octets <= MEGABYTE for octets in grown.values()), grown
    bob.empty()


@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer's memory is its own")
@pytest.mark.parametrize("kind, port", [(Smtp, "smtp"), (Pop3, "pop3")], ids=["smtp", "pop3"])
def test_an_idle_connection_costs_at_most_four_kilobytes(server, kind, port):
    count = 2000
    few = [kind(getattr(server, port)) for _ in range(50)]
    before = server.memory()
    many = [kind(getattr(server, port)) for _ in range(count)]
    try:
        for pid, held in server.memory().items():
            each = (held - before[pid]) / count
            assert each <= 4096, f"{server.roles()[pid][0]}: {each:.0f} octets a connection"
    finally:
        for one in few + many:
            one.socket.close()
