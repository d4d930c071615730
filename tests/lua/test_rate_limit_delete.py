"""rate_limit_delete: forgets a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.world import NAMESPACE, rate
from windlass_core.domain.phase import Phase

if TYPE_CHECKING:
    from tests.support.world import World


async def test_runs_wait_for_a_limit_that_is_gone_until_it_is_put_again(world: World) -> None:
    """Without anything that looks at them meanwhile."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 5, 60_000)
    assert await limits.delete(NAMESPACE, "api") is True
    assert await limits.delete(NAMESPACE, "api") is False
    assert await limits.all(NAMESPACE) == []
    await world.connect()
    (run,) = await world.submit(gates=[rate()], leases=1)
    assert not (await world.look()).zset("T")
    assert await world.phase(run) == Phase.READY
    await limits.put(NAMESPACE, "api", 5, 60_000)
    await world.fire()
    await world.match()
    assert await world.phase(run) == Phase.LEASED


async def test_deleting_a_limit_that_runs_wait_for_leaves_no_timer_behind(world: World) -> None:
    """Its window's end finds nothing to wait for."""
    limits = world.shard.rate_limits
    await limits.put(NAMESPACE, "api", 1, 60_000)
    await world.connect()
    runs = await world.submit(2, gates=[rate()], leases=2)
    await limits.delete(NAMESPACE, "api")
    await world.make_due("open")
    await world.fire()
    await world.match()
    s = await world.look()
    assert not s.zset("T")
    assert list(s.zset("gw:r:default|api")) == [
        f"default|default|t/{(await world.field(runs[1], 'p') or b'').decode()}"
    ]
