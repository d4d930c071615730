"""Owns expressions in CEL over a submission's `input` and `metadata`: what one may be, and what it gives.

They run in the api, between everybody's submits, so none may take long or much memory. CEL's own budget
counts turns of loops and neither the bytes that a turn doubles nor the steps of a pattern; so there are
no loops here (all, exists, exists_one, filter, map) and no `matches`: what is left costs at the most the
length of the expression times that of the input.
"""

import functools
import math
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from windlass_core.domain.errors import InvalidField

MAX_EXPRESSION_CHARACTERS: Final = 1_000

Scalar: TypeAlias = str | int | float | bool

_EXPECTED: Final = "a string, a number or a boolean"
_SCALARS: Final = ("STRING", "INT", "UINT", "DOUBLE", "BOOL")
_SHOWN_CHARACTERS: Final = 200
_VARIABLES: Final = re.compile("input|metadata")
# The library calls what it reads `<input>`.
_FOUND: Final = re.compile(r"ERROR: <input>:(\d+:\d+): (.*)")
_ENVIRONMENT: Final = """
name: submission
variables:
- {name: input, type_name: dyn}
- {name: metadata, type_name: dyn}
stdlib:
  exclude_macros: [all, exists, exists_one, filter, map]
  exclude_functions:
  - name: matches
"""


@dataclass(frozen=True)
class Scope:
    """What the expressions of one submission see: two JSON values."""

    given: Any
    metadata: Any

    @functools.cached_property
    def activation(self) -> Any:
        """Both as CEL has them: made when the first expression asks, as all of them is converted."""
        return _environment().Activation({"input": self.given, "metadata": self.metadata})


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. `purpose` says what of which definition it is, for people."""

    text: str
    purpose: str
    _compiled: Any

    def evaluate(self, scope: Scope, field: str) -> Scalar:
        """What it gives. Raises InvalidField, named `field`, where that is no string, number or boolean."""
        try:
            result = self._compiled.eval(scope.activation if _VARIABLES.search(self.text) else None)
        except RuntimeError as error:
            raise self._refused(field, f"failed: {_line(error)}") from None
        kind = result.type().name()
        if kind == "ERROR":
            raise self._refused(field, f"failed: {_line(result.value())}")
        if kind not in _SCALARS:
            raise self._refused(field, f"gave {_named(kind)}")
        value: Scalar = result.value()
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refused(field, f"gave {value}")
        return value

    def text_of(self, scope: Scope, field: str) -> str:
        """What it gives as text; equal numbers give equal text. Raises InvalidField."""
        match self.evaluate(scope, field):
            case bool() as truth:
                return "true" if truth else "false"
            case float() as number if number.is_integer():
                return str(int(number))
            case value:
                return str(value)

    def whole_of(self, scope: Scope, field: str) -> int:
        """The whole number from 0 up that it gives. Raises InvalidField."""
        value = self.evaluate(scope, field)
        if isinstance(value, bool | str) or value < 0 or value != int(value):
            raise self._refused(field, f"gave {str(value)[:_SHOWN_CHARACTERS]!r}", "a whole number from 0 up")
        return int(value)

    def _refused(self, field: str, what: str, expected: str = _EXPECTED) -> InvalidField:
        shown = self.text[:_SHOWN_CHARACTERS]
        return InvalidField(f"{field}: `{shown}`, {self.purpose}, {what}; expected {expected}", field)


def check_expression(text: str, field: str, purpose: str) -> Expression:
    """The expression, compiled. Raises InvalidField for what is empty, too long, wrong, or can't give a scalar."""
    if not text.strip():
        raise InvalidField(f"{field}: expected a CEL expression over input and metadata, got nothing", field)
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        raise InvalidField(f"{field}: expected at most {MAX_EXPRESSION_CHARACTERS} characters, got {len(text)}", field)
    try:
        compiled = _compile(text)
    except RuntimeError as error:
        raise InvalidField(
            f"{field}: expected a CEL expression over input and metadata, without loops and matches(); "
            f"`{text[:_SHOWN_CHARACTERS]}`, {purpose}: {_syntax_error(error)}",
            field,
        ) from None
    kind = compiled.return_type().name()
    if kind not in (*_SCALARS, "DYN"):
        shown = text[:_SHOWN_CHARACTERS]
        raise InvalidField(f"{field}: `{shown}`, {purpose}, gives {_named(kind)}; expected {_EXPECTED}", field)
    return Expression(text, purpose, compiled)


@functools.lru_cache(maxsize=1_000)
def _compile(text: str) -> Any:
    return _environment().compile(text)


@functools.cache
def _environment() -> Any:
    # Takes 20 MB: only of processes that meet an expression.
    from cel_expr_python import cel

    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_ENVIRONMENT))


def _named(kind: str) -> str:
    """What a CEL type is called where the value came as JSON."""
    name = kind.partition("<")[0].lower()
    return name if name == "null" else f"a {name}"


def _syntax_error(error: object) -> str:
    """The first of what the library found, and at which character of a line."""
    first = _FOUND.search(str(error))
    return f"at {first[1]}: {first[2]}"[: 2 * _SHOWN_CHARACTERS] if first else _line(error)


def _line(error: object) -> str:
    """What the library said, in one line."""
    return " ".join(str(error).split())[: 2 * _SHOWN_CHARACTERS]
