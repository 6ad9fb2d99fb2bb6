"""A small internet for a test: hosts with addresses of their own in network namespaces, on one wire; names in signed zones
and the way back from addresses; an authority for certificates; servers of others from Debian, run and never installed.

    net = Internet([North, South, Postfix, Exim, OpenSmtpd])
    with net.host("postfix").inside():   # sockets and programs made here are that host's
        ...
    net.close()

A namespace has no name and lives as long as the process that holds it, which the kernel kills with the test: nothing stays
behind, however the test ends. What another server needs to be "installed" (its files below /usr, users, a configuration
below /etc) is laid over this machine's folders in the host's own view of the file system.
"""
import contextlib
import ctypes
import fcntl
import glob
import hashlib
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import veredus
from zones import Zone, Zones

DNS, RESOLVER = 53, 54  # the last octets of servers that all share
NETWORK4, NETWORK6 = "198.18.0.", "2001:2::"  # for tests of networks: RFC 2544, RFC 5180
REVERSE4, REVERSE6 = "0.18.198.in-addr.arpa", "0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa"
CLONE_NEWNET = 0x40000000
VMAIL = 5000  # whose the mailboxes of others' servers are
# Each host's domains: NAME.test; dane.NAME.test, which has TLSA; and in a zone that nobody signed those with an enforced
# MTA-STS policy: sts.NAME.test, name.sts.NAME.test, whose policy names another MX, and cert.sts.NAME.test, whose MX has
# no certificate of its name.
WAYS = ("", "dane", "sts", "name.sts", "cert.sts")
STS = [way for way in WAYS if "sts" in way]

libc = ctypes.CDLL(None, use_errno=True)


def setns(file):
    if libc.setns(file.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Node:
    """A network namespace and a view of the file system."""

    def __init__(self, name):
        self.name = name
        self.holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--propagation",
                                        "private", "sh", "-c", "echo here; exec sleep infinity"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"here\n"
        self.ip("link set lo up")

    @property
    def pid(self):
        return self.holder.pid

    def words(self, *words):
        """How a program is called so that it runs here."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *words]

    def run(self, *words, check=True):
        done = subprocess.run(self.words(*words), capture_output=True, text=True, timeout=veredus.PATIENCE, check=False)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def keep(self, *words, out):
        """A program that goes on running: whoever holds the numbers of its processes is killed with the test, and then all
        of them are. That is a shell: a daemon that changes its user is told no more when its parent dies."""
        with open(out, "ab") as file:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL",
                 *self.words("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@" & wait', "sh",
                             *words)],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)

    def ip(self, text):
        self.run("ip", *text.split())

    @contextlib.contextmanager
    def inside(self):
        """This thread, and what it starts, is on the host; files are as everywhere."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self.pid}/ns/net", "rb") as there:
            setns(there)
            try:
                yield self
            finally:
                setns(home)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Hub(Node):
    """The wire, the name server and a resolver that checks signatures, for those who have none of their own."""

    def __init__(self):
        super().__init__("hub")
        self.zones = self.unbound = None
        self.ip("link add wire type bridge forward_delay 0 mcast_snooping 0")
        for last in (DNS, RESOLVER):
            self.ip(f"addr add {NETWORK4}{last}/24 dev wire")
            self.ip(f"addr add {NETWORK6}{last}/64 dev wire nodad")
        self.ip("link set wire up")

    def plug(self, node, last):
        self.ip(f"link add to{last} type veth peer name wire netns {node.pid}")
        self.ip(f"link set to{last} master wire up")
        node.ip(f"addr add {NETWORK4}{last}/24 dev wire")
        node.ip(f"addr add {NETWORK6}{last}/64 dev wire nodad")
        node.ip("link set wire up")

    def serve(self, zones):
        with self.inside():
            self.zones = Zones(zones, f"{NETWORK4}{DNS}", 53)
            self.zones.write("anchors", self.zones.anchors())
            self.zones.write("unbound.conf", f"""server:
    interface: {NETWORK4}{RESOLVER}
    access-control: {NETWORK4}0/24 allow
    do-daemonize: no
    use-syslog: no
    logfile: ""
    username: ""
    chroot: ""
    directory: "{self.zones.folder}"
    pidfile: ""
    trust-anchor-file: "{self.zones.path("anchors")}"
    local-zone: "." static
    local-zone: "test." transparent
    local-zone: "{REVERSE4}." transparent
    local-zone: "{REVERSE6}." transparent
stub-zone:
    name: "test."
    stub-addr: {NETWORK4}{DNS}
stub-zone:
    name: "{REVERSE4}."
    stub-addr: {NETWORK4}{DNS}
stub-zone:
    name: "{REVERSE6}."
    stub-addr: {NETWORK4}{DNS}
remote-control:
    control-enable: no
""")
            self.unbound = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *with_libraries("unbound"), "-d", "-c",
                 self.zones.path("unbound.conf")], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        if self.unbound:
            self.unbound.kill()
            self.unbound.wait()
        if self.zones:
            self.zones.close()
        super().close()


