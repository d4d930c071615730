"""Tasks where they are defined: the decorator, direct calls, mocked runs."""

from __future__ import annotations

import types
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from windlass import Context, EmptyModel, NonRetryableException, Priority, RetryPolicy, Windlass
from windlass.config import ClientConfig
from windlass.exceptions import DuplicateTask, InvalidInput, InvalidTask, SyncCallOnLoop


class Image(BaseModel):
    url: str
    width: int = 3


@pytest.fixture
def app() -> Windlass:
    """An application that never connects."""
    return Windlass(config=ClientConfig(api_address="127.0.0.1:1"))


def test_a_task_is_named_for_its_function_unless_named(app: Windlass) -> None:
    """Bare, empty parentheses, with a name."""

    @app.task
    def first() -> None: ...
    @app.task()
    def second() -> None: ...
    @app.task(name="third-one")
    def third() -> None: ...

    assert list(app.tasks) == ["first", "second", "third-one"]
    assert third.__name__ == "third"


def test_two_functions_of_one_name_are_refused_naming_both(app: Windlass) -> None:
    """File and line of each."""

    @app.task(name="same")
    def first() -> None: ...

    with pytest.raises(DuplicateTask, match=r"test_sdk_task\.py:\d+ .*first\) and .*test_sdk_task\.py:\d+ .*second"):

        @app.task(name="same")
        def second() -> None: ...


def test_unknown_parameters_are_type_errors(app: Windlass) -> None:
    """In Python's own words, at the decorator."""
    with pytest.raises(TypeError, match="retrys"):
        app.task(retrys=3)  # type: ignore[call-overload]


def test_a_name_given_by_place_is_refused(app: Windlass) -> None:
    """As those who come from elsewhere may write it."""
    with pytest.raises(InvalidTask, match="by keyword"):
        app.task("resize")  # type: ignore[call-overload]


@pytest.mark.parametrize(("name", "wanted"), [("retry", "RetryPolicy"), ("retry_budget", "RetryBudget")])
def test_what_is_no_policy_is_refused(app: Windlass, name: str, wanted: str) -> None:
    """At decoration, not when it is registered."""
    with pytest.raises(InvalidTask, match=f"{name} takes a {wanted}, not 3"):
        app.task(**{name: 3})(lambda: None)  # type: ignore[call-overload] # what is refused


@pytest.mark.parametrize("name", ["execution_timeout", "soft_timeout", "schedule_timeout"])
def test_a_limit_that_the_engine_does_not_keep_is_refused(app: Windlass, name: str) -> None:
    """Over a year, at decoration."""
    with pytest.raises(InvalidTask, match=f"{name}='367d': at most 366 days"):
        app.task(name="t", **{name: "367d"})(lambda: None)  # type: ignore[call-overload] # the name is the test's


def test_retry_together_with_retries_is_refused(app: Windlass) -> None:
    """Two ways to say one thing."""
    with pytest.raises(InvalidTask, match="leave out retries, backoff_factor"):

        @app.task(retry=RetryPolicy(max_attempts=2), retries=1, backoff_factor=2)
        def task() -> None: ...


def test_the_guides_retry_parameters_reach_the_definition(app: Windlass) -> None:
    """Step 6."""

    @app.task(
        name="call-api",
        retries=5,
        backoff_factor=2.0,
        backoff_max_seconds=60,
        execution_timeout=timedelta(seconds=30),
        input_validator=Image,
        default_priority=Priority.HIGH,
        no_retry_on=[ValueError],
    )
    async def call_api(input: Image, ctx: Context) -> dict[str, str]:
        return {"status": input.url}

    definition = call_api.definition()
    assert definition.default_priority == 3
    assert definition.tasks[0].execution_timeout_ms == 30_000
    assert not definition.HasField("retry_budget")
    assert definition.tasks[0].retry.max_attempts == 6
    assert definition.tasks[0].retry.max_interval_ms == 60_000
    assert list(definition.tasks[0].retry.non_retryable_errors) == ["ValueError"]
    assert call_api.definition() is definition


def test_string_annotations_may_name_the_callers_locals(app: Windlass) -> None:
    """Models defined in a function, as tests do."""

    class Local(BaseModel):
        size: int

    @app.task
    def task(input: Local, ctx: Context) -> Local:
        return input

    assert task.mock_run(Local(size=2)) == Local(size=2)


