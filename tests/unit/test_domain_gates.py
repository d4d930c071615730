"""Concurrency keys and rate limits: what a definition may ask for, and the gates that makes for a run."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass_core.domain.definition import Definition, check_definition
from windlass_core.domain.errors import InvalidField, NotFound
from windlass_core.domain.gates import MAX_PERMITS, MAX_UNITS
from windlass_core.domain.limits import MAX_DURATION_MS
from windlass_core.domain.names import mint_run_id
from windlass_core.submission import check_submission

RUN = mint_run_id(1, b"0123456789")
MINUTE = 60_000


def _key(expression: str = "input.user", max_runs: int = 2, **fields: Any) -> workflow_pb2.Concurrency:
    return workflow_pb2.Concurrency(expression=expression, max_runs=max_runs, **fields)


def _rate(**fields: Any) -> workflow_pb2.RateLimit:
    return workflow_pb2.RateLimit(**fields)


def _dynamic(**fields: Any) -> workflow_pb2.RateLimit:
    return _rate(**{"dynamic_key": "input.user", "limit": 10, "window_ms": MINUTE, **fields})


def _define(
    keys: list[workflow_pb2.Concurrency] | None = None,
    rates: list[workflow_pb2.RateLimit] | None = None,
    whole: list[workflow_pb2.Concurrency] | None = None,
) -> Definition:
    task = workflow_pb2.TaskDefinition(name="a", concurrency=keys or [], rate_limits=rates or [])
    return check_definition(workflow_pb2.WorkflowDefinition(name="a", tasks=[task], concurrency=whole or []), "w")


def _gates(definition: Definition, given: bytes = b'{"user": "u1"}', **limits: int) -> Any:
    submission = run_service_pb2.RunSubmission(
        run_id=RUN, spec=run_pb2.RunSpec(workflow_name="a", input_json=given, metadata_json=b'{"team": "x"}')
    )
    stored = check_submission(submission, definition, namespace="ns", wait=False, path="runs[0]", limits=limits)
    return (stored.more or {}).get("g")


def test_a_plain_definition_has_no_gates() -> None:
    """Nothing is kept of it, and its runs carry nothing."""
    definition = _define()
    assert definition.task.gates is None
    assert not definition.has_gates
    assert _gates(definition) is None


def test_keys_of_both_levels() -> None:
    """A workflow's are kept to the run's end, a task's to that of the attempt; each has a place of its own."""
    whole = [_key("metadata.team", 1), _key("'all'", 9)]
    task = [_key(strategy=workflow_pb2.CONCURRENCY_STRATEGY_CANCEL_NEWEST)]
    assert _gates(_define(task, whole=whole)) == [
        ["c", "ns|a|w0|x", 1, "rr", "w"],
        ["c", "ns|a|w1|all", 9, "rr", "w"],
        ["c", "ns|a|t0|u1", 2, "cn", "t"],
    ]


@pytest.mark.parametrize(("strategy", "code"), [(0, "rr"), (1, "rr"), (2, "cip"), (3, "cn")])
def test_strategies(strategy: Any, code: str) -> None:
    """Unless one is named, keys take turns."""
    assert _gates(_define([_key(strategy=strategy)]))[0][3] == code


def test_long_values_stand_as_their_digests() -> None:
    """Keys stay short, and different values different."""
    definition = _define([_key()], [_dynamic()])
    one, other = (_gates(definition, b'{"user": "' + letter * 101 + b'"}') for letter in (b"x", b"y"))
    assert all(len(gate[1]) < 60 for gate in one)
    assert one[0][1] != other[0][1]
    assert one[1][1] != other[1][1]
    assert _gates(definition, b'{"user": "' + b"x" * 100 + b'"}')[0][1] == f"ns|a|t0|{'x' * 100}"


def test_a_named_limit_is_the_stores() -> None:
    """Limit and window are read there; one unit unless said otherwise."""
    assert _gates(_define(rates=[_rate(static_key="mail")]), mail=5) == [["r", "ns|mail", 1, 0, 0]]
    by_input = _rate(static_key="mail", units_expression="input.n")
    assert _gates(_define(rates=[by_input]), b'{"n": 4}', mail=5) == [["r", "ns|mail", 4, 0, 0]]


def test_a_limit_by_the_runs_own_values() -> None:
    """Name, units and limit; no name that was put can be the same."""
    rate = _rate(dynamic_key="input.user", units=2, limit_expression="input.most", window_ms=MINUTE)
    assert _gates(_define(rates=[rate]), b'{"user": 7, "most": 3}') == [["r", "ns|=7", 2, 3, MINUTE]]


def test_no_units_is_no_gate() -> None:
    """What takes nothing waits for nothing."""
    definition = _define(rates=[_dynamic(units_expression="input.n")])
    assert _gates(definition, b'{"user": "u", "n": 0}') is None


