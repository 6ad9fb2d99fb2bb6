"""TLS reports (RFC 8460): what became of TLS to other domains is counted, and told to whom they name in a zone of the
test's own: by mail, past a certificate that is not the one that DANE tells, and by HTTPS."""
import email
import email.policy
import gzip
import http.server
import json
import os
import re
import shutil
import threading
import time

import pytest

import veredus
from authority import Authority
from sinks import Exchange
from test_tls_out import ALICE
from veredus import Server, Smtp, message, wait_until
from zones import Zone, Zones

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason="the other servers' ports are below 1024"),
              pytest.mark.usefixtures("own_network")]

GOOD, WRONG, PLAIN, WEB = "127.0.0.51", "127.0.0.52", "127.0.0.53", "127.0.0.54"


class Web(http.server.BaseHTTPRequestHandler):
    posted = []  # (path, headers, body)
    status = 201

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((self.path, self.headers, body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def world():
    authority = Authority()
    exchanges = {GOOD: Exchange(GOOD, context=authority.context("mx.good.test")),
                 WRONG: Exchange(WRONG, context=authority.context("mx.wrong.test")), PLAIN: Exchange(PLAIN)}
    web = http.server.ThreadingHTTPServer((WEB, 443), Web)
    web.socket = authority.context("reports.test").wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    zones = Zones([
        Zone("good.test", f"@ MX 10 mx\nmx A {GOOD}\n_25._tcp.mx TLSA {authority.record('mx.good.test')}\n"
                          '_smtp._tls TXT "v=TLSRPTv1; rua=https://reports.test/tls?a=b"'),
        Zone("wrong.test", f"@ MX 10 mx\nmx A {WRONG}\n_25._tcp.mx TLSA {authority.record('mx.good.test')}\n"
                           '_smtp._tls TXT "v=TLSRPTv1;" "rua=mailto:tls@wrong.test"'),
        Zone("plain.test", f"@ MX 10 mx\nmx A {PLAIN}", signed=False),
        Zone("reports.test", f"@ A {WEB}", signed=False),
    ])
    settings = zones.settings()
    settings.setdefault("smtp", {})["relay_from"] = '"127.0.0.1"'
    settings["sending"] = {"allow_to": '"127.0.0.0/8"', "retry_first": "1s", "retry_most": "2s", "connect_timeout": "2s",
                           "authorities": f'"{authority.path("ca.pem")}"', "tls_reports_organization": '"The Test"'}
    server = Server(settings, veredus.DIRECTORY)
    server.cli("dkim", "add", "example.test")
    server.cli("dkim", "published", "example.test")
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


def counted(server, domain):
    """The report as it would be sent; midnight may have passed since it was counted."""
    for day in ("today", "yesterday"):
        done = server.cli("tls", "report", day, "--domain", domain, check=False, json=True)
        if done.returncode == 0:
            return day, json.loads(done.stdout)["report"]
    return None, None


def test_a_report_by_https(world):
    server, exchanges = world
    send(server, "carol@good.test")
    wait_until(lambda: exchanges[GOOD].messages, "it has it")
    wait_until(lambda: counted(server, "good.test")[1], "it is counted")
    day, shown = counted(server, "good.test")
    policy = shown["policies"][0]
    assert policy["policy"]["policy-type"] == "tlsa"
    assert policy["policy"]["policy-domain"] == "mx.good.test"
    assert re.fullmatch("3 0 1 [0-9a-f]{64}", policy["policy"]["policy-string"][0])
    assert policy["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 0}
    assert "reports.test" in server.cli("tls", "report", day, "--domain", "good.test").stdout
    Web.status = 500
    assert server.cli("tls", "report", day, "--domain", "good.test", "--send", check=False).returncode == 75
    Web.status = 201
    assert "answered 201" in server.cli("tls", "report", day, "--domain", "good.test", "--send").stdout
    path, headers, body = Web.posted[-1]
    assert path == "/tls?a=b" and headers["Content-Type"] == "application/tlsrpt+gzip" and headers["Host"] == "reports.test"
    report = json.loads(gzip.decompress(body))
    assert report == shown
    assert report["organization-name"] == "The Test" and report["contact-info"] == "postmaster@mail.example.test"
    assert report["date-range"]["start-datetime"][:10] == report["date-range"]["end-datetime"][:10]
    assert counted(server, "good.test") == (None, None)


def test_a_report_by_mail_reaches_who_fails_his_own_policy(world):
    server, exchanges = world
    name = send(server, "carol@wrong.test")
    wait_until(lambda: "TLS failed" in server.cli("trace", name).stdout, "it waits")
    wait_until(lambda: counted(server, "wrong.test")[1], "it is counted")
    server.cli("queue", "remove", "--all")
    day, shown = counted(server, "wrong.test")
    assert "queued for" in server.cli("tls", "report", day, "--domain", "wrong.test", "--send").stdout
    wait_until(lambda: exchanges[WRONG].messages, "the report is there")
    encrypted, recipient = exchanges[WRONG].ways[0]
    assert encrypted and recipient == "tls@wrong.test"
    letter = email.message_from_bytes(exchanges[WRONG].messages[0][2], policy=email.policy.SMTP)
    assert letter["TLS-Report-Domain"] == "wrong.test" and letter["TLS-Report-Submitter"] == "mail.example.test"
    assert "d=example.test;" in letter["DKIM-Signature"] and letter["TLS-Required"] == "No"
    assert letter.get_content_type() == "multipart/report" and letter.get_param("report-type") == "tlsrpt"
    text, attached = letter.iter_parts()
    assert text.get_content_type() == "text/plain" and attached.get_content_type() == "application/tlsrpt+gzip"
    report = json.loads(gzip.decompress(attached.get_payload(decode=True)))
    assert attached.get_filename() == "mail.example.test!wrong.test!{}!{}!{}.json.gz".format(
        *(seconds(report["date-range"][end]) for end in ("start-datetime", "end-datetime")), report["report-id"])
    policy = report["policies"][0]
    assert policy["summary"]["total-failure-session-count"] >= 1
    detail = policy["failure-details"][0]
    assert detail["receiving-mx-hostname"] == "mx.wrong.test" and detail["receiving-ip"] == WRONG
    assert detail["result-type"].startswith("certificate-") or detail["result-type"] == "validation-failure"
    # On its way it was no session.
    assert counted(server, "wrong.test") == (None, None)


def seconds(text):
    return int(time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)


def test_who_asks_for_none_gets_none(world):
    server, exchanges = world
    send(server, "carol@plain.test")
    wait_until(lambda: exchanges[PLAIN].messages, "it has it")
    wait_until(lambda: counted(server, "plain.test")[1], "it is counted")
    day, shown = counted(server, "plain.test")
    detail = shown["policies"][0]["failure-details"][0]
    assert shown["policies"][0]["policy"]["policy-type"] == "no-policy-found"
    assert detail["result-type"] == "starttls-not-supported"
    done = server.cli("tls", "report", day, "--domain", "plain.test", "--send", check=False)
    assert done.returncode == 68 and "asks for no reports" in done.stdout
    server.stop()
    server.start()
    assert counted(server, "plain.test")[1] == shown  # a restart loses nothing
