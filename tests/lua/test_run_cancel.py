"""run_cancel: cancels runs, in whatever phase they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_run_that_waits_is_cancelled_at_once(world: World) -> None:
    """Also with no worker online; its lane and its timers are gone."""
    (run,) = await world.submit(api="a1", expires_ms=60_000)
    assert await world.cancel(run, reason="stop") == ["cancelled"]
    assert await world.outbox() == [[run.encode(), b"X", b"", b"", b"stop", b"default"]]
    s = await world.look()
    assert s.phases()[run] == Phase.CANCELLED
    assert not s.zset("T")
    assert not s.keys_of("lane")


async def test_a_scheduled_run_is_cancelled_at_once(world: World) -> None:
    """Its timer goes with it."""
    (run,) = await world.submit(delay_ms=60_000, expires_ms=90_000)
    assert await world.cancel(run) == ["cancelled"]
    assert not (await world.look()).zset("T")


async def test_a_run_in_backoff_is_cancelled_at_once(world: World) -> None:
    """There will be no further attempt; its history stays."""
    (run,) = await world.running()
    await world.fail(run, delay_ms=60_000)
    assert await world.cancel(run) == ["cancelled"]
    assert await world.phase(run) == Phase.CANCELLED
    assert len(await world.shard.runs.failures(run)) == 1


@pytest.mark.parametrize("accepted", [False, True])
async def test_the_worker_of_a_run_is_told(world: World, accepted: bool) -> None:
    """The run ends when the worker says so."""
    ((run, lease),) = (await (world.running() if accepted else world.leased())).items()
    await world.inbox()
    assert await world.cancel(run, reason="stop") == ["requested"]
    session = world.sessions["w1"].encode()
    assert await world.inbox() == [[b"cancel", b"w1", session, [lease.encode()], b"stop"]]
    assert not (await world.phase(run)).terminal
    stored = (await world.shard.runs.get(NAMESPACE, [run]))[0]
    assert stored is not None
    assert stored.cancel_reason == "stop"


async def test_asking_again_keeps_the_first_reason_and_tells_again(world: World) -> None:
    """The first telling may have been lost with its dispatcher."""
    (run,) = await world.running()
    await world.inbox()
    assert await world.cancel(run, reason="first") == ["requested"]
    assert await world.cancel(run, reason="second") == ["requested"]
    assert len(await world.inbox()) == 2
    await world.complete(run)
    assert await world.field(run, "cx") == b"first"


async def test_an_ended_run_is_not_changed(world: World) -> None:
    """However it ended."""
    done, failed, cancelled = runs = list(await world.running(3))
    await world.complete(done)
    await world.fail(failed, "dead")
    await world.cancel(cancelled, reason="first")
    await world.complete(cancelled)
    before = [(await world.look()).hash(f"r:{run}") for run in runs]
    assert await world.cancel(*runs, reason="second") == ["ended"] * 3
    assert [(await world.look()).hash(f"r:{run}") for run in runs] == before


async def test_unknown_runs_are_told_apart(world: World) -> None:
    """Those that never were, and those of another namespace."""
    (mine,) = await world.submit()
    (other,) = await world.submit(namespace="other")
    (never,) = world.mint()
    assert await world.cancel(never, other, mine, mine) == ["unknown", "unknown", "cancelled", "ended"]
    assert await world.phase(other) == Phase.READY


async def test_a_thousand_waiting_runs_are_cancelled_at_once(world: World) -> None:
    """In several lanes, some of which stay."""
    gone = [*await world.submit(500), *await world.submit(499, level=4), *await world.submit(1, task="other")]
    kept = await world.submit(2)
    assert await world.cancel(*gone) == ["cancelled"] * 1000
    await world.connect()
    assert await world.match() == 2
    assert await world.phases(kept) == {Phase.LEASED}


async def test_nothing_to_cancel_changes_nothing(world: World) -> None:
    """An empty batch."""
    assert await world.cancel() == []


@pytest.mark.parametrize("state", ["ready", "running", "backoff"])
async def test_children_are_cancelled_too(world: World, state: str) -> None:
    """Whatever the parent is doing, and down to grandchildren."""
    (parent,) = await world.running()
    (child,) = await world.submit(parent=parent)
    (grandchild,) = await world.submit(parent=child, task="other", delay_ms=60_000)
    if state == "ready":
        await world.fail(parent, "release")
    elif state == "backoff":
        await world.fail(parent, delay_ms=60_000)
    await world.cancel(parent, reason="stop")
    assert await world.phase(child) == Phase.READY
    await world.fire()
    assert await world.phases([child, grandchild]) == {Phase.CANCELLED}
    assert [await world.field(run, "cx") for run in (child, grandchild)] == [b"stop", b"stop"]


async def test_running_children_are_told(world: World) -> None:
    """Like any run that a worker has."""
    (parent,) = await world.running()
    await world.running(worker="w2", parent=parent)
    await world.inbox()
    await world.cancel(parent)
    await world.fire()
    assert [entry[:2] for entry in await world.inbox()] == [[b"cancel", b"w1"], [b"cancel", b"w2"]]


async def test_many_children_are_cancelled_in_pages(world: World) -> None:
    """No script works for long: 200 at a time."""
    (parent,) = await world.running()
    children = await world.submit(450, parent=parent, task="other")
    await world.cancel(parent)
    counts = []
    while (await world.shard.scheduling.fire()).count:
        counts.append(list((await world.look()).phases().values()).count(Phase.CANCELLED))
    assert counts == [200, 400, 450]
    assert await world.phases(children) == {Phase.CANCELLED}


async def test_children_that_have_expired_stay_gone(world: World) -> None:
    """Their parent went on for longer than they were kept."""
    (parent,) = await world.running()
    (child,) = await world.submit(parent=parent, task="other")
    await world.cancel(child)
    await world.shard.runs.expire(-1, 10)
    await world.cancel(parent)
    await world.fire()
    assert set((await world.look()).phases()) == {parent}


async def test_nothing_is_put_into_the_box_of_a_dead_dispatcher(world: World) -> None:
    """The worker hears of it when it is back: see worker_hello."""
    (run,) = await world.running()
    await world.shard.processes.leave("dispatcher", "d1")
    assert await world.cancel(run) == ["requested"]
    assert not (await world.look()).keys_of("inbox")
