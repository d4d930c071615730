"""Owns who waits for the end of which run, and telling them when the outbox does."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from windlass.v1 import run_pb2
from windlass_api.presentation import STATUSES
from windlass_core.domain.phase import Phase
from windlass_core.failure import read_failure
from windlass_core.store.scripts import unpack
from windlass_core.store.shard import Shard

Sink: TypeAlias = Callable[[run_pb2.RunResult], None]

RESYNC = b"resync"
MOVED = b"moved"
# No more than are taken out of the outbox at once: it must not overflow again.
_WATCHED_AT_ONCE = 500


class Waiting:
    """Sinks by namespace and run; a sink gets one result and is forgotten."""

    def __init__(self, shard: Shard, inc: str) -> None:
        self._shard = shard
        self._inc = inc
        # Who asks for a run of another namespace waits beside those whose it is, until the store
        # has answered: what is told meanwhile must not reach it.
        self._sinks: dict[str, dict[str, list[Sink]]] = {}

    def add(self, namespace: str, run_id: str, sink: Sink) -> None:
        """From now on the sink waits for the run."""
        self._sinks.setdefault(namespace, {}).setdefault(run_id, []).append(sink)

    def remove(self, namespace: str, run_id: str, sink: Sink) -> None:
        """It doesn't any more."""
        of_namespace = self._sinks.get(namespace, {})
        sinks = of_namespace.get(run_id, [])
        if sink in sinks:
            sinks.remove(sink)
            if not sinks:
                del of_namespace[run_id]

    async def watch(self, namespace: str, run_ids: list[str]) -> list[str]:
        """Has the store tell this process. Returns the unknown ids. Raises StoreUnavailable."""
        return await self._shard.runs.watch(namespace, self._inc, run_ids)

    async def watch_all(self) -> list[str]:
        """The same for every run waited for: entries of the outbox may have been lost."""
        unknown: list[str] = []
        for namespace, of_namespace in list(self._sinks.items()):
            run_ids = list(of_namespace)
            for first in range(0, len(run_ids), _WATCHED_AT_ONCE):
                unknown += await self.watch(namespace, run_ids[first : first + _WATCHED_AT_ONCE])
        return unknown

    async def tell(self, entries: list[bytes], moved: Callable[[str], None]) -> bool:
        """Tells what the outbox told; `moved` of each run that has moved without an end.

        Returns whether entries have been dropped before.
        """
        told = [unpack(entry) for entry in entries]
        dropped = [RESYNC] in told
        for entry in told:
            if entry[0] == MOVED:
                moved(entry[1].decode())
        ends = [entry for entry in told if entry[0] not in (RESYNC, MOVED)]
        large = [end for end in ends if end[2] is False and end[0].decode() in self._sinks.get(end[5].decode(), ())]
        if large:
            outputs = await self._shard.runs.outputs([end[0].decode() for end in large])
            for end, output in zip(large, outputs, strict=True):
                end[2] = output
        for end in ends:
            if end[2] is False:
                continue  # nobody waited for it then; who has come since will be told anew
            of_namespace = self._sinks.get(end[5].decode())
            if of_namespace and (sinks := of_namespace.pop(end[0].decode(), None)):
                result = to_result(end)
                for sink in sinks:
                    sink(result)
        return dropped

    async def result(self, namespace: str, run_id: str, timeout_s: float | None) -> run_pb2.RunResult | None:
        """Waits for one run. None: the namespace has no such run. Raises TimeoutError."""
        future: asyncio.Future[run_pb2.RunResult] = asyncio.get_running_loop().create_future()

        def sink(result: run_pb2.RunResult) -> None:
            if not future.done():
                future.set_result(result)

        self.add(namespace, run_id, sink)
        try:
            if await self.watch(namespace, [run_id]):
                return None
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            self.remove(namespace, run_id, sink)

    def forget(self, namespace: str, run_ids: Iterable[str], sink: Sink) -> None:
        """A sink has gone, with all that it waited for."""
        for run_id in run_ids:
            self.remove(namespace, run_id, sink)


def to_result(end: list[Any]) -> run_pb2.RunResult:
    """An outbox entry as a message."""
    run, phase_code, output, failure, reason, _namespace = end
    phase = Phase(phase_code.decode())
    result = run_pb2.RunResult(run_id=run.decode(), status=STATUSES[phase])
    match phase:
        case Phase.COMPLETED:
            result.output_json = output
        case Phase.FAILED if failure:
            result.failure.CopyFrom(read_failure(failure))
        case Phase.CANCELLED:
            result.cancel_reason = reason.decode()
        case _:
            pass  # a failure whose history is gone tells no more than that it failed
    return result
