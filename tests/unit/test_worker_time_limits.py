"""The timers of an attempt, on a loop whose time is the test's; and asking for more of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.attempts import Attempts
from tests.support.worker_session import Peer
from windlass import Context, InvalidInput, InvalidTask, Windlass
from windlass.worker.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable


class _Loop:
    """Notes what is to be called, and when."""

    def __init__(self) -> None:
        self.timers: dict[float, Callable[[], object]] = {}

    def call_later(self, seconds: float, call: Callable[[], object]) -> Any:
        """Note it; cancelling takes it out again."""
        self.timers[seconds] = call

        class Handle:
            def cancel(self, timers: dict[float, Any] = self.timers) -> None:
                timers.pop(seconds, None)

        return Handle()

    def call_soon_threadsafe(self, call: Callable[..., None], *args: Any) -> None:
        """Do it now."""
        call(*args)

    def is_closed(self) -> bool:
        """It lives."""
        return False


def _limits(execution: float, soft: float) -> tuple[_Loop, TimeLimits, list[str]]:
    loop, said = _Loop(), []
    limits = TimeLimits(
        cast("asyncio.AbstractEventLoop", loop),
        execution,
        soft,
        lambda: said.append("stop"),
        lambda: said.append("tell"),
    )
    return loop, limits, said


def test_only_the_limits_that_there_are_have_timers() -> None:
    """To the millisecond."""
    assert set(_limits(0.25, 0)[0].timers) == {0.25}
    assert set(_limits(0, 0.25)[0].timers) == {0.25}
    loop, _, said = _limits(0.25, 0.1)
    for call in loop.timers.values():
        call()
    assert said == ["stop", "tell"]


def test_more_time_moves_both_and_keeps_their_distance() -> None:
    """Also when there is less of it than that: then the task is told at once."""
    loop, limits, _ = _limits(30, 25)
    limits.refresh(60)
    assert set(loop.timers) == {60, 55}
    limits.refresh(3)
    assert set(loop.timers) == {3, 0.0}


def test_a_task_is_told_once_however_often_it_asks_for_more() -> None:
    """It knows by then."""
    loop, limits, said = _limits(30, 25)
    loop.timers.pop(25)()
    limits.refresh(60)
    assert (set(loop.timers), said) == ({60}, ["tell"])


def test_a_soft_timeout_alone_is_the_one_that_moves() -> None:
    """No other limit comes from asking."""
    loop, limits, _ = _limits(0, 25)
    limits.refresh(60)
    assert set(loop.timers) == {60}


def test_an_attempt_that_has_ended_gets_no_more_time() -> None:
    """A thread that was given up on may still ask."""
    loop, limits, _ = _limits(30, 25)
    limits.cancel()
    limits.refresh(60)
    assert not loop.timers


@pytest.mark.parametrize("name", ["on_loop", "on_thread"])
async def test_an_attempt_that_asks_is_stopped_when_the_new_time_is_over(app: Windlass, name: str) -> None:
    """The engine hears of it; what counts is the last that was asked for."""

    @app.task
    async def on_loop(ctx: Context) -> None:
        await ctx.aio_refresh_timeout("1h")
        await ctx.aio_refresh_timeout(0.02)
        await asyncio.Event().wait()

    @app.task
    def on_thread(ctx: Context) -> None:
        ctx.refresh_timeout("1h")
        ctx.refresh_timeout("20ms")
        while True:
            sum(range(100))

    attempts = Attempts(app)
    failure = await attempts.fail(name, execution_timeout_ms=600_000)
    assert (failure.type, "0.02 s" in failure.message) == ("ExecutionTimeout", True)
    assert [timeout_ms for _, timeout_ms in attempts.more_time] == [3_600_000, 20]


async def test_an_attempt_without_a_limit_gets_none(app: Windlass) -> None:
    """Nobody is told of anything."""

    @app.task
    async def endless(ctx: Context) -> str:
        ctx.refresh_timeout(0.001)
        await asyncio.sleep(0.01)
        return "done"

    attempts = Attempts(app)
    assert await attempts.complete("endless") == b'"done"'
    assert attempts.more_time == []


@pytest.mark.parametrize("wrong", [0, -1, "soon", None, float("inf")])
def test_more_time_has_to_be_a_length_of_time(app: Windlass, wrong: Any) -> None:
    """Said at the call."""

    @app.task
    def task(ctx: Context) -> None:
        ctx.refresh_timeout(wrong)

    with pytest.raises(InvalidInput, match="duration"):
        task.mock_run()


def test_a_mocked_run_has_all_the_time(app: Windlass) -> None:
    """Asking for more does nothing."""

    @app.task(execution_timeout=5)
    def task(ctx: Context) -> str:
        ctx.refresh_timeout("5m")
        return "done"

    assert task.mock_run() == "done"


@pytest.mark.parametrize("soft", [5, "5s", 6])
def test_a_soft_timeout_that_is_no_shorter_is_refused(app: Windlass, soft: Any) -> None:
    """At decoration, with both."""
    with pytest.raises(InvalidTask, match=r"soft_timeout=.*execution_timeout=5"):

        @app.task(execution_timeout=5, soft_timeout=soft)
        def task() -> None: ...


def test_limits_reach_the_definition_to_the_millisecond(app: Windlass) -> None:
    """Below a second too."""

    @app.task(execution_timeout=0.25, soft_timeout="100ms", schedule_timeout="PT0.25S")
    def task() -> None: ...

    (definition,) = task.definition().tasks
    told = (definition.execution_timeout_ms, definition.soft_timeout_ms, definition.schedule_timeout_ms)
    assert told == (250, 100, 250)


# --- What the session says of it


def test_more_time_is_told_once_and_only_the_newest() -> None:
    """With what is left of it when it goes out."""
    peer = Peer.connected()
    peer.assign("a", "b")
    peer.session.refreshed("a", "run", 9_000)
    peer.session.refreshed("a", "run", 5_000)
    peer.now += 1.5
    peer.session.refreshed("b", "run", 5_000)
    (request, *_) = peer.session.outgoing()
    assert [(each.lease_id, each.execution_timeout_ms) for each in request.report.refreshed] == [
        ("a", 3_500),
        ("b", 5_000),
    ]
    assert not any(request.report.refreshed for request in peer.session.outgoing())


def test_more_time_is_told_again_after_a_welcome() -> None:
    """For what still executes; what is over by now has a millisecond."""
    peer = Peer.connected()
    peer.assign("a", "b", "c")
    for lease_id in ("a", "b", "c"):
        peer.session.refreshed(lease_id, "run", 5_000)
    peer.session.outgoing()
    peer.complete("c")
    peer.session.disconnect()
    peer.session.connect()
    peer.now += 9
    peer.welcome(["b"])
    told = [each for request in peer.session.outgoing() for each in request.report.refreshed]
    assert [(each.lease_id, each.execution_timeout_ms) for each in told] == [("a", 1)]


def test_an_attempt_that_is_not_ours_asks_in_vain() -> None:
    """Its lease was lost, or it has ended."""
    peer = Peer.connected()
    peer.assign("a")
    peer.session.refreshed("a", "run", 5_000)
    peer.complete("a")
    peer.session.refreshed("a", "run", 5_000)
    assert not any(request.report.refreshed for request in peer.session.outgoing())
