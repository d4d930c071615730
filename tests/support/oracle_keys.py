"""What the scripts are to do about idempotency keys: who has one, and who is in whose way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from windlass_core.store.runs import KeyHolder

if TYPE_CHECKING:
    from tests.support.oracle import Oracle


@dataclass(frozen=True)
class Claim:
    """What a submit asks for. `lasting`: the key counts until the run has ended, else for a time."""

    key: str
    content: str
    lasting: bool
    on_conflict: Literal["same", "reject", "return", "replace"]

    def more(self, window_ms: int) -> list[str | int]:
        """As run_submit takes it."""
        return [self.key, self.content, 0 if self.lasting else window_ms, self.on_conflict]


class KeyOracle:
    """Keys, each with the run that has it and what that claimed."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._held: dict[str, tuple[str, Claim]] = {}

    def holder_of(self, key: str) -> tuple[str, Claim] | None:
        """Who has a key; None: it is free."""
        run, claim = self._held.get(key, ("", None))
        if claim is None:
            return None
        of_run = self._oracle.runs.get(run)
        if claim.lasting and (of_run is None or of_run.phase.terminal):
            return None
        return run, claim

    def contest(self, claim: Claim) -> KeyHolder | None:
        """What a new submit finds; None: it may have the key. One that is replaced is cancelled."""
        found = self.holder_of(claim.key)
        if found is None:
            return None
        run, theirs = found
        if claim.on_conflict == "replace":
            if run in self._oracle.runs:
                self._oracle.cancel(run)
            return None
        same = claim.on_conflict == "return" or (claim.on_conflict == "same" and claim.content == theirs.content)
        return KeyHolder(run, refused=not same)

    def take(self, run: str, claim: Claim) -> None:
        """The run has it from now on."""
        self._held[claim.key] = run, claim

    def let_windows_end(self) -> None:
        """Time passes."""
        self._held = {key: held for key, held in self._held.items() if held[1].lasting}

    def lasting(self, run: str) -> Claim | None:
        """What a run claims again when it is replayed."""
        claim = self._oracle.runs[run].claim
        return claim if claim and claim.lasting else None

    def forget(self, run: str) -> None:
        """It was deleted by hand."""
        self._held = {key: held for key, held in self._held.items() if held[0] != run}
