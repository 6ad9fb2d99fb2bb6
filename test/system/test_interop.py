"""Mail between servers as on the internet: two of ours, a Postfix, an Exim and an OpenSMTPD, each with names in signed zones
and addresses of both kinds; every one sends to every other: in plain, over DANE (all but OpenSMTPD know it), and to a
domain that nobody signed, with an MTA-STS policy that is enforced: ours and Postfix keep to it, the latter by
postfix-mta-sts-resolver; Exim and OpenSMTPD do not speak MTA-STS, and send there as to anybody. A sixth host, which knows
no TLS, is only sent to."""
import base64
import email
import email.policy
import os
import re

import pytest

from internet import Bare, Exim, Internet, OpenSmtpd, Postfix, Veredus, stories_of_failure
from veredus import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")


class North(Veredus):
    name = "north"

    def directory(self):
        return super().directory() + f'alias "bouncing@{self.domain}" {{ to = "nobody@exim.test" }}\n'


class South(Veredus):
    name, language, idn = "south", "zh", "例子.test"

    def directory(self):
        return super().directory() + f'alias "onward@{self.domain}" {{ to = "carol@exim.test" }}\n'

    def settings(self):
        found = super().settings()
        found["smtp"]["message_size"] = "4M"
        return found


OURS = ("north", "south")
OTHERS = ("postfix", "exim", "opensmtpd")
ALL = OURS + OTHERS
POLICED = OURS + ("postfix",)  # who keeps to MTA-STS
PAIRS = [(here, there) for here in ALL for there in ALL if here != there]
TLS = [pair for pair in PAIRS if pair[1] != "opensmtpd"]  # Debian 12's offers STARTTLS, and no handshake with it succeeds
WRONG = [(here, there, way) for here in POLICED for there in ("north", "postfix", "exim") if here != there
         for way in ("name.sts", "cert.sts")]
UTF8 = {"north", "south", "postfix", "exim"}
TOO_LARGE = [("south", "north"), ("south", "exim"), ("south", "opensmtpd"), ("postfix", "north")]
TOKEN = "X-Test"


def lines_to(octets):
    return b"".join(line + b"\r\n" for line in octets)


CHINESE = "山重水复疑无路，柳暗花明又一村。"
BODIES = {
    "plain": lines_to([b"Hello.", b"", b".", b"..", b".dot at the begin", b"From here on", b"trailing blanks  \t", b"",
                       b"", b"--", b"end"]),
    "long": lines_to([b"x" * 998, b"." + b"y" * 997, b"z" * 997, b"short"]),
    "utf8": lines_to([CHINESE.encode() * 10, b".", "。".encode(), "𝄞 ü ß".encode()]),
    "gb18030": lines_to([CHINESE.encode("gb18030") * 10, b".", "𠮷、€".encode("gb18030")]),
    "attachment": None,  # made below
    "large": b"",  # grown below
}
KINDS = [kind for kind in BODIES if kind != "large"]
LARGE = 1200000  # more than north, exim and opensmtpd take


