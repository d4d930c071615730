"""How an api's session makes messages of what it has to tell."""

from __future__ import annotations

from typing import Any, cast

from windlass.v1 import run_pb2, run_service_pb2
from windlass_api.session import ClientSession
from windlass_core.domain.access import ANYBODY

_MOST_BYTES = 4 * 1024 * 1024


async def test_very_many_small_results_are_split_by_bytes() -> None:
    """Their ids count, though their outputs hardly do."""
    nothing = cast("Any", None)
    session = ClientSession(nothing, ANYBODY, nothing, nothing, nothing)
    result = run_pb2.RunResult(run_id="0" * 36, status=run_pb2.RUN_STATUS_COMPLETED, output_json=b"1")
    session._results.extend([result] * 100_000)
    told = 0
    while session._results:
        results = run_service_pb2.SessionResults(results=session._take_results())
        told += len(results.results)
        assert run_service_pb2.SessionResponse(results=results).ByteSize() < _MOST_BYTES
    assert told == 100_000
