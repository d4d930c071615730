"""Owns what workers of the state machine say of attempts, under leases that may not be good."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.machine.machine import LATER_MS, RUNS
from tests.support.machine.workers import Workers
from tests.support.oracle import HELD
from windlass_core.domain.phase import Phase
from windlass_core.judgement import Judgement

if TYPE_CHECKING:
    from windlass_core.domain.retry import Budget

# Of a run: its last lease, an earlier one, or one that it never had.
LEASES = st.sampled_from(["last", "old", "foreign"])
REPORTS = st.sampled_from(["accept", "refresh", "progress", "release slots", "complete"])
VERDICTS = st.sampled_from(["retry", "retry", "release", "crash", "among", "dead"])


class Attempts(Workers):
    """Reports of every kind."""

    def _lease(self, run: str, which: str) -> str:
        last = self._oracle.runs[run].lease
        return {"last": last or "none", "old": self._old.get(run, "none"), "foreign": "f" * 32}[which]

    def _held(self) -> list[tuple[str, str]]:
        """(run, lease) of the attempts that are under way."""
        return sorted((run, r.lease) for run, r in self._oracle.runs.items() if r.phase in HELD)

    def _one_held(self, place: int) -> tuple[str, str]:
        held = self._held()
        return held[place % len(held)]

    @precondition(lambda self: self._held())
    @rule(place=st.integers(0, 5))
    def accept(self, place: int) -> None:
        """A worker says that it has an attempt."""
        self._accept(*self._one_held(place))

    @precondition(lambda self: self._held())
    @rule(place=st.integers(0, 5))
    def complete(self, place: int) -> None:
        """An attempt ends with an output; the next one may begin in the same step."""
        self._complete(*self._one_held(place))

    @precondition(lambda self: self._held())
    @rule(place=st.integers(0, 5), verdict=VERDICTS, later=st.booleans())
    def fail(self, place: int, verdict: Any, *, later: bool) -> None:
        """An attempt ends without one."""
        self._fail(*self._one_held(place), verdict, later=later)

    @precondition(lambda self: self._held())
    @rule(
        place=st.integers(0, 5), verdicts=st.lists(VERDICTS, min_size=2, max_size=5) | VERDICTS.map(lambda v: [v] * 4)
    )
    def fail_again_and_again(self, place: int, verdicts: list[Any]) -> None:
        """The same run, as often as it gets a worker: crashes add up, budgets are used up."""
        run, _ = self._one_held(place)
        for verdict in verdicts:
            r = self._oracle.runs[run]
            if r.phase in HELD:
                self._fail(run, r.lease, verdict, later=False)
                self.match()

    @precondition(lambda self: self._held() or self._waits(Phase.READY))
    @rule(endings=st.lists(st.just("complete") | VERDICTS, min_size=1, max_size=6))
    def work_off(self, endings: list[Any]) -> None:
        """Whoever can gets work, and all that is under way comes to some end: lives go on, whatever else is tried."""
        self.match()
        for (run, lease), ending in zip(self._held(), cycle(endings), strict=False):
            self._accept(run, lease)
            if ending == "complete":
                self._complete(run, lease)
            else:
                self._fail(run, lease, ending, later=False)
            self._note_given()

    @rule(run=RUNS, which=LEASES, report=REPORTS | VERDICTS)
    def report(self, run: str, which: str, report: Any) -> None:
        """Something is said of a run under a lease, which may not be good, or no longer."""
        if run in self._oracle.runs:
            lease = self._lease(run, which)
            if report == "accept":
                self._accept(run, lease)
            elif report == "refresh":
                told = self._do(self._shard.runs.refresh([(run, lease, LATER_MS)]))
                assert told == self._oracle.refresh(run, lease)
            elif report == "release slots":
                self._release_slots(run, lease)
            elif report == "progress":
                heard = self._do(self._shard.runs.progress([(run, lease, b"half")]))
                assert heard == self._oracle.progress(run, lease)
            elif report == "complete":
                self._complete(run, lease)
            else:
                self._fail(run, lease, report, later=False)

    @precondition(lambda self: self._held())
    @rule(place=st.integers(0, 5))
    def release_slots(self, place: int) -> None:
        """An attempt goes on without its slots, which others can have."""
        self._release_slots(*self._one_held(place))
        self.match()

    def _release_slots(self, run: str, lease: str) -> None:
        self._world.slotless.add(lease)
        assert self._do(self._shard.runs.release_slots([(run, lease)])) == self._oracle.release_slots(run, lease)

    def _accept(self, run: str, lease: str) -> None:
        assert self._do(self._shard.runs.accept([(run, lease)])) == self._oracle.accept(run, lease)

    def _complete(self, run: str, lease: str) -> None:
        budget = self._budget(run)
        if budget is None or self._oracle.runs[run].attempt != 1:
            verdict = self._do(self._shard.runs.complete([(run, lease, b"1")]))
        else:
            verdict = self._do(self._shard.runs.complete([(run, lease, b"1", budget)]))
        assert verdict == [self._oracle.complete(run, lease)]

    def _fail(self, run: str, lease: str, verdict: Any, *, later: bool) -> None:
        charged = self._budget(run) if verdict in {"retry", "dead"} else None
        judgement = Judgement(verdict, LATER_MS if later else 0, charged)
        told = self._do(self._shard.runs.fail([judgement.of(run, lease, b"")]))
        assert told == [self._oracle.fail(run, lease, verdict, later=later)]
        self._old[run] = lease

    def _budget(self, run: str) -> Budget | None:
        budget = self._oracle.budget_of(run)
        if budget is not None:
            self._do(self._world.hold_tokens(self._oracle.runs[run].task))
        return budget
