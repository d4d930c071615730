"""Owns how runs come into the state machine, with whatever they may wait for."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, multiple, precondition, rule

from tests.support.machine.machine import FAR_MS, GATES, LATER_MS, LIMIT, RUNS
from tests.support.machine.workers import Workers
from tests.support.oracle import ModelRun
from tests.support.oracle_keys import Claim
from tests.support.world import NAMESPACE, flow_of
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import Submission

# Of runs of these levels both ends are followed by a hook.
HOOKED = (2, 4)


class Submits(Workers):
    """Runs of two tasks: new, claiming, scheduled and once more."""

    @initialize(target=RUNS, gates=GATES)
    def begin(self, gates: list[list[Any]]) -> Any:
        """A dispatcher, a worker for both tasks, and some runs, of which gates let only some start."""
        self._do(self._shard.redis.flushall())
        self._do(self._shard.processes.beat("dispatcher", "d1", "127.0.0.1:2", LATER_MS))
        self._do(self._shard.rate_limits.put(NAMESPACE, "api", LIMIT, LATER_MS))
        self._connect("w1", 3, ("a", "b"), [])
        runs = self._submit(4, "a", 2, gates=gates)
        self.match()
        return runs

    @rule(
        target=RUNS,
        count=st.integers(1, 3),
        task=st.sampled_from("ab"),
        queue=st.sampled_from(["default", "default", "rare"]),
        level=st.integers(1, 4),
        delayed=st.booleans(),
        to_start=st.booleans(),
        timeout=st.booleans(),
        at_once=st.booleans(),
        gates=st.just([]) | GATES,
    )
    def submit(
        self,
        count: int,
        task: str,
        queue: str,
        level: int,
        gates: list[list[Any]],
        *,
        delayed: bool,
        to_start: bool,
        timeout: bool,
        at_once: bool,
    ) -> Any:
        """New runs, all alike."""
        leases = count if at_once else 0
        return self._submit(
            count,
            task,
            level,
            queue=queue,
            delayed=delayed,
            to_start=to_start,
            timeout=timeout,
            leases=leases,
            gates=gates,
        )

    @rule(target=RUNS, parent=RUNS, task=st.sampled_from("ab"), delayed=st.booleans(), gates=st.just([]) | GATES)
    def submit_child(self, parent: str, task: str, gates: list[list[Any]], *, delayed: bool) -> Any:
        """A run below another, which may have ended or be gone."""
        return self._submit(1, task, 2, delayed=delayed, parent=parent, gates=gates)

    def _submit(
        self,
        count: int,
        task: str,
        level: int,
        *,
        queue: str = "default",
        delayed: bool = False,
        to_start: bool = False,
        timeout: bool = False,
        leases: int = 0,
        parent: str = "",
        gates: list[list[Any]] | None = None,
    ) -> Any:
        ids = self._world.mint(count)
        for run in ids:
            phase = Phase.SCHEDULED if delayed else Phase.READY
            model = ModelRun(task, phase, timeout=timeout, to_start=to_start, gates=gates or [], hooked=level in HOOKED)
            self._oracle.submit(run, model, parent)
        self._do(
            self._world.submit(
                ids=ids,
                task=task,
                queue=queue,
                level=level,
                delay_ms=LATER_MS if delayed else 0,
                expires_ms=LATER_MS if to_start else 0,
                timeout_ms=LATER_MS if timeout else 0,
                parent=parent,
                leases=leases,
                gates=gates or [],
                more={"hk": "FC"} if level in HOOKED else None,
            )
        )
        return multiple(*ids)

    @precondition(lambda self: self._oracle.owed_hooks())
    @rule(target=RUNS)
    def start_hooks(self) -> Any:
        """Each end that has a hook to follow is followed by one run."""
        owed = self._oracle.owed_hooks()
        started = self._do(self._world.start_hooks())
        assert set(started.values()) == owed
        for hook, run in started.items():
            self._oracle.start_hook(run, hook)
        return multiple(*started)

    @rule(
        target=RUNS,
        key=st.sampled_from("xy"),
        content=st.sampled_from("cd"),
        lasting=st.booleans(),
        on_conflict=st.sampled_from(["same", "reject", "return", "replace"]),
        gates=st.just([]) | GATES,
    )
    def submit_claiming(
        self, key: str, content: str, on_conflict: Any, gates: list[list[Any]], *, lasting: bool
    ) -> Any:
        """A new run with an idempotency key, which another one may have."""
        claim = Claim(key, content, lasting, on_conflict)
        (run,) = self._world.mint()
        expected = self._oracle.keys.contest(claim)
        if expected is None:
            self._oracle.submit(run, ModelRun("a", Phase.READY, gates=gates, claim=claim), "")
        more = {"i": claim.more(LATER_MS)} | ({"g": gates} if gates else {})
        asked = Submission(run, b"spec", flow_of("a"), 2, "v1", more=more)
        verdicts = self._do(self._shard.runs.submit(NAMESPACE, "a1", [], [asked]))[1]
        assert verdicts == ({} if expected is None else {0: expected})
        return multiple() if expected else run

    @rule(target=RUNS, task=st.sampled_from("ab"), to_start=st.booleans(), gates=st.just([]) | GATES)
    def schedule(self, task: str, gates: list[list[Any]], *, to_start: bool) -> Any:
        """A run for a time that is far off."""
        (run,) = self._world.mint()
        model = ModelRun(task, Phase.SCHEDULED, to_start=to_start, gates=gates, at_time=True)
        self._oracle.submit(run, model, "")
        expires_ms = LATER_MS if to_start else 0
        self._do(self._world.submit(ids=[run], task=task, expires_ms=expires_ms, gates=gates, more={"at": FAR_MS}))
        return run

    def _still_to_come(self, run: str, done: str) -> str:
        model = self._oracle.runs.get(run)
        if model is None or not model.at_time:
            return "unknown"
        return done if model.phase is Phase.SCHEDULED else "late"

    @rule(run=RUNS)
    def delete_scheduled(self, run: str) -> None:
        """Before its time, which may have come."""
        expected = self._still_to_come(run, "deleted")
        if expected == "deleted":
            self._oracle.cancel(run)
        assert self._do(self._shard.scheduled.delete(NAMESPACE, "stop", [run])) == [expected]

    @rule(run=RUNS)
    def change_scheduled(self, run: str) -> None:
        """To a later time, before its own."""
        expected = self._still_to_come(run, "changed")
        model = self._oracle.runs.get(run) or ModelRun("a", Phase.SCHEDULED)
        more = {"at": FAR_MS + 1} | ({"g": model.gates} if model.gates else {})
        expires_ms = LATER_MS if model.to_start else 0
        changed = Submission(run, b"spec", flow_of(model.task), 2, "v1", 0, expires_ms, more=more)
        assert self._do(self._shard.scheduled.change(NAMESPACE, b"spec", changed)) == expected
        if expected == "changed":
            model.due = (2, 0, run)

    @rule()
    def end_windows(self) -> None:
        """Keys that count for a time have had it."""
        self._do(self._world.end_windows())
        self._oracle.keys.let_windows_end()

    @rule(run=RUNS, only_failed=st.booleans())
    def replay(self, run: str, *, only_failed: bool) -> None:
        """Once more from the beginning."""
        expected = self._oracle.replay(run, only_failed=only_failed) if run in self._oracle.runs else "unknown"
        assert self._do(self._shard.runs.replay(NAMESPACE, [run], only_failed=only_failed)) == [expected]

    @rule(run=RUNS)
    def submit_again(self, run: str) -> None:
        """The answer was lost."""
        if run in self._oracle.runs:
            stored = self._do(self._shard.runs.get(NAMESPACE, [run]))[0]
            same = Submission(run, stored.spec, stored.flow, 1, "v2")
            assert self._do(self._shard.runs.submit(NAMESPACE, "a1", [], [same]))[1] == {0: "duplicate"}
