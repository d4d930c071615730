"""Labels that change while the worker runs: who sees them, what is refused, what the engine is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.attempts import Attempts
from tests.support.worker_session import Peer
from windlass import Context, InvalidInput, Windlass
from windlass.mock_context import mock_context
from windlass.worker.setup import Setup
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture
def app() -> Windlass:
    """An app that never connects."""
    return Windlass()


async def test_all_attempts_see_the_new_labels_at_once(app: Windlass) -> None:
    """Those too that had begun before; what they were given once does not change under their hands."""
    changed = asyncio.Event()

    @app.task
    async def watch(ctx: Context) -> list[dict[str, str]]:
        before = ctx.worker_labels
        await changed.wait()
        return [dict(before), dict(ctx.worker_labels)]

    @app.task
    async def change(ctx: Context) -> dict[str, str]:
        await ctx.aio_upsert_worker_labels({"memory": 64, "zone": "b"})
        return dict(ctx.worker_labels)

    attempts = Attempts(app)
    watching = attempts.start("watch")
    assert await attempts.complete("change") == b'{"zone":"b","memory":"64"}'
    changed.set()
    await attempts.outcome(watching)
    assert attempts.outcomes[watching.lease_id][2] == b'[{"zone":"a"},{"zone":"b","memory":"64"}]'
    assert attempts.labels == [{"memory": "64", "zone": "b"}]


async def test_a_sync_task_changes_labels_too(app: Windlass) -> None:
    """From its thread; what another process has changed is seen there."""

    @app.task
    def change(ctx: Context) -> dict[str, str]:
        ctx.upsert_worker_labels({"ratio": 0.5})
        return dict(ctx.worker_labels)

    attempts = Attempts(app)
    attempts.runner.note_labels({"elsewhere": "1"})
    assert await attempts.complete("change") == b'{"zone":"a","elsewhere":"1","ratio":"0.5"}'


async def test_only_what_is_other_than_before_is_told(app: Windlass) -> None:
    """The same once more is nothing new."""

    @app.task
    async def change(ctx: Context) -> None:
        ctx.upsert_worker_labels({"zone": "a"})
        ctx.upsert_worker_labels({})
        ctx.upsert_worker_labels({"zone": "a", "memory": "8"})
        ctx.upsert_worker_labels({"memory": 8})

    attempts = Attempts(app)
    await attempts.complete("change")
    assert attempts.labels == [{"memory": "8"}]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"zone": True}, "zone"),
        ({"zone": None}, "zone"),
        ({"zone": "x" * 201}, "zone"),
        ({"": "x"}, "name"),
        ({"x" * 201: "x"}, "name"),
        ({7: "x"}, "name"),
        ({str(number): "x" for number in range(101)}, "at most 100"),
        (["zone"], "dict"),
        (None, "dict"),
    ],
)
def test_wrong_labels_are_refused_at_the_call(wrong: Any, named: str) -> None:
    """The field is named, and nothing has changed."""
    ctx = mock_context(Windlass().task(name="t")(lambda: None), b"{}")
    ctx.upsert_worker_labels({"zone": "a"})
    with pytest.raises(InvalidInput, match=named) as raised:
        ctx.upsert_worker_labels(wrong)
    assert raised.value.field == "labels"
    assert ctx.worker_labels == {"zone": "a"}


def test_a_worker_has_at_most_a_hundred_with_those_it_had() -> None:
    """Changing one of them is no further one."""
    labels = WorkerLabels({str(number): "x" for number in range(100)})
    assert labels.upsert({"7": "y"}) == {"7": "y"}
    with pytest.raises(ValueError, match="at most 100"):
        labels.upsert({"more": "x"})


def test_a_child_is_told_the_labels_as_they_are_when_it_is_born() -> None:
    """Not those that the worker began with."""
    setup = Setup("w", WorkerLabels({"zone": "a"}), 4, 1024)
    setup.labels.note({"zone": "b"})
    told = Setup.from_json(setup.to_json())
    assert (told.worker_id, dict(told.labels.now), told.slots, told.max_payload) == ("w", {"zone": "b"}, 4, 1024)


# --- What the engine is told ---------------------------------------------------------------------


def _told(peer: Peer) -> list[Mapping[str, str]]:
    return [dict(each.labels.labels) for each in peer.session.outgoing() if each.HasField("labels")]


def test_the_engine_is_told_all_labels_once() -> None:
    """However often they changed since the last message."""
    peer = Peer.connected()
    peer.session.upsert_labels({"zone": "a"})
    peer.session.upsert_labels({"zone": "b", "memory": "8"})
    assert _told(peer) == [{"zone": "b", "memory": "8"}]
    assert _told(peer) == []


def test_every_later_hello_has_them() -> None:
    """Then they need not be told again, but for what changes before the Welcome."""
    peer = Peer.connected()
    peer.session.upsert_labels({"zone": "a"})
    peer.session.disconnect()
    assert dict(peer.session.connect().hello.labels) == {"zone": "a"}
    peer.session.upsert_labels({"memory": "8"})
    assert _told(peer) == []
    peer.welcome()
    assert _told(peer) == [{"zone": "a", "memory": "8"}]
    peer.session.disconnect()
    assert dict(peer.session.connect().hello.labels) == {"zone": "a", "memory": "8"}
    peer.welcome()
    assert _told(peer) == []


def test_children_that_together_set_too_many_leave_some_out() -> None:
    """A message over the limit would end every stream."""
    peer = Peer.connected()
    assert peer.session.upsert_labels({str(number): "x" for number in range(60)})
    assert not peer.session.upsert_labels({f"b{number}": "x" for number in range(60)})
    assert [len(told) for told in _told(peer)] == [60]
