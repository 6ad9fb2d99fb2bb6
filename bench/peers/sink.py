"""smtp-sink, Postfix's own: reads mail and throws it away. The most that SMTP allows on this machine with this
generator."""
import peers.packages
import peers.server


class Sink(peers.server.Server):
    name, title, port = "sink", "smtp-sink", 31025
    stated = "throws everything away; backlog 1000"

    def configure(self):
        pass

    def command(self):
        return ["/usr/sbin/smtp-sink", "-u", "nobody", f"127.0.0.1:{self.port}", "1000"]

    @staticmethod
    def version():
        return "of Postfix " + peers.packages.version("postfix")
