"""Owns what a cron expression means: which moments it matches, in any time zone, on the days of a change too.

Expressions are read by cronsim, on the calendar alone; how the calendar's times become moments is here.
Moments are whole seconds since 1970 UTC.
"""

from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from windlass_core.domain.errors import InvalidField
from windlass_core.domain.limits import MAX_NAME_LENGTH

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
EXPECTED = f"expected five fields (minute hour day month weekday), six (second first), or one of {', '.join(ALIASES)}"
_FIVE, _SIX = 5, 6
_SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 — a time of the calendar, of no zone
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 — the same
# Files among the zones that say another thing on each machine.
_OF_THE_MACHINE = frozenset({"localtime", "posixrules"})
# No zone moves its clock twice within so long.
_NEAR_S = 2 * 24 * 3600


@dataclass(frozen=True, eq=False)
class Schedule:
    """When a cron is due.

    Where the clock moves, one of two things is meant. An expression whose hours begin with a star goes on
    through every hour that there is: it skips what the clock skips, and is due in both of an hour that
    comes twice. Any other names times of the day, each of them due once a day: one that the clock skips
    is due at the moment that the clock jumps to, one that comes twice only the first time.
    """

    zone: ZoneInfo
    calendar: CronSim
    every_hour: bool

    def next_after(self, after: int) -> int | None:
        """The first moment after the given one; None: there is none for the next fifty years."""
        return self._next_of_hours(after) if self.every_hour else self._next_of_days(after)

    def _next_of_days(self, after: int) -> int | None:
        local = self._local(after)
        while (found := self._next_local(local)) is not None:
            moment = self._moment(found)
            if moment > after:
                return moment
            local = found  # the first of two passes: this is the second
        return None

    def _next_of_hours(self, after: int) -> int | None:
        while True:
            offset = self._offset(after + 1)
            found = self._next_local(_EPOCH + timedelta(seconds=after + offset))
            if found is None:
                return None
            moment = _seconds(found) - offset
            if moment - after > _NEAR_S:
                after = moment - _NEAR_S
            elif self._offset(moment) == offset:
                return moment
            else:
                after = self._change(after + 1, moment) - 1

    def _next_local(self, local: datetime) -> datetime | None:
        calendar = copy(self.calendar)
        calendar.dt = local
        return next(calendar, None)

    def _local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None)

    def _offset(self, moment: int) -> int:
        offset = datetime.fromtimestamp(moment, self.zone).utcoffset() or timedelta()
        return int(offset.total_seconds())

    def _moment(self, local: datetime) -> int:
        """The first moment that a time of the calendar stands for, or that the clock jumps to in its place."""
        before = int(local.replace(tzinfo=self.zone).timestamp())
        if self._local(before) == local:
            return before
        after = int(local.replace(tzinfo=self.zone, fold=1).timestamp())
        return self._change(after, before)

    def _change(self, low: int, high: int) -> int:
        """The first moment with the clock of `high`; `low` has another, and there is one change in between."""
        clock = self._offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == clock:
                high = middle
            else:
                low = middle
        return high


def _seconds(local: datetime) -> int:
    return int((local - _EPOCH).total_seconds())


def check_schedule(expression: str, timezone: str, field: str) -> Schedule:
    """The schedule. Raises InvalidField, which names `expression` or `timezone` below `field`."""
    try:
        return parse(expression, timezone)
    except InvalidField as error:
        path = f"{field}.{error.field}" if field else error.field
        raise InvalidField(f"{path}: {error.message}", path) from None


@lru_cache(maxsize=4096)
def parse(expression: str, timezone: str) -> Schedule:
    """As `check_schedule`, for what has been checked before."""
    fields = ALIASES.get(expression.strip().lower(), expression).upper().split()
    shown = repr(expression[:80])
    if len(expression) > MAX_NAME_LENGTH:
        raise InvalidField(f"expected at most {MAX_NAME_LENGTH} characters, got {len(expression)}", "expression")
    if len(fields) not in (_FIVE, _SIX):
        raise InvalidField(f"{EXPECTED}; got {shown}", "expression")
    try:
        # Without an alias's name and without a zone: the calendar alone.
        schedule = Schedule(_zone(timezone), CronSim(" ".join(fields), _SOME_DAY), fields[-4].startswith("*"))
    except (CronSimError, ValueError) as error:
        raise InvalidField(f"{EXPECTED}; got {shown}: {str(error).lower()}", "expression") from None
    if schedule.next_after(_seconds(_SOME_DAY)) is None:
        raise InvalidField(f"{shown} matches no day of the calendar", "expression")
    return schedule


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo("" if name in _OF_THE_MACHINE else name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidField(
            f"expected the name of an IANA time zone such as Europe/Berlin, got {name[:80]!r}", "timezone"
        ) from None


@lru_cache(maxsize=16_384)
def next_tick(expression: str, timezone: str, after_ms: int) -> int:
    """The first tick after a time, both in milliseconds since 1970 UTC; 0: there is none any more.

    Many crons share an expression, and so their ticks: the last answers are remembered.
    """
    found = parse(expression, timezone).next_after(after_ms // 1000)
    return 0 if found is None else found * 1000
