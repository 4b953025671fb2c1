"""The macro memory of an emulated printer.

Responsible for: `GS :` and `GS ^` as the manuals have them: recording while everything is also
worked through, the 2,048 bytes, what clears it. Not responsible for: working through what it holds
(`interpreter`), or the power (`machine` makes a new one with it).

Source: the manuals of Epson TM-T88III and TM-H5000II, Bixolon SRP-332II, Toshiba B-EP, Wincor
TH230, Axiohm A758, NCR 7167 and Woosim Porti, which agree. Invariant: a macro is defined only by
`GS :`, at least one byte, `GS :`, with no `GS ^` in between.
"""

BYTES_MAX = 2048
_MARK_BYTES = 2  # `GS :` itself is recorded before it is known what it is


class Macro:
    """One printer's macro. `defining` between the two `GS :`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """No macro is defined."""
        self.defining = False
        self._content, self._recorded = bytearray(), bytearray()

    def record(self, byte: int) -> None:
        """A byte was worked through."""
        if self.defining:
            self._recorded.append(byte)

    def toggle(self) -> None:
        """`GS :` begins a definition, or ends it."""
        self.defining = not self.defining
        self._content.clear()
        if not self.defining:
            self._content += self._recorded[:-_MARK_BYTES][:BYTES_MAX]
        self._recorded.clear()

    def execute(self, times: int) -> bytes:
        """`GS ^`: what to work through now; during a definition it only ends and clears it."""
        if self.defining:
            self.clear()
        return bytes(self._content) * times
