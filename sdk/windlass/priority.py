"""Owns the four levels of importance that a run can have."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Claimed from the highest down; every eighth claim goes to the oldest run waiting below."""

    LOW = 1
    MEDIUM = 2
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4
