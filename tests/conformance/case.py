"""Owns what a case is, and the list of them all. Runs none."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.conformance import cases

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conformance.rig import Rig

Play: TypeAlias = "Callable[[Rig], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a worker must do, and how it is tried."""

    topic: str
    name: str
    #: One line, for people.
    rule: str
    play: Play
    #: What it is about, where the protocol leaves that to a worker: `--without` names it.
    capabilities: frozenset[str] = frozenset()


_cases: list[Case] = []


def case(play: Play) -> Play:
    """Take the function in as a case: its module is the topic, its docstring the rule.

    A case that is not kept raises AssertionError, and the message says what was expected.
    """
    return _take_in(play, frozenset())


def optional_case(*capabilities: str) -> Callable[[Play], Play]:
    """Take the function in as a case for workers that have all of these capabilities."""
    return lambda play: _take_in(play, frozenset(capabilities))


def all_cases() -> list[Case]:
    """All cases, by topic, in the order in which they are written."""
    for module in pkgutil.iter_modules(cases.__path__):
        importlib.import_module(f"{cases.__name__}.{module.name}")
    return sorted(_cases, key=lambda each: each.topic)


def _take_in(play: Play, capabilities: frozenset[str]) -> Play:
    topic = play.__module__.rpartition(".")[2]
    name, rule = play.__name__, play.__doc__ or ""
    _cases.append(Case(topic, name.replace("_", "-"), rule.strip(), play, capabilities))
    return play
