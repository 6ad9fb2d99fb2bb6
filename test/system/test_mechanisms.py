"""Every mechanism that can be configured, over a socket: log-ins bound to their TLS session (I13), CRAM-MD5, client
certificates, bearer tokens; and passwords, which are for TLS alone (S09)."""
import base64
import json
import os
import poplib
import smtplib
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

import veredus
from encrypted import AUDIENCE, BOB, ISSUER, NAME, Encrypted, run
from scram import Channel, encoded
from test_clients import run_on_terminal
from test_login import mutt
from veredus import PASSWORD, Pop3, Smtp, wait_until

EVERY = "{plain, login, cram-md5, scram-sha-1, scram-sha-256, scram-sha-256-plus, oauthbearer, xoauth2, external}"
OTHER = "other.example.test"  # whose certificate is signed with another hash
NOBODY = {"login": {"mechanisms": EVERY, "plain_text_from": "{}"}, "tls": {"client_certificates": "yes"}}

pytestmark = pytest.mark.usefixtures("unharmed")


# --- Tokens, as an issuer makes them ---

def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value):
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    def __init__(self):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ed25519 = ed25519.Ed25519PrivateKey.generate()

    def keys(self):
        """What it publishes (RFC 7517)."""
        public = self.rsa.public_key().public_numbers()
        raw = self.ed25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"keys": [{"kty": "RSA", "kid": "RS256", "alg": "RS256", "n": number(public.n), "e": number(public.e)},
                         {"kty": "OKP", "kid": "EdDSA", "crv": "Ed25519", "x": b64url(raw)}]}

    def token(self, algorithm="RS256", **claims):
        head = {"alg": algorithm, "kid": algorithm, "typ": "JWT"}
        whole = {"iss": ISSUER, "aud": AUDIENCE, "email": BOB, "exp": int(time.time()) + 300, **claims}
        signed = ".".join(b64url(json.dumps(part).encode()) for part in (head, whole))
        if algorithm == "RS256":
            signature = self.rsa.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.ed25519.sign(signed.encode())
        return signed + "." + b64url(signature)


class Strict(Encrypted):
    """No password but in TLS, from nowhere; a second certificate, and one for bob's laptop."""

    def __init__(self, issuer):
        super().__init__(NOBODY, issuer.keys(), secret=True)
        self.certificates.append("other")
        self.certify("other", OTHER, digest="sha384")
        self.write_configuration()
        self.reload()
        self.cli("tls", "new", "laptop.example.test", "--out", self.path("bobs"))
        self.laptop = os.path.join(self.path("bobs"), "laptop.example.test")
        self.cli("account", "certificate", "add", BOB, self.laptop + ".pem")
        wait_until(lambda: len(json.loads(self.cli("tls", "show", json=True).stdout)) == 2, "both certificates are shown")


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def server(issuer):
    one = Strict(issuer)
    yield one
    one.close()


def came_by(server, begun, mechanism):
    assert server.logged("login", begun, f"mechanism={mechanism}") == server.logged("login", begun) > 0


# --- Bound to the channel ---

WAYS = {"465": ("submissions", "smtp", False), "587": ("submission", "smtp", True), "995": ("pop3s", "pop3", False),
        "110": ("pop3", "pop3", True)}
PLUS = "SCRAM-SHA-256-PLUS"
GOOD, BAD = ("235 2.7.0 ", "+OK Logged in"), ("535 5.7.8 ", "-ERR [AUTH] ")


def channel(server, way, version, **more):
    port, protocol, begins = WAYS[way]
    return Channel(getattr(server, port), protocol, begins, version, **more)


