"""The summary of a well-formed message is what Python's email package sees in it.

test_summary_dump prints the record of each message of test/corpus/, and of as many that are made by
chance (messages.py); two independent parsers have to agree about header fields, the tree of parts,
the decoded bodies and the file names. MESSAGE_SEED=n begins with another one.
"""
import email
import email.header
import email.policy
import json
import os
import pathlib
import subprocess
import tempfile

import pytest

import messages

DUMP = os.environ["SUMMARY_DUMP"]
CORPUS = sorted((pathlib.Path(__file__).parent.parent / "corpus").glob("*.eml"))
MADE = 150
FIRST = int(os.environ.get("MESSAGE_SEED", "1"))
FOLDER = tempfile.TemporaryDirectory()


def made(seed):
    path = pathlib.Path(FOLDER.name) / f"made-{seed}.eml"
    path.write_bytes(messages.message(seed))
    return path


KEPT = len(CORPUS)
CORPUS += [made(seed) for seed in range(FIRST, FIRST + MADE)]


def ids(path):
    return path.stem


def dump(path):
    out = subprocess.run([DUMP, str(path)], check=True, capture_output=True).stdout
    return json.loads(out)


def text(hexadecimal):
    return None if hexadecimal is None else bytes.fromhex(hexadecimal).decode()


def is_opened(part):
    """Python opens message/delivery-status and message/partial, too; for IMAP they are leaves."""
    return part.get_content_type() in ("message/rfc822", "message/global") or \
        part.get_content_maintype() == "multipart"


def tree(part, parent, depth, found):
    """The parts in our order: (part, index of the parent, depth)."""
    index = len(found)
    found.append((part, parent, depth))
    if is_opened(part) and part.is_multipart():
        for child in part.get_payload():
            tree(child, index, depth + 1, found)
    return found


def in_multipart(parts, part):
    """Some part around it is a multipart."""
    while part["depth"]:
        part = parts[part["parent"]]
        if part["kind"] == "multipart":
            return True
    return False


def decoded(value):
    """RFC 2047, with the supersets under which mail is really written."""
    wider = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949"}
    unfolded = value.replace("\r\n", "").replace("\n", "").strip().replace("\t", " ")

    def plain(piece, charset):
        label = (charset or "utf-8").split("*")[0].lower()  # RFC 2231 5: a language may follow
        return piece if isinstance(piece, str) else piece.decode(wider.get(label, label))

    return "".join(plain(*piece) for piece in email.header.decode_header(unfolded))


@pytest.mark.parametrize("path", CORPUS, ids=ids)
def test_header_fields(path):
    raw, ours = path.read_bytes(), dump(path)
    theirs = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert [text(f["name"]) for f in ours["fields"]] == theirs.keys()
    covered = b"".join(raw[f["start"]:f["start"] + f["length"]] for f in ours["fields"])
    assert raw.startswith(covered)
    assert raw[len(covered):ours["header_length"]] in (b"\r\n", b"")
    for field, (name, value) in zip(ours["fields"], theirs.raw_items()):
        if isinstance(value, str) and value.isascii():
            assert text(field["value"]) == decoded(value), name
    assert ours["hops"] == len(theirs.get_all("Received", []))


@pytest.mark.parametrize("path", CORPUS, ids=ids)
def test_part_tree(path):
    raw, ours = path.read_bytes(), dump(path)
    theirs = tree(email.message_from_bytes(raw, policy=email.policy.compat32), 0, 0, [])
    assert len(ours["parts"]) == len(theirs)
    for mine, (part, parent, depth) in zip(ours["parts"], theirs):
        assert (mine["parent"], mine["depth"]) == (parent, depth)
        assert f'{text(mine["type"])}/{text(mine["subtype"])}'.lower() == part.get_content_type()
        assert (mine["kind"] in ("multipart", "message")) == is_opened(part)
        encoding = part.get("Content-Transfer-Encoding")
        assert text(mine["encoding"]) == (encoding and encoding.split("(")[0].strip())
        body = raw[mine["body_offset"]:mine["body_offset"] + mine["body_length"]]
        assert mine["lines"] == body.count(b"\r\n")
        if mine["kind"] == "leaf" and not part.is_multipart():
            decoded_body = bytes.fromhex(mine["body"])
            if in_multipart(ours["parts"], mine) and mine["body_offset"] + mine["body_length"] == len(raw):
                decoded_body = decoded_body.removesuffix(b"\r\n")  # Python drops it in an unended part
            assert decoded_body == part.get_payload(decode=True)


@pytest.mark.parametrize("path", CORPUS, ids=ids)
def test_file_names(path):
    ours = dump(path)
    theirs = tree(email.message_from_bytes(path.read_bytes(), policy=email.policy.default), 0, 0, [])
    for mine, (part, _, _) in zip(ours["parts"], theirs):
        assert text(mine["filename"]) == part.get_filename()


@pytest.mark.parametrize("path", CORPUS, ids=ids)
def test_subjects_of_inner_messages(path):
    ours = dump(path)
    theirs = tree(email.message_from_bytes(path.read_bytes(), policy=email.policy.compat32), 0, 0, [])
    for mine, (part, parent, depth) in zip(ours["parts"], theirs):
        is_message = depth == 0 or ours["parts"][parent]["kind"] == "message"
        subject = part.get("Subject") if is_message else None
        if isinstance(subject, email.header.Header):
            continue
        expected = subject and subject.replace("\r\n", "").strip()
        assert text(mine["subject"]) == expected


@pytest.mark.parametrize("path", CORPUS, ids=ids)
def test_reencoded_message_says_the_same(path):
    raw = path.read_bytes()
    served = subprocess.run([DUMP, "--reencode", str(path)], check=True, capture_output=True).stdout
    before = tree(email.message_from_bytes(raw), 0, 0, [])
    after = tree(email.message_from_bytes(served), 0, 0, [])
    if "binary" not in path.stem:
        assert served == raw
    assert len(before) == len(after)
    for (old, _, _), (new, _, _) in zip(before, after):
        assert (new.get("Content-Transfer-Encoding") or "").lower() != "binary"
        assert old.get_content_type() == new.get_content_type()
        assert old.get_filename() == new.get_filename()
        if not old.is_multipart():
            assert old.get_payload(decode=True) == new.get_payload(decode=True)


def test_the_corpus_is_there():
    assert KEPT >= 12