def ascii_of(domain):
    return domain.encode("idna").decode()


def stories_of_failure(request, net):
    """A fixture's: a test that fails shows what the hosts had to say."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        for host in net.hosts:
            print(f"===== {host.name}\n{host.story()[-6000:]}")


def peers_needed():
    """Unpacked once, and again what a newer peers.sh names; by one test at a time."""
    script, whole = os.path.join(veredus.ROOT, "test", "system", "peers.sh"), os.path.join(veredus.PEERS, ".whole")
    os.makedirs(veredus.PEERS, exist_ok=True)
    with open(os.path.join(veredus.PEERS, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(whole) or os.path.getmtime(whole) < os.path.getmtime(script):
            subprocess.run([script, veredus.PEERS], check=True)


def libraries():
    return glob.glob(os.path.join(glob.escape(veredus.PEERS), "lib*", "usr", "lib", "*-linux-gnu"))


def with_libraries(name):
    return ["env", "LD_LIBRARY_PATH=" + ":".join(libraries()),
            os.path.join(veredus.PEERS, name, "usr", "sbin", name)]


class Authority:
    """Makes certificates that who trusts `file` believes."""

    def __init__(self, folder):
        self.folder, self.file = folder, os.path.join(folder, "authority.pem")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     self.path("authority.key"), "-out", self.file, "-subj", "/CN=Authority of tests", "-days", "30")

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *words):
        return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout

    def certify(self, name, hosts, key="ec"):
        """(chain, key) for these host names."""
        chain, private, request = self.path(name + ".pem"), self.path(name + ".key"), self.path(name + ".csr")
        make = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write("subjectAltName=" + ",".join("DNS:" + host for host in hosts) + "\n")
        self.openssl("req", "-newkey", *make, "-nodes", "-keyout", private, "-out", request, "-subj", "/CN=" + hosts[0])
        self.openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.path("authority.key"),
                     "-CAcreateserial", "-days", "20", "-extfile", self.path(name + ".ext"), "-out", chain)
        os.chmod(private, 0o600)
        return chain, private

    def tlsa(self, chain):
        """Usage 3, the key's SHA-256: what RFC 7672 3.1.1 recommends."""
        key = self.openssl("x509", "-in", chain, "-noout", "-pubkey")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True,
                             capture_output=True).stdout
        return "3 1 1 " + hashlib.sha256(der).hexdigest()


