"""The two forms of a task function, and which functions are refused."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Optional  # noqa: F401 - annotations name it as text

import pytest
from pydantic import Field
from typing_extensions import TypedDict

from tests.support.made_task import Image, Point, make, run
from windlass import Context, Windlass
from windlass.empty_model import EmptyModel
from windlass.exceptions import InvalidTask
from windlass.signature import ModelForm, PlainForm


class Label(TypedDict):
    text: str


def test_context_second_is_the_model_form() -> None:
    """The first parameter is then the whole input."""

    def resize(input: Image, ctx: Context) -> int:
        assert ctx.task_name == "t"
        return input.width

    task = make(resize)
    assert isinstance(task.form, ModelForm)
    assert run(task, b'{"url": "a", "width": "7"}') == 7


def test_no_context_is_the_plain_form() -> None:
    """The parameters are then the fields of the input."""

    def resize(path: str, width: int = 3) -> str:
        return f"{path}:{width}"

    task = make(resize)
    assert isinstance(task.form, PlainForm)
    assert run(task, b'{"path": "a"}') == "a:3"
    assert run(task, b'["b", 4]') == "b:4"


def test_context_first_is_the_plain_form() -> None:
    """It is no field of the input."""

    async def resize(ctx: Context, path: str) -> str:
        return f"{ctx.task_name}:{path}"

    assert run(make(resize), b'{"path": "a"}') == "t:a"


@pytest.mark.parametrize(
    "annotation",
    ["Context", "Optional[Context]", "Context | None", "Annotated[Context, 'x']", "Annotated[Optional[Context], 1]"],
)
def test_context_is_seen_through_wrappers(annotation: str) -> None:
    """Optional, Annotated and string annotations change nothing."""

    def resize(input: Any, ctx: Any) -> None: ...

    resize.__annotations__["ctx"] = annotation
    assert isinstance(make(resize).form, ModelForm)


def test_unannotated_ctx_second_is_the_context_and_input_is_empty() -> None:
    """As the guides write it: `async def task(input, ctx)`."""

    async def long_task(input, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return type(input).__name__, input.model_dump()

    assert run(make(long_task), b'{"kept": 1}') == (EmptyModel.__name__, {"kept": 1})


def test_unannotated_ctx_first_is_an_ordinary_field() -> None:
    """Only the second place is special."""

    def task(ctx, other=1):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return ctx, other

    assert run(make(task), b'{"ctx": 5}') == (5, 1)


def test_context_elsewhere_is_refused_with_the_corrected_signature() -> None:
    """The message names the file and the line."""

    def resize(path: str, width: int, ctx: Context) -> None: ...

    with pytest.raises(InvalidTask, match=r"test_sdk_signature\.py:\d+ .*parameter 3") as refused:
        make(resize)
    assert "def resize(ctx: Context, path: str, width: int)" in str(refused.value)


def test_a_single_field_before_the_context_is_offered_the_model_form_too() -> None:
    """A keyword-only Context, say."""

    async def resize(path: str, *, ctx: Context) -> None: ...

    with pytest.raises(InvalidTask, match=r"async def resize\(path: str, ctx: Context\)"):
        make(resize)


def test_more_parameters_after_the_context_are_refused() -> None:
    """The model form takes its input and nothing else."""

    def resize(input: Image, ctx: Context, extra: int) -> None: ...

    with pytest.raises(InvalidTask, match="takes its input and nothing else"):
        make(resize)


def test_input_validator_forces_the_model_form() -> None:
    """Also where the function says nothing."""

    def resize(data, ctx):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return data.width

    assert run(make(resize, input_validator=Image), b'{"url": "a"}') == 3

    def plain(path: str) -> None: ...

    with pytest.raises(InvalidTask, match=r"input_validator= asks for the model form.*path: Image, ctx: Context"):
        make(plain, input_validator=Image)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Point, b'{"x": 1}', Point(1)),
        (Label, b'{"text": "a"}', {"text": "a"}),
        (dict, b'{"any": [1]}', {"any": [1]}),
        (list[int], b"[1, 2]", [1, 2]),
        (int | str, b'"x"', "x"),
        (Annotated[int, Field(gt=0)], b"3", 3),
        (Image | None, b"null", None),
    ],
)
def test_model_form_takes_whatever_pydantic_validates(annotation: Any, text: bytes, expected: Any) -> None:
    """Dataclasses, TypedDicts, plain types, unions."""

    def task(input: Any, ctx: Context) -> Any:
        return input

    task.__annotations__["input"] = annotation
    assert run(make(task), text) == expected


def test_types_that_cannot_travel_are_refused_at_decoration() -> None:
    """The parameter is named."""

    class Session: ...

    def save(session: Any, key: int) -> None: ...

    save.__annotations__["session"] = Session
    with pytest.raises(InvalidTask, match=r"`session` is .*Session, which cannot travel as JSON"):
        make(save)


def test_an_annotation_unknown_at_run_time_is_named() -> None:
    """Imports under TYPE_CHECKING, mostly."""

    def task(input: Missing, ctx: Context) -> None: ...  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(InvalidTask, match="'Missing' is not known here at run time"):
        make(task)


def test_generators_are_refused() -> None:
    """They return nothing that could be kept."""

    def numbers() -> Any:
        yield 1

    with pytest.raises(InvalidTask, match="generator"):
        make(numbers)


def test_decorated_functions_are_seen_through() -> None:
    """functools.wraps, as most decorators use it."""

    def quiet(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inner

    @quiet
    def task(input: Image, ctx: Context) -> int:
        return input.width

    assert run(make(task), b'{"url": "a"}') == 3


def test_the_definition_says_what_the_decorator_said() -> None:
    """As the contracts have it."""

    @Windlass().task(name="t", queue="q", execution_timeout="1m30s", schedule_timeout=0.25, slot_cost=2)
    async def task(path: str) -> None:
        """Say what it does."""

    definition = task.definition()
    assert definition.name == "t"
    assert definition.description == "Say what it does."
    assert definition.default_queue == "q"
    assert definition.tasks[0].execution_timeout_ms == 90_000
    assert definition.tasks[0].schedule_timeout_ms == 250
    assert definition.tasks[0].slot_cost == 2
    assert b'"path"' in definition.input_schema_json


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"executor": "thread"}, "executor"),
        ({"slot_cost": 0}, "slot_cost"),
        ({"execution_timeout": "soon"}, "execution_timeout='soon'"),
        ({"execution_timeout": -1}, "execution_timeout=-1"),
        ({"default_priority": 9}, "9 is not a valid Priority"),
    ],
)
def test_wrong_settings_are_refused_at_decoration(settings: dict[str, Any], said: str) -> None:
    """With the place of the function."""

    async def task() -> None: ...

    with pytest.raises(InvalidTask, match=rf"test_sdk_signature\.py:\d+.*{said}"):
        Windlass().task(**settings)(task)
