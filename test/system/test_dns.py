"""The resolver from outside: `veredus dns query` against servers of the test's own, good ones and bad ones (catalogue
N01, N03, S28). Nobody asks the internet."""
import concurrent.futures
import json
import os
import signal
import struct
import subprocess
import time

import pytest

import veredus
import zones
from veredus import BINARY, wait_until
from zones import Answering, Relay, Zone, Zones

LIMIT = 5  # seconds that an answer may take here
CHAIN = "\n".join(f"c{n} CNAME c{n + 1}" for n in range(50)) + "\nc50 A 192.0.2.50"
MANY = "\n".join(f"many MX {n} host{n}" for n in range(500)) + "\n" + \
    "\n".join(f"more MX {n} host{n}" for n in range(600))
TLSA = "3 1 1 " + "0123456789abcdef" * 4
RECORDS = f"""@ MX 20 mx2
@ MX 10 mx
mx A 192.0.2.1
mx AAAA 2001:db8::1
www CNAME mx
@ TXT "v=spf1 -all" "second"
none MX 0 .
_25._tcp.mx TLSA {TLSA}
*.wild A 192.0.2.9
{CHAIN}
{MANY}"""


class Hostile:
    """One server, and what it says to each name."""

    def __init__(self):
        self.silent = False
        self.server = Answering(self.answer)

    def answer(self, message, over_tcp):
        name, kind, _ = zones.question_of(message)
        how = name.split(".")[0]
        address = zones.record(name, "A", bytes([192, 0, 2, 7]))
        if kind != "A":
            return zones.reply(message)
        if how == "wrongid":
            number = struct.unpack(">H", message[:2])[0]
            return [zones.reply(message, [address], number=(number + turn) & 0xffff) for turn in range(1, 50)]
        if how == "truncated":  # and over TCP it says nothing
            return None if over_tcp else zones.reply(message, flags=0x8600)
        if how == "noise":
            return [os.urandom(12 + turn) for turn in range(40)] + [message[:2] + os.urandom(60)]
        if how == "loop":
            pointer = struct.pack(">2HIH", 1, 1, 60, 4) + bytes(4)
            return zones.reply(message)[:6] + struct.pack(">3H", 1, 0, 0) + message[12:zones.question_of(message)[2]] + \
                b"\xc0" + bytes([zones.question_of(message)[2]]) + pointer
        if how == "forever":
            return zones.reply(message, [zones.record(name, "A", bytes([192, 0, 2, 7]), ttl=0x80000000)])
        if how == "long":
            return zones.reply(message, [zones.record(name, "A", bytes([192, 0, 2, 7]), ttl=0x7fffffff)])
        if how == "refused":
            return zones.reply(message, rcode=5)
        if how == "later" and self.silent:
            return None
        return zones.reply(message, [address])


@pytest.fixture(scope="module")
def hostile():
    one = Hostile()
    yield one
    one.server.close()


@pytest.fixture(scope="module")
def served():
    given = Zones([
        Zone("zones.test", RECORDS),
        Zone("plain.zones.test", '@ TXT "hello"', signed=False),
        Zone("bad.zones.test", "@ A 192.0.2.7", spoil=("192.0.2.7", "192.0.2.8")),
        Zone("false.zones.test", "@ A 192.0.2.7", false_ds=True),
        Zone("2.0.192.in-addr.arpa", "1 PTR mx.zones.test.\n2 PTR a\\013\\010b.zones.test.", signed=False),
    ])
    yield given
    given.close()


@pytest.fixture(scope="module")
def relay(served):
    one = Relay(served.port)
    yield one
    one.close()


@pytest.fixture(scope="module")
def settings(served, relay, hostile):
    dead = veredus.free_ports(1)[0]
    return {**served.settings(port=relay.port, timeout=f"{LIMIT}s"),
            "zone hostile.test": {"servers": f'"127.0.0.1:{hostile.server.port}"'},
            "zone dead.test": {"servers": f'"127.0.0.1:{dead}"'}}


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""


