"""Mail that its owner comes for: ATRN (RFC 2645) and TURN, by a client written after the RFC and by fetchmail's ODMR."""
import os
import shutil
import signal
import subprocess

import pytest

import veredus
from encrypted import NAME, Encrypted
from sinks import Exchange
from test_submission import log_in
from veredus import Mailbox, PASSWORD, Server, Smtp, free_ports, message, wait_until

BOB, ALICE, CAROL = "bob@example.test", "alice@example.test", "carol@example.test"


@pytest.fixture(scope="module")
def server():
    one = Server({"route office": {"to": "{ office.test, .office.test }", "collect": BOB},
                  "route branch": {"to": "branch.test", "collect": f"{{ {BOB}, {ALICE} }}"},
                  "smtp": {"relay_from": '"127.0.0.1"'},
                  "submission": {"turn": "yes"}, "login": {"mechanisms": "{plain, cram-md5}"},
                  "sending": {"retry_first": "1h", "retry_most": "1h"}}, veredus.DIRECTORY + f'account "{CAROL}" {{ password = "{veredus.HASH}" }}\n')
    one.cli("account", "password", BOB, "--password-stdin", "--cram-md5", text=PASSWORD + "\n")
    yield one
    one.close()


@pytest.fixture(autouse=True)
def empty(server):
    server.cli("queue", "remove", "--all")
    yield


def sent(server, text, recipient="carol@office.test", sender="alice@example.test"):
    with Smtp(server.smtp) as smtp:
        smtp.deliver(message(text), recipients=recipient, sender=sender)


def collector(server, user=BOB):
    session = Smtp(server.submission)
    assert log_in(session, user).code == 235
    return session


class Collected:
    """The client once the roles are reversed: an SMTP server that takes what it is told to take."""

    def __init__(self, session, ask="ATRN", rcpt="250 2.1.5 ok", dot="250 2.0.0 taken", cut=None, at=None):
        self.session, self.messages, self.verbs = session, [], []
        self.at = at or {}  # verb: what is done when it comes, once
        reply = session.command(ask)
        assert reply.code == 250, str(reply)
        self.say("220 office.test ready")
        self.serve(rcpt, dot, cut)

    def say(self, text):
        self.session.send(text + "\r\n")

    def line(self):
        return self.session.line().decode()

    def serve(self, rcpt, dot, cut):
        while line := self.line():
            verb = line.split(" ")[0].upper()
            self.verbs.append(verb)
            self.at.pop(verb, lambda: None)()
            if verb == cut:
                self.session.cut()
                return
            if verb == "EHLO":
                self.say("250-office.test\r\n250-PIPELINING\r\n250 8BITMIME")
            elif verb == "MAIL":
                self.say("250 2.1.0 ok")
            elif verb == "RCPT":
                self.say(rcpt)
            elif verb == "DATA":
                self.say("354 go on" if rcpt.startswith("2") else "554 5.5.1 none")
                if not rcpt.startswith("2"):
                    continue
                lines = []
                while (line := self.line()) != ".":
                    lines.append(line)
                if cut == ".":
                    self.session.cut()
                    return
                self.messages.append("\n".join(lines))
                self.say(dot)
            elif verb == "RSET":
                self.say("250 ok")
            elif verb == "QUIT":
                self.say("221 bye")
                self.session.socket.close()
                return

    def has(self, text):
        return sum(text in one for one in self.messages)


def waits(server):
    return len([line for line in server.cli("queue", "list").stdout.splitlines() if "office.test" in line])


def test_what_waits_is_handed_over_on_the_same_connection(server):
    for text in ("the first", "the second", "the third"):
        sent(server, text)
    got = Collected(collector(server))
    assert [got.has(text) for text in ("the first", "the second", "the third")] == [1, 1, 1]
    assert got.verbs[-1] == "QUIT" and got.verbs.count("EHLO") == 1
    wait_until(lambda: waits(server) == 0, "nothing waits any more")
    assert collector(server).command("ATRN").code == 453


def test_it_waits_without_tries_and_expires_as_other_mail(server):
    sent(server, "patient")
    shown = server.cli("queue", "list", json=True).stdout
    assert '"tries": 0' in shown or '"tries":0' in shown
    top = server.cli("queue", "top").stdout
    assert "@office/office.test" in top
    assert "waits to be collected" in server.cli("queue", "list").stdout
    assert BOB in server.cli("route", "show", "office").stdout and "via" not in server.cli("route", "list").stdout
    explained = server.cli("explain", "send", ALICE, "carol@office.test", check=False).stdout
    assert f"until {BOB} collects it" in explained, explained


