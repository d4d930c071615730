"""What a submission must look like, and what is stored of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from windlass.v1 import run_pb2, run_service_pb2, workflow_pb2
from windlass_core.domain.definition import Definition, check_definition
from windlass_core.domain.errors import InvalidField, TooLarge
from windlass_core.domain.limits import MAX_DURATION_MS, MAX_METADATA_BYTES, MAX_PAYLOAD_BYTES
from windlass_core.domain.names import check_run_id, mint_run_id
from windlass_core.submission import check_submission

RUN = mint_run_id(1, b"0123456789")
OTHER = mint_run_id(2, b"0123456789")


def _definition(**fields: Any) -> Definition:
    task = workflow_pb2.TaskDefinition(name="a", execution_timeout_ms=7, schedule_timeout_ms=8)
    return check_definition(workflow_pb2.WorkflowDefinition(name="a", tasks=[task], **fields), "w")


def _check(run_id: str = RUN, definition: Definition | None = None, wait: bool = False, **spec: Any) -> Any:
    submission = run_service_pb2.RunSubmission(run_id=run_id, spec=run_pb2.RunSpec(workflow_name="a", **spec))
    return check_submission(submission, definition or _definition(), namespace="ns", wait=wait, path="runs[3]")


def test_a_plain_submission_takes_what_the_definition_says() -> None:
    """Queue, level, version and limits."""
    definition = _definition(default_queue="q", default_priority=workflow_pb2.PRIORITY_HIGH)
    stored = _check(definition=definition)
    run, spec, flow, level, version, delay, expires, timeout, wait, parent, trace, _more = stored
    assert (run, flow, level, version) == (RUN, "ns|q|a", 3, definition.version)
    assert (delay, expires, timeout, wait, parent, trace) == (0, 8, 7, False, "", "")
    assert run_pb2.RunSpec.FromString(spec) == run_pb2.RunSpec(workflow_name="a")


def test_what_the_caller_says_goes_first() -> None:
    """Queue, priority, delay, time to start, parent."""
    stored = _check(queue="mine", priority=4, delay_ms=5, expires_ms=6, parent_task_run_id=OTHER, wait=True)
    _, _, flow, level, _, delay, expires, _, wait, parent, _trace, _more = stored
    assert (flow, level, delay, expires, wait, parent) == ("ns|mine|a", 4, 5, 6, True, OTHER)


def test_a_schedule_timeout_counts_from_the_end_of_a_delay() -> None:
    """What waits for its time does not wait for a worker; what the caller says counts from the submit."""
    assert _check(delay_ms=250).expires_ms == 258
    assert _check(delay_ms=250, expires_ms=251).expires_ms == 251


def test_a_time_to_start_at_is_kept_to_the_millisecond() -> None:
    """Beside the run: few have one."""
    assert _check(run_at_ms=1_767_225_600_123).more == {"at": 1_767_225_600_123}
    assert _check().more is None


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"run_at_ms": -1}, "run_at_ms"),
        ({"run_at_ms": 10**15}, "run_at_ms"),
        ({"run_at_ms": 1, "delay_ms": 1}, "delay_ms"),
        ({"cron_id": "cr_0"}, "cron_id"),
    ],
)
def test_times_that_cannot_be_are_refused(spec: dict[str, Any], field: str) -> None:
    """Before 1970, after 9999, two at once; and nobody pretends to be a cron."""
    with pytest.raises(InvalidField) as refused:
        _check(**spec)
    assert refused.value.field == f"runs[3].spec.{field}"


@pytest.mark.parametrize(
    ("flags", "recorded"), [("01", True), ("03", True), ("00", False), ("02", False), ("zz", False)]
)
def test_a_trace_is_kept_beside_the_run_where_it_is_recorded(flags: str, recorded: bool) -> None:
    """The engine looks at nothing but that."""
    traceparent = f"00-{'a' * 32}-{'b' * 16}-{flags}"
    assert _check(traceparent=traceparent).traceparent == (traceparent if recorded else "")


def test_an_id_is_minted_where_there_is_none() -> None:
    """A new one every time."""
    first, second = _check("")[0], _check("")[0]
    assert check_run_id(first, "run_id") != second


def test_metadata_goes_over_the_definitions() -> None:
    """What the caller says wins; the rest is there."""
    definition = _definition(default_metadata_json=b'{"team":"x","env":"dev"}')
    spec = _check(definition=definition, metadata_json=b'{"env":"prod"}')[1]
    assert json.loads(run_pb2.RunSpec.FromString(spec).metadata_json) == {"team": "x", "env": "prod"}
    spec = _check(definition=definition)[1]
    assert json.loads(run_pb2.RunSpec.FromString(spec).metadata_json) == {"team": "x", "env": "dev"}


def test_the_callers_message_is_not_changed() -> None:
    """Merging is done on a copy: the same submission may be repeated."""
    spec = run_pb2.RunSpec(workflow_name="a", metadata_json=b'{"env":"prod"}')
    submission = run_service_pb2.RunSubmission(run_id=RUN, spec=spec)
    before = submission.SerializeToString()
    definition = _definition(default_metadata_json=b'{"team":"x"}')
    check_submission(submission, definition, namespace="ns", wait=False, path="runs[0]")
    assert submission.SerializeToString() == before


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"1", '"ä"'.encode(), b'"' + b"x" * (2**20 - 2) + b'"'])
def test_any_json_is_an_input(text: bytes) -> None:
    """Up to 1 MiB, to the byte."""
    assert run_pb2.RunSpec.FromString(_check(input_json=text)[1]).input_json == text


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"run_id": "x"}, "run_id"),
        ({"input_json": b"{"}, "spec.input_json"),
        ({"input_json": b"nonsense"}, "spec.input_json"),
        ({"input_json": b"1 2"}, "spec.input_json"),
        ({"input_json": b"\xff"}, "spec.input_json"),
        ({"input_json": b"NaN"}, "spec.input_json"),
        ({"metadata_json": b"{"}, "spec.metadata_json"),
        ({"metadata_json": b"[]"}, "spec.metadata_json"),
        ({"metadata_json": b'{"a":NaN}'}, "spec.metadata_json"),
        ({"priority": 5}, "spec.priority"),
        ({"queue": "a b"}, "spec.queue"),
        ({"delay_ms": MAX_DURATION_MS + 1}, "spec.delay_ms"),
        ({"expires_ms": MAX_DURATION_MS + 1}, "spec.expires_ms"),
        ({"expires_ms": 250, "delay_ms": 250}, "spec.expires_ms"),
        ({"retry": {"max_attempts": 1001}}, "spec.retry.max_attempts"),
        ({"retry": {"backoff_coefficient": 0.1}}, "spec.retry.backoff_coefficient"),
        ({"parent_task_run_id": "x"}, "spec.parent_task_run_id"),
    ],
)
def test_a_wrong_field_is_named(spec: dict[str, Any], field: str) -> None:
    """By its path in the request."""
    with pytest.raises(InvalidField) as raised:
        _check(**spec)
    assert raised.value.field == f"runs[3].{field}"
    assert raised.value.message.startswith(f"runs[3].{field}: ")


@pytest.mark.parametrize(
    ("spec", "field", "limit"),
    [
        ({"input_json": b'"' + b"x" * (MAX_PAYLOAD_BYTES - 1) + b'"'}, "input_json", MAX_PAYLOAD_BYTES),
        ({"metadata_json": b'{"a":"' + b"x" * MAX_METADATA_BYTES + b'"}'}, "metadata_json", MAX_METADATA_BYTES),
        ({"child_key": "x" * 201}, "child_key", 200),
        ({"traceparent": "x" * 1025}, "traceparent", 1024),
        ({"tracestate": "x" * 1025}, "tracestate", 1024),
    ],
)
def test_what_is_too_large_names_its_limit(spec: dict[str, Any], field: str, limit: int) -> None:
    """It can't be retried: it will not shrink."""
    with pytest.raises(TooLarge) as raised:
        _check(**spec)
    assert (raised.value.field, raised.value.limit) == (f"runs[3].spec.{field}", limit)


def test_what_no_field_names_counts_too() -> None:
    """It is kept and sent on; a message to a worker, or a page of runs, has to hold it."""
    submission = run_service_pb2.RunSubmission(run_id=RUN, spec=run_pb2.RunSpec(workflow_name="a"))
    length = 2_000_000
    unknown = b"\xfa\x3f" + bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14]) + b"x" * length
    submission.spec.MergeFromString(unknown)
    with pytest.raises(TooLarge, match=r"runs\[3\].spec: .* over the limit") as raised:
        check_submission(submission, _definition(), namespace="ns", wait=False, path="runs[3]")
    assert raised.value.limit > MAX_PAYLOAD_BYTES + MAX_METADATA_BYTES
