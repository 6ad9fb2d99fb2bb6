"""What a message leaves with, over sockets: signatures that another program verifies, the sender and the mark of a forward,
what its sender asked for; and what comes back of it."""
import base64
import json
import random
import re
import time

import dkim
import pytest

import veredus
from sinks import Exchange
from test_submission import submission, submit, text
from veredus import Mailbox, Server, Smtp, free_ports, message, wait_until
from zones import Zone, Zones

ALICE, BOB, ZOE = "alice@example.test", "bob@example.test", "zoe@else.example"
DIRECTORY = veredus.DIRECTORY + ('alias "out@example.test" { to = "carol@far.test" }\n'
                                 'alias "lost@example.test" { to = "gone@far.test" }\n')


@pytest.fixture(scope="module")
def exchange():
    one = Exchange("127.0.0.1", free_ports(1)[0])
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(exchange):
    port = exchange.socket.getsockname()[1]
    one = Server({"route out": {"via": f'"127.0.0.1:{port}"', "tls": "off"},
                  "sending": {"warn_after": "0s", "retry_first": "1s", "retry_most": "2s"},
                  "submission": {"brake_least": "0"}}, DIRECTORY)
    yield one
    one.close()


@pytest.fixture(scope="module")
def records(server):
    """What `veredus dkim` says is to be published, as a verifier finds it."""
    server.cli("dkim", "add", "example.test")
    server.cli("dkim", "published", "example.test")
    shown = json.loads(server.cli("dkim", "show", "example.test", json=True).stdout)
    return {row["name"].rstrip(".").encode() + b".": row["record"].encode() for row in shown}


@pytest.fixture(autouse=True)
def clean(server, exchange):
    for user in (ALICE, BOB):
        Mailbox(server, user).empty()
    exchange.messages.clear()


def arrived(exchange, count=1):
    wait_until(lambda: len(exchange.messages) >= count, "the other server has it")
    return exchange.messages[-1]


def signatures(octets):
    return re.findall(rb"^DKIM-Signature:", octets.partition(b"\r\n\r\n")[0], re.M | re.I)


def verified(octets, records):
    assert len(signatures(octets)) == 2
    return all(dkim.verify(octets, dnsfunc=lambda name, timeout=5: records.get(name), minkey=1024) if i == 0 else
               dkim.DKIM(octets).verify(idx=i, dnsfunc=lambda name, timeout=5: records.get(name)) for i in range(2))


# --- Signatures ---

