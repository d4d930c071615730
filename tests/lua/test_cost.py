"""What the scripts on the way of a run cost: calls of the store's commands, which no busy machine blurs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.world import NAMESPACE, World, flow_of, permit, rate
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    from windlass_core.store.shard import Shard

_RUNS = 200


async def _calls(shard: Shard) -> int:
    """Commands since the server's start, those inside scripts included."""
    stats: dict[str, Any] = await shard.redis.info("commandstats")
    return sum(figures["calls"] for figures in stats.values())


async def test_a_run_of_a_batch_costs_few_calls(shard: Shard) -> None:
    """To submit, to complete, to delete: counts per flow or worker are made once for all of them."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 60_000)
    await world.connect(slots=_RUNS)
    costs = {}
    for warm in (False, True):
        runs = world.mint(_RUNS)
        before = await _calls(shard)
        await world.submit(ids=runs)
        submitted = await _calls(shard)
        await world.match()
        leases = await world.leases(*runs)
        matched = await _calls(shard)
        await shard.runs.complete([(run, lease, b"1") for run, lease in leases.items()])
        completed = await _calls(shard)
        await shard.runs.expire(-1, _RUNS)
        expired = await _calls(shard)
        if warm:
            costs = {"submit": submitted - before, "complete": completed - matched, "expire": expired - completed}
    per_run = {what: calls / _RUNS for what, calls in costs.items()}
    assert per_run["submit"] < 1.2
    assert per_run["complete"] < 2.2
    assert per_run["expire"] < 4.2


async def _calls_of(world: World, values: int) -> dict[str, float]:
    """Per run of a batch with a concurrency key of so many values and a rate limit."""
    shard = world.shard
    before = await _calls(shard)
    runs = world.mint(_RUNS)
    limit = rate("=user", limit=_RUNS, window_ms=60_000)
    batch = [
        Submission(run, b"spec", flow_of(), 2, "v1", more={"g": [permit(str(place % values), most=_RUNS), limit]})
        for place, run in enumerate(runs)
    ]
    await shard.runs.submit(NAMESPACE, "a1", [], batch)
    submitted = await _calls(shard)
    await world.match()
    matched = await _calls(shard)
    leases = await world.leases(*runs)
    looked = await _calls(shard)
    await shard.runs.complete([(run, lease, b"1") for run, lease in leases.items()])
    completed = await _calls(shard)
    told = {"submit": submitted - before, "match": matched - submitted, "complete": completed - looked}
    return {what: calls / _RUNS for what, calls in told.items()}


async def test_gates_cost_a_lane_and_not_a_run(shard: Shard) -> None:
    """Where a batch has one key; where each run has its own, what a visit costs is bounded."""
    world = World(shard)
    await shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", 60_000)
    await world.connect(slots=_RUNS)
    alike = await _calls_of(world, 1)
    assert alike["submit"] < 1.2
    assert alike["match"] < 4
    assert alike["complete"] < 2.2
    await world.end_window("=user")
    apart = await _calls_of(world, _RUNS)
    assert apart["submit"] < 4.2
    assert apart["match"] < 22
