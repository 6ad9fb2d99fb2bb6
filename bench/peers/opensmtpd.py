"""OpenSMTPD. Its queue is not durable here: version 6.8 makes no sync call while it accepts, so its figures are no
target."""
import subprocess

import machine
import peers.packages
import peers.server
from peers.server import DOMAIN

CONFIGURATION = """smtp max-message-size 64M
smtp limit max-mails 1000000
smtp limit max-rcpt 1000
listen on 127.0.0.1 port {port} hostname mx.{domain}
action "out" relay host smtp+notls://127.0.0.1:9
match from any for any action "out"
"""


class OpenSmtpd(peers.server.Server):
    name, title, port = "opensmtpd", "OpenSMTPD (not durable)", 31028
    stated = "max-mails raised, delivery paused; it syncs nothing before its 250, so it promises less than the others"

    def configure(self):
        self.write("smtpd.conf", CONFIGURATION.format(port=self.port, domain=DOMAIN))
        self.spool = self.folder / "spool"
        self.spool.mkdir()
        self.spool.chmod(0o711)
        machine.run("mount", "--bind", self.spool, "/var/spool/smtpd")

    def command(self):
        return ["/usr/sbin/smtpd", "-d", "-f", self.folder / "smtpd.conf"]

    def start(self):
        super().start()
        for what in ("mta", "mda"):
            machine.run("/usr/sbin/smtpctl", "pause", what)

    def queue_folders(self):
        return [self.spool / "queue", self.spool / "incoming"]

    def purge(self):
        for name in ("queue", "incoming", "temporary", "purge"):
            subprocess.run(["find", self.spool / name, "-mindepth", "1", "-delete"], capture_output=True)

    def close(self):
        self.stop()
        machine.run("umount", "/var/spool/smtpd")
        super().close()

    @staticmethod
    def version():
        return peers.packages.version("opensmtpd")
