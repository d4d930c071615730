"""Owns who waits for the end of which run, and telling them when the outbox does."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from windlass.v1 import run_pb2
from windlass_api.presentation import STATUSES
from windlass_core.domain.phase import Phase
from windlass_core.failure import read_failure
from windlass_core.store.scripts import unpack
from windlass_core.store.shard import Shard

MOVED = b"moved"
# An end has so many; [resync], and [moved, run], have fewer.
_END_FIELDS = 6
# No more than are taken out of the outbox at once: it must not overflow again.
_WATCHED_AT_ONCE = 500
# Of a result, besides its output and failure, and before them in a message.
_OVERHEAD_BYTES = 64


class End(NamedTuple):
    """The end of a run. Without a result it is large: whoever is to tell it reads it then.

    `size` is about what the result has, or would have, on the wire.
    """

    run_id: str
    result: run_pb2.RunResult | None
    size: int


Sink: TypeAlias = Callable[[End | None], None]
"""Called once with the end. None: the store does not know the run now, so the waiting has to begin anew."""


class Waiting:
    """Sinks by namespace and run; a sink gets one end and is forgotten."""

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

    async def watch_all(self) -> list[tuple[str, str]]:
        """The same for every run waited for: entries of the outbox may have been lost.

        Returns the unknown ones with their namespaces.
        """
        unknown: list[tuple[str, str]] = []
        for namespace, of_namespace in list(self._sinks.items()):
            run_ids = list(of_namespace)
            for first in range(0, len(run_ids), _WATCHED_AT_ONCE):
                page = await self.watch(namespace, run_ids[first : first + _WATCHED_AT_ONCE])
                unknown += [(namespace, run_id) for run_id in page]
        return unknown

    def lose(self, runs: Iterable[tuple[str, str]]) -> None:
        """The store knows these no more: who waits for one is told so, and asks again."""
        for namespace, run_id in runs:
            for sink in self._sinks.get(namespace, {}).pop(run_id, ()):
                sink(None)

    def tell(self, entries: list[bytes], moved: Callable[[str], None]) -> bool:
        """Tells what the outbox told; `moved` of each run that has moved without an end.

        Returns whether entries have been dropped before.
        """
        dropped = False
        for entry in entries:
            end = unpack(entry)
            if len(end) < _END_FIELDS:
                if end[0] == MOVED:
                    moved(end[1].decode())
                else:
                    dropped = True
                continue
            of_namespace = self._sinks.get(end[5].decode())
            run_id = end[0].decode()
            if of_namespace and (sinks := of_namespace.pop(run_id, None)):
                told = to_end(run_id, end)
                for sink in sinks:
                    sink(told)
        return dropped

    async def read(self, run_ids: Sequence[str]) -> list[run_pb2.RunResult | None]:
        """The results of runs that have ended; None for one that is gone. Raises StoreUnavailable."""
        ends = await self._shard.runs.ends(run_ids)
        return [to_result(end) if end else None for end in ends]

    async def result(self, namespace: str, run_id: str, timeout_s: float | None) -> run_pb2.RunResult | None:
        """Waits for one run. None: the namespace has no such run, or no more. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        while True:
            future: asyncio.Future[End | None] = loop.create_future()

            def sink(end: End | None, future: asyncio.Future[End | None] = future) -> None:
                if not future.done():
                    future.set_result(end)

            self.add(namespace, run_id, sink)
            try:
                if await self.watch(namespace, [run_id]):
                    return None
                async with asyncio.timeout_at(deadline):
                    end = await future
            finally:
                self.remove(namespace, run_id, sink)
            if end is not None:
                return end.result or (await self.read([run_id]))[0]

    def forget(self, namespace: str, run_ids: Iterable[str], sink: Sink) -> None:
        """A sink has gone, with all that it waited for."""
        for run_id in run_ids:
            self.remove(namespace, run_id, sink)


def to_end(run_id: str, end: list[Any]) -> End:
    """An outbox entry, as it is passed on."""
    output, failure = end[2], end[3]
    if isinstance(output, int):
        return End(run_id, None, output + _OVERHEAD_BYTES)
    return End(run_id, to_result(end), len(output) + len(failure) + _OVERHEAD_BYTES)


def to_result(end: list[Any]) -> run_pb2.RunResult:
    """An outbox entry with its output, as a message."""
    run, phase_code, output, failure, reason, *_namespace = end
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
