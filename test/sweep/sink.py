"""A server of somebody else's, which takes everything and keeps what it took."""
import socket
import threading


class Sink(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.taken = {}  # {message name: [(octets behind our fields, was its reply read?), ...]}
        self.start()

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        self.socket.close()

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

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as lines:
                self.talk(connection, lines)
        except OSError:
            pass

    def talk(self, connection, lines):
        connection.sendall(b"220 sink.far.test\r\n")
        last = None
        for line in lines:
            if last:
                self.heard(*last)
                last = None
            verb = line[:4].upper()
            if verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                octets = self.body(lines)
                if octets is None:
                    return
                last = self.take(octets)
            connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return

    @staticmethod
    def body(lines):
        octets = []
        for line in lines:
            if line == b".\r\n":
                return b"".join(octets)
            octets.append(line[1:] if line.startswith(b".") else line)
        return None
