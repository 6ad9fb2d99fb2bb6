"""Programs of Debian that send mail, running as their hosts run them: cron, Monit, mdadm, PHP, git, what systemd starts;
with the files of dist/examples as these stand. One host has a server of ours; the other has `sendmail`, a send.conf and a
provider, which is a Postfix.

Nothing is installed: the programs are laid over each host's view of the file system (internet.py).
"""
import contextlib
import datetime
import email
import email.policy
import glob
import os
import re
import shlex
import shutil
import subprocess

import pytest

import veredus
from internet import Host, Internet, Veredus, stories_of_failure
from smart_host import SmartHost
from veredus import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")

EXAMPLES = os.path.join(veredus.ROOT, "dist", "examples")
YOU, DEV, UID = "you@example.org", "dev", 5010
PACKAGES = ("cron", "monit", "mdadm", "php8.2-cli")
LARAVEL = ("php8.2-mbstring", "php-dflydev-dot-access-data", "php-doctrine-deprecations", "php-doctrine-inflector",
           "php-doctrine-lexer", "php-email-validator", "php-graham-campbell-result-type", "php-illuminate-collections",
           "php-illuminate-container", "php-illuminate-contracts", "php-illuminate-macroable", "php-illuminate-mail",
           "php-illuminate-support", "php-league-commonmark", "php-league-config", "php-nesbot-carbon", "php-nette-schema",
           "php-nette-utils", "php-phpoption", "php-psr-container", "php-psr-event-dispatcher", "php-psr-log",
           "php-psr-simple-cache", "php-swiftmailer", "php-symfony-css-selector", "php-symfony-deprecation-contracts",
           "php-symfony-polyfill-ctype", "php-symfony-polyfill-php80", "php-symfony-translation-contracts",
           "php-symfony-translation", "php-tijsverkoyen-css-to-inline-styles", "php-vlucas-phpdotenv",
           "php-voku-portable-ascii")
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMANDS = {"usr/local/sbin/veredus": veredus.BINARY, "usr/sbin/sendmail": "/usr/local/sbin/veredus"}
BACKUP = "#!/bin/sh\nprintf 'saved: größe\\n.\\nall of it\\n'\n"


