"""An authority of a test's own, which makes certificates."""
import hashlib
import os
import ssl
import subprocess
import tempfile


class Authority:
    """Its own certificate is what the courier is told to trust."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="veredus-ca.")
        os.chmod(self.folder, 0o755)
        self.run("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test",
                 "-days", "30")

    def run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def certify(self, name):
        """NAME.pem and NAME.key."""
        self.run("req", "-nodes", "-newkey", "rsa:2048", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=x")
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName=DNS:{name}\n")
        self.run("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20",
                 "-extfile", name + ".ext", "-out", name + ".pem")

    def context(self, name):
        self.certify(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        return context

    def record(self, name):
        """TLSA 3 0 1 of a certificate."""
        with open(self.path(name + ".pem"), encoding="ascii") as file:
            return "3 0 1 " + hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
