"""What a submit may ask of workers, and what is refused, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.raw_client import RawWorker, raw_worker, submission
from windlass.v1 import error_pb2, run_pb2, run_service_pb2, schedule_service_pb2, workflow_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door

_LABEL = workflow_pb2.DesiredLabel(name="gpu", value="a100", required=True)
# An enum is open: what a newer client might send.
_UNKNOWN_COMPARATOR = workflow_pb2.DesiredLabel.FromString(b"\n\x01a\x18\x07")


async def _refusal(api: Door, refused: run_service_pb2.RunSubmission) -> error_pb2.ErrorDetail:
    (outcome,) = (await api.runs.SubmitRuns(run_service_pb2.SubmitRunsRequest(runs=[refused]))).outcomes
    assert outcome.HasField("error")
    error: error_pb2.ErrorDetail = outcome.error
    return error


@pytest.mark.parametrize(
    ("placement", "field"),
    [
        ({"desired_labels": [workflow_pb2.DesiredLabel(value="x")]}, "desired_labels[0].name"),
        ({"desired_labels": [workflow_pb2.DesiredLabel(name="a", value="x" * 201)]}, "desired_labels[0].value"),
        ({"desired_labels": [_LABEL, _LABEL]}, "desired_labels"),
        ({"desired_labels": [workflow_pb2.DesiredLabel(name=str(i)) for i in range(21)]}, "desired_labels"),
        ({"desired_labels": [workflow_pb2.DesiredLabel(name="a", weight=-1)]}, "desired_labels[0].weight"),
        ({"desired_labels": [_UNKNOWN_COMPARATOR]}, "desired_labels[0].comparator"),
        ({"desired_worker_id": "short"}, "desired_worker_id"),
        ({"desired_worker_id": "0" * 32}, ""),
        ({"desired_worker_id": "0" * 32, "sticky": True}, "sticky"),
        ({"desired_worker_id": "0" * 32, "strictness": 3}, "strictness"),
        ({"sticky": True}, "sticky"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_path(
    api: Door, task: str, placement: dict[str, Any], field: str
) -> None:
    """At the submit, and nothing is stored."""
    error = await _refusal(api, submission(task, placement=run_pb2.Placement(**placement)))
    assert error.reason == error_pb2.ERROR_REASON_INVALID_FIELD
    assert error.field == f"runs[0].spec.placement.{field}".removesuffix(".")
    assert error.field in error.message


async def test_labels_of_a_submit_stand_in_place_of_the_definitions(api: Door, dispatcher: Door) -> None:
    """Those of the same names."""
    name = f"task-{mint_id()}"
    small, large = RawWorker(dispatcher, name), RawWorker(dispatcher, name)
    for worker, memory in ((small, "8"), (large, "64")):
        worker.hello.labels["memory"] = memory
        needed = workflow_pb2.DesiredLabel(name="memory", value="8", required=True)
        worker.hello.workflows[0].tasks[0].desired_labels.append(needed)
        await worker.connect()
    (usual,) = await api.submit(submission(name))
    (assignment,) = await small.assigned()
    assert assignment.run_id == usual
    await small.complete(assignment)
    more = workflow_pb2.DesiredLabel(
        name="memory", value="9", required=True, comparator=workflow_pb2.LABEL_COMPARATOR_GREATER_THAN
    )
    (heavy,) = await api.submit(submission(name, placement=run_pb2.Placement(desired_labels=[more])))
    (assignment,) = await large.assigned()
    assert assignment.run_id == heavy
    await large.complete(assignment)
    await small.end()
    await large.end()


async def test_a_sticky_run_goes_where_its_parent_is(api: Door, dispatcher: Door, task: str) -> None:
    """As strictly as it says itself; one that names a parent that is not under way is refused."""
    async with raw_worker(dispatcher, task) as home:
        (parent,) = await api.submit(submission(task))
        (assignment,) = await home.assigned()
        async with raw_worker(dispatcher, task, slots=100):
            bound = run_pb2.Placement(sticky=True, strictness=workflow_pb2.STICKY_HARD)
            (child,) = await api.submit(submission(task, parent_task_run_id=parent, placement=bound))
            (second,) = await home.assigned()
            assert second.run_id == child
            await home.complete(second)
        await home.complete(assignment)
        late = submission(task, parent_task_run_id=parent, placement=run_pb2.Placement(sticky=True))
        assert (await _refusal(api, late)).field == "runs[0].spec.placement.sticky"


async def test_a_sticky_run_that_is_scheduled_stays_bound_when_it_is_changed(
    api: Door, dispatcher: Door, task: str
) -> None:
    """To where its parent was when it was submitted, though that has ended by then."""
    async with raw_worker(dispatcher, task) as home:
        (parent,) = await api.submit(submission(task))
        (assignment,) = await home.assigned()
        bound = run_pb2.Placement(sticky=True, strictness=workflow_pb2.STICKY_HARD)
        far = submission(task, parent_task_run_id=parent, placement=bound, run_at_ms=4_000_000_000_000)
        (child,) = await api.submit(far)
        await home.complete(assignment)
        async with raw_worker(dispatcher, task, slots=100):
            now = schedule_service_pb2.UpdateScheduledRunRequest(run_id=child, run_at_ms=1)
            await api.schedules.UpdateScheduledRun(now)
            (second,) = await home.assigned()
            assert second.run_id == child
            await home.complete(second)
