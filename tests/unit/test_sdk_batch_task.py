"""Batch tasks without a worker: called by hand, and refused where they cannot be what they say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.batch_calls import Calls, Order, both
from windlass import BatchContext, Context, InvalidTask, Windlass


@both
def test_without_an_engine_it_is_a_batch_of_those_who_are_there(app: Windlass, how: str) -> None:
    """`mock_run` waits for nobody; calling the task calls the function, with the list."""
    calls = Calls(app, how, batch_max_interval="1h")
    calls.go_on()
    task: Any = app.tasks["double"]
    assert task.mock_run(3) == 6

    async def several() -> list[int]:
        return list(await asyncio.gather(*(task.aio_mock_run(number) for number in (4, 5))))

    assert asyncio.run(several()) == [8, 10]
    assert calls.inputs == [[3], [4, 5]]
    result = task([1, 2])
    assert (asyncio.run(result) if how == "async" else result) == [2, 4]


def test_a_direct_call_makes_contexts_up(app: Windlass) -> None:
    """One for each input."""

    @app.batch_task
    def count(words: list[str], ctx: BatchContext) -> list[int]:
        assert [each.workflow_input for each in ctx] == words
        ctx.log("goes nowhere")
        return [len(ctx)] * len(words)

    assert count(["a", "b"]) == [2, 2]


def _none() -> list[int]:
    return []


def _three(a: list[int], ctx: BatchContext, more: int) -> list[int]:
    return a


def _one_input(number: int) -> list[int]:
    return [number]


def _task_context(numbers: list[int], ctx: Context) -> list[int]:
    return numbers


def _no_list(numbers: list[int]) -> int:
    return len(numbers)


@pytest.mark.parametrize("function", [_none, _three, _one_input, _task_context, _no_list])
def test_functions_that_cannot_be_batch_tasks_are_refused(app: Windlass, function: Any) -> None:
    """Where they stand, and how they should read."""
    with pytest.raises(InvalidTask, match=rf"test_sdk_batch_task\.py:\d+ .*{function.__name__}.*list\["):
        app.batch_task(function)
    assert not app.tasks


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_max_size": 0}, "batch_max_size=0: 1 to 100,000"),
        ({"batch_max_size": True}, "batch_max_size=True"),
        ({"batch_max_interval": "soon"}, "batch_max_interval='soon'"),
        ({"batch_max_interval": -1}, "batch_max_interval=-1"),
        ({"batch_group_key": 3}, "batch_group_key=3: a field's name or a function"),
        ({"batch_group_key": "shap"}, "batch_group_key='shap': Order has the fields shop, number"),
        ({"executor": "thread"}, "executor='thread'"),
        ({"soft_timeout": 3}, "soft_timeout: a batch task has none"),
        ({"execution_timeout": "never"}, "execution_timeout='never'"),
    ],
)
def test_options_out_of_their_range_are_refused(app: Windlass, options: dict[str, Any], expected: str) -> None:
    """At decoration."""

    def ship(orders: list[Order]) -> list[int]:
        return []

    with pytest.raises(InvalidTask, match=expected):
        app.batch_task(**options)(ship)
