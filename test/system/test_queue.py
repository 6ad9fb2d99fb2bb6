"""The operator's hand on the queue: what waits, why, and what `veredus queue` makes of it while the server runs."""
import json
import os
import re
import subprocess

import pytest

import veredus
from sinks import Exchange
from test_submission import submission
from veredus import Mailbox, Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="the other server's port is below 1024"),
              pytest.mark.usefixtures("own_network")]

HOST, SILENT, LOST = "127.0.0.61", "127.0.0.62", "127.0.0.63"
ALICE, BOB = "alice@example.test", "bob@example.test"
MANY, DOMAINS = 130, 50  # messages, and entries of each: more lines than core keeps for who does not read them (4 MB)


@pytest.fixture(scope="module")
def zones():
    with_zones = Zones([
        Zone("far.test", f"@ MX 10 mx\nmx A {HOST}"),
        Zone("near.test", f"@ MX 10 mx\nmx A {HOST}"),
        Zone("silent.test", f"@ MX 10 mx\nmx A {SILENT}"),  # nobody listens there
        Zone("lost.test", f"@ MX 10 mx\nmx A {LOST}"),
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
    settings["smtp"] = {"relay_from": '"127.0.0.1"', "messages_per_minute": "0"}
    settings["submission"] = {"brake_least": "0"}
    settings["sending"] = {"allow_to": f'{{"{HOST}" "{SILENT}" "{LOST}"}}', "retry_first": "1h", "retry_most": "2h",
                           "connect_timeout": "2s", "warn_after": "0s"}
    one = Server(settings, directory)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def clean(server, exchange):
    queue(server, "remove", "--all")
    wait_until(lambda: not listed(server), "what was under way is over")
    queue(server, "resume", check=False)
    for user in (ALICE, BOB):
        Mailbox(server, user).empty()
    exchange.messages.clear()


def queue(server, *words, check=True):
    return server.cli("queue", *words, check=check).stdout


def listed(server, *filters):
    return [json.loads(line) for line in server.cli("queue", "list", *filters, json=True).stdout.splitlines()]


def listed_without(server):
    """By the command itself. The store is somebody's until the kernel has buried who was killed."""
    def there():
        done = server.cli("queue", "list", check=False, json=True)
        assert done.returncode in (0, 75), f"{done.returncode}: {done.stdout}{done.stderr}"
        return done if done.returncode == 0 else None
    return [json.loads(line) for line in wait_until(there, "the store is free").stdout.splitlines()]


def send(server, recipients, sender=ALICE):
    with Smtp(server.smtp) as session:
        return session.deliver(message(sender=sender), recipients=recipients, sender=sender)


def arrived(exchange, count):
    wait_until(lambda: len(exchange.messages) >= count, "the other server has it")
    return sorted(recipients[0] for _, recipients, _ in exchange.messages)


def in_trouble(server, recipient="carol@silent.test"):
    """Somebody's message whose destination was tried, and is quiet."""
    name = send(server, recipient)
    wait_until(lambda: [one["tries"] for one in listed(server)] == [1], "it was tried")
    return name


def test_a_list_says_why_each_waits(server):
    in_trouble(server)
    one, = listed(server)
    assert (one["state"], one["reason"], one["tries"]) == ("waiting", "trouble", 1)
    assert one["recipients"] == ["carol@silent.test"] and "Connection refused" in one["last"]["text"]
    line, = queue(server, "list").splitlines()
    assert line.startswith(one["id"] + "  age: ") and "state: waiting, why: the other server could not be reached" in line
    assert "cannot connect: Connection refused" in line and ", tries: 1, next: 2" in line
    shown = queue(server, "show", one["id"])
    assert "carol@silent.test" in shown and "cannot connect: Connection refused" in shown
    assert re.search(r"^age +\d+[sm]", shown, re.M)
    assert "silent.test  entries: 1" in queue(server, "top")


def test_filters_choose(server):
    queue(server, "pause")
    send(server, ["carol@far.test", "dora@near.test"])
    send(server, "erna@far.test", sender=BOB)
    assert len(listed(server)) == 3
    assert len(listed(server, "--domain", "far.test")) == 2
    assert len(listed(server, "--sender", ALICE)) == 2
    assert len(listed(server, "--sender", ALICE, "--domain", "far.test")) == 1
    assert len(listed(server, "--recipient", "dora@*")) == 1
    assert len(listed(server, "--reason", "paused")) == 3
    assert len(listed(server, "--state", "held")) == 0
    assert len(listed(server, "--older", "1h")) == 0
    assert len(listed(server, "--younger", "1h", "--limit", "2")) == 2
    assert [one["domain"] for one in listed(server, listed(server, "--sender", BOB)[0]["id"])] == ["far.test"]


def test_mailq_is_what_scripts_know(server):
    assert queue(server, "list", "--mailq") == "Mail queue is empty\n"
    queue(server, "pause")
    send(server, ["carol@far.test", "dora@far.test"])
    lines = queue(server, "list", "--mailq").splitlines()
    assert lines[0] == "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
    assert lines[1].endswith("  " + ALICE) and lines[2].strip() == "carol@far.test" and lines[3].strip() == "dora@far.test"
    assert lines[-1] == "-- 0 Kbytes in 1 Request."


def test_a_pause_holds_all_or_one(server, exchange):
    assert queue(server, "pause", "far.test") == "paused destination far.test\n"
    send(server, ["carol@far.test", "dora@near.test"])
    assert arrived(exchange, 1) == ["dora@near.test"]
    assert [one["reason"] for one in listed(server)] == ["paused"]
    assert queue(server, "resume", "far.test") == "resumed destination far.test\n"
    assert arrived(exchange, 2) == ["carol@far.test", "dora@near.test"]


def test_what_is_held_goes_when_it_is_released(server, exchange):
    queue(server, "pause")
    send(server, "carol@far.test")
    send(server, "dora@far.test")
    held, = listed(server, "--recipient", "carol@far.test")
    assert queue(server, "hold", held["id"], "--why", "looks odd") == "held 1 entry\n"
    queue(server, "resume")
    assert arrived(exchange, 1) == ["dora@far.test"]
    wait_until(lambda: len(listed(server)) == 1, "the other one is gone")
    assert listed(server)[0]["why"] == "held by an operator: looks odd"
    assert "! " in queue(server, "list", "--mailq")
    assert queue(server, "release", "--state", "held") == "released 1 entry\n"
    assert arrived(exchange, 2) == ["carol@far.test", "dora@far.test"]


def test_a_retry_tries_what_was_in_trouble(server):
    name = in_trouble(server)
    late = Exchange(SILENT)
    try:
        assert queue(server, "retry", name) == "made due 1 entry\n"
        assert arrived(late, 1) == ["carol@silent.test"]
    finally:
        late.close()


def test_what_is_removed_is_told_where_that_is_said(server):
    queue(server, "pause")
    send(server, "carol@far.test")
    assert queue(server, "remove", "--domain", "far.test", "--report", "--why", "not ours") == "removed 1 entry\n"
    wait_until(lambda: Mailbox(server, ALICE).count() == 1, "the report is there")
    assert "not ours" in Mailbox(server, ALICE).raw()[0].decode()
    send(server, "dora@far.test")
    assert queue(server, "remove", "--all") == "removed 1 entry\n"
    assert listed(server) == [] and Mailbox(server, ALICE).count() == 1
    assert server.cli("queue", "remove", check=False).returncode == 64


def test_an_entry_goes_another_way(server, exchange):
    name = in_trouble(server, "carol@lost.test")
    assert queue(server, "reroute", name, "--to", f"{HOST}:25") == "rerouted 1 entry\n"
    assert arrived(exchange, 1) == ["carol@lost.test"]


@pytest.mark.restarts
@pytest.mark.parametrize("hard", [False, True])
def test_holds_and_pauses_outlive_a_restart(server, exchange, hard):
    queue(server, "pause", "near.test")
    queue(server, "pause", "far.test")
    send(server, ["carol@far.test", "dora@near.test"])
    queue(server, "hold", "--domain", "far.test", "--why", "wait")
    server.stop(hard=hard)
    offline = listed_without(server)
    assert [(one["domain"], one["state"]) for one in offline if one["state"] == "held"] == [("far.test", "held")]
    server.start()
    queue(server, "resume", "far.test")
    send(server, "erna@far.test")
    assert arrived(exchange, 1) == ["erna@far.test"]
    wait_until(lambda: len(listed(server)) == 2, "it is gone")
    assert {one["domain"]: one["reason"] for one in listed(server)} == {"far.test": "held", "near.test": "paused"}
    queue(server, "release", "--all")
    queue(server, "resume", "near.test")
    assert arrived(exchange, 3) == ["carol@far.test", "dora@near.test", "erna@far.test"]


def test_a_list_is_a_stream(server):
    """Who reads its first lines has them while the others are still looked for: what is removed meanwhile is not in it."""
    long = f"{'l' * 50}.{'o' * 50}.{'n' * 50}.far.test"
    queue(server, "pause")
    for _ in range(MANY):
        send(server, [f"{'x' * 60}@d{number}.{long}" for number in range(DOMAINS)], sender=f"{'x' * 60}@{long}")
    last = send(server, "last@far.test")
    with subprocess.Popen([veredus.BINARY, "queue", "list", "--json", "--home", server.home], stdout=subprocess.PIPE,
                          text=True) as listing:
        assert json.loads(listing.stdout.readline())["reason"] == "paused"
        assert queue(server, "remove", last) == "removed 1 entry\n"
        rest = listing.stdout.read()
    assert listing.returncode == 0
    assert len(rest.splitlines()) == MANY * DOMAINS - 1 and "last@far.test" not in rest
    assert queue(server, "remove", "--all") == f"removed {MANY * DOMAINS} entries\n"


def test_what_waits_is_held_with_its_account(server, exchange):
    queue(server, "pause")
    with submission(server) as session:
        session.deliver(message(), recipients="carol@far.test", sender=ALICE)
    send(server, "dora@far.test", sender=BOB)
    assert server.cli("account", "hold", ALICE).stdout == f"held account {ALICE} and 1 entry of the queue\n"
    queue(server, "resume")
    assert arrived(exchange, 1) == ["dora@far.test"]
    one, = listed(server, "--account", ALICE)
    assert (one["state"], one["why"]) == ("held", "sending from its account is on hold")
    assert server.cli("account", "release", ALICE).stdout == f"released account {ALICE} and 1 entry of the queue\n"
    assert arrived(exchange, 2) == ["carol@far.test", "dora@far.test"]


def test_what_is_held_for_somebody_here_is_there_at_its_time(server):
    with submission(server) as session:
        session.deliver(message(), recipients=BOB, sender=ALICE, parameters=" HOLDFOR=3600")
    one, = listed(server)
    assert (one["reason"], one["recipients"]) == ("later", [BOB]) and Mailbox(server, BOB).count() == 0
    assert queue(server, "retry", one["id"]) == "made due 1 entry\n"
    wait_until(lambda: Mailbox(server, BOB).count() == 1, "it is there")
    with submission(server) as session:
        session.deliver(message(), recipients=BOB, sender=ALICE, parameters=" HOLDFOR=1")
    wait_until(lambda: Mailbox(server, BOB).count() == 2, "it is there at its time")
    assert listed(server) == []
