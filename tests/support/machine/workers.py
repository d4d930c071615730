"""Owns the state machine's workers: they come, go and get work."""

from __future__ import annotations

from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.machine.machine import RUNS, WORKERS, Machine
from tests.support.oracle import ModelWorker
from windlass_core.domain.phase import Phase


class Workers(Machine):
    """Two workers that connect, leave and are lost."""

    @rule(
        worker=WORKERS,
        slots=st.integers(1, 3),
        tasks=st.sampled_from([("a",), ("a", "b"), ("a", "b")]),
        draining=st.sampled_from([False, False, True]),
        forgets=st.booleans(),
        run=st.none() | RUNS,
    )
    def connect(
        self, worker: str, slots: int, tasks: tuple[str, ...], run: str | None, *, draining: bool, forgets: bool
    ) -> None:
        """A Hello, with all leases held, or with none, and perhaps with one of some other run."""
        held = [] if forgets else list(self._oracle.held_by(worker))
        if run in self._oracle.runs and (lease := self._oracle.runs[run].lease) and lease not in held:
            held.append(lease)
        self._connect(worker, slots, tasks, held, draining=draining)

    def _connect(
        self, worker: str, slots: int, tasks: tuple[str, ...], held: list[str], *, draining: bool = False
    ) -> None:
        enrolled = self._do(self._world.connect(worker, slots=slots, tasks=tasks, held=held, draining=draining))
        expected = self._oracle.connect(worker, ModelWorker(tasks, slots, "d" if draining else "a"), held)
        again = {attempt[1].decode() for attempt in enrolled.again}
        assert (set(enrolled.lost), set(enrolled.cancelled), again) == expected

    @rule(worker=WORKERS, how=st.sampled_from(["gone", "draining"]))
    def leave(self, worker: str, how: Literal["gone", "draining"]) -> None:
        """A stream's end, or a drain."""
        if worker in self._oracle.workers:
            assert self._do(self._world.leave(worker, how)) == 1
            self._oracle.leave(worker, how)

    @rule(worker=WORKERS)
    def lose(self, worker: str) -> None:
        """A session expires."""
        if worker in self._oracle.workers:
            held = self._oracle.held_by(worker)
            self._do(self._world.expire_session(worker))
            assert self._do(self._world.reap()) == len(held)
            self._old |= {run: lease for lease, run in held.items()}
            self._oracle.lose(worker)

    @precondition(lambda self: self._waits(Phase.READY))
    @rule()
    def match(self) -> None:
        """Whoever can gets work."""
        self._do(self._world.match())
        self._note_given()
        self._oracle.check_nothing_waits()
