"""What a worker does when a stream ends: another one, without haste, and no work is lost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

_ENDS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.OK,
)

# More than random pauses that grow can give room for in the time.
_TOO_MANY = 14
_WITHIN_MS = 3_000


@case
async def comes_back_whatever_ended_the_stream(rig: Rig) -> None:
    """A stream that was open is followed by another, with whichever status it ended."""
    link = await rig.connect()
    for status in _ENDS:
        link = await rig.cut(link, status)
        await rig.execute_for(link, 1)


@case
async def goodbye_leads_elsewhere(rig: Rig) -> None:
    """Goodbye: the worker goes on with its work at another dispatcher."""
    second = await rig.add_dispatcher()
    link = await rig.connect()
    attempt = work.hold(1_000)
    link.assign(attempt)
    await link.acceptance(attempt)
    link.say(goodbye=dispatch_pb2.Goodbye(reason="a new version comes"))
    moved = await second.link(1)
    assert moved.hello.worker_id == link.hello.worker_id, "worker_id: expected the same as before"
    held = list(moved.hello.held_lease_ids)
    assert held == [attempt.lease_id], f"held_lease_ids: expected the one running, got {held}"
    work.expect_output(await moved.outcome(attempt), {"held": 1_000})
    assert len(rig.dispatcher.links) == 1, "the worker came back to the dispatcher that is leaving"


@case
async def waits_between_attempts_to_connect(rig: Rig) -> None:
    """A dispatcher that refuses is not asked again without a pause, and found again when it is back."""
    link = await rig.connect()
    rig.dispatcher.refuse = grpc.StatusCode.UNAVAILABLE
    link.end()
    refused = rig.dispatcher.refused_at
    await rig.until(lambda: refused, "an attempt to connect")
    await rig.let_time_pass(_WITHIN_MS)
    assert len(refused) < _TOO_MANY, f"connected {len(refused)} times within {_WITHIN_MS} ms"
    rig.dispatcher.refuse = None
    await rig.execute_for(await rig.dispatcher.link(2), 1)


@case
async def a_refused_worker_ends(rig: Rig) -> None:
    """A worker whose first stream is refused as its own fault, token or Hello, ends with another status than 0."""
    for number, status in enumerate((grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT), 1):
        rig.dispatcher.refuse = status
        worker = await rig.start_worker(may_end=True)
        ended = await rig.end_of(worker)
        tries = len(rig.dispatcher.refused_at)
        assert tries == number, f"expected one stream that is refused with {status.name}, got {tries - number + 1}"
        assert ended != 0, f"expected another exit status than 0 after {status.name}"


@case
async def a_revoked_token_ends_the_worker(rig: Rig) -> None:
    """A stream that ends UNAUTHENTICATED is followed by one more; where that is refused the worker ends."""
    worker = await rig.start_worker(may_end=True)
    link = await rig.dispatcher.link(1)
    link = await rig.cut(link, grpc.StatusCode.UNAUTHENTICATED)
    await rig.execute_for(link, 1)
    rig.dispatcher.refuse = grpc.StatusCode.UNAUTHENTICATED
    link.end(grpc.StatusCode.UNAUTHENTICATED)
    ended = await rig.end_of(worker)
    assert ended != 0, "expected another exit status than 0"
    tries = len(rig.dispatcher.refused_at)
    assert tries == 1, f"expected one try with the refused token, got {tries}"


@case
async def needs_no_api_to_come_back(rig: Rig) -> None:
    """While the api is away, the dispatchers that it named last are tried."""
    link = await rig.connect()
    await rig.api.server.stop()
    await rig.execute_for(await rig.cut(link), 1)


@case
async def a_new_process_is_a_new_worker(rig: Rig) -> None:
    """After kill -9 the next process has another id, and holds nothing."""
    worker = await rig.start_worker()
    link = await rig.dispatcher.link(1)
    attempt = work.hold()
    link.assign(attempt)
    await link.acceptance(attempt)
    await worker.kill()
    await rig.start_worker()
    again = await rig.dispatcher.link(2)
    assert again.hello.worker_id != link.hello.worker_id, "worker_id: expected one of its own for each process"
    assert not again.hello.held_lease_ids, "held_lease_ids: expected none in a new process"
