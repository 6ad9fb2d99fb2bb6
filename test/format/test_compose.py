"""What is composed is, to Python's email package, what was put in: people, subject, text, files and their names."""
import email
import email.policy
import os
import random
import subprocess

import pytest

PRINT = os.environ["COMPOSE_PRINT"]
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
MADE = 50

PIECES = ["word ", "你好", "Ünï", "\r\n", "\n", "=?utf-8?Q?x?=", '"', "\\", ",", "<", ">", "@", ";", "x" * 90, " ", "\t", "😀", "--=_",
          "X-Evil: 1", "\r\nX-Evil: 1\r\n\r\n", ".", "'", "*", "%", "(", "/", "\0", "\x1b"]


def composed(head, attachments=()):
    lines = []
    for key, value in head:
        lines.append(f"{key} {value if isinstance(value, int) else value.hex() if isinstance(value, bytes) else value.encode().hex()}\n")
    lines.append(f"attachments {int(bool(attachments))}\n")
    for name, kind, octets in attachments:
        lines.append(f"type {kind.encode().hex()}\n")
        lines.append(f"attach {name.encode().hex()}\n")
        step = max(1, len(octets) // 3)
        for at in range(0, len(octets), step):
            lines.append(f"data {octets[at:at + step].hex()}\n")
    out = subprocess.run([PRINT], input="".join(lines).encode(), check=True, capture_output=True).stdout
    assert max(map(len, out.split(b"\r\n"))) <= 998 and out.isascii()
    assert b"\n" not in out.replace(b"\r\n", b"")
    message = email.message_from_bytes(out, policy=email.policy.default)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


FROM = [("from_name", "张三, 李四"), ("from", "ann@example.org"), ("message_id", "1@example.org")]


def test_all_fields():
    head = FROM + [("to", "bob@example.net"), ("name", 'Carol "C" Smith'), ("to", "carol@example.net"), ("name", "王五"),
                   ("cc", "wang@example.net"), ("subject", "每周报告：第 47 周"), ("user_agent", "veredus/1"), ("priority", 1),
                   ("receipt_to", "ann@example.org"), ("unsubscribe_url", "https://example.org/u?x=1"),
                   ("unsubscribe_mail", "leave@example.org"), ("text", "Hello\nthere\n")]
    message = composed(head)
    assert [(box.display_name, box.addr_spec) for box in message["from"].addresses] == [("张三, 李四", "ann@example.org")]
    assert [(box.display_name, box.addr_spec) for box in message["to"].addresses] == [
        ("", "bob@example.net"), ('Carol "C" Smith', "carol@example.net")]
    assert [(box.display_name, box.addr_spec) for box in message["cc"].addresses] == [("王五", "wang@example.net")]
    assert message["subject"] == "每周报告：第 47 周"
    assert message["date"] == "Sun, 22 Nov 2026 04:00:00 +0000" and message["message-id"] == "<1@example.org>"
    assert (message["x-priority"], message["importance"], message["priority"]) == ("1 (Highest)", "high", "urgent")
    assert message["disposition-notification-to"] == "ann@example.org"
    assert message["list-unsubscribe"] == "<https://example.org/u?x=1>, <mailto:leave@example.org>"
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message.get_content_charset() == "us-ascii" and message.get_content() == "Hello\r\nthere\r\n"


def test_nobody_named():
    message = composed(FROM + [("text", "x")])
    assert message["to"] == "undisclosed-recipients:;" and message["subject"] is None
    for field in ("cc", "x-priority", "list-unsubscribe", "list-unsubscribe-post", "disposition-notification-to", "user-agent"):
        assert message[field] is None


@pytest.mark.parametrize("charset,text,encoding", [
    (None, "plain\n", "7bit"), (None, "café and a long enough rest\n", "quoted-printable"), (None, "你好，世界\n", "base64"),
    ("gb18030", "你好，世界\n", "base64"), ("iso-8859-1", "un café pour tout le monde\n", "quoted-printable"),
    ("utf-16", "wide\r\n", "base64"), ("iso-2022-jp", "日本語\n", "7bit"), (None, "x" * 2000 + "\n", "quoted-printable")])
def test_text(charset, text, encoding):
    head = FROM + [("text", text.encode(charset or "utf-8"))] + ([("charset", charset)] if charset else [])
    message = composed(head)
    assert message["content-transfer-encoding"] == encoding
    assert message.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_attachments():
    big = random.Random(1).randbytes(300_000)
    files = [("a.pdf", "", b"%PDF"), ("报告 2026（终稿）.xlsx", "", big), ("dir/../note.txt", "text/x-note", b""),
             ("n" * 200 + ".png", "bad type\r\nX-Evil: 1", b"x\r\n")]
    message = composed(FROM + [("text", "See.\n")], files)
    assert message.get_content_type() == "multipart/mixed"
    parts = message.get_payload()
    assert [part.get_content_type() for part in parts] == [
        "text/plain", "application/pdf", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/x-note",
        "image/png"]
    assert [part.get_filename() for part in parts[1:]] == ["a.pdf", "报告 2026（终稿）.xlsx", "note.txt", "n" * 200 + ".png"]
    assert [part.get_payload(decode=True) for part in parts[1:]] == [b"%PDF", big, b"", b"x\r\n"]
    assert all(part.get_content_disposition() == "attachment" for part in parts[1:])


def hostile(chance):
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 15)))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + MADE))
def test_hostile(seed):
    chance = random.Random(seed)
    text, subject, name = hostile(chance), hostile(chance), hostile(chance)
    head = [("from_name", hostile(chance)), ("from", "ann@example.org"), ("message_id", hostile(chance)), ("subject", subject),
            ("user_agent", hostile(chance)), ("unsubscribe_mail", hostile(chance)), ("text", text),
            ("name", hostile(chance)), ("to", "bob@example.net")]
    octets = chance.randbytes(chance.randrange(400))
    message = composed(head, [(name, "", octets)] if seed % 2 else [])
    assert set(message.keys()) <= {"From", "To", "Subject", "Date", "Message-ID", "User-Agent", "List-Unsubscribe",
                                   "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    parts = message.get_payload() if seed % 2 else [message]
    assert len(parts) == 1 + seed % 2
    assert [box.addr_spec for box in message["to"].addresses] == ["bob@example.net"]
    if "\0" not in text:
        wanted = text.replace("\r\n", "\n")
        assert parts[0].get_content().replace("\r\n", "\n").rstrip("\n") == wanted.rstrip("\n")
    if seed % 2:
        assert parts[1].get_payload(decode=True) == octets
