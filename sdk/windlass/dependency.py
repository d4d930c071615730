"""Owns what a task depends on: `Depends`, and the order in which dependencies are opened.

Opening and closing them is `resolution`'s.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_args, get_origin, overload

from windlass.exceptions import InvalidTask
from windlass.parameters import hints_of, is_context, parameters_of, where

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Collection,
        Coroutine,
        Generator,
        Iterable,
        Iterator,
        Mapping,
    )

T = TypeVar("T")

_REST: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Dependency:
    """What `Depends(function)` is at run time."""

    function: Callable[..., Any]


@overload
def Depends(dependency: Callable[..., Coroutine[Any, Any, T]], /) -> T: ...
@overload
def Depends(dependency: Callable[..., AsyncGenerator[T, Any]], /) -> T: ...
@overload
def Depends(dependency: Callable[..., Generator[T, Any, Any]], /) -> T: ...
@overload
def Depends(dependency: Callable[..., AsyncIterator[Any] | Iterator[Any]], /) -> Any: ...
@overload
def Depends(dependency: Callable[..., T], /) -> T: ...
def Depends(dependency: Callable[..., Any], /) -> Any:  # noqa: N802 - the name that FastAPI gave it
    """Have a parameter filled in by `dependency`, once per attempt.

    In a task whose second parameter is its Context, `db: Annotated[Db, Depends(get_db)]` after it; in a
    plain one `db: Db = Depends(get_db)`, after the fields of its input. Either way it is no part of the
    input, and calls leave it out.

    Args:
        dependency: a sync or async function, or a generator that yields once: what comes after its
            `yield` runs when the attempt has ended, however. It may take a Context, the `input`, and
            dependencies of its own.

    Raises:
        InvalidTask: it cannot be called.

    """
    if not callable(dependency):
        raise InvalidTask(f"Depends({dependency!r}): a function was expected, not its result")
    return Dependency(dependency)


class Kind(Enum):
    """What calling a dependency gives."""

    VALUE = "the value"
    COROUTINE = "a coroutine that gives it"
    GENERATOR = "a generator that yields it"
    ASYNC_GENERATOR = "an async generator that yields it"


#: Places of the values that are there before the first step.
INPUT: Final = 0
CONTEXT: Final = 1
_GIVEN: Final = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One dependency to open; its value takes the next place."""

    function: Callable[..., Any]
    kind: Kind
    arguments: tuple[tuple[str, int], ...]  # name, and the place of its value


@dataclass(frozen=True, slots=True)
class Plan:
    """The dependencies of one task, each after those that it takes."""

    steps: tuple[Step, ...]
    results: tuple[tuple[str, int], ...]  # parameter of the task, and the place of its value

    @property
    def needs_loop(self) -> bool:
        """Whether one of them is async."""
        return any(step.kind in (Kind.COROUTINE, Kind.ASYNC_GENERATOR) for step in self.steps)


class Injection:
    """The dependencies of one task, by the parameters that they fill in."""

    def __init__(self, roots: Mapping[str, Callable[..., Any]], local_names: Mapping[str, Any] | None) -> None:
        """Read them all. Raises InvalidTask: says which one cannot be a dependency, and why."""
        self.roots: Final = dict(roots)
        self._local_names = local_names
        self._plan = _Planner({}, local_names).plan(self.roots)

    def plan(self, overrides: Mapping[Callable[..., Any], Callable[..., Any]], given: Collection[str] = ()) -> Plan:
        """Say what has to be opened for all parameters but those given.

        Raises:
            InvalidTask: an override cannot be a dependency.
            TypeError: the task has no such parameter as is given.

        """
        if not overrides and not given:
            return self._plan
        if unknown := set(given) - self.roots.keys():
            raise TypeError(f"no dependency is named {', '.join(sorted(unknown))}: there are {', '.join(self.roots)}")
        roots = {name: function for name, function in self.roots.items() if name not in given}
        return _Planner(overrides, self._local_names).plan(roots)


