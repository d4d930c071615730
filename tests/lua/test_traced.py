"""What scripts note of runs whose trace is recorded, and tell whoever had them called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from windlass_core.store.scripts import Watcher

if TYPE_CHECKING:
    from tests.support.world import World

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


class _Noting(Watcher):
    """Keeps (what, run, attempt) of the notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int]] = []

    @override
    def traced(self, notes: list[list[Any]]) -> None:
        for what, run, traceparent, flow, attempt, since_ms, until_ms in notes:
            assert (traceparent.decode(), flow) == (TRACE, b"default|default|t")
            assert 0 < since_ms <= until_ms
            self.notes.append((what.decode(), run.decode(), attempt))

    def take(self) -> list[tuple[str, str, int]]:
        """What has been noted since the last time."""
        notes, self.notes = self.notes, []
        return notes


@pytest.fixture
def noting(world: World) -> _Noting:
    """Give a watcher of the world's scripts."""
    noting = _Noting()
    world.shard.scripts.watcher = noting
    return noting


async def test_whoever_gives_a_run_out_hears_how_long_it_was_queued(world: World, noting: _Noting) -> None:
    """A submit that matches at once, a completion that frees the slot, else the scheduler."""
    await world.connect(slots=1)
    (first,) = await world.submit(trace=TRACE, leases=1)
    assert noting.take() == [("queue", first, 1)]
    second, third = await world.submit(2, trace=TRACE)
    assert noting.take() == []
    await world.complete(first)
    assert noting.take() == [("queue", second, 1)]
    await world.connect("w2", slots=1)
    await world.match()
    assert noting.take() == [("queue", third, 1)]


async def test_the_timer_of_a_retry_tells_the_backoff(world: World, noting: _Noting) -> None:
    """And the next attempt is queued with its own number."""
    (run,) = await world.running(trace=TRACE)
    noting.take()
    await world.fail(run, delay_ms=60_000)
    assert noting.take() == []
    await world.make_due("ready")
    await world.fire()
    assert noting.take() == [("backoff", run, 1)]
    await world.match()
    assert noting.take() == [("queue", run, 2)]


async def test_the_timer_of_a_delay_tells_it(world: World, noting: _Noting) -> None:
    """From the accept."""
    (run,) = await world.submit(trace=TRACE, delay_ms=60_000)
    await world.make_due("ready")
    await world.fire()
    assert noting.take() == [("delay", run, 0)]


async def test_an_attempt_that_was_lost_is_told_by_whoever_took_it_back(world: World, noting: _Noting) -> None:
    """Its worker can't any more."""
    (run,) = await world.running(trace=TRACE)
    noting.take()
    await world.expire_session("w1")
    await world.reap()
    assert noting.take() == [("lost", run, 1)]


async def test_nothing_is_noted_of_all_others(world: World, noting: _Noting) -> None:
    """Nor kept with them."""
    (run,) = await world.running()
    await world.fail(run)
    await world.match()
    await world.complete(run)
    assert noting.take() == []
    assert "tp" not in (await world.look()).hash(f"r:{run}")
