"""How an api's session makes messages of what it has to tell."""

from __future__ import annotations

from typing import Any, cast

from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.session import Bounds, ClientSession
from windlass_api.waiting import to_end
from windlass_core.domain.access import ANYBODY

_MOST_BYTES = 4 * 1024 * 1024


async def test_very_many_small_results_are_split_by_bytes() -> None:
    """Their ids count, though their outputs hardly do."""
    nothing = cast("Any", None)
    session = ClientSession(nothing, ANYBODY, nothing, nothing, nothing, Bounds(_MOST_BYTES * 100, 1.0))
    result = run_pb2.RunResult(run_id="0" * 36, status=run_pb2.RUN_STATUS_COMPLETED, output_json=b"1")
    for _ in range(100_000):
        session._tell(to_end(result.run_id, [b"0" * 36, b"C", b"1", b"", b"", b"default"]))
    told = 0
    while session._results:
        results = run_service_pb2.SessionResults(results=[end.result for end in session._take_results() if end.result])
        told += len(results.results)
        assert run_service_pb2.SessionResponse(results=results).ByteSize() < _MOST_BYTES
    assert told == 100_000
    assert session.unread_bytes == 0


async def test_past_its_bytes_only_the_ids_of_results_wait() -> None:
    """The rest is in the store."""
    nothing = cast("Any", None)
    session = ClientSession(nothing, ANYBODY, nothing, nothing, nothing, Bounds(100_000, 1.0))
    for number in range(1000):
        run_id = f"{number:036}"
        session._tell(to_end(run_id, [run_id.encode(), b"C", b"x" * 1000, b"", b"", b"default"]))
    assert session.unread_bytes <= 100_000
    assert [end.run_id for end in session._results] == [f"{number:036}" for number in range(1000)]
    assert session._results[0].result is not None
    assert session._results[-1].result is None
