"""What other servers publish about their TLS is kept, or mail waits: DANE by zones that are signed, MTA-STS by a web
server of the test's own, and a courier that trusts an authority of the test's own."""
import http.server
import os
import shutil
import threading

import pytest

import veredus
from authority import Authority
from sinks import Exchange
from veredus import Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="the other servers' ports are below 1024"),
              pytest.mark.usefixtures("own_network")]

GOOD, WRONG, STS, WEB = "127.0.0.31", "127.0.0.32", "127.0.0.33", "127.0.0.34"
ALICE = "alice@example.test"
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.sts.test\r\nmax_age: 86400\r\n"


class Web(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(POLICY)))
        self.end_headers()
        self.wfile.write(POLICY)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def world():
    authority = Authority()
    exchanges = {GOOD: Exchange(GOOD, context=authority.context("mx.good.test")),
                 WRONG: Exchange(WRONG, context=authority.context("mx.wrong.test")),
                 STS: Exchange(STS, context=authority.context("mx.sts.test"))}
    web = http.server.ThreadingHTTPServer((WEB, 443), Web)
    web.socket = authority.context("mta-sts.sts.test").wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    zones = Zones([
        Zone("good.test", f"@ MX 10 mx\nmx A {GOOD}\n_25._tcp.mx TLSA {authority.record('mx.good.test')}"),
        Zone("wrong.test", f"@ MX 10 mx\nmx A {WRONG}\n_25._tcp.mx TLSA {authority.record('mx.good.test')}"),
        Zone("sts.test", f"@ MX 10 evil\n@ MX 20 mx\nmx A {STS}\nevil A {WRONG}\nmta-sts A {WEB}\n"
                         '_mta-sts TXT "v=STSv1; id=1;"', signed=False),
    ])
    settings = zones.settings()
    settings.setdefault("smtp", {})["relay_from"] = '"127.0.0.1"'
    settings["sending"] = {"allow_to": '"127.0.0.0/8"', "retry_first": "1s", "retry_most": "2s", "connect_timeout": "2s",
                           "authorities": f'"{authority.path("ca.pem")}"'}
    server = Server(settings, veredus.DIRECTORY)
    yield server, exchanges
    server.close()
    zones.close()
    web.shutdown()
    shutil.rmtree(authority.folder)
    for exchange in exchanges.values():
        exchange.close()


def send(server, recipient):
    with Smtp(server.smtp) as session:
        return session.deliver(message("Hello", sender=ALICE), recipients=[recipient], sender=ALICE)


def test_DANE_a_server_that_has_its_certificate(world):
    server, exchanges = world
    send(server, "carol@good.test")
    wait_until(lambda: exchanges[GOOD].messages, "it has it")
    assert exchanges[GOOD].ways == [(True, "carol@good.test")]
    wait_until(lambda: "dane-ee" in server.log(), "the log tells how it was proved")
    assert "DANE" in server.cli("tls", "policy", "good.test").stdout


def test_S09_DANE_another_certificate_gets_nothing(world):
    server, exchanges = world
    name = send(server, "carol@wrong.test")
    wait_until(lambda: "TLS failed" in server.cli("trace", name).stdout, "it waits")
    assert not exchanges[WRONG].messages


def test_MTA_STS_is_fetched_kept_and_enforced(world):
    server, exchanges = world
    send(server, "carol@sts.test")
    wait_until(lambda: exchanges[STS].messages, "it has it")
    assert exchanges[STS].ways == [(True, "carol@sts.test")]
    assert not exchanges[WRONG].messages  # the better MX is none of the policy's
    assert Web.asked == ["/.well-known/mta-sts.txt"]
    told = server.cli("tls", "policy", "sts.test").stdout
    assert "mode: enforce" in told and "PASSED OVER" in told and "MTA-STS" in told
    server.stop()
    server.start()
    send(server, "dave@sts.test")
    wait_until(lambda: len(exchanges[STS].messages) == 2, "it goes there again")
    assert Web.asked == ["/.well-known/mta-sts.txt"]  # what was kept was enough
    server.cli("tls", "forget", "sts.test")
    server.cli("tls", "policy", "sts.test")
    assert len(Web.asked) == 2
