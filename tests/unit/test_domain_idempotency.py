"""Idempotency keys: what one may be, and what counts as the same content."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass_core.domain.definition import Definition, check_definition
from windlass_core.domain.errors import InvalidField
from windlass_core.domain.idempotency import DEFAULT_WINDOW_MS
from windlass_core.domain.limits import MAX_DURATION_MS
from windlass_core.domain.names import mint_run_id
from windlass_core.submission import check_submission

RUN = mint_run_id(1, b"0123456789")
OTHER = mint_run_id(2, b"0123456789")


def _definition(**fields: Any) -> Definition:
    return check_definition(
        workflow_pb2.WorkflowDefinition(name="a", tasks=[workflow_pb2.TaskDefinition(name="a")], **fields), "w"
    )


def _submit(definition: Definition | None = None, namespace: str = "ns", **spec: Any) -> Any:
    submission = run_service_pb2.RunSubmission(run_id=RUN, spec=run_pb2.RunSpec(workflow_name="a", **spec))
    return check_submission(submission, definition or _definition(), namespace=namespace, wait=False, path="runs[0]")


def _claim(definition: Definition | None = None, namespace: str = "ns", **spec: Any) -> list[Any]:
    given = {"idempotency": {"key": "k"}} | spec
    claim: list[Any] = _submit(definition, namespace, **given).more["i"]
    return claim


def test_a_plain_run_claims_nothing() -> None:
    """It costs nothing either."""
    assert _submit().more is None


def test_a_key_is_the_workflows_own_and_is_not_spelt() -> None:
    """It may be somebody's address."""
    key, *_ = _claim(idempotency={"key": "eve@example.com"})
    assert key.startswith("ns|a|")
    assert "eve" not in key
    assert _claim(idempotency={"key": "other"})[0] != key
    assert _claim(namespace="theirs", idempotency={"key": "eve@example.com"})[0] != key


@pytest.mark.parametrize(
    ("asked", "window_ms", "conflict"),
    [
        ({}, DEFAULT_WINDOW_MS, "same"),
        ({"window_ms": 5}, 5, "same"),
        ({"until_terminal": True}, 0, "same"),
        ({"on_conflict": workflow_pb2.IDEMPOTENCY_CONFLICT_REJECT}, DEFAULT_WINDOW_MS, "reject"),
        ({"on_conflict": workflow_pb2.IDEMPOTENCY_CONFLICT_RETURN_EXISTING}, DEFAULT_WINDOW_MS, "return"),
        ({"on_conflict": workflow_pb2.IDEMPOTENCY_CONFLICT_REPLACE}, DEFAULT_WINDOW_MS, "replace"),
    ],
)
def test_what_is_asked_is_claimed(asked: dict[str, Any], window_ms: int, conflict: str) -> None:
    """A day unless it says otherwise."""
    assert _claim(idempotency={"key": "k"} | asked)[2:] == [window_ms, conflict]


@pytest.mark.parametrize(
    "spec",
    [
        {"input_json": b' {"b":1.0, "a":[1]} '},
        {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=y"},
        {"parent_task_run_id": OTHER, "child_key": "c"},
        {"delay_ms": 5, "expires_ms": 6},
        {"idempotency": {"key": "k", "window_ms": 7}},
    ],
)
def test_who_asks_and_when_does_not_matter(spec: dict[str, Any]) -> None:
    """Nor how the JSON is written."""
    plain: dict[str, Any] = {"input_json": b'{"a":[1],"b":1.0}'}
    assert _claim(**(plain | spec))[1] == _claim(**plain)[1]


@pytest.mark.parametrize(
    "spec",
    [
        {"input_json": b'{"a":2}'},
        {"metadata_json": b'{"a":1}'},
        {"priority": 4},
        {"queue": "q"},
        {"retry": {"max_attempts": 2}},
        {"placement": {"desired_worker_id": "w" * 16}},
    ],
)
def test_what_is_to_be_done_and_how_does(spec: dict[str, Any]) -> None:
    """That would be another run."""
    assert _claim(**spec)[1] != _claim()[1]


def test_a_new_default_of_the_definition_is_no_other_content() -> None:
    """Whoever repeats a submit after a deployment says the same."""
    assert _claim(_definition(default_metadata_json=b'{"team":"x"}'))[1] == _claim()[1]


def test_a_definition_gives_keys() -> None:
    """Out of input and metadata; the run shows the one that it got."""
    definition = _definition(
        idempotency={"expression": "metadata.tenant + ':' + string(input.order)", "until_terminal": True}
    )
    run = _submit(definition, input_json=b'{"order":7}', metadata_json=b'{"tenant":"acme"}')
    spec = run_pb2.RunSpec.FromString(run.spec)
    assert spec.idempotency == run_pb2.Idempotency(key="acme:7", until_terminal=True)
    assert run.more["i"][2:] == [0, "same"]


def test_a_key_at_the_call_goes_first() -> None:
    """All of it: nothing of the definition's is added."""
    definition = _definition(idempotency={"expression": "'theirs'", "until_terminal": True})
    assert _claim(definition, idempotency={"key": "mine"}) == _claim(idempotency={"key": "mine"})


def test_a_definition_may_give_no_key() -> None:
    """To runs for which it has none."""
    definition = _definition(idempotency={"expression": "has(input.order) ? string(input.order) : ''"})
    assert _submit(definition, input_json=b"{}").more is None
    assert "i" in _submit(definition, input_json=b'{"order":7}').more


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": "x" * 501}, "key"),
        ({"key": "k", "window_ms": MAX_DURATION_MS + 1}, "window_ms"),
        ({"key": "k", "window_ms": 1, "until_terminal": True}, "window_ms"),
        ({"key": "k", "on_conflict": 9}, "on_conflict"),
    ],
)
def test_a_wrong_field_is_named(asked: dict[str, Any], field: str) -> None:
    """By its path in the request."""
    with pytest.raises(InvalidField, match=rf"^runs\[0\]\.spec\.idempotency\.{field}: expected") as raised:
        _submit(idempotency=asked)
    assert raised.value.field == f"runs[0].spec.idempotency.{field}"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"expression": ""}, "expression"),
        ({"expression": "input."}, "expression"),
        ({"expression": "'k'", "window_ms": 1, "until_terminal": True}, "window_ms"),
        ({"expression": "'k'", "on_conflict": 9}, "on_conflict"),
    ],
)
def test_a_definition_is_checked_when_it_is_registered(asked: dict[str, Any], field: str) -> None:
    """Not at somebody's submit."""
    with pytest.raises(InvalidField) as raised:
        _definition(idempotency=asked)
    assert raised.value.field == f"w.idempotency.{field}"


def test_an_expression_that_fails_refuses_the_submit() -> None:
    """And says which one."""
    definition = _definition(idempotency={"expression": "input.order"})
    with pytest.raises(InvalidField, match="the idempotency key of 'a'"):
        _submit(definition, input_json=b"{}")


def test_an_expression_whose_key_is_too_long_refuses_the_submit() -> None:
    """As a key at a call would."""
    definition = _definition(idempotency={"expression": "input.order"})
    with pytest.raises(InvalidField, match=r"spec\.idempotency\.key: expected 1 to 500 bytes, got 501"):
        _submit(definition, input_json=b'{"order":"%s"}' % (b"x" * 501))
