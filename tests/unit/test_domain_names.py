"""What names and ids may look like."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_core.domain.errors import InvalidField
from windlass_core.domain.names import (
    check_name,
    check_run_id,
    check_worker_id,
    flow_name,
    flow_task,
    mint_run_id,
)

GOOD = ["a", "mail.send", "app:task/v2", "A-1_b", "x" * 200]
BAD = ["", " ", "a b", "a|b", "ä", "a\n", "a\x00", "x" * 201, "{a}", "a*"]


@pytest.mark.parametrize("name", GOOD)
def test_good_names_are_taken(name: str) -> None:
    """Letters, digits and a few signs."""
    assert check_name(name, "field") == name


@pytest.mark.parametrize("name", BAD)
def test_bad_names_are_refused_with_their_field(name: str) -> None:
    """And with what was expected."""
    with pytest.raises(InvalidField, match="expected 1 to 200 letters") as raised:
        check_name(name, "runs[3].spec.queue")
    assert raised.value.field == "runs[3].spec.queue"
    assert raised.value.message.startswith("runs[3].spec.queue: ")


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_minted_run_ids_are_good(now_ms: int, entropy: bytes) -> None:
    """UUIDs of version 7, with their time in front."""
    run_id = mint_run_id(now_ms, entropy)
    assert check_run_id(run_id, "run_id") == run_id
    parsed = uuid.UUID(run_id)
    assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, uuid.RFC_4122, now_ms)


def test_later_run_ids_sort_later() -> None:
    """As text, which is how the store compares them."""
    assert mint_run_id(1, b"\xff" * 10) < mint_run_id(2, b"\x00" * 10)


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        "x",
        str(uuid.UUID(int=0)),
        "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dac96774bbcceb302099a8057",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "01890a5d-ac96-774b-bcce-b302099a8057\n",
    ],
)
def test_other_ids_are_no_run_ids(run_id: str) -> None:
    """Other versions, other cases, other forms."""
    with pytest.raises(InvalidField, match="expected a UUIDv7"):
        check_run_id(run_id, "run_id")


@pytest.mark.parametrize("worker_id", ["w" * 15, "w" * 65, "w" * 15 + ":", "w" * 15 + "{", ""])
def test_bad_worker_ids_are_refused(worker_id: str) -> None:
    """They become part of keys."""
    with pytest.raises(InvalidField, match="expected 16 to 64"):
        check_worker_id(worker_id, "hello.worker_id")


def test_worker_ids_are_random_texts() -> None:
    """Of 16 to 64 letters, digits and dashes."""
    for worker_id in ("w" * 16, "w" * 64, str(uuid.UUID(int=1))):
        assert check_worker_id(worker_id, "hello.worker_id") == worker_id


@pytest.mark.parametrize("task", GOOD)
def test_a_flow_names_its_task(task: str) -> None:
    """Whatever signs are in the names."""
    assert flow_task(flow_name("default", "a/b:c", task)) == task
