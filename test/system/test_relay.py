"""The door from outside: nothing is relayed, by whatever way somebody comes and however it is written (S19); guessing
names gets slow (S22); nobody is believed who says that he is another, but whom we trust with it (S23)."""
import contextlib
import socket
import time

import pytest

import veredus
from veredus import Mailbox, Server, Smtp, message, wait_until

pytestmark = pytest.mark.usefixtures("hostile")

PROXY, FILTER = "127.0.0.2", "127.0.0.3"  # loopback has many addresses
OUTSIDE = "198.51.100.7"


class Session(Smtp):
    """A session over any loopback address."""

    def __init__(self, address, port, source=None, first=b""):
        self.socket = socket.create_connection((address, port), veredus.PATIENCE, source and (source, 0))
        self.pending = b""
        self.send(first)
        self.greeting = self.reply()
        assert self.greeting.code == 220, self.greeting
        self.expect("EHLO client.example.test", 250)


@pytest.fixture(scope="module")
def settings():
    port = veredus.free_ports(1)[0]
    return {
        "server": {"proxy_from": f'"{PROXY}"'},
        "login": {"scram": "no"},
        "smtp": {"listen": f'{{"127.0.0.1:{port}" "[::1]:{port}"}}', "xclient_from": f'"{FILTER}"',
                 "relay_from": '{"192.0.2.64/26"}', "tarpit": "100ms", "errors": "60", "messages_per_minute": "1000",
                 "processes": "1"},  # each counts for itself
    }


@pytest.fixture(scope="module")
def server(settings, directory):
    one = Server(settings, directory=None)
    one.smtp = int(settings["smtp"]["listen"].rpartition(":")[2].rstrip('"}'))
    one.write_configuration(one.configuration() + "domain backup.test { backup = yes }\n"
                            f'domain "xn--fsqu00a.xn--0zwm56d" {{ deny_from = "{OUTSIDE}" }}\n')
    try:
        one.start()
        one.apply(directory)
        stored(one)
        one.wait_renewed()
    except BaseException:
        one.stop(hard=True)
        raise
    yield one
    one.close()


# --- The ways in ---

def over_ipv4(server):
    return Session("127.0.0.1", server.smtp)


def over_ipv6(server):
    return Session("::1", server.smtp)


def behind_proxy(server):
    header = f"PROXY TCP4 {OUTSIDE} 127.0.0.1 4711 {server.smtp}\r\n"
    return Session("127.0.0.1", server.smtp, PROXY, header.encode())


def behind_proxy_mapped(server):
    header = f"PROXY TCP6 ::ffff:{OUTSIDE} ::ffff:127.0.0.1 4711 {server.smtp}\r\n"
    return Session("127.0.0.1", server.smtp, PROXY, header.encode())


def behind_filter(server):
    session = Session("127.0.0.1", server.smtp, FILTER)
    session.expect(f"XCLIENT ADDR={OUTSIDE} NAME=mail.else.test LOGIN=bob@example.test", 220)
    session.expect("EHLO client.else.test", 250)
    return session


def as_filter(server):
    return Session("127.0.0.1", server.smtp, FILTER)


def by_lmtp(server):
    return Smtp(server.lmtp, "LHLO")


WAYS = [over_ipv4, over_ipv6, behind_proxy, behind_proxy_mapped, behind_filter, as_filter, by_lmtp]
FORMS = [
    "v@else.test", "@example.test:v@else.test", "@example.test,@b.test:v@else.test", "v%else.test@example.test",
    '"v@else.test"@example.test', "else.test!v@example.test", "v@[127.0.0.1]", "v@[IPv6:::1]",
    "v@[IPv6:::ffff:127.0.0.1]", "v@[IPv6:::ffff:7f00:1]", "v@[198.51.100.7]", "v@localhost", "v@mail.example.test",
    "v@example.test.else.test", "bob@sub.example.test", "@example.test:v%else.test@example.test", "v@exàmple.test",
    "bob@example.test@else.test", "v@else.test%example.test", "v@[0x7f000001]", "v@2130706433"]
REFUSED = ((550, "5.7.1"), (550, "5.1.1"), (501, "5.1.3"))


def stored(server):
    """Messages of bob, who is in reach of every recipient here that reads like one of ours."""
    return Mailbox(server, "bob@example.test").count()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("sender", ["bob@example.test", "", "a@else.test"], ids=["ours", "null", "theirs"])
def test_S19_nothing_is_relayed(server, way, sender):
    before, begun = stored(server), len(server.log())
    with way(server) as session:
        for form in FORMS:
            utf8 = "" if form.isascii() else " SMTPUTF8"
            session.expect(f"MAIL FROM:<{sender}>{utf8}", 250)
            reply = session.command(f"RCPT TO:<{form}>")
            assert (reply.code, reply.enhanced) in REFUSED, f"{form}: {reply}"
            assert session.command("DATA").code in (503, 554)
            session.expect("RSET", 250)
    assert stored(server) == before
    assert server.logged("message", begun) == 0


def test_S19_submission_is_for_who_logged_in(server):
    with Smtp(server.submission) as session:
        for sender in ("bob@example.test", "", "a@else.test"):
            session.expect(f"MAIL FROM:<{sender}>", 530, "5.7.0")
        session.expect("RCPT TO:<v@else.test>", 503)


