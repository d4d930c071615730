"""Owns the input and the output of the workflows that tests define."""

from __future__ import annotations

from pydantic import BaseModel


class OrderInput(BaseModel):
    order_id: str
    amount: int = 1


class Receipt(BaseModel):
    charged: int
