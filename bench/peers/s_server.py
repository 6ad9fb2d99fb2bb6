"""openssl s_server: a bare TLS server, that reads its key itself and speaks no protocol."""
import subprocess

import machine
import peers.server


class SServer(peers.server.Server):
    name, title, port = "s_server", "openssl s_server", 31433
    stated = ("-quiet -num_tickets 1, without the store of certificates that it would look through at each hand-shake; the key "
              "in its own memory")

    def __init__(self, folder, pair, **more):
        self.pair = pair
        super().__init__(folder, **more)

    def configure(self):
        pass

    def command(self):
        chain, key = self.pair
        return ["/usr/bin/openssl", "s_server", "-quiet", "-num_tickets", "1", "-no-CAfile", "-no-CApath", "-no-CAstore",
                "-accept", f"127.0.0.1:{self.port}", "-cert", chain, "-key", key]

    def spawn(self, command):
        """It ends when its input does."""
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=output,
                                    stderr=output, preexec_fn=self.group.join, cwd="/")

    def ready(self):
        return peers.server.listens(self.port)

    @staticmethod
    def version():
        return machine.run("/usr/bin/openssl", "version").split()[1]
