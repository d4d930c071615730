"""What must be true of gates between any two scripts: who holds permits, and which lanes wait for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass_core.domain.phase import Phase
from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.snapshot import Snapshot

_HELD = (Phase.LEASED, Phase.RUNNING)


@dataclass(frozen=True)
class _Asker:
    """A run with gates. `has_started` is told by its place: it has what it keeps till its end."""

    run: str
    phase: Phase
    has_started: bool
    cancelled: bool
    gates: list[list[Any]]

    def holds(self, gate: list[Any]) -> bool:
        return not self.phase.terminal and (self.has_started if gate[4] == "w" else self.phase in _HELD)

    def contends(self, gate: list[Any]) -> bool:
        return self.holds(gate) or self.phase == Phase.READY


def audit_gates(s: Snapshot) -> Iterator[str]:
    """All that is wrong."""
    askers = [_asker(run, s.hash(key)) for key, (run,) in s.keys_of("run").items() if "g" in s.hash(key)]
    yield from _permits(s, askers)
    yield from _contenders(s, askers)
    yield from _parked(s)


def parts_of(lane: str) -> tuple[str, str, str]:
    """Flow and level of a lane, and its gates' digest with the sign before it."""
    flow, _, place = lane.rpartition("/")
    return flow, place[0], place[1:]


def _asker(run: str, fields: dict[str, bytes]) -> _Asker:
    phase, place = Phase(fields["ph"].decode()), fields["p"].decode()
    return _Asker(run, phase, "+" in place, "cx" in fields, _gates(fields["g"]))


def _gates(packed: bytes) -> list[list[Any]]:
    """Gates with text for bytes; a Lua that packs an empty table makes a map of it."""
    return [[part.decode() if isinstance(part, bytes) else part for part in gate] for gate in unpack(packed) or []]


def _permits(s: Snapshot, askers: list[_Asker]) -> Iterator[str]:
    wanted: dict[str, set[str]] = {}
    most: dict[str, int] = {}
    for asker in askers:
        for gate in asker.gates:
            if gate[0] == "c":
                most[gate[1]] = max(most.get(gate[1], 0), gate[2])
                if asker.holds(gate):
                    wanted.setdefault(gate[1], set()).add(asker.run)
    told = {key: set(s.zset(name)) for name, (key,) in s.keys_of("permits").items()}
    if told != wanted:
        yield f"permits are due to {wanted}, and held by {told}"
    for key, holders in told.items():
        if len(holders) > most.get(key, 0):
            yield f"{key} has {len(holders)} permits out, and no run of it ever allowed so many"


def _contenders(s: Snapshot, askers: list[_Asker]) -> Iterator[str]:
    for name, (key,) in s.keys_of("contenders").items():
        strangers = set(s.zset(name)) - {asker.run for asker in askers for gate in asker.gates if gate[1] == key}
        if strangers:
            yield f"{name} has {strangers}, which never asked for it"
    for asker in askers:
        for gate in asker.gates:
            if gate[0] != "c" or gate[3] == "rr":
                continue
            contends = asker.run in s.zset(f"cu:{gate[1]}")
            # Who was cancelled for another is out of the contest while it still holds its permit.
            if contends != asker.contends(gate) and not (asker.cancelled and not contends):
                yield f"{asker.run} is {asker.phase.name}, and contends for {gate[1]}: {contends}"


def _max_runs(s: Snapshot, gate: list[Any]) -> int:
    namespace, workflow, place, _value = gate[1].split("|", 3)
    newest = int(s.hash(f"cm:{namespace}")[f"{namespace}|{workflow}|{place}"])
    # A limit that was raised is felt at a key with its next run, or the next permit that comes back.
    return min(int(gate[2]), newest)


def _parked(s: Snapshot) -> Iterator[str]:
    shut = {gate for key in s.keys_of("paused") for gate in s.set(key)}
    opening = {member.partition(":")[2] for member in s.zset("T") if member.startswith("open:")}
    asked = {lane: _gates(s.hash(key).get("g", b"\x90")) for key, (lane,) in s.keys_of("lane_meta").items()}
    open_lanes = [lane for key, (lane,) in s.keys_of("lane_meta").items() if s.hash(key)["at"] == b"ring"]
    coming = {f"{gate[0]}:{gate[1]}" for lane in open_lanes for gate in asked[lane]}
    for key, (name,) in s.keys_of("parked").items():
        for lane in s.zset(key):
            gate = next((g for g in asked[lane] if f"{g[0]}:{g[1]}" == name), None)
            if gate is None:
                is_closed = name in shut
            elif gate[0] == "c":
                is_closed = len(s.zset(f"c:{gate[1]}")) >= _max_runs(s, gate)
            else:
                # One that nobody has put; all others open by a timer.
                is_closed = not gate[3] and "limit" not in s.hash(f"rl:{gate[1]}")
            # Of those that come back, one wakes the next.
            if not is_closed and name not in opening | coming:
                yield f"lane {lane} is parked at {name}, which is open, and nothing will bring it back"
