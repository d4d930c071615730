"""The history checker: proves from what was seen outside the engine that it kept its promises.

Owns the rules and nothing else: `history_reading.py` reads the store, `ordeal.py` gathers the logs.
Every rule yields what breaks it; `tests/unit/test_history.py` has a broken history for each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt as the user's code saw it. Times are of the machine's monotonic clock, in seconds."""

    run_id: str
    attempt: int
    lease_id: str
    worker_id: str
    nonce: str
    began_at: float
    #: None where the code never came to its end.
    ended_at: float | None
    #: The run's concurrency key; empty where it has none.
    key: str = ""


@dataclass(frozen=True, slots=True)
class StoredEnd:
    """A run as the store has it in the end."""

    run_id: str
    phase: Phase
    attempt: int
    #: The lease that ended it.
    lease_id: str
    #: The execution's, out of the output; empty where there is no output.
    nonce: str
    #: How often it was replayed: so many ends it had before this one.
    replays: int = 0
    #: The ends that a hook follows.
    hooked: Sequence[Phase] = ()
    #: Of the run of a hook: the run that it follows, and the end that it was told of.
    follows: str = ""
    told_of: Phase | None = None


@dataclass(frozen=True, slots=True)
class Indexes:
    """What the store keeps besides the runs."""

    accepted: Sequence[str] = ()
    done: Sequence[str] = ()
    failed: Sequence[str] = ()
    #: Keys that live only while work is under way.
    busy: Sequence[str] = ()
    #: Worker → slots shown as free, slots in all.
    slots: Mapping[str, tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """One execution for a cron's tick, as the user's code saw it."""

    cron: str
    #: In milliseconds since 1970 UTC.
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """All that was seen of some runs, from their submits to the retention's end."""

    #: Every run that a caller asked for, whether or not it heard of it again.
    submitted: frozenset[str]
    acknowledged: frozenset[str]
    #: Run → the nonce in the result that its caller was given; empty for a failure.
    told: Mapping[str, str]
    executions: Sequence[Execution]
    runs: Mapping[str, StoredEnd]
    indexes: Indexes
    #: Workers that the test has killed, or stopped for longer than their session.
    lost_workers: frozenset[str] = frozenset()
    attempts_allowed: int = 1
    #: How many runs of one concurrency key may be under way, from their first start to their end.
    permits_per_key: int = 1
    #: Keys that outlived their time.
    leaked: Sequence[str] = ()
    #: Of crons that are due every so many milliseconds.
    ticks: Sequence[Tick] = ()
    tick_every_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept."""

    rule: str
    about: str


def broken_rules(history: History) -> set[str]:
    """The names of the rules that a history breaks."""
    return {broken.rule for broken in check(history)}


def check(history: History) -> list[Broken]:
    """All that is wrong with a history; nothing for a good one."""
    return [Broken(rule.__name__, about) for rule in RULES for about in rule(history)]


def acknowledged_runs_end(history: History) -> Iterator[str]:
    """Nothing that was acknowledged is lost."""
    for run_id in sorted(history.acknowledged):
        run = history.runs.get(run_id)
        if run is None:
            yield f"{run_id} was acknowledged, and is gone"
        elif not run.phase.terminal:
            yield f"{run_id} was acknowledged, and is still {run.phase.name}"


def nothing_comes_unasked(history: History) -> Iterator[str]:
    """What runs, somebody has submitted, or it follows such a run as its hook."""
    seen = {*history.runs, *(each.run_id for each in history.executions)}
    hooks = {run.run_id for run in history.runs.values() if run.follows in history.submitted}
    for run_id in sorted(seen - history.submitted - hooks):
        yield f"{run_id} was never submitted"


def runs_end_once(history: History) -> Iterator[str]:
    """The list of ends has each run once for each time it ended: one terminal transition, and one per replay."""
    ends = Counter(history.indexes.done)
    for run_id, run in history.runs.items():
        expected = run.replays + (1 if run.phase.terminal else 0)
        if ends[run_id] != expected:
            yield f"{run_id} is {run.phase.name} and ended {ends[run_id]} times"


def results_are_the_accepted_leases(history: History) -> Iterator[str]:
    """A stored output was made under the lease that ended the run, by code that came to its end."""
    made = {each.nonce: each for each in history.executions}
    for run in history.runs.values():
        if run.phase is not Phase.COMPLETED:
            continue
        execution = made.get(run.nonce)
        if execution is None or execution.ended_at is None:
            yield f"{run.run_id} has a result that no execution made"
        elif (execution.run_id, execution.lease_id) != (run.run_id, run.lease_id):
            yield f"{run.run_id} was ended by lease {run.lease_id} with the result of {execution.lease_id}"


def callers_are_told_what_is_stored(history: History) -> Iterator[str]:
    """The result that a caller was given is the one that stays, until somebody replays the run."""
    for run_id, nonce in history.told.items():
        run = history.runs.get(run_id)
        if run is not None and run.nonce != nonce and not (run.replays and _is_made(history, run_id, nonce)):
            yield f"{run_id}: the caller was told {nonce or 'a failure'}, stored is {run.nonce or 'a failure'}"


def attempts_execute_once(history: History) -> Iterator[str]:
    """Only what was lost with its worker is executed again under the same attempt."""
    executed = Counter((each.run_id, each.attempt) for each in _surviving(history))
    for (run_id, attempt), times in executed.items():
        if times > _times(history, run_id):
            yield f"{run_id}: attempt {attempt} was executed {times} times, by workers that were not lost"


def attempts_are_bounded(history: History) -> Iterator[str]:
    """A run is tried as often as its policy allows, anew after a replay, and once more for each loss."""
    executed = Counter(each.run_id for each in history.executions)
    lost = Counter(each.run_id for each in history.executions if each.worker_id in history.lost_workers)
    for run_id, times in executed.items():
        if times > history.attempts_allowed * _times(history, run_id) + lost[run_id]:
            yield f"{run_id} was executed {times} times"
    for run in history.runs.values():
        if run.attempt > history.attempts_allowed:
            yield f"{run.run_id} is at attempt {run.attempt} of {history.attempts_allowed}"


def leases_execute_once(history: History) -> Iterator[str]:
    """A lease delivered twice is executed once."""
    executed = Counter(each.lease_id for each in history.executions)
    for lease_id, times in executed.items():
        if times > 1:
            yield f"lease {lease_id} was executed {times} times"


def executions_do_not_overlap(history: History) -> Iterator[str]:
    """No two executions of a run at one time, but for those that were lost."""
    by_run: dict[str, list[Execution]] = defaultdict(list)
    for execution in _surviving(history):
        by_run[execution.run_id].append(execution)
    for run_id, executions in by_run.items():
        executions.sort(key=lambda each: each.began_at)
        for earlier, later in pairwise(executions):
            if earlier.ended_at is None or earlier.ended_at > later.began_at:
                yield f"{run_id}: attempt {later.attempt} began while attempt {earlier.attempt} was executing"


def keys_have_no_more_runs_than_permits(history: History) -> Iterator[str]:
    """A run that has begun keeps its key's permit to its end, through retries and lost workers."""
    by_run: dict[tuple[str, str], list[Execution]] = defaultdict(list)
    for execution in history.executions:
        if execution.key:
            by_run[execution.key, execution.run_id].append(execution)
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for (key, run_id), executions in by_run.items():
        # Between its end and its replay a run has no permit.
        spans = [executions] if _times(history, run_id) == 1 else [[each] for each in executions]
        for span in spans:
            first = min(each.began_at for each in span)
            last = max(each.began_at if each.ended_at is None else each.ended_at for each in span)
            changes[key] += [(first, 1), (last, -1)]
    for key, moments in changes.items():
        most = max(accumulate(change for _at, change in sorted(moments)))
        if most > history.permits_per_key:
            yield f"{key}: {most} runs were under way at a time, of {history.permits_per_key}"


def indexes_match(history: History) -> Iterator[str]:
    """The index by time has all runs, the list of ends all ended ones, the failed ones are as stored."""
    indexes = history.indexes
    ended = {run.run_id for run in history.runs.values() if run.phase.terminal}
    failed = {run.run_id for run in history.runs.values() if run.phase is Phase.FAILED}
    for name, listed, stored in (
        ("runs by time", set(indexes.accepted), set(history.runs)),
        ("ended runs", set(indexes.done), ended),
        ("failed runs", set(indexes.failed), failed),
    ):
        for run_id in sorted(listed - stored):
            yield f"{name}: lists {run_id}, which is none"
        for run_id in sorted(stored - listed):
            yield f"{name}: lacks {run_id}"


def nothing_is_held(history: History) -> Iterator[str]:
    """When all has ended no lane, lease, slot or timer is left, and every slot is free."""
    for key in history.indexes.busy:
        yield f"{key} is still there"
    for worker_id, (free, slots) in (history.indexes.slots or {}).items():
        if free != slots:
            yield f"worker {worker_id} shows {free} free slots of {slots}"


def ends_have_one_hook(history: History) -> Iterator[str]:
    """Each end that a hook follows has one, told of that end; a replay may take back what was not started yet."""
    hooks: dict[str, list[StoredEnd]] = defaultdict(list)
    for run in history.runs.values():
        if run.follows:
            hooks[run.follows].append(run)
    for run in history.runs.values():
        mine = hooks.pop(run.run_id, [])
        least = 1 if run.phase in run.hooked else 0
        if not least <= len(mine) <= _times(history, run.run_id) * bool(run.hooked):
            yield f"{run.run_id} is {run.phase.name} after {run.replays} replays, and {len(mine)} hooks followed it"
        if least and run.phase not in {hook.told_of for hook in mine}:
            yield f"{run.run_id} is {run.phase.name}, and no hook was told so"
        for hook in mine:
            if not hook.phase.terminal:
                yield f"{hook.run_id}, the hook of {run.run_id}, is still {hook.phase.name}"
    for followed in hooks:
        yield f"{followed} is followed by a hook, and is gone"


def keys_return_to_their_baseline(history: History) -> Iterator[str]:
    """After the retention only the keys are left that belong to the namespace and what is alive."""
    for key in history.leaked:
        yield f"{key} has outlived its time"


def ticks_run_once(history: History) -> Iterator[str]:
    """One run per cron and tick, however many schedulers there are."""
    for tick, times in Counter(history.ticks).items():
        if times > 1:
            yield f"tick {tick.at_ms} of {tick.cron} was run {times} times"


def no_tick_is_lost(history: History) -> Iterator[str]:
    """From a cron's first run to its last, every tick in between was run."""
    by_cron: dict[str, set[int]] = defaultdict(set)
    for tick in history.ticks:
        by_cron[tick.cron].add(tick.at_ms)
    for cron, ticks in by_cron.items():
        for earlier, later in pairwise(sorted(ticks)):
            if later - earlier != history.tick_every_ms:
                yield f"{cron} was run for {earlier}, and then for {later}"


RULES: Final[Sequence[Callable[[History], Iterator[str]]]] = (
    acknowledged_runs_end,
    nothing_comes_unasked,
    runs_end_once,
    results_are_the_accepted_leases,
    callers_are_told_what_is_stored,
    attempts_execute_once,
    attempts_are_bounded,
    leases_execute_once,
    executions_do_not_overlap,
    keys_have_no_more_runs_than_permits,
    indexes_match,
    nothing_is_held,
    ends_have_one_hook,
    keys_return_to_their_baseline,
    ticks_run_once,
    no_tick_is_lost,
)


def _times(history: History, run_id: str) -> int:
    """How often a run was begun: once, and once per replay."""
    run = history.runs.get(run_id)
    return 1 + (run.replays if run else 0)


def _is_made(history: History, run_id: str, nonce: str) -> bool:
    """Whether an execution of the run made this result; a failure is none."""
    return not nonce or any((each.run_id, each.nonce) == (run_id, nonce) for each in history.executions)


def _surviving(history: History) -> Iterator[Execution]:
    return (each for each in history.executions if each.worker_id not in history.lost_workers)
