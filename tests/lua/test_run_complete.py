"""run_complete: attempts ended with an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase
from windlass_core.domain.retry import Budget
from windlass_core.store.runs import NEXT_RUNS

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.store.runs import Completed


async def test_a_completed_run_has_its_output_and_frees_its_slot(world: World) -> None:
    """Everything that the end of a run means, in one step."""
    await world.connect(slots=1)
    (run,) = await world.running(timeout_ms=60_000)
    assert await world.complete(run, output=b'{"a":1}') == ["recorded"]
    stored = (await world.shard.runs.get(NAMESPACE, [run]))[0]
    assert stored is not None
    assert (stored.phase, stored.output, stored.attempt) == (Phase.COMPLETED, b'{"a":1}', 1)
    assert stored.created_ms <= stored.started_ms <= stored.finished_ms
    s = await world.look()
    assert not s.keys_of("slots")
    assert not s.zset("T")
    assert s.zset(f"free:{s.hash('w:w1')['group'].decode()}") == {"w1": 1}


async def test_the_same_completion_again_is_a_duplicate(world: World) -> None:
    """A worker re-sends until it is acknowledged; the first output stays."""
    ((run, lease),) = (await world.running()).items()
    items = [(run, lease, b"1"), (run, lease, b"2")]
    assert await world.shard.runs.complete(items) == ["recorded", "duplicate"]
    assert await world.shard.runs.complete(items) == ["duplicate", "duplicate"]
    assert await world.field(run, "o") == b"1"


async def test_completing_needs_no_accept(world: World) -> None:
    """Accepted and completed may travel together."""
    (run,) = await world.leased()
    assert await world.complete(run) == ["recorded"]


async def test_a_lost_lease_changes_nothing(world: World) -> None:
    """An attempt that was taken back and given to another worker."""
    ((run, old),) = (await world.running(worker="w1")).items()
    await world.expire_session("w1")
    await world.reap()
    assert await world.shard.runs.complete([(run, old, b"late")]) == ["lease_lost"]
    assert await world.phase(run) == Phase.READY
    await world.connect("w2")
    await world.match()
    assert await world.shard.runs.complete([(run, old, b"late")]) == ["lease_lost"]
    assert await world.complete(run, output=b"good") == ["recorded"]
    assert await world.shard.runs.complete([(run, old, b"late")]) == ["lease_lost"]
    assert await world.field(run, "o") == b"good"


async def test_a_lease_that_was_retried_is_lost(world: World) -> None:
    """First it said that it failed: that is what counts."""
    for delay_ms in (0, 60_000):
        ((run, lease),) = (await world.running()).items()
        assert await world.fail(run, "retry", delay_ms=delay_ms) == "recorded"
        assert await world.shard.runs.complete([(run, lease, b"1")]) == ["lease_lost"]


@pytest.mark.parametrize("lease", ["", "0" * 32])
async def test_a_run_that_never_had_the_lease_is_not_completed(world: World, lease: str) -> None:
    """Neither one that waits nor one that does not exist."""
    (run,) = await world.submit()
    (never,) = world.mint()
    assert await world.shard.runs.complete([(run, lease, b""), (never, lease, b"")]) == ["lease_lost", "lease_lost"]
    assert await world.phase(run) == Phase.READY


async def test_a_run_that_was_to_be_cancelled_ends_cancelled(world: World) -> None:
    """Whatever it returned; and repeating it is a duplicate."""
    ((run, lease),) = (await world.running(api="a1")).items()
    await world.cancel(run, reason="stop")
    items = [(run, lease, b"1")]
    assert await world.shard.runs.complete(items) == ["recorded"]
    assert await world.shard.runs.complete(items) == ["duplicate"]
    assert await world.phase(run) == Phase.CANCELLED
    assert await world.field(run, "o") is None
    assert await world.outbox() == [[run.encode(), b"X", b"", b"", b"stop", b"default"]]


async def test_free_slots_are_filled_again(world: World) -> None:
    """In the same step, without the scheduler; what is left over needs no wake-up either."""
    await world.connect(slots=2)
    runs = await world.submit(5)
    assert await world.match() == 2
    await world.delivered()
    assert await world.complete(*runs[:2]) == ["recorded", "recorded"]
    assert len(await world.delivered()) == 2
    assert await world.match() == 0


async def test_the_scheduler_gives_out_what_one_step_may_not(world: World) -> None:
    """A step gives out NEXT_RUNS at the most, and wakes the scheduler for the rest."""
    slots = NEXT_RUNS + 100
    await world.connect(slots=slots)
    runs = await world.submit(2 * slots)
    assert await world.match() == slots
    await world.complete(*runs[:slots])
    assert (await world.look()).list("wake") == ["1"]
    assert await world.match() == slots - NEXT_RUNS


async def test_a_thousand_runs_of_several_workers_end_at_once(world: World) -> None:
    """The largest batch; each api hears of its own."""
    await world.shard.processes.beat("api", "a2", "127.0.0.1:3", 60_000)
    for worker in ("w1", "w2"):
        await world.connect(worker, slots=500)
    runs = [*await world.submit(500, api="a1"), *await world.submit(500, api="a2")]
    assert await world.match() == 1000
    assert await world.complete(*runs) == ["recorded"] * 1000
    assert [len(await world.outbox(inc)) for inc in ("a1", "a2")] == [500, 500]


async def test_a_mixed_batch_is_judged_one_by_one(world: World) -> None:
    """A wrong item harms no other."""
    leases = await world.running(2)
    first, second = leases
    items = [(first, "wrong", b"1"), (second, leases[second], b"2"), (first, leases[first], b"3")]
    assert await world.shard.runs.complete(items) == ["lease_lost", "recorded", "recorded"]


async def test_first_attempts_add_to_the_retry_budget_of_their_workflow(world: World) -> None:
    """Those that count, once; a workflow without a budget has no key."""
    budget = Budget(0.5, 0)
    leases = await world.running(4)
    plain, *others = leases
    items: list[Completed] = [(run, leases[run], b"1", budget) for run in others]
    assert await world.shard.runs.complete([(plain, leases[plain], b"1")]) == ["recorded"]
    assert not (await world.look()).keys_of("budget")
    assert await world.shard.runs.complete(items) == ["recorded"] * 3
    assert await world.shard.runs.complete(items) == ["duplicate"] * 3
    assert 1.4 < await world.tokens(budget) <= 1.5


async def test_an_empty_batch_completes_nothing(world: World) -> None:
    """Nothing to do."""
    assert await world.shard.runs.complete([]) == []
