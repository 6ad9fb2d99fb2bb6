"""The door by DNS, from outside: an nsd of the test's own says who clients are, a filter stands for them (XCLIENT)."""
import pytest

import veredus
from veredus import Server, Smtp, message, wait_until
from zones import Zone, Zones

LISTED = "\n".join(["2.0.0.127 A 127.0.0.2", "9.2.0.192 A 127.0.0.2",
                    '9.2.0.192 TXT "caught in the act \\"quoted\\" \\009tab"',
                    "test A 127.0.0.2", "spam.door.test A 127.0.0.2"])


@pytest.fixture(scope="module")
def served():
    zones = Zones([
        Zone("door.test", "mail A 192.0.2.1\nmail A 192.0.2.9\nmail AAAA 2001:db8::1\nliar A 198.51.100.1\nsender MX 10 mail\n"
             "null MX 0 .\nspam MX 10 mail\nbare TXT \"x\"", signed=False),
        Zone("2.0.192.in-addr.arpa", "1 PTR mail.door.test.\n2 PTR liar.door.test.\n9 PTR mail.door.test.", signed=False),
        Zone("8.b.d.0.1.0.0.2.ip6.arpa", ".".join("1" + "0" * 23) + " PTR mail.door.test.", signed=False),
        Zone("list.test", LISTED, signed=False),
        Zone("wide.test", "* A 127.0.0.2", signed=False),
    ])
    yield zones
    zones.close()


@pytest.fixture(scope="module")
def settings(served):
    dead = veredus.free_ports(1)[0]
    zones = served.settings(timeout="1s")
    for name, zone in zones.items():
        if name.startswith("zone "):
            zone["dnssec"] = "no"
    return {**zones, "zone dead.test": {"servers": f'"127.0.0.1:{dead}"', "dnssec": "no"},
            "smtp": {"xclient_from": "127.0.0.1", "reverse_dns": "refuse", "sender_check": "refuse", "processes": "1",
                     "dns_wait": "20s"},
            "dns_list caught": {"zone": "list.test", "refuse": "yes"},
            "dns_list names": {"zone": "list.test", "of": "{sender}", "refuse": "yes"},
            "dns_list wide": {"zone": "wide.test", "refuse": "yes"},
            "dns_list dead": {"zone": "dead.test", "refuse": "yes"}}


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""


def standing_for(server, address, helo="mail.door.test"):
    session = Smtp(server.smtp)
    prefix = "IPV6:" if ":" in address else ""
    session.expect(f"XCLIENT ADDR={prefix}{address}", 220)
    session.expect(f"EHLO {helo}", 250)
    return session


def answer(server, address, sender="a@sender.door.test", recipient="bob@example.test"):
    with standing_for(server, address) as session:
        session.expect(f"MAIL FROM:<{sender}>", 250)
        return session.command(f"RCPT TO:<{recipient}>")


def test_who_has_a_name_that_leads_back_comes_in(server):
    with standing_for(server, "192.0.2.1") as session:
        session.envelope("a@sender.door.test", "bob@example.test")
        reply = session.data(message("named"))
    assert reply.code == 250
    received = veredus.Mailbox(server, "bob@example.test").raw()[-1]
    assert b"from mail.door.test (mail.door.test [192.0.2.1])" in received
    trace = server.cli("trace", reply.id, json=True).stdout
    assert 'name=\\"mail.door.test\\"' in trace and "found=" not in trace
    assert answer(server, "2001:db8::1").code == 250


def test_who_has_none_is_refused(server):
    reply = answer(server, "192.0.2.3")
    assert (reply.code, reply.enhanced) == (550, "5.7.25") and "it has none" in reply.text
    reply = answer(server, "192.0.2.2")
    assert (reply.code, reply.enhanced) == (550, "5.7.25") and "lead back" in reply.text
    wait_until(lambda: server.logged("refused_by_dns", also="client=192.0.2.2"), "it is logged")
    assert answer(server, "192.0.2.2", recipient="postmaster@example.test").code == 250


def test_lists(server):
    reply = answer(server, "192.0.2.9")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert 'caught: caught in the act "quoted" ?tab' in reply.text
    reply = answer(server, "192.0.2.1", sender="a@spam.door.test")
    assert reply.code == 550 and "names" in reply.text
    wait_until(lambda: server.logged("dns_list_broken", also="wide.test"), "the list of all is noted")


def test_senders_that_take_no_mail(server):
    reply = answer(server, "192.0.2.1", "a@null.door.test")
    assert (reply.code, reply.enhanced) == (550, "5.7.27")
    for sender in ("a@bare.door.test", "a@nothing.door.test"):
        reply = answer(server, "192.0.2.1", sender)
        assert (reply.code, reply.enhanced) == (550, "5.1.8")
    assert answer(server, "192.0.2.1", "").code == 250
    assert answer(server, "192.0.2.1", "a@dead.test").code == 250  # nobody knows


def test_nobody_is_asked_about_ourselves(server):
    with Smtp(server.smtp) as session:
        session.expect("MAIL FROM:<a@nothing.door.test>", 250)
        session.expect("RCPT TO:<bob@example.test>", 250)
