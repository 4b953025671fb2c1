"""What the customer reads on a display of two lines.

Responsible for: the two lines of each scene. Not responsible for: the display (`drivers.display`).
Pure. Invariants: no personal data, no code, no digits that were typed; a scene that is the clerk's
alone (history, help, notices) leaves the customer's lines as they are.
"""

from terminal.kiosk.states import (
    Asking,
    Choosing,
    Committing,
    Done,
    Last4,
    Looking,
    Ready,
    Refused,
    Stage,
    Undone,
)
from terminal.words import Language, say, title

Lines = tuple[str, str]


def customer_lines(scene: Stage, language: Language) -> Lines | None:
    """Upper and lower line; None where they stay as they are."""
    match scene:
        case Ready():
            return say("customer.ready", language), ""
        case Last4():
            return say("customer.last4", language), say("customer.last4.mobile", language)
        case Looking() | Choosing() | Committing():
            return say("customer.moment", language), ""
        case Asking():
            counts = {"shares": scene.shares, "left": scene.view.left}
            return _name(scene.view.product_name, language), say(
                "customer.asking", language, **counts
            )
        case Done():
            return (
                say("customer.done", language, shares=scene.result.shares),
                say("customer.left", language, left=scene.result.left),
            )
        case Undone():
            return say("customer.undone", language, shares=scene.result.shares), ""
        case Refused():
            return say("customer.refused", language), title(scene.refusal, language)
        case _:
            return None


def _name(product: str, language: Language) -> str:
    """A single-byte display shows the part of a name that it can."""
    if language is Language.ZH:
        return product
    plain = "".join(char for char in product if char.isascii()).strip()
    return plain or say("customer.voucher", language)
