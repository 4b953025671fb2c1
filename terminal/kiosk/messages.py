"""What other threads tell the screen.

Responsible for: the messages. Not responsible for: what follows from them.
"""

from textual.message import Message

from terminal.kiosk.events import CardRead, CounterEvent, Scanned


class CounterAnswered(Message):
    """The counter answered a question."""

    def __init__(self, event: CounterEvent) -> None:
        super().__init__()
        self.event = event


class ScanReceived(Message):
    """A scanner or card reader with a port of its own delivered something."""

    def __init__(self, event: Scanned | CardRead) -> None:
        super().__init__()
        self.event = event
