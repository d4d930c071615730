"""sessions_reap: takes the attempts of lost workers back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE
from windlass_core.domain.limits import MAX_CRASHES, MAX_LOSSES
from windlass_core.domain.phase import Phase
from windlass_dispatcher.attempt import to_attempt

if TYPE_CHECKING:
    from tests.support.world import World


async def _lose(world: World, *workers: str) -> int:
    await world.expire_session(*workers)
    return await world.reap()


async def test_sessions_that_live_are_left_alone(world: World) -> None:
    """Nothing is reaped before its time."""
    await world.running()
    assert await world.reap() == 0


async def test_a_lost_worker_is_forgotten_and_its_work_given_to_another(world: World) -> None:
    """Under a new lease."""
    ((run, old),) = (await world.running(timeout_ms=60_000)).items()
    assert await _lose(world, "w1") == 1
    assert await world.shard.workers.all(NAMESPACE) == []
    assert not (await world.look()).zset("T")
    await world.connect("w2")
    await world.match()
    assert await world.lease(run) != old


async def test_a_lost_attempt_keeps_its_place_and_its_number(world: World) -> None:
    """It comes before what was submitted after it, and no retry is charged."""
    (first,) = await world.running()
    (second,) = await world.submit(task="other")
    await _lose(world, "w1")
    await world.delivered()
    await world.connect("w2", slots=1, tasks=["t", "other"])
    await world.match()
    assert [(a.run_id, a.number) for _, a in await world.delivered()] == [(first, 1)]
    assert await world.phase(second) == Phase.READY


async def test_attempts_that_were_not_alone_are_charged_nothing(world: World) -> None:
    """Nobody knows which of them killed the worker."""
    runs = await world.running(2)
    await _lose(world, "w1")
    for run in runs:
        assert await world.field(run, "cr") is None
        (failure,) = await world.shard.runs.failures(run)
        assert (failure.body, failure.attempt, failure.worker_id) == (b"lost", 1, "w1")


async def test_attempts_that_were_not_alone_are_isolated_the_next_time(world: World) -> None:
    """Whichever it was can then kill only itself; one that its worker had not begun is no suspect."""
    running = await world.running(2)
    leased = await world.leased()
    await _lose(world, "w1")
    await world.delivered()
    await world.connect("w2")
    await world.match()
    given = {attempt.run_id: attempt.isolated for _, attempt in await world.delivered()}
    assert given == dict.fromkeys(running, True) | dict.fromkeys(leased, False)
    again = (await world.connect("w2")).again
    assert {a.run_id: a.isolated for a in map(to_attempt, again)} == given


async def test_an_attempt_alone_on_its_worker_is_charged_as_a_crash(world: World) -> None:
    """The third one ends the run."""
    (run,) = await world.running(api="a1")
    for crash in range(1, MAX_CRASHES):
        await _lose(world, "w1")
        assert await world.field(run, "cr") == str(crash).encode()
        assert await world.phase(run) == Phase.READY
        await world.connect()
        await world.match()
        await world.shard.runs.accept([(run, await world.lease(run))])
    await _lose(world, "w1")
    assert await world.phase(run) == Phase.FAILED
    assert [f.body for f in await world.shard.runs.failures(run)] == [b"crashed"] * MAX_CRASHES
    assert [entry[1] for entry in await world.outbox()] == [b"F"]


async def test_a_run_that_is_lost_again_and_again_ends(world: World) -> None:
    """It was never alone, but it is always there."""
    run, other = await world.running(2)
    for loss in range(1, MAX_LOSSES + 1):
        await _lose(world, "w1")
        assert await world.field(run, "lo") == str(loss).encode()
        await world.connect()
        await world.match()
        await world.shard.runs.accept([(r, await world.lease(r)) for r in (run, other)])
    assert await world.phases([run, other]) == {Phase.FAILED}


async def test_an_attempt_that_was_not_accepted_is_charged_nothing(world: World) -> None:
    """It never reached the worker, and can't have killed it."""
    (run,) = await world.leased()
    await _lose(world, "w1")
    assert await world.field(run, "cr") is None
    assert await world.shard.runs.failures(run) == []
    assert await world.phase(run) == Phase.READY


async def test_a_run_that_no_worker_lives_to_accept_ends(world: World) -> None:
    """It may kill them before they can say so."""
    (run,) = await world.leased(api="a1")
    for _ in range(MAX_LOSSES - 1):
        await _lose(world, "w1")
        assert await world.phase(run) == Phase.READY
        await world.connect()
        await world.match()
    await _lose(world, "w1")
    assert await world.phase(run) == Phase.FAILED
    assert [f.body for f in await world.shard.runs.failures(run)] == [b"lost"]
    assert [entry[1] for entry in await world.outbox()] == [b"F"]


async def test_a_run_that_was_to_be_cancelled_ends_cancelled(world: World) -> None:
    """Nobody wants it any more."""
    (run,) = await world.running(api="a1")
    await world.cancel(run, reason="stop")
    await _lose(world, "w1")
    assert await world.phase(run) == Phase.CANCELLED
    assert await world.outbox() == [[run.encode(), b"X", b"", b"", b"stop", b"default"]]


async def test_retries_stay_charged(world: World) -> None:
    """A loss gives back only its own attempt."""
    (run,) = await world.running()
    await world.fail(run)
    await world.match()
    await world.shard.runs.accept([(run, await world.lease(run))])
    await _lose(world, "w1")
    await world.delivered()
    await world.connect()
    await world.match()
    assert [attempt.number for _, attempt in await world.delivered()] == [2]


async def test_many_attempts_are_taken_back_in_pages(world: World) -> None:
    """200 at a time; the last page is no crash, however few are in it."""
    await world.connect(slots=500)
    leases = await world.leased(401)
    await world.shard.runs.accept(list(leases.items()))
    await world.expire_session("w1")
    pages = []
    while (page := await world.shard.scheduling.reap(b"lost", b"crashed"))[0]:
        pages.append(page)
    assert pages == [(200, True), (200, True), (1, False)]
    s = await world.look()
    assert not any("cr" in s.hash(f"r:{run}") for run in leases)
    assert set(s.phases().values()) == {Phase.READY}


async def test_a_worker_can_come_back_between_two_pages(world: World) -> None:
    """It keeps what was not yet taken back, and learns what was."""
    await world.connect(slots=500)
    leases = await world.leased(250)
    await world.expire_session("w1")
    session = world.sessions["w1"]
    await world.shard.scheduling.reap(b"lost", b"crashed")
    assert await world.shard.workers.heartbeat(15_000, [("w1", session, [])]) == [None]
    enrolled = await world.connect(slots=500, held=list(leases.values()))
    assert len(enrolled.lost) == 200
    assert await world.reap() == 0


async def test_many_workers_are_lost_at_once(world: World) -> None:
    """More than one call forgets."""
    workers = [f"w{i}" for i in range(45)]
    for worker in workers:
        await world.connect(worker, slots=2)
    await world.submit(90)
    assert await world.match() == 90
    assert await _lose(world, *workers) == 90
    assert not (await world.look()).keys_of("worker")
    await world.connect("new", slots=90)
    assert await world.match() == 90


async def test_an_idle_lost_worker_is_forgotten(world: World) -> None:
    """It takes its group with it, if it was the last one."""
    await world.connect("w1")
    await world.connect("w2")
    await _lose(world, "w1")
    assert len(await world.shard.workers.all(NAMESPACE)) == 1
    await _lose(world, "w2")
    assert not (await world.look()).keys_of("group")
