"""Owns what a stream asks of whoever executes its attempts: a runner, or children that have one each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from windlass.v1 import dispatch_pb2


class Staff(Protocol):
    """Executes attempts. Called on the I/O thread; never blocks."""

    max_payload: int

    def start(self, assignments: list[dispatch_pb2.Assignment]) -> None:
        """Execute these."""

    def cancel(self, lease_ids: list[str], reason: str, grace: float) -> None:
        """Turn is_cancelled true; after `grace` seconds stop what still executes."""

    def stop(self, lease_ids: list[str], reason: str) -> None:
        """Stop these now; nothing is reported of them."""

    def note_labels(self, changes: dict[str, str]) -> None:
        """Let all attempts see these labels of their worker, now and from now on."""

    def settled(self, lease_id: str, size: int, *, refused: bool) -> None:
        """So many bytes of what it streamed are settled; `refused`: no more of it is taken."""

    def drain(self) -> None:
        """No more will come: what waits for further attempts begins without them."""
