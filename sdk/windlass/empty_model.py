"""Owns the input of tasks that take none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class EmptyModel(BaseModel):
    """No fields of its own; whatever keys a caller sends are kept as attributes."""

    model_config = ConfigDict(extra="allow", frozen=True)