@pytest.mark.parametrize(
    ("rate", "given", "why"),
    [
        (_rate(static_key="mail", units=6), b"{}", "6 units of the rate limit 'mail', which has 5 in all"),
        (_dynamic(units_expression="input.n"), b'{"user": "u", "n": 11}', "11 units of the rate limit 'u'"),
        (_dynamic(units_expression="input.n"), b'{"user": "u", "n": -1}', "expected a whole number from 0 up"),
        (_dynamic(limit=0, limit_expression="input.n"), b'{"user": "u", "n": 0}', "expected a limit of 1 to"),
        (_dynamic(), b"{}", "`input.user`, the name of a rate limit of 'a'"),
    ],
)
def test_a_run_that_could_never_start_is_refused(rate: workflow_pb2.RateLimit, given: bytes, why: str) -> None:
    """Before anything of it is stored."""
    with pytest.raises(InvalidField) as raised:
        _gates(_define(rates=[rate]), given, mail=5)
    assert raised.value.field == "runs[0].spec"
    assert why in str(raised.value)


def test_a_limit_that_nobody_has_put_is_refused() -> None:
    """The error says how to put it."""
    with pytest.raises(NotFound, match=r"'mail'.*windlass rate-limits put mail"):
        _gates(_define(rates=[_rate(static_key="mail")]))


def test_two_limits_of_one_name_are_refused() -> None:
    """Their units would be counted against one another."""
    definition = _define(rates=[_dynamic(), _dynamic(dynamic_key="input.team")])
    with pytest.raises(InvalidField, match="two rate limits of 'a' come to one name, 'u'"):
        _gates(definition, b'{"user": "u", "team": "u"}')
    assert len(_gates(definition, b'{"user": "u", "team": "t"}')) == 2


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"keys": [_key("")]}, "w.tasks[0].concurrency[0].expression"),
        ({"keys": [_key(), _key("input[")]}, "w.tasks[0].concurrency[1].expression"),
        ({"whole": [_key("foo")]}, "w.concurrency[0].expression"),
        ({"keys": [_key(max_runs=0)]}, "w.tasks[0].concurrency[0].max_runs"),
        ({"keys": [_key(max_runs=MAX_PERMITS + 1)]}, "w.tasks[0].concurrency[0].max_runs"),
        ({"keys": [_key(strategy=9)]}, "w.tasks[0].concurrency[0].strategy"),
        ({"keys": [_key()] * 11}, "w.tasks[0].concurrency"),
        ({"whole": [_key()] * 11}, "w.concurrency"),
        ({"rates": [_dynamic()] * 11}, "w.tasks[0].rate_limits"),
        ({"rates": [_rate()]}, "w.tasks[0].rate_limits[0].static_key"),
        ({"rates": [_dynamic(static_key="a")]}, "w.tasks[0].rate_limits[0].static_key"),
        ({"rates": [_rate(static_key="a b")]}, "w.tasks[0].rate_limits[0].static_key"),
        ({"rates": [_rate(static_key="a")] * 2}, "w.tasks[0].rate_limits[1].static_key"),
        ({"rates": [_rate(static_key="a", limit=1)]}, "w.tasks[0].rate_limits[0].limit"),
        ({"rates": [_rate(static_key="a", limit_expression="1")]}, "w.tasks[0].rate_limits[0].limit_expression"),
        ({"rates": [_rate(static_key="a", window_ms=MINUTE)]}, "w.tasks[0].rate_limits[0].window_ms"),
        ({"rates": [_dynamic(units=1, units_expression="1")]}, "w.tasks[0].rate_limits[0].units_expression"),
        ({"rates": [_dynamic(limit_expression="1")]}, "w.tasks[0].rate_limits[0].limit_expression"),
        ({"rates": [_dynamic(units=11)]}, "w.tasks[0].rate_limits[0].units"),
        ({"rates": [_dynamic(limit=0)]}, "w.tasks[0].rate_limits[0].limit"),
        ({"rates": [_dynamic(limit=MAX_UNITS + 1)]}, "w.tasks[0].rate_limits[0].limit"),
        ({"rates": [_dynamic(window_ms=999)]}, "w.tasks[0].rate_limits[0].window_ms"),
        ({"rates": [_dynamic(window_ms=MAX_DURATION_MS + 1)]}, "w.tasks[0].rate_limits[0].window_ms"),
        ({"rates": [_dynamic(dynamic_key="1 +")]}, "w.tasks[0].rate_limits[0].dynamic_key"),
        ({"rates": [_dynamic(units_expression="1 +")]}, "w.tasks[0].rate_limits[0].units_expression"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_path(parts: dict[str, Any], field: str) -> None:
    """When it is registered, not when it is run."""
    with pytest.raises(InvalidField) as raised:
        _define(**parts)
    assert raised.value.field == field
    assert str(raised.value).startswith(f"{field}: ")
