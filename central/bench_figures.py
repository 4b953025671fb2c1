"""A figure of the benches: two rates of one run, and what they are to each other."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison; rates in rows per second, `ratio` of ours to the bare one."""

    what: str
    engine: str
    rows: int
    batch: int
    rows_per_s: float
    bare: str
    bare_rows_per_s: float
    ratio: float
    goal: float | None
    met: bool | None

    def json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)

    def text(self) -> str:
        """The figure as a sentence."""
        goal = "" if self.goal is None else f", goal >= {self.goal:g}"
        return (
            f"{self.what} on {self.engine}: {self.rows_per_s:,.0f} rows/s, {self.bare} "
            f"{self.bare_rows_per_s:,.0f} rows/s, ratio {self.ratio:.3f}{goal}"
        )
