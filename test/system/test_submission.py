"""Mail from users, from outside: who may send as whom (S20), how much (S21), what becomes of the message; and that nobody
relays, on any port, in any form (S19)."""
import base64
import email
import email.policy
import random
import smtplib
import socket

import pytest

import veredus
from veredus import PASSWORD, Mailbox, Server, Smtp

pytestmark = pytest.mark.usefixtures("unharmed")

ALICE, BOB = "alice@example.test", "bob@example.test"
TENANT = "tenant@xn--fsqu00a.xn--0zwm56d"
DIRECTORY = veredus.DIRECTORY + f'account "{TENANT}" {{ password = "{veredus.HASH}" }}\n'
HOLDING = {"submission": {"brake_least": "10", "brake_factor": "2"}}


@pytest.fixture(scope="module")
def directory():
    return DIRECTORY


@pytest.fixture(scope="module")
def settings():
    return {"submission": {"brake_least": "0", "recipients_per_hour": "1000", "recipients_per_day": "1000"}}


def secret(user, password=PASSWORD):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def log_in(session, user, password=PASSWORD):
    """The reply; who is told to come later, as a machine with much to do says, comes again."""
    def judged():
        reply = session.command("AUTH PLAIN " + secret(user, password))
        return reply if reply.code != 454 else None
    return veredus.wait_until(judged, "the log-in is judged")


def submission(server, user=ALICE):
    session = Smtp(server.submission)
    assert log_in(session, user).code == 235
    return session


def submit(server, message, user=ALICE, sender=None, recipients=BOB, parameters=""):
    """The final reply."""
    with submission(server, user) as session:
        session.envelope(user if sender is None else sender, recipients, parameters)
        return session.data(message)


def kept(server, user=BOB):
    bodies = Mailbox(server, user).bodies()
    assert len(bodies) == 1
    return bodies[0]


def text(*fields, body="Hello.\r\n"):
    return ("".join(field + "\r\n" for field in fields) + "\r\n" + body).encode()


# --- What becomes of the message ---

def test_a_header_is_put_right(server, bob):
    reply = submit(server, text("From: Alice <alice>", "Subject: x", "Bcc: carl@example.test,", " dora@example.test",
                                "To: bob, Carl <carl@else.example>", "Return-Path: <x@y.example>"))
    assert reply.code == 250, reply
    message = email.message_from_bytes(kept(server), policy=email.policy.SMTP)
    assert message.keys() == ["Date", "Message-ID", "From", "Subject", "To"]
    assert message["From"] == "Alice <alice@example.test>"
    assert message["To"] == "bob@example.test, Carl <carl@else.example>"
    assert message["Date"].datetime is not None
    assert message["Message-ID"].endswith("@mail.example.test>")
    assert b"dora" not in Mailbox(server, BOB).raw()[0]


def test_where_users_are_is_not_told(server, bob):
    submit(server, text("Subject: x"))
    fields, _ = veredus.parted(Mailbox(server, BOB).raw()[0])
    assert fields["received"][0].startswith("by mail.example.test with ESMTPA id "), fields
    assert "127.0.0.1" not in str(fields)


def test_smtplib_is_served(server, bob):
    """A library that others use: EHLO, AUTH as it likes, several recipients, dots."""
    sent = b"From: alice@example.test\r\nTo: bob@example.test\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n.\r\n..a\r\n"
    with smtplib.SMTP("127.0.0.1", server.submission) as client:
        client.login(ALICE, PASSWORD)
        refused = client.sendmail(ALICE, [BOB, "x@else.example", "nobody@example.test"], sent)
    assert {address: code for address, (code, _) in refused.items()} == {"nobody@example.test": 550}
    assert kept(server) == sent


def test_a_signed_message_is_as_it_came(server, bob):
    sent = text("DKIM-Signature: v=1; h=from:to;", "\tb=abc", "FROM:  Alice\t<alice@example.test>", "to:bob@example.test",
                "date: Sat, 21 Nov 2026 05:57:03 +0000", "message-id: <x@y>", "X-Odd : \xe4")
    assert submit(server, sent).code == 250
    assert kept(server) == sent


@pytest.mark.parametrize("octets", [1000, 300_000, 5_000_000])
def test_a_body_is_intact(server, bob, octets):
    body = base64.encodebytes(random.Random(octets).randbytes(octets)).replace(b"\n", b"\r\n")
    sent = text("From: alice", "Bcc: x", "To: bob@example.test", "Date: x", "Message-ID: <1@x>", body="") + body
    assert submit(server, sent).code == 250
    assert kept(server) == sent.replace(b"From: alice\r\nBcc: x\r\n", b"From: alice@example.test\r\n")


