"""Every rule of the history checker passes a good history, and fails a broken one: its negative control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.history import RULES, Execution, History, Indexes, StoredEnd, Tick, check
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C, D = "run-a", "run-b", "run-c", "run-d"
HOOK = "hook-of-a"


def good() -> History:
    """One run at the first attempt and its hook, one lost with its worker, one that failed twice, one replayed."""
    return History(
        submitted=frozenset({A, B, C, D, "never-heard-of-again"}),
        acknowledged=frozenset({A, B, C, D}),
        told={A: "n1", B: "n3", C: "", D: "n6"},
        executions=[
            Execution(A, 1, "l1", "w1", "n1", 1.0, 2.0, "x"),
            Execution(B, 1, "l2", "w2", "n2", 1.0, None, "y"),
            Execution(B, 1, "l3", "w1", "n3", 1.5, 2.0, "y"),
            Execution(C, 1, "l4", "w1", "n4", 3.0, 4.0, "x"),
            Execution(C, 2, "l5", "w1", "n5", 5.0, 6.0, "x"),
            Execution(D, 1, "l6", "w1", "n6", 1.0, 2.0, "z"),
            Execution(D, 1, "l7", "w1", "n7", 7.0, 8.0, "z"),
            Execution(HOOK, 1, "l8", "w1", "n8", 2.5, 2.6),
        ],
        runs={
            A: StoredEnd(A, Phase.COMPLETED, 1, "l1", "n1", hooked=[Phase.COMPLETED]),
            HOOK: StoredEnd(HOOK, Phase.COMPLETED, 1, "l8", "n8", follows=A, told_of=Phase.COMPLETED),
            B: StoredEnd(B, Phase.COMPLETED, 1, "l3", "n3"),
            C: StoredEnd(C, Phase.FAILED, 2, "l5", ""),
            D: StoredEnd(D, Phase.COMPLETED, 1, "l7", "n7", replays=1),
        },
        indexes=Indexes(accepted=[A, B, C, D, HOOK], done=[A, B, C, D, D, HOOK], failed=[C], slots={"w1": (4, 4)}),
        lost_workers=frozenset({"w2"}),
        attempts_allowed=2,
        permits_per_key=1,
        ticks=[Tick("a", 1_000), Tick("a", 2_000), Tick("b", 2_000)],
    )


def test_a_good_history_breaks_no_rule() -> None:
    """Losses, retries and replays are no faults."""
    assert check(good()) == []


def acknowledged_run_is_gone(h: History) -> History:
    """The store has forgotten a run that it had taken."""
    runs = {A: h.runs[A], B: h.runs[B]}
    return replace(h, runs=runs, indexes=replace(h.indexes, accepted=[A, B], done=[A, B], failed=[]))


def replay_without_an_end(h: History) -> History:
    """A run that was replayed ended once."""
    return replace(h, indexes=replace(h.indexes, done=[A, B, C, D]))


def replay_with_two_ends(h: History) -> History:
    """A run that was replayed once ended three times."""
    return replace(h, indexes=replace(h.indexes, done=[A, B, C, D, D, D]))


def replay_executed_twice(h: History) -> History:
    """A run that was replayed once was executed three times at its first attempt."""
    return replace(h, executions=[*h.executions, Execution(D, 1, "l9", "w1", "n9", 8.5, 8.6)])


def replay_told_what_nobody_made(h: History) -> History:
    """A caller has a result of a replayed run that none of its executions made."""
    return replace(h, told={**h.told, D: "n1"})


def acknowledged_run_hangs(h: History) -> History:
    """A run that nobody will ever end."""
    runs = {**h.runs, A: replace(h.runs[A], phase=Phase.RUNNING, nonce="")}
    return replace(h, runs=runs, told={}, indexes=replace(h.indexes, done=[B, C]))


def run_from_nowhere(h: History) -> History:
    """A run that nobody has submitted."""
    return replace(h, submitted=frozenset({A, B}), acknowledged=frozenset({A, B}))


def execution_from_nowhere(h: History) -> History:
    """User code ran for a run that does not exist."""
    return replace(h, executions=[*h.executions, Execution("ghost", 1, "l9", "w1", "n9", 7.0, 8.0)])


def two_ends(h: History) -> History:
    """The run ended twice."""
    return replace(h, indexes=replace(h.indexes, done=[A, B, C, A]))


def end_without_an_end(h: History) -> History:
    """The list of ends has a run that is still waiting."""
    runs = {**h.runs, A: replace(h.runs[A], phase=Phase.READY, nonce="")}
    return replace(h, runs=runs, told={}, acknowledged=frozenset({B, C}))


def late_result_taken(h: History) -> History:
    """The lost worker came back, and its answer was stored under the second one's lease."""
    late = replace(h.executions[1], ended_at=3.0)
    executions = [late if each is h.executions[1] else each for each in h.executions]
    return replace(
        h, executions=executions, told={A: "n1", B: "n2"}, runs={**h.runs, B: replace(h.runs[B], nonce="n2")}
    )


