"""hooks_due and hooks_start: the end of a run that a hook follows becomes one more run."""

import pytest

from tests.support.world import NAMESPACE, World, flow_of, plain_hook
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand
from windlass_core.store.hooks import HookStart

BOTH = {"hk": "FC"}


async def test_the_end_that_a_hook_follows_is_owed_one_with_all_that_it_is_to_know(world: World) -> None:
    """Its spec, its output or its last failure, and when it was ready."""
    (done, failed) = await world.running(2, more=BOTH)
    await world.complete(done, output=b'"out"')
    await world.fail(failed, "dead", failure=b"broke")
    assert (await world.shard.scheduling.fire()).hooks_are_due
    owed, more = await world.shard.hooks.owed()
    assert not more
    by_run = {each.run_id: each for each in owed}
    assert (by_run[done].phase, by_run[done].output, by_run[done].failure) == (Phase.COMPLETED, b'"out"', None)
    failure = by_run[failed].failure
    assert failure is not None
    assert (by_run[failed].phase, by_run[failed].output, failure.body) == (Phase.FAILED, b"", b"broke")
    assert {(each.spec, each.version, each.replays) for each in owed} == {(b"spec", "v1", 0)}


async def test_only_the_ends_that_have_a_hook_are_owed_one(world: World) -> None:
    """A run without any, an end of the other kind, a cancelled run: none."""
    (plain,) = await world.running()
    (done,) = await world.running(more={"hk": "F"})
    (failed,) = await world.running(more={"hk": "C"})
    (cancelled,) = await world.running(more=BOTH)
    waiting = await world.submit(more=BOTH, task="nobody's")
    await world.cancel(cancelled, *waiting)
    await world.complete(plain, done, cancelled)
    await world.fail(failed, "dead")
    assert await world.shard.hooks.owed() == ([], False)
    assert not (await world.shard.scheduling.fire()).hooks_are_due


async def test_a_hook_is_started_once_and_its_run_is_known(world: World) -> None:
    """It is ready at once, and whoever starts it again starts nothing."""
    (run,) = await world.running(more=BOTH)
    await world.complete(run)
    owed, _more = await world.shard.hooks.owed()
    starts = [plain_hook(each) for each in owed]
    assert await world.shard.hooks.start(starts) == [True]
    await world.shard.hooks.start(starts)
    (hook,) = [each for each in (await world.look()).phases() if each != run]
    assert await world.field(run, "hr") == hook.encode()
    assert await world.match() == 1
    assert await world.phase(hook) is Phase.LEASED
    assert "hooks:" not in (await world.look()).zset("T")


async def test_a_hook_has_no_hook(world: World) -> None:
    """Its end is owed nothing."""
    (run,) = await world.running(more=BOTH)
    await world.complete(run)
    hooks = await world.start_hooks()
    await world.match()
    await world.complete(*hooks)
    assert await world.start_hooks() == {}


async def test_a_hook_waits_where_its_run_did(world: World) -> None:
    """Before what was submitted after its run."""
    await world.connect(slots=1)
    (run,) = await world.running(more=BOTH)
    later = await world.submit(3)
    await world.fail(run, "dead")
    (hook,) = await world.start_hooks()
    lane = (await world.look()).zset(f"q:{flow_of()}/2")
    assert list(lane) == [hook, *later]


async def test_a_replay_takes_the_end_back_and_its_next_end_has_a_hook_of_its_own(world: World) -> None:
    """A hook that was not started yet is none any more; that of the former end stays what it is."""
    (run,) = await world.running(more=BOTH)
    await world.fail(run, "dead")
    owed, _more = await world.shard.hooks.owed()
    await world.shard.runs.replay(NAMESPACE, [run])
    assert await world.shard.hooks.start([plain_hook(each) for each in owed]) == [False]
    assert await world.start_hooks() == {}
    await world.match()
    await world.fail(run, "dead")
    first = await world.start_hooks()
    await world.shard.runs.replay(NAMESPACE, [run])
    assert await world.field(run, "hr") is None
    await world.match()
    await world.fail(run, "dead")
    second = await world.start_hooks()
    assert first.keys() != second.keys()
    assert set(first.values()) | set(second.values()) == {run}