def test_only_whose_it_is(server):
    sent(server, "of the office")
    with collector(server, ALICE) as alice:
        alice.expect("ATRN office.test", 450, "4.7.1")
        alice.expect("ATRN branch.test,office.test", 450)
        alice.expect("ATRN branch.test", 453)
        alice.expect("ATRN", 453)
    with collector(server, CAROL) as carol:
        carol.expect("ATRN", 453)
        carol.expect("ATRN office.test", 450)
        carol.expect("ATRN nowhere.test", 450)
    assert Collected(collector(server), "ATRN office.test").has("of the office") == 1


def test_by_domain(server):
    for place in ("office.test", "sub.office.test", "branch.test"):
        sent(server, f"to {place}", f"x@{place}")
    got = Collected(collector(server), "ATRN branch.test,sub.office.test")
    assert [got.has(f"to {place}") for place in ("office.test", "sub.office.test", "branch.test")] == [0, 1, 1]
    assert Collected(collector(server), "TURN").has("to office.test") == 1


def test_before_a_log_in_and_elsewhere_it_is_refused(server):
    with Smtp(server.submission) as smtp:
        assert "ATRN" in smtp.hello.lines and "TURN" in smtp.hello.lines
        smtp.expect("ATRN", 530)
        smtp.expect("TURN", 530)
    with Smtp(server.smtp) as smtp:
        assert not {"ATRN", "TURN"} & set(smtp.hello.lines)
        smtp.expect("ATRN", 502)
        smtp.expect("TURN", 502)
    with collector(server, ALICE) as alice:
        alice.expect("TURN", 502)  # RFC 821 knows no other way to say that there is nothing
        alice.expect("ATRN a b", 501)
        alice.expect("ATRN a..b", 501)
        alice.expect("ATRN office.test,", 501)
        alice.expect("TURN office.test", 501)


def test_what_is_sent_ahead_ends_the_session(server):
    sent(server, "not this way")
    with collector(server) as session:
        session.send("ATRN\r\n220 ready\r\n")
        assert session.reply().code == 503
        assert session.ended()
    assert Collected(collector(server)).has("not this way") == 1


def test_what_is_refused_later_stays_and_for_good_goes_back(server):
    sent(server, "not now")
    got = Collected(collector(server), rcpt="451 4.2.0 not now")
    assert not got.messages and got.verbs[-1] == "QUIT"
    wait_until(lambda: "not now" in server.cli("queue", "list").stdout, "its words are there")
    Mailbox(server, ALICE).empty()
    Collected(collector(server), rcpt="550 5.1.1 nobody of that name")
    wait_until(lambda: Mailbox(server, ALICE).count() == 1, "its sender was told")
    assert b"nobody of that name" in Mailbox(server, ALICE).bodies()[0]


@pytest.mark.parametrize("cut", ["EHLO", "MAIL", "DATA", "."])
def test_a_connection_that_breaks_loses_nothing(server, cut):
    sent(server, f"cut at {cut}")
    sent(server, f"cut at {cut}, too")
    got = Collected(collector(server), cut=cut)
    assert not got.messages
    # Behind the dot nobody knows, so it comes again: its queue has the mark of it.
    wait_until(lambda: "@office" in server.cli("queue", "top").stdout, "they wait")

    def all_there():
        session = collector(server)
        try:
            again = Collected(session)
        except AssertionError:
            return None
        return again
    again = wait_until(all_there, "they are handed over")
    assert again.has(f"cut at {cut}") == 2 and again.has("too") == 1


def test_one_collects_at_a_time(server):
    for i in range(2):
        sent(server, f"one at a time {i}")
    first = collector(server)
    first.expect("ATRN", 250)
    with collector(server) as second:
        second.expect("ATRN", 450)
    first.send("220 ready\r\n")
    assert first.line().startswith(b"EHLO")
    first.cut()
    assert wait_until(lambda: again(server), "the next one gets all").has("one at a time") == 2


def again(server):
    try:
        return Collected(collector(server))
    except AssertionError:
        return None


def test_a_core_that_dies_loses_nothing_and_repeats_nothing(server):
    for i in range(3):
        sent(server, f"across a death {i}")
    session = collector(server)
    session.expect("ATRN", 250)
    session.send("220 ready\r\n")
    assert session.line().startswith(b"EHLO")
    server.expected_deaths += 1
    os.kill(server.role("core")[0], signal.SIGKILL)
    server.check_up()
    session.cut()
    got = wait_until(lambda: again(server), "the next one gets all")
    assert got.has("across a death") == 3


