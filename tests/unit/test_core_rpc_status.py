"""What each of our errors is on the wire."""

from __future__ import annotations

import pytest

from windlass.exceptions import ServerFault
from windlass.transport.error_detail import from_detail
from windlass.v1 import error_pb2
from windlass_core.domain import errors
from windlass_core.rpc.status import STATUSES, to_detail


def _all(kind: type[errors.EngineError]) -> set[type[errors.EngineError]]:
    return {each for child in kind.__subclasses__() for each in {child, *_all(child)}}


def test_every_error_has_a_status() -> None:
    """And nothing else has."""
    assert set(STATUSES) == _all(errors.EngineError)


def test_every_error_keeps_what_it_carries() -> None:
    """Field, limit, time to wait."""
    detail = to_detail(errors.TooLarge("too large", "runs[0]", 7))
    assert (detail.reason, detail.message) == (error_pb2.ERROR_REASON_TOO_LARGE, "too large")
    assert (detail.field, detail.limit, detail.retry_after_ms) == ("runs[0]", 7, 0)
    assert to_detail(errors.StoreFull("full")).retry_after_ms == 1_000


@pytest.mark.parametrize("kind", STATUSES)
def test_every_reason_is_an_error_of_the_sdk(kind: type[errors.EngineError]) -> None:
    """Nothing arrives as a fault that is none."""
    error = from_detail(error_pb2.ErrorDetail(reason=STATUSES[kind][1], message="told"))
    assert not isinstance(error, ServerFault)
    assert "told" in str(error)
