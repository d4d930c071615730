"""The suite notices a worker that breaks a rule, and blames no other."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.conformance_run import ConformanceRun, chosen, conformance_run

if TYPE_CHECKING:
    from collections.abc import Iterator

# What each fault breaks; every run also has a case that none of them touches.
_BROKEN = {
    "runs_again": ["a-duplicate-runs-once", "held-work-is-not-run-again", "an-acknowledged-lease-is-not-run-again"],
    "ignores_slots": ["fills-its-slots-and-no-more"],
    "heeds_no_loss": [
        "leases-lost-at-the-welcome-are-dropped",
        "leases-lost-at-a-heartbeat-are-dropped",
        "stops-its-work-before-the-session-ends",
    ],
    "forgets_results": ["unacknowledged-results-are-sent-again", "waits-for-its-acknowledgements"],
    "makes_haste": ["waits-between-attempts-to-connect"],
    "beats_no_more": ["beats-at-the-interval", "names-all-that-it-holds", "leaves-a-silent-dispatcher"],
    "ignores_cancels": ["a-cancelled-attempt-ends", "a-stubborn-attempt-is-given-up"],
    "starts_what_is_cancelled": ["cancelled-before-it-starts"],
    "ends_at_sigterm": ["an-idle-worker-leaves", "running-work-is-finished", "new-work-is-handed-back"],
    "logs_late": ["lines-come-in-order-before-the-outcome"],
    "tells_no_last_word": ["the-last-word-comes-before-the-outcome"],
    "waits_with_its_words": ["words-are-sent-as-they-come"],
    "tells_every_word": ["words-are-thinned-out"],
    "tells_no_task": ["a-task-is-told-that-time-is-short", "the-soft-timeout-moves-along"],
    "stops_nobody_who_was_told": ["who-was-told-is-still-stopped"],
    "keeps_the_first_limit": ["more-time-is-told-and-given", "the-soft-timeout-moves-along"],
    "leaves_the_soft_limit": ["the-soft-timeout-moves-along"],
    "says_refreshes_once": ["more-time-is-told-again"],
    "repeats_what_was_asked": ["more-time-is-told-again"],
    "tells_no_crash": [
        "a-crash-alone-is-told",
        "a-crash-among-others-is-nobodys",
        "an-isolated-attempt-crashes-alone",
    ],
    "blames_all": ["a-crash-among-others-is-nobodys"],
    "isolates_nobody": ["an-isolated-attempt-crashes-alone"],
    "hides_its_labels": ["hello-has-the-labels"],
    "tells_new_labels_alone": ["labels-change-while-it-runs"],
    "keeps_given_slots": ["a-slot-given-up-is-free"],
    "tells_given_slots_once": ["a-slot-given-up-is-told-again"],
    "streams_late": ["chunks-come-in-order-before-the-outcome", "chunks-that-are-not-settled-are-sent-again"],
    "streams_once": ["chunks-that-are-not-settled-are-sent-again"],
    "hears_no_refusal": ["a-task-learns-that-its-stream-is-refused"],
    "has_one_pool": ["slots-of-all-pools-are-room"],
    "goes_by_the_task": ["a-task-is-known-by-both-names", "tasks-of-one-name-are-told-apart"],
    "forgets_what_it_follows": ["a-hook-knows-what-it-follows"],
    "hides_its_hooks": ["hello-defines-hooks"],
}
_KEPT = "json-is-kept-exactly"
# Long enough for a start on a busy machine: what a broken worker never does is waited for so long.
_PATIENCE = 10.0
_AT_ONCE = 4

Played = dict[str, "Future[ConformanceRun]"]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    """The runs with each fault that is to be tested, a few side by side: mostly they wait."""
    faults = chosen(request.session, test_a_broken_rule_is_noticed.__name__, _BROKEN)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield {
            fault: threads.submit(
                conformance_run,
                f"tests.conformance.broken_worker {fault}",
                [*_BROKEN[fault], _KEPT],
                patience=_PATIENCE,
            )
            for fault in faults
        }


@pytest.mark.parametrize("fault", _BROKEN)
def test_a_broken_rule_is_noticed(fault: str, played: Played) -> None:
    """The cases that the fault breaks fail, the other one passes, and the program ends with 1."""
    run = played[fault].result()
    failed = [name for name, why in run.reasons.items() if why]
    assert sorted(failed) == sorted(_BROKEN[fault]), run.reasons
    assert run.status == 1


def test_what_is_no_worker_scores_nothing() -> None:
    """A program that ends at once is not waited for."""
    run = conformance_run("this", [_KEPT])
    assert "the worker ended by itself, with status 0" in run.reasons[_KEPT]
