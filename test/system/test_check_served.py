"""`veredus check DOMAIN` looks at what is served: our ports, our certificates, and the MTA-STS policy, by a courier."""
import http.server
import json
import os
import shutil
import threading

import pytest

import veredus
from authority import Authority
from encrypted import Encrypted
from sinks import Listener
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="mail comes to port 25"),
              pytest.mark.usefixtures("own_network")]

HOST, STS = "mail.near.test", "mta-sts.near.test"
OURS, WEB, FOREIGN, ODD, CLOSED = (f"127.0.0.{last}" for last in (51, 52, 53, 54, 55))
GOOD = "version: STSv1\nmode: enforce\nmx: mail.near.test\nmax_age: 604800\n"


class Web(http.server.BaseHTTPRequestHandler):
    policy, status, type = GOOD, 200, "text/plain"

    def do_GET(self):
        octets = Web.policy.encode()
        self.send_response(Web.status)
        self.send_header("Content-Type", Web.type)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *args):
        pass


class Says(Listener):
    """A port where somebody says something of his own, whatever he is asked; who came is counted."""

    def __init__(self, address, *lines):
        self.lines = lines
        super().__init__(address)

    def talk(self, connection):
        with connection.makefile("rwb") as file:
            for line in self.lines:
                file.write(line.encode() + b"\r\n")
                file.flush()
                file.readline()


@pytest.fixture(scope="module")
def authority():
    one = Authority()
    yield one
    shutil.rmtree(one.folder)


@pytest.fixture(scope="module")
def web(authority):
    server = http.server.ThreadingHTTPServer((WEB, 443), Web)
    server.contexts = [authority.context(STS), authority.context("other.near.test")]
    bare = server.socket
    server.get_request = lambda: (lambda got: (server.contexts[0].wrap_socket(got[0], server_side=True), got[1]))(bare.accept())
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def served(authority):
    authority.certify(HOST)
    others = "\n".join(f"{name} A {address}" for name, address in (("odd", ODD), ("closed", CLOSED)))
    one = Zones([
        Zone("near.test", f"@ MX 10 mail\n@ MX 20 mx.far.test.\nmail A {OURS}\nmta-sts A {WEB}\n{others}\n"
                          f"_25._tcp.mail TLSA {authority.record(HOST)}\n"
                          '_mta-sts TXT "v=STSv1; id=1;"'),
        Zone("far.test", f"mx A {FOREIGN}"),
        Zone("odd.test", "@ MX 10 odd.near.test.", signed=False),
        Zone("closed.test", "@ MX 10 closed.near.test.", signed=False),
        Zone("dane.test", "@ MX 10 mail.dane.test.\n" f"mail A {OURS}\n_25._tcp.mail TLSA 3 1 1 {'00' * 32}"),
    ])
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(served, authority, web):
    port = veredus.free_ports(1)[0]
    settings = {**served.settings(timeout="1s"), "server": {"hostname": HOST},
                "smtp": {"listen": f'{{"127.0.0.1:{port}", "{OURS}:25"}}'},
                "sending": {"allow_to": '"127.0.0.0/8"', "authorities": f'"{authority.path("ca.pem")}"'}}
    one = Encrypted(settings)
    one.smtp = port
    for kind in ("pem", "key"):
        shutil.copy(authority.path(f"{HOST}.{kind}"), one.path("test." + kind))
    os.chmod(one.path("test.key"), 0o600)
    one.reload()
    veredus.wait_until(lambda: HOST in one.cli("tls", "show").stdout, "the certificate is read")
    yield one
    one.close()


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""
    yield
    Web.policy, Web.status, Web.type = GOOD, 200, "text/plain"


def found(server, item, *words):
    done = server.cli("check", *(words or ("near.test",)), check=False, json=True)
    return [(one["state"], one["text"], one["command"]) for one in json.loads(done.stdout) if one["item"] == item]


def has(items, state, words):
    return any(one[0] == state and words in one[1] for one in items)


def test_what_is_served_is_well(server):
    connect = found(server, "connect")
    assert len(connect) == 1 and has(connect, "ok", f"port 25 of {OURS} answers in TLSv1.3"), connect
    assert "that an authority vouches for" in connect[0][1]
    assert has(found(server, "tlsa"), "ok", "is what its TLSA records tell")


