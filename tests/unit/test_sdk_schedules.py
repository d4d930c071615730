"""What a user can say about times, and what is refused before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from windlass import Context, Cron, InvalidInput, InvalidTask, Windlass
from windlass.cron import moment_ms
from windlass.v1 import workflow_pb2


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 7, 1, 12, 0, 0, 123_000, tzinfo=UTC),
        datetime(2026, 7, 1, 14, 0, 0, 123_000, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 7, 1, 6, 30, 0, 123_400, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
    ],
)
def test_a_time_is_the_same_in_any_zone(moment: datetime) -> None:
    """To the millisecond."""
    assert moment_ms(moment, "run_at") == 1_782_907_200_123


def test_of_an_hour_that_comes_twice_the_fold_decides() -> None:
    """As Python has it."""
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    assert moment_ms(second, "run_at") - moment_ms(first, "run_at") == 3_600_000


def test_a_time_without_a_zone_is_refused_with_what_to_write() -> None:
    """Nobody knows whose time it would be."""
    with pytest.raises(InvalidInput, match=r"no time zone: write datetime\.now\(UTC\)") as refused:
        moment_ms(datetime(2026, 7, 1), "run_at")  # noqa: DTZ001 - that is the point
    assert refused.value.field == "run_at"
    with pytest.raises(InvalidInput, match="a datetime was expected"):
        moment_ms("2026-07-01", "run_at")


def test_a_time_before_1970_has_passed_too() -> None:
    """It is at once, and not none."""
    assert moment_ms(datetime(1900, 1, 1, tzinfo=UTC), "run_at") == 1


def test_crons_stand_in_the_definition() -> None:
    """Strings are in UTC, and take the common input; a Cron of its own input keeps it."""
    app = Windlass()

    @app.task(
        on_crons=["0 9 * * *", Cron("@daily", "Asia/Tokyo", {"path": "b"}, "all", "cancel_other", "nightly")],
        cron_input={"path": "a"},
    )
    def resize(path: str, width: int = 3) -> None: ...

    assert list(resize.definition().crons) == [
        workflow_pb2.CronDefinition(
            expression="0 9 * * *",
            timezone="UTC",
            input_json=b'{"path":"a"}',
            catch_up=workflow_pb2.CATCH_UP_SKIP,
            overlap=workflow_pb2.OVERLAP_ALLOW,
        ),
        workflow_pb2.CronDefinition(
            name="nightly",
            expression="@daily",
            timezone="Asia/Tokyo",
            input_json=b'{"path":"b"}',
            catch_up=workflow_pb2.CATCH_UP_ALL,
            overlap=workflow_pb2.OVERLAP_CANCEL_OTHER,
        ),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_crons": "0 9 * * *"}, r"a list was expected, as \['0 9 \* \* \*'\]"),
        ({"on_crons": ["0 9 * *"]}, "five fields"),
        ({"on_crons": ["@fortnightly"]}, "@hourly, @daily"),
        ({"on_crons": [""]}, "1 to 200 characters"),
        ({"on_crons": ["@daily", Cron("@daily", "Asia/Tokyo")]}, "two are named '@daily'"),
        ({"on_crons": [7]}, "expressions and Crons were expected, not 7"),
        ({"on_crons": [f"{i % 60} * * * {i}" for i in range(101)]}, "at most 100"),
        ({"on_crons": ["@daily"], "cron_input": {"path": []}}, "cron '@daily': .*path"),
        ({"on_crons": [Cron("@daily", name="empty")]}, "cron 'empty': .*path"),
    ],
)
def test_wrong_crons_are_refused_at_the_decorator(options: dict[str, Any], said: str) -> None:
    """With the place, and what was expected; an input that does not fit too."""
    app = Windlass()
    with pytest.raises(InvalidTask, match=f"test_sdk_schedules.py.*{said}"):

        @app.task(**options)  # type: ignore[untyped-decorator]  # wrong options have no types
        def resize(path: str) -> None: ...


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"expression": "x y"}, ValueError),
        ({"expression": 5}, ValueError),
        ({"timezone": ZoneInfo("UTC")}, TypeError),
        ({"catch_up": "some"}, ValueError),
        ({"overlap": "none"}, ValueError),
    ],
)
def test_a_wrong_cron_cannot_be_made(fields: dict[str, Any], error: type[Exception]) -> None:
    """At once."""
    with pytest.raises(error):
        Cron(**{"expression": "@daily", **fields})


def test_what_is_scheduled_has_no_delay_besides() -> None:
    """Nobody knows which of the two it would be."""
    app = Windlass()

    @app.task
    def resize(path: str) -> None: ...

    @app.task
    def model(input: dict[str, int], ctx: Context) -> None: ...

    with pytest.raises(InvalidInput, match="run_at= says when it starts"):
        resize.options(delay=5).schedule(datetime.now(UTC), "a")
    with pytest.raises(InvalidInput, match="run_at= says when it starts"):
        model.schedule(datetime.now(UTC), {}, delay=5)
    with pytest.raises(InvalidInput, match="path"):
        resize.create_cron("nightly", "@daily", {"pat": "a"})
    with pytest.raises(InvalidInput, match="cron_name"):
        resize.create_cron("", "@daily", {"path": "a"})
    with pytest.raises(InvalidInput, match="five fields"):
        resize.create_cron("nightly", "daily", {"path": "a"})
    with pytest.raises(InvalidInput, match="run_at=, input= or both"):
        app.scheduled.update("id")
