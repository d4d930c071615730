"""What a newer dispatcher may say that this worker does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case
from windlass.v1 import dispatch_pb2

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

# Fields 15 and 2000 with three bytes each, as protobuf writes them.
_UNKNOWN_KIND = b"\x7a\x03new"
_UNKNOWN_FIELD = b"\x82\x7d\x03new"


@case
async def unknown_kinds_are_ignored(rig: Rig) -> None:
    """A message of a kind that the worker does not know is passed over."""
    link = await rig.connect()
    link.say_raw(_UNKNOWN_KIND)
    link.say_raw(b"")
    await rig.execute_for(link, 1)
    assert len(rig.dispatcher.links) == 1, "the worker left the stream"


@case
async def unknown_fields_are_ignored(rig: Rig) -> None:
    """A field that the worker does not know, in a message that it knows, is passed over."""
    link = await rig.connect()
    attempt = work.echo("known")
    attempt.MergeFromString(_UNKNOWN_FIELD)
    link.assign(attempt)
    work.expect_output(await link.outcome(attempt), {"value": "known"})


@case
async def empty_messages_are_ignored(rig: Rig) -> None:
    """Messages without entries, acks of unknown leases and answers to other heartbeats change nothing."""
    link = await rig.connect()
    link.assign()
    link.acknowledge()
    link.acknowledge("0" * 32)
    link.cancel()
    link.say(heartbeat_answer=dispatch_pb2.HeartbeatAnswer(sequence=1_000))
    await rig.execute_for(link, 1)
    assert len(rig.dispatcher.links) == 1, "the worker left the stream"