class Host(Node):
    """A mail server that has NAME.test and dane.NAME.test, and in each the mailboxes of `users`."""
    name = None
    users = ("carol", "dora")
    utf8 = True  # takes addresses beyond ASCII
    kind_of_key = "ec"
    idn = None  # one more domain, beyond ASCII
    names = ()  # more that its certificate is for

    def __init__(self, net, last):
        super().__init__(self.name)
        self.net, self.last = net, last
        self.address4, self.address6 = f"{NETWORK4}{last}", f"{NETWORK6}{last}"
        self.domain = f"{self.name}.test"
        self.host = f"mx.{self.domain}"
        self.domains = [f"{way}.{self.domain}".lstrip(".") for way in WAYS]
        self.home = tempfile.mkdtemp(prefix=f"veredus-{self.name}.")
        os.chmod(self.home, 0o755)
        self.policy = None
        net.hub.plug(self, last)
        self.chain, self.key = net.authority.certify(
            self.name, [self.host, *self.names] +
            [f"mx.{domain}" for domain in self.domains[1:] if not domain.startswith("cert.")] +
            [f"mta-sts.{way}.{self.domain}" for way in STS], self.kind_of_key)

    def records(self):
        tlsa = self.net.authority.tlsa(self.chain)
        lines = ["@ MX 10 mx", f"@ TXT \"v=spf1 ip4:{self.address4} ip6:{self.address6} -all\"",
                 "dane MX 10 mx.dane", f"_25._tcp.mx.dane TLSA {tlsa}",
                 # The same host, and a key that it does not use.
                 "wrongdane MX 10 mx.wrongdane", f"_25._tcp.mx.wrongdane TLSA {tlsa[:6]}{'00' * 32}"]
        for name in ("mx", "mx.dane", "mx.wrongdane"):
            lines += [f"{name} A {self.address4}", f"{name} AAAA {self.address6}"]
        return "\n".join(lines)

    def unsigned_records(self):
        """Of the zone sts.NAME.test."""
        lines = []
        for way in STS:
            below = way.removesuffix("sts")
            dotted = "." + below.removesuffix(".") if below else ""
            lines += [f"{dotted[1:] or '@'} MX 10 mx{dotted}", f'_mta-sts{dotted} TXT "v=STSv1; id=1;"']
            for name in (f"mx{dotted}", f"mta-sts{dotted}"):
                lines += [f"{name} A {self.address4}", f"{name} AAAA {self.address6}"]
        return "\n".join(lines)

    def policy_mx(self, way):
        """The host that the policy of this way names."""
        return "mx.elsewhere.test" if way == "name.sts" else f"mx.{way}.{self.domain}"

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def lay(self, packages, script, *folders):
        """Programs of Debian, and folders of our own that look like one, over this host's view of /usr; what `script` and who
        runs here write below /etc, /var and /run ends with the host."""
        peers_needed()
        stack = [os.path.join(veredus.PEERS, name) for name in packages]
        stack += glob.glob(os.path.join(glob.escape(veredus.PEERS), "lib*", "")) + [*folders]
        self.run("sh", "-ec", f"""
            mkdir -p {self.home}/over && mount -t tmpfs none {self.home}/over && cd {self.home}/over
            mkdir usr etc var etc.work var.work
            for one in {" ".join(stack)}; do
                cp -a "$one/usr/." usr/
                [ ! -d "$one/sbin" ] || cp -a "$one/sbin" usr/  # /sbin is /usr/sbin
            done
            mount -t overlay -o lowerdir=usr:/usr overlay /usr
            mount -t overlay -o lowerdir=/etc,upperdir=etc,workdir=etc.work overlay /etc
            mount -t overlay -o lowerdir=/var,upperdir=var,workdir=var.work overlay /var
            mount -t tmpfs none /run && mkdir -m 1777 /run/lock
            {script}
            """)

    def start(self):
        raise NotImplementedError

    def send(self, sender, recipients, octets, parameters="", rcpt=""):
        """Given over on the host itself, whose programs may send anywhere."""
        with self.inside(), veredus.Smtp(25) as session:
            if "REQUIRETLS" in parameters:
                session.starttls()
            assert session.command(f"MAIL FROM:<{sender}>{parameters}").code == 250
            for recipient in [recipients] if isinstance(recipients, str) else recipients:
                reply = session.command(f"RCPT TO:<{recipient}>{rcpt}")
                assert reply.code == 250, reply
            reply = session.data(octets)
            assert reply.code == 250, reply
            return reply.text

    def mail(self, user="carol"):
        """All messages of a user here, whole, with CR LF."""
        raise NotImplementedError

    def story(self):
        """What it has to tell when a test failed."""
        return ""

    def close(self):
        super().close()
        shutil.rmtree(self.home, ignore_errors=True)