BODIES = {
    "short": b"Hello.\r\n",
    "blanks and empty lines": b"a \t b  \r\n\r\n \r\n.dot\r\n\r\n\r\n",
    "empty": b"",
    "upload": base64.encodebytes(random.Random(7).randbytes(600_000)).replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_users_send_is_signed(server, exchange, records, name):
    sent = text("From: Alice <alice@example.test>", "Subject: x", "Bcc: hidden@far.test", body="") + BODIES[name]
    assert submit(server, sent, recipients="carol@far.test").code == 250
    _, _, octets = arrived(exchange)
    assert octets.startswith(b"DKIM-Signature: ") and b"hidden" not in octets
    assert verified(octets, records)
    assert octets.count(b"d=example.test;") == 2
    assert not verified(octets.replace(b"Subject: x", b"Subject: y"), records)
    if BODIES[name].strip():
        assert not verified(octets[:-4] + b"x\r\n", records)


def test_in_chunks_and_with_bare_line_ends(server, exchange, records):
    sent = b"From: alice@example.test\nSubject: x\n\na\nb\r\n\nc"
    with submission(server) as session:
        session.envelope(ALICE, "carol@far.test")
        for at in range(0, len(sent), 3):
            session.send(b"BDAT %d\r\n" % len(sent[at:at + 3]) + sent[at:at + 3])
            assert session.reply().code == 250
        session.send(b"BDAT 0 LAST\r\n")
        assert session.reply().code == 250
    assert verified(arrived(exchange)[2], records)


def test_copies_here_are_the_same(server, exchange, records):
    """One signature for a message: who has a mailbox here gets it with what the others get."""
    submit(server, text("From: alice@example.test", "Subject: x"), recipients=["carol@far.test", BOB])
    arrived(exchange)
    here = Mailbox(server, BOB).raw()[0]
    assert verified(here.partition(b"DKIM")[1] + here.partition(b"DKIM")[2], records)
    submit(server, text("From: alice@example.test", "Subject: stays"), recipients=BOB)
    wait_until(lambda: Mailbox(server, BOB).count() == 2, "it is there")
    assert not signatures(Mailbox(server, BOB).raw()[1])


def test_D07_what_strangers_send_is_not_signed(server, exchange, records):
    """Though they say they were one of ours, and it is sent on."""
    with Smtp(server.smtp) as session:
        session.deliver(message("forged", sender=ALICE), recipients="out@example.test", sender=ZOE)
    sender, _, octets = arrived(exchange)
    assert not signatures(octets)
    assert sender.startswith("SRS0=") and sender.endswith("=else.example=zoe@example.test")


def test_reports_that_leave_are_signed(server, exchange, records):
    with Smtp(server.smtp) as session:
        session.deliver(message("to be refused", sender=ZOE), recipients="lost@example.test", sender=ZOE)
    sender, recipients, octets = arrived(exchange)
    assert (sender, recipients) == ("", [ZOE])
    assert re.search(rb"\r\nFrom: [^\r]*@mail.example.test>", octets)
    assert verified(octets, records)


def test_a_record_that_is_seen_makes_its_key_sign():
    zones = Zones([Zone("keys.test", "@ MX 10 mx\nmx A 192.0.2.1", ttl=1)])
    try:
        with_dns = Server(zones.settings(), 'domain "keys.test" {}\n')
        try:
            with_dns.cli("dkim", "add", "keys.test")
            zone = {row["name"].split(".")[0]: row["zone"] for row in
                    json.loads(with_dns.cli("dkim", "show", "keys.test", json=True).stdout)}
            done = with_dns.cli("dkim", "check", "keys.test", check=False)
            assert done.returncode == 65 and done.stdout.count("there is no such record") == 2, done.stdout
            # One of them, and for the other one a key of somebody else's.
            rsa, ed = sorted(zone, key=lambda name: name.endswith("-ed"))
            other = f'{ed}._domainkey TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="'
            zones.change("keys.test", zone[rsa] + "\n" + other)
            def states():
                with_dns.cli("dkim", "check", "keys.test", check=False)
                shown = json.loads(with_dns.cli("dkim", "list", "keys.test", json=True).stdout)
                return {row["selector"]: row["state"] for row in shown}
            wait_until(lambda: states() == {rsa: "active", ed: "made"}, "what is published signs")
            zones.change("keys.test", "\n".join(zone.values()))
            wait_until(lambda: states() == {rsa: "active", ed: "active"}, "both are published")
            assert with_dns.cli("dkim", "check", "keys.test").stdout.count("it is there") == 2
        finally:
            with_dns.close()
    finally:
        zones.close()


# --- Reports ---

def reported(server, user=ALICE):
    wait_until(lambda: Mailbox(server, user).count() > 0, "the report is there")
    return Mailbox(server, user).raw()[-1].decode()


def ask(server, recipient, parameters, mail=""):
    with submission(server) as session:
        session.expect(f"MAIL FROM:<{ALICE}> {mail}".rstrip(), 250)
        session.expect(f"RCPT TO:<{recipient}> {parameters}".rstrip(), 250)
        return session.data(text("From: alice@example.test", "Subject: asked"))


def test_success_here(server):
    ask(server, BOB, "NOTIFY=SUCCESS ORCPT=rfc822;Robert+2Bx@example.test", "RET=HDRS ENVID=QQ+2B314")
    report = reported(server)
    assert "Return-Path: <>" in report and "Action: delivered" in report
    assert "Original-Envelope-Id: QQ+314" in report
    assert "Original-Recipient: rfc822;Robert+x@example.test" in report
    assert "Final-Recipient: rfc822; bob@example.test" in report


def test_success_there(server, exchange):
    ask(server, "carol@far.test", "NOTIFY=SUCCESS")
    arrived(exchange)
    assert "Action: relayed" in reported(server)


def test_failure_there_and_never(server, exchange):
    ask(server, "never@far.test", "NOTIFY=NEVER")
    ask(server, "gone@far.test", "NOTIFY=FAILURE ORCPT=rfc822;first@far.test", "RET=FULL ENVID=f")
    report = reported(server)
    assert "Action: failed" in report and "Original-Recipient: rfc822;first@far.test" in report
    assert "Hello.\r\n" in report
    assert Mailbox(server, ALICE).count() == 1 and "never@far.test" not in report


def test_what_is_held_waits(server, exchange):
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    begun = time.time()
    ask(server, "carol@far.test", "", f"HOLDUNTIL={when}")
    arrived(exchange)
    assert time.time() > begun + 1


# --- Forwards ---

def test_the_way_back(server, exchange):
    with Smtp(server.smtp) as session:
        session.deliver(message("forwarded", sender=ZOE), recipients="out@example.test", sender=ZOE)
    back, recipients, octets = arrived(exchange)
    assert recipients == ["carol@far.test"] and octets.startswith(b"Veredus-Loop: v1 ")
    with Smtp(server.smtp) as session:
        session.expect("MAIL FROM:<eve@evil.example>", 250)
        session.expect(f"RCPT TO:<{back}>", 550, "5.1.1")
        session.expect("RSET", 250)
        session.expect("MAIL FROM:<>", 250)
        session.expect("RCPT TO:<SRS0=AAAAAA=AA=victim.test=joe@example.test>", 550, "5.1.1")
        session.expect(f"RCPT TO:<{back.lower()}>", 250)
        assert session.data(b"Subject: bounce\r\n\r\nx\r\n").code == 250
    sender, recipients, _ = arrived(exchange, 2)
    assert (sender, recipients) == ("", [ZOE])


def test_S24_a_forward_that_comes_back(server, exchange):
    with Smtp(server.smtp) as session:
        session.deliver(message("in a circle", sender=ZOE), recipients="out@example.test", sender=ZOE)
        back, _, octets = arrived(exchange)
        header, empty, body = octets.partition(b"\r\n\r\n")
        stripped = re.sub(rb"Received: .*?\r\n(?![ \t])", b"", header, flags=re.S)
        session.envelope(back, "out@example.test")
        assert session.data(stripped + empty + body).code == 554
    assert len(exchange.messages) == 1
