"""SCRAM's client (RFC 5802, RFC 7677) with both channel bindings, over SMTP and POP3.

No program of Debian 12 can bind a log-in to its TLS session, and Python's ssl does not export keys: pyOpenSSL does.
"""
import base64
import hashlib
import hmac
import secrets
import socket
import struct

from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL

import veredus

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class Channel:
    """A session in TLS, up to where AUTH may come. `begins`: whether it begins in clear text. `resumed`: a session of
    another channel to go on with."""

    def __init__(self, port, protocol, begins, version, resumed=None, name="mail.example.test"):
        self.smtp = protocol == "smtp"
        self.pending = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", veredus.PATIENCE, 0))
        self.tls = None
        if begins:
            self.greeted()
            good, _ = self.said("STARTTLS" if self.smtp else "STLS")
            assert good
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
        self.tls = SSL.Connection(context, self.socket)
        self.tls.set_tlsext_host_name(name.encode())
        if resumed:
            self.tls.set_session(resumed)
        self.tls.set_connect_state()
        self.tls.do_handshake()
        self.mechanisms = self.greeted(greets=not begins)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.tls.shutdown()  # a session that ended otherwise is not to be resumed, says OpenSSL
        except SSL.Error:  # the server was faster
            pass
        self.socket.close()

    def line(self):
        while b"\r\n" not in self.pending:
            got = self.tls.recv(10000) if self.tls else self.socket.recv(10000)
            if not got:
                raise EOFError(self.pending)
            self.pending += got
        line, _, self.pending = self.pending.partition(b"\r\n")
        return line.decode()

    def send(self, text):
        (self.tls or self.socket).sendall(text.encode() + b"\r\n")

    def said(self, text):
        """(was it taken?, the last line)"""
        self.send(text)
        line = self.line()
        while self.smtp and line[3] == "-":
            line = self.line()
        return line.startswith(("2", "3", "+")), line

    def greeted(self, greets=True):
        """The mechanisms that are offered."""
        if greets:
            self.line()
        self.send("EHLO client.example.test" if self.smtp else "CAPA")
        offered = []
        while True:
            line = self.line()
            words = line.replace("-", " ", 1).split(" ") if self.smtp else ["250"] + line.split(" ")
            if words[1] in ("AUTH", "SASL"):
                offered = words[2:]
            if line == "." or self.smtp and line[3] == " ":
                return offered

    def exporter(self):
        """RFC 9266: a context that is there, and empty."""
        return self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    def end_point(self):
        """RFC 5929 4: by the hash that the certificate is signed with, or SHA-256 where that is weaker."""
        certificate = self.tls.get_peer_certificate().to_cryptography()
        signed_with = certificate.signature_hash_algorithm
        weak = isinstance(signed_with, (hashes.MD5, hashes.SHA1))
        name = "sha256" if weak else signed_with.name
        return hashlib.new(name, certificate.public_bytes(serialization.Encoding.DER)).digest()

    def binding(self, kind):
        return self.exporter() if kind == "tls-exporter" else self.end_point()

    def resumed(self):
        return SSL._lib.SSL_session_reused(self.tls._ssl) == 1

    def session(self):
        return self.tls.get_session()

    # --- The exchange ---

    def challenged(self, text):
        """(the challenge, None) or (None, the reply that ends it)"""
        self.send(text)
        line = self.line()
        if line.startswith("334 " if self.smtp else "+ "):
            return base64.b64decode(line.partition(" ")[2]).decode(), None
        return None, line

    def log_in(self, mechanism, user, password, gs2="n,,", binding=b"", gs2_again=None):
        """The last reply. gs2_again: another header in the last message than in the first."""
        name = "sha1" if mechanism == "SCRAM-SHA-1" else "sha256"
        bare = f"n={user},r={secrets.token_urlsafe(18)}"
        first, ended = self.challenged(f"AUTH {mechanism} {encoded(gs2 + bare)}")
        if ended:
            return ended
        given = dict(part.split("=", 1) for part in first.split(","))
        assert given["r"].startswith(bare.partition("r=")[2]) and len(given["r"]) > len(bare.partition("r=")[2]) + 16
        bound = base64.b64encode((gs2_again or gs2).encode() + binding).decode()
        last = f"c={bound},r={given['r']}"
        signed = ",".join((bare, first, last)).encode()
        salted = hashlib.pbkdf2_hmac(name, password.encode(), base64.b64decode(given["s"]), int(given["i"]))
        client = hmac.digest(salted, b"Client Key", name)
        signature = hmac.digest(hashlib.new(name, client).digest(), signed, name)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        final, ended = self.challenged(encoded(f"{last},p={base64.b64encode(proof).decode()}"))
        if ended:
            return ended
        server = hmac.digest(hmac.digest(salted, b"Server Key", name), signed, name)
        assert final == "v=" + base64.b64encode(server).decode(), "who is there does not know the password"
        return self.said("")[1]


def encoded(text):
    return base64.b64encode(text.encode()).decode()
