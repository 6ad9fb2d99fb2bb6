"""Dates and address lists are what Python's email package reads in them.

Only what is well-formed, and of that what Python has right: comments are part of its names, an unknown zone is local time to
it, it refuses address literals and knows no group. MESSAGE_SEED=n begins with another seed.
"""
import email.utils
import os
import random
import subprocess

DUMP = os.environ["TEXTS_DUMP"]
SEED = int(os.environ.get("MESSAGE_SEED", "1"))
MADE = 3000

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
ZONES = ["GMT", "UT", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"]
ATOMS = ["alice", "bob", "a.b.c", "x+tag", "o'brien", "1", "UPPER", "under_score", "=?utf-8?q?x?="]
DOMAINS = ["example.test", "a.example", "xn--fsqu00a.test", "MX.Example.TEST"]
PHRASES = ["Alice", "Bob B. Builder", '"Doe, John"', '"a \\"b\\" c"', "=?utf-8?Q?B=C3=BCcher?=", '"x@y.example"', '"a (b) c"']
QUOTED = {'"two words"': "two words", '"a@b"': "a@b", '"a\\"b"': 'a"b'}


def dump(lines):
    given = "".join(line + "\n" for line in lines)
    out = subprocess.run([DUMP], input=given.encode(), check=True, capture_output=True).stdout.decode().split("\n")
    assert len(out) == len(lines) + 1
    return out[:-1]


def date(chance):
    year = chance.choice([1970, 1999, 2000, 2026, 2037, 2038, 2106, 2107, 9998, 26, 99])
    zone = chance.choice(ZONES + [f"{chance.choice('+-')}{chance.randrange(0, 15):02}{chance.choice((0, 15, 30, 45)):02}"])
    day = f"{chance.randint(2 if year == 1970 else 1, 28):{chance.choice(('', '02'))}}"
    seconds = chance.choice(["", f":{chance.randrange(60):02}"])
    weekday = chance.choice(["", chance.choice(DAYS) + ", "])
    return f"{weekday}{day} {chance.choice(MONTHS)} {year:02} {chance.randrange(24):02}:{chance.randrange(60):02}{seconds} {zone}"


def test_dates():
    chance = random.Random(SEED)
    texts = [date(chance) for _ in range(MADE)]
    for text, ours in zip(texts, dump(["D " + text for text in texts])):
        fields = email.utils.parsedate_tz(text)
        assert ours == f"{email.utils.mktime_tz(fields)} {fields[9] // 60}", text


def address(chance):
    """Text, and (name, local part, domain)."""
    local, domain = chance.choice(ATOMS), chance.choice(DOMAINS)
    if chance.random() < 0.2:
        local = chance.choice(sorted(QUOTED))
    dice = chance.random()
    if dice < 0.3:
        return f"{local}@{domain}"
    if dice < 0.5:
        return f"<{local}@{domain}>"
    return chance.choice(PHRASES) + chance.choice([" ", "  ", ""]) + f"<{local}@{domain}>"


def theirs_of(text):
    for name, whole in email.utils.getaddresses([text]):
        local, _, domain = whole.rpartition("@")
        yield name, QUOTED.get(local, local), domain


def ours_of(line):
    for one in line.split(" ")[:-1]:
        yield tuple(bytes.fromhex(field).decode() for field in one.split("\t"))


def test_address_lists():
    chance = random.Random(SEED)
    texts = [chance.choice([",", ", ", " , "]).join(address(chance) for _ in range(chance.randint(1, 6))) for _ in range(MADE)]
    for text, line in zip(texts, dump(["A " + text for text in texts])):
        assert list(ours_of(line)) == list(theirs_of(text)), text