async def test_what_was_read_before_a_replay_starts_nothing_of_the_end_after_it(world: World) -> None:
    """And the later end's hook stays owed."""
    (run,) = await world.running(more=BOTH)
    await world.fail(run, "dead")
    stale, _more = await world.shard.hooks.owed()
    await world.shard.runs.replay(NAMESPACE, [run])
    await world.match()
    await world.fail(run, "dead")
    assert await world.shard.hooks.start([plain_hook(each) for each in stale]) == [False]
    assert [each.replays for each in (await world.shard.hooks.owed())[0]] == [1]


async def test_the_hook_of_a_deleted_run_is_forgotten(world: World) -> None:
    """Before it is read, and after."""
    (early, late) = await world.running(2, more=BOTH)
    for run in (early, late):
        await world.fail(run, "dead")
    owed, _more = await world.shard.hooks.owed()
    await world.shard.runs.delete(NAMESPACE, [early])
    assert sorted(await world.shard.hooks.start([plain_hook(each) for each in owed])) == [False, True]
    assert await world.shard.hooks.owed() == ([], False)


async def test_a_version_that_knows_of_no_hook_owes_none(world: World) -> None:
    """The run is not asked for again."""
    (run,) = await world.running(more={"hk": "C"})
    await world.complete(run)
    await world.shard.redis.hset(world.shard.keys.run(run), "hk", "")
    assert await world.shard.hooks.start([HookStart(run, 0, None)]) == [False]
    assert await world.shard.hooks.owed() == ([], False)


async def test_the_timer_stays_until_all_are_started(world: World) -> None:
    """A scheduler that dies after it was told has lost nothing."""
    runs = await world.running(3, more=BOTH)
    await world.complete(*runs)
    assert (await world.shard.scheduling.fire()).hooks_are_due
    assert not (await world.shard.scheduling.fire()).hooks_are_due
    await world.make_due("hooks")
    assert (await world.shard.scheduling.fire()).hooks_are_due
    assert len(await world.start_hooks()) == 3
    assert not (await world.shard.scheduling.fire()).hooks_are_due


@pytest.mark.parametrize("charged", [True, False])
async def test_a_run_that_dies_with_its_worker_too_often_is_owed_its_hook(world: World, charged: bool) -> None:
    """Whether the worker told of the crash, or was found dead."""
    (run,) = await world.running(more=BOTH)
    for _ in range(3):
        if charged:
            await world.fail(run, "crash")
        else:
            await world.expire_session("w1")
            await world.reap()
            await world.connect()
        await world.match()
        await world.shard.runs.accept([(run, await world.lease(run))])
    assert await world.phase(run) is Phase.FAILED
    assert len(await world.start_hooks()) == 1


async def test_a_run_whose_worker_is_gone_for_good_is_owed_its_hook(world: World) -> None:
    """It fails without having been given out."""
    await world.connect("w1")
    (run,) = await world.submit(demand=Demand(worker="w1", hard=True), more=BOTH)
    await world.expire_session("w1")
    await world.reap()
    await world.match()
    assert await world.phase(run) is Phase.FAILED
    assert len(await world.start_hooks()) == 1


async def test_a_run_that_was_refused_and_replayed_ends_with_its_hook(world: World) -> None:
    """What belongs to a run is kept whatever becomes of it, its execution timeout too."""
    gate = ["c", f"{NAMESPACE}|t|t0|k", 1, "cn", "t"]
    (holder,) = await world.running(gates=[gate])
    (run,) = await world.submit(gates=[gate], more=BOTH, timeout_ms=9_000)
    assert await world.phase(run) is Phase.CANCELLED
    await world.complete(holder)
    await world.shard.runs.replay(NAMESPACE, [run])
    await world.inbox()
    await world.match()
    ((_worker, attempt),) = await world.delivered()
    assert (attempt.run_id, attempt.execution_timeout_ms) == (run, 9_000)
    await world.complete(run)
    assert len(await world.start_hooks()) == 1


async def test_many_ends_come_in_pages(world: World) -> None:
    """Of so many runs, or so many bytes of inputs and outputs, but one at the least."""
    await world.connect(slots=300)
    runs = list(await world.leased(250, more=BOTH))
    await world.complete(*runs)
    owed, more = await world.shard.hooks.owed()
    assert (len(owed), more) == (200, True)
    (large,) = await world.leased(more=BOTH)
    await world.complete(large, output=b'"%b"' % (b"x" * 5_000_000))
    assert len(await world.start_hooks()) == 251
