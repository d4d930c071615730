"""What all scripts have in common."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from tests.support.world import NAMESPACE
from windlass_core.store.keys import FAMILIES, to_lua
from windlass_core.store.scripts import pack, script_names, script_text

if TYPE_CHECKING:
    from tests.support.world import World
    from windlass_core.store.shard import Shard

_LUA = files("windlass_core.store") / "lua"
_HEADER = ("Purpose:", "KEYS:", "ARGV:", "Returns:", "Invariants:", "Cost:")


@pytest.mark.parametrize("name", script_names())
def test_every_script_opens_with_its_contract(name: str) -> None:
    """Purpose, KEYS, ARGV, Returns, Invariants, Cost, in this order."""
    header = re.match(r"#!lua[^\n]*\n((?:--[^\n]*\n)+)", (_LUA / f"{name}.lua").read_text())
    assert header is not None
    told = [line.split()[1] for line in header[1].splitlines() if re.match(r"-- [A-Z]\w+:", line)]
    assert tuple(told) == _HEADER


@pytest.mark.parametrize("name", script_names())
def test_every_script_binds_its_arguments_once(name: str) -> None:
    """KEYS and ARGV are read on top and not indexed below."""
    body = re.sub(r"--[^\n]*", "", script_text(name))
    assert len(re.findall(r"KEYS\[1\]", body)) == 1
    assert len(re.findall(r"ARGV\[1\]", body)) == 1
    assert not re.findall(r"(?:KEYS|ARGV)\[(?!1\])", body)


def test_the_keys_of_the_scripts_are_those_of_python() -> None:
    """`lua/keys.lua` is what `python -m windlass_core.store.keys` writes."""
    assert (_LUA / "keys.lua").read_text() == to_lua()


def test_scripts_are_small() -> None:
    """A script that has more than 120 lines does two things."""
    long = [entry.name for entry in _LUA.iterdir() if len(entry.read_text().splitlines()) > 120]
    assert not long


def test_no_script_tells_the_time_or_draws_numbers_by_itself() -> None:
    """The store's clock is read in one place, randomness is passed in."""
    for entry in _LUA.iterdir():
        text = entry.read_text()
        assert "math.random" not in text
        assert ("'TIME'" in text) == (entry.name == "time.lua")


async def test_a_script_that_the_store_has_forgotten_is_loaded_again(shard: Shard) -> None:
    """SCRIPT FLUSH, or another server behind the same name."""
    await shard.processes.beat("api", "a1", "127.0.0.1:1", 1_000)
    await shard.redis.script_flush()
    await shard.processes.beat("api", "a1", "127.0.0.1:1", 1_000)


async def test_a_fault_in_a_script_is_told_with_its_line(shard: Shard) -> None:
    """As it stands in the text that the store has, whatever stands round it."""
    text = script_text("run_complete")
    with pytest.raises(ResponseError, match="user_script") as fault:
        await shard.redis.eval(text, 1, shard.keys.prefix, pack((1, [])))
    line = re.search(r"user_script:(\d+)", str(fault.value))
    assert line is not None
    assert "in ipairs(attempts) do" in text.splitlines()[int(line[1]) - 1]


async def test_nothing_is_left_of_runs_and_workers_that_are_gone(world: World) -> None:
    """Every way to an end, then retention: only what lives for always remains."""
    await world.connect("w1", slots=50)
    await world.submit(3, api="a1", timeout_ms=60_000, expires_ms=60_000)
    await world.submit(3, task="nobody has it", delay_ms=60_000)
    (parent,) = await world.running(1, api="a1")
    children = await world.submit(4, parent=parent, level=4)
    await world.shard.runs.watch(NAMESPACE, "a2", children)
    await world.match()
    (failing,) = await world.running(1, timeout_ms=9_000)
    await world.shard.runs.log([(failing, await world.lease(failing), [b"line"])])
    await world.fail(failing, delay_ms=9_000)
    (dead,) = await world.running(1)
    await world.fail(dead, "dead")
    left = await world.drain_away()
    lasting = {"epoch", "definitions", "versions", "owner"}
    lasting |= {"presence", "addresses", "inbox", "outbox", "wake"}
    assert set(left.families) <= lasting
    assert "presence" in left.families


def test_every_family_says_when_its_keys_go_away() -> None:
    """Type, meaning and life of each."""
    for family in FAMILIES:
        assert family.type in {"hash", "list", "set", "zset", "string"}
        assert family.holds
        assert family.lives
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
