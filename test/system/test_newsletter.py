"""A newsletter: one message for each member, here and elsewhere, with a link of his own; one click, and he gets no more."""
import email
import email.policy
import json
import os
import re
import subprocess

import pytest

import veredus
from sinks import Exchange
from test_http import Serving
from test_leaving import verified
from veredus import Mailbox, free_ports, wait_until

LIST, OWNER, BOB = "news@example.test", "owner@example.test", "bob@example.test"
FAR = [f"member{number:02d}@far{number % 3}.test" for number in range(47)]
CAROL = "Carol@far1.test"
MEMBERS = FAR + [CAROL, BOB, "alias@example.test"]
LINK = re.compile(r"<https://(news\.example\.test)(/unsubscribe/([a-z2-7]+))>")


@pytest.fixture(scope="module")
def exchange():
    one = Exchange("127.0.0.1", free_ports(1)[0])
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(exchange):
    port = exchange.socket.getsockname()[1]
    one = Serving({"route out": {"via": f'"127.0.0.1:{port}"', "tls": "off"},
                   "sending": {"warn_after": "0s", "retry_first": "1s", "retry_most": "2s"}})
    one.settings["http"]["hostname"] = "news.example.test"
    one.certify("test", "news.example.test")
    one.write_configuration()
    one.reload()
    one.apply(veredus.DIRECTORY + f'account "{OWNER}" {{ password = "{veredus.HASH}" }}\n'
              'alias "alias@example.test" { to = "alice@example.test" to = "behind@far9.test" }\n'
              f'list "{LIST}" {{ name = "The News" owner = "{OWNER}"\n' +
              "".join(f'    member = "{one}"\n' for one in MEMBERS) + "}\n")
    yield one
    one.close()


@pytest.fixture(scope="module")
def records(server):
    server.cli("dkim", "add", "example.test")
    server.cli("dkim", "published", "example.test")
    shown = json.loads(server.cli("dkim", "show", "example.test", json=True).stdout)
    return {row["name"].rstrip(".").encode() + b".": row["record"].encode() for row in shown}


def send(server, subject, text="What is new.\n", check=True, words=()):
    environment = dict(os.environ, VEREDUS_CONFIG=server.path("veredus.conf"))
    done = subprocess.run([veredus.BINARY, "send", "--newsletter", LIST, "-s", subject, "-r", f"The News <{OWNER}>", *words],
                          input=text, capture_output=True, text=True, env=environment, timeout=veredus.PATIENCE)
    assert not check or done.returncode == 0, done.stderr
    return done


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


def issue(server, exchange, subject, words=()):
    """What each recipient elsewhere got of it: {address: octets}; nobody twice."""
    begun = server.logged("newsletter_sent")
    told = send(server, subject, words=words).stdout
    wait_until(lambda: server.logged("newsletter_sent") == begun + 1, "it is sent")
    wait_until(lambda: server.cli("queue", "list", json=True).stdout.strip() in ("", "[]"), "nothing waits")
    got = [one for one in exchange.messages if parsed(one[2])["Subject"] == subject]
    assert all(sender == OWNER and len(recipients) == 1 for sender, recipients, _ in got)
    found = {recipients[0]: octets for _, recipients, octets in got}
    assert len(found) == len(got)
    return found, told


def link(octets):
    host, path, token = LINK.search(parsed(octets)["List-Unsubscribe"].replace(" ", "")).groups()
    return f"https://{host}{path}", token


def click(server, url, *words):
    return server.curl(url, "-w", "%{http_code}", "-o", "/dev/null", "-d", "List-Unsubscribe=One-Click", *words)


def members(server):
    return json.loads(server.cli("list", "show", LIST, json=True).stdout)


def test_without_keys_or_with_other_recipients_it_is_refused(server):
    done = send(server, "unsigned", check=False)
    assert done.returncode == 77 and "veredus dkim add" in done.stderr
    assert send(server, "x", check=False, words=["bob@example.test"]).returncode == 64
    assert send(server, "x", check=False, words=["-H", "List-Unsubscribe: <mailto:a@b.test>"]).returncode == 64
    nobody = server.cli("newsletter", "send", "nobody@example.test", "-", text="x", check=False)
    assert nobody.returncode == 67
    assert server.logged("newsletter_sent") == 0


def test_what_is_wrong_with_a_message_is_told(server):
    def given(text):
        return server.cli("newsletter", "send", LIST, "-", text=text, check=False)

    nobody = given("From: root\nSubject: x\n\nhi\n")
    assert nobody.returncode == 65 and "does not name one author" in nobody.stderr
    other = given("From: a@other.test\nSubject: x\n\nhi\n")  # in LF, as files are
    assert other.returncode == 77 and "veredus dkim add other.test" in other.stderr
    mixed = given(f"From: {OWNER}\r\nSubject: x\n\r\n\r\nhi\r\n")
    assert mixed.returncode == 64 and "do not end in CR LF" in mixed.stderr
    assert given(f"From: {OWNER}\nTo: {BOB}\n\nhi\n").returncode == 64
    assert given("no header at all").returncode == 64


