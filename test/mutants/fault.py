"""A fault: its name, what it takes away, who should notice (see run), and what is written instead of what."""


class Fault:
    def __init__(self, name, reason, part, *edits):
        """edits: path, old text, new text; and again. The old text stands in the file once."""
        self.name, self.reason, self.part = name, reason, part
        self.edits = list(zip(edits[0::3], edits[1::3], edits[2::3]))
        assert len(edits) % 3 == 0 and self.edits, name