def take_dependencies(
    function: Callable[..., Any], parameters: Iterable[Parameter], hints: Mapping[str, Any]
) -> tuple[dict[str, Callable[..., Any]], list[Parameter]]:
    """Part a task's parameters into dependencies, by name, and the others.

    Raises:
        InvalidTask: one stands where calls by position would run into it.

    """
    found: dict[str, Callable[..., Any]] = {}
    others: list[Parameter] = []
    early = ""
    for each in parameters:
        marker = _marker(each, hints)
        if marker is None:
            others.append(each)
            if early and each.kind not in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD):
                raise InvalidTask(
                    f"{where(function)}: the dependency `{early}` stands before `{each.name}`: dependencies "
                    "come last, after the input and the Context"
                )
        elif each.kind in (*_REST, Parameter.POSITIONAL_ONLY):
            raise InvalidTask(f"{where(function)}: `{each}` cannot be a dependency: it has to be passed by name")
        else:
            found[each.name] = marker.function
            if each.kind is Parameter.POSITIONAL_OR_KEYWORD:
                early = early or each.name
    return found, others


def check_defaults(function: Callable[..., Any], parameters: Iterable[Parameter], names: Collection[str]) -> None:
    """Refuse dependencies of a plain task that its calls could not leave out. Raises InvalidTask."""
    for each in parameters:
        if each.name in names and not isinstance(each.default, Dependency):
            raise InvalidTask(
                f"{where(function)}: the dependency `{each.name}` has no default, so that calls would have to give "
                f"it. Without a Context as second parameter write `{each.name}: ... = Depends(...)`"
            )


def _marker(parameter: Parameter, hints: Mapping[str, Any]) -> Dependency | None:
    if isinstance(parameter.default, Dependency):
        return parameter.default
    annotation = hints.get(parameter.name)
    if get_origin(annotation) is Annotated:
        return next((each for each in get_args(annotation)[1:] if isinstance(each, Dependency)), None)
    return None


class _Planner:
    """Puts dependencies in order."""

    def __init__(
        self,
        overrides: Mapping[Callable[..., Any], Callable[..., Any]],
        local_names: Mapping[str, Any] | None,
    ) -> None:
        self._overrides = overrides
        self._local_names = local_names
        self._steps: list[Step] = []
        self._places: dict[Callable[..., Any], int] = {}
        self._path: list[Callable[..., Any]] = []

    def plan(self, roots: Mapping[str, Callable[..., Any]]) -> Plan:
        results = tuple((name, self._place(function)) for name, function in roots.items())
        return Plan(tuple(self._steps), results)

    def _place(self, function: Callable[..., Any]) -> int:
        if (known := self._places.get(function)) is not None:
            return known
        if function in self._path:
            circle = [*self._path[self._path.index(function) :], function]
            raise InvalidTask(f"dependencies go in a circle: {' needs '.join(map(where, circle))}")
        self._path.append(function)
        actual = self._overrides.get(function, function)
        arguments = tuple(self._arguments(actual))
        self._path.pop()
        self._steps.append(Step(actual, _kind_of(actual), arguments))
        place = self._places[function] = _GIVEN + len(self._steps) - 1
        return place

    def _arguments(self, function: Callable[..., Any]) -> Iterator[tuple[str, int]]:
        parameters = [each for each in parameters_of(function) if each.kind not in _REST]
        hints = hints_of(_signed(function), self._local_names, without_return=True) if parameters else {}
        contexts = [is_context(each, hints, 1) for each in parameters]
        for place, each in enumerate(parameters):
            if (marker := _marker(each, hints)) is not None:
                found = self._place(marker.function)
            elif contexts[place]:
                found = CONTEXT
            elif each.name == "input" or (place == 0 and contexts[1:2] == [True]):
                found = INPUT
            elif each.default is not Parameter.empty:
                continue
            else:
                raise InvalidTask(_unknown_argument(function, each))
            if each.kind is Parameter.POSITIONAL_ONLY:
                raise InvalidTask(f"{where(function)}: `{each.name}` has to be passed by name: leave out the `/`")
            yield each.name, found


def _unknown_argument(function: Callable[..., Any], parameter: Parameter) -> str:
    return (
        f"{where(function)}: nothing says what the parameter `{parameter.name}` of this dependency is: it takes "
        f"`ctx: Context`, `input`, or others, as `{parameter.name}: Annotated[..., Depends(...)]`"
    )


def _signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give what holds the annotations."""
    if isinstance(function, functools.partial):
        return _signed(function.func)
    if inspect.isclass(function):
        return function.__init__
    return function if inspect.isroutine(function) else type(function).__call__


def _kind_of(function: Callable[..., Any]) -> Kind:
    target = function if inspect.isclass(function) else _signed(function)
    if inspect.isasyncgenfunction(target):
        return Kind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(target):
        return Kind.GENERATOR
    return Kind.COROUTINE if inspect.iscoroutinefunction(target) else Kind.VALUE
