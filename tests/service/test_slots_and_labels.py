"""What a worker says of slots and labels while it runs, message by message, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.support.raw_client import RawWorker, raw_worker, submission
from windlass.v1 import dispatch_pb2, worker_pb2, worker_service_pb2, workflow_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door


async def _worker(api: Door, worker_id: str) -> worker_pb2.Worker:
    answer = await api.workers.GetWorker(worker_service_pb2.GetWorkerRequest(worker_id=worker_id))
    worker: worker_pb2.Worker = answer.worker
    return worker


def _released(assignment: dispatch_pb2.Assignment) -> dispatch_pb2.Report:
    item = dispatch_pb2.SlotRelease(lease_id=assignment.lease_id, run_id=assignment.run_id)
    return dispatch_pb2.Report(released_slots=[item])


async def test_a_slot_given_up_is_the_next_runs_and_a_reconnect_takes_it_for_nobody(
    api: Door, dispatcher: Door, task: str
) -> None:
    """Said again on the next stream, as a worker does; both attempts end as ever."""
    async with raw_worker(dispatcher, task, slots=1) as worker:
        first, second = await api.submit(submission(task), submission(task))
        (gives_way,) = await worker.assigned()
        await worker.send(report=_released(gives_way))
        (goes_on,) = await worker.assigned()
        assert {gives_way.run_id, goes_on.run_id} == {first, second}
    again = RawWorker(dispatcher, task, slots=1, worker_id=worker.worker_id)
    again.hello.held_lease_ids.extend([gives_way.lease_id, goes_on.lease_id])
    assert not (await again.connect()).lost_lease_ids
    await again.send(report=_released(gives_way))
    assert (await _worker(api, worker.worker_id)).slots_used == 1
    (third,) = await api.submit(submission(task))
    assert await again.complete(gives_way) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    assert (await _worker(api, worker.worker_id)).slots_used == 1
    assert await again.complete(goes_on) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    (assignment,) = await again.assigned()
    assert assignment.run_id == third
    await again.complete(assignment)
    await again.end()


async def test_a_run_comes_to_the_worker_that_gets_its_label(api: Door, dispatcher: Door) -> None:
    """What waited for it is assigned, and the worker is shown with it; what it held is its own."""
    needs = workflow_pb2.DesiredLabel(name="model", value="large", required=True)
    picky, plain = f"task-{mint_id()}", f"task-{mint_id()}"
    worker = RawWorker(dispatcher, plain, picky, slots=2)
    worker.hello.labels["zone"] = "a"
    worker.hello.workflows[1].tasks[0].desired_labels.append(needs)
    await worker.connect()
    await api.submit(submission(plain))
    (held,) = await worker.assigned()
    (waits,) = await api.submit(submission(picky))
    await worker.send(labels=dispatch_pb2.Labels(labels={"zone": "b", "model": "large"}))
    (assignment,) = await worker.assigned()
    assert assignment.run_id == waits
    shown = await _worker(api, worker.worker_id)
    assert (dict(shown.labels), shown.slots_used, shown.name) == ({"zone": "b", "model": "large"}, 2, "raw")
    for each in (held, assignment):
        assert await worker.complete(each) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    await worker.send(labels=dispatch_pb2.Labels())
    await _heartbeat(worker)
    assert not (await _worker(api, worker.worker_id)).labels
    await worker.end()


async def _heartbeat(worker: RawWorker) -> None:
    await worker.send(heartbeat=dispatch_pb2.Heartbeat(sequence=1))
    await worker.receive("heartbeat_answer")


@pytest.mark.parametrize("labels", [{str(number): "x" for number in range(101)}, {"zone": "x" * 201}])
async def test_labels_over_the_limits_end_the_stream(dispatcher: Door, task: str, labels: dict[str, str]) -> None:
    """As they do in Hello."""
    worker = RawWorker(dispatcher, task)
    await worker.connect()
    await worker.send(labels=dispatch_pb2.Labels(labels=labels))
    assert await worker.ended() == grpc.StatusCode.INVALID_ARGUMENT
