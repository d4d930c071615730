"""Owns how runs of a batch task are gathered, and executed with one call of its function.

Each run is an attempt of its own, and waits here for its own part of the call's output: leases, retries and what
stands round an attempt know nothing of batches.
"""

from __future__ import annotations

import asyncio
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from windlass.batch_context import BatchContext, current_batch
from windlass.mock_context import MOCKED
from windlass.worker.threads import PoolThread, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from windlass.context import Context

    Answer = asyncio.Future[tuple[Any, BaseException | None]]


class ExecutionTimeout(Exception):
    """The call took longer than it may: what a failed run is then said to have failed of."""


class BatchCall(NamedTuple):
    """How a batch task is executed. Durations are in seconds; a timeout of None is none.

    `call` takes inputs and what is told about them; it gives a coroutine where `is_async`.
    """

    call: Callable[[list[Any], BatchContext], Any]
    is_async: bool
    max_size: int
    max_interval: float
    timeout: float | None


class Batches:
    """The batches of one task that gather in this process."""

    def __init__(self, how: BatchCall) -> None:
        """Gather nothing yet."""
        self._how = how
        self._gathering: dict[tuple[asyncio.AbstractEventLoop, str, Hashable], _Batch] = {}
        # Workers whose runs wait for nobody but those that came at the same time.
        self._hurried = {MOCKED}

    async def join(self, value: Any, ctx: Context, group: Hashable) -> Any:
        """Execute `value` together with others of its group; gives its output. Raises what failed it."""
        loop = asyncio.get_running_loop()
        key = loop, ctx.worker_id, group
        batch = self._gathering.get(key)
        if batch is None:
            batch = self._gathering[key] = _Batch(self._how)
            wait = 0.0 if ctx.worker_id in self._hurried else self._how.max_interval
            batch.timer = loop.call_later(wait, self._begin, key)
        item = _Item(value, ctx, copy_context(), loop.create_future())
        batch.items.append(item)
        if len(batch.items) >= self._how.max_size:
            self._begin(key)
        try:
            output, error = await item.answer
        except asyncio.CancelledError:
            batch.leave(item)
            raise
        if error is not None:
            raise error.with_traceback(batch.traceback or error.__traceback__)
        return output

    def hurry(self, worker_id: str) -> None:
        """Begin at once what a worker's runs wait for, from now on too. On its loop."""
        self._hurried.add(worker_id)
        loop = asyncio.get_running_loop()
        for key in [key for key in self._gathering if key[:2] == (loop, worker_id)]:
            self._begin(key)

    def _begin(self, key: tuple[asyncio.AbstractEventLoop, str, Hashable]) -> None:
        self._gathering.pop(key).begin(key[0])


class _Item(NamedTuple):
    value: Any
    ctx: Context
    variables: ContextVars
    answer: Answer


class _Batch:
    """Some runs that are executed with one call."""

    def __init__(self, how: BatchCall) -> None:
        self._how = how
        self.items: list[_Item] = []
        self.timer: asyncio.TimerHandle | None = None
        self.traceback: Any = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the function; those that were cancelled meanwhile are left out."""
        if self.timer is not None:
            self.timer.cancel()
        for item in self.items:
            if item.ctx.is_cancelled:
                item.answer.cancel()
        self.items = [item for item in self.items if not item.answer.done()]
        if self.items:
            self._task = loop.create_task(self._execute(), context=ContextVars())

    def leave(self, item: _Item) -> None:
        """Do without a run that waits no more; a call that nobody waits for is stopped."""
        if self._task is None:
            self.items = [each for each in self.items if each is not item]
        elif all(each.answer.done() for each in self.items):
            self._task.cancel()

    async def _execute(self) -> None:
        items = self.items
        try:
            outputs = await self._outputs()
        except BaseException as error:  # noqa: BLE001 - a task's SystemExit is its failure, not ours
            self.traceback = error.__traceback__
            for item in items:
                _answer(item, None, error)
        else:
            for item, output in zip(items, outputs, strict=True):
                failed = isinstance(output, BaseException)
                _answer(item, None if failed else output, output if failed else None)

    async def _outputs(self) -> list[Any]:
        how, items = self._how, self.items
        told = BatchContext([item.ctx for item in items], [item.variables for item in items])
        current_batch.set(told)
        values = [item.value for item in items]
        limit = asyncio.timeout(how.timeout)
        try:
            async with limit:
                if how.is_async:
                    outputs = await how.call(values, told)
                else:
                    outputs = await _on_thread(lambda: how.call(values, told))
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = f"the batch ran longer than its execution timeout of {how.timeout:g} s"
            raise ExecutionTimeout(message) from error.__cause__
        if outputs is None:
            return [None] * len(items)
        if not isinstance(outputs, (list, tuple)) or len(outputs) != len(items):
            got = f"{len(outputs)}" if isinstance(outputs, (list, tuple)) else f"a {type(outputs).__name__}"
            raise ValueError(f"{len(items)} outputs were expected, in the order of the inputs, and {got} came")
        return list(outputs)


def _answer(item: _Item, output: Any, error: BaseException | None) -> None:
    if not item.answer.done():
        item.answer.set_result((output, error))


async def _on_thread(call: Callable[[], Any]) -> Any:
    """Call it on a thread of its own; cancelling stops it there, between two of its steps."""
    loop = asyncio.get_running_loop()
    answer: Answer = loop.create_future()
    executing: list[PoolThread[object]] = []
    variables = copy_context()

    def deliver(value: Any, error: BaseException | None) -> None:
        if not answer.done():
            answer.set_result((value, error))

    def execute(_job: object, thread: PoolThread[object]) -> None:
        executing.append(thread)
        value, error = None, None
        try:
            value = None if answer.done() else variables.run(call)
        except BaseException as raised:  # noqa: BLE001 - raised again on the loop
            error = raised
        loop.call_soon_threadsafe(deliver, value, error)

    job = object()
    pool = ThreadPool(1, execute)
    pool.submit(job)
    pool.close()
    try:
        value, error = await answer
    except asyncio.CancelledError:
        for thread in executing:
            thread.interrupt(job)
        raise
    if error is not None:
        raise error
    return value
