"""A message that was converted for a peer without 8BITMIME or BINARYMIME is, to Python's email package, the message
that it was: the same parts of the same types, each with the same content. What comes out holds nothing that the peer
cannot take; what goes as it is held nothing of the kind before.

The messages are those of test/corpus/ and as many made by chance (messages.py), some spoiled. MESSAGE_SEED=n begins
with another one.
"""
import email
import email.policy
import os
import pathlib
import random
import subprocess

import pytest

import messages

RUN = os.environ["DOWNCONVERT_RUN"]
CORPUS = sorted((pathlib.Path(__file__).parent.parent / "corpus").glob("*.eml"))
MADE = 100
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
LINE_MAX = 998


def spoiled(seed):
    """Labels that say binary, NUL, lines that are too long, 8-bit octets in what was encoded."""
    chance = random.Random(seed)
    message = messages.message(seed)
    if chance.random() < 0.3:
        message = message.replace(b"Encoding: 8bit", b"Encoding: binary").replace(b"\xc3", b"\0")
    if chance.random() < 0.3:
        message = message.replace(b"of the", b"of the " * 300 + b"end")
    if chance.random() < 0.3:
        message = message.replace(b"=C3", b"\xc3")
    if chance.random() < 0.3:
        message = message.replace(b"MIME-Version: 1.0\r\n", b"")
    if chance.random() < 0.2:
        message = message.replace(b"preamble", "pr\u00e4ambel".encode())
    return message


def parts(message):
    found = []
    for part in email.message_from_bytes(message, policy=email.policy.compat32).walk():
        content = None if part.is_multipart() else part.get_payload(decode=True)
        found.append((part.get_content_type(), part.get_filename(), content))
    return found


def leaves(message):
    for part in email.message_from_bytes(message, policy=email.policy.compat32).walk():
        if not part.is_multipart():
            yield part.get_payload()


def fits(message, to):
    if to == "7" and not message.isascii():
        return False
    return all("\0" not in leaf and all(len(line) <= LINE_MAX for line in leaf.split("\r\n"))
               for leaf in leaves(message))


def check(message, to, tmp_path):
    path = tmp_path / "message.eml"
    path.write_bytes(message)
    done = subprocess.run([RUN, to, str(path)], capture_output=True)
    assert done.returncode in (0, 1, 3), done.stderr
    if done.returncode == 3:
        assert fits(message, to)
    if done.returncode == 0:
        assert fits(done.stdout, to)
        assert parts(done.stdout) == parts(message)
        assert b"MIME-Version" in done.stdout
    return done.returncode


@pytest.mark.parametrize("to", ["7", "8"])
def test_messages_made_by_chance_keep_their_content(tmp_path, to):
    codes = [check(spoiled(seed), to, tmp_path) for seed in range(FIRST, FIRST + MADE)]
    assert codes.count(0) > MADE // 5 and codes.count(3) > 0


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_goes_as_7bit_or_says_why(path, tmp_path):
    check(path.read_bytes(), "7", tmp_path)
