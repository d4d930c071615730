"""What a user says about idempotency keys and about many runs, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from windlass import Idempotency, InvalidInput, InvalidTask, RunFilter, RunStatus, Windlass
from windlass.calling import read_options
from windlass.config import ClientConfig
from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2

if TYPE_CHECKING:
    from tests.support.fake_api import FakeApi


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a key at a call, or an expression on a task"),
        ({"key": "k", "expression": "'k'"}, "a key at a call, or an expression on a task"),
        ({"key": ""}, "1 to 500 bytes, not 0"),
        ({"key": "ö" * 251}, "1 to 500 bytes, not 502"),
        ({"expression": " "}, "expression"),
        ({"key": "k", "window": "1h", "until_terminal": True}, "one of the two"),
        ({"key": "k", "window": 0}, "above 0"),
        ({"key": "k", "window": "soon"}, "window='soon'"),
        ({"key": "k", "on_conflict": "ignore"}, "same, reject, return, replace"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], said: str) -> None:
    """Where it is written, and not at the engine."""
    with pytest.raises(ValueError, match=said):
        Idempotency(**fields)


def test_the_key_alone_is_the_short_form() -> None:
    """Both say the same; together they are refused."""
    short, long = read_options(idempotency_key="k"), read_options(idempotency=Idempotency(key="k"))
    assert short.fields["idempotency"] == long.fields["idempotency"] == run_pb2.Idempotency(key="k")
    with pytest.raises(InvalidInput, match="leave out idempotency_key"):
        read_options(idempotency_key="k", idempotency=Idempotency(key="k"))
    with pytest.raises(InvalidInput, match="takes a key at a call"):
        read_options(idempotency=Idempotency(expression="'k'"))
    with pytest.raises(InvalidInput, match="a string, not 7"):
        read_options(idempotency_key=7)  # type: ignore[arg-type] # that is the point


def test_all_of_it_travels() -> None:
    """By the numbers of the contracts."""
    asked = Idempotency(key="k", window="90s", on_conflict="return")
    expected = run_pb2.Idempotency(
        key="k", window_ms=90_000, on_conflict=workflow_pb2.IDEMPOTENCY_CONFLICT_RETURN_EXISTING
    )
    assert asked.to_proto() == expected
    on_task = Idempotency(expression="input.order", until_terminal=True, on_conflict="replace")
    assert on_task.to_definition() == workflow_pb2.IdempotencyDefinition(
        expression="input.order", until_terminal=True, on_conflict=workflow_pb2.IDEMPOTENCY_CONFLICT_REPLACE
    )


def test_a_task_takes_an_expression() -> None:
    """A key would make one run of all there will ever be."""
    app = Windlass()
    with pytest.raises(InvalidTask, match="takes an expression on a task"):

        @app.task(idempotency=Idempotency(key="k"))
        def wrong() -> None: ...


def test_a_plain_task_says_nothing_of_keys() -> None:
    """Neither in its definition nor in its submits."""
    app = Windlass()

    @app.task
    def plain() -> None: ...

    assert not plain.definition().HasField("idempotency")
    assert "idempotency" not in read_options().fields


def test_a_caller_follows_its_key_to_another_run(api: FakeApi) -> None:
    """It waits for that run's end, and its reference is to that run."""
    with Windlass(config=ClientConfig(api_address=api.address)) as app:

        @app.task
        def plain(a: int) -> Any: ...

        keyed = plain.options(idempotency_key="k")
        api.complete = False
        first = keyed.delay(1)
        api.holder = first.id
        second = keyed.delay(1)
        assert second == first
        api.finish(first.id, b'"once"')
        with app.batch():
            third = keyed.delay(1)
        assert third == first
        assert second.result(timeout=10) == third.result(timeout=10) == keyed.run(1) == "once"


@pytest.mark.parametrize(
    "fields", [{"statuses": "FAILED"}, {"workflow_names": "a"}, {"statuses": ["LOST"]}, {"since": "yesterday"}]
)
def test_a_wrong_filter_is_refused_where_it_is_written(fields: dict[str, Any]) -> None:
    """By name."""
    with pytest.raises(InvalidInput):
        RunFilter(**fields)


def test_a_filter_travels() -> None:
    """Whatever kind of list it was given, and as often as it is asked."""
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    wanted = RunFilter(
        statuses=(each for each in [RunStatus.FAILED]),
        workflow_names={"a"},
        queues=["q"],
        error_types=("KeyError",),
        since=moment,
        additional_metadata={"k": "v"},
    )
    expected = run_service_pb2.RunFilter(
        statuses=[run_pb2.RUN_STATUS_FAILED],
        workflow_names=["a"],
        queues=["q"],
        error_types=["KeyError"],
        since_ms=int(moment.timestamp() * 1000),
        metadata={"k": "v"},
    )
    assert wanted.to_proto() == wanted.to_proto() == expected


def test_many_runs_are_named_or_described() -> None:
    """One of the two."""
    app = Windlass()
    for given in ({}, {"run_ids": ["x"], "filters": RunFilter()}, {"run_ids": "x"}):
        with pytest.raises(InvalidInput):
            app.runs.bulk_cancel(**given)