# --- Veredus ---

class Site(veredus.Server):
    """A Veredus on a host of the internet. `more` blocks stand behind the settings."""

    def __init__(self, host, settings, directory):
        self.host = host
        with host.inside():
            super().__init__(settings, directory, before=["setpriv", "--pdeathsig", "KILL"],
                             log=host.path("log"))

    def write_configuration(self, text=None):
        blocks = f"certificate own {{ chain = \"{self.host.chain}\" key = \"{self.host.key}\" }}\n"
        super().write_configuration((self.configuration() if text is None else text) + blocks)


class Veredus(Host):
    users = ("carol", "dora", "用户")
    language = "en"
    server = None

    def settings(self):
        anchors = self.path("anchors")
        self.write("anchors", self.net.hub.zones.anchors())
        ask = {"servers": f'"{NETWORK4}{DNS}"'}
        found = {f"zone {zone}": ask for zone in ("test", REVERSE4, REVERSE6)}
        found["server"] = {"hostname": self.host, "pid_file": "pid", "language": self.language}
        found["dns"] = {"trust_anchors": f'"{anchors}"'}
        found["smtp"] = {"listen": '"*:25"', "relay_from": '"127.0.0.1"', "message_size": "1M"}
        found["sending"] = {"retry_first": "1s", "retry_most": "2s", "warn_after": "0s", "connect_timeout": "5s",
                            "authorities": f'"{self.net.authority.file}"'}
        found["http"] = {"listen_tls": '"*:443"'}
        for way in STS:
            found[f"domain {way}.{self.domain}"] = {"mta_sts": "enforce", "mta_sts_mx": f'"{self.policy_mx(way)}"'}
        return found

    def directory(self):
        lines = [f'domain "{domain}" {{ }}' for domain in self.domains]
        lines += [f'account "{user}@{self.domain}" {{ name = "{user}" password = "{veredus.HASH}" }}' for user in self.users]
        if self.idn:
            lines += [f'domain "{self.idn}" {{ }}',
                      f'account "用户@{self.idn}" {{ name = "用户" password = "{veredus.HASH}" }}']
        for domain in self.domains[1:]:
            lines += [f'alias "{user}@{domain}" {{ to = "{user}@{self.domain}" }}' for user in self.users]
        return "\n".join(lines) + "\n"

    def start(self):
        self.server = Site(self, self.settings(), self.directory())

    def mail(self, user="carol"):
        address = user if "@" in user else f"{user}@{self.domain}"
        with self.inside():
            return veredus.Mailbox(self.server, address).raw()

    def trace(self, name, json=False):
        return self.server.cli("trace", name, json=json).stdout

    def story(self):
        return self.server.log()

    def close(self):
        try:
            if self.server:
                self.server.close()
        finally:
            super().close()


# --- Others ---