def test_S19_who_may_relay_is_relayed_for(server):
    with Session("127.0.0.1", server.smtp, FILTER) as session:
        session.expect("XCLIENT ADDR=192.0.2.65", 220)
        session.expect("EHLO inside.test", 250)
        session.expect("MAIL FROM:<a@else.test>", 250)
        session.expect("RCPT TO:<v@else.test>", 250)
    with over_ipv4(server) as session:
        session.expect("MAIL FROM:<a@else.test>", 250)
        session.expect("RCPT TO:<v@backup.test>", 250)
        session.expect("RCPT TO:<v@else.test>", 550, "5.7.1")


def test_S19_at_the_address_of_the_server_is_its_postmaster_alone(smtp):
    smtp.expect("MAIL FROM:<>", 250)
    smtp.expect("RCPT TO:<v@[127.0.0.1]>", 550, "5.1.1")
    smtp.expect("RCPT TO:<postmaster@[127.0.0.2]>", 550, "5.7.1")
    smtp.expect("RCPT TO:<postmaster@[IPv6:::1]>", 550, "5.7.1")
    smtp.expect("RCPT TO:<Postmaster@[127.0.0.1]>", 250)
    assert smtp.data(message("to the address")).code == 250


def test_a_domain_denies_a_client(server):
    with over_ipv4(server) as session:
        session.expect("MAIL FROM:<a@else.test> SMTPUTF8", 250)
        session.expect("RCPT TO:<用户@例子.测试>", 250)
    with behind_proxy(server) as session:
        session.expect("MAIL FROM:<a@else.test> SMTPUTF8", 250)
        session.expect("RCPT TO:<用户@例子.测试>", 550, "5.7.1")
        session.expect("RCPT TO:<bob@example.test>", 250)


# --- S22 ---

def test_S22_guessing_names_gets_slow(server):
    """Ten are free, each one more costs its time, in this session and in the next."""
    guesses = 25

    def guess(session, numbers):
        session.expect("MAIL FROM:<>", 250)
        session.send("".join(f"RCPT TO:<user{number}@example.test>\r\n" for number in numbers))
        begun = time.monotonic()
        assert {session.reply().code for _ in numbers} == {550}
        return time.monotonic() - begun

    with behind_proxy_of(server, "198.51.100.99") as session:
        assert guess(session, range(guesses)) > (guesses - 10) * 0.09
    with behind_proxy_of(server, "198.51.100.99") as session:
        assert guess(session, range(5)) > 5 * 0.09
    with behind_proxy_of(server, "198.51.100.98") as session:
        for number in range(10):
            session.expect(f"VRFY user{number}", 252)
            session.expect(f"EXPN user{number}", 550, "5.7.1")


def behind_proxy_of(server, client):
    return Session("127.0.0.1", server.smtp, PROXY, f"PROXY TCP4 {client} 127.0.0.1 1 25\r\n".encode())


def test_S22_a_thousand_names_do_not_come_through(server):
    """In the time that they would have taken there are other clients, and the server ends without waiting."""
    with behind_proxy_of(server, "198.51.100.97") as session, over_ipv4(server) as other:
        session.expect("MAIL FROM:<>", 250)
        session.send("".join(f"RCPT TO:<user{number}@example.test>\r\n" for number in range(1000)))
        assert session.reply().code == 550
        other.deliver(message("meanwhile"))
        with contextlib.suppress(EOFError):
            replies = 1
            while session.reply().code == 550:
                replies += 1
        assert replies == 60  # smtp.errors


# --- S23 ---

@pytest.mark.parametrize("line", ["XCLIENT ADDR=127.0.0.3", "XCLIENT NAME=a LOGIN=bob@example.test", "xclient",
                                  "XFORWARD ADDR=127.0.0.3"])
def test_S23_nobody_is_believed_to_be_another(server, line):
    with behind_proxy(server) as session:
        session.expect(line, 550, "5.7.0")
        session.envelope("alice@example.test", "bob@example.test")
        session.expect(line, 550, "5.7.0")
        assert session.data(message("as myself")).code == 250
    wait_until(lambda: server.logged("session", also=f"client={OUTSIDE}") > 0, "the session is logged")
    assert f"[{OUTSIDE}]".encode() in Mailbox(server, "bob@example.test").raw()[-1]


def test_S23_a_filter_is_believed_once(server):
    with Session("127.0.0.1", server.smtp, FILTER) as session:
        session.expect(f"XCLIENT ADDR={FILTER}", 220)
        session.expect("EHLO client.example.test", 250)
        session.expect("XCLIENT ADDR=192.0.2.65", 550, "5.7.0")
        session.expect("XFORWARD ADDR=192.0.2.65", 550, "5.7.0")


def test_S23_a_proxy_header_of_somebody_else(server):
    with Smtp(server.smtp, greeted=False) as session:
        assert session.reply().code == 220
        session.send(b"PROXY TCP4 127.0.0.3 127.0.0.1 1 25\r\n")
        session.refused_and_closed(521, "5.5.1")


def test_S23_a_proxy_without_a_header(server):
    with contextlib.closing(Smtp(server.smtp, source=PROXY, greeted=False).socket) as connection:
        connection.sendall(b"EHLO client.example.test\r\n")
        assert connection.recv(1000).startswith(b"521 5.5.1 ")


def test_S23_a_proxy_header_of_64_kb(server):
    session = Smtp(server.smtp, source=PROXY, greeted=False)
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    session.send_anyway(signature + b"\x21\x11\xff\xff" + b"\x7f\0\0\1\x7f\0\0\1\0\1\0\x19" + b"\x04" * 65523)
    assert session.rest()[:4] in (b"521 ", b"")
