"""A server of somebody else's, which takes everything and keeps what it took."""
import threading

from sinks import Listener, content


class Sink(Listener):
    def __init__(self):
        self.lock = threading.Lock()
        self.taken = {}  # {message name: [(octets behind our fields, was its reply read?), ...]}
        super().__init__("127.0.0.1", 0)

    def copies(self, name):
        with self.lock:
            return list(self.taken.get(name, ()))

    def take(self, octets):
        """What stands in front of Subject is not the sender's. Its place, for heard."""
        at = octets.index(b"Subject: ")
        name = octets[at:].split(b"\r\n", 1)[0].partition(b": ")[2].decode()
        with self.lock:
            copies = self.taken.setdefault(name, [])
            copies.append((octets[at:], False))
            return name, len(copies) - 1

    def heard(self, name, place):
        with self.lock:
            self.taken[name][place] = (self.taken[name][place][0], True)

    def talk(self, connection):
        with connection.makefile("rb") as lines:
            self.answer(connection, lines)

    def answer(self, connection, lines):
        connection.sendall(b"220 sink.far.test\r\n")
        last = None
        for line in lines:
            if last:
                self.heard(*last)
                last = None
            verb = line[:4].upper()
            if verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                octets = content(lines)
                if octets is None:
                    return
                last = self.take(octets)
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return