def test_a_core_that_dies_in_the_middle_changes_nothing_for_the_client(server):
    """The courier asks the next core for the rest of the message, and says QUIT behind it: what else waits, waits."""
    body = "\r\n".join(["z" * 70] * 20000) + "\r\n"
    for i in range(2):
        with Smtp(server.smtp) as smtp:
            smtp.deliver(message(f"across {i}", body), recipients="carol@office.test")
    server.expected_deaths += 1
    first = Collected(collector(server), at={"DATA": lambda: os.kill(server.role("core")[0], signal.SIGKILL)})
    assert first.has("across") == 1 and first.verbs[-1] == "QUIT"
    server.check_up()
    assert wait_until(lambda: again(server), "the next time brings the other").has("across") == 1
    wait_until(lambda: waits(server) == 0, "nothing waits any more")


def test_a_large_message_passes(server):
    big = "\r\n".join(["x" * 70] * 30000) + "\r\n"
    with Smtp(server.smtp) as smtp:
        smtp.deliver(message("large", big), recipients="carol@office.test")
    got = Collected(collector(server))
    assert got.has("large") == 1 and len(got.messages[0]) > 2_000_000


def test_fetchmail_collects(server, tmp_path):
    """Its ODMR: CRAM-MD5, ATRN, and the octets between us and a server of its side."""
    office = Exchange("127.0.0.1", free_ports(1)[0])
    for text in ("by fetchmail", "by fetchmail again"):
        sent(server, text)
    config = tmp_path / "fetchmailrc"
    config.write_text(f'poll 127.0.0.1 service {server.submission} protocol odmr no dns\n  user "{BOB}" password "{PASSWORD}" '
                      f'sslproto "" fetchdomains office.test smtphost 127.0.0.1/{office.socket.getsockname()[1]}\n')
    config.chmod(0o600)
    done = subprocess.run([shutil.which("fetchmail"), "--nodetach", "--nosyslog", "-v", "-f", config, "--pidfile",
                           tmp_path / "pid"], capture_output=True, text=True, timeout=60,
                          env={"FETCHMAILHOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    print(done.stdout, done.stderr)
    assert done.returncode == 0 and "Turnaround" in done.stdout
    assert len(office.messages) == 2 and office.sessions == 1
    office.close()
    wait_until(lambda: waits(server) == 0, "nothing waits any more")


class InTls(Smtp):
    """A session in TLS from its first octet."""

    def __init__(self, server):
        super().__init__(server.submissions, greeted=False)
        self.socket = server.context().wrap_socket(self.socket, server_hostname=NAME)
        assert self.reply().code == 220
        self.hello = self.expect("EHLO office.test", 250)


def test_tls_goes_on_when_the_roles_are_reversed():
    server = Encrypted({"route office": {"to": "office.test", "collect": BOB}, "smtp": {"relay_from": '"127.0.0.1"'}})
    try:
        body = "\r\n".join(["y" * 70] * 20000) + "\r\n"
        with Smtp(server.smtp) as smtp:
            smtp.deliver(message("in TLS", body), recipients="carol@office.test")
        session = InTls(server)
        assert log_in(session, BOB).code == 235
        got = Collected(session)
        assert got.has("in TLS") == 1 and len(got.messages[0]) > 1_400_000
        assert not server.alarms()
    finally:
        server.close()


def test_a_courier_that_dies_ends_the_session_and_loses_nothing(server):
    sent(server, "its courier died")
    session = collector(server)
    session.expect("ATRN", 250)
    session.send("220 ready\r\n")
    assert session.line().startswith(b"EHLO")
    server.expected_deaths += 1
    os.kill(server.role("courier")[0], signal.SIGKILL)
    assert session.ended()
    server.check_up()
    assert wait_until(lambda: again(server), "the next one gets it").has("its courier died") == 1


def test_a_stop_does_not_wait_for_who_collects():
    server = Server({"route office": {"to": "office.test", "collect": BOB}, "smtp": {"relay_from": '"127.0.0.1"'},
                     "login": {"mechanisms": "plain"}}, veredus.DIRECTORY)
    sent(server, "to be had later")
    session = collector(server)
    session.expect("ATRN", 250)
    session.send("220 ready\r\n")
    assert session.line().startswith(b"EHLO")
    server.stop()
    assert not server.alarms()
    server.start()
    assert Collected(collector(server)).has("to be had later") == 1
    server.close()