def mime(kind):
    """(more fields of the header, body)"""
    if kind != "attachment":
        charset = b"gb18030" if kind == "gb18030" else b"utf-8"
        return (b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=" + charset +
                b"\r\nContent-Transfer-Encoding: 8bit\r\n",
                BODIES[kind] or lines_to([b"0123456789abcdef" * 4]) * (LARGE // 66))
    file = lines_to(base64.encodebytes(bytes(range(256)) * 900).split())
    return (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n",
            b"--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
            CHINESE.encode() + b"\r\n--=_b\r\nContent-Type: application/octet-stream; name=\"" +
            b"=?UTF-8?B?" + base64.b64encode("附件.bin".encode()) + b"?=\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
            file + b"\r\n--=_b--\r\n")


SUBJECT = b"=?UTF-8?B?" + base64.b64encode("你好，世界".encode()) + b"?="


def letter(token, sender, recipient, kind="plain", subject=SUBJECT, tls_required=None):
    fields, body = mime(kind)
    fields += f"TLS-Required: {tls_required}\r\n".encode() if tls_required else b""
    at = sender.rpartition("@")[2]
    return (f"{TOKEN}: {token}\r\nMessage-ID: <{token}@{at if at.isascii() else 'idn.test'}>\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: <{sender}>\r\nTo: <{recipient}>\r\n").encode() + \
        b"Subject: " + subject + b"\r\n" + fields + b"\r\n" + body


@pytest.fixture(scope="module")
def net():
    one = Internet([North, South, Postfix, Exim, OpenSmtpd, Bare])
    yield one
    one.close()


def token_of(octets):
    found = re.search(rf"(?mi)^{TOKEN}: (\S+)\r$".encode(), octets.partition(b"\r\n\r\n")[0])
    return found and found[1].decode()


class Post:
    """Letters on their way."""

    def __init__(self, net):
        self.net = net
        self.ids = {}  # token: what the sender's host said when it took it

    def send(self, token, here, sender, recipient, kind="plain", parameters="", rcpt="", **more):
        """Addresses without a domain are of the host's own."""
        host = self.net.host(here)
        sender = sender if "@" in sender else f"{sender}@{host.domain}"
        octets = letter(token, sender, recipient, kind, **more)
        parameters += "" if octets.isascii() else " BODY=8BITMIME"
        parameters += "" if (sender + recipient).isascii() else " SMTPUTF8"
        self.ids[token] = host.send(sender, recipient, octets, parameters, rcpt).rpartition(" ")[2]

    def find(self, name, token, user="carol"):
        return [octets for octets in self.net.host(name).mail(user) if token_of(octets) == token]

    def arrived(self, name, token, user="carol"):
        found = wait_until(lambda: self.find(name, token, user), f"{token} is at {name}")
        assert len(found) == 1, f"{token} is there {len(found)} times"
        return found[0]

    def report(self, name, about, user="dora", action="failed"):
        """The report that a user has about an address: (text for people, fields about it, octets)."""
        def there():
            for octets in self.net.host(name).mail(user):
                whole = octets.decode("utf-8", "replace")
                told = re.search(r"(?i)\nContent-Type: message/(?:global-)?delivery-status(?:.|\n)*?\r\n--", whole)
                if told and about in whole and f"Action: {action}\r\n" in told[0]:
                    parts = list(email.message_from_bytes(octets, policy=email.policy.default).walk())
                    return parts[1].get_content(), told[0].replace("\r\n", "\n"), octets
            return None
        return wait_until(there, f"{user} at {name} has a report about {about}")


def to(net, name, user="carol", way=""):
    return f"{user}@" + f"{way}.{net.host(name).domain}".lstrip(".")


@pytest.fixture(scope="module")
def post(net):
    """All letters leave at once: the tests find what came."""
    one = Post(net)
    for here, there in PAIRS:
        for kind in KINDS:
            one.send(f"{here}-{there}-{kind}", here, "carol", to(net, there), kind)
        one.send(f"{here}-{there}-dane", here, "carol", to(net, there, way="dane"))
        one.send(f"{here}-{there}-sts", here, "carol", to(net, there, way="sts"))
        one.send(f"{here}-{there}-unknown", here, "dora", to(net, there, f"nobody-{here}"))
        if {here, there} <= UTF8:
            one.send(f"{here}-{there}-smtputf8", here, "用户", to(net, there, "用户"), subject="你好，世界".encode())
    for here in OURS:
        one.send(f"{here}-wrong-dane", here, "carol", "carol@wrongdane.postfix.test")
    for here, there, way in WRONG:
        one.send(f"{here}-{there}-{way}", here, "carol", to(net, there, way=way))
    for here in POLICED:
        one.send(f"{here}-bare-sts", here, "carol", "carol@sts.bare.test")
    for domain in ("name.sts.exim.test", "cert.sts.postfix.test", "dane.opensmtpd.test", "sts.bare.test"):
        one.send(f"north-optional-{domain}", "north", "carol", f"carol@{domain}", tls_required="No")
    for domain in ("south.test", "sts.south.test"):
        one.send(f"north-required-{domain}", "north", "carol", f"carol@{domain}", parameters=" REQUIRETLS")
    for recipient in ("dora@postfix.test", "onward@south.test", "dora@cert.sts.exim.test", "dora@sts.bare.test"):
        one.send(f"north-required-{recipient}", "north", "dora", recipient, parameters=" REQUIRETLS")
    for there in OTHERS:
        one.send(f"south-{there}-bouncing", "south", "dora", to(net, there, "bouncing"))
    one.send("postfix-north-bouncing", "postfix", "dora", to(net, "north", "bouncing"))
    for here, there in TOO_LARGE:
        one.send(f"{here}-{there}-large", here, "dora", to(net, there, "dora"), "large")
    one.send("north-idn", "north", "用户", "用户@例子.test")
    one.send("idn-north", "south", "用户@例子.test", to(net, "north", "用户"))
    for here in OURS:
        one.send(f"{here}-opensmtpd-smtputf8", here, "用户", to(net, "opensmtpd", "nobody-utf8"))
        one.send(f"{here}-nobody-smtputf8", here, "用户", to(net, "exim", "没有这个人"))
    one.send("north-postfix-dsn-smtputf8", "north", "用户", to(net, "postfix", "用户"),
             rcpt=" NOTIFY=SUCCESS ORCPT=utf-8;原来的@south.test")
    for there in OTHERS:
        one.send(f"north-{there}-dsn", "north", "carol", to(net, there), parameters=" RET=HDRS ENVID=QQ314",
                 rcpt=f" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first-{there}@south.test")
    return one


@pytest.fixture(autouse=True)
def told(request, net):
    yield from stories_of_failure(request, net)


# --- In all directions ---

def body_of(octets):
    return octets.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("here, there", PAIRS)
def test_every_one_sends_to_every_other(post, here, there):
    for kind in KINDS:
        octets = post.arrived(there, f"{here}-{there}-{kind}")
        assert body_of(octets) == mime(kind)[1], kind
        assert b"\r\nSubject: " + SUBJECT + b"\r\n" in octets


@pytest.mark.parametrize("here, there", TLS)
def test_in_TLS_wherever_it_is_offered(post, here, there):
    octets = post.arrived(there, f"{here}-{there}-plain")
    received = re.search(rb"(?m)^Received: (?:.|\r\n[ \t])*?\bfrom\b(?:.|\r\n[ \t])*?;", octets)
    assert re.search(rb"\bwith (UTF8|E)?SMTPS\b", received[0], re.I), received[0].decode()


# --- DANE ---

@pytest.mark.parametrize("here, there", TLS)
def test_by_DANE(post, net, here, there):
    """The receiver's records are in signed zones; who looks at them says so in its log."""
    octets = post.arrived(there, f"{here}-{there}-dane")
    assert body_of(octets) == BODIES["plain"]
    host = f"mx.dane.{there}.test"
    says = {"postfix": f"Verified TLS connection established to {re.escape(host)}",
            "exim": rf"H={re.escape(host)} .*CV=dane", "opensmtpd": ""}  # which knows no DANE
    if here in OURS:
        story = net.host(here).trace(post.ids[f"{here}-{there}-dane"], json=True)
        assert re.search(r"tls=TLSv1.3/\w+/dane", story), story
    else:
        assert re.search(says[here], net.host(here).story())


@pytest.mark.parametrize("here", OURS)
def test_a_key_that_no_record_names_gets_nothing(post, net, here):
    def story():
        return net.host(here).trace(post.ids[f"{here}-wrong-dane"])
    wait_until(lambda: "Not sent yet" in story(), "it was tried")
    assert "TLS failed (validation-failure): no matching DANE TLSA records" in story()
    assert post.find("postfix", f"{here}-wrong-dane") == []


@pytest.mark.parametrize("here", OURS)
def test_where_DANE_wants_TLS_and_there_is_none_it_waits(post, net, here):
    """No handshake with OpenSMTPD succeeds; without records the mail has gone in clear."""
    def story():
        return net.host(here).trace(post.ids[f"{here}-opensmtpd-dane"])
    wait_until(lambda: "Not sent yet" in story(), "it was tried")
    assert "TLS failed" in story()
    assert post.find("opensmtpd", f"{here}-opensmtpd-dane") == []


# --- MTA-STS ---

def mail_log(net, here, recipient):
    """What Postfix says of a recipient."""
    return "\n".join(line for line in net.host(here).story().splitlines() if f"to=<{recipient}>" in line)


@pytest.mark.parametrize("here, there", TLS)
def test_by_MTA_STS(post, net, here, there):
    octets = post.arrived(there, f"{here}-{there}-sts")
    assert body_of(octets) == BODIES["plain"]
    if here in OURS:
        story = net.host(here).trace(post.ids[f"{here}-{there}-sts"], json=True)
        assert re.search(r"tls=TLSv1.3/\w+/pkix", story), story
    elif here in POLICED:
        assert f"Verified TLS connection established to mx.sts.{there}.test" in net.host(here).story()


def told_to_wait(post, net, here, token, recipient, words):
    """It was tried and waits; who sends says why."""
    if here not in OURS:
        wait_until(lambda: "status=deferred" in mail_log(net, here, recipient), "it was tried")
        return
    server = net.host(here).server
    wait_until(lambda: "Not sent yet" in net.host(here).trace(post.ids[token]), "it was tried")
    assert words in net.host(here).trace(post.ids[token])
    assert words in server.cli("queue", "list", "--recipient", recipient).stdout


@pytest.mark.parametrize("here, there, way", WRONG)
def test_what_an_enforced_policy_forbids_waits(post, net, here, there, way):
    """The policy names another host; the host has no certificate of its name."""
    words = {"name.sts": "the MX host is none of the domain's MTA-STS policy",
             "cert.sts": "TLS failed (certificate-host-mismatch)"}[way]
    told_to_wait(post, net, here, f"{here}-{there}-{way}", f"carol@{way}.{there}.test", words)
    assert post.find(there, f"{here}-{there}-{way}") == []


@pytest.mark.parametrize("here", POLICED)
def test_where_MTA_STS_wants_TLS_and_there_is_none_it_waits(post, net, here):
    """No handshake with Debian's OpenSMTPD succeeds; the bare host offers none."""
    told_to_wait(post, net, here, f"{here}-bare-sts", "carol@sts.bare.test",
                 "TLS failed (starttls-not-supported): it is not offered")
    told_to_wait(post, net, here, f"{here}-opensmtpd-sts", "carol@sts.opensmtpd.test", "TLS failed (")
    assert post.find("bare", f"{here}-bare-sts") == []
    assert post.find("opensmtpd", f"{here}-opensmtpd-sts") == []


def test_who_knows_no_MTA_STS_sends_in_clear(post):
    post.arrived("opensmtpd", "exim-opensmtpd-sts")


# --- What senders ask of TLS (RFC 8689) ---

@pytest.mark.parametrize("domain", ["name.sts.exim.test", "cert.sts.postfix.test", "dane.opensmtpd.test", "sts.bare.test"])
def test_a_sender_may_do_without(post, domain):
    octets = post.arrived(domain.split(".")[-2], f"north-optional-{domain}")
    assert b"\r\nTLS-Required: No\r\n" in octets


@pytest.mark.parametrize("domain", ["south.test", "sts.south.test"])
def test_a_sender_may_require_it(post, net, domain):
    """Names that DNSSEC proves, and those of a policy."""
    post.arrived("south", f"north-required-{domain}")
    story = net.host("north").trace(post.ids[f"north-required-{domain}"], json=True)
    assert re.search(r"tls=TLSv1.3/\w+/pkix", story), story


@pytest.mark.parametrize("recipient, about, status", [
    ("dora@postfix.test", "dora@postfix.test", "5.7.30"), ("dora@cert.sts.exim.test", "dora@cert.sts.exim.test", "5.7.10"),
    ("dora@sts.bare.test", "dora@sts.bare.test", "5.7.10"), ("onward@south.test", "carol@exim.test", "5.7.30")])
def test_what_requires_TLS_comes_back_where_nobody_promises_it(post, recipient, about, status):
    """At once, with the header alone; what an alias at south sends on requires it, too."""
    _, fields, octets = post.report("north", about)
    assert f"Status: {status}\n" in fields
    assert b"\r\nContent-Type: text/rfc822-headers" in octets and BODIES["plain"] not in octets


# --- What comes back ---

@pytest.mark.parametrize("here, there", PAIRS)
def test_an_unknown_user_is_reported(post, here, there):
    _, fields, _ = post.report(here, f"nobody-{here}@{there}.test")
    assert re.search(r"(?m)^Status: 5\.(1\.1|0\.0|2\.4|1\.0)", fields), fields


@pytest.mark.parametrize("there", OTHERS)
def test_a_report_of_others_is_kept(post, there):
    """They took it, sent it on to north, which refused it: their report crosses the wire to south."""
    _, _, octets = post.report("south", f"nobody-{there}@north.test")
    assert octets.startswith(b"Return-Path: <>\r\n")


def test_a_report_of_ours_crosses_the_wire(post):
    post.report("postfix", "nobody@exim.test")


@pytest.mark.parametrize("here, there", TOO_LARGE)
def test_what_is_too_large_comes_back(post, here, there):
    _, fields, _ = post.report(here, f"dora@{there}.test")
    assert "Status: 5.3.4" in fields


@pytest.mark.parametrize("there", OTHERS)
def test_what_was_asked_of_reports_is_passed_on(post, there):
    _, fields, _ = post.report("north", f"carol@{there}.test", "carol", "delivered")
    if there != "opensmtpd":  # whose reports name neither
        assert re.search(r"(?i)Original-Envelope-Id: ?QQ314\n", fields)
        assert re.search(rf"(?i)Original-Recipient: ?rfc822; ?first-{there}@south.test\n", fields)


def test_who_was_meant_first_may_be_Chinese(post):
    _, fields, _ = post.report("north", "原来的@south.test", "用户", "delivered")
    assert "Original-Recipient: utf-8;原来的@south.test\n" in fields, fields


# --- Chinese ---

@pytest.mark.parametrize("here, there", [pair for pair in PAIRS if set(pair) <= UTF8])
def test_addresses_and_headers_in_Chinese(post, here, there):
    octets = post.arrived(there, f"{here}-{there}-smtputf8", "用户")
    assert "\r\nSubject: 你好，世界\r\n".encode() in octets
    assert f"\r\nFrom: <用户@{here}.test>\r\n".encode() in octets


def test_a_domain_in_Chinese(post):
    octets = post.arrived("south", "north-idn", "用户@例子.test")
    assert "\r\nDelivered-To: 用户@xn--fsqu00a.test\r\n".encode() in octets
    octets = post.arrived("north", "idn-north", "用户")
    assert octets.startswith("Return-Path: <用户@xn--fsqu00a.test>\r\n".encode())


def test_who_takes_no_such_address(post):
    """5.6.7, in words that a person understands."""
    text, fields, _ = post.report("north", "nobody-utf8@opensmtpd.test", "用户")
    assert "Status: 5.6.7" in fields
    assert "cannot handle addresses with letters beyond" in text
    text, fields, _ = post.report("south", "nobody-utf8@opensmtpd.test", "用户")
    assert "Status: 5.6.7" in fields and "对方服务器不支持国际化邮箱地址" in text


def test_a_report_in_the_language_of_its_reader(post):
    text, _, octets = post.report("south", "nobody-south@exim.test")
    assert "您的邮件未能送达以下收件人" in text and "nobody-south@exim.test" in text
    assert "邮件未送达" in str(email.message_from_bytes(octets, policy=email.policy.default)["Subject"])
    text, _, _ = post.report("north", "nobody-north@exim.test")
    assert "Your message could not be delivered" in text
    for here in OURS:
        _, fields, _ = post.report(here, "没有这个人@exim.test", "用户")
        assert "utf-8; 没有这个人@exim.test" in fields
