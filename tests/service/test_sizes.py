"""What is large is told in portions: no message may have more than 4 MiB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.raw_client import raw_worker, submission
from windlass.v1 import dispatch_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from tests.support.raw_client import Door

_MIB = 1024 * 1024


async def test_large_runs_are_listed_over_several_pages(api: Door, task: str) -> None:
    """Whatever size of page was asked for."""
    ids = await api.submit(*(submission(task, "x" * 900_000) for _ in range(3)))
    ids += await api.submit(*(submission(task, "x" * 900_000) for _ in range(3)))
    request = run_service_pb2.ListRunsRequest(filter=run_service_pb2.RunFilter(workflow_names=[task]))
    listed: list[str] = []
    while not listed or request.page_token:
        page = await api.runs.ListRuns(request)
        assert len(page.runs) <= 2
        listed += [run.run_id for run in page.runs]
        request.page_token = page.next_page_token
    assert sorted(listed) == sorted(ids)


async def test_of_long_log_lines_the_last_mebibyte_is_kept(api: Door, dispatcher: Door, task: str) -> None:
    """Offsets go on counting, and tell what has been dropped."""
    (run_id,) = await api.submit(submission(task))
    async with raw_worker(dispatcher, task) as worker:
        (assignment,) = await worker.assigned()
        for part in range(3):
            lines = [run_pb2.LogLine(level="INFO", message=f"{part * 100 + i} " + "x" * 16_000) for i in range(100)]
            log = dispatch_pb2.TaskLog(run_id=run_id, lease_id=assignment.lease_id, lines=lines)
            await worker.send(logs=dispatch_pb2.Logs(logs=[log]))
        await worker.complete(assignment)
    answer = await api.runs.ListLogs(run_service_pb2.ListLogsRequest(run_id=run_id, offset=10))
    numbers = [int(line.message.partition(" ")[0]) for line in answer.lines]
    assert answer.ByteSize() <= _MIB
    assert (answer.first_offset, answer.next_offset) == (numbers[0], 300)
    assert numbers == list(range(235, 300))


async def test_a_run_that_failed_often_at_length_goes_on(api: Door, dispatcher: Door, task: str) -> None:
    """The latest failures are told, to the worker and to whoever asks."""
    (run_id,) = await api.submit(submission(task, retry={"max_attempts": 100}))
    async with raw_worker(dispatcher, task) as worker:
        for number in range(1, 41):
            (assignment,) = await worker.assigned()
            assert assignment.attempt == number
            assert assignment.ByteSize() < _MIB
            assert [failure.attempt for failure in assignment.failures][-1:] == [number - 1][: number - 1]
            await worker.fail(assignment, type="E", message="x" * 16_000, traceback="y" * 32_000)
        (assignment,) = await worker.assigned()
        await worker.complete(assignment)
    run = await api.get(run_id)
    assert run.ByteSize() < 2 * _MIB
    assert run.failures[-1].attempt == 40
    assert 0 < run.failures_dropped == 40 - len(run.failures)