def test_chunks_and_bare_line_ends(server, bob):
    sent = text("From: alice\nBcc: x", "To: bob@example.test", "Date: x", "Message-ID: <1@x>", body="a\nb\rc\r\n")
    with submission(server) as session:
        session.envelope(ALICE, BOB)
        for at in range(0, len(sent), 7):
            session.send(b"BDAT %d\r\n" % len(sent[at:at + 7]) + sent[at:at + 7])
            assert session.reply().code == 250
        session.expect("BDAT 0 LAST", 250)
    assert kept(server) == b"From: alice@example.test\r\nTo: bob@example.test\r\nDate: x\r\nMessage-ID: <1@x>\r\n" \
                           b"\r\na\r\nb\r\nc\r\n"


# --- S20: as whom ---

@pytest.mark.parametrize("sender", [BOB, TENANT, "nobody@example.test", "alice@else.example", "alice@[127.0.0.1]",
                                    '"alice@example.test"@else.example', "alice%example.test@else.example"])
def test_S20_the_envelope_of_another(server, sender):
    with submission(server) as session:
        session.expect(f"MAIL FROM:<{sender}>", 553, "5.7.1")


@pytest.mark.parametrize("fields,code", [
    (["From: bob@example.test"], 553),
    (["From: Alice <bob@example.test>"], 553),
    (["From: alice@example.test, bob@example.test"], 553),
    (["From: bob"], 553),
    (["From: alice@example.test", "Sender: bob@example.test"], 553),
    (["From: alice@example.test", "Resent-From: bob@example.test"], 553),
    (["From: alice@example.test", "Resent-Sender: bob@example.test"], 553),
    ([f"From: {TENANT}"], 553),
    (["From: alice@else.example"], 553),
    (["From: alice@example.test", "From: bob@example.test"], 550),
    (["From: alice@example.test", "From: alice@example.test"], 550),
    (["From : alice@example.test"], 550),
    ([" x", "From: alice@example.test"], 550),
    (["From: alice@example.test <bob@example.test>"], 550),
    (["From: <bob@example.test>:<alice@example.test>"], 550),
    (["From: alice@example.test, bob@else.example"], 550),
    (["From:"], 550),
    (["From: nobody at all"], 550),
])
def test_S20_the_header_of_another(server, bob, fields, code):
    reply = submit(server, text(*fields))
    assert (reply.code, reply.enhanced) == (code, "5.7.1"), reply
    assert bob.count() == 0
    assert submit(server, text(*fields), sender="").code == code
    assert bob.count() == 0


def test_S20_tags_and_grants_are_one_s_own(server, bob):
    assert submit(server, text("From: alice+tag@example.test"), sender="ALICE+x@Example.Test").code == 250


def test_nobody_sends_without_a_log_in(server, bob):
    with Smtp(server.submission) as session:
        session.expect(f"MAIL FROM:<{ALICE}>", 530)
        assert log_in(session, ALICE, "wrong").code == 535
        session.expect(f"MAIL FROM:<{ALICE}>", 530)


# --- S19: nobody relays ---

FORMS = ["v@else.example", "@mail.example.test:v@else.example", "@example.test,@x.example:v@else.example",
         "v%else.example@example.test", '"v@else.example"@example.test', "else.example!v@example.test",
         '"else.example!v"@example.test', "v@[127.0.0.1]", "v@[IPv6:::1]", "v@[192.0.2.1]", "v@mail.example.test",
         '"v%else.example"@mail.example.test', "v@else.example@example.test", "v@localhost", "v@127.0.0.1"]
SENDERS = [BOB, "", "x@else.example", "bob@[127.0.0.1]", "spam@mail.example.test"]


class Everywhere(Server):
    """Listens on IPv6, too, where this machine has it."""

    def configuration(self):
        text = super().configuration()
        for port in self.smtp, self.submission:
            text = text.replace(f'{{"127.0.0.1:{port}"}}', f'{{"127.0.0.1:{port}", "[::1]:{port}"}}')
        return text


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
        return True
    except OSError:
        return False


def opened(host, port):
    """A session from this machine to that address of it, which may be a mapped one."""
    session = Smtp.__new__(Smtp)
    session.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    session.socket.settimeout(veredus.PATIENCE)
    session.socket.connect((host, port))
    session.pending = b""
    assert session.reply().code == 220
    session.expect("EHLO client.example.test", 250)
    return session


@pytest.fixture(scope="module")
def everywhere():
    one = (Everywhere if has_ipv6() else Server)({}, DIRECTORY)
    yield one
    one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("sender", SENDERS)
def test_S19_nobody_relays(everywhere, host, sender):
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")
    begun = len(everywhere.log())
    with opened(host, everywhere.smtp) as session:
        session.expect(f"MAIL FROM:<{sender}>", 250)
        for form in FORMS:
            reply = session.command(f"RCPT TO:<{form}>")
            assert reply.code in (550, 501), (form, reply)
            assert reply.code == 501 or reply.enhanced in ("5.7.1", "5.1.1", "5.1.2"), (form, reply)
        session.expect("DATA", 554)
    with opened(host, everywhere.submission) as session:
        session.expect(f"MAIL FROM:<{sender}>", 530, "5.7.0")
        for form in FORMS:
            assert session.command(f"RCPT TO:<{form}>").code in (501, 503, 530)
    assert everywhere.logged("accepted", begun) == 0


