"""The two forms of a task function, and how its arguments travel."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from windlass.context import Context, mock_context
from windlass.empty_model import EmptyModel
from windlass.exceptions import InvalidInput, InvalidTask, PayloadTooLarge, SerializationError
from windlass.payload import check_size
from windlass.signature import ModelForm, PlainForm, read_signature
from windlass.task import Task, TaskSettings


class Image(BaseModel):
    url: str
    width: int = 3


@dataclass
class Point:
    x: int
    y: int = 0


class Label(TypedDict):
    text: str


def make(function: Any, **settings: Any) -> Task:
    """Make a task of a function."""
    form = read_signature(function, "t", settings.pop("input_validator", None))
    return Task(function, form, TaskSettings(name="t", **settings))


def run(task: Task, text: bytes) -> Any:
    """Run it as a worker would."""
    result = task.prepare(text, mock_context("t", text))()
    return asyncio.run(result) if task.is_async else result


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


def test_defaults_are_filled_in_at_the_call() -> None:
    """What travels is complete, whatever the worker's version says."""

    def task(path: str, width: int = 3, tags: Optional[list[str]] = None) -> None: ...  # noqa: UP045

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert form.input.encode(("a",), {}) == b'{"path":"a","width":3,"tags":null}'


def test_defaults_that_cannot_travel_stay_with_the_function() -> None:
    """A sentinel, say."""
    sentinel = object()

    def task(path: str, mode: Any = sentinel, size: int = None) -> bool:  # type: ignore[assignment] # noqa: RUF013
        return mode is sentinel and size is None

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert b"mode" not in form.input.encode(("a",), {})
    assert run(make(task), b'{"path": "a"}') is True


def test_rest_is_a_list_field_and_extra_keywords_are_extra_keys() -> None:
    """As Python has them."""

    def task(first: int, *rest: int, flag: bool = False, **extra: float) -> Any:
        return first, rest, flag, extra

    form = make(task).form
    assert isinstance(form, PlainForm)
    text = form.input.encode((1, "2", 3), {"flag": True, "z": "1.5"})
    assert run(make(task), text) == (1, (2, 3), True, {"z": 1.5})
    with pytest.raises(InvalidInput):
        form.input.encode((1, "no"), {})
    with pytest.raises(InvalidInput):
        form.input.encode((1,), {"z": "no"})


def test_positional_only_parameters_are_passed_by_place() -> None:
    """Their names are still the fields."""

    def task(a: int, b: int = 2, /, c: int = 3) -> Any:
        return a, b, c

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert run(make(task), form.input.encode((1,), {"c": 5})) == (1, 2, 5)
    with pytest.raises(TypeError):
        form.input.encode((), {"a": 1})


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"other": 1})])
def test_calls_that_python_would_refuse_are_type_errors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """At the call, in Python's own words."""

    def task(a: int, b: int = 0) -> None: ...

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(TypeError):
        form.input.encode(args, kwargs)


def test_wrong_values_name_the_field() -> None:
    """And say what was expected and what came."""

    def task(path: str, width: int) -> None: ...

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(InvalidInput, match=r"input of task 't': width: .*integer.*\(got 'wide'\)") as wrong:
        form.input.encode(("a",), {"width": "wide"})
    assert wrong.value.field == "width"
    assert isinstance(wrong.value, ValueError)


def test_values_that_are_no_json_name_their_type() -> None:
    """Inputs that nobody annotated."""

    def task(thing) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(SerializationError, match="object"):
        form.input.encode((object(),), {})


def test_field_names_that_models_reserve_are_fine() -> None:
    """They are parameters, not attributes of a model."""

    def task(model_config: int, schema: str, json: int, _private: int) -> Any:
        return model_config, schema, json, _private

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert run(make(task), form.input.encode((1, "a", 2, 3), {})) == (1, "a", 2, 3)


def test_a_worker_refuses_an_input_that_does_not_fit() -> None:
    """Before the function is called."""

    def task(path: str) -> None:
        pytest.fail("was called")

    for text in (b"{}", b'{"path": "a", "other": 1}', b"[]", b'["a", "b"]', b"7", b"not json"):
        with pytest.raises(InvalidInput):
            run(make(task), text)


def test_outputs_are_written_by_annotation_and_by_value() -> None:
    """Whatever pydantic dumps; the annotation helps but does not restrict."""

    def point() -> Point: ...  # type: ignore[empty-body]
    def anything(): ...  # type: ignore[no-untyped-def] # noqa: ANN202

    assert make(point).encode_output(Point(1, 2)) == b'{"x":1,"y":2}'
    assert make(point).encode_output({"x": 1}) == b'{"x":1}'
    assert make(anything).encode_output({Image(url="a").url: {1}}) == b'{"a":[1]}'
    assert make(anything).encode_output(None) == b"null"
    assert make(point).decode_output(b'{"x":1}') == Point(1)


def test_outputs_that_are_no_json_name_their_type() -> None:
    """And say what to return."""

    class Connection: ...

    def task() -> Any: ...

    with pytest.raises(SerializationError, match="Connection"):
        make(task).encode_output(Connection())


def test_outputs_that_do_not_fit_the_annotation_are_told_apart() -> None:
    """Another version of the task ran, mostly."""

    def task() -> int: ...  # type: ignore[empty-body]

    with pytest.raises(SerializationError, match="output of task 't'"):
        make(task).decode_output(b'"text"')


def test_large_payloads_are_refused_with_the_limit() -> None:
    """1 MiB."""
    with pytest.raises(PayloadTooLarge, match=r"1,048,577 bytes .* 1,048,576 \(1 MiB\)") as refused:
        check_size(b"x" * (1024 * 1024 + 1), "input")
    assert refused.value.limit == 1024 * 1024


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

    async def task(path: str) -> None:
        """Say what it does."""

    definition = make(task, queue="q", execution_timeout="1m30s", schedule_timeout=0.25, slot_cost=2).definition()
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

    with pytest.raises(InvalidTask, match=said):
        make(task, **settings)
