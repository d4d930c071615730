"""run_submit: accepts runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE, flow_of
from windlass_core.domain.errors import StoreFull
from windlass_core.domain.phase import Phase
from windlass_core.randomness import mint_ids
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from tests.support.world import World


def _submission(run: str, *, spec: bytes = b"spec", flow: str = "", wait: bool = False) -> Submission:
    return Submission(run, spec, flow or flow_of(), 2, "v1", wait=wait)


async def test_a_run_waits_in_its_lane(world: World) -> None:
    """Nobody can take it yet."""
    (run,) = await world.submit()
    stored = (await world.shard.runs.get(NAMESPACE, [run]))[0]
    assert stored is not None
    assert (stored.phase, stored.attempt, stored.spec, stored.version) == (Phase.READY, 0, b"spec", "v1")
    assert stored.created_ms == stored.ready_ms > 0


async def test_an_empty_batch_changes_nothing(world: World) -> None:
    """Not even the index."""
    before = await world.look()
    assert await world.submit(0) == []
    assert set((await world.look()).values) == set(before.values)


async def test_a_thousand_runs_are_stored_at_once(world: World) -> None:
    """The largest batch, over several tasks, queues and levels."""
    ids = world.mint(1000)
    batch: list[Submission] = [
        Submission(run, b"spec", flow_of(f"t{i % 5}", f"q{i % 3}"), 1 + i % 4, "v1") for i, run in enumerate(ids)
    ]
    assert await world.shard.runs.submit(NAMESPACE, "a1", [], batch) == (0, {})
    s = await world.look()
    assert sum(len(s.zset(lane)) for lane in s.keys_of("lane")) == 1000
    assert len(s.keys_of("lane")) == 60


async def test_the_same_run_again_is_a_duplicate_and_changes_nothing(world: World) -> None:
    """Also within one batch, and after it has ended."""
    (run,) = world.mint()
    items = [_submission(run), _submission(run)]
    assert await world.shard.runs.submit(NAMESPACE, "a1", [], items) == (0, {1: "duplicate"})
    assert await world.shard.runs.submit(NAMESPACE, "a1", [], items[:1]) == (0, {0: "duplicate"})
    await world.connect()
    await world.match()
    await world.complete(run)
    assert await world.shard.runs.submit(NAMESPACE, "a1", [], items[:1]) == (0, {0: "duplicate"})
    assert await world.phase(run) == Phase.COMPLETED


@pytest.mark.parametrize("other", [{"spec": b"another"}, {"flow": flow_of("another")}])
async def test_an_id_of_another_content_is_taken(world: World, other: dict[str, str]) -> None:
    """Neither another spec nor another flow may stand under it."""
    (run,) = await world.submit()
    again = _submission(run, **other)  # type: ignore[arg-type] # one of the two
    assert await world.shard.runs.submit(NAMESPACE, "a1", [], [again]) == (0, {0: "taken"})
    assert await world.field(run, "b") == b"spec"


async def test_a_duplicate_of_an_ended_run_is_told_its_end(world: World) -> None:
    """A submit whose answer was lost is repeated by a client that waits."""
    (run,) = await world.running()
    await world.complete(run, output=b'"done"')
    _, verdicts = await world.shard.runs.submit(NAMESPACE, "a1", [], [_submission(run, wait=True)])
    assert verdicts == {0: "duplicate"}
    assert await world.outbox() == [[run.encode(), b"C", b'"done"', b"", b"", b"default"]]


async def test_a_duplicate_from_another_api_is_told_to_both(world: World) -> None:
    """Each api that waits hears of the end once."""
    await world.shard.processes.beat("api", "a2", "127.0.0.1:3", 60_000)
    await world.connect()
    (run,) = await world.submit(api="a1")
    for _ in range(2):
        await world.shard.runs.submit(NAMESPACE, "a2", [], [_submission(run, wait=True)])
    await world.match()
    await world.complete(run)
    assert len(await world.outbox("a1")) == len(await world.outbox("a2")) == 1


async def test_a_delayed_run_is_scheduled(world: World) -> None:
    """It is in no lane until its timer fires."""
    await world.connect()
    (run,) = await world.submit(delay_ms=60_000, leases=1)
    s = await world.look()
    assert s.phases()[run] == Phase.SCHEDULED
    assert s.zset("T")[f"ready:{run}"] == int(s.hash(f"r:{run}")["t"])
    assert int(s.hash(f"r:{run}")["t"]) == int(s.hash(f"r:{run}")["c"]) + 60_000


async def test_a_small_batch_is_matched_at_once(world: World) -> None:
    """Free workers, and a lease for each: no scheduler is needed."""
    await world.connect(slots=5)
    runs = await world.submit(5, leases=5)
    assert [attempt.run_id for _, attempt in await world.delivered()] == runs
    assert await world.phases(runs) == {Phase.LEASED}


async def test_what_does_not_fit_is_left_to_the_scheduler(world: World) -> None:
    """More runs than slots, or than leases."""
    await world.connect(slots=2)
    runs = await world.submit(5, leases=5)
    assert len(await world.delivered()) == 2
    assert await world.complete(*runs[:2]) == ["recorded", "recorded"]
    assert len(await world.delivered()) == 2


async def test_a_large_batch_wakes_the_scheduler_once(world: World) -> None:
    """It is not matched in the submit, which others wait behind."""
    await world.connect(slots=100)
    await world.submit(50)
    await world.submit(50)
    s = await world.look()
    assert s.list("wake") == ["1"]
    assert len(s.set("dirty")) == 1
    assert await world.delivered() == []


async def test_nobody_is_woken_where_no_worker_is_free(world: World) -> None:
    """An idle scheduler stays idle."""
    await world.submit(10)
    s = await world.look()
    assert not s.list("wake")
    assert not s.set("dirty")


async def test_the_attempt_carries_all_that_a_worker_needs(world: World) -> None:
    """One hop from submit to worker."""
    await world.connect()
    (run,) = await world.submit(leases=1, timeout_ms=7_000, spec=b"a spec")
    ((worker, attempt),) = await world.delivered()
    assert worker == "w1"
    assert (attempt.run_id, attempt.number, attempt.flow, attempt.version) == (run, 1, flow_of(), "v1")
    assert (attempt.spec, attempt.execution_timeout_ms, attempt.cancelled) == (b"a spec", 7_000, False)
    assert attempt.lease_id == await world.lease(run)
    assert attempt.failures == []


async def test_a_large_spec_travels_as_a_reference(world: World) -> None:
    """Over 4 KiB it is not copied into the inbox; the dispatcher reads it from the run."""
    await world.connect()
    small, large = b"x" * 4096, b"x" * 4097
    await world.submit(leases=1, spec=small)
    (run,) = await world.submit(leases=1, spec=large)
    specs = [(attempt.spec, attempt.spec_bytes) for _, attempt in await world.delivered()]
    assert specs == [(small, 4096), (None, 4097)]
    assert await world.shard.runs.specs([run]) == [large]


async def test_the_child_of_a_cancelled_run_is_cancelled(world: World) -> None:
    """It was under way when its parent was cancelled; nobody has to run it."""
    (parent,) = await world.running()
    await world.cancel(parent, reason="enough")
    (child,) = await world.submit(parent=parent, api="a1")
    assert await world.phase(child) == Phase.CANCELLED
    assert await world.outbox() == [[child.encode(), b"X", b"", b"", b"enough", b"default"]]


async def test_a_parent_that_is_gone_leaves_no_trace(world: World) -> None:
    """A key of its children would stay for ever."""
    (unknown,) = world.mint()
    (run,) = await world.submit(parent=unknown)
    s = await world.look()
    assert not s.keys_of("children")
    assert s.hash(f"r:{run}")["pa"] == unknown.encode()


async def test_a_full_store_refuses_new_runs_and_ends_old_ones(world: World) -> None:
    """Memory comes back only if what is there can end."""
    leases = await world.running(2)
    (first, second) = leases
    await world.shard.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await world.submit()
        with pytest.raises(StoreFull):
            await world.shard.runs.log([(first, leases[first], [b"line"])])
        with pytest.raises(StoreFull):
            await world.shard.definitions.register(NAMESPACE, [("new", "v1", b"", [])])
        assert await world.shard.workers.heartbeat(15_000, [("w1", world.sessions["w1"], [])]) == [[]]
        assert await world.complete(first) == ["recorded"]
        assert await world.fail(second) == "recorded"
        assert await world.match() == 1
        assert await world.cancel(second) == ["requested"]
        assert await world.shard.runs.expire(-1, 10) == (1, False)
    finally:
        await world.shard.redis.config_set("maxmemory", 0)
    await world.submit()


async def test_an_ended_api_is_told_nothing(world: World) -> None:
    """Its box is gone, and none is made."""
    await world.connect()
    (run,) = await world.submit(api="a1")
    await world.match()
    await world.shard.processes.leave("api", "a1")
    await world.complete(run)
    assert not (await world.look()).keys_of("outbox")


async def test_more_leases_than_runs_are_no_harm(world: World) -> None:
    """Those left over are forgotten."""
    await world.connect(slots=50)
    await world.shard.runs.submit(NAMESPACE, "a1", mint_ids(32), [_submission(world.mint()[0])])
    assert len((await world.look()).hash("att:w1")) == 1


async def test_a_parent_of_another_namespace_is_none(world: World) -> None:
    """Its children are not counted, and why it was cancelled is not told."""
    (parent,) = await world.submit(1, namespace="acme")
    before = (await world.look()).values
    (child,) = await world.submit(1, namespace="evil", parent=parent, api="a1")
    assert "k:" + parent not in (await world.look()).values
    assert before["r:" + parent] == (await world.look()).values["r:" + parent]
    await world.shard.runs.cancel("acme", "a secret", [parent])
    (later,) = await world.submit(1, namespace="evil", parent=parent, api="a1")
    assert await world.phases([child, later]) == {Phase.READY}
    assert await world.outbox() == []


async def test_the_id_of_another_namespaces_run_is_taken(world: World) -> None:
    """Whatever the content: nothing is changed, and nobody hears of its end."""
    (run,) = await world.submit(1, namespace="acme")
    before = (await world.look()).values["r:" + run]
    flow = flow_of(namespace="evil")
    same = Submission(run, b"spec", flow, 2, "v1", wait=True)
    _epoch, verdicts = await world.shard.runs.submit("evil", "a1", [], [same])
    assert verdicts == {0: "taken"}
    assert (await world.look()).values["r:" + run] == before
    await world.shard.runs.cancel("acme", "stop", [run])
    assert await world.outbox() == []
