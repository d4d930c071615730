"""An attempt that goes on without its slot: what the worker starts in its place, and what the engine is told."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.attempts import Attempts
from tests.support.scripted_dispatcher import assignment
from tests.support.until import until
from tests.support.worker_session import Peer
from windlass import Context, Windlass
from windlass.v1 import dispatch_pb2
from windlass.worker.outbox import ENTRY_BYTES, MESSAGE_BYTES, Outbox
from windlass.worker.processes.child_process import ChildProcess, State
from windlass.worker.processes.sharing import Sharing
from windlass.worker.threads import PoolThread, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def app() -> Windlass:
    """An app that never connects."""
    return Windlass()


# --- What the worker starts ----------------------------------------------------------------------


async def test_what_waits_for_a_slot_begins_when_one_is_released(app: Windlass) -> None:
    """The attempt goes on beside it; what comes after that waits as before."""
    begun: list[int] = []
    go, second = asyncio.Event(), asyncio.Event()

    @app.task
    async def work(ctx: Context, number: int, *, gives_way: bool) -> int:
        begun.append(number)
        if gives_way:
            await ctx.aio_release_slot()
            await ctx.aio_release_slot()
        else:
            second.set()
        await go.wait()
        return number

    attempts = Attempts(app, slots=1)
    first = attempts.start("work", b'{"number": 1, "gives_way": true}')
    others = [attempts.start("work", b'{"number": %d, "gives_way": false}' % number) for number in (2, 3)]
    await second.wait()
    assert begun == [1, 2]
    assert attempts.slotless == [first.lease_id]
    go.set()
    for work_given in (first, *others):
        await attempts.outcome(work_given)
    assert begun == [1, 2, 3]


async def test_a_sync_task_without_a_slot_leaves_its_thread_to_nobody(app: Windlass) -> None:
    """There is one thread more while it executes, and no more than slots afterwards."""
    go, at_once, most = threading.Event(), [0], [0]

    @app.task
    def work(ctx: Context) -> None:
        if ctx.workflow_input.get("gives_way"):
            ctx.release_slot()
            go.wait(30)
            return
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        at_once[0] -= 1
        go.set()

    attempts = Attempts(app, slots=1)
    first = attempts.start("work", b'{"gives_way": true}')
    await attempts.run("work")
    await attempts.outcome(first)
    rest = [assignment("work") for _ in range(20)]
    attempts.runner.start(rest)
    for each in rest:
        await attempts.outcome(each)
    assert most == [1]


async def test_one_that_ends_without_a_slot_frees_none(app: Windlass) -> None:
    """However it ends: of what waits one begins for each slot."""
    executing: set[int] = set()
    go = asyncio.Event()

    @app.task
    async def fail(ctx: Context) -> None:
        ctx.release_slot()
        raise RuntimeError

    @app.task
    async def work(number: int) -> None:
        executing.add(number)
        await go.wait()

    attempts = Attempts(app, slots=2)
    for _ in range(5):
        await attempts.fail("fail")
    given = [attempts.start("work", b'{"number": %d}' % number) for number in range(5)]
    await attempts.fail("unknown")
    assert executing == {0, 1}
    go.set()
    for each in given:
        await attempts.outcome(each)


async def test_one_that_was_stopped_can_no_longer_release_its_slot(app: Windlass) -> None:
    """A thread that was given up on may still say so: its slot was given to the next long before."""
    stuck, say, said = threading.Event(), threading.Event(), threading.Event()
    begun: list[int] = []
    go = asyncio.Event()

    @app.task
    def slow(ctx: Context) -> None:
        stuck.set()
        try:
            say.wait(30)
        finally:
            ctx.release_slot()
            said.set()

    @app.task
    async def work(number: int) -> None:
        begun.append(number)
        await go.wait()

    attempts = Attempts(app, slots=1)
    lost = attempts.start("slow")
    await asyncio.to_thread(stuck.wait, 30)
    attempts.runner.stop([lost.lease_id], "lost")
    given = [attempts.start("work", b'{"number": %d}' % number) for number in range(3)]
    say.set()
    await asyncio.to_thread(said.wait, 30)
    await attempts.fail("unknown")
    assert begun == [0]
    go.set()
    for each in given:
        await attempts.outcome(each)


async def test_a_mocked_run_has_no_slot_to_release(app: Windlass) -> None:
    """Nothing comes of it."""

    @app.task
    async def work(ctx: Context) -> str:
        ctx.release_slot()
        return "done"

    assert await work.aio_mock_run() == "done"


def test_a_pool_that_was_widened_is_narrowed_as_threads_end() -> None:
    """A job is never left for want of one that may wait for it."""
    begun, done = threading.Semaphore(0), threading.Semaphore(0)

    def execute(job: Callable[[], Any], _thread: PoolThread[Callable[[], Any]]) -> None:
        begun.release()
        job()
        done.release()

    first, second = threading.Event(), threading.Event()
    pool: ThreadPool[Callable[[], Any]] = ThreadPool(1, execute)
    pool.submit(lambda: first.wait(30))
    pool.submit(lambda: second.wait(30))
    assert begun.acquire(timeout=30)
    assert not begun.acquire(blocking=False)
    pool.widen()
    assert begun.acquire(timeout=30)
    pool.narrow()
    for event in (second, first):
        event.set()
        assert done.acquire(timeout=30)
    until(lambda: pool._active == 1, "the thread too many has ended")
    pool.submit(lambda: None)
    assert done.acquire(timeout=30)
    pool.close()


def test_a_child_whose_attempts_released_their_slots_has_less_to_do() -> None:
    """The next attempt is its; between two that have the same besides, they count."""
    children = [ChildProcess(number, cast("Any", None), cast("Any", None), solo=False) for number in (1, 2)]
    for child in children:
        child.state = State.READY
    waiting, busy = children
    waiting.holds = {lease: dispatch_pb2.Assignment() for lease in "abc"}
    waiting.slotless = set("abc")
    busy.holds = {"d": dispatch_pb2.Assignment()}
    sharing = Sharing(0)
    sharing.add([assignment("t")])
    assert list(sharing.share_out(children, ())) == [waiting]
    busy.slotless = {"d"}
    sharing.add([assignment("t")])
    assert list(sharing.share_out(children, ())) == [busy]


# --- What the engine is told ---------------------------------------------------------------------


def _released(peer: Peer) -> list[str]:
    return [each.lease_id for request in peer.session.outgoing() for each in request.report.released_slots]


def test_the_engine_is_told_at_once_and_again_after_each_welcome() -> None:
    """As long as the attempt is held: what was said on a stream that broke may not have come."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.session.slot_released("a", "run-a")
    assert _released(peer) == ["a"]
    assert _released(peer) == []
    for _ in range(2):
        peer.session.disconnect()
        peer.session.connect()
        assert _released(peer) == []
        peer.welcome()
        assert _released(peer) == ["a"]
    peer.complete("a")
    peer.session.disconnect()
    peer.session.connect()
    peer.welcome()
    assert _released(peer) == []


