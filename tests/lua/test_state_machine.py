"""All scripts in any order, against an oracle, audited after each."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from tests.support.oracle import HELD, ModelRun, ModelWorker, Oracle
from tests.support.oracle_keys import Claim
from tests.support.world import NAMESPACE, World, flow_of, permit, rate
from windlass_core.domain.phase import Phase
from windlass_core.judgement import Judgement
from windlass_core.store.runs import Submission
from windlass_core.store.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from windlass_core.domain.retry import Budget

LATER_MS = 600_000
FAR_MS = 4_000_000_000_000
WORKERS = st.sampled_from(["w1", "w2"])
# Of a run: its last lease, an earlier one, or one that it never had.
LEASES = st.sampled_from(["last", "old", "foreign"])
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
REPORTS = st.sampled_from(["accept", "refresh", "progress", "release slots", "complete"])
VERDICTS = st.sampled_from(["retry", "retry", "release", "crash", "among", "dead"])


class Scripts(RuleBasedStateMachine):
    """One shard, one dispatcher, two workers, two tasks."""

    runs = Bundle("runs")

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

    def _lease(self, run: str, which: str) -> str:
        last = self._oracle.runs[run].lease
        return {"last": last or "none", "old": self._old.get(run, "none"), "foreign": "f" * 32}[which]

    def _note_given(self) -> None:
        for worker, attempt in self._do(self._world.delivered()):
            if lease := self._oracle.runs[attempt.run_id].lease:
                self._old[attempt.run_id] = lease
            self._oracle.give(attempt.run_id, attempt.lease_id, attempt.number, worker, isolated=attempt.isolated)

    @initialize(target=runs, gates=GATES)
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
        target=runs,
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

    @rule(target=runs, parent=runs, task=st.sampled_from("ab"), delayed=st.booleans(), gates=st.just([]) | GATES)
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
            self._oracle.submit(
                run, ModelRun(task, phase, timeout=timeout, to_start=to_start, gates=gates or []), parent
            )
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
            )
        )
        return multiple(*ids)

    @rule(
        worker=WORKERS,
        slots=st.integers(1, 3),
        tasks=st.sampled_from([("a",), ("a", "b"), ("a", "b")]),
        draining=st.sampled_from([False, False, True]),
        forgets=st.booleans(),
        run=st.none() | runs,
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

    @rule(run=runs, which=LEASES, report=REPORTS | VERDICTS)
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

    @rule(run=runs)
    def cancel(self, run: str) -> None:
        """Somebody has enough."""
        expected = self._oracle.cancel(run) if run in self._oracle.runs else "unknown"
        assert self._do(self._world.cancel(run)) == [expected]

    @rule(
        target=runs,
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

    @rule(target=runs, task=st.sampled_from("ab"), to_start=st.booleans(), gates=st.just([]) | GATES)
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

    @rule(run=runs)
    def delete_scheduled(self, run: str) -> None:
        """Before its time, which may have come."""
        expected = self._still_to_come(run, "deleted")
        if expected == "deleted":
            self._oracle.cancel(run)
        assert self._do(self._shard.scheduled.delete(NAMESPACE, "stop", [run])) == [expected]

    @rule(run=runs)
    def change_scheduled(self, run: str) -> None:
        """To a later time, before its own."""
        expected = self._still_to_come(run, "changed")
        model = self._oracle.runs.get(run) or ModelRun("a", Phase.SCHEDULED)
        more = {"at": FAR_MS + 1} | ({"g": model.gates} if model.gates else {})
        expires_ms = LATER_MS if model.to_start else 0
        changed = Submission(run, b"spec", flow_of(model.task), 2, "v1", 0, expires_ms, more=more)
        assert self._do(self._shard.scheduled.change(NAMESPACE, b"spec", changed)) == expected

    @rule()
    def end_windows(self) -> None:
        """Keys that count for a time have had it."""
        self._do(self._world.end_windows())
        self._oracle.keys.let_windows_end()

    @rule(run=runs, only_failed=st.booleans())
    def replay(self, run: str, *, only_failed: bool) -> None:
        """Once more from the beginning."""
        expected = self._oracle.replay(run, only_failed=only_failed) if run in self._oracle.runs else "unknown"
        assert self._do(self._shard.runs.replay(NAMESPACE, [run], only_failed=only_failed)) == [expected]

    @rule(run=runs)
    def delete(self, run: str) -> None:
        """The dead letter is emptied."""
        expected = self._oracle.delete(run) if run in self._oracle.runs else "unknown"
        assert self._do(self._shard.runs.delete(NAMESPACE, [run])) == [expected]

    @rule(run=runs)
    def submit_again(self, run: str) -> None:
        """The answer was lost."""
        if run in self._oracle.runs:
            stored = self._do(self._shard.runs.get(NAMESPACE, [run]))[0]
            same = Submission(run, stored.spec, stored.flow, 1, "v2")
            assert self._do(self._shard.runs.submit(NAMESPACE, "a1", [], [same]))[1] == {0: "duplicate"}

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


# A bound on its steps and not on its time, which is the machine's.
@pytest.mark.timeout(900)
def test_any_order_of_scripts_does_what_the_oracle_says(store_url: str) -> None:
    """Bounded: a few hundred steps."""
    with asyncio.Runner() as runner:
        shard = Shard(store_url)
        try:
            run_state_machine_as_test(
                lambda: Scripts(shard, runner),  # type: ignore[arg-type] # documented: what makes one
                settings=settings(
                    max_examples=40,
                    # To find the shortest story of a failure takes minutes; this one is short enough.
                    phases=[hypothesis.Phase.generate],
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(shard.close())
