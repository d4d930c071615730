"""Calls a task's function inside what stands round it: the app's middleware, and the task's dependencies.

Owns where each part of that runs. What becomes of the attempt is the runner's.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from windlass.exceptions import SoftTimeoutExceeded
from windlass.middleware import wrap
from windlass.resolution import call_on_loop, call_on_thread, hop_to

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from windlass.dependency import Injection, Plan
    from windlass.worker.attempt import Attempt
    from windlass.worker.surroundings import Surroundings

T = TypeVar("T")


class Invocations:
    """The calls of one runner."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        surroundings: Surroundings,
        submit: Callable[[Attempt], None],
        hand_over: Callable[..., None],
    ) -> None:
        """Call on `loop`, and on the threads that `submit` gives an attempt to; they `hand_over` a call to the loop."""
        self._loop = loop
        self._surroundings = surroundings
        self._submit = submit
        self._hand_over = hand_over

    async def with_dependencies(self, attempt: Attempt, injection: Injection) -> bytes:
        """Call an async function that has dependencies, and write what it returns."""
        task = attempt.task
        value, call = task.prepare_injected(attempt.input_json, attempt.context)

        async def call_and_write(injected: Mapping[str, Any]) -> bytes:
            # While the dependencies are open: they can still roll back, and what loads lazily still loads.
            return task.encode_output(await call(injected))

        return await call_on_loop(self._plan(injection), attempt.context, value, call_and_write)

    async def inside_middleware(self, attempt: Attempt) -> bytes:
        """Call a function of whatever kind inside the app's middleware, and write what that returns."""
        task = attempt.task

        async def innermost() -> Any:
            if not task.is_async:
                return await self._answer_from_thread(attempt)
            if task.injection is None:
                return await task.prepare(attempt.input_json, attempt.context)()
            value, call = task.prepare_injected(attempt.input_json, attempt.context)

            async def call_and_check(injected: Mapping[str, Any]) -> Any:
                return task.check_output(await call(injected))

            return await call_on_loop(self._plan(task.injection), attempt.context, value, call_and_check)

        return task.encode_output(await wrap(self._surroundings.middleware, attempt.context, innermost)())

    def on_thread(self, attempt: Attempt, write: Callable[[Any], T]) -> T:
        """Call a sync function, on its thread, and do `write` with what it returns while its dependencies are open."""
        if not attempt.soft_timeout_ms:
            return self._call(attempt, write)
        assert attempt.thread is not None and attempt.limits is not None  # noqa: S101, PT018 - this is it
        limits = attempt.limits

        def call() -> T:
            if limits.is_told:  # before there was a thread to be told
                raise SoftTimeoutExceeded
            return self._call(attempt, write)

        return attempt.thread.listening(call)

    async def _answer_from_thread(self, attempt: Attempt) -> Any:
        answer: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()
        attempt.answer = partial(copy_context().run, self._answer, attempt, answer)
        self._submit(attempt)
        try:
            value, error = await answer
        except asyncio.CancelledError:
            attempt.interrupt()
            raise
        if error is not None:
            raise error
        return value

    def _answer(self, attempt: Attempt, answer: asyncio.Future[tuple[Any, BaseException | None]]) -> None:
        if answer.done():
            return
        task, value, error = attempt.task, None, None
        try:
            value = self.on_thread(attempt, task.check_output if task.injection else _as_it_is)
        except BaseException as raised:  # noqa: BLE001 - raised again on the loop
            error = raised
        self._hand_over(_deliver, answer, value, error)

    def _call(self, attempt: Attempt, write: Callable[[Any], T]) -> T:
        task = attempt.task
        if task.injection is None:
            return write(task.prepare(attempt.input_json, attempt.context)())
        value, call = task.prepare_injected(attempt.input_json, attempt.context)
        return call_on_thread(
            self._plan(task.injection),
            attempt.context,
            value,
            lambda injected: write(call(injected)),
            hop_to(self._loop, attempt.waits_for),
        )

    def _plan(self, injection: Injection) -> Plan:
        return injection.plan(self._surroundings.overrides)


def _as_it_is(value: T) -> T:
    return value


def _deliver(answer: asyncio.Future[tuple[Any, BaseException | None]], value: Any, error: BaseException | None) -> None:
    if not answer.done():
        answer.set_result((value, error))
