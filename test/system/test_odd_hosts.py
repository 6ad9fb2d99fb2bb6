"""Servers as they should not be: dead, slow, lying, gone in the middle of a word. Mail for their domains goes by the next
host or waits, with words that say why; it leaves once; and mail for everybody else does not notice."""
import os
import re
import socket
import ssl
import subprocess
import tempfile
import time

import pytest

import veredus
from sinks import Gone, Listener
from veredus import Mailbox, Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="the others' port is below 1024"),
              pytest.mark.usefixtures("own_network")]

ALICE = "alice@example.test"
PHASES = ("banner", "ehlo", "mail", "rcpt", "data", "content", "dot")
FLOOD = 64 << 20  # octets of an answer that does not end: more than the kernel takes for somebody who reads none of it
LARGE = "x" * 990 + "\r\n"  # a line of what is more than leaves at once


class Host(Listener):
    """A server on port 25 of an address that is well but for what it does at one phase.

    act    called with the connection instead of the phase's answer; raises Gone when that ended it
    times  so often for the same recipients; then it is well. None: always
    tls    the context of those that have STARTTLS
    """

    def __init__(self, address, phase=None, act=None, times=None, extensions=("PIPELINING", "8BITMIME"), tls=None):
        self.phase, self.act, self.times, self.extensions, self.tls = phase, act, times, extensions, tls
        self.messages = []  # (recipients, octets) that it said 250 to
        self.heard = []  # each octet that came in clear
        self.met = {}
        super().__init__(address)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)

    def odd(self, recipients):
        """Now? With `times` it depends on how often these recipients were met."""
        if not self.act:
            return False
        self.met[tuple(recipients)] = self.met.get(tuple(recipients), 0) + 1
        return self.times is None or self.met[tuple(recipients)] <= self.times

    def talk(self, connection):
        pending, recipients = b"", []

        def say(phase, text):
            if phase == self.phase and self.odd(recipients):
                self.act(connection)
                return False
            self.send(connection, text.encode() + b"\r\n")
            return True

        def line():
            nonlocal pending
            while b"\r\n" not in pending:
                got = connection.recv(1 << 16)
                if not got:
                    raise Gone
                if not isinstance(connection, ssl.SSLSocket):
                    self.heard.append(got)
                pending += got
            first, _, pending = pending.partition(b"\r\n")
            return first

        say("banner", "220 mx ESMTP")
        while True:
            words = line()
            verb = words.split(b" ")[0].upper()
            if verb == b"EHLO":
                offered = self.extensions + (("STARTTLS",) if self.tls and not isinstance(connection, ssl.SSLSocket) else ())
                say("ehlo", "\r\n".join(["250-mx"] + [f"250-{one}" for one in offered] + ["250 HELP"]))
            elif verb == b"STARTTLS":
                say("starttls", "220 go on")
                connection = self.tls.wrap_socket(connection, server_side=True)
            elif verb == b"MAIL":
                recipients = []
                say("mail", "250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(re.search(rb"<(.*?)>", words)[1].decode())
                if not say("rcpt", "250 2.1.5 ok"):
                    recipients.pop()
            elif verb == b"DATA" and not recipients:
                say("other", "554 5.5.1 no valid recipients")
            elif verb == b"DATA":
                say("data", "354 go on")
                octets = b""
                while True:
                    text = line()
                    if self.phase == "content":
                        self.act(connection)
                    if text == b".":
                        break
                    octets += text + b"\r\n"
                # Whoever is cut off here may have the message.
                self.messages.append((recipients, octets))
                say("dot", "250 2.0.0 taken")
            elif verb == b"QUIT":
                self.send(connection, b"221 2.0.0 bye\r\n")
                return
            else:
                say("other", "250 2.0.0 ok")

    def send(self, connection, octets):
        connection.sendall(octets)


# --- What they do ---

def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    raise Gone


def go_away(connection):
    connection.sendall(b"421 4.3.2 I am going down\r\n")
    raise Gone


def garbage(connection):
    connection.sendall(b"\0\xff\xfe HTTP/1.1 what?\r\n" * 3)


def endless(connection):
    line = b"250-" + b"and so on " * 40 + b"\r\n"
    for _ in range(FLOOD // len(line)):
        connection.sendall(line)
    raise AssertionError("it read all of it")


def silent(connection):
    connection.recv(1 << 16)
    raise Gone


def grey(connection):
    connection.sendall(b"451 4.7.1 Greylisted, come again later\r\n")


def inject(connection):
    """What somebody in the middle puts behind the 220, to be taken for the server in TLS (S08)."""
    connection.sendall(b"220 go on\r\n250-mx\r\n250 HELP\r\n")
    connection.recv(1 << 16)
    raise Gone


def plain_text(connection):
    """220, then no TLS."""
    connection.sendall(b"220 go on\r\n")
    connection.recv(1 << 16)
    connection.sendall(b"500 5.5.1 I do not know this command\r\n" * 3)
    raise Gone


class Tarpit(Host):
    """An octet each tenth of a second."""

    def send(self, connection, octets):
        for octet in octets.replace(b" ok", b"").replace(b" go on", b"").replace(b" taken", b""):
            connection.sendall(bytes([octet]))
            time.sleep(0.1)


class Liar(Host):
    """Says PIPELINING, and drops whoever does it, as a proxy does that looks into one command at a time."""
    dropped = 0

    def talk(self, connection):
        recipients, octets, in_data = [], b"", False
        connection.sendall(b"220 mx ESMTP\r\n")
        while True:
            got = connection.recv(1 << 16)
            if not got:
                raise Gone
            if in_data:
                octets += got
                if not octets.endswith(b"\r\n.\r\n"):
                    continue
                self.messages.append((recipients, octets))
                recipients, octets, in_data = [], b"", False
                connection.sendall(b"250 2.0.0 taken\r\n")
                continue
            if got.count(b"\r\n") > 1:
                self.dropped += 1
                raise Gone
            verb = got[:4].upper()
            if verb == b"RCPT":
                recipients.append(re.search(rb"<(.*?)>", got)[1].decode())
            in_data = verb == b"DATA"
            connection.sendall({b"EHLO": b"250-mx\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n",
                                b"QUIT": b"221 2.0.0 bye\r\n"}.get(verb, b"250 2.0.0 ok\r\n"))


def black_hole(address):
    """A socket whose line is full: connections are neither taken nor refused."""
    full = socket.create_server((address, 25), backlog=0)
    waiting = []
    for _ in range(3):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((address, 25))
        waiting.append(one)
    return [full] + waiting


# --- The internet of this test ---

# name: (how the host is made, what the trace says of it)
ODD = {}
for number, phase in enumerate(PHASES):
    ODD[f"reset-{phase}"] = dict(phase=phase, act=reset)
    ODD[f"away-{phase}"] = dict(phase=phase, act=go_away)
    if phase != "content":
        ODD[f"garbage-{phase}"] = dict(phase=phase, act=garbage)
        ODD[f"endless-{phase}"] = dict(phase=phase, act=endless)
BEHIND_THE_DOT = [name for name in ODD if name.endswith("-dot")]
for name in BEHIND_THE_DOT:
    ODD[name]["times"] = 1
NEXT_HOST = [name for name in ODD if name not in BEHIND_THE_DOT] + ["dead", "hole"]


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="veredus-odd.")
        self.hosts, self.held, self.addresses = {}, [], {}
        names = list(ODD) + ["grey", "tarpit", "stuck", "liar", "dead", "hole", "injected", "plain", "wrong", "good"]
        for number, name in enumerate(names):
            self.addresses[name] = f"127.1.0.{number + 1}"
        tls = self.context()
        for name, how in ODD.items():
            self.hosts[name] = Host(self.addresses[name], **how)
        self.hosts["grey"] = Host(self.addresses["grey"], "rcpt", grey, 2)
        self.hosts["tarpit"] = Tarpit(self.addresses["tarpit"], extensions=())
        self.hosts["stuck"] = Host(self.addresses["stuck"], "banner", silent)
        self.hosts["liar"] = Liar(self.addresses["liar"])
        self.hosts["injected"] = Host(self.addresses["injected"], "starttls", inject, tls=tls)
        self.hosts["plain"] = Host(self.addresses["plain"], "starttls", plain_text, tls=tls)
        self.hosts["wrong"] = Host(self.addresses["wrong"], tls=tls)
        self.hosts["good"] = Host(self.addresses["good"])
        self.held = black_hole(self.addresses["hole"])
        self.zones = Zones([Zone("odd.test", "\n".join(self.records()))])

    def context(self):
        path = os.path.join(self.folder, "wrong")
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-keyout", path + ".key", "-out", path + ".pem", "-subj", "/CN=somebody.else.test", "-days", "30"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path + ".pem", path + ".key")
        return context

    def records(self):
        """NAME.odd.test has the odd host and then a good one; alone.NAME.odd.test the odd one only."""
        for name, address in self.addresses.items():
            yield f"mx.{name} A {address}"
            yield f"{name} MX 10 mx.{name}\n{name} MX 20 mx.good"
            yield f"alone.{name} MX 10 mx.{name}"
        yield "dane.wrong MX 10 mx.dane.wrong"
        yield f"mx.dane.wrong A {self.addresses['wrong']}"
        yield "_25._tcp.mx.dane.wrong TLSA 3 1 1 " + "00" * 32

    def close(self):
        for one in list(self.hosts.values()) + self.held:
            one.close()
        self.zones.close()


@pytest.fixture(scope="module")
def world():
    one = World()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(world, directory):
    settings = world.zones.settings()
    settings["smtp"] = {"relay_from": '"127.0.0.1"', "messages_per_minute": "0"}
    settings["sending"] = {"allow_to": '"127.1.0.0/16"', "retry_first": "1s", "retry_most": "2s", "connect_timeout": "2s",
                           "warn_after": "0s"}
    one = Server(settings, directory)
    yield one
    one.close()


class Sent:
    def __init__(self, server, world):
        self.server, self.world, self.ids = server, world, {}

    def send(self, domain):
        with Smtp(self.server.smtp) as session:
            body = LARGE * 6500 if domain.endswith("-content") else "Hello.\r\n"
            self.ids[domain] = session.deliver(message(domain, body, sender=ALICE, to=f"carol@{domain}.odd.test"),
                                               recipients=f"carol@{domain}.odd.test", sender=ALICE)

    def story(self, domain):
        return self.server.cli("trace", self.ids[domain]).stdout

    def told(self, domain, words):
        def there():
            return words in self.story(domain)
        try:
            wait_until(there, words)
        except AssertionError:
            raise AssertionError(f"{words!r} is not in {self.story(domain)}") from None
        return self.story(domain)

    def copies(self, domain):
        """Who has it."""
        address = f"carol@{domain}.odd.test"
        return [name for name, host in self.world.hosts.items() for recipients, _ in host.messages if address in recipients]


@pytest.fixture(scope="module")
def sent(server, world):
    """All of them at once, and afterwards somebody's who has nothing to do with them."""
    one = Sent(server, world)
    for name in world.addresses:
        one.send(name)
        one.send(f"alone.{name}")
    one.send("dane.wrong")
    return one


# --- They are not waited for ---

def test_mail_for_a_live_domain_leaves_meanwhile(sent):
    sent.send("good")
    begun = time.monotonic()
    sent.told("good", "Sent to <carol@good.odd.test> by mx.good.odd.test")
    assert time.monotonic() - begun < veredus.PATIENCE / 2


@pytest.mark.parametrize("name", NEXT_HOST)
def test_the_next_host_has_it_once(sent, name):
    story = sent.told(name, f"Sent to <carol@{name}.odd.test> by mx.good.odd.test")
    assert sent.copies(name) == ["good"] and "second copy" not in story


@pytest.mark.parametrize("name", BEHIND_THE_DOT)
def test_behind_the_dot_there_may_be_two(sent, name):
    """The one that it may have taken without a word, and the one that it said yes to; an answer is an answer."""
    story = sent.told(name, f"Sent to <carol@{name}.odd.test> by mx.{name}.odd.test")
    assert sent.copies(name) == [name, name]
    if name.startswith("away"):
        assert "421 4.3.2 I am going down" in story and "second copy" not in story
    else:
        assert "the next may be a second copy" in story


def test_a_grey_list_wants_time_and_no_other_door(sent):
    story = sent.told("grey", "Sent to <carol@grey.odd.test> by mx.grey.odd.test")
    assert "(mx.grey.odd.test: 451 4.7.1 Greylisted, come again later); next try in" in story
    assert sent.copies("grey") == ["grey"]


def test_a_tarpit_gets_its_message(sent):
    sent.told("tarpit", "Sent to <carol@tarpit.odd.test> by mx.tarpit.odd.test")
    assert sent.copies("tarpit") == ["tarpit"]


def test_who_says_nothing_is_waited_for_alone(sent):
    """As long as RFC 5321 4.5.3.2.1 says, which is more than a test has: it is under way all the while."""
    assert "Not sent" not in sent.story("stuck") and sent.copies("stuck") == []
    assert sent.world.hosts["stuck"].sessions > 0


def test_who_lies_about_pipelining_gets_one_command_at_a_time(sent):
    story = sent.told("alone.liar", "Sent to <carol@alone.liar.odd.test> by mx.liar.odd.test")
    assert sent.world.hosts["liar"].dropped > 0
    assert sent.copies("alone.liar") == ["liar"] and "second copy" not in story
    sent.told("liar", "Sent to <carol@liar.odd.test> by mx.")
    assert sent.copies("liar") in (["good"], ["liar"])


# --- Why they wait ---

WORDS = {
    "dead": "mx.dead.odd.test: cannot connect: Connection refused (127.1.0.",
    "hole": "mx.hole.odd.test: cannot connect: Connection timed out (127.1.0.",
    "injected": "TLS failed",
}
for name in ODD:
    if name not in BEHIND_THE_DOT and name != "away-content":
        WORDS[name] = {"reset": "the connection was lost", "away": "421 4.3.2 I am going down",
                       "garbage": "not a reply of SMTP", "endless": "a reply of too many lines"}[name.partition("-")[0]]


@pytest.mark.parametrize("name", WORDS)
def test_it_waits_and_says_why(sent, name):
    story = sent.told(f"alone.{name}", WORDS[name])
    assert f"Not sent yet to <carol@alone.{name}.odd.test>" in story
    assert sent.copies(f"alone.{name}") == []


def test_nobody_is_told_of_what_waits(sent):
    assert Mailbox(sent.server, ALICE).count() == 0


# --- TLS ---

def test_any_certificate_is_better_than_none(sent):
    sent.told("wrong", "Sent to <carol@wrong.odd.test> by mx.wrong.odd.test")
    assert b"MAIL FROM" not in b"".join(host_heard(sent, "wrong"))


def test_a_wrong_certificate_under_DANE_gets_nothing(sent):
    story = sent.told("dane.wrong", "TLS failed (validation-failure): no matching DANE TLSA records")
    assert "Not sent yet to <carol@dane.wrong.odd.test>" in story and sent.copies("dane.wrong") == []
    assert b"MAIL FROM" not in b"".join(host_heard(sent, "wrong"))


def test_S08_what_stands_behind_STARTTLS_ends_it(sent):
    sent.told("injected", "Sent to <carol@injected.odd.test> by mx.good.odd.test")
    assert b"MAIL FROM" not in b"".join(host_heard(sent, "injected"))


def test_a_handshake_that_nobody_answers_is_followed_by_clear_text(sent):
    """Where none is asked for: who can break it can strike out the offer as well."""
    sent.told("plain", "Sent to <carol@plain.odd.test> by mx.plain.odd.test")
    assert sent.copies("plain") == ["plain"]


def host_heard(sent, name):
    return sent.world.hosts[name].heard
