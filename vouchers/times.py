"""Times as text and back.

Responsible for: RFC 3339 in UTC with milliseconds and `Z`, the only form in our JSON, and the
start of a merchant's calendar day. Not responsible for: knowing what time it is.
Invariant: a time inside the program is an int, milliseconds since 1970-01-01T00:00:00Z.
"""

import functools
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d)\.(\d{3})Z", re.ASCII
)


def format_utc(ms: int) -> str:
    """Write milliseconds UTC as `2024-07-31T16:00:00.000Z`."""
    moment = _EPOCH + ms * _MILLISECOND
    # Not strftime: its %Y drops the leading zeros of a year before 1000 on some systems.
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_utc(text: str) -> int:
    """Read exactly the form that `format_utc` writes. Raises ValueError for any other."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("a time must look like 2024-07-31T16:00:00.000Z")
    minute, second, ms = found.groups()
    return _minute_start(minute) + int(second) * 1000 + int(ms)


@functools.lru_cache(maxsize=1024)
def _minute_start(minute: str) -> int:
    """A minute such as `2024-07-31T16:00`: a batch of entries names few. Raises ValueError."""
    return (datetime.fromisoformat(f"{minute}:00Z") - _EPOCH) // _MILLISECOND


def day_start(day: date, zone: tzinfo) -> int:
    """The first millisecond of a calendar day in a merchant's time zone."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // _MILLISECOND


def local_date(ms: int, zone: tzinfo) -> date:
    """The calendar day of a moment in a merchant's time zone."""
    return (_EPOCH + ms * _MILLISECOND).astimezone(zone).date()


def weekday(ms: int, zone: tzinfo) -> int:
    """The day of the week of a moment in a merchant's time zone: 1 is Monday, 7 is Sunday."""
    return local_date(ms, zone).isoweekday()
