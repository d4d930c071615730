"""The worker stream and the worker service, against real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from tests.support.raw_client import RawWorker, detail_of, raw_worker, submission
from windlass.v1 import dispatch_pb2, error_pb2, run_pb2, worker_pb2, worker_service_pb2, workflow_service_pb2
from windlass_core.randomness import mint_id

if TYPE_CHECKING:
    from tests.support.raw_client import Door
    from windlass_core.local import LocalCluster


async def _worker(api: Door, worker_id: str) -> worker_pb2.Worker:
    answer = await api.workers.GetWorker(worker_service_pb2.GetWorkerRequest(worker_id=worker_id))
    worker: worker_pb2.Worker = answer.worker
    return worker


async def _is_listed(api: Door, worker_id: str) -> bool:
    listed = (await api.workers.ListWorkers(worker_service_pb2.ListWorkersRequest(page_size=1000))).workers
    return worker_id in {worker.worker_id for worker in listed}


async def test_a_worker_is_welcomed_and_shown(cluster: LocalCluster, api: Door, dispatcher: Door, task: str) -> None:
    """With what it said, and where it is."""
    worker = RawWorker(dispatcher, task, slots=3)
    worker.hello.labels["gpu"] = "yes"
    worker.hello.sdk = "raw 1"
    welcome = await worker.connect()
    assert len(welcome.session_id) == 32
    assert welcome.session_ttl_ms >= 3 * welcome.heartbeat_interval_ms > 0
    assert (welcome.max_payload_bytes, list(welcome.lost_lease_ids)) == (1024 * 1024, [])
    shown = await _worker(api, worker.worker_id)
    assert (shown.name, shown.slots, shown.slots_used, shown.sdk) == ("raw", 3, 0, "raw 1")
    assert shown.status == worker_pb2.WORKER_STATUS_ACTIVE
    assert (dict(shown.labels), list(shown.workflow_names)) == ({"gpu": "yes"}, [task])
    assert shown.dispatcher_address == f"127.0.0.1:{cluster.processes('dispatcher')[0].ports['grpc']}"
    assert shown.session_expires_at_ms > shown.connected_at_ms
    assert await _is_listed(api, worker.worker_id)
    workflows = workflow_service_pb2.GetWorkflowRequest(name=task)
    assert (await api.workflows.GetWorkflow(workflows)).workflow.workers == 1
    await worker.end()


async def test_a_worker_brings_its_definitions(api: Door, dispatcher: Door) -> None:
    """Nobody else had registered them."""
    name = f"task-{mint_id()}"
    async with raw_worker(dispatcher, name) as worker:
        (run_id,) = await api.submit(submission(name))
        (assignment,) = await worker.assigned()
        assert assignment.run_id == run_id
        await worker.complete(assignment)


async def test_a_drained_worker_is_gone_at_once(api: Door, dispatcher: Door, task: str) -> None:
    """It finishes what it has, and gets nothing new."""
    async with raw_worker(dispatcher, task) as worker:
        await api.submit(submission(task))
        (assignment,) = await worker.assigned()
        await worker.send(draining=dispatch_pb2.Draining())
        await worker.send(heartbeat=dispatch_pb2.Heartbeat(sequence=1, lease_ids=[assignment.lease_id]))
        await worker.receive("heartbeat_answer")
        assert (await _worker(api, worker.worker_id)).status == worker_pb2.WORKER_STATUS_DRAINING
        (waiting,) = await api.submit(submission(task))
        assert await worker.complete(assignment) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    assert (await api.get(waiting)).phase == run_pb2.RUN_PHASE_READY
    while await _is_listed(api, worker.worker_id):
        pass
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _worker(api, worker.worker_id)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(raised.value).reason == error_pb2.ERROR_REASON_UNKNOWN_WORKER


async def test_heartbeats_are_answered_with_what_is_lost(dispatcher: Door, task: str) -> None:
    """By their number."""
    async with raw_worker(dispatcher, task) as worker:
        await worker.send(heartbeat=dispatch_pb2.Heartbeat(sequence=9, lease_ids=["f" * 32]))
        answer = await worker.receive("heartbeat_answer")
        assert (answer.sequence, list(answer.lost_lease_ids)) == (9, ["f" * 32])


async def test_a_worker_that_comes_back_goes_on(api: Door, dispatcher: Door, task: str) -> None:
    """Its lease lives; a report that was not acknowledged is sent again, and counted once."""
    first = RawWorker(dispatcher, task)
    await first.connect()
    (run_id,) = await api.submit(submission(task))
    (assignment,) = await first.assigned()
    await first.end()
    second = RawWorker(dispatcher, task, worker_id=first.worker_id)
    second.hello.held_lease_ids.append(assignment.lease_id)
    assert list((await second.connect()).lost_lease_ids) == []
    assert await second.complete(assignment) == dispatch_pb2.REPORT_OUTCOME_RECORDED
    assert await second.complete(assignment) == dispatch_pb2.REPORT_OUTCOME_DUPLICATE
    assert (await api.get(run_id)).attempt == 1
    await second.end()


async def test_what_never_arrived_is_delivered_again(api: Door, dispatcher: Door, task: str) -> None:
    """Under the same lease."""
    first = RawWorker(dispatcher, task)
    await first.connect()
    await api.submit(submission(task))
    (lost,) = (await first.receive("assignments")).assignments
    await first.end()
    second = RawWorker(dispatcher, task, worker_id=first.worker_id)
    await second.connect()
    (again,) = await second.assigned()
    assert again == lost
    await second.complete(again)
    await second.end()


async def test_a_newer_connection_replaces_the_older_one(dispatcher: Door, task: str) -> None:
    """Which is ended, and is to say Hello again, if it still can."""
    first = RawWorker(dispatcher, task)
    await first.connect()
    second = RawWorker(dispatcher, task, worker_id=first.worker_id)
    await second.connect()
    assert await first.ended() == grpc.StatusCode.FAILED_PRECONDITION
    await second.send(heartbeat=dispatch_pb2.Heartbeat(sequence=1))
    await second.receive("heartbeat_answer")
    await second.end()


async def test_work_handed_back_is_charged_nothing(api: Door, dispatcher: Door, task: str) -> None:
    """The worker leaves; the next attempt has the same number."""
    async with raw_worker(dispatcher, task) as worker:
        (run_id,) = await api.submit(submission(task))
        (assignment,) = await worker.assigned()
        assert await worker.fail(assignment, released=True) == dispatch_pb2.REPORT_OUTCOME_RECORDED
        (again,) = await worker.assigned()
        assert (again.run_id, again.attempt) == (run_id, 1)
        assert again.lease_id != assignment.lease_id
        assert await worker.complete(assignment) == dispatch_pb2.REPORT_OUTCOME_LEASE_LOST
        await worker.complete(again)
    assert not (await api.get(run_id)).failures


@pytest.mark.parametrize("kind", ["heartbeat", "nameless", "twice", "short"])
async def test_a_stream_that_breaks_the_protocol_is_ended(dispatcher: Door, task: str, kind: str) -> None:
    """INVALID_ARGUMENT: it is not to be repeated."""
    worker = RawWorker(dispatcher, task)
    if kind == "heartbeat":
        await worker.send(heartbeat=dispatch_pb2.Heartbeat())
    elif kind == "nameless":
        worker.hello.workflows[0].name = ""
        await worker.send(hello=worker.hello)
    elif kind == "short":
        worker.hello.worker_id = "short"
        await worker.send(hello=worker.hello)
    else:
        await worker.connect()
        await worker.send(hello=worker.hello)
    assert await worker.ended() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_dispatchers_are_listed(cluster: LocalCluster, api: Door) -> None:
    """Where a worker is to connect."""
    addresses = (await api.workers.ListDispatchers(worker_service_pb2.ListDispatchersRequest())).addresses
    assert list(addresses) == [f"127.0.0.1:{cluster.processes('dispatcher')[0].ports['grpc']}"]


async def test_workers_are_listed_in_pages(api: Door, dispatcher: Door, task: str) -> None:
    """By name."""
    workers = [RawWorker(dispatcher, task) for _ in range(3)]
    for worker in workers:
        await worker.connect()
    request, listed = worker_service_pb2.ListWorkersRequest(page_size=1), []
    while True:
        page = await api.workers.ListWorkers(request)
        listed += [worker.worker_id for worker in page.workers]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert {worker.worker_id for worker in workers} <= set(listed)
    assert len(set(listed)) == len(listed)
    for worker in workers:
        await worker.end()


async def test_a_deaf_worker_is_cut_off_and_its_work_given_to_another(api_of_impatient: tuple[Door, Door]) -> None:
    """It is welcomed and given work, and never says that it has it."""
    api, dispatcher = api_of_impatient
    name = f"task-{mint_id()}"
    deaf = RawWorker(dispatcher, name)
    await deaf.connect()
    (run_id,) = await api.submit(submission(name))
    (assignment,) = (await deaf.receive("assignments")).assignments
    assert await deaf.ended() == grpc.StatusCode.FAILED_PRECONDITION
    async with raw_worker(dispatcher, name) as other:
        (again,) = await other.assigned()
        assert (again.run_id, again.attempt) == (run_id, 1)
        assert again.lease_id != assignment.lease_id
        await other.complete(again)


async def test_a_paused_worker_is_shown_as_such_and_gets_no_work(api: Door, dispatcher: Door, task: str) -> None:
    """Repeating it changes nothing; an id that is nobody's is told, and then nobody is paused."""
    async with raw_worker(dispatcher, task) as worker:
        nobody = worker_service_pb2.PauseWorkersRequest(worker_ids=[worker.worker_id, "0" * 32])
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await api.workers.PauseWorkers(nobody)
        assert detail_of(told.value).reason == error_pb2.ERROR_REASON_UNKNOWN_WORKER
        assert (await _worker(api, worker.worker_id)).status == worker_pb2.WORKER_STATUS_ACTIVE
        for _ in range(2):
            await api.workers.PauseWorkers(worker_service_pb2.PauseWorkersRequest(worker_ids=[worker.worker_id]))
        assert (await _worker(api, worker.worker_id)).status == worker_pb2.WORKER_STATUS_PAUSED
        (run_id,) = await api.submit(submission(task))
        # A submit is matched in the same step: it would have been given out by now.
        assert (await api.get(run_id)).phase == run_pb2.RUN_PHASE_READY
        for _ in range(2):
            await api.workers.ResumeWorkers(worker_service_pb2.ResumeWorkersRequest(worker_ids=[worker.worker_id]))
        (assignment,) = await worker.assigned()
        assert assignment.run_id == run_id
        await worker.complete(assignment)


async def test_slots_are_told_by_pool(api: Door, dispatcher: Door) -> None:
    """Those of the default one as ever, the others beside them."""
    name = f"task-{mint_id()}"
    worker = RawWorker(dispatcher, name, slots=3)
    worker.hello.slot_pools["gpu"] = 4
    worker.hello.workflows[0].tasks[0].slot_pool = "gpu"
    worker.hello.workflows[0].tasks[0].slot_cost = 2
    await worker.connect()
    await api.submit(submission(name))
    (assignment,) = await worker.assigned()
    shown = await _worker(api, worker.worker_id)
    assert (shown.slots, shown.slots_used) == (3, 0)
    assert [(pool.name, pool.slots, pool.slots_used) for pool in shown.slot_pools] == [("gpu", 4, 2)]
    await worker.complete(assignment)
    await worker.end()