def invented_result(h: History) -> History:
    """A result that no code has made."""
    return replace(h, told={}, runs={**h.runs, A: replace(h.runs[A], nonce="n0")})


def result_of_an_unfinished_execution(h: History) -> History:
    """The code that is said to have made it never came to its end."""
    return replace(h, executions=[replace(h.executions[0], ended_at=None), *h.executions[1:]])


def another_result_told(h: History) -> History:
    """The caller has a result that is not the stored one."""
    return replace(h, told={**h.told, B: "n2"})


def success_told_failure_stored(h: History) -> History:
    """The caller was told a result of a run that failed."""
    return replace(h, told={**h.told, C: "n5"})


def attempt_executed_twice(h: History) -> History:
    """No worker was lost, and yet the attempt ran again."""
    return replace(h, executions=[*h.executions, Execution(A, 1, "l9", "w1", "n9", 2.5, 2.6)])


def one_execution_too_many(h: History) -> History:
    """More executions than attempts and losses."""
    return replace(h, executions=[*h.executions, Execution(C, 3, "l9", "w1", "n9", 7.0, 8.0)])


def attempt_beyond_the_policy(h: History) -> History:
    """The store counted an attempt that the policy does not allow."""
    return replace(h, runs={**h.runs, C: replace(h.runs[C], attempt=3)})


def lease_executed_twice(h: History) -> History:
    """A worker executed a lease that was delivered again."""
    return replace(h, executions=[*h.executions, Execution(B, 2, "l3", "w1", "n9", 2.5, 2.6)])


def overlapping_attempts(h: History) -> History:
    """The second attempt began before the first had ended."""
    return replace(h, executions=[*h.executions[:3], replace(h.executions[3], ended_at=5.5), h.executions[4]])


def permit_taken_twice(h: History) -> History:
    """Two runs of one key were executing at a time."""
    return replace(h, executions=[replace(each, key="x") for each in h.executions])


def permit_taken_between_attempts(h: History) -> History:
    """A run began while another of its key waited for its second attempt."""
    moved = replace(h.executions[0], began_at=4.2, ended_at=4.8)
    return replace(h, executions=[moved, *h.executions[1:]])


def permit_of_a_lost_worker(h: History) -> History:
    """A run began before what was lost with its worker was executed again."""
    return replace(h, executions=[replace(h.executions[0], key="y", ended_at=1.2), *h.executions[1:]])


def missing_in_the_index(h: History) -> History:
    """A run that no list shows."""
    return replace(h, indexes=replace(h.indexes, accepted=[A, B]))


def stranger_in_the_index(h: History) -> History:
    """The index of failures has a run that completed."""
    return replace(h, indexes=replace(h.indexes, failed=[A, C]))


def missing_among_the_failed(h: History) -> History:
    """A failure that no list shows."""
    return replace(h, indexes=replace(h.indexes, failed=[]))


def held_lease(h: History) -> History:
    """A worker is still said to hold something."""
    return replace(h, indexes=replace(h.indexes, busy=["wl{0}:att:w1"]))