def example(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        return file.read()


class Computer:
    """What a Host of internet.py is besides: one with programs, our commands, and names of others."""
    more_packages = ()

    def furnish(self, names):
        programs = {"usr/local/sbin/monit-mail": example("monit/monit-mail"), "usr/local/bin/backup": BACKUP}
        for path in [*COMMANDS, *programs]:
            os.makedirs(os.path.dirname(self.path("ours/" + path)), exist_ok=True)
        for path, target in COMMANDS.items():
            os.symlink(target, self.path("ours/" + path))
        for path, text in programs.items():
            self.write("ours/" + path, text, 0o755)
        self.write("hosts", "127.0.0.1 localhost\n" + "".join(
            f"{self.net.host(host).address4} {name}\n" for name, host in names.items()))
        authority = self.net.authority.file
        self.lay((*PACKAGES, *self.more_packages), f"""
            cat {self.home}/hosts >/etc/hosts
            cp -r {veredus.PEERS}/cron/etc/. {veredus.PEERS}/monit/etc/. /etc/
            chmod 600 /etc/monit/monitrc
            cat {authority} >>/etc/ssl/certs/ca-certificates.crt
            cp {authority} /etc/ssl/certs/tests.pem
            ln -s tests.pem /etc/ssl/certs/$(openssl x509 -hash -noout -in {authority}).0
            echo '{DEV}:x:{UID}:{UID}:Dev:/var/home/{DEV}:/bin/sh' >>/etc/passwd
            echo '{DEV}:*:19000:0:99999:7:::' >>/etc/shadow
            printf '{DEV}:x:{UID}:\\ncrontab:x:{UID + 1}:\\n' >>/etc/group
            rm -rf /etc/crontab /etc/cron.d/* /etc/monit/conf.d/* /var/spool/cron /var/spool/veredus /etc/veredus
            mkdir -p /var/home /var/spool/cron/crontabs /var/lib/monit/events /etc/mdadm /etc/systemd/system /etc/veredus
            mkdir -m 700 /var/home/{DEV} && chown {UID}:{UID} /var/home/{DEV}
            chgrp crontab /var/spool/cron/crontabs && chmod 1730 /var/spool/cron/crontabs
            """, self.path("ours"))

    def put(self, path, text, mode=0o644, uid=0):
        """A file of this host."""
        self.write("put", text, mode)
        self.run("sh", "-ec", f"mkdir -p {os.path.dirname(path)} && cp -p {self.home}/put {path} && chown {uid}:{uid} {path}")

    def call(self, *words, code=0, **environment):
        """As init calls: with next to nothing in the environment."""
        ran = subprocess.run(self.words("env", "-i", f"PATH={PATHS}", *[f"{name}={value}" for name, value in environment.items()],
                                        *words), capture_output=True, text=True, timeout=veredus.PATIENCE, check=False)
        assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
        return ran.stdout + ran.stderr

    @contextlib.contextmanager
    def running(self, *words, **environment):
        one = self.keep("env", "-i", f"PATH={PATHS}", *[f"{name}={value}" for name, value in environment.items()], *words,
                        out=self.path("programs"))
        try:
            yield
        finally:
            one.kill()
            one.wait()

    def letters(self):
        """What `you` has of it."""
        raise NotImplementedError

    def arrived(self, subject):
        """The one letter with these words in its subject."""
        def found():
            mails = [email.message_from_bytes(octets, policy=email.policy.default) for octets in self.letters()]
            return [mail for mail in mails if subject in mail["Subject"]]
        mails = wait_until(found, f"{subject} is there")
        assert len(mails) == 1
        return mails[0]

    def said(self):
        """By programs."""
        if not os.path.exists(self.path("programs")):
            return ""
        with open(self.path("programs"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def story(self):
        return super().story() + self.said()


class North(Computer, Veredus):
    """With a server."""
    name = "north"
    names = ("mail.example.org",)
    more_packages = LARAVEL

    def settings(self):
        found = super().settings()
        found["submission"] = {"listen": '"*:587"', "listen_tls": '"*:465"'}
        return found

    def directory(self):
        accounts = {YOU: veredus.HASH} | dict.fromkeys(("monit@example.org", "status@example.org"),
                                                       veredus.password_hash("secret"))
        return (super().directory() + 'domain "example.org" { }\n' + f'alias "root@example.org" {{ to = "{YOU}" }}\n' +
                "".join(f'account "{name}" {{ name = "{name}" password = "{secret}" }}\n' for name, secret in accounts.items()))

    def start(self):
        super().start()
        self.furnish({"mail.example.org": "north"})
        self.run("sh", "-ec", f"mkdir /run/veredus && mount --bind {self.server.home} /run/veredus")

    def letters(self):
        return self.mail(YOU)


class Vps(Computer, Host):
    """With the set-up of smart-host/, as its README says."""
    name = "vps"

    def start(self):
        self.furnish({"smtp.example.com": "postfix", "smtp.gmail.com": "postfix"})
        self.set_up("smart-host/send.conf", "vps@example.com")

    def set_up(self, name, user):
        self.put("/etc/veredus/send.conf", example(name))
        self.put("/etc/veredus/send.password", Provider.secrets[user] + "\n", 0o600)

    def letters(self):
        return self.net.host("postfix").mail("you") + self.net.host("postfix").mail("root")

    def waiting(self):
        return int(self.run("sh", "-c", "ls /var/spool/veredus 2>/dev/null | grep -c 'letter$'", check=False))


class Provider(SmartHost):
    names = ("smtp.example.com", "smtp.gmail.com")
    secrets = {"vps@example.com": "a secret", "you@gmail.com": "abcd efgh ijkl mnop", "dev@example.com": "the user's own"}
    users = ("you", "root")

    def __init__(self, *words):
        super().__init__(*words)
        self.domains.append("example.org")


@pytest.fixture(scope="module")
def net():
    one = Internet([North, Provider, Vps])
    yield one
    one.close()


@pytest.fixture(autouse=True)
def told(request, net):
    yield from stories_of_failure(request, net)


@pytest.fixture(params=("north", "vps"), name="host")
def each(request, net):
    return net.host(request.param)


@pytest.fixture(name="vps")
def without(net):
    return net.host("vps")


@pytest.fixture(name="north")
def with_server(net):
    return net.host("north")


def check_way(host, mail, sender, user="vps@example.com"):
    """By the server as who called it; by the provider in TLS with a log-in, and as its user."""
    if host.name == "north":
        assert mail["Return-Path"] == f"<{sender}>" and "(from uid " in str(mail["Received"])
        return
    assert mail["Return-Path"] == f"<{user}>" and mail["From"].addresses[0].addr_spec == user
    received = str(mail["Received"])
    assert f"(Authenticated sender: {user})" in received
    queue_id = re.search(r"with ESMTPSA id (\w+)", received)[1]
    assert host.net.host("postfix").log_ins(queue_id) == [("587", "SCRAM-SHA-256", user)]


def me(name="root"):
    return f"{name}@{os.uname().nodename}"


def text_of(mail):
    return mail.get_payload(decode=True).decode().replace("\r\n", "\n")


# --- cron ---

@contextlib.contextmanager
def cron(host, *before, **environment):
    """Debian's, which runs what is @reboot when it starts first."""
    host.run("rm", "-f", "/run/crond.pid", "/run/crond.reboot")
    with host.running(*before, "cron", "-f", TZ="UTC", **environment):
        yield
    host.run("sh", "-c", "rm -f /var/spool/cron/crontabs/*")


def test_cron_at_three_in_the_morning(host):
    host.call("crontab", f"{EXAMPLES}/cron/crontab")
    library, = glob.glob(os.path.join(glob.escape(veredus.PEERS), "libfaketime/usr/lib/*/faketime/libfaketime.so.1"))
    tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
    with cron(host, LD_PRELOAD=library, FAKETIME=f"@{tomorrow} 02:59:58"):
        mail = host.arrived("/usr/local/bin/backup")
    assert mail["Subject"].startswith("Cron <root@") and mail["From"].addresses[0].display_name in ("", "Cron Daemon")
    assert text_of(mail) == "saved: größe\n.\nall of it\n"
    check_way(host, mail, me())


def test_cron_of_a_user(host):
    """Whoever starts cron by hand hands it a HOME, which is not that of the job's user (Debian's sendmail has cron's)."""
    host.put("/var/crontab", f"MAILTO={YOU}\n@reboot id -un\n")
    host.call("crontab", "-u", DEV, "/var/crontab")
    if host.name == "vps":
        host.put(f"/var/home/{DEV}/.config/veredus/send.conf", example("smart-host/send.conf").replace("vps@", "dev@").replace(
            "/etc/veredus/send.password", "own"), uid=UID)
        host.put(f"/var/home/{DEV}/.config/veredus/own", Provider.secrets["dev@example.com"] + "\n", 0o600, UID)
    with cron(host, HOME="/root"):
        mail = host.arrived("id -un")
    assert text_of(mail) == DEV + "\n"
    check_way(host, mail, me(DEV), "dev@example.com")


# --- Monit ---

@contextlib.contextmanager
def monit(host, *before, **environment):
    """With Debian's monitrc, what was put into its conf.d, and nothing from before."""
    host.run("sh", "-c", "rm -f /run/monit.pid /var/lib/monit/state")
    with host.running(*before, "monit", "-I", "-v", **environment):
        yield
    host.run("sh", "-c", "rm -f /etc/monit/conf.d/*")


@pytest.mark.parametrize("port", (587, 465))
def test_monit_logs_in_by_itself(north, port):
    """STARTTLS, and TLS from the first octet, which the port decides."""
    north.put("/etc/monit/conf.d/smtp", example("monit/smtp.monitrc").replace("587", str(port)))
    north.put("/etc/monit/conf.d/lost", f"check file lost-{port} with path /nonexistent\n")
    with monit(north):
        mail = north.arrived(f"Does not exist lost-{port}")
    assert mail["Return-Path"] == "<monit@example.org>" and "with ESMTPSA id" in str(mail["Received"])
    assert mail["From"].addresses[0].addr_spec == "monit@example.org" and "file doesn't exist" in text_of(mail)


def test_monit_gives_no_password_to_whom_nobody_vouches_for(north):
    """And keeps the alert until it can be sent."""
    north.put("/etc/monit/conf.d/smtp", example("monit/smtp.monitrc"))
    north.put("/etc/monit/conf.d/lost", "check file unvouched with path /nonexistent\n")
    begun = len(north.said())
    with monit(north, SSL_CERT_FILE="/nonexistent", SSL_CERT_DIR="/nonexistent"):
        wait_until(lambda: north.said()[begun:].count("verification error") > 1, "Monit is not content with the certificate")
    assert "SMTP -> AUTH" not in north.said()[begun:]
    with monit(north):
        wait_until(lambda: "Removing queued event" in north.said()[begun:], "what was kept is sent")
    north.run("sh", "-c", "rm -f /var/lib/monit/events/*")


# All of / as it is, on a disk of its own that is full.
FULL = """
    mkdir -p /run/small && mount -t tmpfs -o size=4M none /run/small && cd /run/small && mkdir upper work root
    mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
    for one in /*; do
        [ ! -d $one ] || [ -L $one ] || mount --rbind $one root$one
    done
    head -c 3900000 /dev/zero >root/full
    exec chroot root "$@"
"""


def test_monit_by_sendmail(host):
    host.put("/etc/monit/conf.d/root", example("monit/sendmail.monitrc"))
    with monit(host, "sh", "-ec", FULL, "sh"):
        mail = host.arrived("[monit]")
    assert mail["Subject"] == f"[monit] {os.uname().nodename} root Resource limit matched"
    assert "space usage 9" in text_of(mail) and "matches resource limit" in text_of(mail)
    check_way(host, mail, me())


# --- Others ---

def test_mdadm(host):
    """No array is needed for a test of one; its kernel has to have them for anything else."""
    host.put("/etc/mdadm/mdadm.conf", example("mdadm/mdadm.conf"))
    host.call("mdadm", "--monitor", "--oneshot", "--test", "/dev/md0")
    mail = host.arrived("TestMessage event on /dev/md0")
    assert "A TestMessage event had been detected" in text_of(mail)
    if host.name == "north":
        assert mail["From"].addresses[0].addr_spec == "mdadm@host.example"
    else:
        assert "mdadm@host.example" in mail["Reply-To"]
    check_way(host, mail, me())


def test_mail_of_php(host):
    host.put("/var/form.php", f"""<?php
        exit(mail("{YOU}", "=?UTF-8?B?" . base64_encode("表单 by PHP") . "?=", "größe\r\n.\r\nend",
                  ["From" => "Form <form@example.org>", "Content-Type" => "text/plain; charset=utf-8",
                   "Content-Transfer-Encoding" => "8bit"], "-fform@example.org") ? 0 : 1);""")
    host.call("php8.2", "/var/form.php")
    mail = host.arrived("表单 by PHP")
    assert text_of(mail) == "größe\n.\nend\n"
    check_way(host, mail, "form@example.org")


# What Laravel makes of Cachet's config/mail.php, which is made of its .env.
CACHET = """<?php
    error_reporting(E_ALL & ~E_DEPRECATED);
    require 'Illuminate/Mail/autoload.php';
    require 'Dotenv/autoload.php';
    require 'Swift/autoload.php';
    $env = Dotenv\\Dotenv::createArrayBacked('/var/cachet')->load();
    $laravel = new Illuminate\\Container\\Container;
    $laravel->instance('config', new Illuminate\\Support\\Fluent(['mail.sendmail' => '/usr/sbin/sendmail -bs']));
    $transport = (new Illuminate\\Mail\\MailManager($laravel))->createTransport([
        'transport' => $env['MAIL_DRIVER'], 'host' => $env['MAIL_HOST'], 'port' => $env['MAIL_PORT'],
        'encryption' => $env['MAIL_ENCRYPTION'], 'username' => $env['MAIL_USERNAME'], 'password' => $env['MAIL_PASSWORD']]);
    $message = new Swift_Message($argv[1], "größe\n.\nend");
    $message->setFrom([$env['MAIL_ADDRESS'] => $env['MAIL_NAME']])->setTo($argv[2]);
    exit((new Swift_Mailer($transport))->send($message) == 1 ? 0 : 1);
"""
CACHETS = {"as it stands": (), "from the first octet": (("587", "465"), ("=tls", "=ssl")),
           "sendmail": (("MAIL_DRIVER=smtp\n", ""), ("# MAIL_DRIVER", "MAIL_DRIVER"))}


@pytest.mark.parametrize("way", CACHETS)
def test_cachet(north, way):
    """By Laravel, for Cachet is not in Debian."""
    env = example("cachet/env")
    for old, new in CACHETS[way]:
        assert old in env
        env = env.replace(old, new)
    north.put("/var/cachet/.env", env)
    north.put("/var/cachet/send.php", CACHET)
    module, = glob.glob(os.path.join(glob.escape(veredus.PEERS), "php8.2-mbstring/usr/lib/php/*/mbstring.so"))
    north.call("php8.2", "-n", "-d", f"extension={module}", "-d", "include_path=/usr/share/php", "/var/cachet/send.php",
               f"Cachet, {way}", YOU)
    mail = north.arrived(f"Cachet, {way}")
    assert str(mail["From"]) == "Status <status@example.org>" and mail["Return-Path"] == "<status@example.org>"
    assert ("with ESMTPSA id" in str(mail["Received"])) == (way != "sendmail")
    assert text_of(mail) == "größe\n.\nend\n"


def test_git_send_email_finds_it(host):
    host.put("/var/0001-x.patch", "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
             "From: Dev <dev@else.example>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\nSubject: [PATCH] by git\n\n"
             ".\n---\n-- \n2.39\n")
    host.call("git", "-C", "/var", "send-email", "--confirm=never", "--from=Dev <dev@else.example>", "--suppress-cc=all",
              f"--to={YOU}", "/var/0001-x.patch", HOME="/var/home", GIT_AUTHOR_NAME="Dev", GIT_AUTHOR_EMAIL="dev@else.example",
              GIT_COMMITTER_NAME="Dev", GIT_COMMITTER_EMAIL="dev@else.example")
    mail = host.arrived("[PATCH] by git")
    assert text_of(mail) == ".\n---\n-- \n2.39\n"
    check_way(host, mail, me())


UNITS = ("boot-notice/boot-notice.service", "smart-host/veredus-flush.service", "smart-host/veredus-flush.timer")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
def test_units(vps):
    for unit in UNITS:
        vps.put("/etc/systemd/system/" + os.path.basename(unit), example(unit))
    assert vps.call("systemd-analyze", "verify", "--man=no",
                    *["/etc/systemd/system/" + os.path.basename(unit) for unit in UNITS]) == ""


def run_unit(host, name, code=0):
    """As systemd would: words, quotes, %H."""
    line, = re.findall(r"(?m)^ExecStart=(.*)", example(name))
    return host.call(*shlex.split(line.replace("%H", os.uname().nodename)), code=code)


def test_boot_notice(host):
    run_unit(host, UNITS[0])
    check_way(host, host.arrived("has started"), me())


def test_every_example_is_tried():
    """Here, by its name; but those that people read."""
    with open(__file__, encoding="utf-8") as file:
        here = file.read()
    for folder, _, names in os.walk(EXAMPLES):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), EXAMPLES)
            assert path.endswith("README.md") or path in here, path


# --- Nobody answers ---

def test_what_programs_say_without_a_network_leaves_later_and_in_order(vps):
    vps.put("/var/crontab", f"MAILTO={YOU}\n@reboot echo waited\n")
    vps.put("/etc/mdadm/mdadm.conf", example("mdadm/mdadm.conf"))
    vps.call("crontab", "/var/crontab")
    vps.ip("link set wire down")
    with cron(vps):
        wait_until(lambda: vps.waiting() == 1, "what cron said is kept")
    vps.call("sh", "-c", "/usr/local/sbin/monit-mail", MONIT_HOST="vps", MONIT_SERVICE="waits", MONIT_EVENT="too")
    assert vps.waiting() == 2
    run_unit(vps, UNITS[1], code=75)
    assert "SuccessExitStatus=75" in example(UNITS[1]) and "/var/spool/veredus\n" in example(UNITS[1])
    vps.ip("link set wire up")
    vps.call("mdadm", "--monitor", "--oneshot", "--test", "/dev/md1")
    for subject in ("echo waited", "[monit] vps waits too", "TestMessage event on /dev/md1"):
        vps.arrived(subject)
    assert vps.waiting() == 0


def test_gmail(vps):
    """As far as another can be Gmail: under its name, with an app password."""
    vps.set_up("gmail/send.conf", "you@gmail.com")
    vps.call("mdadm", "--monitor", "--oneshot", "--test", "/dev/md2")
    mail = vps.arrived("TestMessage event on /dev/md2")
    assert mail["Return-Path"] == "<you@your-domain.example>"
    assert mail["From"].addresses[0].addr_spec == "you@your-domain.example"
    assert "(Authenticated sender: you@gmail.com)" in str(mail["Received"])
    vps.set_up("smart-host/send.conf", "vps@example.com")
