"""Owns what the store tells and does of hooks: whose are owed, and starting them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from windlass_core.domain.phase import Phase
from windlass_core.store.runs import StoredFailure, Submission, to_failure
from windlass_core.store.scripts import Scripts, unpack

# So many are started in one go, or as many as have inputs and outputs of so many bytes.
HOOKS_AT_ONCE = 200
BYTES_AT_ONCE = 4 * 1024 * 1024


class OwedHook(NamedTuple):
    """A run whose end a hook follows. `spec` is its RunSpec, `failure` its last one; a time in milliseconds."""

    run_id: str
    replays: int
    flow: str
    version: str
    phase: Phase
    ready_ms: int
    spec: bytes
    output: bytes
    failure: StoredFailure | None


class HookStart(NamedTuple):
    """What to do about one: `hook` is its run, None where its version knows of none."""

    run_id: str
    replays: int
    hook: Submission | None


class Hooks:
    """The hooks of one shard. Every method raises StoreUnavailable, `start` StoreFull."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def owed(self) -> tuple[list[OwedHook], bool]:
        """Whose are to be started, those first that have waited for longest, and whether there are more."""
        told, more = await self._scripts.call("hooks_due", (HOOKS_AT_ONCE, BYTES_AT_ONCE))
        return [_to_owed(entry) for entry in told], bool(more)

    async def start(self, starts: Sequence[HookStart]) -> list[bool]:
        """Starts hooks. Returns for each whether it was: not where its run was replayed or deleted since."""
        started = await self._scripts.call("hooks_start", starts)
        return [bool(flag) for flag in started]


def _to_owed(entry: list[Any]) -> OwedHook:
    run, replays, flow, version, phase, ready, spec, output, failure = entry
    return OwedHook(
        run.decode(), replays, flow.decode(), version.decode(), Phase(phase.decode()), ready, spec, output,
        to_failure(unpack(failure)) if failure else None,
    )  # fmt: skip
