"""run_submit and run_replay where runs have idempotency keys: one run at a time has a key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.world import NAMESPACE, flow_of
from windlass_core.domain.phase import Phase
from windlass_core.store.runs import KeyHolder, Submission

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.store.runs import Verdict

_HOUR_MS = 3_600_000
KEY = f"{NAMESPACE}|t|key"


def _claiming(
    run: str, *, content: str = "c", window_ms: int = _HOUR_MS, conflict: str = "same", key: str = KEY, parent: str = ""
) -> Submission:
    """A submit with a key; a window of 0 is until the run has ended."""
    return Submission(
        run, content.encode(), flow_of(), 2, "v1", parent=parent, more={"i": [key, content, window_ms, conflict]}
    )


async def _submit(world: World, *submissions: Submission) -> dict[int, Verdict]:
    return (await world.shard.runs.submit(NAMESPACE, "a1", [], list(submissions)))[1]


async def _ttl(world: World) -> int:
    ttl: int = await world.shard.redis.pttl(world.shard.keys.of("idempotency", key=KEY))
    return ttl


async def test_the_same_content_finds_the_run_that_is_there(world: World) -> None:
    """Whoever submits it, under whatever id; nothing else is stored."""
    first, second = world.mint(2)
    assert await _submit(world, _claiming(first)) == {}
    assert await _submit(world, _claiming(second)) == {0: KeyHolder(first, refused=False)}
    assert set((await world.look()).phases()) == {first}
    assert 0 < await _ttl(world) <= _HOUR_MS


async def test_another_content_is_refused(world: World) -> None:
    """The key was meant for something else."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    assert await _submit(world, _claiming(second, content="d")) == {0: KeyHolder(first, refused=True)}
    assert set((await world.look()).phases()) == {first}


@pytest.mark.parametrize(
    ("conflict", "content", "refused"), [("reject", "c", True), ("return", "c", False), ("return", "d", False)]
)
async def test_a_submit_says_what_it_wants_to_find(world: World, conflict: str, content: str, refused: bool) -> None:
    """An error in any case, or the run in any case."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    told = await _submit(world, _claiming(second, content=content, conflict=conflict))
    assert told == {0: KeyHolder(first, refused=refused)}


@pytest.mark.parametrize("conflict", ["same", "reject", "return", "replace"])
async def test_repeating_a_submit_is_a_plain_duplicate(world: World, conflict: str) -> None:
    """Its answer was lost: the same run id, whatever is done about others."""
    (run,) = world.mint()
    item = _claiming(run, conflict=conflict)
    assert await _submit(world, item, item) == {1: "duplicate"}
    assert await _submit(world, item) == {0: "duplicate"}
    await world.connect()
    await world.match()
    await world.complete(run)
    assert await _submit(world, item) == {0: "duplicate"}


async def test_one_of_a_batch_is_accepted(world: World) -> None:
    """The first one; the others find it."""
    ids = world.mint(50)
    verdicts = await _submit(world, *[_claiming(run) for run in ids])
    assert verdicts == dict.fromkeys(range(1, 50), KeyHolder(ids[0], refused=False))
    assert set((await world.look()).phases()) == {ids[0]}


async def test_one_of_many_at_once_is_accepted(world: World) -> None:
    """Many apis, one key."""
    ids = world.mint(40)
    told = await asyncio.gather(*(_submit(world, _claiming(run)) for run in ids))
    (accepted,) = (run for run, verdicts in zip(ids, told, strict=True) if not verdicts)
    others = [verdicts[0] for verdicts in told if verdicts]
    assert others == [KeyHolder(accepted, refused=False)] * 39


async def test_keys_are_apart(world: World) -> None:
    """Each stands for itself."""
    first, second = world.mint(2)
    assert await _submit(world, _claiming(first), _claiming(second, key=f"{NAMESPACE}|t|other")) == {}


async def test_a_window_outlives_its_run(world: World) -> None:
    """The run may have ended, and even be gone: within the window nobody does it again."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    await world.cancel(first)
    assert await _submit(world, _claiming(second)) == {0: KeyHolder(first, refused=False)}
    await world.shard.runs.expire(-1, 10)
    assert await _submit(world, _claiming(second)) == {0: KeyHolder(first, refused=False)}
    assert await _ttl(world) > 0


async def test_after_the_window_the_key_is_free(world: World) -> None:
    """Nothing of it is left in the store."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    await world.shard.redis.pexpire(world.shard.keys.of("idempotency", key=KEY), 0)
    assert "idempotency" not in (await world.look()).families
    assert await _submit(world, _claiming(second)) == {}


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_key_until_the_end_is_free_after_it(world: World, end: str) -> None:
    """However the run ends; until then it counts, in every phase."""
    await world.connect()
    first, second, third = world.mint(3)
    await _submit(world, _claiming(first, window_ms=0))
    held = {0: KeyHolder(first, refused=False)}
    assert await _submit(world, _claiming(second, window_ms=0)) == held
    assert await _ttl(world) == -1
    await world.match()
    assert await _submit(world, _claiming(second, window_ms=0)) == held
    if end == "failed":
        await world.fail(first, delay_ms=60_000)
        assert await _submit(world, _claiming(second, window_ms=0)) == held
        await world.make_due("ready")
        await world.fire()
        await world.match()
        await world.fail(first, "dead")
    else:
        if end == "cancelled":
            await world.cancel(first)
            assert await _submit(world, _claiming(second, window_ms=0)) == held
        await world.complete(first)
    assert await _submit(world, _claiming(second, content="d", window_ms=0)) == {}
    assert await _submit(world, _claiming(third, content="d", window_ms=0)) == {0: KeyHolder(second, refused=False)}


async def test_a_key_until_the_end_goes_with_its_run(world: World) -> None:
    """No key outlives its use for ever; that of a later run stays."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first, window_ms=0))
    await world.cancel(first)
    await _submit(world, _claiming(second, window_ms=0))
    assert await world.shard.runs.expire(-1, 10) == (1, False)
    assert "idempotency" in (await world.look()).families
    await world.cancel(second)
    assert await world.shard.runs.expire(-1, 10) == (1, False)
    assert "idempotency" not in (await world.look()).families


