"""HTTP over TLS, as curl and hostile programs speak it: the MTA-STS policies of our domains, and nothing else."""
import json
import re
import socket
import ssl
import subprocess

import pytest

import veredus
from encrypted import Encrypted
from veredus import wait_until
from zones import Zone, Zones

DOMAIN, OTHER = "example.test", "other.test"
POLICY = "version: STSv1\nmode: enforce\nmx: mail.example.test\nmax_age: 1209600\n"
PATH = "/.well-known/mta-sts.txt"


class Serving(Encrypted):
    """It has a certificate of its own for each policy's host."""

    def __init__(self, settings=None):
        self.http, self.https = veredus.free_ports(2)
        super().__init__({"http": {"listen": f'{{"127.0.0.1:{self.http}"}}',
                                   "listen_tls": f'{{"127.0.0.1:{self.https}"}}'},
                          f"domain {DOMAIN}": {"mta_sts": "enforce"},
                          f"domain {OTHER}": {"mta_sts": "testing", "mta_sts_max_age": "1d",
                                              "mta_sts_mx": '{ "mx.other.test", "*.mx.test" }'}, **(settings or {})},
                         certificates=("test", "sts"))

    def certify(self, block, name=None, **how):
        super().certify(block, name or {"sts": f"mta-sts.{DOMAIN}"}.get(block, "mail.example.test"), **how)

    def curl(self, url, *words, check=True):
        """What a host of ours answers, in TLS that curl believes."""
        host = url.split("/")[2]
        done = subprocess.run(["curl", "-sS", "--connect-to", f"{host}:443:127.0.0.1:{self.https}", "--cacert",
                               self.path("sts.pem" if host.startswith("mta-sts") else "test.pem"), "--http1.1", *words, url],
                              capture_output=True, text=True, timeout=veredus.PATIENCE)
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def served():
    zones = Zones([Zone(DOMAIN, f"mta-sts A 192.0.2.80\n_mta-sts TXT \"v=STSv1; id=1\"", ttl=1),
                   Zone(OTHER, "", ttl=1)])
    yield zones
    zones.close()


@pytest.fixture(scope="module")
def server(served):
    one = Serving(served.settings(timeout="5s"))
    one.apply(f'domain "{OTHER}" {{ }}\n')
    yield one
    one.close()


@pytest.fixture(autouse=True)
def harmless(unharmed):
    """After every test: no role died, nothing alarming was logged."""


def status(server, url, *words):
    return server.curl(url, "-o", "/dev/null", "-w", "%{http_code}", *words)


def test_the_policy_is_served(server):
    assert server.curl(f"https://mta-sts.{DOMAIN}{PATH}") == POLICY
    head = server.curl(f"https://mta-sts.{DOMAIN}{PATH}", "-I")
    assert head.startswith("HTTP/1.1 200 OK\n") and "\nContent-Type: text/plain; charset=utf-8\n" in head
    assert status(server, f"https://mta-sts.{DOMAIN}/") == "404"
    assert status(server, f"https://mta-sts.{DOMAIN}{PATH}", "-X", "POST", "-d", "x") == "405"
    # A host that is not ours, though TLS was begun for one that is.
    for host in ("evil.test", "mta-sts.evil.test", "mta-sts." + DOMAIN + ".evil.test", "127.0.0.1"):
        assert status(server, f"https://mta-sts.{DOMAIN}{PATH}", "-H", "Host: " + host) == "421"


def test_behind_a_proxy_of_ones_own(server):
    done = subprocess.run(["curl", "-sS", "-H", f"Host: mta-sts.{OTHER}", "-H", "X-Forwarded-For: 192.0.2.7", "-H",
                           "Forwarded: for=192.0.2.7", f"http://127.0.0.1:{server.http}{PATH}"], capture_output=True,
                          text=True, timeout=veredus.PATIENCE)
    assert done.stdout == "version: STSv1\nmode: testing\nmx: mx.other.test\nmx: *.mx.test\nmax_age: 86400\n"
    wait_until(lambda: server.logged("session", also="protocol=http"), "the session is logged")
    assert "192.0.2.7" not in server.log() and PATH not in server.log()


def talk(server, octets, tls=False):
    """Everything that is said until the connection ends."""
    with socket.create_connection(("127.0.0.1", server.https if tls else server.http), veredus.PATIENCE) as plain:
        if tls:
            context = ssl.create_default_context(cafile=server.path("sts.pem"))
            plain = context.wrap_socket(plain, server_hostname=f"mta-sts.{DOMAIN}")
        plain.sendall(octets)
        heard = b""
        while True:
            try:
                more = plain.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                return heard
            heard += more


GET = f"GET {PATH} HTTP/1.1\r\nHost: mta-sts.{DOMAIN}\r\n\r\n".encode()
HOSTILE = {  # catalogue W03, and what else is no request
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", 400),
    "length and chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "blank before colon": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    "chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", 411),
    "bare newlines": (GET.replace(b"\r\n", b"\n"), 400),
    "a large head": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 20), 431),
    "a long target": (b"GET /" + b"x" * (1 << 20), 414),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a folded field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    "a large body": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "mail": (b"EHLO a\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_end_it(server, name):
    octets, code = HOSTILE[name]
    for tls in (False, True):
        try:
            heard = talk(server, octets + GET, tls)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            continue  # it was closed while we still spoke
        assert not heard or heard.startswith(b"HTTP/1.1 %d " % code), heard[:100]
        assert b"STSv1" not in heard


def test_its_record_is_told_and_checked(server, served):
    def items():
        done = json.loads(server.cli("check", DOMAIN, check=False, json=True).stdout)
        return [(one["state"], one["publish"]) for one in done if one["item"] == "mta-sts"]
    (state, record), = [one for one in items() if one[1].startswith("_mta-sts.")]
    wanted = re.fullmatch(r'_mta-sts\.example\.test\. IN TXT "(v=STSv1; id=[0-9a-f]{16})"', record)
    assert state == "FAIL" and wanted, record
    served.change(DOMAIN, f'mta-sts A 192.0.2.80\n_mta-sts TXT "{wanted.group(1)}"')
    wait_until(lambda: items()[0] == ("ok", ""), "the record is seen")
    served.change(DOMAIN, f'_mta-sts TXT "{wanted.group(1)}"')
    wait_until(lambda: ("FAIL", f"mta-sts.{DOMAIN}. IN CNAME mail.example.test.") in items(), "its host is missed")
    # Another policy has another id.
    server.settings[f"domain {DOMAIN}"]["mta_sts"] = "testing"
    server.write_configuration()
    server.reload()
    wait_until(lambda: "mode: testing" in server.curl(f"https://mta-sts.{DOMAIN}{PATH}"), "the new policy is served")
    wait_until(lambda: any(publish and "v=STSv1" in publish and wanted.group(1) not in publish for _, publish in items()),
               "another id is asked for")
