"""Owns the input of plain-form tasks: ordinary parameters to a JSON object, and back to arguments."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, Optional, Protocol

from pydantic import ConfigDict
from typing_extensions import TypedDict  # pydantic takes no other one before Python 3.12

from windlass.exceptions import InvalidInput, SerializationError
from windlass.payload import Codec

if TYPE_CHECKING:
    from collections.abc import Mapping

OtherFields = Literal["forbid", "ignore"]

_BY_PLACE: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class MakeCodec(Protocol):
    """Builds the codec of a part, or refuses the function."""

    def __call__(self, annotation: Any, label: str, part: str, /) -> Codec:
        """Take the type, what errors call the value, and what they call the part of the signature."""


class PlainInput:
    """The parameters of one function as the fields of an input."""

    def __init__(
        self,
        task: str,
        fields: Mapping[str, tuple[Parameter, Any]],
        make_codec: MakeCodec,
        other_fields: OtherFields = "forbid",
    ) -> None:
        """Take the function's parameters, Context apart, with their types, and what is done with other fields."""
        parameters = [parameter for parameter, _ in fields.values()]
        self._label = f"input of task {task!r}"
        self._signature = inspect.Signature(parameters)
        self._by_place = tuple(each.name for each in parameters if each.kind in _BY_PLACE)
        self._place_only = tuple(each.name for each in parameters if each.kind is Parameter.POSITIONAL_ONLY)
        self._rest = next((each.name for each in parameters if each.kind is Parameter.VAR_POSITIONAL), None)
        self._extra = next((each.name for each in parameters if each.kind is Parameter.VAR_KEYWORD), None)
        self._defaults: dict[str, Any] = {}
        self._other_fields = other_fields
        self._takes_nothing = other_fields == "ignore" and not parameters
        types: dict[str, Any] = {}
        for name, (parameter, annotation) in fields.items():
            codec = make_codec(annotation, self._label, f"`{name}`")
            if parameter.kind is Parameter.VAR_KEYWORD:
                continue
            if parameter.kind is Parameter.VAR_POSITIONAL:
                types[name] = _optional(list[annotation])  # type: ignore[valid-type] # a type only known here
            elif parameter.default is Parameter.empty:
                types[name] = annotation
            else:
                types[name] = _optional(annotation if parameter.default is not None else Optional[annotation])  # noqa: UP045 - `|` is not for every type form
                self._keep_default(parameter, codec)
        self._codec = make_codec(self._record(task, types), self._label, "its input")
        self._extra_codec: Codec | None = None
        if self._extra is not None and fields[self._extra][1] is not Any:
            annotation = fields[self._extra][1]
            extras = dict[str, annotation]  # type: ignore[valid-type] # a type only known here
            self._extra_codec = make_codec(extras, self._label, f"`{self._extra}`")

    def schema_json(self) -> bytes:
        """Give the JSON Schema of the object."""
        return self._codec.schema_json()

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Write the arguments of a call, defaults filled in.

        Raises:
            TypeError: the function could not be called like that.
            InvalidInput: a value does not fit its annotation.
            SerializationError: a value cannot be written as JSON.

        """
        fields = self._fields_of(args, kwargs)
        return self._codec.write(self._checked(fields))

    def decode(self, text: bytes) -> tuple[list[Any], dict[str, Any]]:
        """Read the arguments of a call from a JSON object, or from an array: positional ones.

        Raises:
            InvalidInput: a value is missing, too many, or does not fit its annotation.

        """
        if self._takes_nothing:  # of an input of whatever kind
            return [], {}
        if text[:1] == b"[":
            return self._decode_array(text)
        fields = self._codec.read(text)
        if self._extra_codec is not None:
            fields = self._checked_extra(fields)
        return self._arguments(fields)

    def named(self, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Give the arguments of a call by the names of their parameters."""
        return dict(self._signature.bind(*args, **kwargs).arguments)

    def write_value(self, value: Any) -> bytes:
        """Write an input that was given as a whole, as `enqueue` takes it: a list or a dict."""
        if isinstance(value, list | tuple):
            return self._encode_loose(tuple(value), {})
        if isinstance(value, dict):
            return self._codec.write(self._checked(value))
        raise InvalidInput(f"{self._label}: a list of its positional arguments or a dict was expected")

    def _fields_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = self._by_place
        if len(args) <= len(names) and not self._place_only:
            fields = dict(zip(names, args, strict=False))
            if fields.keys().isdisjoint(kwargs) and (self._rest is None or self._rest not in kwargs):
                merged = {**self._defaults, **fields, **kwargs}
                if self._signature_allows(merged):
                    return merged
        bound = self._signature.bind(*args, **kwargs)
        fields = dict(bound.arguments)
        if self._rest is not None and self._rest in fields:
            fields[self._rest] = list(fields[self._rest])
        extra = fields.pop(self._extra, {}) if self._extra is not None else {}
        if not extra.keys().isdisjoint(fields):
            raise InvalidInput(f"{self._label}: {sorted(extra.keys() & fields.keys())} are given twice")
        return {**self._defaults, **fields, **extra}

    def _signature_allows(self, fields: dict[str, Any]) -> bool:
        return self._required <= fields.keys() and (self._extra is not None or fields.keys() <= self._known)

    def _checked(self, fields: dict[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = self._codec.check(fields)
        return checked if self._extra_codec is None else self._checked_extra(checked)

    def _checked_extra(self, fields: dict[str, Any]) -> dict[str, Any]:
        assert self._extra_codec is not None  # noqa: S101 - made so by its maker
        extra = {name: value for name, value in fields.items() if name not in self._known}
        return {**fields, **self._extra_codec.check(extra)} if extra else fields

    def _arguments(self, fields: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if not self._place_only and self._rest is None:
            return [], fields
        rest = fields.pop(self._rest, []) if self._rest is not None else []
        args: list[Any] = []
        by_place = self._by_place if rest else self._place_only
        for name in by_place:
            if name in fields:
                args.append(fields.pop(name))
            else:
                args.append(self._signature.parameters[name].default)
        return [*args, *rest], fields

    def _decode_array(self, text: bytes) -> tuple[list[Any], dict[str, Any]]:
        values = _ARRAY.read(text)
        return self._arguments(self._checked(self._bound_loosely(tuple(values), {})))

    def _encode_loose(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        return self._codec.write(self._checked(self._bound_loosely(args, kwargs)))

    def _bound_loosely(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._fields_of(args, kwargs)
        except TypeError as error:
            raise InvalidInput(f"{self._label}: {error}") from None

    def _keep_default(self, parameter: Parameter, codec: Codec) -> None:
        """Fill in only defaults that can travel; the others apply where the function runs."""
        try:
            if parameter.default is not None:
                codec.write(codec.check(parameter.default))
        except (InvalidInput, SerializationError):
            return
        self._defaults[parameter.name] = parameter.default

    def _record(self, task: str, types: dict[str, Any]) -> Any:
        make: Any = TypedDict
        record = make(task, types)
        record.__pydantic_config__ = ConfigDict(extra=self._other_fields if self._extra is None else "allow")
        self._known = frozenset(types)
        self._required = frozenset(name for name, each in types.items() if not _is_optional(each))
        return record


def _optional(annotation: Any) -> Any:
    return NotRequired[annotation]


def _is_optional(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is NotRequired


_ARRAY: Final = Codec(list[Any], "input")
