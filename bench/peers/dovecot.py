"""Dovecot, with its own values but for names, folders, ports and limits: maildir, mail_fsync=optimized."""
import shutil

import peers.packages
import peers.server
from peers.server import PASSWORD

CONFIGURATION = """base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = pop3 lmtp
listen = 127.0.0.1
mail_location = maildir:~/Maildir
mail_uid = vmail
mail_gid = vmail
mail_home = {folder}/mail/%n
first_valid_uid = 1
disable_plaintext_auth = no
ssl = no
auth_mechanisms = plain
mail_max_userip_connections = 10000
default_client_limit = 12000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home={folder}/mail/%n
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 20000
}}
service stats {{
  client_limit = 20000
}}
namespace inbox {{
  inbox = yes
}}
"""


class Dovecot(peers.server.Server):
    name, title, pop3, lmtp = "dovecot", "Dovecot", 31228, 31128
    port = pop3
    delivers = True
    stated = "Debian's values, maildir, mail_fsync=optimized"

    def configure(self):
        self.mail = self.make_folder(self.folder / "mail", "vmail")
        (self.folder / "run").mkdir()
        self.write("dovecot.conf", CONFIGURATION.format(folder=self.folder, password=PASSWORD, pop3=self.pop3,
                                                        lmtp=self.lmtp))

    def command(self):
        return ["/usr/sbin/dovecot", "-F", "-c", self.folder / "dovecot.conf"]

    def purge(self):
        for home in self.mail.iterdir():
            shutil.rmtree(home)

    @staticmethod
    def version():
        return peers.packages.version("dovecot-core")
