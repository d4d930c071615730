"""run_fail: attempts ended without an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.limits import MAX_CRASHES, MAX_FAILURES_PER_RUN, MAX_LOSSES
from windlass_core.domain.phase import Phase
from windlass_core.domain.retry import Budget
from windlass_core.store.runs import to_failure
from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_dispatcher.attempt import Attempt


async def test_a_retry_without_delay_is_ready_at_once(world: World) -> None:
    """The next attempt has the next number, and is told how the first one failed."""
    (run,) = await world.running()
    first = await world.lease(run)
    await world.delivered()
    assert await world.fail(run, "retry", failure=b"why") == "recorded"
    assert await world.phase(run) == Phase.READY
    assert await world.match() == 1
    ((_, attempt),) = await world.delivered()
    assert (attempt.run_id, attempt.number) == (run, 2)
    assert attempt.lease_id != first
    assert [to_failure(unpack(entry)).body for entry in attempt.failures or ()] == [b"why"]


async def test_a_retry_with_a_delay_waits_in_backoff(world: World) -> None:
    """Its slot is free meanwhile."""
    (run,) = await world.running(timeout_ms=60_000)
    assert await world.fail(run, "retry", delay_ms=60_000) == "recorded"
    s = await world.look()
    assert s.phases()[run] == Phase.BACKOFF
    assert s.zset("T") == {f"ready:{run}": int(s.hash(f"r:{run}")["t"])}
    assert s.zset("T")[f"ready:{run}"] > s.now_ms + 30_000
    assert not s.keys_of("slots")
    assert await world.match() == 0


async def test_the_history_has_every_failed_attempt(world: World) -> None:
    """Which attempt, which worker, when, and what it said."""
    (run,) = await world.running()
    for number in range(1, 4):
        await world.fail(run, "retry", failure=b"failure %d" % number)
        await world.match()
    failures = await world.shard.runs.failures(run)
    assert [(f.attempt, f.worker_id, f.body) for f in failures] == [
        (number, "w1", b"failure %d" % number) for number in range(1, 4)
    ]
    assert all(0 < f.started_ms <= f.failed_ms for f in failures)


async def test_a_dead_attempt_fails_the_run(world: World) -> None:
    """Those who wait are told the last failure."""
    (run,) = await world.running(api="a1")
    assert await world.fail(run, "dead", failure=b"why") == "recorded"
    assert await world.phase(run) == Phase.FAILED
    ((told, phase, output, failure, reason, _namespace),) = await world.outbox()
    assert (told.decode(), phase, output, reason) == (run, b"F", b"", b"")
    assert to_failure(unpack(failure)).body == b"why"


async def test_a_release_charges_nothing(world: World) -> None:
    """The attempt's number is given back, there is no failure, and the run keeps its place."""
    await world.connect(slots=1)
    first, second = await world.submit(2)
    await world.match()
    assert await world.fail(first, "release") == "recorded"
    assert await world.shard.runs.failures(first) == []
    await world.delivered()
    await world.match()
    ((_, attempt),) = await world.delivered()
    assert (attempt.run_id, attempt.number) == (first, 1)
    assert await world.phase(second) == Phase.READY


async def test_a_retried_run_goes_behind_those_that_wait(world: World) -> None:
    """It is ready since its failure, and not since it was submitted."""
    await world.connect(slots=1)
    (first,) = await world.running()
    (second,) = await world.submit()
    s = await world.look()
    while s.now_ms <= int(s.hash(f"r:{second}")["c"]):
        s = await world.look()
    await world.fail(first, "retry")
    await world.delivered()
    await world.match()
    assert [attempt.run_id for _, attempt in await world.delivered()] == [second]


async def _given_again(world: World) -> Attempt:
    await world.delivered()
    await world.match()
    ((_, attempt),) = await world.delivered()
    await world.shard.runs.accept([(attempt.run_id, attempt.lease_id)])
    return attempt


