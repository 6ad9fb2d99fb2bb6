"""What we sign, Python's dkim package verifies: both signatures of each message, hostile ones among them; and what was
changed or added behind the signature it does not.

MESSAGE_SEED=n begins with another message made by chance.
"""
import os
import random
import subprocess

import dkim
import pytest

SIGN = os.environ["DKIM_SIGN"]
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
MADE = 400

HEADER = (b"From: ann@example.test\r\nTo: bob@b.test\r\nSubject: the minutes\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
          b"Message-ID: <1@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
BODIES = {
    "empty": b"",
    "one empty line": b"\r\n",
    "empty lines": b"\r\n" * 70,
    "blanks": b" \t \r\n\t\r\n",
    "trailing blanks": b"a \t\r\n  b  c\t\td \r\n \r\n",
    "empty lines in the middle": b"a\r\n\r\n \r\n\r\nb\r\n\r\n\r\n",
    "no last end": b"a\r\nb",
    "8-bit": "Bücher\t例子 \r\n\xff\r\n".encode("latin-1", "replace") + bytes(range(128, 256)) + b"\r\n",
    "dots": b".\r\n..\r\n. \r\n",
    "long line": b"x " * 40000 + b"\r\n",
    "like a header": b"From: mallory@m.test\r\n\r\nDKIM-Signature: v=1\r\n",
}
HEADERS = {
    "folded": b"Subject:\r\n the  \t minutes\r\n\tof \r\n  all\r\nfrom : ann@example.test\r\n",
    "two From": b"From: ann@example.test\r\nFROM: bob@example.test\r\nSubject: x\r\n",
    "empty values": b"From: ann@example.test\r\nSubject:\r\nTo: \r\n \r\nCc:\t\r\n",
    "8-bit": "From: Bücher <ann@example.test>\r\nSubject: 例子\r\n".encode(),
    "octets that are no text": b"From: ann@example.test\r\nSubject: \x80\xff\x01\x7f\r\n",
    "From alone": b"From: ann@example.test\r\n",
    "signed before": b"DKIM-Signature: v=1; a=rsa-sha256; d=m.test; s=x; h=from; bh=; b=\r\nFrom: ann@example.test\r\n",
    "a list": b"List-Unsubscribe: <https://l.test/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nFrom: a@b.test\r\n",
    "many": b"From: ann@example.test\r\n" + b"To: bob@b.test\r\n" * 300,
    "long": b"From: ann@example.test\r\nReferences:" + b"\r\n <%s@x.test>" * 200 % tuple([b"1"] * 200) + b"\r\n",
}


class Signer:
    """test_dkim_sign, at the other end of two pipes."""

    def __init__(self):
        self.process = subprocess.Popen([SIGN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.records = {b"one._domainkey.example.test.": self.process.stdout.readline().strip(),
                        b"two._domainkey.example.test.": self.process.stdout.readline().strip()}

    def sign(self, message):
        self.process.stdin.write(b"%d\n" % len(message) + message)
        self.process.stdin.flush()
        return self.process.stdout.read(int(self.process.stdout.readline()))

    def lookup(self, name, timeout=5):
        return self.records[name]


@pytest.fixture(scope="module")
def signer():
    made = Signer()
    yield made
    made.process.stdin.close()
    assert made.process.wait(10) == 0


def verdicts(signer, signed):
    """Of the two signatures in front."""
    found = []
    for i in range(2):
        try:
            found.append(dkim.DKIM(signed, minkey=1024).verify(i, dnsfunc=signer.lookup))
        except dkim.DKIMException as wrong:
            found.append(str(wrong))
    return found


def passes(signer, message):
    signed = signer.sign(message) + message
    assert verdicts(signer, signed) == [True, True]
    return signed


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bodies(signer, body):
    passes(signer, HEADER + b"\r\n" + body)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_headers(signer, header):
    # Python's relaxed form takes "from " for a name of its own.
    passes(signer, header.replace(b"from :", b"from:") + b"\r\nbody\r\n")


def test_header_without_body(signer):
    passes(signer, HEADER)


# What somebody on the way may not do.
CHANGES = {
    "body": lambda signed: signed.replace(b"body\r\n", b"bodies\r\n"),
    "more body": lambda signed: signed + b"<a href=x>\r\n",
    "subject": lambda signed: signed.replace(b"the minutes", b"the hours"),
    "second From in front": lambda signed: b"From: mallory@m.test\r\n" + signed,
    "second From behind": lambda signed: signed.replace(b"\r\nTo:", b"\r\nFrom: mallory@m.test\r\nTo:"),
    "second Subject": lambda signed: b"Subject: win\r\n" + signed,
    "second Content-Type": lambda signed: b"Content-Type: text/html\r\n" + signed,
    "second To": lambda signed: b"To: eve@e.test\r\n" + signed,
    "a Reply-To": lambda signed: b"Reply-To: mallory@m.test\r\n" + signed,
    "a Cc": lambda signed: b"Cc: eve@e.test\r\n" + signed,
    "an encoding": lambda signed: b"Content-Transfer-Encoding: base64\r\n" + signed,
    "no Date": lambda signed: signed.replace(b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n", b""),
    "time": lambda signed: signed.replace(b"t=1795219200", b"t=1795219201"),
}
# And what happens to mail, and must not matter.
HARMLESS = {
    "trace": lambda signed: b"Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0000\r\nReturn-Path: <x@y>\r\n" + signed,
    "end of the body": lambda signed: signed + b"\r\n\r\n",
    "blanks": lambda signed: signed.replace(b"the minutes", b"the\r\n\t minutes ").replace(b"body\r\n", b"body \t\r\n"),
    "list": lambda signed: b"List-Id: <l.test>\r\nSender: l@l.test\r\nPrecedence: list\r\n" + signed,
    "folds of the signature": lambda signed: signed.replace(b"\r\n\t", b"\r\n        "),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_breaks_it(signer, change):
    signed = passes(signer, HEADER + b"\r\nbody\r\n")
    assert change(signed) != signed
    assert True not in verdicts(signer, change(signed))


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_does_not(signer, change):
    signed = passes(signer, HEADER + b"\r\nbody\r\n")
    assert change(signed) != signed
    assert verdicts(signer, change(signed)) == [True, True]


def test_by_chance(signer):
    names = [b"From", b"Subject", b"TO", b"cc", b"List-Id", b"X-Other", b"Received", b"Content-type", b"Date"]
    pieces = [b"a", b"bc", b" ", b"  ", b"\t", b" \t ", b"\r\n ", b"\r\n\t", "ü".encode(), b"\xff", b":", b";", b"=", b"."]
    lines = [b"\r\n"] * 4 + [b" ", b"\t", b"  ", b"word", b"w ", b"\xfe", b".", b"-- "]
    for seed in range(FIRST, FIRST + MADE):
        chance = random.Random(seed)
        header = b"From: ann@example.test\r\n"
        for _ in range(chance.randint(0, 8)):
            value = b"".join(chance.choices(pieces, k=chance.randint(0, 9)))
            header += chance.choice(names) + b":" + value + b"\r\n"
        body = b"".join(chance.choices(lines, k=chance.randint(0, 30)))
        # Where the last line has no end, Python's package keeps its blanks; on the wire it always has one.
        message = header + b"\r\n" + (body if body.endswith(b"\r\n") else body + b"\r\n")
        signed = signer.sign(message) + message
        assert verdicts(signer, signed) == [True, True], f"MESSAGE_SEED={seed}: {message!r}"
