"""Delivery reports, read by Python's email package: the parts, fields and words that were put in, and nothing else,
whatever strangers wrote.

What each kind says in each language stands in reports/KIND.LANGUAGE.txt, decoded. REPORTS_WRITE=1 writes these files
anew: read them before they are committed. MESSAGE_SEED=n begins with another seed.
"""
import email
import email.policy
import os
import pathlib
import random
import subprocess

import pytest

PRINT = os.environ["REPORT_PRINT"]
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
MADE = 60
TEXTS = pathlib.Path(__file__).parent / "reports"
LANGUAGES = {"en": 0, "zh": 1}
ACTIONS = ["failed", "delayed", "expanded", "relayed", "delivered"]

HEADER = (b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: =?utf-8?B?5Lya6K6u57qq6KaB?=\r\n"
          b"Message-ID: <1@example.org>\r\n\r\n")
MESSAGE = {"host": b"mx.example.org", "to": b"alice@example.org", "message_id": b"2.dsn@mx.example.org",
           "queue_id": b"01j9x3k2m7q4r", "envid": b"env 1", "arrival": 1795310000, "zone": 480, "header": HEADER}
FULL = {"final": b"bob@example.net", "original": b"rfc822;robert@old.example", "status": 5002002,
        "remote": b"mx1.example.net", "code": 552, "text": b"5.2.2 Mailbox full\nTry again when there is room",
        "last_attempt": 1795319000, "retry_until": 1795620000}
UNREACHABLE = {"final": b"carol@example.com", "status": 4004001, "code": 0, "text": b"connection timed out",
               "last_attempt": 1795319000, "retry_until": 1795620000}

HEADER_FIELDS = ["From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
                 "MIME-Version", "Content-Type"]
MESSAGE_FIELDS = {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date", "X-Veredus-Queue-Id"}
RECIPIENT_FIELDS = {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                    "Last-Attempt-Date", "Will-Retry-Until"}

HOSTILE = [b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b"X-Evil: 1", b"\r\nX-Evil: 1\r\n", b"--=_", b"\r\n--=_0123456789abcdef",
           b"\r\n.\r\n", b"\xe2\x80\xae", b"\xe2\x81\xa6", b"\xff", b"\xc2\x85", b"\xe4\xbd\xa0", b"(", b")", b"\"", b"\\", b"<", b">",
           b"=?utf-8?B?WC1FdmlsOiAx?=", b"=?utf-8?Q?=0D=0AX-Evil:_1?=", b" ", b"a", b"word ", b";", b":", b"@", b"\x1b[31m",
           b"\r\nContent-Type: text/html\r\n\r\n<b>", b"From ", b"\t", b"x" * 1000, b"\xe2\x80\xa8"]


def made(message, recipients):
    """(8-bit, UTF-8, report)"""
    lines = []

    def put(values):
        for key, value in values.items():
            lines.append(f"{key} {value if isinstance(value, int) else value.hex()}\n")

    put(message)
    for recipient in recipients:
        lines.append("recipient -\n")
        put(recipient)
    out = subprocess.run([PRINT], input="".join(lines).encode(), check=True, capture_output=True).stdout
    needs, report = out.split(b"\n", 1)
    return *map(int, needs.split()), report


def read(report):
    return email.message_from_bytes(report, policy=email.policy.default.clone(utf8=True))


def defects(message):
    return [defect for part in message.walk() for defect in part.defects]


def status_groups(part):
    """Lists of (name, value unfolded): the message's fields, then each recipient's."""
    octets = part.as_bytes(policy=part.policy.clone(utf8=True, refold_source="none")).split(b"\n\n", 1)[1]
    groups = []
    for block in octets.decode().strip().split("\n\n"):
        fields = []
        for line in block.split("\n"):
            if line[:1] == " ":
                fields[-1][1] += line
            else:
                fields.append(line.split(": ", 1))
        groups.append(fields)
    return groups


def shown(message):
    """A report as its reader sees it: decoded, the parts as they are."""
    parts = message.get_payload()
    fields = "".join(f"{name}: {message[name]}\n" for name in HEADER_FIELDS[:-1])
    people = parts[0].get_content()
    status = "\n".join("".join(f"{name}: {value}\n" for name, value in group) for group in status_groups(parts[1]))
    return fields + "\n" + people + "\n" + status


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("action", range(len(ACTIONS)))
def test_kind(action, language):
    recipients = [{**FULL, "action": action}, {**UNREACHABLE, "action": action}]
    _, _, report = made({**MESSAGE, "language": LANGUAGES[language]}, recipients)
    message = read(report)
    text = shown(message).replace("\r\n", "\n")
    path = TEXTS / f"{ACTIONS[action]}.{language}.txt"
    if os.environ.get("REPORTS_WRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.get_payload()] == [
        "text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert not defects(message)


def structure_holds(message, report, eight_bit, utf8, recipients, returned):
    assert [name for name in message.keys() if name not in ("In-Reply-To", "References")] == [
        name for name in HEADER_FIELDS if name not in ("In-Reply-To", "References")]
    parts = message.get_payload()
    assert len(parts) == 2 + returned
    assert parts[0].get_content_type() == "text/plain"
    assert parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    if returned:
        assert parts[2].get_content_type() in ("message/rfc822", "text/rfc822-headers", "message/global",
                                               "message/global-headers")
    assert eight_bit or report.isascii()
    assert eight_bit or not utf8
    groups = status_groups(parts[1])
    assert len(groups) == 1 + len(recipients)
    assert {name for name, _ in groups[0]} <= MESSAGE_FIELDS
    for group, recipient in zip(groups[1:], recipients):
        names = [name for name, _ in group]
        assert set(names) <= RECIPIENT_FIELDS and len(names) == len(set(names))
        assert dict(group)["Action"] == ACTIONS[recipient["action"]]
    people = parts[0].get_content()
    assert "X-Evil" not in [line.split(":")[0] for line in people.split("\n")]
    for bad in "\0\x1b\u202e\u2066\u2028\x85\ufffd":
        assert bad not in people and bad not in str(message["subject"])


def hostile(chance):
    return b"".join(chance.choice(HOSTILE) for _ in range(chance.randint(1, 12)))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MADE))
