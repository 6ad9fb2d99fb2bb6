"""`veredus explain send`: each decision about a message, as the server would make it, and nothing is sent for it."""
import json
import os
import re

import pytest

import veredus
from veredus import Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="another server's port is below 1024"),
              pytest.mark.usefixtures("own_network")]

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
SILENT = "127.0.0.41"  # nobody is there
DIRECTORY = veredus.DIRECTORY + """
account "carol@example.test" { }
alias "away@example.test" { to = "carol@example.test" to = "x@signed.test" }
moved "gone@example.test" { forward = "y@signed.test" }
list "team@example.test" { owner = "alice@example.test" member = "bob@example.test" member = "z@plain.test" }
"""
ROUTES = """
route inside { to = inside.test  via = "127.0.0.1:2525"  tls = off }
route smart { to = smart.test  via = "relay.plain.test:587"  user = me  password_file = pw  recipients_per_day = 1 }
route never { to = never.test  deny = "no mail for them" }
"""


class Sends(Server):
    def configuration(self):
        return super().configuration() + ROUTES


@pytest.fixture(scope="module")
def zones():
    served = Zones([
        Zone("signed.test", f"@ MX 10 mx\n@ MX 20 mx2\nmx A {SILENT}\nmx2 A 10.1.2.3\n"
                            f"_25._tcp.mx TLSA 3 1 1 {'00' * 32}"),
        Zone("plain.test", f"@ MX 10 mx\nmx A {SILENT}\nmx AAAA ::1\nrelay A 198.51.100.2", signed=False),
        Zone("null.test", "@ MX 0 .", signed=False),
        Zone("ours.test", "@ MX 10 mail.example.test.", signed=False),
        Zone("inward.test", "@ MX 10 mx\nmx A 169.254.1.1", signed=False),
    ])
    yield served
    served.close()


@pytest.fixture(scope="module")
def server(zones):
    settings = zones.settings(timeout="1s")
    settings.setdefault("smtp", {})["relay_from"] = '"127.0.0.1"'
    settings["sending"] = {"allow_to": f'"{SILENT}"', "connect_timeout": "1s"}
    settings["submission"] = {"recipients_per_hour": "40", "recipients_per_day": "90"}
    one = Sends(settings, directory=None)
    with open(os.path.join(one.home, "pw"), "w", encoding="ascii") as file:
        file.write("secret\n")
    os.chmod(os.path.join(one.home, "pw"), 0o600)
    one.start()
    one.apply(DIRECTORY)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""


def explained(server, sender, recipient, *words):
    done = server.cli("explain", "send", sender, recipient, *words, check=False, json=True)
    return json.loads(done.stdout), done.returncode


def steps(answer, step, about=None):
    return [one for one in answer["steps"] if one["step"] == step and about in (None, one["about"])]


def step(answer, name, about=None):
    found = steps(answer, name, about)
    assert len(found) == 1, answer
    return found[0]


def test_to_somebody_here(server):
    answer, code = explained(server, ALICE, BOB)
    assert (answer["outcome"], code) == ("delivered", 0), answer
    assert step(answer, "account")["text"].startswith(ALICE)
    assert step(answer, "sender")["state"] == "ok"
    assert "40 recipients more" in step(answer, "limits")["text"]
    assert "recipients_per_hour = 40" in step(answer, "limits")["because"]
    assert "mailbox of " + BOB in step(answer, "here")["text"]
    assert not steps(answer, "host")


def test_as_text_it_is_for_a_person(server):
    text = server.cli("explain", "send", ALICE, "x@signed.test").stdout
    assert re.search(r"^ok +account +alice@example\.test logs in and sends it\n +by: veredus account show alice@", text, re.M)
    assert "\nto x@signed.test\n" in text
    assert re.search(r"^ok +route +no route holds: by the MX of signed\.test\n +by: veredus route list$", text, re.M)
    assert text.endswith("So: it would leave at once\n")


def test_addresses_stand_in_commands_as_they_are_written(server):
    text = server.cli("explain", "send", ALICE, "用户@例子.测试").stdout
    assert "by: veredus account show 用户@例子.测试\n" in text and "xn--" not in text