def test_each_member_gets_one_of_his_own(server, exchange, records):
    for user in (BOB, "alice@example.test"):
        Mailbox(server, user).empty()
    found, told = issue(server, exchange, "Issue 1")
    assert re.search(r"^members +50$", told, re.M)
    assert set(found) == set(FAR) | {CAROL, "behind@far9.test"}
    here = [Mailbox(server, user).raw() for user in (BOB, "alice@example.test")]
    assert [len(messages) for messages in here] == [1, 1]
    found[BOB] = here[0][0][here[0][0].index(b"DKIM-Signature:"):]
    tokens = set()
    for address, octets in found.items():
        header = parsed(octets)
        to = "alias@example.test" if address == "behind@far9.test" else address
        assert header.get_all("To") == [to], header.get_all("To")
        assert header["List-Id"] == "<news.example.test>"
        assert header["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert not any(other.encode() in octets for other in MEMBERS if other != to)
        tokens.add(link(octets)[1])
        assert verified(octets, records)
    assert len(tokens) == 50
    octets = found[FAR[0]]
    for name in (b"\nlist-unsubscribe:", b"\nlist-unsubscribe-post:", b"\nto:"):  # RFC 8058 4
        at = octets.lower().index(name)
        end = octets.index(b"\r\n", at + 1)
        assert not verified(octets[:end] + b"x" + octets[end:], records)


def test_a_look_changes_nothing_and_a_click_does(server, exchange, records):
    found, _ = issue(server, exchange, "Issue 2")
    url, token = link(found[CAROL])
    page = server.curl(url, "-H", "Accept-Language: zh-CN")
    assert "退订" in page and "The News" in page and CAROL not in page
    for words in ([], ["-I"], ["-H", "User-Agent: scanner"]):
        server.curl(url, *words)
    assert len(members(server)["members"]) == 50
    assert click(server, url) == "200"
    assert click(server, url) == "200"  # again, and it was so
    url2, _ = link(found[FAR[3]])
    assert server.curl(url2, "-w", "%{http_code}", "-o", "/dev/null", "-F", "List-Unsubscribe=One-Click") == "200"
    told = members(server)
    assert len(told["members"]) == 48 and len(told["unsubscribed"]) == 2
    assert any(re.fullmatch(r"\S+Z link " + CAROL, one) for one in told["unsubscribed"]), told["unsubscribed"]
    bad = url[:-1] + ("a" if url[-1] != "a" else "b")
    assert click(server, bad) == "404" and server.curl(bad, "-w", "%{http_code}", "-o", "/dev/null") == "404"
    assert server.curl(url2, "-w", "%{http_code}", "-o", "/dev/null", "-d", "x=y") == "400"
    assert token not in server.log()
    # No command and no file makes him a member again that does not say so.
    assert server.cli("list", "set", LIST, "--member", CAROL, check=False).returncode == 77
    exported = server.cli("export").stdout
    assert "link " + CAROL in exported
    server.apply(exported.replace(f'    member = "{FAR[4]}"\n', f'    member = "{FAR[4]}"\n    member = "{CAROL}"\n'))
    assert len(members(server)["members"]) == 48


def test_who_left_gets_no_more(server, exchange, records):
    found, _ = issue(server, exchange, "Issue 3", words=["-a", __file__])
    assert set(found) == (set(FAR) - {FAR[3]}) | {"behind@far9.test"}
    assert verified(found[FAR[0]], records)
    # Who comes back by his own wish has the same link.
    server.cli("list", "set", LIST, "--resubscribe", CAROL)
    found, _ = issue(server, exchange, "Issue 4")
    assert CAROL in found
    assert click(server, link(found[CAROL])[0]) == "200"
    assert CAROL not in members(server)["members"]


def test_a_core_that_dies_in_the_middle_sends_it_on(server, exchange, records):
    """Nobody gets two, and nobody none."""
    server.expected_deaths += 1
    more = [f"more{number:03d}@far{number % 3}.test" for number in range(600)]  # what takes its time to sign
    for at in range(0, len(more), 100):
        server.cli("list", "set", LIST, *(word for one in more[at:at + 100] for word in ("--member", one)))
    send(server, "Issue 5")
    core = server.role("core")[0]
    os.kill(core, 9)
    wait_until(lambda: server.role("core") not in ([], [core]) and server.answers(), "core is back")
    wait_until(lambda: server.cli("queue", "list", json=True).stdout.strip() in ("", "[]") and server.logged("newsletter_sent") == 5,
               "it is sent")
    expected = (set(FAR) - {FAR[3]}) | {"behind@far9.test"} | set(more)
    wait_until(lambda: sum(parsed(one[2])["Subject"] == "Issue 5" for one in exchange.messages) >= len(expected), "all have it")
    got = sorted(one[1][0] for one in exchange.messages if parsed(one[2])["Subject"] == "Issue 5")
    assert got == sorted(expected)
    assert server.alarms() == []
