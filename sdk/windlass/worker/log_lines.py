"""Owns that a worker's lines are seen where a program has not set up logging."""

from __future__ import annotations

import logging


def show_log_lines(level: str) -> None:
    """Print the worker's lines unless the program has set up logging itself."""
    logger = logging.getLogger("windlass")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