def test_hostile(seed):
    chance = random.Random(seed)
    message = {**MESSAGE, "language": chance.randrange(2), "reads_utf8": chance.randrange(2), "utf8": chance.randrange(2)}
    for key in ("host", "queue_id", "envid", "message_id", "postmaster"):
        if chance.random() < 0.3:
            message[key] = hostile(chance)
    header = b"Subject: " + hostile(chance).replace(b"\r\n", b"\r\n ").replace(b"\n\r", b"") + b"\r\n\r\n"
    if chance.random() < 0.5 and b"\r\n\r\n" not in header[:-4]:
        message["header"] = header
    if chance.random() < 0.5:
        message["body"] = hostile(chance)
    recipients = []
    for _ in range(chance.randint(1, 4)):
        recipient = {"action": chance.randrange(5), "status": chance.choice([5001001, 4002002, 9999999, 0]),
                     "code": chance.choice([0, 550, 421]), "last_attempt": 1795319000, "retry_until": 1795620000}
        for key in ("final", "original", "remote", "text"):
            recipient[key] = hostile(chance) if chance.random() < 0.7 else FULL[key]
        recipients.append(recipient)
    eight_bit, utf8, report = made(message, recipients)
    structure_holds(read(report), report, eight_bit, utf8, recipients, True)


def test_long_text_with_the_boundary():
    """64 KiB of a reply that holds the very boundary, as its sender could reckon it."""
    _, _, plain = made(MESSAGE, [{**FULL, "action": 0}])
    boundary = read(plain).get_boundary().encode()
    attack = (b"\r\n--" + boundary + b"\r\nContent-Type: text/html\r\n\r\n<b>\r\n--" + boundary + b"--\r\n") * 600
    recipients = [{**FULL, "action": 0, "text": attack}]
    eight_bit, utf8, report = made({**MESSAGE, "body": attack}, recipients)
    message = read(report)
    assert message.get_boundary().encode() != boundary
    structure_holds(message, report, eight_bit, utf8, recipients, True)
    assert message.get_payload(2).get_payload(0)["subject"] == "会议纪要"
    assert report.count(attack) == 1


def test_values_read_back():
    original = "utf-8;用户+x@例子.example".encode()
    recipient = {**FULL, "action": 0, "original": original, "final": "用户@xn--fsqu00a.example".encode(),
                 "text": "5.2.2 邮箱已满".encode()}
    for reads_utf8 in (0, 1):
        _, utf8, report = made({**MESSAGE, "reads_utf8": reads_utf8}, [recipient])
        groups = status_groups(read(report).get_payload(1))
        fields = dict(groups[1])
        assert utf8 == reads_utf8
        assert dict(groups[0]) == {"Original-Envelope-Id": "env 1", "Reporting-MTA": "dns; mx.example.org",
                                   "Arrival-Date": "Sun, 22 Nov 2026 09:13:20 +0800",
                                   "X-Veredus-Queue-Id": "01j9x3k2m7q4r"}
        assert fields["Status"] == "5.2.2" and fields["Remote-MTA"] == "dns; mx1.example.net"
        if reads_utf8:
            assert fields["Original-Recipient"] == "utf-8; 用户+x@例子.example"
            assert fields["Diagnostic-Code"] == "smtp; 552 5.2.2 邮箱已满"
        else:
            assert fields["Original-Recipient"] == (
                "utf-8; \\x{7528}\\x{6237}\\x{2B}x@\\x{4F8B}\\x{5B50}.example")
            assert fields["Diagnostic-Code"] == "smtp; 552 5.2.2 \\x{90AE}\\x{7BB1}\\x{5DF2}\\x{6EE1}"


def test_returned_message_is_the_message():
    body = b"Line\r\n.\r\nFrom here\r\n--x\r\n"
    _, _, report = made({**MESSAGE, "body": body}, [{**FULL, "action": 0}])
    assert b"\r\n\r\n" + HEADER + body + b"\r\n--" in report
    inner = read(report).get_payload(2).get_payload(0)
    assert inner["subject"] == "会议纪要" and inner["message-id"] == "<1@example.org>"
