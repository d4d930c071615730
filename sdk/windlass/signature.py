"""Owns the reading of a task function: which of the two forms it has, what it takes and returns.

Model form: the second parameter is the Context, the first the whole input. Plain form: the Context
comes first or not at all, and the other parameters are the fields of the input.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Never, NoReturn

from pydantic import PydanticSchemaGenerationError
from pydantic.errors import PydanticUserError

from windlass.dependency import Injection, check_defaults, take_dependencies
from windlass.empty_model import EmptyModel
from windlass.exceptions import InvalidTask
from windlass.parameters import NAMED, hints_of, is_context, parameters_of, where
from windlass.payload import Codec
from windlass.plain_input import OtherFields, PlainInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class ModelForm:
    """`fn(input, ctx)`."""

    input: Codec
    output: Codec
    injection: Injection | None = None


@dataclass(frozen=True, slots=True)
class PlainForm:
    """`fn(a, b)` or `fn(ctx, a, b)`."""

    input: PlainInput
    output: Codec
    takes_context: bool
    injection: Injection | None = None


def read_signature(
    function: Callable[..., Any],
    name: str,
    input_validator: Any = None,
    local_names: Mapping[str, Any] | None = None,
    default_model: Any = EmptyModel,
    *,
    other_fields: OtherFields = "forbid",
) -> ModelForm | PlainForm:
    """Find out how `function` is a task named `name`.

    Args:
        function: sync or async.
        name: the task's, for errors.
        input_validator: forces the model form with this input type.
        local_names: what string annotations may mean besides the module's globals.
        default_model: the type of a model-form input that has no annotation.
        other_fields: of an input, in the plain form: those that no parameter takes.

    Raises:
        InvalidTask: it cannot be one; says where it stands and how it should read.

    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidTask(f"{where(function)}: a generator cannot be a task: return the value, or a list of values")
    hints = hints_of(function, local_names)
    everything = parameters_of(function)
    dependencies, parameters = take_dependencies(function, everything, hints)
    injection = Injection(dependencies, local_names) if dependencies else None
    output = codec_of(where(function), _output_type(hints), f"output of task {name!r}", "its return type")
    places = [place for place, each in enumerate(parameters) if is_context(each, hints, place)]
    if input_validator is not None or places == [1]:
        return _model_form(function, name, parameters, hints, places, input_validator, default_model, output, injection)
    if places not in ([], [0]) or (places and parameters[0].kind not in NAMED):
        raise InvalidTask(_misplaced(function, parameters, places))
    check_defaults(function, everything, dependencies)
    fields = parameters[1:] if places else parameters
    place = where(function)
    plain = PlainInput(
        name,
        {each.name: (each, _without_any(hints.get(each.name, Any))) for each in fields},
        lambda annotation, label, part: codec_of(place, annotation, label, part),
        other_fields,
    )
    return PlainForm(plain, output, takes_context=bool(places), injection=injection)


def _model_form(
    function: Callable[..., Any],
    name: str,
    parameters: list[Parameter],
    hints: Mapping[str, Any],
    places: list[int],
    input_validator: Any,
    default_model: Any,
    output: Codec,
    injection: Injection | None,
) -> ModelForm:
    shape = len(parameters) == 2 and all(each.kind in NAMED for each in parameters)  # noqa: PLR2004 - the number says it
    unannotated_context = places == [] and shape and parameters[1].name not in hints
    if not shape or not (places == [1] or unannotated_context):
        raise InvalidTask(_no_model_form(function, parameters, places, input_validator))
    annotation = input_validator
    if annotation is None:
        annotation = _without_any(hints.get(parameters[0].name, default_model))
    return ModelForm(
        codec_of(where(function), annotation, f"input of task {name!r}", f"`{parameters[0].name}`"), output, injection
    )


def _output_type(hints: Mapping[str, Any]) -> Any:
    annotation = hints.get("return", Any)
    return Any if annotation in (Never, NoReturn) else annotation


def _without_any(annotation: Any) -> Any:
    return Any if annotation is Parameter.empty else annotation


def codec_of(place: str, annotation: Any, label: str, part: str) -> Codec:
    """Give what reads and writes `part` of what stands at `place`, which errors call `label`. Raises InvalidTask."""
    try:
        return Codec(annotation, label)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        first = str(error).splitlines()[0]
        raise InvalidTask(
            f"{place}: {part} is {_type_text(annotation)}, which cannot travel as JSON ({first}): use a "
            "pydantic model, a dataclass, a TypedDict or plain JSON types"
        ) from None


def _no_model_form(
    function: Callable[..., Any],
    parameters: list[Parameter],
    places: list[int],
    input_validator: Any,
) -> str:
    others = [each for place, each in enumerate(parameters) if place not in places]
    if input_validator is not None:
        model = f"{others[0].name if others else 'input'}: {_type_text(input_validator)}"
        return (
            f"{where(function)}: input_validator= asks for the model form, which takes the input and its Context: "
            f"write `{_definition(function)}({model}, ctx: Context)`"
        )
    return (
        f"{where(function)}: a task whose second parameter is its Context takes its input and nothing else: "
        f"write {_advice(function, parameters, places)}"
    )


def _misplaced(function: Callable[..., Any], parameters: list[Parameter], places: list[int]) -> str:
    found = "twice" if len(places) > 1 else f"as parameter {places[0] + 1}"
    return (
        f"{where(function)}: the Context stands {found}. It comes second, after the one input, or first, before "
        f"the fields of the input: write {_advice(function, parameters, places)}"
    )


def _advice(function: Callable[..., Any], parameters: list[Parameter], places: list[int]) -> str:
    """Write the corrected signatures."""
    context = parameters[places[0]].name if places else "ctx"
    others = [each for place, each in enumerate(parameters) if place not in places]
    plain = ", ".join([f"{context}: Context", *map(_parameter_text, others)])
    advice = f"`{_definition(function)}({plain})`"
    if len(others) == 1 and others[0].kind in NAMED:
        model = _parameter_text(others[0].replace(default=Parameter.empty))
        return f"`{_definition(function)}({model}, {context}: Context)` or {advice}"
    return advice


def _parameter_text(parameter: Parameter) -> str:
    """Write a parameter as its author did: string annotations without quotes."""
    text = str(parameter)
    annotation = parameter.annotation
    return text.replace(repr(annotation), annotation, 1) if isinstance(annotation, str) else text


def _definition(function: Callable[..., Any]) -> str:
    word = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{word} {getattr(function, '__name__', 'task')}"


def _type_text(annotation: Any) -> str:
    return "Model" if annotation is None else getattr(annotation, "__qualname__", None) or str(annotation)
