"""What may reach a console: text, and nothing that a console obeys.

Responsible for: taking control characters and direction marks out of texts that others wrote, such
as the names of products (AX-14). Not responsible for: paper (`drivers`) and the screen (`kiosk`).
"""

import re
from typing import Final

_OBEYED: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """A text for people: what a console would obey is a replacement sign; line ends stay."""
    return _OBEYED.sub("\ufffd", text)


def escaped(line: str) -> str:
    """A line of JSON with the same characters as escapes, so that it still says the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
