"""Data that tasks stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig
    from tests.support.worker_link import Link
    from windlass.v1 import dispatch_pb2, run_pb2


@optional_case("streams")
async def chunks_come_in_order_before_the_outcome(rig: Rig) -> None:
    """All chunks of an attempt come as they were put, text as text and bytes as bytes, numbered from 0."""
    link = await rig.connect()
    attempt = work.stream(200, attempt=3, max_attempts=5)
    link.assign(attempt)
    await link.outcome(attempt)
    chunks = _chunks(link, attempt, 0)
    assert len(chunks) == 200, f"expected 200 chunks before the outcome, got {len(chunks)}"
    for number, chunk in enumerate(chunks, start=1):
        said = chunk.text if number % 2 else chunk.binary.decode()
        assert said == f"chunk {number}", f"expected chunk {number}, got {said!r}"
        assert chunk.attempt == 3, f"attempt: expected 3, got {chunk.attempt}"


@optional_case("streams")
async def chunks_that_are_not_settled_are_sent_again(rig: Rig) -> None:
    """Under the numbers that they had, before the outcome; not those that are settled, or of a known outcome."""
    rig.dispatcher.acknowledges = rig.dispatcher.settles = False
    link = await rig.connect()
    attempt, known, later = work.stream(3), work.stream(2), work.echo("after the acknowledgement")
    link.assign(attempt, known)
    await link.outcome(attempt)
    await link.outcome(known)
    link.settle(attempt.lease_id, 1)
    link.acknowledge(known.lease_id)
    link.assign(later)
    await link.outcome(later)
    link = await rig.cut(link)
    await link.outcome(attempt)
    texts = [chunk.text or chunk.binary.decode() for chunk in _chunks(link, attempt, 1)]
    assert texts == ["chunk 2", "chunk 3"], f"expected chunks 2 and 3 again, got {texts}"
    await rig.execute_for(link, 1)
    leases = {put.lease_id for put in link.chunks}
    assert leases == {attempt.lease_id}, "chunks of an attempt came again whose outcome was acknowledged"


@optional_case("streams")
async def a_task_learns_that_its_stream_is_refused(rig: Rig) -> None:
    """Where the store is full the task is told with an error when it puts more."""
    rig.dispatcher.settles = False
    link = await rig.connect()
    attempt = work.stream(10_000, every_ms=5)
    link.assign(attempt)
    await rig.until(lambda: link.chunks, f"a chunk (heard: {link})")
    link.settle(attempt.lease_id, 1, refused=True)
    work.expect_failure(await link.outcome(attempt))


def _chunks(link: Link, attempt: dispatch_pb2.Assignment, first: int) -> list[run_pb2.StreamChunk]:
    """Those of an attempt that came before its outcome, which begin with the number `first`."""
    chunks: list[run_pb2.StreamChunk] = []
    for put in link.chunks_before_outcome(attempt.lease_id):
        assert put.run_id == attempt.run_id, f"run_id: expected {attempt.run_id}, got {put.run_id!r}"
        due = first + len(chunks)
        assert put.first == due, f"first: expected {due}, got {put.first}"
        chunks += put.chunks
    return chunks
