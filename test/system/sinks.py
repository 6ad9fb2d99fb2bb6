"""Servers of somebody else's, on threads of a test: what listens at an address, and a mail host that takes what it is to.

    class Odd(Listener):
        def talk(self, connection): ...

    exchange = Exchange("127.0.0.9")
    ...
    exchange.messages    # [(sender, recipients, octets), ...]
    exchange.close()
"""
import contextlib
import re
import socket
import threading


class Gone(Exception):
    """The connection is over, and that is well."""


class Listener(threading.Thread):
    """Each connection has a thread and is talked with there; whatever breaks it is its end. What `talk` needs is there
    before this is called."""

    def __init__(self, address, port=25, backlog=100):
        super().__init__(daemon=True)
        self.sessions = 0
        self.socket = socket.create_server((address, port), backlog=backlog)
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # accept holds it open
        self.socket.close()

    def serve(self, connection):
        with contextlib.suppress(Gone, OSError), connection:
            self.talk(connection)

    def talk(self, connection):
        raise NotImplementedError


def content(lines):
    """Of DATA, as it was before dots were doubled; None: it has no end."""
    octets = []
    for line in lines:
        if line == b".\r\n":
            return b"".join(octets)
        octets.append(line[1:] if line.startswith(b".") else line)
    return None


class Exchange(Listener):
    """It says what the local part of a recipient tells it to; with a context it has STARTTLS."""
    SAYS = {"full": "452 4.2.2 mailbox full", "gone": "550 5.1.1 no such user", "never": "554 5.7.1 we do not want you"}

    def __init__(self, address, port=25, context=None):
        self.context = context
        self.messages = []  # (sender, recipients, octets)
        self.ways = []  # of each message: (was it in TLS, its first recipient)
        self.later = 0  # recipients that are told to come again
        super().__init__(address, port)

    def talk(self, connection):
        file, encrypted = connection.makefile("rwb"), False

        def say(text):
            file.write(text.encode() + b"\r\n")
            file.flush()

        say("220 mx.far.test ESMTP")
        sender, recipients = None, []
        while line := file.readline():
            verb = line.split(b" ")[0].strip().upper()
            if verb == b"EHLO":
                starttls = "250-STARTTLS\r\n" if self.context and not encrypted else ""
                say(f"250-mx.far.test\r\n250-PIPELINING\r\n{starttls}250 8BITMIME")
            elif verb == b"STARTTLS":
                say("220 go on")
                file = self.context.wrap_socket(connection, server_side=True).makefile("rwb")
                encrypted = True
            elif verb == b"MAIL":
                sender, recipients = re.search(rb"<(.*?)>", line)[1].decode(), []
                say("250 2.1.0 ok")
            elif verb == b"RCPT":
                address = re.search(rb"<(.*?)>", line)[1].decode()
                told = self.SAYS.get(address.partition("@")[0])
                if self.later:
                    self.later -= 1
                    told = "451 4.7.1 come again"
                if not told:
                    recipients.append(address)
                say(told or "250 2.1.5 ok")
            elif verb == b"DATA" and not recipients:
                say("554 5.5.1 no valid recipients")
            elif verb == b"DATA":
                say("354 go on")
                octets = content(file)
                if octets is None:
                    raise Gone
                self.ways.append((encrypted, recipients[0]))
                self.messages.append((sender, recipients, octets))
                say("250 2.0.0 taken")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")