def test_a_call_runs_the_function_here(app: Windlass) -> None:
    """Plain, with a Context, and in the model form."""

    @app.task
    def plain(path: str, width: int = 3) -> str:
        return f"{path}:{width}"

    @app.task
    def with_context(ctx: Context, path: str) -> str:
        return f"{ctx.task_name}:{path}"

    @app.task
    def model(input: Image, ctx: Context) -> int:
        return input.width + ctx.retry_count

    assert plain("a", width=4) == "a:4"
    assert with_context("a") == "with_context:a"
    assert model(Image(url="a")) == 3


async def test_a_call_of_an_async_task_gives_its_coroutine(app: Windlass) -> None:
    """As the function itself would."""

    @app.task
    async def plain(path: str) -> str:
        return path

    assert await plain("a") == "a"


async def test_mock_run_gives_what_the_function_returns(app: Windlass) -> None:
    """With a Context that says what the test says."""

    @app.task
    async def task(input: Image, ctx: Context) -> dict[str, Any]:
        ctx.log("seen nowhere")
        assert not ctx.is_cancelled
        await ctx.aio_cancel()
        return {
            "url": input.url,
            "retry": (ctx.retry_count, ctx.attempt_number, ctx.max_attempts),
            "metadata": ctx.additional_metadata,
            "lifespan": ctx.lifespan,
            "cancelled": ctx.is_cancelled,
            "input": ctx.workflow_input,
        }

    result = await task.aio_mock_run(
        input=Image(url="a"), additional_metadata={"k": 1}, retry_count=2, lifespan={"db": 1}
    )
    assert result == {
        "url": "a",
        "retry": (2, 3, 3),
        "metadata": {"k": 1},
        "lifespan": {"db": 1},
        "cancelled": True,
        "input": {"url": "a", "width": 3},
    }


def test_mock_run_runs_async_tasks_from_sync_tests(app: Windlass) -> None:
    """On a loop of its own."""

    @app.task
    async def task(path: str) -> str:
        return path

    assert task.mock_run("a") == "a"


async def test_mock_run_of_an_async_task_on_a_loop_names_its_twin(app: Windlass) -> None:
    """It cannot run a second loop there."""

    @app.task
    async def task() -> None: ...

    with pytest.raises(SyncCallOnLoop, match="aio_mock_run"):
        task.mock_run()


async def test_aio_mock_run_of_a_sync_task_runs_it(app: Windlass) -> None:
    """On a thread."""

    @app.task
    def task(a: int) -> int:
        return a + 1

    assert await task.aio_mock_run(1) == 2


def test_mock_run_passes_the_functions_exception_on(app: Windlass) -> None:
    """Unchanged."""

    @app.task
    def task() -> None:
        raise NonRetryableException("Bad request: do not retry")

    with pytest.raises(NonRetryableException, match="Bad request"):
        task.mock_run()


def test_mock_run_validates(app: Windlass) -> None:
    """As a worker would; a dict will do where the model is meant."""

    @app.task
    def task(input: Image, ctx: Context) -> int:
        return input.width

    assert task.mock_run({"url": "a", "width": "9"}) == 9  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="url"):
        task.mock_run()


def test_input_may_be_left_out_where_every_field_has_a_default(app: Windlass) -> None:
    """EmptyModel above all."""

    @app.task
    def task(input: EmptyModel, ctx: Context) -> str:
        return "ran"

    assert task.mock_run() == "ran"


def test_include_adds_a_modules_tasks(app: Windlass) -> None:
    """Also those of another application."""
    other = Windlass(config=ClientConfig(api_address="127.0.0.1:1"))
    module = types.ModuleType("some_tasks")

    @other.task
    def task() -> None: ...

    module.__dict__["task"] = task
    app.include(module)
    assert app.tasks["task"] is task
    app.include(module)


def test_options_are_checked_at_once(app: Windlass) -> None:
    """By name."""

    @app.task
    def task(a: int) -> int:
        return a

    with pytest.raises(InvalidInput, match="timeout='soon'"):
        task.options(timeout="soon")
    with pytest.raises(InvalidInput, match=r"expires='1s': more than delay=1\.0 was expected"):
        task.options(delay=1.0, expires="1s")
    with pytest.raises(InvalidInput, match="retry takes a RetryPolicy, not 3"):
        task.options(retry=3)  # type: ignore[arg-type] # what is refused
    with pytest.raises(InvalidInput, match="expires='367d': at most 366 days"):
        task.options(expires="367d")
    with pytest.raises(InvalidInput, match="9 is not a valid Priority"):
        task.options(priority=9)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="prioritty"):
        task.options(prioritty=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="run_many"):
        task.options(timeout=1).create_bulk_run_item(1)
