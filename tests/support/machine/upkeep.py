"""Owns what happens to the state machine's runs from outside: time passes, and people intervene."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.machine.machine import RUNS, Machine
from tests.support.world import NAMESPACE
from windlass_core.domain.phase import Phase


class Upkeep(Machine):
    """Timers, windows, pauses, cancels and deletes."""

    @rule(run=RUNS)
    def cancel(self, run: str) -> None:
        """Somebody has enough."""
        expected = self._oracle.cancel(run) if run in self._oracle.runs else "unknown"
        assert self._do(self._world.cancel(run)) == [expected]

    @rule(run=RUNS)
    def delete(self, run: str) -> None:
        """The dead letter is emptied."""
        expected = self._oracle.delete(run) if run in self._oracle.runs else "unknown"
        assert self._do(self._shard.runs.delete(NAMESPACE, [run])) == [expected]

    @precondition(lambda self: self._waits(Phase.SCHEDULED, Phase.BACKOFF) or self._oracle.timers_wait())
    @rule(kinds=st.sampled_from([("ready",), ("start",), ("ready", "start"), ()]))
    def fire(self, kinds: tuple[str, ...]) -> None:
        """Time passes for some kinds of timers; children of the cancelled are always due."""
        # Who is cancelled for whom depends on what comes first.
        one_by_one = any(r.gates for r in self._oracle.runs.values())
        for together in [[kind] for kind in kinds] if one_by_one else [kinds]:
            for kind in reversed(together):
                self._do(self._world.make_due(kind))
            self._do(self._world.fire())
            for kind in together:
                self._oracle.fire(kind)
            self._oracle.fire("kids")

    @precondition(lambda self: self._oracle.gates.used)
    @rule(place=st.integers(0, 1))
    def end_window(self, place: int) -> None:
        """A rate limit's window ends; what fits comes back."""
        used = self._oracle.gates.used
        key = sorted(used)[place % len(used)]
        self._do(self._world.end_window(key.partition("|")[2]))
        self._do(self._world.fire())
        del used[key]
        self._oracle.fire("kids")

    @rule(task=st.sampled_from("ab"))
    def pause_or_resume(self, task: str) -> None:
        """A workflow rests, or goes on."""
        paused, gates = self._oracle.gates.paused, self._shard.gates
        # One at a time, so that there is something to do.
        task = next(iter(paused), task)
        assert self._do((gates.resume if task in paused else gates.pause)(NAMESPACE, workflows=[task])) == [True]
        paused ^= {task}
        self._do(self._world.fire())
        self._oracle.fire("kids")

    @precondition(lambda self: self._oracle.overdue())
    @rule()
    def tell_overdue(self) -> None:
        """Attempts run for too long; the scheduler is told, and nothing else happens."""
        self._do(self._world.make_due("stop"))
        fired = self._do(self._shard.scheduling.fire())
        assert {(overdue.run_id, overdue.lease_id) for overdue in fired.overdue} == self._oracle.overdue()
        self._do(self._world.fire())
        self._oracle.fire("kids")

    @precondition(lambda self: any(r.phase.terminal for r in self._oracle.runs.values()))
    @rule()
    def expire(self) -> None:
        """Retention ends for all that has ended."""
        self._do(self._shard.runs.expire(-1, 1000))
        self._oracle.expire()