def test_DANE_and_what_is_behind_an_MX(server):
    answer, code = explained(server, ALICE, "x@signed.test")
    assert (answer["outcome"], code) == ("sent", 0), answer
    first, second = steps(answer, "host")
    assert (first["host"], first["port"], first["preference"], first["addresses"]) == ("mx.signed.test", 25, 10, [SILENT])
    assert "TLSA records tell" in first["text"] and "DANE" in first["because"] and first["tlsa_records"] == 1
    assert second["addresses"] == ["10.1.2.3"] and "if it has it" in second["text"]
    assert "no key that signs" in step(answer, "signature")["text"]
    assert step(answer, "queue")["text"] == "nothing waits for it"
    assert "own sender" in step(answer, "name")["text"]


def test_REQUIRETLS_wants_more(server):
    answer, code = explained(server, ALICE, "x@plain.test", "--requiretls")
    assert (answer["outcome"], code) == ("returned", 1), answer
    assert "passed over" in step(answer, "host")["text"] and "5.7.10" in step(answer, "hosts")["text"]
    answer, code = explained(server, ALICE, "x@signed.test", "--requiretls")
    assert (answer["outcome"], code) == ("sent", 0), answer
    second = steps(answer, "host")[1]
    assert "authority's certificate" in second["text"] and second["because"] == "REQUIRETLS"
    assert explained(server, ALICE, "x@inside.test", "--requiretls")[0]["outcome"] == "returned"  # its route is without
    assert explained(server, "<>", "x@plain.test", "--requiretls")[0]["outcome"] == "sent"


def test_N02_an_address_that_mail_is_never_sent_to_is_named(server):
    answer, _ = explained(server, ALICE, "x@plain.test")
    host = step(answer, "host")
    assert host["addresses"] == [SILENT] and "not ::1: a loopback address" in host["text"]
    answer, code = explained(server, ALICE, "x@inward.test")
    assert (answer["outcome"], code) == ("waits", 75), answer
    assert "169.254.1.1: a link-local address" in step(answer, "host")["text"]


@pytest.mark.parametrize("recipient, outcome, words", [
    ("x@null.test", "returned", "null MX"),
    ("x@ours.test", "returned", "5.4.6"),
    ("x@unheard-of.null.test", "returned", "5.1.2"),
])
def test_what_would_go_back(server, recipient, outcome, words):
    answer, code = explained(server, ALICE, recipient)
    assert (answer["outcome"], code) == (outcome, 1), answer
    assert words in step(answer, "hosts")["text"]


def test_a_route_stands_before_the_MX(server):
    answer, code = explained(server, ALICE, "x@inside.test")
    assert (answer["outcome"], code) == ("sent", 0), answer
    assert step(answer, "route")["because"] == "route inside { to = inside.test }"
    host = step(answer, "host")
    assert (host["host"], host["port"], host["addresses"]) == ("127.0.0.1", 2525, ["127.0.0.1"])


def test_a_smart_host_with_its_log_in_and_its_limits(server):
    answer, _ = explained(server, ALICE, "x@smart.test")
    assert "logs in there as me" in step(answer, "log-in")["text"]
    assert "0 of 1 recipients of a day" in step(answer, "limits", "x@smart.test")["text"]
    host = step(answer, "host")
    assert host["port"] == 587 and "authority's certificate" in host["text"] and host["because"] == "route smart { tls }"
    assert "secret" not in json.dumps(answer)


def test_a_route_that_refuses(server):
    answer, code = explained(server, ALICE, "x@never.test")
    assert (answer["outcome"], code) == ("refused", 1)
    refused = step(answer, "recipient")
    assert "550 5.7.1" in refused["text"] and "no mail for them" in refused["text"]
    assert refused["because"] == "route never { deny }"


def test_nobody_and_strangers(server):
    answer, code = explained(server, ALICE, "nobody@example.test")
    assert (answer["outcome"], code) == ("refused", 1) and "550 5.1.1" in step(answer, "recipient")["text"]
    answer, code = explained(server, "x@plain.test", "y@plain.test", "--client", "203.0.113.9")
    assert (answer["outcome"], code) == ("refused", 1)
    assert "Relaying denied" in step(answer, "recipient")["text"] and "relay_from" in step(answer, "recipient")["because"]
    answer, code = explained(server, "x@plain.test", BOB, "--client", "203.0.113.9")
    assert (answer["outcome"], code) == ("delivered", 0)
    answer, code = explained(server, "x@plain.test", "y@plain.test")
    assert (answer["outcome"], code) == ("sent", 0), answer  # a client that may relay
    assert "may relay" in step(answer, "sender")["text"]


