"""Owns which state a run can be in and which may follow which. The only such table.

The scripts of the store write the one-letter codes; `lua/keys.lua` is generated from here and from
`store/keys.py`. Statuses are what the world sees, phases are what the engine tells apart.
"""

from enum import StrEnum


class Phase(StrEnum):
    """The state of a run. The value is the code that the store keeps."""

    SCHEDULED = "s"
    READY = "r"
    LEASED = "l"
    RUNNING = "x"
    BACKOFF = "b"
    COMPLETED = "C"
    FAILED = "F"
    CANCELLED = "X"

    @property
    def terminal(self) -> bool:
        """Whether the run has ended: nothing follows by itself."""
        return self in {Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED}


# From a phase to the phases that may follow it, each with the script that does it.
TRANSITIONS: dict[Phase, dict[Phase, str]] = {
    Phase.SCHEDULED: {Phase.READY: "timers_fire", Phase.CANCELLED: "run_cancel"},
    Phase.READY: {Phase.LEASED: "assign", Phase.CANCELLED: "run_cancel", Phase.FAILED: "assign"},
    Phase.LEASED: {
        Phase.RUNNING: "run_accept",
        Phase.READY: "run_fail",
        Phase.BACKOFF: "run_fail",
        Phase.COMPLETED: "run_complete",
        Phase.FAILED: "run_fail",
        Phase.CANCELLED: "run_complete",
    },
    Phase.RUNNING: {
        Phase.READY: "run_fail",
        Phase.BACKOFF: "run_fail",
        Phase.COMPLETED: "run_complete",
        Phase.FAILED: "run_fail",
        Phase.CANCELLED: "run_complete",
    },
    Phase.BACKOFF: {Phase.READY: "timers_fire", Phase.CANCELLED: "run_cancel"},
    Phase.COMPLETED: {Phase.READY: "run_replay"},
    Phase.FAILED: {Phase.READY: "run_replay"},
    Phase.CANCELLED: {Phase.READY: "run_replay"},
}
