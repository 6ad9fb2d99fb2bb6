"""The DNS of a test: zones that are signed, not signed, or signed badly, on an nsd of the test's own; and servers of our
own making that count, keep silent, or say what no server should.

    zones = Zones([
        Zone("zones.test", "mail MX 10 mx\nmx A 192.0.2.1"),
        Zone("plain.zones.test", "@ TXT \"hello\"", signed=False),
    ])
    server = veredus.Server(zones.settings())
    ...
    zones.close()

Nothing here asks the outside. A zone that lies beneath another one of the list is delegated there, with a DS where it is
signed. Who asks must be told its server for each zone: a delegation has no room for a port (Zones.settings).
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import veredus

PATIENCE = 30
TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 43: "DS", 48: "DNSKEY",
         52: "TLSA"}
NUMBERS = {name: number for number, name in TYPES.items()}
ALGORITHM = "ECDSAP256SHA256"


class Zone:
    """records: lines of a zone file; SOA and NS are put in front.

    signed   has keys and signatures
    spoil    (what, with what): replaced in the file once it is signed, so that signatures fail
    false_ds the zone above has a DS of another key
    ttl      of all, and of what is not there
    """

    def __init__(self, name, records="", signed=True, spoil=None, false_ds=False, ttl=300):
        self.name, self.records, self.signed, self.ttl = name, records, signed, ttl
        self.spoil, self.false_ds = spoil, false_ds
        self.keys, self.ds, self.key = [], "", ""

    def text(self, delegations, address):
        head = (f"$ORIGIN {self.name}.\n$TTL {self.ttl}\n"
                f"@ SOA ns.{self.name}. hostmaster.{self.name}. 1 3600 600 86400 {self.ttl}\n"
                f"@ NS ns.{self.name}.\nns A {address}\n")
        return head + self.records.strip("\n") + "\n" + delegations


class Zones:
    def __init__(self, zones, address="127.0.0.1", port=None):
        self.zones, self.address = list(zones), address
        self.folder = tempfile.mkdtemp(prefix="veredus-zones.")
        os.chmod(self.folder, 0o755)
        self.port = port or veredus.free_ports(1)[0]
        self.process = None
        try:
            for zone in sorted(self.zones, key=lambda one: -one.name.count(".")):  # those below first: their keys go up
                self.make(zone)
            self.start()
        except BaseException:
            self.close()
            raise

    # --- Files ---

    def path(self, name):
        return os.path.join(self.folder, name)

    def above(self, zone):
        """The closest zone of the list that this one lies beneath."""
        over = [one for one in self.zones if zone.name.endswith("." + one.name)]
        return max(over, key=lambda one: len(one.name), default=None)

    def new_key(self, zone, *options):
        made = subprocess.run(["ldns-keygen", "-r", "/dev/urandom", "-a", ALGORITHM, *options, zone.name],
                              cwd=self.folder, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def read(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return file.read()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as file:
            file.write(text)

    def make(self, zone):
        delegations = ""
        for other in self.zones:
            if self.above(other) is zone:
                delegations += f"{other.name}. NS ns.{other.name}.\nns.{other.name}. A {self.address}\n{other.ds}"
        self.write(zone.name, zone.text(delegations, self.address))
        if zone.signed:
            self.sign(zone)
        if zone.spoil:
            text = self.read(zone.name)
            assert zone.spoil[0] in text
            self.write(zone.name, text.replace(*zone.spoil))

    def sign(self, zone):
        if not zone.keys:
            zone.keys = [self.new_key(zone, "-k")]
            zone.key = self.read(zone.keys[0] + ".key")
            told = self.new_key(zone, "-k") if zone.false_ds else zone.keys[0]
            zone.ds = subprocess.run(["ldns-key2ds", "-n", "-2", self.path(told + ".key")], check=True,
                                     capture_output=True, text=True).stdout
        subprocess.run(["ldns-signzone", "-f", zone.name + ".signed", zone.name, *zone.keys], cwd=self.folder,
                       check=True, capture_output=True)
        os.rename(self.path(zone.name + ".signed"), self.path(zone.name))

    def change(self, name, records):
        """Other records for a zone, signed again; the server reads them."""
        zone = next(one for one in self.zones if one.name == name)
        zone.records = records
        self.make(zone)
        self.stop()
        self.start()

    # --- The server ---

    def start(self):
        lines = ["server:", f"    ip-address: {self.address}@{self.port}", '    username: ""', '    chroot: ""',
                 f'    zonesdir: "{self.folder}"', '    database: ""', f'    pidfile: "{self.path("pid")}"',
                 f'    zonelistfile: "{self.path("zonelist")}"', f'    xfrdfile: "{self.path("xfrd")}"',
                 f'    xfrdir: "{self.folder}"', f'    logfile: "{self.path("log")}"', "    rrl-ratelimit: 0",
                 "remote-control:", "    control-enable: no"]
        for zone in self.zones:
            lines += ["zone:", f'    name: "{zone.name}"', f'    zonefile: "{zone.name}"']
        self.write("nsd.conf", "\n".join(lines) + "\n")
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", self.path("nsd.conf")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

        def answers():
            assert self.process.poll() is None, self.read("log")
            return ask(self.port, self.zones[0].name, "SOA", self.address) is not None

        if self.zones:
            veredus.wait_until(answers, "nsd answers", PATIENCE)

    def stop(self):
        """nsd has children, which its first process takes along."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- What who asks must know ---

    def anchors(self):
        """Keys of the signed zones that lie beneath none of the others."""
        return "".join(zone.key for zone in self.zones if zone.signed and not self.above(zone))

    def settings(self, port=None, **more):
        """For veredus.Server: each zone is asked here, or at another port (a Relay's)."""
        self.write("anchors", self.anchors())
        os.chmod(self.path("anchors"), 0o644)
        found = {"dns": {"trust_anchors": f'"{self.path("anchors")}"', **more}}
        for zone in self.zones:
            found[f"zone {zone.name}"] = {"servers": f'"{self.address}:{port or self.port}"'}
        return found


