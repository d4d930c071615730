"""The audit sees what is wrong: damage of each kind is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit import audit, check_steps
from tests.support.world import permit, rate
from windlass_core.domain.phase import Phase
from windlass_core.store.scripts import pack

if TYPE_CHECKING:
    from tests.support.world import World

_DAMAGES = {
    "a run falls out of its lane": ("ZPOPMIN", "q:default|default|t/2"),
    "a lane keeps a run that ended": ("HSET", "r:{ready}", "ph", "X"),
    "a ring forgets its lane": ("DEL", "ring:default|default|t/2"),
    "a lane loses its place": ("DEL", "m:default|default|t/2"),
    "a group does not see its work": ("DEL", "H:{group}/2"),
    "a worker forgets what it holds": ("DEL", "att:w1"),
    "a slot is not given back": ("SADD", "s:w1:default", "lease"),
    "more slots are shown than there are": ("ZADD", "free:{group}", "5", "w1"),
    "a run holds a lease that nobody knows": ("HSET", "r:{running}", "L", "lease"),
    "a timer is missing": ("DEL", "T"),
    "a timer is left": ("ZADD", "T", "1", "ready:{running}"),
    "a run ends twice": ("RPUSH", "done", "9999999999999 {running}", "9999999999999 {running}"),
    "a run is in no list": ("DEL", "ix:default"),
    "a run failed unseen": ("DEL", "fx:default"),
    "a key stays behind": ("RPUSH", "log:gone", "line"),
    "a key belongs to no family": ("SET", "stranger", "1"),
    "a key has the wrong type": ("SET", "log:{ready}", "1"),
    "a session is lost": ("DEL", "sess"),
    "a worker is in no list": ("DEL", "gm:{group}"),
    "a flow has more runs than there are": ("HINCRBY", "fl:default", "default|default|t", "1"),
    "a flow is left of runs that are gone": ("HSET", "fl:default", "default|gone|t", "0"),
    "a flow does not know who serves it": ("DEL", "fg:default|default|t"),
    "a group does not know what it serves": ("DEL", "gf:{group}"),
    "a flow is seen where its head was once": ("ZADD", "H:{group}/2", "1", "default|default|t"),
    "a namespace is left of definitions that are gone": ("SADD", "nss", "gone"),
}


@pytest.mark.parametrize("damage", _DAMAGES)
async def test_damage_is_found(world: World, damage: str) -> None:
    """Each in a shard that was sound before."""
    (failed,) = await world.running()
    await world.fail(failed, "dead")
    (running,) = await world.running(timeout_ms=9_000)
    await world.connect(slots=1, held=list((await world.leases(running)).values()))
    (ready,) = await world.submit()
    s = await world.look()
    assert not list(audit(s))
    names = {"running": running, "ready": ready, "group": s.hash("w:w1")["group"].decode()}
    command, key, *rest = (word.format(**names) for word in _DAMAGES[damage])
    redis: Any = world.shard.redis
    await redis.execute_command(command, world.shard.keys.prefix + key, *rest)
    assert list(audit(await world.look()))


_GATE_DAMAGES = {
    "a permit is lost": ("DEL", "c:default|t|t0|k"),
    "a permit is held by nobody": ("ZADD", "c:default|t|t0|k", "1", "{waiting}"),
    "a permit is kept after the end": ("HSET", "r:{running}", "ph", "X"),
    "a lane is parked nowhere": ("DEL", "gw:c:default|t|t0|k"),
    "a lane is parked twice": ("ZADD", "gw:r:default|api", "1", "{lane}"),
    "a lane is parked and in its ring": ("RPUSH", "ring:default|default|t/2", "{lane}"),
    "a lane forgets its gates": ("HDEL", "m:{lane}", "g"),
    "a flow forgets a lane with gates": ("DEL", "ln:default|default|t"),
    "a lane is parked at an open gate": ("HSET", "cm:default", "default|t|t0", "9"),
    "nothing opens a rate limit again": ("DEL", "T"),
    "a contender is lost": ("DEL", "cu:default|t|t1|k"),
    "a stranger contends": ("ZADD", "cu:default|t|t1|k", "1", "{running}"),
    "a run is in another's lane": ("HSET", "r:{waiting}", "p", "2"),
}


@pytest.mark.parametrize("damage", _GATE_DAMAGES)
async def test_damage_at_gates_is_found(world: World, damage: str) -> None:
    """Permits, who contends for them, and lanes that wait."""
    await world.connect()
    running, waiting = await world.submit(2, gates=[permit(most=1)], leases=2)
    await world.submit(2, gates=[rate("=own", limit=1, window_ms=60_000)], leases=2)
    await world.submit(gates=[permit(strategy="cip", place=1)], leases=1)
    s = await world.look()
    assert not list(audit(s))
    lane = f"default|default|t/{s.hash(f'r:{waiting}')['p'].decode()}"
    names = {"running": running, "waiting": waiting, "lane": lane}
    command, key, *rest = (word.format(**names) for word in _GATE_DAMAGES[damage])
    redis: Any = world.shard.redis
    if damage == "a lane is parked at an open gate":
        await redis.hset(f"{world.shard.keys.prefix}m:{lane}", "g", pack([permit(most=9)]))
    await redis.execute_command(command, world.shard.keys.prefix + key, *rest)
    assert list(audit(await world.look()))


async def test_work_that_nobody_would_match_is_found(world: World) -> None:
    """A free worker, a run for it, and no mark for the scheduler."""
    await world.connect()
    await world.submit()
    await world.shard.redis.delete(world.shard.keys.of("dirty"))
    assert list(audit(await world.look()))


@pytest.mark.parametrize(
    ("script", "before", "after"),
    [
        ("run_complete", Phase.READY, Phase.COMPLETED),
        ("run_complete", Phase.COMPLETED, Phase.FAILED),
        ("run_cancel", Phase.CANCELLED, Phase.READY),
        ("run_complete", Phase.RUNNING, None),
        ("runs_expire", Phase.RUNNING, None),
        ("assign", None, Phase.LEASED),
        ("run_submit", None, Phase.COMPLETED),
    ],
)
def test_steps_that_the_table_does_not_have_are_found(script: str, before: Phase | None, after: Phase | None) -> None:
    """A change, a birth or an end that may not be."""
    told = check_steps(script, {"run": before} if before else {}, {"run": after} if after else {})
    assert list(told)
