"""Owns what all rules of the state machine stand on: a shard, its oracle, and the check that both see the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant
from typing_extensions import override

from tests.support.oracle import HELD, Oracle
from tests.support.world import NAMESPACE, World, permit, rate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from windlass_core.domain.phase import Phase
    from windlass_core.store.shard import Shard


LATER_MS = 600_000
FAR_MS = 4_000_000_000_000
WORKERS = st.sampled_from(["w1", "w2"])
# Keys and limits of all kinds, alone and together.
GATES = st.sampled_from(
    [
        [permit()],
        [permit(most=2, level="w", place=1)],
        [permit(), rate()],
        [permit(most=2, level="w", place=1), rate(units=2)],
        [permit(strategy="cip", place=2)],
        [permit(), permit(most=2, strategy="cip", level="w", place=3)],
        [permit(strategy="cn", place=4)],
        [permit(most=2, strategy="cn", level="w", place=5), rate("=own", 1, 2, LATER_MS)],
        [rate(units=2)],
    ]
)
LIMIT = 3
RUNS: Bundle[str] = Bundle("runs")


class Machine(RuleBasedStateMachine):
    """Scripts on one shard, told to an oracle too."""

    def __init__(self, shard: Shard, runner: asyncio.Runner) -> None:
        super().__init__()
        self._runner = runner
        self._shard = shard
        self._world = World(shard)
        scripts = shard.runs._scripts
        vars(scripts)["call"] = self._world.audited(partial(type(scripts).call, scripts))
        self._oracle = Oracle({rate()[1]: LIMIT})
        self._old: dict[str, str] = {}

    @override
    def teardown(self) -> None:
        """Leaves nothing behind: everything can still end, and then nothing is left."""
        left = self._do(self._world.drain_away())
        gone = {"run", "worker", "group", "lane", "attempts", "slots", "timers", "flows", "flow_groups", "group_flows"}
        gone |= {"permits", "contenders", "parked", "flow_lanes", "lane_meta", "ring"}
        assert not gone & set(left.families)

    def _do(self, awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self._runner.run(wait())

    def _waits(self, *phases: Phase) -> bool:
        return any(r.phase in phases for r in self._oracle.runs.values())

    def _note_given(self) -> None:
        for worker, attempt in self._do(self._world.delivered()):
            if lease := self._oracle.runs[attempt.run_id].lease:
                self._old[attempt.run_id] = lease
            self._oracle.give(attempt.run_id, attempt.lease_id, attempt.number, worker, isolated=attempt.isolated)

    @invariant()
    def phases_agree(self) -> None:
        """Store and oracle see the same, with what was given out by the way."""
        self._note_given()
        s = self._do(self._world.look())
        assert s.phases() == self._oracle.phases()
        for task, left in self._oracle.tokens.items():
            assert float(s.hash(f"rb:{NAMESPACE}|{task}").get("k", self._oracle.budgets[task].min_per_minute)) == left
        for run, model in self._oracle.runs.items():
            assert int(s.hash(f"r:{run}").get("n", 0)) == model.attempt
            assert model.phase.terminal or ("is" in s.hash(f"r:{run}")) == model.isolated
            if model.phase in HELD:
                assert s.hash(f"r:{run}")["L"].decode() == model.lease
            (standing,) = self._do(self._shard.runs.standing(NAMESPACE, [run]))
            assert standing is not None
            assert bool(standing.progress) == (model.told_under != "" and model.told_under == model.lease)
