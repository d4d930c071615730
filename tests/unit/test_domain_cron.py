"""When a cron expression is due, in any zone, and on the days on which the clock moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass_core.domain.cron import ALIASES, check_schedule, next_tick, parse
from windlass_core.domain.errors import InvalidField

_BERLIN = "Europe/Berlin"
# The clock goes forward by an hour, at midnight, by half an hour, never, and with offsets of 45 minutes.
_ZONES = (
    "UTC",
    _BERLIN,
    "America/New_York",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Chatham",
)
_DAYS_OF_CHANGE = (
    "2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-09-27",
    "2026-10-04", "2026-10-25", "2026-10-29", "2026-10-30", "2026-11-01",
)  # fmt: skip


def _ticks(expression: str, zone: str, begin: str, count: int) -> list[str]:
    """Local times with their offsets of the ticks after a local time."""
    at = int(datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000
    found = []
    for _ in range(count):
        at = next_tick(expression, zone, at)
        found.append(datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).isoformat(timespec="minutes"))
    return found


def test_a_daily_time_that_the_clock_skips_is_due_when_it_has_jumped() -> None:
    """Half past two does not come in the night to the 29th of March: three o'clock does in its place."""
    assert _ticks("30 2 * * *", _BERLIN, "2026-03-28T00:00", 3) == [
        "2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00",
    ]  # fmt: skip


def test_a_daily_time_that_comes_twice_is_due_once() -> None:
    """The first time, in summer time."""
    expected = ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    assert _ticks("30 2 * * *", _BERLIN, "2026-10-24T00:00", 3) == expected
    assert _ticks("0 30 2 * * *", _BERLIN, "2026-10-24T00:00", 3) == expected


def test_several_times_that_the_clock_skips_are_due_once_together() -> None:
    """All of them become the same moment, and three o'clock itself too."""
    assert _ticks("*/10 2,3 * * *", _BERLIN, "2026-03-29T00:00", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:10+02:00",
    ]


def test_every_hour_is_every_hour_that_there_is() -> None:
    """None of the hour that is left out, two of the one that comes twice: one hour apart all the same."""
    assert _ticks("0 * * * *", _BERLIN, "2026-03-29T00:30", 3) == [
        "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00",
    ]  # fmt: skip
    assert _ticks("@hourly", _BERLIN, "2026-10-25T00:30", 4) == [
        "2026-10-25T01:00+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00",
    ]  # fmt: skip


def test_six_fields_begin_with_the_seconds() -> None:
    """Twice a minute at a quarter past."""
    at = int(datetime.fromisoformat("2026-01-01T00:15:00+00:00").timestamp()) * 1000
    assert next_tick("*/30 15 * * * *", "UTC", at) == at + 30_000
    assert next_tick("*/30 15 * * * *", "UTC", at + 30_000) == at + 3600_000


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_stand_for_expressions(alias: str) -> None:
    """In either case."""
    at = 1_767_225_600_000
    assert next_tick(alias, "", at) == next_tick(ALIASES[alias], "UTC", at) == next_tick(alias.upper(), "UTC", at)


def test_a_leap_day_is_waited_for() -> None:
    """Over years, and over the changes of the clock in between."""
    assert _ticks("0 12 29 2 *", _BERLIN, "2026-03-01T00:00", 2) == ["2028-02-29T12:00+01:00", "2032-02-29T12:00+01:00"]
    assert _ticks("0 */12 29 2 *", _BERLIN, "2026-03-01T00:00", 1) == ["2028-02-29T00:00+01:00"]


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *", "* * * * 8", "*/0 * * * *",
     "@fortnightly", "5-1 * * * *", "a * * * *", "0 0 ? * *", "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *",
     "0 0 */31 2 MON#5", "x" * 201],
)  # fmt: skip
def test_what_is_no_expression_is_refused_by_name(expression: str) -> None:
    """Also one that no day of the calendar matches: it would never be due."""
    with pytest.raises(InvalidField, match=r"crons\[3\]\.expression: ") as refused:
        check_schedule(expression, "UTC", "crons[3]")
    assert refused.value.field == "crons[3].expression"


