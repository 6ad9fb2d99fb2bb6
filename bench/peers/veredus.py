"""Veredus as it is shipped: only names, folders and ports are set."""
import contextlib
import json
import os
import signal
import subprocess
import warnings

import machine
import peers.server
from peers.relays import Relays
from peers.server import DOMAIN, PASSWORD

PROGRAM = machine.ROOT / "build" / "veredus"


CHEAPEST = "$2b$04$" + "veredusbench" * 2  # a salt, of the cheapest kind that is taken
AS_MADE = "$y$j9T$veredusbench0123"        # of the kind and cost that Veredus makes


def _hash(salt):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module leaves Python after Debian 12's
        import crypt
        return crypt.crypt(PASSWORD, salt)


class Veredus(peers.server.Server):
    name, title, port, pop3, lmtp = "veredus", "Veredus", 31029, 31229, 31129
    delivers = True
    stated = "as shipped; only names, folders and ports are set"
    prefill = True
    salt = CHEAPEST  # logging in is not what is measured

    def configure(self):
        self.home = self.folder / "home"
        self.make_folder(self.home / "data", "veredus-core", 0o700)
        self.write("home/veredus.conf", f"""hostname = mx.{DOMAIN}
data = data
control = control
pid_file = pid
smtp {{
    listen = {{"127.0.0.1:{self.port}"}}
{self.in_smtp()}}}
lmtp {{
    listen = {{"127.0.0.1:{self.lmtp}"}}
}}
submission {{
    listen = {{}}
    listen_tls = {{}}
}}
pop3 {{
    listen = {{"127.0.0.1:{self.pop3}"}}
    listen_tls = {self.listen_tls()}
}}
""" + self.more() + ("" if self.prefill else "store {\n    prefill = no\n}\n"))
        hash_ = _hash(self.salt)
        lines = [f'domain "{DOMAIN}" {{ }}\n']
        lines += [f'account "u{n:06d}@{DOMAIN}" {{ password = "{hash_}" }}\n' for n in range(self.accounts)]
        self.write("directory", "".join(lines))
        self.known = False

    def listen_tls(self):
        return "{}"

    def in_smtp(self):
        return ""

    def more(self):
        return ""

    def command(self):
        return [PROGRAM, "serve", "--home", self.home]

    def tool(self, *words):
        return machine.run(PROGRAM, *words, "--home", self.home)

    def ready(self):
        return peers.server.greets(self.port) and peers.server.greets(self.pop3)

    def start(self):
        super().start()
        if not self.known:
            self.tool("apply", self.folder / "directory")
            self.known = True

    def status(self):
        return json.loads(self.tool("status", "--json"))

    def purge(self):
        """A new store: nothing of an earlier run stays to be moved or overwritten."""
        self.stop()
        subprocess.run(["rm", "-rf", self.home / "data"], check=True)
        self.make_folder(self.home / "data", "veredus-core", 0o700)
        self.known = False
        self.start()

    def core(self):
        """The pid of it."""
        for pid in self.group.processes():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[:3] == [b"veredus", b"role", b"core"]:
                    return pid
        raise LookupError("there is no core")

    def core_memory(self):
        """Octets of anonymous memory that it has."""
        lines = open(f"/proc/{self.core()}/status").read().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024

    def kill_core(self):
        """And waits for the next one."""
        os.kill(self.core(), signal.SIGKILL)
        peers.server.wait_until(self.has_core, "core is back")

    def has_core(self):
        return not subprocess.run([PROGRAM, "status", "--home", self.home], capture_output=True).returncode

    @staticmethod
    def version():
        return machine.run(PROGRAM, "version").split()[-1]


class VeredusGrowing(Veredus):
    """The log grows instead of being written over zeroes."""
    name, title = "veredus-growing", "Veredus, prefill = no"
    prefill = False


class VeredusRelay(Relays, Veredus):
    """Takes mail from this machine for anywhere."""
    name, title = "veredus-relay", "Veredus, relaying"
    stated = "as shipped; it may relay for this machine, and connect to it"

    def in_smtp(self):
        return '    relay_from = {"127.0.0.0/8"}\n'

    def more(self):
        return 'sending {\n    allow_to = {"127.0.0.0/8"}\n}\n'


class VeredusTimed(Veredus):
    """With limits on wrong passwords that nobody reaches, and the user that is there with a hash and keys of ours."""
    title, user, nobody = "Veredus, no back-off", f"there0@{DOMAIN}", f"nobody@{DOMAIN}"

    def more(self):
        return """login {
    unlimited_from = {}
    failures_per_address = 1000000
    failures_per_network = 1000000
    failures_per_account = 1000000
}
"""

    def start(self):
        super().start()
        machine.run(PROGRAM, "account", "add", self.user, "--password-stdin", "--home", self.home, input=PASSWORD + "\n")


class VeredusTls(Veredus):
    """With a certificate, and POP3 in TLS from the first octet."""
    title, pop3s = "Veredus, TLS", 31233

    def __init__(self, folder, pair, **more):
        self.pair = pair
        super().__init__(folder, **more)

    def listen_tls(self):
        return f'{{"127.0.0.1:{self.pop3s}"}}'

    def more(self):
        chain, key = self.pair
        return f'certificate bench {{\n    chain = "{chain}"\n    key = "{key}"\n}}\n'


class VeredusLogins(Veredus):
    """This machine's addresses are counted like everybody's; passwords are hashed as they would be."""
    title = "Veredus, log-ins"
    salt = AS_MADE

    def more(self):
        return "login {\n    unlimited_from = {}\n    scram = no\n}\n"
