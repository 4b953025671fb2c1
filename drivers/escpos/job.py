"""A print job, and what is told about it.

Responsible for: the values that pass between the job engine and whoever owns the jobs. Not
responsible for: how a job gets from one state to the next (`engine`). Invariant: `printed`,
`unconfirmed`, `unknown`, `failed` and `abandoned` are ends; nothing is told of a job after one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from drivers.escpos.layout import Block
from drivers.escpos.status import PrinterStatus


class JobState(StrEnum):
    """Where a slip stands."""

    QUEUED = "queued"
    PRINTING = "printing"
    PRINTED = "printed"
    UNCONFIRMED = "unconfirmed"
    UNKNOWN = "unknown"
    FAILED = "failed"
    ABANDONED = "abandoned"


NOT_STARTED: Final = "not_started"
"""Why a job that was begun is queued again: no byte of it had left."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job changed state. `detail` is a machine word such as `link_lost`, or empty."""

    job_id: str
    state: JobState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The printer's one word changed."""

    status: PrinterStatus


@dataclass(frozen=True, slots=True)
class Discard:
    """What the system holds for the printer must not come out later."""


Event = JobReport | StatusReport | Discard


@dataclass(frozen=True, slots=True)
class Job:
    """Blocks to print as one document. Not begun after `until_ms`, if that is given."""

    job_id: str
    blocks: tuple[Block, ...]
    until_ms: int | None = None