@pytest.mark.parametrize(
    "zone",
    ["Europe", "Europe/Berlln", "CEST+2", "../UTC", "/etc/localtime", "localtime", "posixrules", "U\0TC", "x" * 300],
)
def test_what_is_no_zone_is_refused_by_name(zone: str) -> None:
    """Neither a folder of zones, nor what means another thing on each machine."""
    with pytest.raises(InvalidField, match="timezone: expected the name of an IANA time zone"):
        check_schedule("@daily", zone, "")


def _fields(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most).map(str)
    steps = st.sampled_from([2, 3, 7, 15]).map("*/{}".format)
    several = st.lists(st.integers(least, most), min_size=2, max_size=3, unique=True)
    return st.one_of(st.just("*"), number, steps, several.map(lambda some: ",".join(map(str, sorted(some)))))


_EXPRESSIONS = st.builds(
    "{} {} {} * {}".format,
    _fields(0, 59), _fields(0, 23), st.one_of(st.just("*"), st.sampled_from(["1", "25", "29", "*/2", "L"])),
    st.sampled_from(["*", "0", "7", "MON-FRI", "*/2"]),
)  # fmt: skip


def _matches(field: str, value: int, least: int, most: int) -> bool:
    """An independent reading of one field of an expression."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, high = (least, most) if span == "*" else (int(span), int(span))
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def _is_day(day: str, weekday: str, local: datetime) -> bool:
    last = (local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    of_month = local.day == last.day if day == "L" else _matches(day, local.day, 1, 31)
    number = local.isoweekday() % 7
    if weekday == "MON-FRI":
        of_week = 1 <= number <= 5
    else:
        of_week = _matches(weekday, number, 0, 7) or (number == 0 and _matches(weekday, 7, 0, 7))
    both = day.startswith("*") or weekday.startswith("*")
    return of_month and of_week if both else of_month or of_week


def _is_time(expression: str, local: datetime) -> bool:
    minute, hour, day, _month, weekday = expression.split()
    return _matches(minute, local.minute, 0, 59) and _matches(hour, local.hour, 0, 23) and _is_day(day, weekday, local)


def _slow_ticks(expression: str, zone: ZoneInfo, begin: int, end: int) -> list[int]:
    """The ticks in (begin, end], found by looking at each minute. Both are whole minutes."""
    every_hour = expression.split()[1].startswith("*")
    found = []
    before = datetime.fromtimestamp(begin, zone)
    for moment in range(begin + 60, end + 60, 60):
        local = datetime.fromtimestamp(moment, zone)
        due = _is_time(expression, local) and (every_hour or not local.fold)
        if not every_hour:
            skipped = before.replace(tzinfo=None) + timedelta(minutes=1)
            while skipped < local.replace(tzinfo=None):
                due = due or _is_time(expression, skipped)
                skipped += timedelta(minutes=1)
        if due:
            found.append(moment)
        before = local
    return found


@settings(deadline=None)
@given(_EXPRESSIONS, st.sampled_from(_ZONES), st.sampled_from(_DAYS_OF_CHANGE), st.integers(0, 48 * 60))
def test_ticks_are_those_of_a_clock_that_is_watched(expression: str, zone: str, day: str, minutes: int) -> None:
    """Minute by minute over the days of a change, by another reading of the same expression."""
    begin = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) - 24 * 3600 + minutes * 60
    end = begin + 36 * 3600
    schedule = parse(expression, zone)
    found, at = [], begin
    while (tick := schedule.next_after(at)) is not None and tick <= end:
        assert tick > at
        found.append(tick)
        at = tick
    assert found == _slow_ticks(expression, ZoneInfo(zone), begin, end)


@given(_EXPRESSIONS, st.sampled_from(_ZONES), st.integers(1_700_000_000, 1_900_000_000), st.integers(0, 10**6))
def test_the_next_tick_is_later_and_depends_on_nothing_else(expression: str, zone: str, at: int, later: int) -> None:
    """From any moment before a tick, that tick is the next one; a later moment has no earlier one."""
    schedule = parse(expression, zone)
    tick = schedule.next_after(at)
    assert tick is not None
    assert tick > at
    assert schedule.next_after(tick - 1) == tick
    after = schedule.next_after(at + later)
    assert after is not None
    assert after >= tick