# --- Messages ---

def name_octets(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def question_of(message):
    """(name, type) of a query, and the octet behind it."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    number = struct.unpack(">H", message[at + 1:at + 3])[0]
    return ".".join(labels).lower(), TYPES.get(number, str(number)), at + 5


def query(name, kind, number=1):
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + name_octets(name) + struct.pack(">2H", NUMBERS[kind], 1)


def record(name, kind, rdata, ttl=300):
    return name_octets(name) + struct.pack(">2HIH", NUMBERS[kind], 1, ttl, len(rdata)) + rdata


def reply(message, records=(), rcode=0, flags=0x8400, number=None):
    """An answer to a query, with these records."""
    _, _, end = question_of(message)
    head = struct.pack(">6H", struct.unpack(">H", message[:2])[0] if number is None else number, flags | rcode, 1,
                       len(records), 0, 0)
    return head + message[12:end] + b"".join(records)


def ask(port, name, kind, address="127.0.0.1"):
    """The octets of an answer over UDP, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.5)
        try:
            asking.sendto(query(name, kind), (address, port))
            return asking.recv(65535)
        except OSError:
            return None


# --- Servers of our own ---

class Answering:
    """A server over UDP and TCP: answer(message, over_tcp) gives the octets to send, None for nothing, or a list of
    them. What was asked is kept: [(name, type)]."""

    def __init__(self, answer):
        self.answer, self.asked, self.held = answer, [], []
        while True:
            self.port = veredus.free_ports(1)[0]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def count(self, name, kind):
        return self.asked.count((name, kind))

    def note(self, message):
        try:
            self.asked.append(question_of(message)[:2])
        except (IndexError, struct.error):
            pass

    def answers(self, message, over_tcp):
        given = self.answer(message, over_tcp)
        return given if isinstance(given, list) else [given] if given is not None else []

    def serve_udp(self):
        while True:
            try:
                message, who = self.udp.recvfrom(65535)
            except OSError:
                return
            self.note(message)
            for octets in self.answers(message, False):
                self.udp.sendto(octets, who)

    def serve_tcp(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_client, args=(client,), daemon=True).start()

    def serve_client(self, client):
        self.held.append(client)
        try:
            while True:
                head = client.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                message = client.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                self.note(message)
                for octets in self.answers(message, True):
                    client.sendall(struct.pack(">H", len(octets)) + octets)
        except OSError:
            pass

    def close(self):
        for one in [self.udp, self.tcp] + self.held:
            one.close()


class Relay(Answering):
    """Passes on to another server, and counts; `deaf` says nothing."""

    def __init__(self, port):
        self.to, self.deaf = port, False
        super().__init__(self.pass_on)

    def pass_on(self, message, over_tcp):
        if self.deaf:
            return None
        kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as onward:
            onward.settimeout(PATIENCE)
            onward.connect(("127.0.0.1", self.to))
            if not over_tcp:
                onward.send(message)
                return onward.recv(65535)
            onward.sendall(struct.pack(">H", len(message)) + message)
            head = onward.recv(2, socket.MSG_WAITALL)
            return onward.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
