"""What gates are to do, said in plain Python: a part of the state machine's second opinion."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from tests.support.oracle import ModelRun, Oracle

_HELD = (Phase.LEASED, Phase.RUNNING)
_CANCELLING = ("cip", "cn")


class GateOracle:
    """Who may start, and who is cancelled for whom. Gates are those of a submission."""

    def __init__(self, oracle: Oracle, limits: dict[str, int]) -> None:
        self._oracle = oracle
        #: Units of the limits that were put, and of all what is used in this window, by key.
        self._limits = limits
        self.used: Counter[str] = Counter()
        #: Tasks that are paused.
        self.paused: set[str] = set()
        #: Of keys with a cancelling strategy: run → since when it contends for it.
        self._contenders: dict[str, dict[str, int]] = {}
        self._now = 0

    def tick(self) -> int:
        """A time that is later than all before."""
        self._now += 1
        return self._now

    def may_start(self, r: ModelRun) -> bool:
        """Whether every gate lets it pass now."""
        if r.task in self.paused:
            return False
        for kind, key, most, *rest in _asked(r):
            if kind == "c" and self._holders(key) >= most:
                return False
            if kind == "r" and self.used[key] + most > (rest[0] or self._limits[key]):
                return False
        return True

    def start(self, r: ModelRun) -> None:
        """It has passed, and takes what its gates ask for."""
        for kind, key, units, *_ in _asked(r):
            if kind == "r":
                self.used[key] += units
        r.keeps = True

    def arrive(self, *runs: str, again: Container[str] = ()) -> None:
        """They are ready, but for those `again` for the first time: some are too many, or others are by now."""
        now = self.tick()
        for run in runs:
            r = self._oracle.runs[run]
            if run in again:
                self._contend(run, r, now)
            elif any(gate[3] == "cn" and len(self._of(gate[1])) >= gate[2] for gate in r.gates):
                self._oracle.cancel(run)
            else:
                self._contend(run, r, now)
        for gate in [
            gate for run in runs if run not in again for gate in self._oracle.runs[run].gates if gate[3] == "cip"
        ]:
            contenders = self._of(gate[1])
            for run in sorted(contenders, key=lambda run: (contenders[run], run))[: max(0, len(contenders) - gate[2])]:
                del contenders[run]
                self._oracle.cancel(run)

    def settle(self, *runs: str) -> None:
        """Attempts have ended: what is kept is kept, and what waits again contends again."""
        now = self.tick()
        for run in runs:
            r = self._oracle.runs[run]
            if r.phase == Phase.READY:
                self._contend(run, r, r.since or now)
            elif r.phase == Phase.BACKOFF:
                for gate in _contended(r):
                    self._of(gate[1]).pop(run, None)

    def _contend(self, run: str, r: ModelRun, since: int) -> None:
        for gate in _contended(r):
            self._of(gate[1])[run] = since

    def _holders(self, key: str) -> int:
        return len([1 for r in self._oracle.runs.values() for gate in r.gates if gate[1] == key and _holds(r, gate)])

    def _of(self, key: str) -> dict[str, int]:
        """Those that contend for a key; whoever has ended does no more."""
        contenders = self._contenders.setdefault(key, {})
        for run in [run for run in contenders if run not in self._oracle.runs or self._oracle.runs[run].phase.terminal]:
            del contenders[run]
        return contenders


def _asked(r: ModelRun) -> Iterator[list[Any]]:
    """Gates that it has to pass at its next start."""
    return (gate for gate in r.gates if not (r.keeps and gate[0] == "c" and gate[4] == "w"))


def _contended(r: ModelRun) -> Iterator[list[Any]]:
    return (gate for gate in _asked(r) if gate[3] in _CANCELLING)


def _holds(r: ModelRun, gate: list[Any]) -> bool:
    return not r.phase.terminal and (r.keeps if gate[4] == "w" else r.phase in _HELD)
