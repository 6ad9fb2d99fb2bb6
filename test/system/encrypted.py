"""A server that can be tried by mail programs: a certificate, listeners in TLS, an account with all that log-ins need."""
import json
import os
import ssl
import subprocess

import veredus
from veredus import PASSWORD, Server, free_ports

BOB = "bob@example.test"
NAME = "mail.example.test"
ISSUER, AUDIENCE = "https://id.example.test", "mail"
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


class Encrypted(Server):
    """Its account's password was set by command, so there are SCRAM keys; with `secret`, one for CRAM-MD5, too.

    settings: as Server's. keys: a JWK set; who makes tokens by it is ISSUER. certificates: names of blocks; the key of
    "rsa" is RSA, that of any other ECDSA.
    """

    def __init__(self, settings=None, keys=None, secret=False, certificates=("test",)):
        self.pop3s, self.submissions = free_ports(2)
        login = {"scram_rounds": "4096", "failures_per_account": "1000"}
        if keys:
            login.update(token_keys="keys", token_issuer=f'"{ISSUER}"', token_audience=AUDIENCE)
        whole = {"submission": {"listen_tls": f'{{"127.0.0.1:{self.submissions}"}}'},
                 "pop3": {"listen_tls": f'{{"127.0.0.1:{self.pop3s}"}}'}, "login": login}
        for section, values in (settings or {}).items():
            whole.setdefault(section, {}).update(values)
        self.certificates = list(certificates)
        super().__init__(whole, directory=None)
        if keys:
            with open(self.path("keys"), "w", encoding="ascii") as file:
                json.dump(keys, file)
            os.chmod(self.path("keys"), 0o644)
        for block in self.certificates:
            self.certify(block, key=["rsa:2048"] if block == "rsa" else P256)
        self.start()
        self.apply('domain "example.test" { }\n')
        self.cli("account", "add", BOB, "--password-stdin", text=PASSWORD + "\n")
        if secret:
            self.cli("account", "password", BOB, "--password-stdin", "--cram-md5", text=PASSWORD + "\n")

    def path(self, name):
        return os.path.join(self.home, name)

    def certify(self, block, name=NAME, key=P256, digest="sha256"):
        """A certificate for a host name, signed by itself."""
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", *key, "-keyout", self.path(block + ".key"), "-out",
                        self.path(block + ".pem"), "-subj", f"/CN={name}", "-days", "30", "-addext",
                        f"subjectAltName=DNS:{name}", "-" + digest], check=True, capture_output=True)
        os.chmod(self.path(block + ".key"), 0o600)

    def configuration(self):
        blocks = [f"certificate {name} {{\n    chain = {name}.pem\n    key = {name}.key\n}}\n"
                  for name in self.certificates]
        return super().configuration() + "".join(blocks)

    def context(self):
        """Of a client that believes this server alone."""
        return ssl.create_default_context(cafile=self.path("test.pem"))


def run(*words, text=None, patience=veredus.PATIENCE, **more):
    """A program; what it does not do within its time it never will."""
    return subprocess.run([str(word) for word in words], input=text, capture_output=True, text=True, timeout=patience,
                          **more)
