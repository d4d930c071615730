"""The table of phases."""

from __future__ import annotations

from windlass.v1 import run_pb2
from windlass_api.presentation import STATUSES
from windlass_core.domain.phase import TRANSITIONS, Phase
from windlass_core.store.scripts import script_names


def test_the_table_has_every_phase() -> None:
    """As a beginning, and nothing that isn't one as an end."""
    assert set(TRANSITIONS) == set(Phase)
    assert {after for afters in TRANSITIONS.values() for after in afters} <= set(Phase)


def test_three_phases_are_the_end() -> None:
    """Nothing follows them but a replay."""
    assert {phase for phase in Phase if phase.terminal} == {Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED}
    assert all(TRANSITIONS[phase] == {Phase.READY: "run_replay"} for phase in Phase if phase.terminal)


def test_every_phase_leads_to_an_end() -> None:
    """And to being cancelled, in one step."""
    for phase in Phase:
        assert phase.terminal or Phase.CANCELLED in TRANSITIONS[phase]


def test_the_scripts_of_the_table_exist() -> None:
    """Each step names the one that does it."""
    named = {script for afters in TRANSITIONS.values() for script in afters.values()}
    assert named <= set(script_names())


def test_every_phase_is_shown_as_a_status() -> None:
    """Ends as what they are; all else is queued, or running once the worker has it."""
    assert set(STATUSES) == set(Phase)
    for phase in Phase:
        shown = run_pb2.RunStatus.Name(STATUSES[phase]).removeprefix("RUN_STATUS_")
        assert shown == (phase.name if phase.terminal or phase == Phase.RUNNING else "QUEUED")