async def test_a_crash_is_charged_to_the_run_and_not_to_its_retries(world: World) -> None:
    """The third one ends it, and the dead letter shows what the worker said of it."""
    (run,) = await world.running(timeout_ms=60_000)
    for crash in range(1, MAX_CRASHES):
        assert await world.fail(run, "crash", failure=b"signal %d" % crash) == "recorded"
        assert await world.field(run, "cr") == str(crash).encode()
        attempt = await _given_again(world)
        assert (attempt.number, attempt.isolated) == (1, False)
    assert await world.fail(run, "crash", failure=b"signal 3") == "recorded"
    assert await world.phase(run) == Phase.FAILED
    failures = await world.shard.runs.failures(run)
    assert [(f.attempt, f.worker_id, f.body) for f in failures] == [(1, "w1", b"signal %d" % n) for n in (1, 2, 3)]
    assert run in (await world.look()).zset(f"fx:{NAMESPACE}")


async def test_crashes_of_children_and_of_whole_workers_are_counted_together(world: World) -> None:
    """A run that kills whatever it is on is parked, however that is noticed."""
    (run,) = await world.running()
    await world.fail(run, "crash")
    await _given_again(world)
    await world.expire_session("w1")
    await world.reap()
    await world.connect()
    await _given_again(world)
    await world.fail(run, "crash")
    assert await world.phase(run) == Phase.FAILED


async def test_who_was_among_others_is_alone_the_next_time(world: World) -> None:
    """Uncharged, until an attempt has ended by itself."""
    (run,) = await world.running()
    assert await world.fail(run, "among") == "recorded"
    assert await world.field(run, "cr") is None
    attempt = await _given_again(world)
    assert (attempt.number, attempt.isolated) == (1, True)
    await world.fail(run, "release")
    assert (await _given_again(world)).isolated
    await world.fail(run, "crash")
    assert (await _given_again(world)).isolated
    await world.fail(run, "retry")
    attempt = await _given_again(world)
    assert (attempt.number, attempt.isolated) == (2, False)
    assert [f.attempt for f in await world.shard.runs.failures(run)] == [1, 1, 1]


async def test_a_run_whose_process_dies_again_and_again_ends(world: World) -> None:
    """It was among others each time, but it is always there."""
    (run,) = await world.running()
    for _ in range(MAX_LOSSES - 1):
        await world.fail(run, "among")
        await _given_again(world)
    assert await world.fail(run, "among") == "recorded"
    assert await world.phase(run) == Phase.FAILED


async def test_a_workflows_runs_share_its_retry_budget(world: World) -> None:
    """So many in a minute, whichever run wants them; when it is used up a run ends with its own failure."""
    budget = Budget(0, 2)
    first, second, third = await world.running(3, api="a1")
    for run in (first, second):
        assert await world.fail(run, "retry", 60_000, budget=budget) == "recorded"
    assert await world.fail(third, "retry", failure=b"why", budget=budget) == "spent"
    assert await world.phases([first, second]) == {Phase.BACKOFF}
    assert await world.phase(third) == Phase.FAILED
    (failure,) = await world.shard.runs.failures(third)
    assert (failure.body, failure.out_of_budget) == (b"why", True)
    assert [f.out_of_budget for f in await world.shard.runs.failures(first)] == [False]
    ((_, _, _, told, _, _),) = await world.outbox()
    assert to_failure(unpack(told)).out_of_budget


async def test_a_used_up_budget_fills_again(world: World) -> None:
    """To what a minute allows and no further, so that a long silence saves up no storm."""
    budget = Budget(0.2, 2)
    runs = iter(await world.running(10))
    for _ in range(2):
        assert await world.fail(next(runs), budget=Budget(0, 2)) == "recorded"
    assert await world.fail(next(runs), budget=Budget(0, 2)) == "spent"
    await world.age_tokens(1)
    assert await world.fail(next(runs), budget=budget) == "recorded"
    assert await world.fail(next(runs), budget=budget) == "spent"
    await world.age_tokens(600)
    assert 1.99 < await world.tokens(budget) <= 2


async def test_first_attempts_earn_retries(world: World) -> None:
    """One in two here, also where they fail for good; a second attempt earns nothing."""
    budget = Budget(0.5, 0)
    first, second, third = await world.running(3)
    assert await world.fail(first, "dead", budget=budget) == "recorded"
    await world.age_tokens(0)
    assert await world.fail(second, "dead", budget=budget) == "recorded"
    assert await world.fail(third, "retry", budget=budget) == "recorded"
    assert (await _given_again(world)).number == 2
    left = await world.tokens(budget)
    assert await world.fail(third, "retry", budget=budget) == "spent"
    assert await world.tokens(budget) <= left