def test_another_server_of_the_domain_is_not_connected(server):
    foreign = Says(FOREIGN, "220 mx.far.test")
    found(server, "connect")
    foreign.close()
    assert foreign.sessions == 0


def test_nothing_is_connected_where_that_is_said(server):
    assert not found(server, "connect", "near.test", "--no-connect")
    assert has(found(server, "mta-sts", "near.test", "--no-connect"), "ok", "hold the policy against")


@pytest.mark.parametrize("policy, state, words", [
    (GOOD + "mx: mx.far.test\n", "ok", "mode enforce, names all MX and holds for 7 days"),
    (GOOD, "FAIL", "does not name the MX mx.far.test"),
    (GOOD.replace("enforce", "testing"), "warn", "does not name the MX mx.far.test"),
    (GOOD.replace("enforce", "testing") + "mx: *.far.test\n", "note", "enforce protects"),
    (GOOD.replace("604800", "600"), "warn", "holds for 600 seconds"),
    ("version: STSv1\nmode: none\nmax_age: 604800\n", "note", "mode none"),
    ("version: STSv2\n", "FAIL", "gives is no policy"),
    ("<html>", "FAIL", "gives is no policy"),
])
def test_the_policy_that_is_served_is_judged(server, policy, state, words):
    Web.policy = policy
    items = found(server, "mta-sts")
    assert has(items, state, words), items
    assert state not in ("FAIL", "warn") or any("version: STSv1" in one[2] for one in items if one[0] == state), items


def test_a_web_server_that_does_not_give_it(server, web):
    Web.status = 404
    assert has(found(server, "mta-sts"), "FAIL", "its web server answers 404")
    Web.status, Web.type = 200, "text/html"
    assert has(found(server, "mta-sts"), "FAIL", "it is not text/plain")
    Web.type = "text/plain"
    web.contexts.reverse()
    wrong = found(server, "mta-sts")
    web.contexts.reverse()
    assert has(wrong, "FAIL", "no valid certificate of that name"), wrong
    assert any("an authority for mta-sts.near.test" in one[2] for one in wrong)


def test_what_was_looked_at_is_not_kept(server):
    found(server, "mta-sts")
    assert server.cli("tls", "forget", "near.test", check=False).returncode == 68


def test_records_of_another_certificate(server):
    connect, records = found(server, "connect", "dane.test"), found(server, "tlsa", "dane.test")
    assert has(records, "FAIL", "fits none of its TLSA records"), records
    assert has(connect, "note", "another host"), connect  # DANE is what counts


def test_a_port_that_is_closed(server):
    items = found(server, "connect", "closed.test", "--address", CLOSED)
    assert has(items, "warn", f"port 25 of {CLOSED} cannot be connected from here (Connection refused)"), items
    assert f"nc -vz {CLOSED} 25" in items[0][2]


@pytest.mark.parametrize("lines, state, words", [
    (("HTTP/1.1 400 Bad Request",), "FAIL", "does not greet as a mail server"),
    (("554 5.3.2 go away",), "FAIL", "554"),
    (("220 other.test ESMTP", "250 other.test", "221 bye"), "warn", "has no STARTTLS"),
    (("220 other.test ESMTP", "250 other.test", "221 bye"), "warn", 'greets as "other.test"'),
    (("220 mail.near.test ESMTP", "250-x\r\n250 STARTTLS", "454 4.7.0 not now"), "warn", "454 4.7.0 not now"),
    (("220 mail.near.test ESMTP", "250-x\r\n250 STARTTLS", "220 go on", "what?"), "FAIL", "begins TLS, which fails"),
])
def test_whoever_answers_there(server, lines, state, words):
    odd = Says(ODD, *lines)
    items = found(server, "connect", "odd.test", "--address", ODD)
    odd.close()
    assert has(items, state, words), items
    assert odd.sessions == 1


def test_an_address_where_nobody_sends(server):
    server.settings["sending"]["allow_to"] = '""'
    server.write_configuration()
    server.reload()
    veredus.wait_until(lambda: has(found(server, "connect"), "FAIL", "a loopback address: nobody sends mail there"),
                       "the configuration is another one")
