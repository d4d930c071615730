"""Which failures are worth another attempt."""

import pytest

from tests.fundamentals.conftest import Serving
from windlass import RetryPolicy, TaskRunError, Windlass


async def test_only_some_failures_are_retried(app: Windlass, serving: Serving) -> None:
    """A type means those that derive from it, as in an `except`; what is in both lists is not retried."""

    @app.task(retries=2, retry_on=OSError, no_retry_on=[PermissionError])
    async def fetch(what: str) -> None:
        raise {"away": ConnectionRefusedError, "denied": PermissionError, "wrong": ValueError}[what](what)

    async with serving(app):
        for what, attempts in (("away", 3), ("denied", 1), ("wrong", 1)):
            with pytest.raises(TaskRunError) as raised:
                await fetch.aio_run(what)
            assert raised.value.attempt == attempts


async def test_a_caller_may_want_another_policy(app: Windlass, serving: Serving) -> None:
    """In place of the task's own."""

    @app.task(retries=5)
    async def fails() -> None:
        raise KeyError("always")

    async with serving(app):
        with pytest.raises(TaskRunError) as raised:
            await fails.options(retry=RetryPolicy(max_attempts=3, non_retryable_errors=[ValueError])).aio_run()
    assert raised.value.attempt == 3