async def test_what_charges_no_retry_takes_none_from_the_budget(world: World) -> None:
    """Nor do runs of another workflow."""
    budget = Budget(0, 1)
    await world.connect(tasks=["t", "other"])
    (run,) = await world.running()
    (other,) = await world.running(task="other")
    assert await world.fail(other, "retry", 60_000, budget=budget) == "recorded"
    for verdict in ("release", "crash", "among"):
        await world.fail(run, verdict)
        await _given_again(world)
    assert await world.fail(run, budget=budget) == "recorded"


async def test_of_many_failures_the_latest_are_kept(world: World) -> None:
    """The others are counted."""
    (run,) = await world.running()
    for number in range(MAX_FAILURES_PER_RUN + 2):
        await world.fail(run, failure=b"%d" % number)
        await world.match()
    failures = await world.shard.runs.failures(run)
    assert [f.body for f in failures] == [b"%d" % n for n in range(2, MAX_FAILURES_PER_RUN + 2)]
    (stored,) = await world.shard.runs.standing(NAMESPACE, [run])
    assert stored is not None
    assert stored.failures_dropped == 2


@pytest.mark.parametrize("verdict", ["retry", "dead", "release", "crash", "among"])
async def test_a_run_that_was_to_be_cancelled_ends_cancelled(world: World, verdict: str) -> None:
    """No retry of what nobody wants any more."""
    (run,) = await world.running()
    await world.cancel(run)
    assert await world.fail(run, verdict) == "recorded"
    assert await world.phase(run) == Phase.CANCELLED


@pytest.mark.parametrize(
    ("verdict", "again"),
    [
        ("retry", "duplicate"),
        ("dead", "duplicate"),
        ("release", "lease_lost"),
        ("crash", "lease_lost"),
        ("among", "lease_lost"),
    ],
)
async def test_the_same_failure_again_is_charged_once(world: World, verdict: str, again: str) -> None:
    """A worker re-sends until it is acknowledged."""
    ((run, lease),) = (await world.running()).items()
    assert await world.fail(run, verdict) == "recorded"
    history = await world.shard.runs.failures(run)
    assert await world.shard.runs.fail([(run, lease, "retry", 0, b"again")]) == [again]
    assert await world.shard.runs.failures(run) == history


async def test_a_lost_lease_changes_nothing(world: World) -> None:
    """Neither a wrong one nor an older attempt's."""
    ((run, old),) = (await world.running()).items()
    await world.fail(run, "retry")
    await world.match()
    verdicts = await world.shard.runs.fail([(run, old, "dead", 0, b""), (world.mint()[0], old, "dead", 0, b"")])
    assert verdicts == ["lease_lost", "lease_lost"]
    assert await world.phase(run) == Phase.LEASED


async def test_failing_after_completing_is_a_duplicate(world: World) -> None:
    """The first report counts."""
    ((run, lease),) = (await world.running()).items()
    await world.complete(run)
    assert await world.shard.runs.fail([(run, lease, "dead", 0, b"")]) == ["duplicate"]
    assert await world.phase(run) == Phase.COMPLETED


async def test_two_hundred_failures_of_several_kinds_go_at_once(world: World) -> None:
    """The largest batch."""
    await world.connect(slots=200)
    leases = await world.leased(200)
    kinds = ("retry", "dead", "release", "retry")
    delays = (0, 0, 0, 60_000)
    items = [(run, lease, kinds[i % 4], delays[i % 4], b"") for i, (run, lease) in enumerate(leases.items())]
    assert await world.shard.runs.fail(items) == ["recorded"] * 200  # type: ignore[arg-type] # the verdicts are
    phases = list((await world.look()).phases().values())
    assert phases.count(Phase.READY) == 100
    assert phases.count(Phase.FAILED) == phases.count(Phase.BACKOFF) == 50
    assert await world.match() == 100


async def test_an_empty_batch_fails_nothing(world: World) -> None:
    """Nothing to do."""
    assert await world.shard.runs.fail([]) == []


async def test_the_failed_are_listed_for_the_namespace(world: World) -> None:
    """Newest last, and nothing else is in the list."""
    (good, *bad) = await world.running(3)
    await world.complete(good)
    for run in bad:
        await world.fail(run, "dead")
    assert list((await world.look()).zset(f"fx:{NAMESPACE}")) == bad
