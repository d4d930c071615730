"""What must be true of crons between any two scripts: each is listed, and due where it does not rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.snapshot import Snapshot

# After it has fired, the timer of the crons is put so far on until they have been.
_AGAIN_MS = 5_000


def audit_crons(s: Snapshot) -> Iterator[str]:
    """All that is wrong."""
    crons = {cron: s.hash(key) for key, (cron,) in s.keys_of("cron").items()}
    listed = {(ns, place) for key, (ns,) in s.keys_of("crons_by_name").items() for place in s.zset(key)}
    places = {(_text(f, "ns"), "\n".join((_text(f, "wf"), _text(f, "nm"), cron))) for cron, f in crons.items()}
    if listed != places:
        yield f"crons are {sorted(places)}, and listed are {sorted(listed)}"
    declared = {(*parts, cron) for key, parts in s.keys_of("crons_declared").items() for cron in s.set(key)}
    by_definition = {(_text(f, "ns"), _text(f, "wf"), cron) for cron, f in crons.items() if "dc" in f}
    if declared != by_definition:
        yield f"definitions declare {sorted(by_definition)}, and are said to declare {sorted(declared)}"
    due = s.zset("crd")
    for cron, fields in crons.items():
        if "ps" in fields and cron in due:
            yield f"cron {cron} rests, and is due"
        if int(fields.get("lt", 0)) > int(fields["a"]):
            yield f"cron {cron} was run for a tick that is not settled"
        if ("er" in fields) != ("et" in fields):
            yield f"cron {cron} has an error and no time of it, or the other way round"
    yield from (f"cron {cron} is due and gone" for cron in due.keys() - crons.keys())
    first = next(iter(due.values()), 0)
    if due and s.zset("T").get("crons:", 0) > first and s.zset("T")["crons:"] - s.now_ms > _AGAIN_MS:
        yield f"the first cron is due at {first:.0f}, and their timer stands at {s.zset('T')['crons:']:.0f}"


def _text(fields: Mapping[str, bytes], name: str) -> str:
    return fields[name].decode()
