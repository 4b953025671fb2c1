"""Key codes of a keyboard to the bytes that were meant.

Responsible for: Linux input key codes with the US layout, Shift and Caps Lock. Pure. Not
responsible for: reading the device. Scanners in keyboard mode are told to use the US layout,
whatever layout the machine has; the device is grabbed, so that layout never touches the keys.
"""

EV_KEY = 1
_SHIFTS = frozenset((42, 54))
_CONTROLS = frozenset((29, 97))
_CAPS = 58
_PLAIN = {
    **dict(zip(range(2, 14), "1234567890-=", strict=True)),
    **dict(zip(range(16, 28), "qwertyuiop[]", strict=True)),
    **dict(zip(range(30, 42), "asdfghjkl;'`", strict=True)),
    **dict(zip(range(43, 54), "\\zxcvbnm,./", strict=True)),
    **dict(zip((71, 72, 73, 75, 76, 77, 79, 80, 81, 82, 83), "7894561230.", strict=True)),
    15: "\t", 28: "\r", 57: " ", 96: "\r", 55: "*", 74: "-", 78: "+", 98: "/",
}  # fmt: skip
_SHIFTED = dict(zip("1234567890-=[]\\;'`,./", '!@#$%^&*()_+{}|:"~<>?', strict=True))
_KEYPAD = frozenset(range(71, 84)) | {55, 74, 78, 98}


class KeyDecoder:
    """Feed it events; it returns the bytes of keys that were pressed."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._caps = False

    def event(self, kind: int, code: int, value: int) -> bytes:
        """One input event: value 1 pressed, 0 released, 2 repeated, which no scan needs."""
        if kind != EV_KEY:
            return b""
        if value == 0:
            self._held.discard(code)
        if value != 1:
            return b""
        self._held.add(code)
        if code == _CAPS:
            self._caps = not self._caps
        return self._char(code).encode()

    def reset(self) -> None:
        """The device was lost: no key is held."""
        self._held.clear()
        self._caps = False

    def _char(self, code: int) -> str:
        plain = _PLAIN.get(code, "")
        shift = bool(self._held & _SHIFTS)
        if self._held & _CONTROLS:  # how scanners send GS and other control characters
            return chr(ord(plain.upper()) & 0x1F) if "@" <= plain.upper() <= "_" else ""
        if plain.isalpha():
            return plain.upper() if shift is not self._caps else plain
        return _SHIFTED.get(plain, plain) if shift and code not in _KEYPAD else plain
