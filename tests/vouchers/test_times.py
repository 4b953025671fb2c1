"""Times as text and back, and the merchant's calendar."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from vouchers import times

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_722_441_600_000, "2024-07-31T16:00:00.000Z"),
        (1_722_441_600_007, "2024-07-31T16:00:00.007Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_has_one_text(ms: int, text: str) -> None:
    """Design section 6: RFC 3339 UTC with milliseconds and Z, exactly."""
    assert times.format_utc(ms) == text
    assert times.parse_utc(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-07-31T16:00:00Z",
        "2024-07-31T16:00:00.00Z",
        "2024-07-31T16:00:00.0000Z",
        "2024-07-31T16:00:00.000",
        "2024-07-31T16:00:00.000z",
        "2024-07-31t16:00:00.000Z",
        "2024-07-31 16:00:00.000Z",
        "2024-07-31T16:00:00.000+00:00",
        "2024-07-31T16:00:00,000Z",
        "2024-07-31T16:00:00.000Z\n",
        "24-07-31T16:00:00.000Z",
        "2024-13-01T00:00:00.000Z",
        "2023-02-29T00:00:00.000Z",
        "2024-07-31T24:00:00.000Z",
        "2024-07-31T16:60:00.000Z",
        "2024-07-31T16:00:60.000Z",
        "0000-01-01T00:00:00.000Z",
        "２０２４-07-31T16:00:00.000Z",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    """Design section 6: no other spelling of a time is read, and no moment that never was."""
    with pytest.raises(ValueError, match=r".+"):
        times.parse_utc(text)


def test_until_a_day_ends_at_its_midnight() -> None:
    """Decision 8: until 2024-07-31 is 2024-08-01 00:00 in the merchant's time zone."""
    assert times.format_utc(times.day_start(date(2024, 8, 1), SHANGHAI)) == (
        "2024-07-31T16:00:00.000Z"
    )


def test_a_day_starts_where_midnight_is_skipped_or_repeated() -> None:
    """Decision 8: a zone with summer time has a first millisecond of every day."""
    for name, day, start in [
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00.000Z"),
        ("America/Havana", date(2023, 11, 5), "2023-11-05T04:00:00.000Z"),
        ("Europe/Berlin", date(2024, 3, 31), "2024-03-30T23:00:00.000Z"),
    ]:
        zone = ZoneInfo(name)
        ms = times.day_start(day, zone)
        assert times.format_utc(ms) == start
        assert times.local_date(ms, zone) == day
        assert times.local_date(ms - 1, zone) < day


def test_days_are_the_merchants() -> None:
    """AX-11: weekday and date are those of the merchant's zone, 1 is Monday and 7 Sunday."""
    sunday_evening = times.parse_utc("2024-08-04T15:59:59.999Z")
    assert times.local_date(sunday_evening, SHANGHAI) == date(2024, 8, 4)
    assert times.weekday(sunday_evening, SHANGHAI) == 7
    assert times.weekday(sunday_evening + 1, SHANGHAI) == 1
    assert times.local_date(sunday_evening + 1, SHANGHAI) == date(2024, 8, 5)


def test_the_units() -> None:
    """Design section 6: time inside the program is milliseconds."""
    assert (times.MINUTE_MS, times.HOUR_MS, times.DAY_MS) == (60_000, 3_600_000, 86_400_000)
