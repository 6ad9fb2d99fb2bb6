"""A submitted header put right is, to Python's email package, the header that came: without Bcc and
Return-Path, with what was missing, and everything else octet by octet as it was.

The messages are those of test/corpus/ and as many made by chance (messages.py), with fields of
submission put among theirs. MESSAGE_SEED=n begins with another one.
"""
import email
import email.policy
import os
import pathlib
import random
import subprocess

import pytest

import messages

PUT_RIGHT = os.environ["SUBMISSION_PUT_RIGHT"]
CORPUS = sorted((pathlib.Path(__file__).parent.parent / "corpus").glob("*.eml"))
MADE = 100
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
FIELDS = [b"Bcc: x@hidden.test\r\n", b"bcc: x@hidden.test,\r\n\ty@hidden.test\r\n", b"BCC:\r\n",
          b"Resent-Bcc: z@hidden.test\r\n", b"Return-Path: <x@hidden.test>\r\n", b"Date:\r\n",
          b"Message-ID: \r\n", b"Cc: carl, Dora <dora>\r\n", b"X-Bcc-Like: bcc: no\r\n"]
GONE = ("bcc", "resent-bcc", "return-path")
LISTS = ("from", "sender", "reply-to", "to", "cc", "resent-from", "resent-sender", "resent-to", "resent-cc")


def put_right(message, tmp_path):
    path = tmp_path / "message.eml"
    path.write_bytes(message)
    return subprocess.run([PUT_RIGHT, str(path)], capture_output=True)


def head_and_body(message):
    if message.startswith(b"\r\n"):
        return b"", message
    head, end, body = message.partition(b"\r\n\r\n")
    return head, end + body


def with_fields(message, chance):
    """Some fields of submission behind whole fields of the header."""
    head, rest = head_and_body(message)
    lines = head.split(b"\r\n")
    starts = [i for i, line in enumerate(lines) if line[:1] not in (b" ", b"\t") and b":" in line]
    for field in chance.sample(FIELDS, chance.randrange(1, 5)):
        at = chance.choice(starts) if starts else 0
        lines[at] = field + lines[at]
    return b"\r\n".join(lines) + rest


def fields(message):
    return [(name.lower(), value) for name, value in
            email.message_from_bytes(message, policy=email.policy.compat32).raw_items()]


def is_kept(field):
    name, value = field
    return name not in GONE and not (name in ("date", "message-id") and not str(value).strip())


def check(came, kept):
    assert head_and_body(kept)[1] == head_and_body(came)[1]
    expected = [field for field in fields(came) if is_kept(field)]
    got = fields(kept)
    names = [name for name, _ in got]
    assert not set(names) & set(GONE)
    assert {"date", "from", "message-id"} <= set(names) and {"to", "cc"} & set(names)
    added = got[:len(got) - len(expected)]
    assert not {name for name, _ in added} & {name for name, _ in expected}
    for (name, value), (was, before) in zip(got[len(added):], expected):
        assert name == was
        assert value == before or name in LISTS and str(value).replace("@here.test", "") == before


def tried(message, tmp_path):
    """True where it was taken."""
    done = put_right(message, tmp_path)
    if done.returncode:
        assert done.returncode == 1 and done.stderr.startswith(b"MESSAGE_FROM: "), done
        return False
    check(message, done.stdout)
    assert put_right(done.stdout, tmp_path).stdout == done.stdout
    return True


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus(path, tmp_path):
    chance = random.Random(path.stem)
    tried(path.read_bytes(), tmp_path)
    tried(with_fields(path.read_bytes(), chance), tmp_path)


def test_made_by_chance(tmp_path):
    taken = 0
    for seed in range(FIRST, FIRST + MADE):
        taken += tried(with_fields(messages.message(seed), random.Random(seed)), tmp_path)
    assert taken > MADE / 2