@pytest.mark.parametrize("window_ms", [0, _HOUR_MS])
async def test_deleting_a_run_frees_its_key(world: World, window_ms: int) -> None:
    """Somebody wants nothing to be left of it."""
    await world.connect()
    (run,) = world.mint()
    await _submit(world, _claiming(run, window_ms=window_ms))
    await world.match()
    await world.fail(run, "dead")
    await world.shard.runs.delete(NAMESPACE, [run])
    assert "idempotency" not in (await world.look()).families


async def test_a_replacement_cancels_what_waits(world: World) -> None:
    """And takes the key."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    assert await _submit(world, _claiming(second, content="d", conflict="replace")) == {}
    assert await world.phases([first]) == {Phase.CANCELLED}
    assert await world.phases([second]) == {Phase.READY}
    reason = (await world.field(first, "cx") or b"").decode()
    assert reason == f"replaced by run {second}, which has its idempotency key"
    (third,) = world.mint()
    assert await _submit(world, _claiming(third, content="d")) == {0: KeyHolder(second, refused=False)}


async def test_a_replacement_has_what_runs_told(world: World) -> None:
    """It ends cancelled when its worker says so; the new one need not wait for that."""
    await world.connect()
    first, second = world.mint(2)
    await _submit(world, _claiming(first, window_ms=0))
    await world.match()
    await world.inbox()
    assert await _submit(world, _claiming(second, window_ms=0, conflict="replace")) == {}
    assert [entry[0] for entry in await world.inbox()] == [b"cancel"]
    await world.complete(first)
    assert await world.phases([first]) == {Phase.CANCELLED}
    (third,) = world.mint()
    assert await _submit(world, _claiming(third, window_ms=0)) == {0: KeyHolder(second, refused=False)}


async def test_the_last_of_a_batch_replaces_the_others(world: World) -> None:
    """What is not in its lane yet is cancelled there; a worker gets the last one alone."""
    await world.connect()
    ids = world.mint(5)
    items = [_claiming(run, content=run, conflict="replace") for run in ids]
    assert await _submit(world, *items) == {}
    assert await world.phases(ids[:4]) == {Phase.CANCELLED}
    assert await world.match() == 1
    assert [attempt.run_id for _, attempt in await world.delivered()] == ids[4:]


async def test_an_ended_run_is_replaced_without_more_ado(world: World) -> None:
    """Within its window."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    await world.cancel(first, reason="mine")
    assert await _submit(world, _claiming(second, conflict="replace")) == {}
    assert await world.field(first, "cx") == b"mine"


async def test_the_cancelled_child_of_a_cancelled_run_has_its_key(world: World) -> None:
    """It was accepted like any other."""
    (parent,) = await world.running()
    await world.cancel(parent)
    first, second = world.mint(2)
    assert await _submit(world, _claiming(first, parent=parent)) == {}
    assert await world.phase(first) == Phase.CANCELLED
    assert await _submit(world, _claiming(second)) == {0: KeyHolder(first, refused=False)}


async def test_a_replay_takes_its_key_again(world: World) -> None:
    """Where it counts until the end, and nobody has it by now."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first, window_ms=0))
    await world.cancel(first)
    assert await world.shard.runs.replay(NAMESPACE, [first]) == ["replayed"]
    assert await _submit(world, _claiming(second, window_ms=0)) == {0: KeyHolder(first, refused=False)}


async def test_a_replay_is_refused_while_another_has_its_key(world: World) -> None:
    """Nothing is changed; once that one has ended, it may."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first, window_ms=0))
    await world.cancel(first)
    await _submit(world, _claiming(second, window_ms=0))
    before = (await world.look()).values
    assert await world.shard.runs.replay(NAMESPACE, [first]) == ["key_taken"]
    assert (await world.look()).values == before
    await world.cancel(second)
    assert await world.shard.runs.replay(NAMESPACE, [first, second]) == ["replayed", "key_taken"]


async def test_a_replay_needs_no_key_that_had_a_window(world: World) -> None:
    """That was against doubled submits, and this is asked for."""
    first, second = world.mint(2)
    await _submit(world, _claiming(first))
    await world.cancel(first)
    await _submit(world, _claiming(second, conflict="replace"))
    assert await world.shard.runs.replay(NAMESPACE, [first]) == ["replayed"]
    (third,) = world.mint()
    assert await _submit(world, _claiming(third)) == {0: KeyHolder(second, refused=False)}
