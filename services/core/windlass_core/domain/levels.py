"""Owns the priority levels: 1 is LOW, 4 is CRITICAL; a higher one is claimed first."""

LEVELS = range(1, 5)
DEFAULT_LEVEL = 2
