"""What the scripts are to do, said in plain Python: the state machine's second opinion.

Leaves open which ready run a free worker gets first; says who may get what, and what follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.oracle_gates import GateOracle
from tests.support.oracle_keys import Claim, KeyOracle
from windlass_core.domain.limits import MAX_CRASHES, MAX_LOSSES
from windlass_core.domain.phase import Phase
from windlass_core.domain.retry import Budget

HELD = (Phase.LEASED, Phase.RUNNING)


@dataclass
class ModelRun:
    """A run. `lease` is that of its last attempt, "" where that was given back uncharged."""

    task: str
    phase: Phase
    timeout: bool = False
    to_start: bool = False
    # The lease that has given up its slots.
    slotless: str = ""
    # It was to start at a time, and not after a delay.
    at_time: bool = False
    # What it waits for comes in this order: delays and backoffs as they began, and far behind them times.
    due: tuple[int, int, str] = (0, 0, "")
    attempt: int = 0
    lease: str = ""
    worker: str = ""
    cancelled: bool = False
    crashes: int = 0
    losses: int = 0
    isolated: bool = False
    parent: str = ""
    children: set[str] = field(default_factory=set)
    replays: int = 0
    # Since its submit, or its last replay.
    started: bool = False
    gates: list[list[Any]] = field(default_factory=list)
    claim: Claim | None = None
    # Hooks follow its ends; that of its last end was started.
    hooked: bool = False
    hook_started: bool = False
    # The lease under which it has told its progress.
    told_under: str = ""
    # What it keeps till its end: it has started once.
    keeps: bool = False
    # When it was ready, by the oracle's clock; 0: by the clock's now, whenever it is queued again.
    since: int = 0

    def holds(self, lease: str) -> bool:
        """Whether an attempt under this lease is under way."""
        return self.phase in HELD and self.lease == lease

    def give_back(self) -> None:
        """Into its queue, uncharged."""
        self.phase, self.attempt, self.lease = Phase.READY, self.attempt - 1, ""

    def take_back(self, *, is_crash: bool, had_begun: bool) -> None:
        """Its process or worker has died: into its queue, or to its end where that happens too often."""
        self.crashes += is_crash
        self.losses += not is_crash
        if self.crashes == MAX_CRASHES or self.losses == MAX_LOSSES:
            self.finish(Phase.FAILED)
            return
        self.isolated = self.isolated or (had_begun and not is_crash)
        self.give_back()

    def finish(self, phase: Phase) -> None:
        """To its end, or to that which was asked for first."""
        self.phase = Phase.CANCELLED if self.cancelled else phase


@dataclass
class ModelWorker:
    """A worker. `state` is `a`, `d` or `g`."""

    tasks: tuple[str, ...]
    slots: int
    state: str


class Oracle:
    """Runs and workers by their ids."""

    def __init__(self, limits: dict[str, int] | None = None) -> None:
        self.runs: dict[str, ModelRun] = {}
        self.workers: dict[str, ModelWorker] = {}
        self._to_cancel_children_of: set[str] = set()
        self.gates = GateOracle(self, limits or {})
        self.keys = KeyOracle(self)
        #: Of the tasks that have one. In exact fractions, and time does not pass for them here.
        self.budgets = {"a": Budget(0.5, 1)}
        self.tokens: dict[str, float] = {task: budget.min_per_minute for task, budget in self.budgets.items()}

    def held_by(self, worker: str) -> dict[str, str]:
        """Lease → run of the attempts that a worker holds."""
        return {r.lease: run for run, r in self.runs.items() if r.phase in HELD and r.worker == worker}

    def has_room(self, worker: str) -> bool:
        """Whether a worker has a slot left."""
        taken = [lease for lease, run in self.held_by(worker).items() if self.runs[run].slotless != lease]
        return len(taken) < self.workers[worker].slots

    def phases(self) -> dict[str, Phase]:
        """Run → phase."""
        return {run: r.phase for run, r in self.runs.items()}

    def submit(self, run: str, model: ModelRun, parent: str) -> None:
        """A new run."""
        self.runs[run] = model
        model.parent = parent
        if model.claim is not None:
            self.keys.take(run, model.claim)
        mother = self.runs.get(parent)
        if mother is not None and mother.cancelled:
            self.end_cancelled(model)
            return
        if mother is not None:
            mother.children.add(run)
        if model.phase == Phase.SCHEDULED:
            model.due = (1, 0, run) if model.at_time else (0, self.gates.tick(), run)
        if model.phase == Phase.READY:
            model.since = self.gates.tick()
            self.gates.arrive(run)

    def give(self, run: str, lease: str, number: int, worker: str, *, isolated: bool) -> None:
        """A worker was given an attempt: it must be one that may."""
        r, w = self.runs[run], self.workers[worker]
        assert r.phase == Phase.READY
        assert number == r.attempt + 1
        assert isolated == r.isolated
        assert w.state == "a"
        assert r.task in w.tasks
        assert self.has_room(worker)
        assert self.gates.may_start(r)
        self.gates.start(r)
        r.phase, r.lease, r.attempt, r.worker, r.to_start = Phase.LEASED, lease, number, worker, False
        r.started = True

    def check_nothing_waits(self) -> None:
        """After matching: no run waits that a free worker could take."""
        for name, w in self.workers.items():
            if w.state == "a" and self.has_room(name):
                ready = [r for r in self.runs.values() if r.phase == Phase.READY and r.task in w.tasks]
                assert not [r for r in ready if self.gates.may_start(r)]

    def connect(self, worker: str, model: ModelWorker, held: list[str]) -> tuple[set[str], set[str], set[str]]:
        """A Hello. Gives the leases lost, to cancel, and to deliver again."""
        self.workers[worker] = model
        own = self.held_by(worker)
        for lease in own.keys() & set(held):
            self.runs[own[lease]].phase = Phase.RUNNING
        cancels = {lease for lease in own.keys() & set(held) if self.runs[own[lease]].cancelled}
        return set(held) - own.keys(), cancels, own.keys() - set(held)

    def leave(self, worker: str, how: Literal["gone", "draining"]) -> None:
        """A stream's end, or a drain."""
        w = self.workers[worker]
        if how == "gone" and w.state == "d" and not self.held_by(worker):
            del self.workers[worker]
        else:
            w.state = how[0]

    def accept(self, run: str, lease: str) -> int:
        """How many attempts start to run."""
        r = self.runs[run]
        if not (r.holds(lease) and r.phase == Phase.LEASED):
            return 0
        r.phase = Phase.RUNNING
        return 1

    def refresh(self, run: str, lease: str) -> int:
        """How many attempts get more time."""
        r = self.runs[run]
        return int(r.holds(lease) and r.timeout)

    def release_slots(self, run: str, lease: str) -> int:
        """How many attempts go on without their slots."""
        r = self.runs[run]
        if r.holds(lease):
            r.slotless = lease
        return int(r.holds(lease))

    def progress(self, run: str, lease: str) -> int:
        """How many attempts are heard."""
        r = self.runs[run]
        if r.holds(lease):
            r.told_under = lease
        return int(r.holds(lease))

    def complete(self, run: str, lease: str) -> str:
        """The verdict on an output."""
        r = self.runs[run]
        if r.holds(lease):
            self._earn(r)
            r.finish(Phase.COMPLETED)
            return "recorded"
        return "duplicate" if r.lease == lease and r.phase.terminal else "lease_lost"

    def fail(self, run: str, lease: str, verdict: str, *, later: bool) -> str:
        """The verdict on a failure."""
        r = self.runs[run]
        if not r.holds(lease):
            return "duplicate" if r.lease == lease else "lease_lost"
        told = self._end_badly(r, verdict, later=later)
        if r.phase == Phase.BACKOFF:
            r.due = (0, self.gates.tick(), run)
        self.gates.settle(run)
        return told

    def _end_badly(self, r: ModelRun, verdict: str, *, later: bool) -> str:
        if r.cancelled or verdict == "dead":
            if not r.cancelled:
                self._earn(r)
            r.finish(Phase.FAILED)
        elif verdict == "release":
            r.give_back()
        elif verdict in {"crash", "among"}:
            r.take_back(is_crash=verdict == "crash", had_begun=True)
        else:
            return self._retry(r, later=later)
        return "recorded"

    def _retry(self, r: ModelRun, *, later: bool) -> str:
        r.isolated = False
        self._earn(r)
        if r.task in self.tokens:
            if self.tokens[r.task] < 1:
                r.finish(Phase.FAILED)
                return "spent"
            self.tokens[r.task] -= 1
        r.phase = Phase.BACKOFF if later else Phase.READY
        r.since = 0 if later else self.gates.tick()
        return "recorded"

    def _earn(self, r: ModelRun) -> None:
        if r.task in self.tokens and r.attempt == 1:
            self.tokens[r.task] += self.budgets[r.task].ratio

    def budget_of(self, run: str) -> Budget | None:
        """The retry budget of the run's task."""
        return self.budgets.get(self.runs[run].task)

    def cancel(self, run: str) -> str:
        """The outcome of a cancel."""
        r = self.runs[run]
        if r.phase.terminal:
            return "ended"
        if r.children & self.runs.keys():
            self._to_cancel_children_of.add(run)
        if r.phase in HELD:
            r.cancelled = True
            return "requested"
        self.end_cancelled(r)
        return "cancelled"

    def lose(self, worker: str) -> None:
        """A worker's session has expired and was reaped."""
        held = self.held_by(worker)
        for run in held.values():
            r = self.runs[run]
            if r.cancelled:
                r.finish(Phase.CANCELLED)
                continue
            had_begun = r.phase == Phase.RUNNING
            r.take_back(is_crash=had_begun and len(held) == 1, had_begun=had_begun)
        self.gates.settle(*held.values())
        del self.workers[worker]

    def fire(self, kind: str) -> None:
        """All timers of a kind have fired, and those that cancel children, down to the last."""
        if kind == "ready":
            self._end_waits()
        for r in self.runs.values():
            if kind == "start" and r.to_start and r.phase in {Phase.SCHEDULED, Phase.READY}:
                self.end_cancelled(r)
        while self._to_cancel_children_of:
            mother = self.runs.get(self._to_cancel_children_of.pop())
            if mother is not None:
                children, mother.children = mother.children, set()
                for child in children & self.runs.keys():
                    self.cancel(child)

    def _end_waits(self) -> None:
        due = {run: r for run, r in self.runs.items() if r.phase in {Phase.SCHEDULED, Phase.BACKOFF}}
        again = {run for run, r in due.items() if r.phase == Phase.BACKOFF}
        for r in due.values():
            r.phase = Phase.READY
        self.gates.arrive(*sorted(due, key=lambda run: due[run].due), again=again)

    def overdue(self) -> set[tuple[str, str]]:
        """(run, lease) of the attempts that have a time to stop."""
        return {(run, r.lease) for run, r in self.runs.items() if r.phase in HELD and r.timeout}

    def timers_wait(self) -> bool:
        """Whether any run has a time to start, or children that are to be cancelled."""
        return bool(self._to_cancel_children_of) or any(r.to_start for r in self.runs.values())

    def replay(self, run: str, *, only_failed: bool) -> str:
        """The outcome of a replay."""
        r = self.runs[run]
        if not r.phase.terminal:
            return "already" if r.replays and not r.started else "not_ended"
        if only_failed and r.phase != Phase.FAILED:
            return "not_failed"
        if claim := self.keys.lasting(run):
            if self.keys.holder_of(claim.key):
                return "key_taken"
            self.keys.take(run, claim)
        r.phase, r.attempt, r.lease, r.cancelled, r.to_start = Phase.READY, 0, "", False, False
        r.crashes, r.losses, r.isolated = 0, 0, False
        r.hook_started = False
        r.replays, r.started, r.keeps, r.since = r.replays + 1, False, False, self.gates.tick()
        self.gates.settle(run)
        mother = self.runs.get(r.parent)
        if mother is not None:
            mother.children.add(run)
        return "replayed"

    def owed_hooks(self) -> set[str]:
        """The runs whose last end is still to be followed by a hook."""
        ends = {Phase.COMPLETED, Phase.FAILED}
        return {run for run, r in self.runs.items() if r.hooked and r.phase in ends and not r.hook_started}

    def start_hook(self, run: str, hook: str) -> None:
        """The hook of a run's end is a run like any other, of the same task."""
        self.runs[run].hook_started = True
        self.submit(hook, ModelRun(self.runs[run].task, Phase.READY), "")

    def delete(self, run: str) -> str:
        """The outcome of a deletion."""
        if self.runs[run].phase != Phase.FAILED:
            return "not_failed"
        del self.runs[run]
        self.keys.forget(run)
        return "deleted"

    def expire(self) -> None:
        """Ended runs are deleted."""
        self.runs = {run: r for run, r in self.runs.items() if not r.phase.terminal}

    @staticmethod
    def end_cancelled(r: ModelRun) -> None:
        """Nobody had it."""
        r.cancelled = True
        r.phase = Phase.CANCELLED
