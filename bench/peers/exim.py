"""Exim, unpacked; a queue that is split as its manual advises, and limits raised to what the cases need."""
import peers.packages
import peers.server
import machine
from peers.server import DOMAIN

CONFIGURATION = """exim_path = /usr/sbin/exim4
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
primary_hostname = mx.{domain}
qualify_domain = {domain}
domainlist local_domains = {domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
smtp_accept_max = 1200
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 512
smtp_accept_max_per_connection = 0
split_spool_directory = true
rfc1413_query_timeout = 0s
tls_advertise_hosts =
pipelining_advertise_hosts = *
never_users = root
acl_smtp_rcpt = acl_ok
acl_smtp_data = acl_ok
{queue}
begin acl
acl_ok:
  accept
begin routers
local:
  driver = accept
  domains = +local_domains
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail/$local_part/Maildir
  create_directory
  maildir_format
  user = vmail
  group = vmail
begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""


class Exim(peers.server.Server):
    name, title, port = "exim", "Exim", 31027
    stated = "split_spool_directory, queue_only, connection limits raised"

    def configure(self):
        for name in ("spool", "log"):
            self.make_folder(self.folder / name, "Debian-exim", 0o750)
        self.make_folder(self.folder / "mail", "vmail")
        queue = "" if self.purpose == "local" else "queue_only = true"
        text = CONFIGURATION.format(folder=self.folder, domain=DOMAIN, port=self.port, queue=queue)
        # /etc/exim4/exim4.conf leads there (machine.py): Exim starts itself again, by that name.
        (machine.WORK / "exim4.conf").write_text(text)

    def command(self):
        return ["/usr/sbin/exim4", "-bdf", "-q30m"]

    def queue_folders(self):
        return [self.folder / "spool" / "input"]

    def purge(self):
        for name in ("spool/input", "spool/msglog", "mail"):
            self.empty_folder(self.folder / name)
        with open(self.folder / "log" / "mainlog", "r+") as log:
            log.truncate()

    @staticmethod
    def version():
        return peers.packages.version("exim4-daemon-heavy")
