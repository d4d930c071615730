"""What may be a dependency, where it may stand, and how a task with some is called here."""

from __future__ import annotations

import functools
import json
import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from windlass import Context, Depends, InvalidTask, SyncCallOnLoop, Windlass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def name() -> str:
    """Give a name."""
    return "ada"


def first(second: Annotated[str, Depends(second)]) -> str:
    """Need the second."""
    return second


def second(first: Annotated[str, Depends(first)]) -> str:
    """Need the first."""
    return first


def unannotated(user):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201 - what is being tested
    """Take what nothing explains."""
    return user


class Greeter:
    def __init__(self, name: Annotated[str, Depends(name)]) -> None:
        self.name = name


class Caller:
    async def __call__(self, ctx: Context) -> str:
        return ctx.task_name


def test_a_circle_is_refused(app: Windlass) -> None:
    """Naming those that make it."""
    with pytest.raises(InvalidTask, match=r"circle: .*\(first\) needs .*\(second\) needs .*\(first\)"):

        @app.task
        def task(one: str = Depends(first)) -> None: ...


def test_a_parameter_that_nothing_explains_is_refused(app: Windlass) -> None:
    """With the dependency's place, and what it could take."""
    with pytest.raises(InvalidTask, match=r"test_sdk_dependency.py:\d+ \(unannotated\).*parameter `user`.*Depends"):

        @app.task
        def task(one: str = Depends(unannotated)) -> None: ...


def test_a_dependency_before_the_input_is_refused(app: Windlass) -> None:
    """Calls by position would run into it."""
    with pytest.raises(InvalidTask, match="`who` stands before `path`: dependencies come last"):

        @app.task
        def task(who: str = Depends(name), path: str = "a") -> None: ...

    with pytest.raises(InvalidTask, match="`who` stands before `input`"):

        @app.task
        def model(who: Annotated[str, Depends(name)], input: int, ctx: Context) -> None: ...

    with pytest.raises(InvalidTask, match="passed by name"):

        @app.task
        def rest(*who: Annotated[str, Depends(name)]) -> None: ...


def test_a_dependency_of_a_plain_task_has_to_be_a_default(app: Windlass) -> None:
    """Else its calls would have to give it."""
    with pytest.raises(InvalidTask, match=r"`who` has no default.*`who: \.\.\. = Depends\(\.\.\.\)`"):

        @app.task
        def task(path: str, who: Annotated[str, Depends(name)]) -> None: ...


def test_a_result_in_place_of_its_function_is_refused() -> None:
    """A call too many."""
    with pytest.raises(InvalidTask, match="a function was expected, not its result"):
        Depends(name())  # type: ignore[call-overload]


def test_dependencies_are_no_part_of_the_input(app: Windlass) -> None:
    """Neither in its schema, nor in a call from afar."""

    @app.task
    def task(path: str, who: str = Depends(name)) -> str:
        return path + who

    assert list(json.loads(task.definition().input_schema_json)["properties"]) == ["path"]
    with pytest.raises(TypeError, match="who"):
        task.create_bulk_run_item("a", who="eve")


def test_every_kind_of_callable_is_a_dependency(app: Windlass) -> None:
    """Classes, instances, partials and lambdas; async ones in a sync task too."""

    @app.task
    def task(
        greeter: Greeter = Depends(Greeter),
        called: str = Depends(Caller()),
        partial: str = Depends(functools.partial(str.upper, "x")),
        constant: int = Depends(lambda: 7),
    ) -> list[Any]:
        return [greeter.name, called, partial, constant]

    assert task.mock_run() == ["ada", "task", "X", 7]
    assert task() == ["ada", "task", "X", 7]


async def test_dependencies_take_the_input_and_the_context(app: Windlass) -> None:
    """By annotation or as `ctx`; the input as `input`, or before the Context, as in a task."""

    def by_name(input: Any, ctx) -> Any:  # type: ignore[no-untyped-def] # noqa: ANN001 - what is being tested
        return [input, ctx.retry_count]

    async def by_place(work: Any, told: Context) -> Any:
        return [work, told.task_name]

    @app.task
    async def model(input: int, ctx: Context, one: Annotated[Any, Depends(by_name)]) -> Any:
        return one

    @app.task
    async def plain(path: str, *rest: int, size: int = 2, one: Any = Depends(by_place)) -> Any:
        return one

    assert await model.aio_mock_run(4, retry_count=1) == [4, 1]
    assert await plain.aio_mock_run("a", 5) == [{"path": "a", "rest": (5,), "size": 2}, "plain"]


async def test_those_given_are_not_opened(app: Windlass) -> None:
    """By name, in a mock run and in a direct call; names that there are not are refused."""
    opened: list[str] = []

    def real() -> str:
        opened.append("real")
        return "real"

    @app.task
    async def model(input: int, ctx: Context, *, who: Annotated[str, Depends(real)]) -> str:
        return who

    @app.task
    def plain(ctx: Context, size: int, who: str = Depends(real)) -> str:
        return who

    assert await model.aio_mock_run(1, dependencies={"who": "fake"}) == "fake"
    assert await model(1, who="fake") == "fake"
    assert plain.mock_run(1, who="fake") == plain(1, who="fake") == "fake"
    assert opened == []
    assert plain(1) == await model(1) == "real"
    with pytest.raises(TypeError, match="no dependency is named whom: there are who"):
        await model.aio_mock_run(1, dependencies={"whom": "fake"})


async def test_an_override_has_dependencies_of_its_own_and_cannot_need_what_it_replaces(app: Windlass) -> None:
    """It would go in a circle."""

    @app.task
    async def task(who: str = Depends(name)) -> str:
        return who

    app.dependency_overrides[name] = lambda ctx: f"of {ctx.task_name}"
    assert await task.aio_mock_run() == "of task"
    app.dependency_overrides[name] = Greeter
    with pytest.raises(InvalidTask, match="circle"):
        await task.aio_mock_run()
    app.dependency_overrides.clear()
    assert await task.aio_mock_run() == "ada"


async def test_a_mocked_sync_task_opens_async_dependencies(app: Windlass) -> None:
    """On a loop of its own in a sync test, on the test's in an async one."""
    closed = threading.Event()

    async def connection() -> AsyncIterator[str]:
        yield "open"
        closed.set()

    def cursor(of: Annotated[str, Depends(connection)]) -> Iterator[str]:
        assert not closed.is_set()
        yield f"cursor, {of}"
        assert not closed.is_set()

    @app.task
    def task(on: str = Depends(cursor)) -> str:
        return on

    assert await task.aio_mock_run() == "cursor, open"
    assert closed.is_set()
    with pytest.raises(SyncCallOnLoop, match="aio_mock_run"):
        task.mock_run()
