"""Owns how inputs and outputs become JSON and come back. Knows nothing of functions' signatures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from windlass.exceptions import InvalidInput, PayloadTooLarge, SerializationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_METADATA: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])
MAX_PAYLOAD_BYTES: Final = 1024 * 1024
MAX_METADATA_BYTES: Final = 64 * 1024


class Codec:
    """Validates, writes and reads values of one type."""

    __slots__ = ("_adapter", "_to_json", "_validate", "_validate_json", "name")

    def __init__(self, annotation: Any, name: str) -> None:
        """Prepare for `annotation`; `name` is what errors call the value ("input of task 'resize'").

        Raises:
            PydanticSchemaGenerationError: pydantic has no idea what that type is.

        """
        self.name = name
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._validate = self._adapter.validator.validate_python
        self._validate_json = self._adapter.validator.validate_json
        self._to_json = self._adapter.serializer.to_json

    def check(self, value: Any) -> Any:
        """Validate a value that a caller gave. Raises InvalidInput naming what is wrong."""
        try:
            return self._validate(value)
        except ValidationError as error:
            raise InvalidInput(describe(error, self.name), field=first_field(error)) from None

    def write(self, value: Any) -> bytes:
        """Write a validated value as JSON. Raises SerializationError naming the type."""
        try:
            return self._to_json(value)
        except PydanticSerializationError as error:
            raise SerializationError(f"{self.name}: {error}; only what pydantic can write as JSON travels") from None

    def write_value(self, value: Any) -> bytes:
        """Validate and write a value that a caller gave. Raises as `check` and `write` do."""
        return self.write(self.check(value))

    def write_loose(self, value: Any) -> bytes:
        """Write a value that was never validated: by its type where it fits, else by what it is."""
        try:
            return self._to_json(value, warnings="error")
        except PydanticSerializationError:
            return write_any(value, self.name)

    def read(self, text: bytes) -> Any:
        """Validate JSON. Raises InvalidInput naming what is wrong."""
        try:
            return self._validate_json(text)
        except ValidationError as error:
            raise InvalidInput(describe(error, self.name), field=first_field(error)) from None

    def schema_json(self) -> bytes:
        """Give the JSON Schema, empty where the type has none."""
        try:
            return json.dumps(self._adapter.json_schema(), separators=(",", ":")).encode()
        except (PydanticInvalidForJsonSchema, PydanticUserError):
            return b""


def write_any(value: Any, name: str) -> bytes:
    """Write whatever pydantic knows how to. Raises SerializationError naming the type."""
    try:
        return to_json(value)
    except PydanticSerializationError as error:
        raise SerializationError(
            f"{name}: a {type_name(value)} cannot be written as JSON ({error}): "
            "return, or pass, a pydantic model, a dataclass, or plain JSON values"
        ) from None


def write_metadata(metadata: Mapping[str, Any] | None) -> bytes:
    """Write a caller's key-value pairs; empty where there are none."""
    if not metadata:
        return b""
    try:
        pairs = _METADATA.validate_python(metadata)
    except ValidationError as error:
        raise InvalidInput(describe(error, "additional_metadata"), field="additional_metadata") from None
    text = write_any(pairs, "additional_metadata")
    return _within(MAX_METADATA_BYTES, "64 KiB", text, "additional_metadata", "keep labels there and data in the input")


def check_size(text: bytes, name: str) -> bytes:
    """Give `text` back. Raises PayloadTooLarge where it is over the limit."""
    return _within(
        MAX_PAYLOAD_BYTES, "1 MiB", text, name, "put the data into a file or an object store and pass where it is"
    )


def _within(limit: int, in_words: str, text: bytes, name: str, advice: str) -> bytes:
    if len(text) > limit:
        said = f"{name} is {len(text):,} bytes of JSON, and the limit is {limit:,} ({in_words}): {advice}"
        raise PayloadTooLarge(said, limit=limit, size=len(text))
    return text


def type_name(value: object) -> str:
    """Name a value's type as its author would."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def first_field(error: ValidationError) -> str:
    """Give the path of the first thing wrong."""
    return _path(error.errors(include_url=False, include_input=False)[0]["loc"])


def describe(error: ValidationError, name: str) -> str:
    """Say in one line per problem what is wrong, and with which field."""
    lines = []
    for each in error.errors(include_url=False):
        path = _path(each["loc"])
        got = repr(each["input"])
        shown = got if len(got) <= _SHOWN else got[:_SHOWN] + "…"
        lines.append(f"{path + ': ' if path else ''}{each['msg']} (got {shown})")
    if len(lines) == 1:
        return f"{name}: {lines[0]}"
    return f"{name}: {len(lines)} problems\n" + "\n".join(f"  {line}" for line in lines)


_SHOWN: Final = 60


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