def slot_never_given_back(h: History) -> History:
    """A worker has less room than it says it has."""
    return replace(h, indexes=replace(h.indexes, slots={"w1": (3, 4)}))


def key_left_over(h: History) -> History:
    """Retention left something of a run behind."""
    return replace(h, leaked=["wl{0}:e:run-c"])


def hook_left_out(h: History) -> History:
    """An end that nothing followed."""
    return replace(h, runs={run: end for run, end in h.runs.items() if run != HOOK})


def hook_run_twice(h: History) -> History:
    """Two runs followed one end."""
    return replace(h, runs={**h.runs, "again": replace(h.runs[HOOK], run_id="again")})


def hook_of_the_other_end(h: History) -> History:
    """A run that has completed is followed by what failures are."""
    return replace(h, runs={**h.runs, HOOK: replace(h.runs[HOOK], told_of=Phase.FAILED)})


def hook_that_hangs(h: History) -> History:
    """Nobody will ever end it."""
    return replace(h, runs={**h.runs, HOOK: replace(h.runs[HOOK], phase=Phase.READY)})


def hook_of_nothing(h: History) -> History:
    """The run that it follows is gone."""
    return replace(h, runs={run: end for run, end in h.runs.items() if run != A})


def hook_that_nobody_asked_for(h: History) -> History:
    """A run without hooks is followed by one."""
    return replace(h, runs={**h.runs, A: replace(h.runs[A], hooked=[])})


def tick_run_twice(h: History) -> History:
    """Two schedulers fired it."""
    return replace(h, ticks=[*h.ticks, h.ticks[0]])


def tick_left_out(h: History) -> History:
    """Nobody fired it."""
    return replace(h, ticks=[Tick("a", 1_000), Tick("a", 3_000)])


CONTROLS: dict[str, list[Callable[[History], History]]] = {
    "acknowledged_runs_end": [acknowledged_run_is_gone, acknowledged_run_hangs],
    "nothing_comes_unasked": [run_from_nowhere, execution_from_nowhere],
    "runs_end_once": [two_ends, end_without_an_end, replay_without_an_end, replay_with_two_ends],
    "results_are_the_accepted_leases": [late_result_taken, invented_result, result_of_an_unfinished_execution],
    "callers_are_told_what_is_stored": [
        another_result_told,
        success_told_failure_stored,
        replay_told_what_nobody_made,
    ],
    "attempts_execute_once": [attempt_executed_twice, replay_executed_twice],
    "attempts_are_bounded": [one_execution_too_many, attempt_beyond_the_policy],
    "leases_execute_once": [lease_executed_twice],
    "executions_do_not_overlap": [overlapping_attempts],
    "keys_have_no_more_runs_than_permits": [
        permit_taken_twice,
        permit_taken_between_attempts,
        permit_of_a_lost_worker,
    ],
    "indexes_match": [missing_in_the_index, stranger_in_the_index, missing_among_the_failed],
    "nothing_is_held": [held_lease, slot_never_given_back],
    "ends_have_one_hook": [
        hook_left_out,
        hook_run_twice,
        hook_of_the_other_end,
        hook_that_hangs,
        hook_of_nothing,
        hook_that_nobody_asked_for,
    ],
    "keys_return_to_their_baseline": [key_left_over],
    "ticks_run_once": [tick_run_twice],
    "no_tick_is_lost": [tick_left_out],
}


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [pytest.param(rule, each, id=f"{rule}-{each.__name__}") for rule, all_of in CONTROLS.items() for each in all_of],
)
def test_a_broken_history_is_caught_by_its_rule(rule: str, breaks: Callable[[History], History]) -> None:
    """And by that rule, not by chance by another."""
    assert rule in {broken.rule for broken in check(breaks(good()))}


def test_every_rule_has_its_negative_control() -> None:
    """A rule that can't fail proves nothing."""
    assert {rule.__name__ for rule in RULES} == set(CONTROLS)
