"""Owns what a user can say about when a task runs: a time, or again and again by a cron."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from windlass.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.v1 import workflow_pb2

CatchUp: TypeAlias = Literal["skip", "one", "all"]
Overlap: TypeAlias = Literal["allow", "skip", "cancel_other"]
#: By their numbers in the contracts, from 1.
CATCH_UPS: Final[tuple[CatchUp, ...]] = get_args(CatchUp)
OVERLAPS: Final[tuple[Overlap, ...]] = get_args(Overlap)

_ALIASES: Final = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_FIELDS: Final = (5, 6)
_LONGEST: Final = 200
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Cron:
    """Runs a task again and again, by the clock.

    Args:
        expression: five fields (minute hour day month weekday), six (second first), or an alias such as
            `@daily`. The engine checks the rest of it when the task is registered.
        timezone: an IANA zone such as Europe/Berlin. Where its clock moves, a time of the day that is left
            out is due when the clock has moved, one that comes twice the first time; what runs every hour,
            or more often, runs through.
        input: of each run, as the task takes it; a plain function's as a dict or a list of arguments. May be
            left out where every field has a default.
        catch_up: what becomes of ticks that nobody could fire within half a minute, because the engine was
            down: "skip" passes them over, "one" makes up for the last one, "all" for each, at most 1,000.
        overlap: what a tick does while the run of the one before is under way: "allow" starts another
            beside it, "skip" passes the tick over, "cancel_other" cancels the former one.
        name: unique among the task's crons. Left out: the expression.

    """

    expression: str
    timezone: str = "UTC"
    input: Any = None
    catch_up: CatchUp = "skip"
    overlap: Overlap = "allow"
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_expression_shape(self.expression)
        zone: object = self.timezone
        if not isinstance(zone, str):
            msg = f"timezone={zone!r}: the name of an IANA zone such as 'Europe/Berlin' was expected"
            raise TypeError(msg)
        check_choice(self.catch_up, CATCH_UPS, "catch_up")
        check_choice(self.overlap, OVERLAPS, "overlap")

    def to_proto(self, input_json: bytes) -> workflow_pb2.CronDefinition:
        """Write it as the contracts have it, with an input that has been checked and written."""
        from windlass.v1 import workflow_pb2

        return workflow_pb2.CronDefinition(
            name=self.name,
            expression=self.expression,
            timezone=self.timezone,
            input_json=input_json,
            catch_up=workflow_pb2.CatchUp.ValueType(CATCH_UPS.index(self.catch_up) + 1),
            overlap=workflow_pb2.Overlap.ValueType(OVERLAPS.index(self.overlap) + 1),
        )


def read_crons(on_crons: Iterable[str | Cron], cron_input: Any) -> tuple[Cron, ...]:
    """Give a task's crons; `cron_input` is the input of those that have none. Raises ValueError, TypeError."""
    if isinstance(on_crons, str):
        msg = f"on_crons={on_crons!r}: a list was expected, as [{on_crons!r}]"
        raise TypeError(msg)
    crons = tuple(map(_read_cron, on_crons))
    names: set[str] = set()
    for cron in crons:
        name = cron.name or cron.expression
        if name in names:
            msg = f"on_crons: two are named {name!r}: give one of them another name="
            raise ValueError(msg)
        names.add(name)
    if len(crons) > _MOST:
        msg = f"on_crons: at most {_MOST} were expected, not {len(crons)}"
        raise ValueError(msg)
    return tuple(replace(cron, input=cron_input) if cron.input is None else cron for cron in crons)


def _read_cron(each: object) -> Cron:
    if isinstance(each, str):
        return Cron(each)
    if not isinstance(each, Cron):
        msg = f"on_crons: expressions and Crons were expected, not {each!r}"
        raise TypeError(msg)
    return each


def check_expression_shape(expression: object) -> None:
    """Raise ValueError for what has the wrong number of fields, or is no alias."""
    shown = f"{expression!r}"
    if not isinstance(expression, str) or not 0 < len(expression) <= _LONGEST:
        msg = f"cron expression {shown[:_LONGEST]}: text of 1 to {_LONGEST} characters was expected"
        raise ValueError(msg)
    fields = expression.split()
    if len(fields) not in _FIELDS and expression.strip().lower() not in _ALIASES:
        msg = (
            f"cron expression {shown}: five fields (minute hour day month weekday), six (second first), or one of "
            f"{', '.join(_ALIASES)} were expected"
        )
        raise ValueError(msg)


def check_choice(value: str, choices: tuple[str, ...], name: str) -> None:
    """Raise ValueError for what is none of them."""
    if value not in choices:
        msg = f"{name}={value!r}: one of {', '.join(choices)} was expected"
        raise ValueError(msg)


def moment_ms(moment: object, name: str) -> int:
    """Write a time of any zone in milliseconds since 1970 UTC. Raises InvalidInput for one without a zone."""
    if not isinstance(moment, datetime):
        raise InvalidInput(f"{name}={moment!r}: a datetime was expected", field=name)
    if moment.utcoffset() is None:
        raise InvalidInput(
            f"{name}={moment!r} has no time zone: write datetime.now(UTC) + timedelta(...), "
            'datetime(..., tzinfo=ZoneInfo("Europe/Berlin")), or moment.astimezone() for this machine\'s own',
            field=name,
        )
    return max(1, round(moment.timestamp() * 1000))
