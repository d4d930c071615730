"""Owns what the command line's exit codes mean, and which error leaves with which."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from windlass import exceptions


class ExitCode(IntEnum):
    """How a command ended. Part of the command line's contract: see docs/command-line.md."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    UNREACHABLE = 3
    UNKNOWN = 4
    RUN_FAILED = 5
    RUN_CANCELLED = 6
    TIMED_OUT = 7
    NOT_ALLOWED = 8
    INTERRUPTED = 130


#: The first that fits counts.
_BY_ERROR: Final[tuple[tuple[type[exceptions.WindlassError], ExitCode], ...]] = (
    (exceptions.InvalidConfig, ExitCode.USAGE),
    (exceptions.InvalidInput, ExitCode.USAGE),
    (exceptions.InvalidTask, ExitCode.USAGE),
    (exceptions.ApiUnreachable, ExitCode.UNREACHABLE),
    (exceptions.Unauthorized, ExitCode.NOT_ALLOWED),
    (exceptions.UnknownTask, ExitCode.UNKNOWN),
    (exceptions.UnknownRun, ExitCode.UNKNOWN),
    (exceptions.UnknownWorker, ExitCode.UNKNOWN),
    (exceptions.NotFound, ExitCode.UNKNOWN),
    (exceptions.TaskRunError, ExitCode.RUN_FAILED),
    (exceptions.RunCancelled, ExitCode.RUN_CANCELLED),
    (exceptions.ResultTimeout, ExitCode.TIMED_OUT),
)


def exit_code_of(error: exceptions.WindlassError) -> ExitCode:
    """Return the exit code with which a command that raised `error` leaves."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.ERROR
