"""What must be true of a shard between any two scripts: indexes match, nothing is lost or left."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.audit_crons import audit_crons
from tests.support.audit_gates import audit_gates, parts_of
from tests.support.demands import Demanded, demand_of, owner_of, places_of, pool_of, serves
from windlass_core.domain.levels import LEVELS
from windlass_core.domain.phase import TRANSITIONS, Phase
from windlass_core.store.keys import FAMILIES
from windlass_core.store.scripts import unpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tests.support.snapshot import Snapshot

_FAMILIES = {family.name: family for family in FAMILIES}
_HELD = (Phase.LEASED, Phase.RUNNING)
_FIRST = {Phase.SCHEDULED, Phase.READY}
# The scripts by which runs come to be.
_BEARING = {"run_submit", "crons_fire", "hooks_start"}
# What one call of a script may do in two steps: the phase between them.
_THROUGH = {
    "run_submit": {Phase.READY},
    "crons_fire": {Phase.READY},
    "hooks_start": {Phase.READY},
    "timers_fire": {Phase.READY},
}


def check_steps(script: str, before: Mapping[str, Phase], after: Mapping[str, Phase]) -> Iterator[str]:
    """Changes of phase that the table does not have."""
    through = _THROUGH.get(script, set())
    for run, phase in after.items():
        if run not in before:
            born = _FIRST | {step for p in through for step in TRANSITIONS[p]}
            if script not in _BEARING or phase not in born:
                yield f"{script}: {run} began as {phase.name}"
            continue
        was = before[run]
        reachable = {*TRANSITIONS[was], *(step for p in through & set(TRANSITIONS[was]) for step in TRANSITIONS[p])}
        if was.terminal and script != "run_replay":
            reachable = set()
        if phase != was and phase not in reachable:
            yield f"{script}: {run} went from {was.name} to {phase.name}"
    for run in before.keys() - after.keys():
        if script not in {"runs_expire", "run_delete"} or not before[run].terminal:
            yield f"{script}: {run} was deleted while {before[run].name}"


def audit(s: Snapshot, slotless: Collection[str] = ()) -> Iterator[str]:
    """All that is wrong. `slotless`: leases whose slots were given up."""
    yield from _keys(s)
    yield from _runs(s)
    yield from _idempotency_keys(s)
    yield from _flows(s)
    yield from _lanes(s)
    yield from audit_gates(s)
    yield from _workers(s, slotless)
    yield from _timers(s)
    yield from audit_crons(s)
    yield from _hooks(s)


def _hooks(s: Snapshot) -> Iterator[str]:
    ended = set()
    for name, (run,) in s.keys_of("run").items():
        fields = s.hash(name)
        if fields["ph"].decode() in fields.get("hk", b"").decode() and "hr" not in fields:
            ended.add(run)
    if (owed := set(s.zset("hk"))) != ended:
        yield f"ends of {sorted(ended)} are to be followed by hooks, and owed one are {sorted(owed)}"


def _keys(s: Snapshot) -> Iterator[str]:
    for key in s.strangers:
        yield f"key {key} belongs to no family"
    for name, keys in s.families.items():
        for key in keys:
            if s.kinds[key] != _FAMILIES[name].type:
                yield f"key {key} is a {s.kinds[key]}, {name} is a {_FAMILIES[name].type}"
    if len(s.list("wake")) > 1:
        yield "more than one wake-up is under way"


def _runs(s: Snapshot) -> Iterator[str]:
    done: dict[str, list[int]] = {}
    for entry in s.list("done"):
        ms, _, run = entry.partition(" ")
        # Of a run that was deleted, and submitted anew, the former entry is left.
        if int(ms) >= int(s.hash(f"r:{run}").get("c", ms)):
            done.setdefault(run, []).append(int(ms))
    for run, ends in done.items():
        if f"r:{run}" in s.values and len(ends) > 1 + int(s.hash(f"r:{run}").get("rp", 0)):
            yield f"{run} has ended {len(ends)} times"
    # An end before a replay is none any more.
    ended = {run for run, ends in done.items() if int(s.hash(f"r:{run}").get("d", 0)) in ends}
    for (run,) in s.keys_of("run").values():
        yield from _run(s, run, ended)
    owned = {
        **s.keys_of("failures"),
        **s.keys_of("waiters"),
        **s.keys_of("children"),
        **s.keys_of("log"),
        **s.keys_of("stream"),
    }
    owned |= s.keys_of("followers")
    for key, (run,) in owned.items():
        if f"r:{run}" not in s.values:
            yield f"key {key} is left of a run that is gone"
    for family in ("runs_by_time", "failed_by_time", "scheduled"):
        for key in s.keys_of(family):
            yield from (f"{run} is in {key} and gone" for run in s.zset(key) if f"r:{run}" not in s.values)


def _run(s: Snapshot, run: str, ended: set[str]) -> Iterator[str]:
    fields = s.hash(f"r:{run}")
    phase = Phase(fields["ph"].decode())
    flow, place = fields["f"].decode(), fields["p"].decode()
    namespace = flow.partition("|")[0]
    worker, lease = fields.get("wk", b"").decode(), fields.get("L", b"").decode()
    if (run in ended) != phase.terminal:
        yield f"{run} is {phase.name}, and in the list of the ended: {run in ended}"
    if (run in s.zset(f"q:{flow}/{place}")) != (phase == Phase.READY):
        yield f"{run} is {phase.name}, and in its lane: {phase != Phase.READY}"
    if (s.hash(f"att:{worker}").get(lease) == run.encode()) != (phase in _HELD):
        yield f"{run} is {phase.name}, and held by a worker: {phase not in _HELD}"
    if run not in s.zset(f"ix:{namespace}"):
        yield f"{run} is in no list of runs"
    if (run in s.zset(f"fx:{namespace}")) != (phase == Phase.FAILED):
        yield f"{run} is {phase.name}, and in the list of the failed: {phase != Phase.FAILED}"
    if (run in s.zset(f"sx:{namespace}")) != (phase == Phase.SCHEDULED and "at" in fields):
        yield f"{run} is {phase.name}, and in the list of the scheduled: {run in s.zset(f'sx:{namespace}')}"
    if phase.terminal and f"wt:{run}" in s.values:
        yield f"{run} has ended and is still waited for"


def _idempotency_keys(s: Snapshot) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, (key,) in s.keys_of("idempotency").items():
        run, _content, *lasting = s.values[name].decode().split(" ")
        of_run = s.hash(f"r:{run}")
        owners[key] = run
        if bool(lasting) != (name not in s.mortal):
            yield f"key {name} counts until its run's end: {bool(lasting)}, and has a time to live: {name in s.mortal}"
        if lasting and (of_run.get("ik", b"").decode(), "ic" in of_run) != (key, True):
            yield f"{run} has idempotency key {key}, and does not know it"
        if not lasting and of_run and "ik" in of_run and of_run["ik"].decode() != key:
            yield f"{run} has idempotency key {key}, and believes that it is {of_run['ik'].decode()}"
    for name, (run,) in s.keys_of("run").items():
        fields = s.hash(name)
        # One that was replaced has been told to end.
        lives = "ic" in fields and "cx" not in fields and not Phase(fields["ph"].decode()).terminal
        if lives and owners.get(fields["ik"].decode()) != run:
            yield f"{run} has not ended, and its idempotency key is not its own"


def _flows(s: Snapshot) -> Iterator[str]:
    counts = Counter(s.hash(key)["f"].decode() for key in s.keys_of("run"))
    kept = {flow: int(count) for key in s.keys_of("flows") for flow, count in s.hash(key).items()}
    if kept != counts:
        yield f"runs are kept of {dict(counts)}, and counted of {kept}"
    served: dict[str, set[str]] = {flow: set() for flow in kept}
    for key, (group,) in s.keys_of("group").items():
        fields = s.hash(key)
        mine = {flow for flow in kept if serves(s, group, flow)}
        known = s.set(f"gf:{group}")
        is_new = f"join:{group}" in s.zset("T")
        if is_new != ("at" in fields):
            yield f"group {group} has flows to know, and a timer for them: {is_new}"
        if known != mine and not (is_new and known < mine):
            yield f"group {group} serves {sorted(mine)}, and is said to serve {sorted(known)}"
        for flow in known & mine:
            served[flow].add(group)
    told = {flow: s.set(key) for key, (flow,) in s.keys_of("flow_groups").items()}
    if told != {flow: groups for flow, groups in served.items() if groups}:
        yield f"flows are served by {served}, and said to be by {told}"
    for key, (group, level) in s.keys_of("heads").items():
        for flow, since in s.zset(key).items():
            lane = next(iter(s.list(f"ring:{flow}/{level}")), None)
            head = next(iter(s.zset(f"q:{lane}").values()), 0)
            # Within a millisecond, the first to be queued may have been the later one of its batch.
            if int(since) != int(head):
                yield f"group {group} sees flow {flow}/{level} at {since}, and its head is at {head}"
    yield from _demands(s, kept)
    if s.set("nss") != {namespace for (namespace,) in s.keys_of("definitions").values()}:
        yield f"definitions are in {sorted(s.keys_of('definitions'))}, and namespaces are {sorted(s.set('nss'))}"


def _demands(s: Snapshot, flows: Iterable[str]) -> Iterator[str]:
    for key, (flow,) in s.keys_of("demand").items():
        if flow not in flows:
            yield f"key {key} is left of a flow that is gone"
    yield from (f"nothing is known of what flow {flow} demands" for flow in flows if demand_of(s, flow) is None)
    for timer in s.zset("T"):
        kind, _, group = timer.partition(":")
        if kind == "room" and f"g:{group}" not in s.values:
            yield f"timer {timer} is left of a group that is gone"


def _lanes(s: Snapshot) -> Iterator[str]:
    lanes = {lane for (lane,) in s.keys_of("lane").values()}
    for lane in lanes:
        yield from _lane(s, lane)
    yield from (
        f"key {key} is left of an empty lane" for key, (lane,) in s.keys_of("lane_meta").items() if lane not in lanes
    )
    for family in ("ring", "parked", "flow_lanes"):
        for key in s.keys_of(family):
            here = s.set(key) if family == "flow_lanes" else s.zset(key) if family == "parked" else s.list(key)
            yield from (f"{lane} is empty and in {key}" for lane in set(here) - lanes)
    for key, (group, level) in s.keys_of("heads").items():
        for flow in s.zset(key):
            if f"ring:{flow}/{level}" not in s.values:
                yield f"group {group} sees flow {flow}, which has nothing at level {level}"


def _lane(s: Snapshot, lane: str) -> Iterator[str]:
    flow, level, digest = parts_of(lane)
    for run in s.zset(f"q:{lane}"):
        fields = s.hash(f"r:{run}")
        if fields.get("ph") != Phase.READY.value.encode():
            yield f"{run} is in lane {lane} and not ready"
        if f"{fields['f'].decode()}/{fields['p'].decode()}" != lane:
            yield f"{run} is in lane {lane} and belongs elsewhere"
    at = s.hash(f"m:{lane}").get("at", b"nowhere").decode()
    if s.list(f"ring:{flow}/{level}").count(lane) != (at == "ring"):
        yield f"lane {lane} is said to be at {at}, and its ring is {s.list(f'ring:{flow}/{level}')}"
    parked = [key for key in s.keys_of("parked") if lane in s.zset(key)]
    if parked != ([] if at == "ring" else [f"gw:{at}"]):
        yield f"lane {lane} is said to be at {at}, and is parked at {parked}"
    if (lane in s.set(f"ln:{flow}")) != bool(digest) or ("g" in s.hash(f"m:{lane}")) != bool(digest):
        yield f"lane {lane} has gates, and is known for them: {not digest}"
    for group in s.set(f"fg:{flow}"):
        if at == "ring" and flow not in s.zset(f"H:{group}/{level}"):
            yield f"lane {lane} has runs that group {group} does not see"


def _workers(s: Snapshot, slotless: Collection[str]) -> Iterator[str]:
    groups = {parts[0] for parts in s.keys_of("group").values()}
    for family in ("attempts", "slots"):
        for key, parts in s.keys_of(family).items():
            if f"w:{parts[0]}" not in s.values:
                yield f"key {key} is left of a worker that is gone"
    for family in ("group_tasks", "group_flows", "group_workers", "free", "heads"):
        for key, parts in s.keys_of(family).items():
            if parts[0] not in groups:
                yield f"key {key} is left of a group that is gone"
    yield from (f"group {group} is to be matched and gone" for group in s.set("dirty") - groups)
    for key, (worker,) in s.keys_of("worker").items():
        yield from _worker(s, worker, s.hash(key), slotless)
    for group in groups:
        free = max((slots for worker, slots in s.zset(f"free:{group}").items() if _alive(s, worker)), default=0)
        heads = [flow for level in LEVELS for flow in s.zset(f"H:{group}/{level}")]
        work = any(demand and demand.cost <= free for demand in (demand_of(s, flow) for flow in heads))
        if "gone" in s.hash(f"g:{group}"):
            yield from _gone(s, group, work=bool(heads))
        elif work and group not in s.set("dirty"):
            yield f"group {group} has free slots and work, and nobody is to match it"


def _gone(s: Snapshot, group: str, *, work: bool) -> Iterator[str]:
    """Of a worker that is gone: its own group waits for what is to fail."""
    worker = s.hash(f"w:{owner_of(group)}")
    is_back = bool(worker) and group in {place[0] for place in places_of(worker)}
    if is_back or s.zset(f"free:{group}") != {owner_of(group): 1}:
        yield f"group {group} is of a worker that is gone, and is not as such a one is"
    if work and group not in s.set("dirty"):
        yield f"group {group} has runs whose worker is gone, and nobody is to fail them"


def _alive(s: Snapshot, worker: str) -> bool:
    dispatcher = s.hash(f"w:{worker}").get("disp", b"").decode()
    return s.zset("pres:dispatcher").get(dispatcher, 0) > s.now_ms


def _worker(s: Snapshot, worker: str, fields: dict[str, bytes], slotless: Collection[str]) -> Iterator[str]:
    attempts = {lease: run.decode() for lease, run in s.hash(f"att:{worker}").items()}
    yield from _slots(s, worker, attempts, slotless)
    for lease, run in attempts.items():
        of_run = s.hash(f"r:{run}")
        if (of_run.get("L"), of_run.get("wk")) != (lease.encode(), worker.encode()):
            yield f"{worker} holds {run} under a lease that is not its own"
    if worker not in s.zset("sess"):
        yield f"{worker} has no session"
    if worker not in s.set(f"ws:{fields['ns'].decode()}"):
        yield f"{worker} is in no list of workers"
    takes_work = fields["st"] == b"a" and "pz" not in fields
    kept = unpack(fields["rs"]) if "rs" in fields else None
    for group, pool, slots in places_of(fields):
        if worker not in s.set(f"gm:{group}"):
            yield f"{worker} is in no list of workers"
        free = max(slots - len(s.set(f"s:{worker}:{pool}")), 0) if takes_work else 0
        if kept and pool == pool_of(kept[0].decode()) and free < kept[3]:
            free = 0
        shown = s.zset(f"free:{group}").get(worker, 0)
        # Matching drops the workers of a dispatcher that is gone.
        if shown != free and (shown or _alive(s, worker)):
            yield f"{worker} has {free} free slots of {pool}, and {shown:g} are shown to {group}"
    if kept and s.hash(f"g:{kept[0].decode()}").get("rs") != worker.encode():
        yield f"{worker} is kept free for a group that does not know"


def _slots(s: Snapshot, worker: str, attempts: dict[str, str], slotless: Collection[str]) -> Iterator[str]:
    taken: dict[str, set[str]] = {}
    for lease, run in attempts.items():
        if lease in slotless:
            continue
        demand = demand_of(s, s.hash(f"r:{run}")["f"].decode()) or Demanded()
        taken.setdefault(demand.pool, set()).update([lease, *(f"{lease}:{nth}" for nth in range(2, demand.cost + 1))])
    kept = {pool: s.set(key) for key, (of, pool) in s.keys_of("slots").items() if of == worker}
    if kept != taken:
        yield f"{worker} holds {sorted(attempts)}, and its slots are taken by {kept}"


def _timers(s: Snapshot) -> Iterator[str]:
    timers = set(s.zset("T"))
    wanted: set[str] = set()
    for key, (run,) in s.keys_of("run").items():
        fields = s.hash(key)
        phase = Phase(fields["ph"].decode())
        if phase in {Phase.SCHEDULED, Phase.BACKOFF}:
            wanted.add(f"ready:{run}")
        if "xs" in fields and not phase.terminal:
            wanted.add(f"start:{run}")
        if "x" in fields and phase in _HELD:
            wanted.add(f"stop:{run}:{fields['L'].decode()}")
    if s.zset("crd"):
        wanted.add("crons:")
    if s.zset("hk"):
        wanted.add("hooks:")
    kept = {member for member in timers if not re.match(r"kids:|join:|open:|room:|crowd:", member)}
    yield from (f"timer {member} is missing" for member in wanted - kept)
    yield from (f"timer {member} is left" for member in kept - wanted)
