"""Well-formed messages by chance, the same ones for the same seed: nested multiparts and messages, every encoding, folded
and encoded headers, file names in both ways of writing them. Written here and not by Python's email package, which would
write only what it likes to read."""
import base64
import quopri
import random

WORDS = ["minutes", "Bücher", "例子", "of the", "a=b", "Привет", "x;y", "100%", "=?", "ok"]
NAMES = ["plan.txt", "Übersicht.pdf", "報告.doc", "a b.txt", "it's (1).png", "x" * 90 + ".bin"]
TYPES = ["text/plain", "text/html", "application/octet-stream", "image/png"]
DEPTH = 5


def encoded_word(chance, text):
    octets = text.encode()
    if chance.random() < 0.5:
        return "=?utf-8?B?" + base64.b64encode(octets).decode() + "?="
    return "=?UTF-8?q?" + "".join(
        chr(c) if chr(c).isascii() and chr(c).isalnum() else f"={c:02X}" for c in octets) + "?="


def phrase(chance):
    words = chance.choices(WORDS, k=chance.randint(1, 6))
    text = []
    for word in words:
        plain = word.isascii() and "=?" not in word
        text.append(word if plain else encoded_word(chance, word))
    return "".join(word + chance.choice([" ", "\r\n ", "\r\n\t"]) for word in text[:-1]) + text[-1]


def percent(name):
    return "".join(chr(o) if chr(o).isascii() and (chr(o).isalnum() or chr(o) in "._-") else f"%{o:02X}"
                   for o in name.encode())


def file_name(chance, name):
    """The parameter, as RFC 2045, as RFC 2231, or as RFC 2231 in pieces."""
    if name.isascii() and chance.random() < 0.5:
        return f'; filename="{name}"'
    if chance.random() < 0.5:
        return ";\r\n filename*=utf-8''" + percent(name)
    whole, pieces = percent(name), []
    while whole:
        cut = min(len(whole), chance.randint(10, 40))
        while "%" in whole[cut - 2:cut] and cut < len(whole):
            cut += 1
        pieces.append(whole[:cut])
        whole = whole[cut:]
    return "".join(f";\r\n filename*{i}*=" + ("utf-8''" if i == 0 else "") + piece for i, piece in enumerate(pieces))


def lines(chance, octets=False):
    text = []
    for _ in range(chance.randint(0, 8)):
        words = chance.choices(WORDS if octets else ["--", "-- ", "plain", "words", ".", "From here", "a: b"],
                               k=chance.randint(0, 6))
        text.append(" ".join(words))
    return "".join(line + "\r\n" for line in text).encode()


def leaf(chance):
    encoding = chance.choice(["7bit", "8bit", "base64", "quoted-printable", None])
    body = lines(chance, encoding in ("8bit", "base64", "quoted-printable"))
    if encoding == "base64":
        octets = base64.encodebytes(bytes(chance.randrange(256) for _ in range(chance.randint(0, 300))))
        body = octets.replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    header = ["Content-Type: " + chance.choice(TYPES) + chance.choice(["", "; charset=utf-8", ';\r\n charset="utf-8"'])]
    if encoding:
        header.append("Content-Transfer-Encoding: " + encoding)
    if chance.random() < 0.4:
        header.append("Content-Disposition: attachment" + file_name(chance, chance.choice(NAMES)))
    chance.shuffle(header)
    return header, body


def multipart(chance, depth):
    boundary = "".join(chance.choices("abcXYZ0189'()+_,-./:=?", k=chance.randint(1, 30))).rstrip("- ") + str(depth) + "z"
    body = chance.choice([b"", b"preamble\r\n"])
    for _ in range(chance.randint(1, 4)):
        header, inner = part(chance, depth + 1)
        body += b"--" + boundary.encode() + b"\r\n" + joined(header, inner) + b"\r\n"
    body += b"--" + boundary.encode() + b"--\r\n" + chance.choice([b"", b"epilogue\r\n"])
    kind = chance.choice(["mixed", "alternative", "related"])
    return [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"'], body


def joined(header, body):
    return "".join(line + "\r\n" for line in header).encode() + b"\r\n" + body


def part(chance, depth):
    dice = chance.random()
    if depth < DEPTH and dice < 0.35:
        return multipart(chance, depth)
    if depth < DEPTH and dice < 0.45:
        return ["Content-Type: message/rfc822"], message_at(chance, depth + 1)
    return leaf(chance)


def message_at(chance, depth):
    header = ["From: Alice <alice@example.test>", "To: bob@example.test", "Subject: " + phrase(chance),
              "Date: Sat, 21 Nov 2026 10:00:00 +0000", "MIME-Version: 1.0"]
    inner, body = part(chance, depth)
    header += ["Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0000"] * chance.randint(0, 3)
    chance.shuffle(header)
    return joined(header + inner, body)


def message(seed):
    return message_at(random.Random(seed), 0)
