"""The suite notices a worker that breaks a rule, and blames no other."""

from __future__ import annotations

import pytest

from tests.support.conformance_run import conformance_run

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
}
_KEPT = "json-is-kept-exactly"


@pytest.mark.parametrize("fault", _BROKEN)
def test_a_broken_rule_is_noticed(fault: str) -> None:
    """The cases that the fault breaks fail, the other one passes, and the program ends with 1."""
    played = conformance_run(f"tests.conformance.broken_worker {fault}", [*_BROKEN[fault], _KEPT])
    failed = [name for name, why in played.reasons.items() if why]
    assert sorted(failed) == sorted(_BROKEN[fault]), played.reasons
    assert played.status == 1


def test_what_is_no_worker_scores_nothing() -> None:
    """A program that ends at once is not waited for."""
    played = conformance_run("this", [_KEPT])
    assert "the worker ended by itself, with status 0" in played.reasons[_KEPT]
