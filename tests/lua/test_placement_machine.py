"""Demands of all kinds under all that can happen to workers, in any order; audited after each script."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from typing_extensions import override

from tests.support.demands import demand_of, places_of, serves
from tests.support.machine.running import run_machine
from tests.support.world import NAMESPACE, World, flow_of
from windlass_core.domain.phase import Phase
from windlass_core.domain.placement import Demand, Label
from windlass_core.store.runs import Submission

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Iterator

    from tests.support.snapshot import Snapshot
    from windlass_core.store.shard import Shard

LATER_MS = 600_000
WORKERS = st.sampled_from(["w1", "w2"])
DEMANDS = st.builds(
    Demand,
    cost=st.sampled_from([1, 1, 2, 3]),
    pool=st.sampled_from(["default", "default", "gpu"]),
    labels=st.sampled_from([(), (), (Label("l", 1, "a", 0),), (Label("l", 2, "a", 5),)]),
    worker=st.sampled_from(["", "w1", "w2", "w3"]),
    hard=st.booleans(),
).map(lambda demand: demand if demand.worker else Demand(demand.cost, demand.pool, demand.labels))
HELD = (Phase.LEASED, Phase.RUNNING)


def _could_be_taken(s: Snapshot) -> Iterator[str]:
    """Ready runs that a worker has room for: nobody is kept free for another."""
    kept = {worker for key, (worker,) in s.keys_of("worker").items() if "rs" in s.hash(key)}
    for run, phase in s.phases().items():
        flow = s.hash(f"r:{run}")["f"].decode()
        demand = demand_of(s, flow)
        assert demand is not None
        for key, (worker,) in s.keys_of("worker").items():
            fields = s.hash(key)
            if phase != Phase.READY or fields["st"] != b"a" or "pz" in fields or worker in kept:
                continue
            for group, pool, slots in places_of(fields):
                free = slots - len(s.set(f"s:{worker}:{pool}"))
                if serves(s, group, flow) and demand.cost <= free:
                    yield f"{run} waits, and {worker} has {free} slots of {pool} for it"


class Placement(RuleBasedStateMachine):
    """One shard, one dispatcher, two workers that come and go, and a third that is never there."""

    def __init__(self, shard: Shard, runner: asyncio.Runner) -> None:
        super().__init__()
        self._runner = runner
        self._shard = shard
        self._world = World(shard)
        vars(shard.scripts)["call"] = self._world.audited(partial(type(shard.scripts).call, shard.scripts))

    def _do(self, awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())

    def _runs(self, *phases: Phase) -> list[str]:
        return sorted(run for run, phase in self._do(self._world.look()).phases().items() if phase in phases)

    @override
    def teardown(self) -> None:
        """Leaves nothing behind."""
        left = self._do(self._world.drain_away())
        gone = {"run", "worker", "group", "lane", "attempts", "slots", "timers", "flows", "flow_groups", "group_flows"}
        assert not (gone | {"demand", "group_workers", "groups", "free", "heads"}) & set(left.families)

    @initialize()
    def begin(self) -> None:
        """A dispatcher and a worker."""
        self._do(self._shard.redis.flushall())
        self._do(self._shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", LATER_MS))
        self.connect("w1", 3, "a", gpu=2)

    @rule(worker=WORKERS, slots=st.integers(1, 4), label=st.sampled_from(["", "a", "b"]), gpu=st.integers(0, 3))
    def connect(self, worker: str, slots: int, label: str, *, gpu: int) -> None:
        """A Hello, with all that the worker holds."""
        held = list(self._do(self._world.look()).hash(f"att:{worker}"))
        labels, pools = ({"l": label} if label else {}), ({"gpu": gpu} if gpu else {})
        self._do(self._world.connect(worker, slots=slots, labels=labels, pools=pools, held=held))

    @rule(worker=WORKERS, label=st.sampled_from(["", "a", "b"]))
    def relabel(self, worker: str, label: str) -> None:
        """Other labels, or the same, on a connection that still counts or no longer does."""
        if worker in self._world.sessions:
            there = f"w:{worker}" in self._do(self._world.look()).values
            assert self._do(self._world.relabel(worker, {"l": label} if label else {})) == there

    @rule(worker=WORKERS, how=st.sampled_from(["gone", "draining"]))
    def leave(self, worker: str, how: str) -> None:
        """A stream's end, or a drain."""
        if worker in self._world.sessions:
            self._do(self._world.leave(worker, how))

    @rule(worker=WORKERS)
    def lose(self, worker: str) -> None:
        """A session expires."""
        self._do(self._world.expire_session(worker))
        self._do(self._world.reap())

    @rule(worker=WORKERS, pause=st.booleans())
    def pause(self, worker: str, *, pause: bool) -> None:
        """Or its end; of one that is not there nothing comes."""
        self._do(self._shard.workers.pause(NAMESPACE, [worker], pause=pause))

    @rule(demand=DEMANDS, count=st.integers(1, 3), level=st.integers(1, 4), delayed=st.booleans())
    def submit(self, demand: Demand, count: int, level: int, *, delayed: bool) -> None:
        """All are taken in, or all refused: their worker is not there."""
        there = f"w:{demand.worker}" in self._do(self._world.look()).values
        more = None if demand.is_plain else {"p": demand.entry()}
        runs = [
            Submission(run, b"spec", flow_of(demand=demand), level, "v1", LATER_MS if delayed else 0, more=more)
            for run in self._world.mint(count)
        ]
        verdicts = self._do(self._shard.runs.submit(NAMESPACE, "a1", [], runs))[1]
        refused = demand.hard and not there
        assert verdicts == (dict.fromkeys(range(count), "no_worker") if refused else {})

    @rule()
    def match(self) -> None:
        """Whoever can gets work; what is bound to a worker that is gone for good fails."""
        self._do(self._world.match())
        self._do(self._world.delivered())
        s = self._do(self._world.look())
        assert not list(_could_be_taken(s))
        for run, phase in s.phases().items():
            demand = demand_of(s, s.hash(f"r:{run}")["f"].decode())
            assert demand is not None
            if phase == Phase.READY and demand.hard:
                assert f"w:{demand.worker}" in s.values

    @rule(place=st.integers(0, 5), how=st.sampled_from(["complete", "complete", "retry", "later", "release", "dead"]))
    def end(self, place: int, how: str) -> None:
        """An attempt ends."""
        if held := self._runs(*HELD):
            run = held[place % len(held)]
            if how == "complete":
                self._do(self._world.complete(run))
            else:
                self._do(self._world.fail(run, "retry" if how == "later" else how, LATER_MS if how == "later" else 0))

    @rule(place=st.integers(0, 5))
    def release_slots(self, place: int) -> None:
        """An attempt goes on, and its slots are others'."""
        if held := self._runs(*HELD):
            assert self._do(self._world.release_slots(held[place % len(held)])) == 1

    @rule(place=st.integers(0, 9))
    def cancel(self, place: int) -> None:
        """Somebody has enough."""
        if runs := self._runs(*Phase):
            self._do(self._world.cancel(runs[place % len(runs)]))

    @rule(kind=st.sampled_from(["ready", "room", "room", "join"]))
    def fire(self, kind: str) -> None:
        """Time passes for some kinds of timers."""
        self._do(self._world.make_due(kind))
        self._do(self._shard.scheduling.fire())

    @rule()
    def expire(self) -> None:
        """Retention ends for all that has ended."""
        self._do(self._shard.runs.expire(-1, 1000))


# A bound on its steps and not on its time, which is the machine's.
@pytest.mark.timeout(900)
def test_demands_are_met_whatever_becomes_of_workers(store_url: str) -> None:
    """Bounded: a few hundred steps."""
    run_machine(Placement, store_url, examples=30)
