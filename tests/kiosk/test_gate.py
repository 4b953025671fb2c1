"""The gate tells a scanner from a hand, and never puts together what does not belong together."""

from hypothesis import example, given
from hypothesis import strategies as st

from terminal.kiosk.gate import (
    PASTE_LINES_MAX,
    Burst,
    GateSettings,
    Out,
    Stroke,
    Torn,
    WedgeGate,
)
from vouchers.limits import CREDENTIAL_CHARS_MAX

GAP = GateSettings().gap_s
NAMES = {"\r": "enter", "\n": "ctrl+j", "\t": "tab"}


class Keyboard:
    """Types into a gate with chosen pauses and keeps what comes out."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.gate = WedgeGate(settings)
        self.now = 100.0
        self.out: list[Out] = []

    def type(self, text: str, pause_s: float = 0.001) -> "Keyboard":
        for each in text:
            self.key(NAMES.get(each, each), None if each in NAMES else each, pause_s)
        return self

    def key(self, name: str, character: str | None = None, pause_s: float = 0.2) -> "Keyboard":
        self.now += pause_s
        self.out += self.gate.stroke(Stroke(name, character, self.now))
        return self

    def wait(self, seconds: float = 1.0) -> "Keyboard":
        self.now += seconds
        self.out += self.gate.tick(self.now)
        return self

    @property
    def bursts(self) -> list[str]:
        return [each.text for each in self.out if isinstance(each, Burst)]

    @property
    def typed(self) -> str:
        strokes = [each for each in self.out if isinstance(each, Stroke)]
        return "".join(each.character or f"<{each.name}>" for each in strokes)

    @property
    def fast(self) -> list[bool]:
        return [each.fast for each in self.out if isinstance(each, Stroke)]


def test_a_burst_with_any_terminator_is_one_scan() -> None:
    """CR, LF, CR LF and TAB all end a scan, once."""
    for end in ("\r", "\n", "\r\n", "\t", "\t\r", "\r\r"):
        keyboard = Keyboard().type("92100000022" + end).wait()
        assert keyboard.bursts == ["92100000022"] and keyboard.typed == ""


def test_a_hand_is_left_alone() -> None:
    """Typing at 110 ms comes out as it went in, one key at a time."""
    keyboard = Keyboard().type("12345678", 0.11).key("enter").wait()
    assert keyboard.bursts == [] and keyboard.typed == "12345678<enter>"
    assert not any(keyboard.fast)


def test_a_few_digits_at_once_may_be_a_hand() -> None:
    """A quick hand rolls over two; a busy machine hands over four in one piece."""
    assert Keyboard().type("12", 0.02).wait().fast == [False, False]
    assert Keyboard().type("1234", 0.0).wait().fast == [False] * 4
    assert Keyboard().type("12345", 0.0).wait().fast == [True] * 5
    assert Keyboard().type("abc", 0.0).wait().fast == [True] * 3
    assert Keyboard().type("1234", 0.0).wait(0.1).out == []
    paused = Keyboard().type("1234", 0.0).key("5", "5", 0.1).type("678901\r")
    assert paused.bursts == ["12345678901"]


def test_a_confirm_key_inside_a_burst_is_marked() -> None:
    """A scan such as `+` Enter, or `1+`, must not confirm anything."""
    assert Keyboard().type("+\r").wait().fast == [True, True]
    assert Keyboard().type("1+").wait().fast == [False, True]
    assert Keyboard().type("+").wait().fast == [False]
    assert Keyboard().type("1").key("f12", None, 0.001).fast == [True, True]
    assert Keyboard().type("1", 0.2).wait(0.06).key("f12").fast == [False, False]


def test_a_confirm_key_in_the_breath_of_a_scan_is_marked() -> None:
    """A scan that holds a line break and a `+` after it: the rest is no hand either."""
    keyboard = Keyboard().type("92100000022\r+").wait()
    assert keyboard.bursts == ["92100000022"] and keyboard.fast == [True]


def test_a_key_right_after_a_replayed_burst_is_marked() -> None:
    """A terminator or function key in the breath of a burst belongs to it."""
    keyboard = Keyboard().type("12")
    keyboard.out += keyboard.gate.paste("", keyboard.now)
    keyboard.key("f12", None, 0.001)
    assert keyboard.fast[-1]
    keyboard = Keyboard().type("12")
    keyboard.out += keyboard.gate.paste("", keyboard.now)
    keyboard.type("\r")
    assert keyboard.fast[-1]


def test_a_short_scan_is_replayed_as_too_fast() -> None:
    """A four-digit barcode must not become the last four digits."""
    keyboard = Keyboard().type("1234\r").wait()
    assert keyboard.typed == "1234<enter>" and all(keyboard.fast)


def test_a_scan_in_two_pieces_is_torn_not_shortened() -> None:
    """A pause in the middle: the rest alone could look like a whole code."""
    keyboard = Keyboard().type("92100").wait(0.1).type("0000247\r").wait()
    assert keyboard.bursts == [] and any(isinstance(each, Torn) for each in keyboard.out)
    assert keyboard.wait(1.0).type("92100000022\r").bursts == ["92100000022"]


def test_a_scan_whose_head_was_flushed_too_soon_is_torn() -> None:
    """The timer ran although the next character had been read: nothing is put together."""
    keyboard = Keyboard().type("9", 0.2)
    keyboard.out += keyboard.gate.tick(keyboard.now + 5)
    keyboard.type("2100000022\r")
    assert keyboard.bursts == [] and isinstance(keyboard.out[-1], Torn)


def test_pieces_that_go_on_and_on_stay_torn() -> None:
    """After a torn scan, what follows at once is torn too; after a pause it is whole again."""
    keyboard = Keyboard().type("921000").wait(0.1).type("000022\r").type("92100000022\r")
    assert keyboard.bursts == []
    assert keyboard.wait(1.0).type("92100000022\r").bursts == ["92100000022"]


def test_separators_inside_a_scan_are_kept() -> None:
    """GS1 scans hold the group separator; web links hold anything."""
    text = "(01)123\x1d456"
    keyboard = Keyboard()
    for each in text:
        name = "ctrl+right_square_bracket" if each == "\x1d" else each
        keyboard.key(name, each, 0.001)
    assert keyboard.type("\r").bursts == [text]


def test_a_function_key_ends_a_burst() -> None:
    """What was held comes out first, in order."""
    keyboard = Keyboard().type("12345678").key("f1", None, 0.001)
    assert keyboard.typed == "12345678<f1>" and all(keyboard.fast)


def test_lone_terminators() -> None:
    """Enter of a hand is a key, TAB means nothing, LF after CR is one Enter."""
    keyboard = Keyboard().key("enter").key("tab").wait()
    assert keyboard.typed == "<enter>" and keyboard.fast == [False]
    assert Keyboard().key("ctrl+j").typed == "<enter>"


def test_a_paste_is_scans() -> None:
    """Each long line is a scan; a short one was not typed and is not taken."""
    keyboard = Keyboard().type("12")
    keyboard.out += keyboard.gate.paste("92100000022\r\n1234\n\n10000000003\t", keyboard.now)
    assert keyboard.bursts == ["92100000022", "10000000003"]
    assert sum(isinstance(each, Torn) for each in keyboard.out) == 1
    many = WedgeGate().paste("123456\n" * 1000, 1.0)
    assert len(many) == PASTE_LINES_MAX
    (long,) = WedgeGate().paste("1" * 10_000, 1.0)
    assert isinstance(long, Burst) and len(long.text) == CREDENTIAL_CHARS_MAX + 1


def test_an_endless_burst_is_bounded() -> None:
    """A stuck key or 100,000 characters: the buffer stays small, the answer is one long scan."""
    keyboard = Keyboard().type("1" * 10_000 + "\r")
    (text,) = keyboard.bursts
    assert CREDENTIAL_CHARS_MAX < len(text) <= CREDENTIAL_CHARS_MAX + 1
    assert isinstance(Keyboard().type("1" * 10_000).wait().out[0], Torn)


def test_a_programmed_prefix_makes_it_certain() -> None:
    """With a preamble a short scan is a scan, and a pause in the middle does no harm."""
    settings = GateSettings(prefix="~")
    assert Keyboard(settings).type("~123\r").bursts == ["123"]
    assert Keyboard(settings).type("~92100").wait(0.3).type("000022\r").bursts == ["92100000022"]
    assert Keyboard(settings).type("~").wait(0.1).type("1", 0.2).wait().typed == ""
    (torn,) = Keyboard(settings).type("~921").wait().out
    assert isinstance(torn, Torn)
    assert Keyboard(settings).type("92100000022\r").bursts == ["92100000022"]
    assert Keyboard(GateSettings(prefix="]C1")).type("]C1123\r").bursts == ["123"]
    assert Keyboard(GateSettings(prefix="]C1")).type("]", 0.2).wait().typed == "]"


def test_the_deadline_is_the_end_of_the_last_gap() -> None:
    """The app sets one timer; without held keys there is none."""
    keyboard = Keyboard()
    assert keyboard.gate.deadline is None
    keyboard.type("1")
    assert keyboard.gate.deadline == keyboard.now + GAP
    assert keyboard.gate.tick(keyboard.now) == ()


CODES = st.text("0123456789ABCxyz:/?=-+", min_size=6, max_size=40)
PAUSES = st.floats(0.0, GAP * 0.9)


@given(
    scans=st.lists(
        st.tuples(CODES, PAUSES, st.sampled_from(["\r", "\n", "\r\n", "\t"]), st.floats(0, 2)),
        max_size=12,
    )
)
@example(scans=[("111111", 0.0, "\r", 0.0), ("222222", 0.0, "\r", 0.0)])
def test_scans_are_never_merged_lost_or_changed(
    scans: list[tuple[str, float, str, float]],
) -> None:
    """Whatever the speed inside and between, every scan comes out whole and in order."""
    keyboard = Keyboard()
    for text, pause, end, rest in scans:
        keyboard.type(text, pause).type(end, min(pause, GAP / 2)).wait(rest)
    assert keyboard.wait().bursts == [text for text, *_ in scans]
    assert keyboard.typed == ""


@given(
    keys=st.lists(
        st.tuples(st.sampled_from("0123456789+-\r\n\tf"), st.floats(0, 0.2)), max_size=60
    ),
    ticks=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_whatever_is_struck_a_confirmation_is_a_lone_key(
    keys: list[tuple[str, float]], ticks: list[bool]
) -> None:
    """A `+` comes out unmarked only when nothing was struck within the gap on either side."""
    keyboard = Keyboard()
    times: list[float] = []
    for (key, pause), tick in zip(keys, ticks, strict=False):
        if tick:
            keyboard.out += keyboard.gate.tick(keyboard.now + pause)
        keyboard.type(key, pause)
        times.append(keyboard.now)
    keyboard.wait()
    for each in keyboard.out:
        if isinstance(each, Stroke) and each.character == "+" and not each.fast:
            near = [t for t in times if t != each.at_s and abs(t - each.at_s) < GAP * 0.99]
            assert not near and times.count(each.at_s) == 1, (times, each)


@given(text=st.text(max_size=80), pauses=st.lists(st.floats(0, 0.1), min_size=80, max_size=80))
def test_nothing_that_a_hand_typed_is_lost(text: str, pauses: list[float]) -> None:
    """Without terminators and below the limit, every character comes out in order."""
    keyboard = Keyboard()
    plain = "".join(each for each in text if each.isprintable())
    for each, pause in zip(plain, pauses, strict=False):
        keyboard.type(each, pause)
    assert keyboard.wait().typed == plain