def test_another_s_address_is_not_sent_as(server):
    answer, code = explained(server, BOB, "x@plain.test", "--account", ALICE)
    assert (answer["outcome"], code) == ("refused", 1)
    refused = step(answer, "sender")
    assert "553 5.7.1" in refused["text"] and refused["because"] == f"veredus account grant add {ALICE} {BOB}"
    assert steps(answer, "host")  # what comes behind it is told all the same


def test_an_account_on_hold(server):
    server.cli("account", "hold", CAROL, "--why", "odd mail")
    answer, code = explained(server, CAROL, "x@plain.test")
    server.cli("account", "release", CAROL)
    assert (answer["outcome"], code) == ("refused", 1)
    assert "odd mail" in step(answer, "limits")["text"] and "release" in step(answer, "limits")["because"]
    assert explained(server, CAROL, "x@plain.test")[0]["outcome"] == "sent"


def test_aliases_lists_and_the_moved(server):
    answer, _ = explained(server, "s@plain.test", "away@example.test")
    assert "carol@example.test, by away@" in step(answer, "here")["text"]
    led = step(answer, "recipient")
    assert "away@example.test leads to x@signed.test" in led["text"]
    assert led["because"] == "veredus alias show away@example.test"
    assert "SRS0=" in step(answer, "name")["text"]
    answer, _ = explained(server, "s@plain.test", "gone@example.test")
    assert step(answer, "recipient")["because"] == "veredus moved show gone@example.test"
    assert "251" in step(answer, "recipient")["text"] and "SRS0=" in step(answer, "name")["text"]
    answer, _ = explained(server, "s@plain.test", "team@example.test")
    assert "by the list team@" in step(answer, "here")["text"]
    assert "list's owner as sender, alice@" in step(answer, "name")["text"]


def test_keys_that_sign(server):
    server.cli("dkim", "add", "example.test")
    assert "no key that signs" in step(explained(server, ALICE, "x@plain.test")[0], "signature")["text"]
    server.cli("dkim", "published", "example.test")
    signed = step(explained(server, ALICE, "x@plain.test")[0], "signature")["text"]
    assert "-rsa" in signed and "-ed" in signed
    stranger = step(explained(server, "s@plain.test", "away@example.test", "--client", "203.0.113.9")[0], "signature")
    assert "strangers" in stranger["text"]


def test_a_message_that_is_too_large(server):
    answer, code = explained(server, ALICE, BOB, "--size", "51M")
    assert (answer["outcome"], code) == ("refused", 1) and "552" in step(answer, "size")["text"]
    assert explained(server, ALICE, BOB, "--size", "1M")[1] == 0


def test_a_destination_in_trouble_and_one_that_is_paused(server):
    with Smtp(server.smtp) as session:
        session.deliver(message("Hello", sender=ALICE), recipients=["x@plain.test"], sender=ALICE)
    wait_until(lambda: "not be connected" in step(explained(server, ALICE, "y@plain.test")[0], "queue")["text"],
               "its destination is in trouble")
    assert explained(server, ALICE, "y@plain.test")[1] == 75
    server.cli("queue", "pause", "signed.test")
    paused = step(explained(server, ALICE, "x@signed.test")[0], "queue")
    server.cli("queue", "resume", "signed.test")
    assert paused["state"] == "WAITS" and paused["because"] == "veredus queue resume signed.test"


def test_nothing_was_stored_or_sent(server):
    entries = server.cli("queue", "list", "--json").stdout.splitlines()
    explained(server, ALICE, "x@signed.test")
    explained(server, ALICE, BOB)
    assert server.cli("queue", "list", "--json").stdout.splitlines() == entries
    assert "x@signed.test" not in server.cli("trace", "--to", "x@signed.test", check=False).stdout


@pytest.mark.parametrize("words, code", [
    (("a b", "x@plain.test"), 65), ((ALICE, "plain.test"), 65), ((ALICE, "@plain.test"), 65),
    ((ALICE, BOB, "--size", "none"), 64), ((ALICE, BOB, "--client", "x"), 64),
    ((ALICE, BOB, "--account", "nobody@example.test"), 67), ((ALICE,), 64),
])
def test_what_is_typed_wrong_is_said(server, words, code):
    done = server.cli("explain", "send", *words, check=False)
    assert done.returncode == code and done.stderr.startswith("veredus: "), done.stderr


@pytest.mark.restarts
def test_without_a_server_it_says_so(server):
    server.stop()
    done = server.cli("explain", "send", ALICE, BOB, check=False)
    assert done.returncode == 69 and "down" in done.stderr
    server.start()
