"""Rows M of the catalogue: messages that were made to hurt the one who reads them. On port 25 a message is stored
as it came or refused by a limit; either way the next session is served and no role has grown."""
import base64

import pytest

import veredus
from veredus import message

pytestmark = pytest.mark.usefixtures("hostile")


def stored_untouched(smtp, bob, sent):
    smtp.deliver(sent)
    [raw] = bob.raw()
    front = raw[:len(raw) - len(sent)]
    assert raw == front + sent and front.startswith(b"Return-Path: ") and front.endswith(b"+0000\r\n")
    # What TOP 0 shows ends where the header ends.
    with bob.session() as session:
        head = session.many("TOP 1 0")
    assert raw.startswith(head)
    bob.empty()
    return head[len(front):]


def refused(smtp, sent, code, enhanced):
    smtp.envelope("alice@example.test", "bob@example.test")
    reply = smtp.data(sent)
    assert (reply.code, reply.enhanced) == (code, enhanced), reply
    smtp.expect("NOOP", 250)



@pytest.mark.parametrize("count", [1001, 100_000, 500_000])
def test_M01_address_header_lines(smtp, bob, count):
    refused(smtp, b"To: a@b\r\n" * count + b"\r\nHello.\r\n", 552, "5.3.4")
    assert bob.count() == 0


def test_M01_as_many_as_are_allowed(smtp, bob):
    stored_untouched(smtp, bob, b"To: a@b\r\n" * 1000 + b"\r\nHello.\r\n")


def test_M01_one_line_of_very_many_addresses(smtp, bob):
    stored_untouched(smtp, bob, b"To: " + b"a@b,\r\n " * 30000 + b"a@b\r\n\r\nHello.\r\n")
    stored_untouched(smtp, bob, b"To: " + b"g:<a@b>" * 20000 + b"(" * 20000 + b"\r\n\r\nHello.\r\n")
    refused(smtp, b"To: " + b"a@b,\r\n " * 100000 + b"a@b\r\n\r\nHello.\r\n", 552, "5.3.4")


def test_M02_a_huge_header(smtp, bob):
    """100 MB, folded after every octet; refused at its end, or, far above every limit, in its middle."""
    smtp.envelope("alice@example.test", "bob@example.test")
    smtp.expect("DATA", 354)
    piece = b"\r\n x" * (1 << 18)
    went = smtp.send(b"Subject: x") or True
    for _ in range(100):
        went = went and smtp.send_anyway(piece)
    smtp.send_anyway(b"\r\n\r\n.\r\n")
    reply = smtp.reply()
    assert (reply.code, reply.enhanced) == (552, "5.3.4")
    assert bob.count() == 0


@pytest.mark.parametrize("size", [100_000, 300_000])
def test_M02_a_header_around_the_limit(smtp, bob, size):
    sent = b"Subject: x" + b"\r\n x" * (size // 4) + b"\r\n\r\nHello.\r\n"
    if size < 256 * 1024:
        stored_untouched(smtp, bob, sent)
    else:
        refused(smtp, sent, 552, "5.3.4")


def nested_multipart(depth):
    head = [b"MIME-Version: 1.0\r\n"]
    for level in range(depth):
        head.append(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level))
    return b"".join(head) + b"\r\nHello.\r\n"


def nested_messages(depth):
    return b"MIME-Version: 1.0\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: in\r\n\r\nHello.\r\n"


@pytest.mark.parametrize("nest", [nested_multipart, nested_messages])
@pytest.mark.parametrize("depth", [99, 100, 101, 10_000])
def test_M03_nesting(smtp, bob, nest, depth):
    stored_untouched(smtp, bob, nest(depth))


@pytest.mark.parametrize("count", [9_999, 10_001, 100_000, 1_000_000])
def test_M04_parts(smtp, bob, count):
    stored_untouched(smtp, bob, b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
                     b"--b\r\n\r\n" * count + b"--b--\r\n")


@pytest.mark.parametrize("inner", [b"outer", b"out", b"outer--", b"outerouter", b""])
def test_M05_boundaries_inside_each_other(smtp, bob, inner):
    sent = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
            b"Content-Type: message/rfc822\r\n\r\n"
            b"Content-Type: multipart/mixed; boundary=\"" + inner + b"\"\r\n\r\n" +
            (b"--" + inner + b"\r\n--outer\r\n--outer--\r\n") * 500)
    stored_untouched(smtp, bob, sent)


