"""smtp-sink, Postfix's own: reads mail and throws it away. The most that SMTP allows on this machine with this
generator."""
import re
import subprocess
import threading
import time

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


LAST_LINES = 200  # octets that hold one line of counters at least
PAUSE = 0.005     # seconds


class Destination(Sink):
    """Where relayed mail ends: a sink at the port of servers, that counts."""
    name, title, address = "destination", "smtp-sink as destination", "127.0.0.9"
    stated = "throws everything away; backlog 1000; counts"
    expected = 0  # messages that whoever relays has taken

    def command(self):
        return ["/usr/sbin/smtp-sink", "-c", "-u", "nobody", f"{self.address}:25", "1000"]

    def spawn(self, command):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   preexec_fn=self.group.join, cwd="/")
        self.count = 0
        threading.Thread(target=self.listen, args=(process.stdout,), daemon=True).start()
        return process

    def listen(self, output):
        """It prints all its counters after each message: looking at the last is enough, now and then."""
        text = b""
        while more := output.read1():
            text = (text + more)[-LAST_LINES:]
            found = re.findall(rb"mesg=(\d+)", text)
            if found:
                self.count = max(self.count, int(found[-1]))
            time.sleep(PAUSE)

    def ready(self):
        return peers.server.greets(25, self.address)
