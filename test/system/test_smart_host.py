"""A smart host of somebody else's making: a Postfix that wants a log-in, by STARTTLS on one port and in TLS from the first
octet on another, with Cyrus SASL behind it. Mail goes there from a server of ours by routes, and from a host that has none by
`sendmail` and a send.conf."""
import os
import re
import socket
import subprocess

import pytest

from internet import Host, Internet, Veredus, stories_of_failure
from smart_host import CLEAR, IMPLICIT, MECHANISMS, SECRET, STARTTLS, USER, SmartHost
from veredus import BINARY, Smtp, wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")

def password_file(host, name, text):
    host.write(name, text + "\n", 0o600)
    return host.path(name)


class Client(Veredus):
    """A route for each way to log in; the sender's address says which."""
    name = "north"

    def settings(self):
        found = super().settings()
        found["sending"]["authorities"] = f'"{self.net.authority.file}"'
        good = password_file(self, "good", SECRET)
        password_file(self, "mended", "not this one")
        host = "mx.postfix.test"

        def route(name, port=STARTTLS, **more):
            found[f"route {name}"] = {"from": f'"{name}@north.test"', "via": f'"{host}:{port}"', "user": f'"{USER}"',
                                      "password_file": f'"{good}"', "tls": "verified", **more}
        for mechanism in MECHANISMS:
            route(mechanism, mechanisms=mechanism)
        route("implicit", IMPLICIT, tls="implicit")
        route("strongest")
        route("mended", password_file=f'"{self.path("mended")}"')
        route("clear", CLEAR, tls="required")  # a configuration that would do without is refused
        route("stranger", via=f'"{self.net.host("postfix").address4}:{STARTTLS}"')  # no certificate has this name
        return found


class Program(Host):
    """A host that has no server: commands and a send.conf."""
    name = "vps"

    def start(self):
        self.write("hosts", f"127.0.0.1 localhost\n{self.net.host('postfix').address4} mx.postfix.test\n")
        self.run("mount", "--bind", self.path("hosts"), "/etc/hosts")
        os.symlink(BINARY, self.path("sendmail"))
        os.makedirs(self.path(".config/veredus"))
        password_file(self, "password", SECRET)

    def configure(self, port, tls):
        self.write(".config/veredus/send.conf",
                   f"host = mx.postfix.test\nport = {port}\ntls = {tls}\nauthorities = {self.net.authority.file}\n"
                   f"user = {USER}\npassword_file = {self.path('password')}\nfrom = {USER}\nrewrite_from = yes\n")

    def call(self, *words, text=b"", code=0):
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8", "VEREDUS_SPOOL": self.path("spool"),
                       "VEREDUS_SUBMISSION": self.path("nobody")}
        ran = subprocess.run(self.words(*words), input=text, env=environment, capture_output=True, timeout=120, check=False)
        assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
        return ran

    def waiting(self):
        there = os.listdir(self.path("spool")) if os.path.exists(self.path("spool")) else []
        return [name for name in there if name.endswith(".letter")]


@pytest.fixture(scope="module")
def net():
    one = Internet([Client, SmartHost, Program])
    yield one
    one.close()


@pytest.fixture(autouse=True)
def told(request, net):
    yield from stories_of_failure(request, net)


@pytest.fixture(name="post", scope="module")
def sent(net):
    """The smart host, and north, which has sent a letter by each route."""
    for way in [*MECHANISMS, "implicit", "strongest", "mended", "clear", "stranger"]:
        net.host("north").send(f"{way}@north.test", "carol@postfix.test",
                               f"From: <{way}@north.test>\r\nTo: <carol@postfix.test>\r\nSubject: by {way}\r\n\r\nx\r\n".encode())
    return net.host("postfix")


def found(smart, subject):
    return [octets for octets in smart.mail("carol") if f"\r\nSubject: {subject}\r\n".encode() in octets]


def arrived(smart, subject):
    """(the one copy, how who brought it had logged in)"""
    copies = wait_until(lambda: found(smart, subject), f"{subject} is there")
    assert len(copies) == 1
    received = re.search(r"(?m)^Received: from (?:.|\r\n[ \t])*?by mx.postfix.test \(Postfix\) with (\w+) id (\w+)",
                         copies[0].decode())
    assert received[1] == "ESMTPSA" and f"(Authenticated sender: {USER})" in received[0]
    log_ins = smart.log_ins(received[2])
    assert len(log_ins) == 1
    return copies[0], log_ins[0]


