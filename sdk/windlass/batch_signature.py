"""Owns the reading of a batch function: what one of its inputs is, and one of its outputs."""

from __future__ import annotations

import types
from collections.abc import Sequence
from functools import reduce
from inspect import Parameter
from operator import or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Union, get_args, get_origin

from windlass.batch_context import BatchContext
from windlass.context import Context
from windlass.exceptions import InvalidTask
from windlass.parameters import NAMED, hints_of, parameters_of, where
from windlass.signature import ModelForm, codec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LISTS: Final = (list, Sequence)


class BatchForm(NamedTuple):
    """`fn(inputs)` or `fn(inputs, ctx)`. `form` is that of one run of it."""

    form: ModelForm
    input_type: Any
    takes_context: bool


def read_batch_signature(
    function: Callable[..., Any], name: str, input_validator: Any, local_names: Mapping[str, Any] | None
) -> BatchForm:
    """Find out how `function` is a batch task named `name`. Raises InvalidTask, which says how it should read."""
    hints = hints_of(function, {"BatchContext": BatchContext, **(local_names or {})})
    parameters = parameters_of(function)
    if len(parameters) not in (1, 2) or any(each.kind not in NAMED for each in parameters):
        raise InvalidTask(_misshapen(function))
    if len(parameters) == 2 and not _is_batch_context(parameters[1], hints):  # noqa: PLR2004 - the number says it
        raise InvalidTask(_misshapen(function))
    given = hints.get(parameters[0].name, Any)
    one = _element(given)
    if one is None or (isinstance(given, type) and issubclass(given, Context)):
        raise InvalidTask(_misshapen(function))
    input_type = one if input_validator is None else input_validator
    returned = _without(hints.get("return", Any), lambda each: each is type(None))
    output = type(None) if returned is None else _element(returned)
    if output is None:
        raise InvalidTask(
            f"{where(function)}: a batch task returns a list with an output for each input, or None: "
            "annotate it as `-> list[Output]`"
        )
    output = _without(output, _is_exception)
    form = ModelForm(
        codec_of(where(function), input_type, f"input of task {name!r}", f"`{parameters[0].name}`"),
        codec_of(where(function), Any if output is None else output, f"output of task {name!r}", "its return type"),
    )
    return BatchForm(form, input_type, takes_context=len(parameters) == 2)  # noqa: PLR2004 - the number says it


def _element(annotation: Any) -> Any:
    """Give X of `list[X]`; Any where it is not said; None where it is no list."""
    if annotation in (Any, Parameter.empty, *_LISTS):
        return Any
    if get_origin(annotation) in _LISTS:
        return get_args(annotation)[0]
    return None


def _without(annotation: Any, is_out: Callable[[Any], bool]) -> Any:
    """Take members out of a union; None where nothing is left."""
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    left = [each for each in members if not is_out(each)]
    return reduce(or_, left) if left else None


def _is_exception(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseException)


def _is_batch_context(parameter: Parameter, hints: Mapping[str, Any]) -> bool:
    return parameter.name == "ctx" if parameter.name not in hints else hints[parameter.name] is BatchContext


def _misshapen(function: Callable[..., Any]) -> str:
    return (
        f"{where(function)}: a batch task takes the list of its inputs and, if it wants to, a BatchContext, and no "
        "dependencies: write `(inputs: list[Input], ctx: BatchContext) -> list[Output]`"
    )
