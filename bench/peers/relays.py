"""What relaying servers have in common: everything that one has taken must arrive at the destination, and nothing else."""
from peers.server import wait_until


class Relays:
    destination = None  # whoever makes the server sets it before the first message

    def was_sent(self, messages):
        self.destination.expected += messages

    def beside(self):
        return (self.destination.group,)

    def delivers_later(self):
        return True

    def wait_delivered(self, patience=600):
        wait_until(lambda: self.destination.count >= self.destination.expected, f"all of {self.name} has arrived", patience)

    def check(self):
        assert self.destination.count == self.destination.expected, \
            f"{self.destination.count} messages arrived, {self.destination.expected} were taken"