def queued(net, way):
    return net.host("north").server.cli("queue", "list", "--sender", f"{way}@north.test").stdout


def wait_tried(net, way, words):
    wait_until(lambda: words in queued(net, way), f"the queue says: {words}; it says {queued(net, way)}")


# --- From a server, by routes ---

@pytest.mark.parametrize("way", MECHANISMS)
def test_each_mechanism(post, way):
    octets, log_in = arrived(post, f"by {way}")
    assert octets.startswith(f"Return-Path: <{way}@north.test>\r\n".encode())
    assert b"\r\nDelivered-To: carol@postfix.test\r\n" in octets
    assert log_in == (str(STARTTLS), MECHANISMS[way], USER)


def test_tls_from_the_first_octet(post):
    assert arrived(post, "by implicit")[1][0] == str(IMPLICIT)


def test_the_strongest_of_what_is_offered(post):
    assert arrived(post, "by strongest")[1][1] == "SCRAM-SHA-256"


def test_a_wrong_password_makes_mail_wait_until_it_is_mended(net, post):
    wait_tried(net, "mended", "535 5.7.8 ")
    assert found(post, "by mended") == []
    assert not re.search(rb"Subject: by mended", b"".join(net.host("north").mail("carol")))
    password_file(net.host("north"), "mended", SECRET)
    net.host("north").server.reload()
    arrived(post, "by mended")


def test_nobody_logs_in_in_clear(net, post):
    with post.inside(), Smtp(CLEAR) as session:
        assert "AUTH " in session.hello.text
    wait_tried(net, "clear", "TLS failed (starttls-not-supported)")
    story = post.story()
    # By whatever name: where its look-up of ours is slow, Postfix calls us unknown.
    assert re.search(rf"postfix/{CLEAR}/.*disconnect from (?!localhost)", story)
    assert not re.search(rf"postfix/{CLEAR}/.*(sasl|auth=)", story)
    assert found(post, "by clear") == []


def test_a_certificate_of_another_name_gets_no_password(net, post):
    wait_tried(net, "stranger", "TLS failed")
    assert found(post, "by stranger") == []


# --- From a host without a server ---

WAYS = {"starttls": (STARTTLS, "verified"), "implicit": (IMPLICIT, "implicit")}


@pytest.mark.parametrize("way", WAYS)
def test_sendmail_and_send(net, post, way):
    vps = net.host("vps")
    vps.configure(*WAYS[way])
    vps.call(vps.path("sendmail"), "-t",
             text=f"From: Monit <monit@vps>\nTo: carol@postfix.test\nSubject: sendmail {way}\n\nx\n".encode())
    vps.call(BINARY, "send", "-s", f"send {way}", "carol@postfix.test", text=b"x\n")
    for program in ("sendmail", "send"):
        octets, log_in = arrived(post, f"{program} {way}")
        assert octets.startswith(f"Return-Path: <{USER}>\r\n".encode())
        assert log_in == (str(WAYS[way][0]), "SCRAM-SHA-256", USER)
    assert vps.waiting() == []


def test_a_wrong_password_keeps_the_letter(net, post):
    vps = net.host("vps")
    vps.configure(*WAYS["starttls"])
    password_file(vps, "password", "not this one")
    told = vps.call(vps.path("sendmail"), "carol@postfix.test", text=b"Subject: no log-in\n\nx\n").stderr
    assert b"refuses our log-in (SCRAM-SHA-256): 535 " in told
    assert len(vps.waiting()) == 1 and found(post, "no log-in") == []
    password_file(vps, "password", SECRET)
    vps.call(BINARY, "send", "--flush")
    arrived(post, "no log-in")
    assert vps.waiting() == []


def listening(post):
    """Its processes die a moment behind the one that holds them."""
    with post.inside(), socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", STARTTLS)) == 0


def test_what_the_smart_host_missed_leaves_later_and_once(net, post):
    vps = net.host("vps")
    vps.configure(*WAYS["starttls"])
    post.halt()
    wait_until(lambda: not listening(post), "it is down")
    assert b"kept in" in vps.call(vps.path("sendmail"), "-t",
                                  text=b"To: carol@postfix.test\nSubject: it was down\n\nx\n").stderr
    vps.call(BINARY, "send", "--flush", code=75)
    assert len(vps.waiting()) == 1
    post.launch()
    post.wait()
    vps.call(BINARY, "send", "--flush")
    vps.call(BINARY, "send", "--flush")
    assert vps.waiting() == []
    arrived(post, "it was down")
