"""The parts of the one screen: each is a canvas that draws lines it is given.

Responsible for: putting painted lines into cells with the styles of the style sheet. Not
responsible for: what the lines say (`bars`, `panel`). Invariants: no widget can take the focus, has
children or reads markup; a repaint with the same lines costs nothing.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from terminal.kiosk.panel import Line, Style

Painter = Callable[[int, int], Sequence[Line]]


class Canvas(Widget):
    """Lines of spans. The mood of the whole is a class of the widget."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"canvas--{style.value}" for style in Style}
    can_focus = False
    ALLOW_SELECT = False

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._painter: Painter | None = None
        self._lines: list[Line] = []
        self._painted: Size | None = None
        self._mood = ""

    def draw(self, painter: Painter, mood: str = "") -> None:
        """Draw with this painter from now on, also when the size changes."""
        self._painter = painter
        if mood != self._mood:
            self.remove_class(f"-{self._mood}")
            self._mood = mood
            self.set_class(bool(mood), f"-{mood}")
        self._paint()

    def on_resize(self) -> None:
        """The same picture in another size."""
        self._paint()

    def render_line(self, y: int) -> Strip:
        """One line of cells, filled up with the background."""
        if self._painted != self.size:
            # Textual draws a new size before it tells of it; an empty first picture would cost
            # a whole turn.
            self._lines = self._made()
        base = self.rich_style
        line = self._lines[y] if y < len(self._lines) else ()
        segments = [Segment(span.text, base + self._look(span.style)) for span in line]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _paint(self) -> None:
        lines = self._made()
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def _made(self) -> list[Line]:
        self._painted = self.size
        if self._painter is None or not self.size.width:
            return self._lines
        return list(self._painter(self.size.width, self.size.height))

    def _look(self, style: Style) -> RichStyle:
        return self.get_component_rich_style(f"canvas--{style.value}", partial=True)
