"""Owns how many messages go into another one, which may have 4 MiB in all."""

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

# Besides these, one message of the largest kind fits: a run with its input and its output.
PORTION_BYTES = 2 * 1024 * 1024

M = TypeVar("M", bound=Message)


def portion(messages: Iterable[M], room: int = PORTION_BYTES) -> list[M]:
    """The first of the messages, as many as have room; at least one."""
    taken: list[M] = []
    for message in messages:
        room -= message.ByteSize()
        if room < 0 and taken:
            break
        taken.append(message)
    return taken
