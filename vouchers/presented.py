"""What a credential presents of a voucher: which generation, and who makes the next code.

Responsible for: the differences between a code, a QR and an ID card that the counter and central
must see alike (EV-032, EV-049). Not responsible for: reading or opening credentials. Invariant:
both sides take the generation after a redemption from here.
"""

from typing import Final, Protocol

from msgspec.structs import replace

from vouchers.sealed import Record
from vouchers.standing import Standing

ID_CARD: Final = "id_card"
"""The credential of an entry whose voucher was opened by an ID card."""


def presented(record: Record, standing: Standing, credential: str) -> Record:
    """The record at the generation that was presented.

    A card names a person's voucher, not one generation of its code: it presents the newest one
    that is known, so that it is never `replaced`.
    """
    if credential != ID_CARD:
        return record
    return replace(record, generation=max(record.generation, standing.generation))


class PartUsed(Protocol):
    """What a redemption says about the codes: `entries.Redemption`, or its reading on the wire."""

    @property
    def generation(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def successor(self) -> bool: ...
    @property
    def credential(self) -> str: ...
    @property
    def evidence(self) -> str: ...


def generation_after(used: PartUsed) -> int:
    """The generation that is current after a redemption: the presented code is void after a part,
    whoever makes the next one (EV-049).
    """
    elsewhere = used.left > 0 and not next_code_here(used.credential, used.evidence)
    return used.generation + int(used.successor or elsewhere)


def next_code_here(credential: str, evidence: str) -> bool:
    """Whether the counter can make the next code of a voucher and its row (EV-049).

    By its QR only, it does not know the secret; by an ID card it does not know the last four
    digits. Then the code is void here, and central makes the new one.
    """
    return evidence != "qr" and credential != ID_CARD
