"""Mail for others, from the client's DATA to another server's: found in the DNS, connected, given over, tried again,
returned."""
import os

import pytest

import veredus
from sinks import Exchange
from veredus import Mailbox, Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="the other server's port is below 1024"),
              pytest.mark.usefixtures("own_network")]

HOST = "127.0.0.9"  # where the others' servers are: MX has no port, so it is 25
ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture(scope="module")
def zones():
    with_zones = Zones([
        Zone("far.test", f"@ MX 10 mx\nmx A {HOST}"),
        Zone("null.test", "@ MX 0 ."),
        Zone("silent.test", "@ MX 10 mx\nmx A 127.0.0.10"),  # nobody listens there
        Zone("inside.test", "@ MX 10 mx\nmx A 127.0.0.1"),  # where we are: never connected
    ])
    yield with_zones
    with_zones.close()


@pytest.fixture(scope="module")
def exchange():
    one = Exchange(HOST)
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(zones, exchange, directory):
    settings = zones.settings()
    settings.setdefault("smtp", {})["relay_from"] = '"127.0.0.1"'
    settings["sending"] = {"allow_to": '{"127.0.0.9" "127.0.0.10"}', "retry_first": "1s", "retry_most": "2s",
                           "connect_timeout": "2s", "warn_after": "0s"}
    one = Server(settings, directory)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def clean(server, exchange):
    for user in (ALICE, BOB):
        Mailbox(server, user).empty()
    exchange.messages.clear()
    exchange.later = 0


def send(server, recipients, sender=ALICE, subject="Hello"):
    with Smtp(server.smtp) as session:
        return session.deliver(message(subject, sender=sender), recipients=recipients, sender=sender)


def arrived(exchange, count):
    wait_until(lambda: len(exchange.messages) >= count, "the other server has it")
    return exchange.messages


def story(server, name):
    return server.cli("trace", name).stdout


def test_a_message_reaches_another_server(server, exchange):
    name = send(server, "carol@far.test")
    (sender, recipients, octets), = arrived(exchange, 1)
    assert (sender, recipients) == (ALICE, ["carol@far.test"])
    header, _, body = octets.partition(b"\r\n\r\n")
    assert header.startswith(b"Received: ") and name.encode() in header and b"\r\nSubject: Hello\r\n" in header
    assert body == b"Hello Bob.\r\n"
    wait_until(lambda: "Sent to <carol@far.test> by mx.far.test" in story(server, name), "the trace says so")


def test_some_here_and_some_there(server, exchange):
    send(server, ["carol@far.test", BOB, "dora@far.test"])
    (_, recipients, _), = arrived(exchange, 1)
    assert recipients == ["carol@far.test", "dora@far.test"]
    assert Mailbox(server, BOB).count() == 1


def test_who_is_told_later_comes_again(server, exchange):
    exchange.later = 2
    name = send(server, "carol@far.test")
    arrived(exchange, 1)
    wait_until(lambda: "Sent to" in story(server, name), "it was sent")
    assert story(server, name).count("Not sent yet to <carol@far.test> (mx.far.test: 451 4.7.1 come again)") == 2


def test_a_refusal_comes_back(server, exchange):
    name = send(server, ["gone@far.test", "carol@far.test"])
    (_, recipients, _), = arrived(exchange, 1)
    assert recipients == ["carol@far.test"]
    wait_until(lambda: Mailbox(server, ALICE).count() == 1, "the report is there")
    report = Mailbox(server, ALICE).raw()[0].decode()
    assert "Return-Path: <>" in report and "multipart/report" in report
    assert "gone@far.test" in report and "no such user" in report and "carol@far.test" not in report
    assert "Not sent to <gone@far.test>, and given up" in story(server, name)


def test_a_domain_that_takes_no_mail(server):
    name = send(server, "carol@null.test")
    wait_until(lambda: Mailbox(server, ALICE).count() == 1, "the report is there")
    assert "5.1.10" in Mailbox(server, ALICE).raw()[0].decode()
    assert "given up" in story(server, name)


def test_a_domain_that_there_is_not(server):
    send(server, "carol@nowhere.far.test")
    wait_until(lambda: Mailbox(server, ALICE).count() == 1, "the report is there")
    assert "Action: failed" in Mailbox(server, ALICE).raw()[0].decode()


def test_N02_no_stranger_leads_us_to_ourselves(server):
    name = send(server, "carol@inside.test")
    wait_until(lambda: "carol@inside.test>" in story(server, name).partition("Queued")[2].partition("\n")[2],
               "it was tried")
    assert "never sent to (127.0.0.1 port 25)" in story(server, name)
    assert "Sent to" not in story(server, name)


def test_nobody_listens_and_it_waits(server):
    name = send(server, "carol@silent.test")
    wait_until(lambda: "Not sent yet to <carol@silent.test>" in story(server, name), "it was tried")
    assert Mailbox(server, ALICE).count() == 0


def test_what_waits_goes_after_all_were_killed(server, exchange):
    exchange.later = 1
    name = send(server, "carol@far.test")
    wait_until(lambda: "Not sent yet" in story(server, name), "it was tried")
    server.stop(hard=True)
    # A dying process may hold the store's lock for a moment.
    wait_until(lambda: server.cli("fsck", check=False).returncode == 0, "the store is whole, and nobody has it")
    server.start()
    arrived(exchange, 1)
    assert len(exchange.messages) == 1


def test_a_courier_that_is_killed_loses_nothing(server, exchange):
    os.kill(server.role("courier")[0], 9)
    send(server, "carol@far.test")
    arrived(exchange, 1)
    server.wait_renewed()