@pytest.mark.parametrize("parameters", [
    b"".join(b";\r\n filename*%d=x" % number for number in range(10_000)),
    b"".join(b";\r\n filename*%d=x" % number for number in range(5000, 0, -1)),
    b";\r\n filename*0=a;\r\n filename*2=c;\r\n filename*0=b;\r\n filename*1*=utf-8''%00%0a",
    b";\r\n filename*99999999999=x;\r\n filename*18446744073709551616*=y;\r\n filename*-1=z",
])
def test_M06_a_flood_of_parameters(smtp, bob, parameters):
    sent = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            b"Content-Disposition: attachment" + parameters + b"\r\n\r\nx\r\n--b--\r\n")
    stored_untouched(smtp, bob, sent)
    stored_untouched(smtp, bob, b"Content-Disposition: attachment" + parameters + b"\r\n\r\nx\r\n")


def test_M06_more_than_a_header_may_hold(smtp):
    flood = b"".join(b";\r\n filename*%d=x" % number for number in range(100_001))
    refused(smtp, b"Content-Disposition: attachment" + flood + b"\r\n\r\nx\r\n", 552, "5.3.4")


@pytest.mark.parametrize("words", [
    b"=?utf-8?Q?" + b"=00=0A=1B=9B" * 10_000 + b"?=",
    b" ".join([b"=?utf-8?Q?=E4=BD?="] * 6_000),
    b"=?utf-8?Q?" * 12_000,
    b"=?utf-7?Q?+AGEAYg-+" + b"//8" * 1000 + b"?=",
    b"=?iso-2022-jp?B?" + base64.b64encode(b"\x1b$B" + b"$" * 3001) + b"?=",
    b"=?" + b"x" * 100_000 + b"?B?AAAA?=",
    b"=?gb18030?B?" + base64.b64encode(b"\x81\x30\x81") + b"?=",
], ids=["controls", "halves", "nested", "utf-7", "iso-2022-jp", "charset", "gb18030"])
def test_M08_encoded_words(smtp, bob, words):
    stored_untouched(smtp, bob, b"Subject: " + words + b"\r\nFrom: " + words + b" <a@b.test>\r\n\r\nHello.\r\n")


def test_M08_a_megabyte_of_encoded_words(smtp, bob):
    words = b"\r\n ".join([b"=?utf-8?Q?=E4=BD=A0?="] * 45_000)
    refused(smtp, b"Subject: " + words + b"\r\n\r\nHello.\r\n", 552, "5.3.4")
    part = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    stored_untouched(smtp, bob, part + b"Content-Description: " + words[:200_000] + b"\r\n\r\nx\r\n--b--\r\n")


@pytest.mark.parametrize("header", [
    b"From: a@example.test\r\nFrom: b@example.test\r\n",
    b"From:\r\n",
    b"From : a@example.test\r\n",
    b" leading: space\r\nFrom: a@example.test\r\n",
    b"From: <a@evil.test>:<b@good.test>;\r\n",
    b"From: a@evil.test, b@good.test\r\n",
    b'From: "a@evil.test"@good.test\r\n',
    b"From: a@evil.test\0@good.test\r\n",
    b"",
], ids=["two", "empty", "space", "leading", "group", "list", "quoted", "nul", "none"])
def test_M10_what_is_ambiguous_is_stored_as_it_came(smtp, bob, header):
    """The author is judged where senders are checked; here nothing may be made of it, and nothing changed in it."""
    sent = header + b"Subject: who\r\n\r\nHello.\r\n"
    if b"\0" in sent:
        refused(smtp, sent, 550, "5.6.0")
    else:
        stored_untouched(smtp, bob, sent)


@pytest.mark.parametrize("sent, head", [
    (b"Subject: a\r\nno colon\r\nTo: b\r\n\r\nbody\r\n", b"Subject: a\r\nno colon\r\nTo: b\r\n\r\n"),
    (b"Subject: a\r\n \r\nTo: b\r\n\r\nbody\r\n", b"Subject: a\r\n \r\nTo: b\r\n\r\n"),
    (b"\r\nSubject: a\r\n\r\nbody\r\n", b"\r\n"),
    (b"Subject: a\r\n\r\n\r\nbody\r\n", b"Subject: a\r\n\r\n"),
    (b": no name\r\n\r\nbody\r\n", b": no name\r\n\r\n"),
    (b"Sub ject: a\r\n\tb\r\n\r\n", b"Sub ject: a\r\n\tb\r\n\r\n"),
])
def test_M11_where_the_header_ends(smtp, bob, sent, head):
    assert stored_untouched(smtp, bob, sent) == head


def test_M11_bare_cr_and_nul_in_a_header(smtp):
    refused(smtp, b"Sub\0ject: a\r\n\r\nbody\r\n", 550, "5.6.0")
    smtp.envelope("alice@example.test", "bob@example.test")
    smtp.expect("DATA", 354)
    smtp.send(b"Subject: a\rTo: b\r\n\r\nbody\r\n.\r\n")
    smtp.refused_and_closed(521, "5.5.2")
