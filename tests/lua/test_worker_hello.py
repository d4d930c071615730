"""worker_hello: a worker has connected, and its state is made true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import to_failure
from windlass_core.store.scripts import unpack
from windlass_core.store.workers import Enrolment

if TYPE_CHECKING:
    from tests.support.world import World


async def test_a_new_worker_has_nothing_and_takes_work(world: World) -> None:
    """It is listed, with its session's expiry."""
    enrolled = await world.connect(slots=7, ttl_ms=15_000)
    assert (enrolled.lost, enrolled.cancelled, enrolled.again) == ([], [], [])
    (worker,) = await world.shard.workers.all(NAMESPACE)
    assert (worker.state, worker.slots_used, worker.dispatcher, worker.info) == ("a", 0, "d1", b"info")
    assert worker.expires_ms == worker.since_ms + 15_000
    assert await world.shard.workers.get(NAMESPACE, "w1") == worker


async def test_work_that_waits_is_found_by_a_new_worker(world: World) -> None:
    """Its Hello wakes the scheduler."""
    await world.submit(3)
    await world.connect()
    assert (await world.look()).list("wake") == ["1"]
    assert await world.match() == 3


async def test_very_many_flows_are_made_known_in_pages(world: World) -> None:
    """All that wait are seen in the end, those too that began meanwhile; no script works for long."""
    await world.submit_apart(2_000)
    await world.connect(slots=3_000)
    first_page = (await world.look()).families["flow_groups"]
    assert 0 < len(first_page) < 1_000
    assert await world.shard.redis.exists(world.shard.keys.of("wake"))
    await world.submit(queue="began meanwhile")
    assert await world.fire() > 1
    assert len((await world.look()).families["flow_groups"]) == 2_001
    assert await world.match() == 2_001


async def test_a_group_that_goes_in_the_midst_leaves_nothing(world: World) -> None:
    """Before it has come to know all of its flows."""
    await world.submit_apart(1_000)
    await world.connect()
    await world.expire_session("w1")
    await world.reap()
    s = await world.look()
    assert not {"group", "flow_groups", "group_flows", "heads", "timers"} & set(s.families)


async def test_a_returning_worker_keeps_its_leases(world: World) -> None:
    """What it holds goes on; what it never got is delivered again under the same lease."""
    leases = await world.leased(3)
    held, got, never = leases.values()
    await world.shard.runs.accept([(run, lease) for run, lease in leases.items() if lease == held])
    enrolled = await world.connect(held=[held, got])
    assert (enrolled.lost, enrolled.cancelled) == ([], [])
    assert [attempt[1].decode() for attempt in enrolled.again] == [never]
    assert enrolled.again[0][2] == 1
    phases = (await world.look()).phases()
    assert [phases[run] for run in leases] == [Phase.RUNNING, Phase.RUNNING, Phase.LEASED]


async def test_leases_that_are_no_longer_its_own_are_lost(world: World) -> None:
    """Ended, given to others, or never known."""
    leases = await world.running(2)
    ended, kept = leases
    await world.complete(ended)
    enrolled = await world.connect(held=[leases[ended], leases[kept], "f" * 32])
    assert sorted(enrolled.lost) == sorted([leases[ended], "f" * 32])


async def test_a_worker_that_lost_everything_starts_anew(world: World) -> None:
    """Its session expired and was reaped: all that it holds is void."""
    ((_run, lease),) = (await world.running()).items()
    await world.expire_session("w1")
    await world.reap()
    enrolled = await world.connect(held=[lease])
    assert enrolled.lost == [lease]
    assert await world.match() == 1


async def test_an_expired_session_that_was_not_reaped_goes_on(world: World) -> None:
    """Nobody else has got its work."""
    ((run, lease),) = (await world.running()).items()
    await world.expire_session("w1")
    enrolled = await world.connect(held=[lease])
    assert enrolled.lost == []
    assert await world.reap() == 0
    assert await world.phase(run) == Phase.RUNNING


