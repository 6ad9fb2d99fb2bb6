"""Postfix, with Debian's values but for names, folders and ports. Mail that is only to be accepted is held in the
queue; mail to be delivered goes to Dovecot by LMTP."""
import subprocess

import peers.packages
import peers.server
from peers.dovecot import Dovecot
from peers.relays import Relays
from peers.server import DOMAIN

MAIN = """compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
alias_maps =
alias_database =
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtp_dns_support_level = disabled
"""
PURPOSE = {
    "accept": "smtpd_recipient_restrictions = check_recipient_access static:HOLD, permit_mynetworks, reject\n",
    "local": "smtpd_recipient_restrictions = permit_mynetworks, reject\n"
             "virtual_transport = lmtp:inet:127.0.0.1:{lmtp}\n"
             "virtual_mailbox_domains = {domain}\n"
             "virtual_mailbox_maps = static:ok\n",
    "relay": "smtpd_recipient_restrictions = permit_mynetworks, reject\n"
             "relayhost = [127.0.0.9]:25\n",
    "idle": "smtpd_recipient_restrictions = permit_mynetworks, reject\n"
            "default_process_limit = 1200\n"
            "smtpd_timeout = 600s\n",
}
MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(peers.server.Server):
    name, title, port = "postfix", "Postfix", 31026
    stated = "Debian's values, process limit 100, log to a file; accepted mail is held in the queue"

    def configure(self):
        values = {"folder": self.folder, "domain": DOMAIN, "port": self.port, "lmtp": Dovecot.lmtp}
        self.write("etc/main.cf", MAIN.format(**values) + PURPOSE[self.purpose].format(**values))
        self.write("etc/master.cf", MASTER.format(**values))
        (self.folder / "spool").mkdir()
        self.make_folder(self.folder / "data", "postfix", 0o700)

    def command(self):
        return ["/usr/sbin/postfix", "-c", self.folder / "etc", "start"]

    def quit(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self.folder / "etc", "stop"], capture_output=True)

    def queue_folders(self):
        return [self.folder / "spool" / name for name in ("incoming", "active", "maildrop", "deferred")]

    def purge(self):
        for name in ("incoming", "active", "deferred", "defer", "hold", "maildrop", "bounce"):
            self.empty_folder(self.folder / "spool" / name)
        with open(self.folder / "maillog", "w"):
            pass

    @staticmethod
    def version():
        return peers.packages.version("postfix")


class PostfixRelay(Relays, Postfix):
    """Sends on whatever it takes."""
    name, title = "postfix-relay", "Postfix, relaying"
    stated = "Debian's values, process limit 100, log to a file"

    def __init__(self, folder):
        super().__init__(folder, "relay")


class PostfixDovecot(Postfix):
    """Postfix in front, Dovecot behind: what an operator has today."""
    name, title = "postfix-dovecot", "Postfix + Dovecot LMTP"
    delivers = True
    pop3 = Dovecot.pop3
    stated = "Postfix as above, its LMTP client to Dovecot"

    def configure(self):
        super().configure()
        self.dovecot = Dovecot(self.folder, self.purpose, self.accounts, self.group)

    def start(self):
        self.dovecot.start()
        super().start()

    def stop(self):
        self.dovecot.stop()
        super().stop()

    def purge(self):
        super().purge()
        self.dovecot.purge()

    @staticmethod
    def version():
        return f"{Postfix.version()}, Dovecot {Dovecot.version()}"