class Policies(http.server.BaseHTTPRequestHandler):
    """The web server of a host that has none: its MTA-STS policies."""

    def do_GET(self):
        host = self.server.host
        way = self.headers["Host"].removeprefix("mta-sts.").removesuffix("." + host.domain)
        text = f"version: STSv1\r\nmode: enforce\r\nmx: {host.policy_mx(way)}\r\nmax_age: 86400\r\n".encode()
        self.send_response(200 if self.path == "/.well-known/mta-sts.txt" and way in STS else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host):
        self.host = host
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(host.chain, host.key)
        with host.inside():
            super().__init__((host.address4, 443), Policies)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Bare(Host):
    """A server that knows no TLS. It takes what comes, and says when somebody was there."""
    name = "bare"
    users = ()

    def start(self):
        self.taken, self.visits = [], 0
        self.web = Web(self)
        with self.inside():
            self.listening = socket.create_server((self.address4, 25))
        threading.Thread(target=self.run_server, daemon=True).start()

    def run_server(self):
        while True:
            try:
                connection = self.listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rwb") as file:
            self.visits += 1
            say = lambda line: (file.write(line + b"\r\n"), file.flush())
            say(b"220 bare")
            while line := file.readline():
                verb = line.split()[0].upper()
                if verb == b"DATA":
                    say(b"354 go on")
                    octets = b""
                    while (more := file.readline()) != b".\r\n":
                        octets += more
                    self.taken.append(octets)
                say(b"221 bye" if verb == b"QUIT" else b"250 ok")
                if verb == b"QUIT":
                    return

    def mail(self, user="carol"):
        return self.taken

    def close(self):
        if hasattr(self, "listening"):
            self.listening.close()
            self.web.close()
        super().close()