async def test_cancels_are_told_again(world: World) -> None:
    """They may have been lost with the old stream; what is delivered again carries them."""
    leases = await world.leased(2)
    held, never = leases
    await world.cancel(held, never)
    enrolled = await world.connect(held=[leases[held]])
    assert enrolled.cancelled == [leases[held]]
    assert [(attempt[0].decode(), attempt[8]) for attempt in enrolled.again] == [(never, True)]


async def test_what_is_delivered_again_has_its_history(world: World) -> None:
    """Like the first time."""
    (run,) = await world.running()
    await world.fail(run, failure=b"why")
    await world.match()
    enrolled = await world.connect()
    ((_, _, number, *_, failures, _),) = enrolled.again
    assert number == 2
    assert [to_failure(unpack(entry)).body for entry in failures] == [b"why"]


async def test_the_dispatcher_of_the_old_session_is_told(world: World) -> None:
    """A newer connection replaces the older one."""
    await world.shard.processes.beat("dispatcher", "d2", "127.0.0.1:3", 60_000)
    await world.connect(dispatcher="d1")
    old = world.sessions["w1"]
    await world.connect(dispatcher="d2")
    assert await world.inbox("d1") == [[b"replaced", b"w1", old.encode()]]
    await world.submit(1)
    await world.match()
    assert len(await world.delivered("d2")) == 1


async def test_the_replaced_session_counts_no_more(world: World) -> None:
    """Neither its heartbeats nor its leaving."""
    await world.connect()
    old = world.sessions["w1"]
    await world.connect()
    assert await world.shard.workers.heartbeat(15_000, [("w1", old, [])]) == [None]
    assert await world.shard.workers.leave([("w1", old, "gone")]) == 0
    assert (await world.shard.workers.all(NAMESPACE))[0].state == "a"


async def test_a_worker_may_come_back_with_other_tasks(world: World) -> None:
    """It changes its group; the old one goes with its last worker."""
    await world.connect(tasks=["a"], slots=3)
    await world.connect(tasks=["a", "b"], slots=5)
    assert len((await world.look()).keys_of("group")) == 1
    await world.submit(5, task="b")
    assert await world.match() == 5


async def test_fewer_slots_than_it_has_attempts_is_full(world: World) -> None:
    """It gets nothing until enough of them have ended."""
    leases = await world.running(3)
    await world.connect(slots=2, held=list(leases.values()))
    await world.submit(1)
    assert await world.match() == 0
    await world.delivered()
    await world.complete(*list(leases)[:2])
    assert len(await world.delivered()) == 1


async def test_a_draining_worker_gets_only_its_own(world: World) -> None:
    """What is leased to it is delivered again, nothing new comes."""
    ((_run, lease),) = (await world.leased()).items()
    enrolled = await world.connect(draining=True)
    assert [attempt[1].decode() for attempt in enrolled.again] == [lease]
    await world.submit()
    assert await world.match() == 0


async def test_a_worker_id_belongs_to_one_namespace(world: World) -> None:
    """Another tenant can't take it over, whatever it knows."""
    await world.connect()
    before = (await world.look()).values
    enrolment = Enrolment("other", "w1", "s", "d1", 1, "other|g", ["t"], [], b"", [], draining=False, ttl_ms=1)
    assert await world.shard.workers.hello(enrolment) is None
    assert (await world.look()).values == before


@pytest.mark.parametrize("count", [1, 1500])
async def test_many_leases_and_tasks_are_reconciled(world: World, count: int) -> None:
    """More than Lua unpacks at once."""
    tasks = [f"t{i}" for i in range(count)]
    await world.connect(tasks=tasks, slots=2000)
    runs = await world.submit(1000, task="t0")
    assert await world.match() == 1000
    leases = await world.leases(*runs)
    enrolled = await world.connect(tasks=tasks, slots=2000, held=list(leases.values()))
    assert (enrolled.lost, enrolled.again) == ([], [])
    assert await world.phases(runs) == {Phase.RUNNING}


async def test_a_second_worker_alike_joins_the_group(world: World) -> None:
    """Order and repetition of names make no other group."""
    await world.connect("w1", tasks=["a", "b"], queues=["q", "p"])
    await world.connect("w2", tasks=["b", "a"], queues=["p", "q"])
    assert len((await world.look()).keys_of("group")) == 1