def test_users_send_to_others(everywhere):
    with submission(everywhere, BOB) as session:
        session.expect(f"MAIL FROM:<{BOB}>", 250)
        session.expect("RCPT TO:<v@else.example>", 250)


# --- S21: how much ---

def test_S21_a_stolen_account(directory):
    server = Server(HOLDING, directory)
    try:
        begun = len(server.log())
        replies = [submit(server, text(f"Subject: {i}")) for i in range(11)]
        assert [(reply.code, reply.enhanced) for reply in replies] == 10 * [(250, "2.0.0")] + [(450, "4.7.1")]
        assert submit(server, text("Subject: mine"), user=BOB, recipients=ALICE).code == 250
        with submission(server) as session:
            session.expect(f"MAIL FROM:<{ALICE}>", 450, "4.7.1")
        assert server.logged("sending_held", begun) == 1
        notices = [body for body in Mailbox(server, ALICE).bodies()
                   if b"Subject: Sending from your account is on hold" in body]
        assert len(notices) == 1
        shown = server.cli("account", "show", ALICE).stdout
        assert "held             yes" in shown and "11 recipients within an hour" in shown
        server.stop()
        server.start()
        with submission(server) as session:
            session.expect(f"MAIL FROM:<{ALICE}>", 450, "4.7.1")
        server.cli("account", "release", ALICE)
        assert submit(server, text("Subject: free")).code == 250
        server.cli("account", "hold", ALICE, "--why", "by hand")
        assert "held_why         by hand" in server.cli("account", "show", ALICE).stdout
        with submission(server) as session:
            session.expect(f"MAIL FROM:<{ALICE}>", 450, "4.7.1")
        assert Mailbox(server, BOB).count() == 11
    finally:
        server.close()


def test_S21_a_stolen_password(directory):
    """From a network that is new to its account: held sooner, and told once, however often who stole it logs in."""
    server = Server({"submission": {"brake_least": "50", "brake_new_least": "4"}, "login": {"unlimited_from": "{}"}}, directory)
    try:
        begun = len(server.log())
        assert submit(server, text("Subject: at home")).code == 250
        replies = []
        for _ in range(4):
            with Smtp(server.submission, source="127.9.9.9") as session:
                assert log_in(session, ALICE).code == 235
                for _ in range(2):
                    reply = session.command(f"MAIL FROM:<{ALICE}>")
                    if reply.code == 250:
                        session.expect(f"RCPT TO:<{BOB}>", 250)
                        reply = session.data(text("Subject: buy"))
                    replies.append(reply.code)
        assert replies == 3 * [250] + 5 * [450]
        with submission(server) as session:  # who of the two she is nobody knows
            session.expect(f"MAIL FROM:<{ALICE}>", 450, "4.7.1")
        assert submit(server, text("Subject: mine"), user=BOB, recipients=ALICE).code == 250
        assert server.logged("sending_held", begun) == 1
        for user in (ALICE, BOB):
            held = [body for body in Mailbox(server, user).bodies() if b"Subject: Sending from your account" in body]
            assert len(held) == (1 if user == ALICE else 0)
        assert "5 recipients within an hour, sent from a network that is new" in server.cli("account", "show", ALICE).stdout
        server.cli("account", "release", ALICE)
        assert submit(server, text("Subject: free")).code == 250
    finally:
        server.close()


def test_S21_limits(directory):
    server = Server({"submission": {"brake_least": "0", "recipients": "3", "recipients_per_hour": "5"}}, directory)
    try:
        with submission(server) as session:
            assert any(line.startswith("LIMITS RCPTMAX=3 ") for line in session.hello.lines)
            session.envelope(ALICE, [ALICE, BOB, TENANT])
            session.expect("RCPT TO:<postmaster>", 452, "4.5.3")
            assert session.data(text("Subject: x")).code == 250
            session.envelope(ALICE, [ALICE, BOB])
            session.expect(f"RCPT TO:<{TENANT}>", 450, "4.7.1")
            assert session.data(text("Subject: y")).code == 250
            session.expect(f"MAIL FROM:<{ALICE}>", 450, "4.7.1")
        assert submit(server, text("Subject: z"), user=BOB).code == 250
    finally:
        server.close()


def test_a_user_is_named_in_the_trace(server, bob):
    reply = submit(server, text("Subject: x"))
    told = server.cli("trace", reply.id, json=True).stdout
    assert '"account":"alice@example.test"' in told.replace('": "', '":"')
