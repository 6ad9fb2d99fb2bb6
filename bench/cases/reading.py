"""POP3: mailboxes of 1,000 messages of 10 KB, read whole."""
import generator
from cases.stage import AIM_SECONDS, KB
from peers.dovecot import Dovecot
from peers.veredus import Veredus

SIZE = 10 * KB
MAILBOXES = 10
MESSAGES = 1000  # in each mailbox
EACH = 500       # messages for each connection while mailboxes are filled
# sessions, RETR commands under way
WAYS = ((1, 1), (10, 1), (10, 100))


def fill(server, messages):
    if isinstance(server, Dovecot):
        generator.run("lmtp", server.lmtp, messages=messages, size=SIZE, accounts=MAILBOXES, each=EACH)
    else:
        generator.run("smtp", server.port, messages=messages, size=SIZE, accounts=MAILBOXES, each=EACH)


def read(server, sessions, window, passes):
    return generator.run("pop3", server.pop3, sessions=sessions, accounts=sessions, window=window, each=passes,
                         size=SIZE, password="pw")


def reading(stage):
    messages = stage.scaled(MAILBOXES * MESSAGES)
    with Veredus(stage.folder) as veredus, Dovecot(stage.folder) as dovecot:
        for server in (veredus, dovecot):
            fill(server, messages)
        for sessions, window in WAYS:
            name = f"read 10 KB, {sessions} session{'s' if sessions > 1 else ''}, {window} under way"
            passes = {}
            for server in (veredus, dovecot):
                read(server, sessions, window, 1)  # from the disk; the next ones are from memory
                found = read(server, sessions, window, 1)
                passes[server] = max(1, round(found["rate"] * stage.scaled(AIM_SECONDS * 100) / 100 /
                                              (sessions * messages / MAILBOXES)) + 1)
            for number in range(stage.rounds):
                for server in (veredus, dovecot):
                    cpu = server.group.cpu()
                    found = read(server, sessions, window, passes[server])
                    used = sum(server.group.cpu()) - sum(cpu)
                    stage.add(name, server, round=number, octets_each=SIZE, cpu_us=used / found["done"] * 1e6,
                              mb_s=found["octets"] / found["seconds"] / 1e6, **found)
