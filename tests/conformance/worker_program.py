"""Owns one process of the worker under test: its start, its signals, its end, what it printed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.loopback_server import Changes

# What is shown of its output when a case fails.
_LINES = 8


class WorkerProgram:
    """A running worker."""

    def __init__(self, process: asyncio.subprocess.Process, output: tempfile._TemporaryFileWrapper[bytes]) -> None:
        """Use `started`."""
        self._process = process
        self._output = output
        #: Its end is what the case waits for, and no surprise.
        self.may_end = False
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def started(cls, command: Sequence[str], environment: Mapping[str, str], changes: Changes) -> WorkerProgram:
        """Start it; its end is a change, and where nobody asked for it, the end of all hope."""
        output = tempfile.NamedTemporaryFile(prefix="worker-")  # noqa: SIM115 - closed by `close`
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**inherited, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        worker = cls(process, output)
        worker._watching = asyncio.create_task(worker._watch(changes))
        return worker

    @property
    def status(self) -> int | None:
        """Its exit status; minus the signal that killed it; None while it runs."""
        return self._process.returncode

    @property
    def last_words(self) -> str:
        """The end of what it printed."""
        with open(self._output.name, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return "\n".join(file.read().splitlines()[-_LINES:])

    def terminate(self) -> None:
        """SIGTERM."""
        self.may_end = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def kill(self) -> None:
        """SIGKILL, to it and what it started; returns when it has ended."""
        self.may_end = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def close(self) -> None:
        """Kill it where it still runs, and forget its output."""
        await self.kill()
        if self._watching is not None:
            await self._watching
        self._output.close()

    async def _watch(self, changes: Changes) -> None:
        status = await self._process.wait()
        if self.may_end:
            changes.note()
        else:
            changes.give_up(f"the worker ended by itself, with status {status},")
