"""A smart host that takes access tokens alone, and the token endpoint of its provider: a server of ours gets tokens, renews
them, keeps the refresh token that the provider put in the place of its own, and says what to do where it has none."""
import base64
import json
import os
import re
import socketserver
import ssl
import threading
import urllib.parse

import pytest

from internet import Host, Internet, Veredus
from veredus import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")

USER, CLIENT, SECRET = "vps@provider.test", "client-1", "s3cr&t of the client+"
HTTPS, SMTPS = 443, 465


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Provider(Host):
    """Tokens are numbered: refresh-N gives access-M, the newest of which the smart host takes."""
    name = "provider"

    def start(self):
        self.lock = threading.Lock()
        self.asked, self.log_ins, self.letters = [], [], []  # forms; (token, was it taken); octets
        self.refresh, self.access = "refresh-0", None  # what is good
        self.lasts, self.rotates, self.answer = 3600, False, None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        self.servers = []
        for port, handler in ((HTTPS, Endpoint), (SMTPS, SmartHost)):
            with self.inside():
                server = Server(("0.0.0.0", port), handler)
            server.provider, server.context = self, context
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def give(self, form):
        """(status, answer)"""
        with self.lock:
            self.asked.append(form)
            if self.answer:
                return self.answer
            if form.get("refresh_token") != self.refresh or form.get("client_id") != CLIENT or form.get("client_secret") != SECRET:
                return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
            self.access = f"access-{len(self.asked)}"
            answer = {"access_token": self.access, "token_type": "Bearer", "expires_in": self.lasts, "scope": "mail"}
            if self.rotates:
                self.refresh = f"refresh-{len(self.asked)}"
                answer["refresh_token"] = self.refresh
            return 200, answer

    def takes(self, token):
        with self.lock:
            taken = token == self.access
            self.log_ins.append((token, taken))
            return taken

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        super().close()


class Speaker(socketserver.StreamRequestHandler):
    def setup(self):
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.request.settimeout(60)
        super().setup()

    def handle(self):
        try:
            self.speak(self.server.provider)
        except (OSError, EOFError):
            pass

    def line(self):
        line = self.rfile.readline().decode()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def say(self, text):
        self.wfile.write((text + "\r\n").encode())


class Endpoint(Speaker):
    def speak(self, provider):
        assert self.line() == "POST /token HTTP/1.1"
        fields = {}
        while line := self.line():
            name, value = line.split(":", 1)
            fields[name.lower()] = value.strip()
        assert fields["content-type"] == "application/x-www-form-urlencoded"
        body = self.rfile.read(int(fields["content-length"])).decode()
        form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
        assert form.pop("grant_type") == "refresh_token"
        status, answer = provider.give(form)
        octets = json.dumps(answer).encode()
        self.say(f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                 f"Content-Length: {len(octets)}\r\nConnection: close\r\n")
        self.wfile.write(octets)


class SmartHost(Speaker):
    def speak(self, provider):
        taken = False
        self.say("220 mx.provider.test ESMTP")
        while True:
            words = self.line()
            verb = words.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250-mx.provider.test\r\n250-AUTH LOGIN PLAIN XOAUTH2\r\n250 8BITMIME")
            elif verb == "AUTH":
                found = re.fullmatch(r"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01",
                                     base64.b64decode(words.split(" ")[2]).decode())
                assert words.split(" ")[1] == "XOAUTH2" and found[1] == USER
                taken = provider.takes(found[2])
                if not taken:
                    self.say("334 " + base64.b64encode(b'{"status":"400","schemes":"Bearer"}').decode())
                    assert self.line() == ""
                self.say("235 2.7.0 Accepted" if taken else "535 5.7.8 Username and Password not accepted")
            elif verb in ("MAIL", "RCPT", "RSET"):
                self.say("250 2.1.0 OK" if taken else "530 5.7.0 Authentication Required")
            elif verb == "DATA":
                self.say("354 Go ahead")
                letter = []
                while (line := self.line()) != ".":
                    letter.append(line)
                with provider.lock:
                    provider.letters.append("\n".join(letter))
                self.say("250 2.0.0 OK")
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("502 5.5.1 Unrecognized command")


