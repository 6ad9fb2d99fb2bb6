"""Private keys: only core has them; edges show certificates and ask for signatures."""
import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

import veredus
from veredus import Server, free_ports, wait_until

HANDSHAKES = 1000 if os.environ.get("VEREDUS_FULL") else 200
OF_US = ("core", "mx", "sub", "box", "courier", "resolver")


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


class Keyed(Server):
    """A server with an ECDSA and an RSA certificate for mail.example.test, of which mx may show the first only."""

    def __init__(self):
        self.pop3s, = free_ports(1)
        self.block_names = ("ecdsa", "rsa")
        super().__init__({"pop3": {"listen_tls": f'{{"127.0.0.1:{self.pop3s}"}}'}}, directory=None)
        self.renew("ecdsa")
        self.renew("rsa")
        self.start()

    def path(self, name):
        return os.path.join(self.home, name)

    def renew(self, name, days=365):
        kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if name == "ecdsa" else ["rsa:2048"]
        openssl("req", "-x509", "-nodes", "-newkey", *kind, "-keyout", self.path(name + ".key"), "-out",
                self.path(name + ".pem"), "-subj", "/CN=mail.example.test", "-days", str(days), "-addext",
                "subjectAltName=DNS:mail.example.test")
        os.chmod(self.path(name + ".key"), 0o600)

    def configuration(self):
        text = super().configuration()
        for name in self.block_names:
            where = "" if name == "ecdsa" else "    listeners = {submission, pop3}\n"
            text += f"certificate {name} {{\n    chain = {name}.pem\n    key = {name}.key\n{where}}}\n"
        return text

    def shake_hands(self, session=None, version=None, ciphers=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version:
            context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        with socket.create_connection(("127.0.0.1", self.pop3s), timeout=30) as one:
            with context.wrap_socket(one, server_hostname="mail.example.test") as tls:
                assert tls.recv(100).startswith(b"+OK")
                return tls.getpeercert(binary_form=True)

    def leaf(self, name):
        with open(self.path(name + ".pem")) as file:
            return ssl.PEM_cert_to_DER_cert(file.read())


@pytest.fixture(scope="module")
def server():
    one = Keyed()
    yield one
    one.close()


# --- O04 ---

def secrets(path):
    """{name: octets} of the numbers that nobody else may have."""
    text = openssl("pkey", "-in", path, "-noout", "-text")
    found = {}
    for name, octets in re.findall(r"^(priv|privateExponent|prime1|prime2):\n((?: {4}[0-9a-f:]+\n)+)", text, re.M):
        found[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", octets)).lstrip(b"\0")
    assert found
    return found


def memory_holds(pid, wanted):
    """Which of {name: octets} the process has anywhere, as they are in a file and as OpenSSL keeps numbers."""
    found = set()
    with open(f"/proc/{pid}/maps") as maps:
        ranges = [[int(at, 16) for at in line.split()[0].split("-")] for line in maps if line.split()[1].startswith("r")]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in ranges:
            try:
                memory.seek(start)
                octets = memory.read(end - start)
            except (OSError, OverflowError, ValueError):  # vvar, vsyscall
                continue
            found |= {name for name, secret in wanted.items() if secret in octets or secret[::-1] in octets}
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="a role shows its memory to root only")
@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer's shadow is too large to be read")
def test_O04_only_core_has_the_private_keys(server):
    for turn in range(HANDSHAKES):
        version = ssl.TLSVersion.TLSv1_2 if turn % 2 else ssl.TLSVersion.TLSv1_3
        cipher = "ECDHE-RSA-AES128-GCM-SHA256" if turn % 4 == 1 else None
        shown = server.shake_hands(version=version, ciphers=cipher)
        assert shown in (server.leaf("ecdsa"), server.leaf("rsa"))
    wanted = {f"{name} {part}": octets for name in server.block_names
              for part, octets in secrets(server.path(name + ".key")).items()}
    seen = {}
    for pid, (role, _) in server.roles().items():
        seen.setdefault(role, set()).update(memory_holds(pid, wanted))
    assert set(seen) == set(OF_US)
    assert {"ecdsa priv", "rsa prime1"} <= seen["core"]  # this test can see them
    assert not any(seen[role] for role in OF_US[1:]), seen


@pytest.mark.skipif(os.getuid() != 0, reason="a process shows its memory to root only")
@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer keeps what was freed")
def test_O04_the_parent_keeps_no_private_key(server):
    """It reads them at the start, at a reload and for a core that comes again: each time they are told, and gone."""
    def kept():
        wanted = {}
        for name in server.block_names:
            path = server.path(name + ".key")
            wanted.update({f"{name} {part}": octets for part, octets in secrets(path).items()})
            with open(path) as file:
                wanted.update({f"{name} line {n}": line.encode() for n, line in enumerate(file) if len(line) > 40})
        return memory_holds(server.pid(), wanted)
    assert not kept()
    begun = len(server.log())
    server.reload()
    wait_until(lambda: server.logged("certificates", begun), "the edges are told again")
    assert not kept()
    core, = server.role("core")
    os.kill(core, signal.SIGKILL)
    wait_until(lambda: server.logged("role_ready", begun, "name=core"), "core is back")
    server.shake_hands()
    assert not kept()


@pytest.mark.skipif(os.getuid() != 0, reason="a process shows its memory to root only")
@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer keeps what was freed")
def test_no_role_keeps_a_password(server):
    """Neither as typed nor as prepared for hashing (RFC 4013), right or wrong, a password's or as SASL says it."""
    right, wrong = "Prüfung ﬁnal №42 geheim", "Völlig ﬁalsch №43 hier"
    server.apply('domain "example.test" { }\n')
    server.cli("account", "add", "zoe@example.test", "--password-stdin", text=right + "\n")
    wanted = {}
    for name, password in (("right", right), ("wrong", wrong)):
        said = base64.b64encode(b"\0zoe@example.test\0" + password.encode()).decode()
        wanted.update({f"{name}, typed": password.encode(), f"{name}, base64": said.encode(),
                       f"{name}, prepared": password.replace("ﬁ", "fi").replace("№", "No").encode()})
        answer = name == "right"
        with veredus.Pop3(server.pop3) as session:
            session.expect("USER zoe@example.test", True)
            session.expect("PASS " + password, answer)
        with veredus.Smtp(server.submission) as session:
            session.expect("AUTH PLAIN " + said, 235 if answer else 535)
    server.wait_renewed()
    for pid, (role, _) in server.roles().items():
        assert not memory_holds(pid, wanted), role
    assert not memory_holds(server.pid(), wanted)


# --- Keys that sign what is sent ---

def signing_seeds(server):
    """Private Ed25519 keys (RFC 8410 7) in the store."""
    found = set()
    for folder, _, names in os.walk(server.home):
        for name in names:
            if not os.path.isfile(os.path.join(folder, name)):  # a socket
                continue
            with open(os.path.join(folder, name), "rb") as file:
                found |= set(re.findall(re.escape(bytes.fromhex("302e020100300506032b657004220420")) + b"(.{32})",
                                        file.read(), re.S))
    return found


def test_signing_keys_are_made_shown_and_kept(server):
    """Whether the server is up or not; what is shown is what openssl reads."""
    def shown():
        return {key["selector"]: key for key in json.loads(server.cli("dkim", "show", "signed.test", json=True).stdout)}
    assert "publish its record" in server.cli("dkim", "add", "signed.test").stdout
    server.cli("dkim", "published", "signed.test")
    first = shown()
    assert sorted(key["algorithm"] for key in first.values()) == ["ed25519-sha256", "rsa-sha256"]
    assert {key["state"] for key in first.values()} == {"active"}
    for key in first.values():
        public = key["record"].split("p=")[1]
        if key["algorithm"] == "rsa-sha256":
            pem = "-----BEGIN PUBLIC KEY-----\n" + public + "\n-----END PUBLIC KEY-----\n"
            assert "2048 bit" in subprocess.run(["openssl", "pkey", "-pubin", "-noout", "-text"], input=pem, check=True,
                                                capture_output=True, text=True).stdout
        assert key["zone"].replace('" "', "") == f'{key["name"]}. IN TXT "{key["record"]}"'
    server.stop()
    server.cli("dkim", "rotate", "signed.test")
    server.start()
    states = {selector: key["state"] for selector, key in shown().items()}
    assert sorted(states.values()) == ["active", "active", "made", "made"]
    assert all(states[selector] == "active" for selector in first)


@pytest.mark.skipif(os.getuid() != 0, reason="a process shows its memory to root only")
@pytest.mark.skipif(veredus.sanitized(), reason="a sanitizer's shadow is too large to be read")
def test_signing_keys_stay_in_core(server):
    seeds = {str(number): seed for number, seed in enumerate(signing_seeds(server))}
    assert len(seeds) == 2
    seen = {}
    for pid, (role, _) in server.roles().items():
        seen.setdefault(role, set()).update(memory_holds(pid, seeds))
    assert seen.pop("core")  # this test can see them
    assert not any(seen.values()) and not memory_holds(server.pid(), seeds), seen


# --- Certificates as they come and go ---

def test_both_kinds_are_shown(server):
    assert server.shake_hands(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+aRSA") == server.leaf("rsa")
    assert server.shake_hands(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+aECDSA") == server.leaf("ecdsa")


def test_tls_show_and_status(server):
    told = {one["certificate"]: one for one in json.loads(server.cli("tls", "show", json=True).stdout)}
    assert set(told) == {"ecdsa", "rsa"}
    assert told["ecdsa"]["names"] == ["mail.example.test"]
    assert told["ecdsa"]["listeners"] == ["smtp", "submission", "pop3", "http"]
    assert told["rsa"]["listeners"] == ["submission", "pop3"]
    assert (told["ecdsa"]["key"], told["rsa"]["key"]) == ("P-256", "RSA 2048")
    assert told["rsa"]["days_left"] in (364, 365) and not told["rsa"]["EXPIRED"]
    fingerprint = openssl("x509", "-in", server.path("rsa.pem"), "-noout", "-fingerprint", "-sha256")
    assert told["rsa"]["fingerprint"] == "SHA256:" + fingerprint.split("=")[1].strip().replace(":", "").lower()
    assert re.search(r"certificates +ecdsa: mail\.example\.test, 36[45] days left", server.cli("status").stdout)


def test_a_reload_shows_the_new_one_and_ends_nothing(server):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", server.pop3s), timeout=30)) as before:
        before.recv(100)
        old = server.leaf("ecdsa")
        server.renew("ecdsa", days=3)
        assert server.leaf("ecdsa") != old
        server.reload()
        wait_until(lambda: server.shake_hands(ciphers="ECDHE+aECDSA", version=ssl.TLSVersion.TLSv1_2)
                   == server.leaf("ecdsa"), "the new certificate is shown")
        before.sendall(b"CAPA\r\n")
        assert before.recv(100).startswith(b"+OK")
    assert server.logged("certificate_ends", also="name=ecdsa")


def test_a_key_of_another_is_refused_and_the_old_set_stays(server):
    shown = server.leaf("rsa")
    before = len(server.log())
    keep = open(server.path("rsa.key")).read()
    openssl("genrsa", "-out", server.path("rsa.key"), "2048")
    try:
        server.reload()
        wait_until(lambda: "is not the key of its certificate" in server.log()[before:], "it is said")
        assert server.shake_hands(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+aRSA") == shown
    finally:
        with open(server.path("rsa.key"), "w") as file:
            file.write(keep)
        server.reload()
        wait_until(lambda: server.shake_hands(version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+aRSA") == shown, "it serves")


def test_tls_new_makes_the_folder_for_its_owner_alone(tmp_path, server):
    server.cli("tls", "new", "a.example", "--out", str(tmp_path / "tls"))
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["a.example.key", "a.example.pem"]
    deep = server.cli("tls", "new", "a.example", "--out", str(tmp_path / "is" / "not"), check=False)
    assert deep.returncode == 73 and deep.stderr.startswith(f"veredus: cannot make the folder {tmp_path}/is/not: No such")


def test_tls_new_is_not_written_over(tmp_path, server):
    made = server.cli("tls", "new", "a.example", "*.a.example", "--out", str(tmp_path)).stdout
    assert "certificate a.example {" in made and str(tmp_path / "a.example.pem") in made
    assert (tmp_path / "a.example.key").stat().st_mode & 0o777 == 0o600
    names = openssl("x509", "-in", str(tmp_path / "a.example.pem"), "-noout", "-ext", "subjectAltName")
    assert "DNS:a.example, DNS:*.a.example" in names
    octets = (tmp_path / "a.example.pem").read_bytes()
    again = server.cli("tls", "new", "a.example", "--out", str(tmp_path), check=False)
    assert again.returncode == 73 and (tmp_path / "a.example.pem").read_bytes() == octets
    server.cli("tls", "new", "a.example", "--out", str(tmp_path), "--force")
    assert (tmp_path / "a.example.pem").read_bytes() != octets