class Peer(Host):
    """A server from Debian. packages: what is laid over /usr; accounts: lines of passwd; files: below /etc."""
    packages = ()
    accounts = ""

    def start(self):
        self.web = Web(self)
        for user in self.users:
            os.makedirs(self.path(f"mail/{user}"))
        self.configure()
        self.write("passwd", f"{self.accounts}vmail:x:{VMAIL}:{VMAIL}::{self.home}/mail:/bin/sh\n")
        self.write("group", re.sub(r"(?m)^(\w[\w-]*):x:(\d+):.*$", r"\1:x:\2:",
                                   self.accounts + f"vmail:x:{VMAIL}:\n"))
        self.write("resolv.conf", f"nameserver {NETWORK4}{RESOLVER}\noptions edns0 trust-ad\n")
        self.lay(self.packages, f"""
            cat {self.home}/passwd >>/etc/passwd
            cat {self.home}/group >>/etc/group
            rm -f /etc/resolv.conf && cp {self.home}/resolv.conf /etc/resolv.conf
            chown -R {VMAIL}:{VMAIL} {self.home}/mail
            cp {self.chain} /etc/mx.pem && cp {self.key} /etc/mx.key && chmod 600 /etc/mx.key
            {self.installation()}
            """)
        self.launch()

        def answers():
            assert self.daemon.poll() is None, self.story()
            try:
                with self.inside(), veredus.Smtp(25):
                    return True
            except (OSError, EOFError):
                return False
        self.answers = answers

    def launch(self):
        self.daemon = self.keep(*self.command(), out=self.path("out"))

    def halt(self):
        self.daemon.kill()
        self.daemon.wait()

    def wait(self):
        veredus.wait_until(self.answers, f"{self.name} answers")

    def mail(self, user="carol"):
        found = []
        for path in sorted(glob.glob(f"{self.home}/mail/{glob.escape(user)}/**/new/*", recursive=True)):
            with open(path, "rb") as file:
                found.append(file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        return found

    def configure(self):
        raise NotImplementedError

    def installation(self):
        """What its package's script would do, as lines of sh."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def story(self):
        out = ""
        for name in ("out", "log", "logs/mainlog", "logs/paniclog"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as file:
                    out += file.read()
        return out

    def close(self):
        if hasattr(self, "daemon"):
            self.halt()
        if hasattr(self, "web"):
            self.web.close()
        super().close()


# What the resolver of MTA-STS policies for Postfix is made of.
RESOLVER_NEEDS = ("python3-aiodns", "python3-pycares", "python3-aiohttp", "python3-multidict", "python3-yarl",
                  "python3-async-timeout", "python3-attr", "python3-frozenlist", "python3-aiosignal",
                  "python3-charset-normalizer", "python3-yaml", "python3-idna", "python3-cffi-backend")


class Postfix(Peer):
    name = "postfix"
    users = ("carol", "dora", "用户")
    packages = ("postfix", "postfix-mta-sts-resolver", *RESOLVER_NEEDS)
    accounts = "postfix:x:5001:5001::/nonexistent:/bin/false\npostdrop:x:5002:5002::/nonexistent:/bin/false\n"

    def configure(self):
        self.write("main.cf", f"""compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
data_directory = /var/lib/postfix
queue_directory = /var/spool/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {self.home}/log
maillog_file_prefixes = {self.home}
myhostname = {self.host}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = all
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {" ".join(self.domains)}
virtual_mailbox_base = {self.home}/mail
virtual_mailbox_maps = texthash:/etc/postfix/mailboxes
virtual_uid_maps = static:{VMAIL}
virtual_gid_maps = static:{VMAIL}
virtual_alias_maps = inline:{{ bouncing@{self.domain}=nobody-postfix@north.test }}
virtual_mailbox_limit = 0
message_size_limit = 1500000
smtpd_tls_cert_file = /etc/mx.pem
smtpd_tls_key_file = /etc/mx.key
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_tls_CAfile = {self.net.authority.file}
smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix
smtputf8_autodetect_classes = all
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_client_connection_rate_limit = 0
""")
        lines = [f"{user}@{domain} {user}/" for domain in self.domains for user in self.users]
        self.write("mailboxes", "\n".join(lines) + "\n")
        self.write("mta-sts-daemon.yml", "host: 127.0.0.1\nport: 8461\ncache: { type: internal, options: { cache_size: 100 } }\n"
                   "default_zone: { strict_testing: false, timeout: 4 }\n")

    def installation(self):
        peer = os.path.join(veredus.PEERS, "postfix")
        return f"""
            mkdir -p /var/spool/postfix /var/lib/postfix /etc/postfix
            cp -r {peer}/etc/postfix/. /etc/postfix/
            cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
            cp {self.home}/main.cf {self.home}/mailboxes /etc/postfix/
            touch {self.home}/log
            chown postfix /var/lib/postfix
            postconf -F '*/*/chroot = n'
            """

    def command(self):
        return ["sh", "-c", f"""SSL_CERT_FILE={self.net.authority.file} /usr/bin/python3 /usr/bin/mta-sts-daemon \\
                -c {self.home}/mta-sts-daemon.yml & exec /usr/sbin/postfix start-fg"""]


class Exim(Peer):
    name = "exim"
    users = ("carol", "dora", "用户")
    packages = ("exim4-daemon-light", "exim4-base")
    accounts = "Debian-exim:x:5003:5003::/var/spool/exim4:/bin/false\n"

    def configure(self):
        self.write("exim4.conf", f"""primary_hostname = {self.host}
domainlist ours = {" : ".join(self.domains)}
acl_smtp_rcpt = rcpt
acl_smtp_data = data
tls_advertise_hosts = *
tls_certificate = /etc/mx.pem
tls_privatekey = /etc/mx.key
dsn_advertise_hosts = *
chunking_advertise_hosts = *
message_size_limit = 1000000
spool_directory = /var/spool/exim4
log_file_path = {self.home}/logs/%slog
never_users = root
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = yes
rfc1413_query_timeout = 0s
log_selector = +all
qualify_domain = {self.domain}
begin acl
rcpt:
  accept hosts = 127.0.0.1
  require message = relay not permitted
          domains = +ours
  require verify = recipient
  accept
data:
  accept
begin routers
others:
  driver = dnslookup
  domains = ! +ours
  transport = remote
  ignore_target_hosts = 127.0.0.0/8
  dnssec_request_domains = *
  no_more
bouncing:
  driver = redirect
  domains = +ours
  local_parts = bouncing
  data = nobody-exim@north.test
own:
  driver = accept
  domains = +ours
  local_parts = {" : ".join(self.users)}
  transport = mailbox
begin transports
remote:
  driver = smtp
  hosts_try_dane = *
  dnssec_request_domains = *
mailbox:
  driver = appendfile
  directory = {self.home}/mail/$local_part_data
  maildir_format
  user = {VMAIL}
  group = {VMAIL}
  envelope_to_add
  return_path_add
begin retry
* * F,1h,1s
begin rewrite
""")

    def installation(self):
        return f"""
            mkdir -p /etc/exim4 /var/spool/exim4
            cp {self.home}/exim4.conf /etc/exim4/exim4.conf
            chown Debian-exim:Debian-exim /var/spool/exim4 /etc/mx.key
            mkdir {self.home}/logs && chown Debian-exim {self.home}/logs
            """

    def command(self):
        return ["/usr/sbin/exim4", "-bdf", "-q1s"]


class OpenSmtpd(Peer):
    name = "opensmtpd"
    packages = ("opensmtpd",)
    utf8 = False
    kind_of_key = "rsa"  # Debian's has no way to sign with any other (bug of its OpenSSL 3 port)
    accounts = ("opensmtpd:x:5004:5004::/var/lib/opensmtpd/empty:/bin/false\n"
                "opensmtpq:x:5005:5005::/var/lib/opensmtpd/empty:/bin/false\n")

    def configure(self):
        users = ", ".join(f'"{user}" = "vmail"' for user in self.users) + ', "bouncing" = "nobody-opensmtpd@north.test"'
        domains = ", ".join(f'"{domain}"' for domain in self.domains)
        self.write("smtpd.conf", f"""pki own cert "/etc/mx.pem"
pki own key "/etc/mx.key"
table ours {{ {domains} }}
table users {{ {users} }}
smtp max-message-size "1000000"
listen on 0.0.0.0 tls pki own hostname {self.host}
listen on :: tls pki own hostname {self.host}
action "keep" maildir "{self.home}/mail/%{{dest.user}}" virtual <users>
action "out" relay helo {self.host}
match from any for domain <ours> action "keep"
match from local for any action "out"
""")

    def installation(self):
        return f"""
            cp {self.home}/smtpd.conf /etc/smtpd.conf
            mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty /var/empty
            chmod 711 /var/spool/smtpd
            echo {self.host} >/etc/mailname
            chgrp opensmtpq /usr/sbin/smtpctl 2>/dev/null || true
            """

    def command(self):
        return ["/usr/sbin/smtpd", "-dv"]


# --- All of it ---

class Internet:
    def __init__(self, kinds):
        self.hosts, self.hub = [], None
        self.folder = tempfile.mkdtemp(prefix="veredus-internet.")
        os.chmod(self.folder, 0o755)
        try:
            self.authority = Authority(self.folder)
            self.hub = Hub()
            for kind in kinds:
                self.hosts.append(kind(self, 1 + len(self.hosts)))
            self.hub.serve(self.zones())
            for host in sorted(self.hosts, key=lambda host: isinstance(host, Veredus)):  # ours are waited for
                host.start()
            for host in self.hosts:
                if isinstance(host, Peer):
                    host.wait()
        except BaseException:
            self.close()
            raise

    def zones(self):
        back4 = "\n".join(f"{host.last} PTR {host.host}." for host in self.hosts)
        back6 = "\n".join(".".join(f"{host.last:016x}"[::-1]) + f" PTR {host.host}." for host in self.hosts)
        return ([Zone("test"), Zone(REVERSE4, back4), Zone(REVERSE6, back6)] +
                [Zone(host.domain, host.records()) for host in self.hosts] +
                [Zone(f"sts.{host.domain}", host.unsigned_records(), signed=False) for host in self.hosts] +
                [Zone(ascii_of(host.idn), f"@ MX 10 {host.host}.") for host in self.hosts if host.idn])

    def host(self, name):
        return next(host for host in self.hosts if host.name == name)

    def close(self):
        failures = []
        peers_first = sorted(self.hosts, key=lambda host: isinstance(host, Veredus))  # ours wait for their last word
        for node in peers_first + ([self.hub] if self.hub else []):
            try:
                node.close()
            except Exception as failure:  # the others are to end all the same
                failures.append(failure)
        shutil.rmtree(self.folder, ignore_errors=True)
        if failures:
            raise failures[0]
