"""The ID card reader at this counter: off unless a port is set (EV-032).

Responsible for: the reader's lamp, and whether a number that was read can be one. Not responsible
for: reading (`drivers.idcard_reader`), or what a card opens. Invariant: a number is handed on once
and kept nowhere here; a card that holds none that can be used is told as an empty number, so that
somebody answers it.
"""

from collections.abc import Callable

from drivers import emulated
from drivers.events import DeviceEvent, Presence
from drivers.idcard import Card, CardKind
from drivers.idcard_reader import IdCardReader
from terminal.outcomes import CardSeen
from vouchers.id_card import number_valid


class CardWorker:
    """One reader, from port to delivered numbers."""

    def __init__(self, port: str, baud: int, deliver: Callable[[CardSeen], None]) -> None:
        self._deliver = deliver
        self.state = "lost"
        """`ready` or `lost` (`outcomes.Status`)."""
        emulated.register()
        self._reader = IdCardReader(port, baud, on_card=self._take, on_event=self._changed)

    def start(self) -> None:
        """Begin looking for the device."""
        self._reader.start()

    def stop(self) -> None:
        """Let go of the device."""
        self._reader.stop()

    def _take(self, card: Card) -> None:
        wrong = card.kind is CardKind.CITIZEN and not number_valid(card.number)
        self._deliver(CardSeen("" if wrong else card.number))

    def _changed(self, event: DeviceEvent) -> None:
        self.state = "ready" if event.presence is Presence.FOUND else "lost"