def test_a_slot_is_released_before_the_next_welcome_too() -> None:
    """It waits for it."""
    peer = Peer.connected()
    peer.assign("a")
    peer.session.disconnect()
    peer.session.slot_released("a", "run-a")
    peer.session.connect()
    peer.session.slot_released("a", "run-a")
    peer.welcome()
    assert _released(peer) == ["a"]


def test_what_is_not_held_has_no_slot_to_release() -> None:
    """Lost with a Welcome, lost with a heartbeat, ended, or never ours."""
    peer = Peer.connected()
    peer.assign("a", "b", "c")
    for lease in "abc":
        peer.session.slot_released(lease, f"run-{lease}")
    peer.complete("a")
    peer.session.slot_released("a", "run-a")
    peer.session.slot_released("x", "run-x")
    assert _released(peer) == ["b", "c"]
    peer.session.disconnect()
    peer.session.connect()
    peer.welcome(lost=["b"])
    assert _released(peer) == ["c"]


def test_very_many_go_into_several_messages() -> None:
    """Each as large as it may be."""
    outbox, at_once = Outbox(0), MESSAGE_BYTES // ENTRY_BYTES
    for number in range(at_once + 1):
        outbox.add_slot_release(f"l{number}", f"r{number}")
    assert [len(request.report.released_slots) for request in outbox.take(0)] == [at_once, 1]