class Client(Veredus):
    name = "north"

    def grant(self, refresh="refresh-0", **more):
        self.write("grant", json.dumps({"client_id": CLIENT, "client_secret": SECRET, "refresh_token": refresh,
                                        "type": "authorized_user", "token_uri": "https://mx.provider.test/token", **more}, indent=1), 0o600)

    def settings(self):
        found = super().settings()
        found["sending"]["authorities"] = f'"{self.net.authority.file}"'
        found["sending"]["idle"] = "0s"  # each message logs in
        found["server"]["postmaster"] = '"carol@north.test"'
        self.grant()
        found["route smart"] = {"to": '"far.test"', "via": f'"mx.provider.test:{SMTPS}"', "user": f'"{USER}"',
                                "oauth_file": f'"{self.path("grant")}"'}
        return found

    def letter(self, subject):
        said = self.send("dora@north.test", "x@far.test",
                  f"From: <dora@north.test>\r\nTo: <x@far.test>\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
        return re.search(r"\b[0-9a-z]{13}\b", said)[0]

    def queue(self):
        return self.server.cli("queue", "list").stdout

    def route(self):
        return json.loads(self.server.cli("route", "show", "smart", json=True).stdout)


@pytest.fixture(scope="module")
def net():
    one = Internet([Client, Provider])
    yield one
    one.close()


@pytest.fixture(autouse=True)
def told(request, net):
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        provider = net.host("provider")
        print(provider.asked, provider.log_ins, net.host("north").queue(), net.host("north").story()[-6000:])


def arrives(net, subject):
    name = net.host("north").letter(subject)
    there(net, subject)
    return name


def there(net, subject):
    wait_until(lambda: [one for one in net.host("provider").letters if f"Subject: {subject}\n" in one], f"{subject} is there")


def nobody_says_a_secret(net):
    north = net.host("north")
    story = north.story() + north.queue() + json.dumps(north.route())
    for secret in (r"access-\d", r"refresh-\d", re.escape(SECRET), re.escape(urllib.parse.quote(SECRET))):
        assert not re.search(secret, story)


def test_a_token_is_got_when_the_first_message_needs_it_and_used_again(net):
    provider = net.host("provider")
    assert provider.asked == [] and net.host("north").route()["log_in"] == "ready"
    arrives(net, "first")
    arrives(net, "second")
    assert provider.asked == [{"refresh_token": "refresh-0", "client_id": CLIENT, "client_secret": SECRET}]
    assert provider.log_ins == [("access-1", True)] * 2
    assert "token_until" in net.host("north").route()
    nobody_says_a_secret(net)


def test_one_that_the_host_refuses_is_renewed_at_once(net):
    provider = net.host("provider")
    asked = len(provider.asked)
    provider.access = "another"
    name = arrives(net, "refused")
    assert len(provider.asked) == asked + 1
    assert provider.log_ins[-2:] == [("access-1", False), (provider.access, True)]
    assert "deferred" not in net.host("north").trace(name)  # nobody waited


def test_one_that_ends_is_renewed_before(net):
    provider = net.host("provider")
    provider.access, provider.lasts = "another", 2
    arrives(net, "short")
    asked = len(provider.asked)
    wait_until(lambda: "token_until" not in net.host("north").route(), "it has ended")
    arrives(net, "renewed")
    assert len(provider.asked) == asked + 1 and provider.log_ins[-1] == (provider.access, True)
    assert provider.log_ins[-2][1]  # none that ended was shown to anybody
    provider.lasts = 3600


def test_a_host_that_refuses_new_tokens_too_is_told_of_in_the_queue(net):
    provider, north = net.host("provider"), net.host("north")
    asked = len(provider.asked)
    takes, provider.takes = provider.takes, lambda token: False
    north.letter("disabled")
    wait_until(lambda: "the smart host refuses our log-in (XOAUTH2): 535" in north.queue(), "the queue has its words")
    assert len(provider.asked) <= asked + 1 + 1  # the one that ended, and one more
    provider.takes = takes
    there(net, "disabled")
    assert len(provider.asked) <= asked + 1 + 1
    nobody_says_a_secret(net)


def test_a_rotated_refresh_token_outlives_the_server(net):
    provider, north = net.host("provider"), net.host("north")
    provider.rotates, provider.access = True, "another"
    arrives(net, "rotated")
    assert provider.refresh != "refresh-0"
    kept = provider.refresh
    north.server.stop(hard=True)  # nobody had the time to write anything
    with north.inside():
        north.server.start()
    arrives(net, "behind the start")
    assert provider.asked[-1]["refresh_token"] == kept
    provider.rotates = False
    nobody_says_a_secret(net)


def test_an_endpoint_that_fails_makes_mail_wait(net):
    provider, north = net.host("provider"), net.host("north")
    provider.access, provider.answer = "another", (503, {"error": "temporarily_unavailable", "error_description": f"{SECRET} again"})
    north.letter("waits")
    wait_until(lambda: "no access token for route smart: temporarily_unavailable (HTTP status 503)" in north.queue(), "it says so")
    assert "temporarily_unavailable" in north.route()["token_trouble"]
    nobody_says_a_secret(net)
    provider.answer = None
    north.grant(provider.refresh, scope="mail")  # by hand, for the test does not wait half a minute: a file that is put right
    north.server.reload()
    there(net, "waits")


def test_a_refresh_token_that_is_good_no_more_wants_the_operator(net):
    provider, north = net.host("provider"), net.host("north")
    provider.access, provider.refresh = "another", "refresh-anew"
    name = north.letter("revoked")
    wait_until(lambda: "the refresh token of route smart is good no more" in north.queue(), "it says so")
    assert ("invalid_grant (Token has been expired or revoked.). Log in at the provider anew, and put the new refresh token into "
            "its oauth_file") in north.server.cli("queue", "show", name).stdout
    assert "log in at the provider anew" in north.route()["log_in"]
    asked = len(provider.asked)
    north.letter("revoked, too")
    wait_until(lambda: north.queue().count("good no more") == 2, "both wait")
    assert len(provider.asked) == asked  # it is not asked again and again
    nobody_says_a_secret(net)
    north.grant("refresh-anew")
    north.server.reload()
    there(net, "revoked")
    there(net, "revoked, too")
    assert north.route()["log_in"] == "ready"
