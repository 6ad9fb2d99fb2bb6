"""What those who look for weak TLS find: sslscan at every way in, testssl.sh at one of them."""
import json
import os
import socket
import ssl
import subprocess
import xml.etree.ElementTree as xml

import pytest

import veredus
from encrypted import NAME, Encrypted, run

pytestmark = pytest.mark.usefixtures("unharmed")

SUITES = {f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA")
          for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305")} | {
              "TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def server():
    """An ECDSA and an RSA key: a scanner sees the suites of both."""
    one = Encrypted(certificates=["test", "rsa"])
    yield one
    one.close()


def sslscan(port, *how):
    done = run("sslscan", "--no-colour", "--xml=-", f"--sni-name={NAME}", *how, f"127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    return xml.fromstring(done.stdout).find("ssltest")


@pytest.mark.parametrize("way", ["25", "465", "587", "995", "110"])
def test_sslscan(server, way):
    found = sslscan(*{"25": (server.smtp, "--starttls-smtp"), "465": (server.submissions,),
                      "587": (server.submission, "--starttls-smtp"), "995": (server.pop3s,),
                      "110": (server.pop3, "--starttls-pop3")}[way])
    enabled = {(one.get("type"), one.get("version")) for one in found.iter("protocol") if one.get("enabled") == "1"}
    assert enabled == {("tls", "1.2"), ("tls", "1.3")} and len(found.findall("protocol")) == 6
    ciphers = list(found.iter("cipher"))
    assert {one.get("cipher") for one in ciphers} == SUITES
    assert all(int(one.get("ecdhebits")) >= 253 for one in ciphers)  # a key of its own for each session
    assert found.find("renegotiation").get("supported") == "0"
    beaten = [one.get("vulnerable") for one in found.iter("heartbleed")]
    assert beaten == ["0", "0"]
    groups = {one.get("name").split(" ")[0] for one in found.iter("group")}
    assert groups == {"x25519", "secp256r1", "secp384r1"}
    assert not [one for one in found.iter("connection-signature-algorithm") if "sha1" in one.get("name")]


# --- testssl.sh ---

SEVERE = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL")
# What is not said by protocols and suites, which are known; and, before a release, all of it.
FEW = ["-H", "-I", "-BB", "-R", "-C"], {"heartbleed", "CCS", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS"}
WHOLE = ["-p", "-s", "-f", "-P", "-U"], {*FEW[1], "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"}
ASKED, TOLD = WHOLE if os.environ.get("VEREDUS_FULL") else FEW


@pytest.mark.skipif(veredus.sanitized(), reason="it takes long, and the library is the same")
def test_testssl_finds_no_vulnerability(server, tmp_path):
    """In STARTTLS, where it does not try what else might be behind the port."""
    told = tmp_path / "told"
    done = run("testssl", "--quiet", "--color", "0", "--warnings", "off", "-n", "none", *ASKED, "-t", "smtp", "--jsonfile", told,
               f"127.0.0.1:{server.submission}", patience=5 * veredus.PATIENCE, cwd=tmp_path,
               env={**os.environ, "TMPDIR": str(tmp_path)})
    findings = json.loads(told.read_text())
    assert TOLD <= {one["id"] for one in findings if one["severity"] in ("OK", "INFO")}, done.stdout
    assert [one for one in findings if one["severity"] in SEVERE] == []


# --- What neither of them tells ---

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_for_tls_1_3(server, version):
    context = server.context()
    context.minimum_version = context.maximum_version = version
    reused, session = [], None
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.pop3s), timeout=veredus.PATIENCE) as one:
            with context.wrap_socket(one, server_hostname=NAME, session=session) as tls:
                tls.sendall(b"QUIT\r\n")
                while tls.recv(1000):
                    pass
                reused.append(tls.session_reused)
                session = tls.session
                new = version == ssl.TLSVersion.TLSv1_3
                assert session.has_ticket == new and (new or not session.id)
    assert reused == [False, new, new]


def test_nothing_is_compressed_and_nothing_said_early(server):
    """The ticket, which could allow early data, comes before the greeting."""
    wanted = {"Compression: NONE", "Early data was not sent", "Max Early Data: 0"}
    words = ["timeout", str(veredus.PATIENCE), "openssl", "s_client", "-connect", f"127.0.0.1:{server.pop3s}", "-servername", NAME,
             "-comp"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          bufsize=1) as one:
        for line in one.stdout:
            wanted.discard(line.strip())
            if line.startswith("+OK"):
                one.stdin.write("Q\n")
    assert not wanted
