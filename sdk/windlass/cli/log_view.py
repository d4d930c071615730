"""Owns `windlass runs logs`: how log lines are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from windlass import Windlass
from windlass.cli.output import console, is_live, print_event, print_note, printable
from windlass.exceptions import InvalidInput

if TYPE_CHECKING:
    from windlass.run import LogLine

_STYLES: Final = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_LEVELS: Final = list(_STYLES)


class LogView:
    """Prints lines of one run, those of a level and above."""

    def __init__(self, level: str, *, as_json: bool) -> None:
        """Raise InvalidInput for a level that there is not."""
        if level.upper() not in _STYLES:
            raise InvalidInput(f"--level {level}: expected one of {', '.join(_LEVELS)}")
        self._levels = frozenset(_LEVELS[_LEVELS.index(level.upper()) :])
        self._as_json = as_json
        self._coloured = is_live()

    def show(self, run_id: str, offset: int, *, follow: bool) -> None:
        """Print the lines that are there and, with `follow`, those that come until the run has ended."""
        attempt = 0
        with Windlass() as app:
            for line in app.logs.tail(run_id, offset) if follow else app.logs.list(run_id, offset):
                if line.offset > offset:
                    print_note(f"{line.offset - offset} older lines have been dropped")
                if attempt and line.attempt != attempt:
                    print_note(f"attempt {line.attempt}")
                offset, attempt = line.offset + 1, line.attempt
                if line.level in self._levels:
                    self._print(line)

    def _print(self, line: LogLine) -> None:
        if self._as_json:
            print_event(
                offset=line.offset,
                logged_at=line.logged_at,
                level=line.level,
                message=line.message,
                attempt=line.attempt,
            )
            return
        when = f"{line.logged_at.astimezone():%Y-%m-%d %H:%M:%S}.{line.logged_at.microsecond // 1000:03}"
        message = printable(line.message).replace("\n", "\n    ")
        if not self._coloured:
            print(f"{when} {line.level:<8} {message}", flush=True)
            return
        from rich.text import Text

        text = Text.assemble((when, "dim"), " ", (f"{line.level:<8}", _STYLES[line.level]), " ", message)
        console().print(text, soft_wrap=True)
