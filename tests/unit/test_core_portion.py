"""How many messages go into another one."""

from __future__ import annotations

from windlass.v1 import run_pb2
from windlass_core.rpc.portion import portion


def _lines(*lengths: int) -> list[run_pb2.LogLine]:
    return [run_pb2.LogLine(message="x" * length) for length in lengths]


def test_as_many_as_have_room() -> None:
    """In their order, up to the first that has none."""
    lines = _lines(40, 40, 40, 1)
    assert portion(lines, 100) == lines[:2]
    assert portion(lines, 1000) == lines


def test_at_least_one() -> None:
    """Or nothing would ever get through."""
    lines = _lines(400, 1)
    assert portion(lines, 100) == lines[:1]
    assert portion(_lines(), 100) == []
