"""Owns what can be read off one function's signature: annotations, where it stands, what is a Context.

What a task or a dependency may look like is decided by `signature` and `dependency`.
"""

from __future__ import annotations

import inspect
import types
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from windlass.context import Context
from windlass.exceptions import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The kinds of parameter that have one name and one value.
NAMED: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def where(function: Callable[..., Any]) -> str:
    """Say where a function stands: "file.py:12 (name)"."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(inner)
    return f"{place} ({getattr(inner, '__qualname__', '?')})"


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """Give its parameters. Raises InvalidTask where it has no signature."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidTask(f"{function!r} cannot be a task: {error}") from None


def hints_of(
    function: Callable[..., Any], local_names: Mapping[str, Any] | None, *, without_return: bool = False
) -> dict[str, Any]:
    """Read its annotations; strings among them may name `local_names`. Raises InvalidTask."""
    inner: Any = inspect.unwrap(function)
    if without_return:
        known = {name: each for name, each in getattr(inner, "__annotations__", {}).items() if name != "return"}
        inner = _Annotated(known, getattr(inner, "__globals__", {}))
    names = {"Context": Context, **(local_names or {})}
    try:
        return get_type_hints(inner, localns=names, include_extras=True)
    except NameError as error:
        raise InvalidTask(
            f"{where(function)}: the annotation {error.name!r} is not known here at run time: import it "
            "outside `if TYPE_CHECKING:`, above the task"
        ) from None
    except (SyntaxError, TypeError) as error:
        raise InvalidTask(f"{where(function)}: its annotations cannot be read: {error}") from None


class _Annotated:
    """Looks like a function to whoever reads annotations."""

    def __init__(self, annotations: dict[str, Any], names: dict[str, Any]) -> None:
        self.__annotations__ = annotations
        self.__globals__ = names


def is_context(parameter: Parameter, hints: Mapping[str, Any], place: int) -> bool:
    """Whether a parameter, at this place from 0, takes the Context."""
    if parameter.name not in hints:
        return place == 1 and parameter.name == "ctx" and parameter.kind in NAMED
    return _means_context(hints[parameter.name])


def _means_context(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _means_context(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(_means_context(each) for each in get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, Context)