@pytest.mark.parametrize("kind", ["tls-exporter", "tls-server-end-point"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("way", ["465", "587", "995"])
def test_I13_bound_to_the_channel(server, way, version, kind):
    with channel(server, way, version) as one:
        assert PLUS in one.mechanisms
        octets = one.binding(kind)
        assert one.log_in(PLUS, BOB, PASSWORD, f"p={kind},,", octets[:-1] + b"\0" + octets[-1:]).startswith(BAD)
        assert one.log_in(PLUS, BOB, PASSWORD, f"p={kind},,", octets).startswith(GOOD)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_I13_by_the_hash_that_the_certificate_is_signed_with(server, version):
    with channel(server, "465", version, name=OTHER) as one:
        assert len(one.end_point()) == 48
        assert one.log_in(PLUS, BOB, PASSWORD, "p=tls-server-end-point,,", one.end_point()).startswith(GOOD)


@pytest.mark.parametrize("way", ["465", "995"])
def test_I13_a_resumed_session_is_another_channel_to_the_same_server(server, way):
    with channel(server, way, "1.3") as one:
        session, before = one.session(), (one.exporter(), one.end_point())
    with channel(server, way, "1.3", resumed=session) as one:
        assert one.resumed() and one.exporter() != before[0]
        assert one.log_in(PLUS, BOB, PASSWORD, "p=tls-exporter,,", before[0]).startswith(BAD)
        assert one.log_in(PLUS, BOB, PASSWORD, "p=tls-exporter,,", one.exporter()).startswith(GOOD)
        session = one.session()
    with channel(server, way, "1.3", resumed=session) as one:
        assert one.resumed()
        assert one.log_in(PLUS, BOB, PASSWORD, "p=tls-server-end-point,,", before[1]).startswith(GOOD)


@pytest.mark.parametrize("way", ["465", "995"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_I13_somebody_in_the_middle(server, way, version):
    """His client is bound to the channel that he has with the client, which is another one."""
    with channel(server, way, version) as his, channel(server, way, version) as clients:
        answer = his.log_in(PLUS, BOB, PASSWORD, "p=tls-exporter,,", clients.exporter())
        assert answer.startswith(BAD)
        # The octets of one binding under the name of the other; none; and what is none of ours.
        assert his.log_in(PLUS, BOB, PASSWORD, "p=tls-server-end-point,,", his.exporter()).startswith(BAD)
    with channel(server, way, version) as his:
        assert his.log_in(PLUS, BOB, PASSWORD, "p=tls-exporter,,", b"").startswith(BAD)
        assert his.log_in(PLUS, BOB, PASSWORD, "p=tls-unique,,", b"123456789012").startswith(BAD)


@pytest.mark.parametrize("way", ["465", "587", "995"])
def test_I13_a_downgrade_is_caught(server, way):
    """He took -PLUS out of the list: a client that can bind says that it was not offered."""
    with channel(server, way, "1.3") as one:
        assert one.log_in("SCRAM-SHA-256", BOB, PASSWORD, "y,,").startswith(BAD)
        assert one.log_in("SCRAM-SHA-1", BOB, PASSWORD, "y,,").startswith(BAD)
    with channel(server, way, "1.3") as one:  # and he cannot change what it said
        assert one.log_in("SCRAM-SHA-256", BOB, PASSWORD, "y,,", gs2_again="n,,").startswith(BAD)
        assert one.log_in("SCRAM-SHA-256", BOB, PASSWORD, "n,,", gs2_again="y,,").startswith(BAD)
    with channel(server, way, "1.3") as one:
        assert one.log_in(PLUS, BOB, PASSWORD, "n,,").startswith(BAD)
        assert one.log_in("SCRAM-SHA-256", BOB, PASSWORD, "p=tls-exporter,,", one.exporter()).startswith(BAD)
        assert one.log_in("SCRAM-SHA-256", BOB, PASSWORD, "n,,").startswith(GOOD)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("way", ["587", "110"])
def test_scram(server, way, mechanism):
    with channel(server, way, "1.3") as one:
        assert one.log_in(mechanism, BOB, "wrong").startswith(BAD)
        assert one.log_in(mechanism, "nobody@example.test", PASSWORD).startswith(BAD)
        assert one.log_in(mechanism, BOB, PASSWORD).startswith(GOOD)


# --- CRAM-MD5 ---

@pytest.mark.parametrize("style", ["--tls", "--tlsc", "none"])
def test_cram_md5_with_swaks(server, style):
    port = server.submissions if style == "--tlsc" else server.submission
    words = ["swaks", *[style] * (style != "none"), "--server", "127.0.0.1", "--port", port, "--auth", "CRAM-MD5",
             "--auth-user", BOB, "--from", BOB, "--to", BOB, "--quit-after", "AUTH", "--auth-password"]
    begun = len(server.log())
    good = run(*words, PASSWORD)
    assert good.returncode == 0 and "235 2.7.0" in good.stdout, good.stdout
    came_by(server, begun, "CRAM-MD5")
    bad = run(*words, "wrong")
    assert bad.returncode != 0 and "535 5.7.8" in bad.stdout, bad.stdout


def test_mutt_is_told_what_it_can_do(server, tmp_path):
    """Where -PLUS is offered it needs a word; the README has it."""
    begun = len(server.log())
    port = server.submissions
    config = mutt(server, tmp_path, f'set smtp_url = "smtps://bob%40example.test@127.0.0.1:{port}"',
                  f'set smtp_pass = "{PASSWORD}"', 'set smtp_authenticators="scram-sha-256"')
    done = run("mutt", "-n", "-F", config, "-s", "x", "--", BOB, text="x\n",
               env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"})
    assert done.returncode == 0, done.stdout + done.stderr
    config = mutt(server, tmp_path, f'set pop_pass = "{PASSWORD}"', 'set pop_authenticators="scram-sha-256"', "set quit = yes")
    run_on_terminal(["mutt", "-n", "-F", config, "-f", f"pops://bob%40example.test@127.0.0.1:{server.pop3s}/", "-e",
                     'push "<quit>"'], tmp_path)
    assert server.logged("login", begun, "mechanism=SCRAM-SHA-256") == server.logged("login", begun) == 2


def test_cram_md5_of_python_and_curl(server):
    begun = len(server.log())
    with smtplib.SMTP_SSL("127.0.0.1", server.submissions, context=unnamed(server)) as client:
        client.login(BOB, PASSWORD)
    for style, port in ("pop3s", server.pop3s), ("pop3", server.pop3):
        done = curl(server, style, port, "--user", f"{BOB}:{PASSWORD}", "--login-options", "AUTH=CRAM-MD5")
        assert done.returncode == 0, done.stderr
    came_by(server, begun, "CRAM-MD5")


def unnamed(server):
    context = server.context()
    context.check_hostname = False
    return context


def curl(server, style, port, *more):
    return run("curl", "-sS", "--ssl-reqd", "--cacert", server.path("test.pem"), "--resolve", f"{NAME}:{port}:127.0.0.1",
               *more, f"{style}://{NAME}:{port}/")


# --- Certificates and tokens ---

def msmtp(server, mechanism, style, *more, subject="x"):
    port = server.submission if style == "on" else server.submissions
    return run("msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=on", f"--tls-starttls={style}",
               f"--tls-trust-file={server.path('test.pem')}", f"--tls-host-override={NAME}", f"--auth={mechanism}",
               f"--user={BOB}", *more, f"--from={BOB}", BOB, text=f"From: {BOB}\nSubject: {subject}\n\nx\n")


@pytest.mark.parametrize("style", ["on", "off"])
def test_external_with_msmtp(server, style):
    begun = len(server.log())
    proof = [f"--tls-cert-file={server.laptop}.pem", f"--tls-key-file={server.laptop}.key"]
    done = msmtp(server, "external", style, *proof)
    assert done.returncode == 0, done.stderr
    came_by(server, begun, "EXTERNAL")
    without = msmtp(server, "external", style)
    assert without.returncode != 0 and "does not support authentication method EXTERNAL" in without.stderr
    stranger = msmtp(server, "external", style, f"--tls-cert-file={server.path('other.pem')}",
                     f"--tls-key-file={server.path('other.key')}")
    assert stranger.returncode != 0 and "535 5.7.8" in stranger.stderr, stranger.stderr


def test_external_with_curl(server):
    begun = len(server.log())
    words = ["--user", f"{BOB}:", "--login-options", "AUTH=EXTERNAL"]
    done = curl(server, "pop3s", server.pop3s, *words, "--cert", server.laptop + ".pem", "--key", server.laptop + ".key")
    assert done.returncode == 0, done.stderr
    came_by(server, begun, "EXTERNAL")
    assert curl(server, "pop3s", server.pop3s, *words).returncode == 67


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
@pytest.mark.parametrize("style", ["on", "off"])
@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_tokens_with_msmtp(server, issuer, mechanism, style, algorithm):
    begun = len(server.log())
    done = msmtp(server, mechanism, style, f"--passwordeval=echo {issuer.token(algorithm)}")
    assert done.returncode == 0, done.stderr
    came_by(server, begun, mechanism.upper())


@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
@pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "calendar"}, {"iss": "https://else.example"},
                                    {"email": "alice@example.test"}, {"nbf": int(time.time()) + 3000}])
def test_tokens_for_others_with_msmtp(server, issuer, mechanism, claims):
    begun = len(server.log())
    done = msmtp(server, mechanism, "off", f"--passwordeval=echo {issuer.token(**claims)}")
    assert done.returncode != 0 and "535 5.7.8" in done.stderr, done.stderr
    assert server.logged("login_failed", begun) == 1


def test_a_token_that_somebody_else_signed(server):
    done = msmtp(server, "oauthbearer", "off", f"--passwordeval=echo {Issuer().token()}")
    assert done.returncode != 0 and "535 5.7.8" in done.stderr, done.stderr


def test_tokens_with_curl(server, issuer, tmp_path):
    """It takes OAUTHBEARER where both are offered, whatever it is told to take."""
    mail = tmp_path / "mail"
    mail.write_bytes(f"From: {BOB}\r\n\r\nx\r\n".encode())
    sending = ["--mail-from", BOB, "--mail-rcpt", BOB, "--upload-file", mail]
    begun = len(server.log())
    for style, port, more in (("smtps", server.submissions, sending), ("smtp", server.submission, sending),
                              ("pop3s", server.pop3s, []), ("pop3", server.pop3, [])):
        done = curl(server, style, port, "--user", BOB, "--oauth2-bearer", issuer.token(), *more)
        assert done.returncode == 0, (style, done.stderr)
        assert curl(server, style, port, "--user", BOB, "--oauth2-bearer", issuer.token(exp=1), *more).returncode == 67
    assert server.logged("login", begun, "mechanism=OAUTHBEARER") == server.logged("login", begun) == 4


@pytest.mark.parametrize("way", ["465", "995"])
@pytest.mark.parametrize("behind", [True, False])
def test_xoauth2_by_hand(server, issuer, way, behind):
    """The token in a line of its own, or behind AUTH, where the line is longer than RFC 5034 has them."""
    def answered(one, token):
        message = encoded(f"user={BOB}\1auth=Bearer {token}\1\1")
        if behind:
            return one.challenged("AUTH XOAUTH2 " + message)
        assert one.challenged("AUTH XOAUTH2") == ("", None)
        return one.challenged(message)

    with channel(server, way, "1.3") as one:
        why, _ = answered(one, issuer.token(exp=1))
        assert json.loads(why)["status"] == "401"
        assert one.said("")[1].startswith(BAD)
        assert answered(one, issuer.token())[1].startswith(GOOD)


# --- S09: passwords in clear text ---

SHOWN = {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2", "EXTERNAL", PLUS}
SECRET = encoded(f"\0{BOB}\0{PASSWORD}")


def offered(session):
    return next((set(line.split(" ")[1:]) for line in session.hello.lines if line.startswith("AUTH ")), None)


def test_S09_no_password_before_starttls(server):
    begun = len(server.log())
    with Smtp(server.submission) as session:
        assert offered(session) == {"CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
        for mechanism in "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2", "plain", f"PLAIN {SECRET}", "LOGIN Ym9i":
            session.expect(f"AUTH {mechanism}", 538, "5.7.11")
        for mechanism in "EXTERNAL", PLUS:
            session.expect(f"AUTH {mechanism}", 504, "5.5.4")
        session.expect(f"MAIL FROM:<{BOB}>", 530, "5.7.0")
    with Smtp(server.smtp) as session:
        assert offered(session) is None
        session.expect(f"AUTH PLAIN {SECRET}", 502, "5.5.1")
    assert server.logged("login", begun) == server.logged("login_failed", begun) == 0
    with channel(server, "587", "1.3") as one:
        assert SHOWN - {"EXTERNAL"} <= set(one.mechanisms)
        assert one.said(f"AUTH PLAIN {SECRET}")[1].startswith(GOOD)


def test_S09_no_password_before_stls(server):
    begun = len(server.log())
    with Pop3(server.pop3) as session:
        capabilities = session.many("CAPA").decode().split("\r\n")
        assert "USER" not in capabilities and "SASL CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256" in capabilities
        for text in f"USER {BOB}", f"PASS {PASSWORD}", "AUTH PLAIN", "AUTH LOGIN", f"AUTH PLAIN {SECRET}":
            assert session.expect(text, False) == "[AUTH] Encryption required for this", text
        session.expect("STAT", False)
    assert server.logged("login", begun) == server.logged("login_failed", begun) == 0
    one = poplib.POP3("127.0.0.1", server.pop3, timeout=veredus.PATIENCE)
    one.host = NAME
    one.stls(context=server.context())
    assert SHOWN - {"EXTERNAL"} <= set(one.capa()["SASL"]) and "USER" in one.capa()
    one.user(BOB)
    one.pass_(PASSWORD)
    one.quit()


def test_S09_passwords_in_clear_text_where_configured(server):
    def answer():
        with Smtp(server.submission) as session, Pop3(server.pop3) as reader:
            reply = session.command(f"AUTH PLAIN {SECRET}")
            assert ("PLAIN" in offered(session)) == (reply.code == 235)
            return reply.code, reader.command(f"USER {BOB}")[0]

    def becomes(networks, code):
        server.settings["login"]["plain_text_from"] = networks
        server.write_configuration()
        server.reload()
        wait_until(lambda: answer() == (code, code == 235), f"{networks} holds", patience=20)

    assert answer() == (538, False)
    becomes('{"192.0.2.0/24", "127.0.0.1"}', 235)
    becomes('{"192.0.2.0/24", "2001:db8::/32"}', 538)
    becomes('"127.0.0.0/8"', 235)
    becomes("{}", 538)