def ask(server, *words):
    done = server.cli("dns", "query", *words, check=False, json=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def found(server, *words):
    answer, code = ask(server, *words)
    assert code == 0 and answer["outcome"] == "found", answer
    return sorted(answer["records"]), answer["dnssec"]


def test_records_of_every_type(server):
    assert found(server, "zones.test") == (["10 mx.zones.test.", "20 mx2.zones.test."], "secure")
    assert found(server, "MX.zones.test.", "a") == (["192.0.2.1"], "secure")
    assert found(server, "mx.zones.test", "AAAA") == (["2001:db8::1"], "secure")
    assert found(server, "zones.test", "TXT") == (['"v=spf1 -all" "second"'], "secure")
    assert found(server, "_25._tcp.mx.zones.test", "TLSA") == ([TLSA], "secure")
    assert found(server, "www.zones.test", "CNAME") == (["mx.zones.test."], "secure")
    assert found(server, "none.zones.test", "MX") == (["0 ."], "secure")
    assert found(server, "x.y.wild.zones.test", "A") == (["192.0.2.9"], "secure")
    assert found(server, "192.0.2.1") == (["mx.zones.test."], "insecure")
    assert found(server, "::ffff:192.0.2.1", "PTR") == (["mx.zones.test."], "insecure")
    answer, _ = ask(server, "www.zones.test", "A")
    assert (answer["canonical"], answer["records"]) == ("mx.zones.test", ["192.0.2.1"])
    assert answer["ttl"] <= 300 and answer["rcode"] == "NOERROR"


def test_as_text(server):
    text = server.cli("dns", "query", "zones.test", "TXT").stdout
    assert 'records          "v=spf1 -all" "second"\n' in text and "dnssec           secure\n" in text
    assert server.cli("dns", "query", "zones.test", "ANY", check=False).returncode == 64
    assert server.cli("dns", "query", "a b.test", check=False).returncode == 65


def test_absence_is_known_and_kept(server, relay):
    for words, outcome, rcode in ((("nope.zones.test", "MX"), "no such name", "NXDOMAIN"),
                                  (("mx.zones.test", "TXT"), "no such record", "NOERROR")):
        answer, code = ask(server, *words)
        assert (answer["outcome"], answer["rcode"], code) == (outcome, rcode, 68)
        assert answer["dnssec"] == "secure" and 0 < answer["ttl"] <= 300
        asked = len(relay.asked)
        assert ask(server, *words)[0]["outcome"] == outcome
        assert len(relay.asked) == asked, "asked a second time"


def test_an_answer_is_kept_for_all(server, relay):
    found(server, "mx2.wild.zones.test", "A")
    asked = len(relay.asked)
    assert found(server, "MX2.wild.zones.test", "A") == (["192.0.2.9"], "secure")
    assert len(relay.asked) == asked


def test_unsigned_is_insecure_and_falsely_signed_is_no_answer(server):
    assert found(server, "plain.zones.test", "TXT") == (['"hello"'], "insecure")
    for name in ("bad.zones.test", "false.zones.test"):
        answer, code = ask(server, name, "A")
        assert (answer["outcome"], answer["dnssec"], code) == ("not to be believed", "bogus", 75)
        assert answer["records"] == [] and name in answer["why"]


def test_N01_five_hundred_records_and_more(server):
    answer, _ = ask(server, "many.zones.test", "MX")
    assert len(answer["records"]) == 500 and not answer["more"]
    answer, _ = ask(server, "more.zones.test", "MX")
    assert len(answer["records"]) == 512 and answer["more"]


def test_N01_a_chain_has_an_end(server):
    answer, code = ask(server, "c42.zones.test", "A")
    assert (answer["canonical"], answer["records"], code) == ("c50.zones.test", ["192.0.2.50"], 0)
    assert ask(server, "c0.zones.test", "A")[1] == 75


def test_N01_no_answer_in_time_is_no_answer(server):
    """All at once: each takes as long as an answer may."""
    names = ["wrongid.hostile.test", "truncated.hostile.test", "noise.hostile.test", "loop.hostile.test",
             "refused.hostile.test", "dead.test"]
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: ask(server, name, "A"), names))
    assert time.monotonic() - begun < 4 * LIMIT
    for name, (answer, code) in zip(names, answers):
        assert (answer["outcome"], answer["records"], code) == ("no answer", [], 75), name
    assert found(server, "good.hostile.test", "A") == (["192.0.2.7"], "insecure")


