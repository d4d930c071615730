"""Concurrency and rate limits at the decorator: what goes into the definition, and what is refused there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from windlass import (
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    RateLimit,
    RateLimitDuration,
    Windlass,
)
from windlass.config import ClientConfig
from windlass.exceptions import InvalidTask
from windlass.v1 import workflow_pb2
from windlass_core.domain.definition import check_definition


def _definition(**options: Any) -> workflow_pb2.WorkflowDefinition:
    app = Windlass(config=ClientConfig(api_address="127.0.0.1:1"))

    def work() -> None: ...

    app.task(**options)(work)
    definition = app.tasks["work"].definition()
    check_definition(definition, "w")
    return definition


def test_a_plain_task_says_nothing() -> None:
    """Not a field of the message is set."""
    definition = _definition()
    assert not definition.concurrency
    assert not definition.tasks[0].concurrency
    assert not definition.tasks[0].rate_limits


def test_a_number_is_of_all_runs_together() -> None:
    """One key for all of them."""
    [key] = _definition(concurrency=3).concurrency
    assert (key.expression, key.max_runs) == ("'all'", 3)


def test_keys_go_to_their_level() -> None:
    """The workflow's unless said otherwise; both kinds may stand side by side."""
    strategy = ConcurrencyLimitStrategy.CANCEL_NEWEST
    definition = _definition(
        concurrency=[
            ConcurrencyExpression("input.user", 2),
            ConcurrencyExpression(expression="input.shop", max_runs=5, limit_strategy=strategy, level="task"),
        ]
    )
    [whole], [task] = definition.concurrency, definition.tasks[0].concurrency
    assert (whole.expression, whole.max_runs) == ("input.user", 2)
    assert whole.strategy == workflow_pb2.CONCURRENCY_STRATEGY_GROUP_ROUND_ROBIN
    assert (task.expression, task.strategy) == ("input.shop", workflow_pb2.CONCURRENCY_STRATEGY_CANCEL_NEWEST)


def test_rate_limits_are_static_or_dynamic() -> None:
    """Numbers and expressions each have their own field; a window is a minute unless given."""
    static, dynamic, by_input = (
        _definition(
            rate_limits=[
                RateLimit(static_key="mail", units=2),
                RateLimit(dynamic_key="input.user", limit=10),
                RateLimit(
                    dynamic_key="input.shop", units="input.n", limit="input.most", duration=RateLimitDuration.HOUR
                ),
            ]
        )
        .tasks[0]
        .rate_limits
    )
    assert static == workflow_pb2.RateLimit(static_key="mail", units=2)
    assert dynamic == workflow_pb2.RateLimit(dynamic_key="input.user", units=1, limit=10, window_ms=60_000)
    assert by_input == workflow_pb2.RateLimit(
        dynamic_key="input.shop", units_expression="input.n", limit_expression="input.most", window_ms=3_600_000
    )


@pytest.mark.parametrize("duration", list(RateLimitDuration))
def test_each_named_duration_is_a_window(duration: RateLimitDuration) -> None:
    """A second to a year."""
    [limit] = _definition(rate_limits=[RateLimit(dynamic_key="'a'", limit=1, duration=duration)]).tasks[0].rate_limits
    assert 1_000 <= limit.window_ms <= 365 * 86_400_000


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ConcurrencyExpression("", 1), "expression: a CEL expression"),
        (lambda: ConcurrencyExpression("x" * 1001, 1), "expression: a CEL expression"),
        (lambda: ConcurrencyExpression("input.a", 0), "max_runs=0"),
        (lambda: ConcurrencyExpression("input.a", 1_000_001), "max_runs=1000001"),
        (lambda: ConcurrencyExpression("input.a", True), "max_runs=True"),
        (lambda: ConcurrencyExpression("input.a", 1, "QUEUE"), "QUEUE"),  # type: ignore[arg-type]  # the mistake
        (lambda: ConcurrencyExpression("input.a", 1, level="run"), "level='run'"),  # type: ignore[arg-type]  # the mistake
        (RateLimit, "either static_key"),
        (lambda: RateLimit(static_key="a", dynamic_key="b", limit=1), "either static_key"),
        (lambda: RateLimit(static_key="a", limit=1), "leave them out"),
        (lambda: RateLimit(static_key="a", duration="1m"), "leave them out"),
        (lambda: RateLimit(static_key="a", units=0), "units=0"),
        (lambda: RateLimit(static_key="a", units=" "), "units: a CEL expression"),
        (lambda: RateLimit(dynamic_key="input.a"), "needs limit"),
        (lambda: RateLimit(dynamic_key="", limit=1), "dynamic_key: a CEL expression"),
        (lambda: RateLimit(dynamic_key="input.a", limit=0), "limit=0"),
        (lambda: RateLimit(dynamic_key="input.a", limit=2, units=3), "could never start"),
        (lambda: RateLimit(dynamic_key="input.a", limit=1, duration="10ms"), "a second to 366 days"),
        (lambda: RateLimit(dynamic_key="input.a", limit=1, duration=timedelta(days=367)), "a second to 366 days"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(make: Any, why: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=why):
        make()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"concurrency": 0}, "max_runs=0"),
        ({"concurrency": True}, "concurrency takes a number"),
        ({"concurrency": "input.a"}, "concurrency takes a number"),
        ({"concurrency": ["input.a"]}, "concurrency takes a number"),
        ({"concurrency": [ConcurrencyExpression("input.a", 1)] * 11}, "at most 10 of level 'workflow'"),
        ({"rate_limits": ["mail"]}, "rate_limits takes a list of RateLimit"),
        ({"rate_limits": [RateLimit(dynamic_key="input.a", limit=1)] * 11}, "at most 10"),
        ({"rate_limits": [RateLimit(static_key="a")] * 2}, "'a' stands there twice"),
    ],
)
def test_what_a_task_cannot_have_is_refused_at_its_decorator(options: dict[str, Any], why: str) -> None:
    """With file and line of the function."""
    with pytest.raises(InvalidTask, match=rf"test_sdk_gates\.py:\d+.*{why}"):
        _definition(**options)
