"""What all servers of the bench have in common."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time

import measure

PATIENCE = 60  # seconds until a wait is given up
DOMAIN = "bench.test"
PASSWORD = "pw"


def wait_until(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain until {what}")
        time.sleep(0.005)


def greets(port, address="127.0.0.1"):
    try:
        with socket.create_connection((address, port), 1) as connection:
            connection.settimeout(5)
            return bool(connection.recv(10))
    except OSError:
        return False


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class Server:
    """One server, with its files under `folder`/NAME on the disk that is measured.

    accounts: u000000@bench.test and so on. purpose: "accept" (mail is taken and stays, for a server that delivers it
    is in the mailbox), "local" (it is delivered) or "idle".
    """
    name = title = None
    port = None       # SMTP
    pop3 = None
    delivers = False  # its acknowledgement means: in the mailbox
    stated = ""       # how it is configured, for the report

    def __init__(self, folder, purpose="accept", accounts=100, group=None):
        """group: of the server that this one is a part of, and is counted with."""
        self.folder = pathlib.Path(folder) / self.name
        self.purpose, self.accounts = purpose, accounts
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.group = group or measure.Group(self.name)
        self.is_part = group is not None
        self.process = None
        self.configure()

    # --- What each server says for itself ---

    def configure(self):
        raise NotImplementedError

    def command(self):
        """What is started; it stays in the foreground, or leaves daemons behind in our group."""
        raise NotImplementedError

    def purge(self):
        """Throws away all mail. The server runs."""

    def queue_folders(self):
        """Where files lie as long as something is not delivered."""
        return []

    def beside(self):
        """Groups of processes that are part of a case, and not of the server."""
        return ()

    def was_sent(self, messages):
        """So many were taken."""

    def delivers_later(self):
        return bool(self.queue_folders())

    def quit(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    @staticmethod
    def version():
        raise NotImplementedError

    # --- Common ---

    def spawn(self, command):
        with open(self.folder / "output", "ab") as output:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, preexec_fn=self.group.join, cwd="/")

    def ready(self):
        return greets(self.port)

    def start(self):
        self.process = self.spawn(self.command())
        try:
            wait_until(self.ready, f"{self.name} answers")
        except TimeoutError:
            self.stop()
            raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'output').read_text()[-2000:]}") from None

    def stop(self):
        if self.process:
            self.quit()
            self.process.wait(PATIENCE)
            self.process = None
        if not self.is_part:
            self.group.wait_empty()

    def close(self):
        self.stop()
        if not self.is_part:
            self.group.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def queued(self):
        return any(_has_files(folder) for folder in self.queue_folders())

    def wait_delivered(self, patience=600):
        wait_until(lambda: not self.queued(), f"{self.name} has delivered everything", patience)

    def make_folder(self, path, user, mode=0o755):
        """A folder that belongs to a user of the server."""
        path.mkdir(parents=True, exist_ok=True)
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
        path.chmod(mode)
        return path

    def empty_folder(self, path):
        """Removes the files below a folder, and keeps its folders."""
        for folder, _, names in os.walk(path):
            for name in names:
                os.unlink(os.path.join(folder, name))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _has_files(folder):
    return any(names for _, _, names in os.walk(folder))