def test_N01_times_are_bounded(server):
    assert ask(server, "forever.hostile.test", "A")[0]["ttl"] == 0
    assert ask(server, "long.hostile.test", "A")[0]["ttl"] == 86400


def test_S28_odd_octets_in_a_name_are_shown_as_octets(server):
    answer, _ = ask(server, "192.0.2.2", "PTR")
    [record] = answer["records"]
    assert record.startswith("\\# ") and "0461" in record and "0d0a" in record


@pytest.mark.skipif(os.getuid() != 0, reason="a role shows its descriptors to root only")
def test_O05_the_resolver_holds_no_file(server):
    [resolver] = server.role("resolver")
    targets = [os.readlink(f"/proc/{resolver}/fd/{number}") for number in os.listdir(f"/proc/{resolver}/fd")]
    for target in targets:
        assert target.startswith(("socket:", "anon_inode:", "pipe:", "/dev/null", server.log_path)), target
    with open(f"/proc/{resolver}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0


@pytest.mark.restarts
def test_a_question_outlives_the_resolver(server, hostile):
    hostile.silent = True
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, server, "later.hostile.test", "A")
        wait_until(lambda: hostile.server.count("later.hostile.test", "A"), "it is asked")
        [resolver] = server.role("resolver")
        os.kill(resolver, signal.SIGKILL)
        hostile.silent = False
        answer, code = waiting.result()
    assert (answer["outcome"], code) == ("found", 0)
    wait_until(server.running, "the resolver is back")


@pytest.mark.restarts
def test_a_reload_brings_other_servers(server, hostile):
    other = Answering(lambda message, _: zones.reply(
        message, [zones.record(zones.question_of(message)[0], "A", bytes([192, 0, 2, 99]))]))
    before = dict(server.settings["zone hostile.test"])
    begun = len(server.log())
    server.settings["zone hostile.test"] = {"servers": f'"127.0.0.1:{other.port}"'}
    server.write_configuration()
    server.reload()
    wait_until(lambda: server.logged("role_ready", begun, "name=resolver"), "one that knows the port begins")
    assert found(server, "good.hostile.test", "A") == (["192.0.2.99"], "insecure")
    server.settings["zone hostile.test"] = before
    server.settings["dns"]["questions"] = "500"  # a port it knows and a port it does not
    begun = len(server.log())
    server.write_configuration()
    server.reload()
    wait_until(lambda: server.logged("role_ready", begun, "name=resolver"), "and the one before again")
    [pid] = server.role("resolver")
    server.settings["dns"]["questions"] = "600"
    server.write_configuration()
    server.reload()
    wait_until(lambda: server.logged("reloaded", begun) == 2, "reloaded")
    assert found(server, "good.hostile.test", "A") == (["192.0.2.7"], "insecure")
    assert server.role("resolver") == [pid]
    other.close()


def test_spoilt_anchors_are_refused(server, served):
    """At a reload the old ones stay; at a start there is none."""
    text, begun = served.read("anchors"), len(server.log())
    served.write("anchors", "zones.test. IN DS nonsense\n")
    server.reload()
    wait_until(lambda: server.logged("dns_settings_refused", begun), "the resolver says so")
    served.write("anchors", text)
    assert found(server, "mx.zones.test", "A") == (["192.0.2.1"], "secure")
    server.reload()
    other = veredus.Server({"dns": {"trust_anchors": "anchors"}}, directory=None)
    with open(os.path.join(other.home, "anchors"), "w", encoding="ascii") as file:
        file.write("zones.test. IN DS nonsense\n")
    with pytest.raises(AssertionError, match="dns_settings_refused"):
        other.start()
    other.process = None
    os.remove(os.path.join(other.home, "anchors"))
    done = subprocess.run([BINARY, "serve", "--home", other.home], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "dns.trust_anchors" in done.stderr
