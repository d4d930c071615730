"""What a token looks like."""

from __future__ import annotations

import os
import re

import pytest

from windlass_core.domain.token import is_token_id, token_name, token_text


def test_a_token_is_known_by_its_hash() -> None:
    """Its id begins the hash, and is none of its text."""
    text = token_text(bytes(range(32)))
    assert re.fullmatch(r"wlt_[0-9A-Za-z]{49}", text)
    name = token_name(text)
    assert name is not None
    assert name.id == f"tk_{name.digest[:20]}"
    assert is_token_id(name.id)
    assert not is_token_id(text)


def test_tokens_differ_wherever_their_secrets_do() -> None:
    """All of the 256 bits are in the text."""
    texts = {token_text((1 << bit).to_bytes(32, "big")) for bit in range(256)}
    texts |= {token_text(bytes(32)), token_text(b"\xff" * 32)}
    assert len(texts) == 258
    assert len({len(text) for text in texts}) == 1


@pytest.mark.parametrize("place", [0, 3, 4, 20, 46, 47, 52])
def test_a_slip_of_the_hand_is_seen(place: int) -> None:
    """By the checksum, without asking anybody."""
    text = token_text(os.urandom(32))
    other = "x" if text[place] != "x" else "y"
    assert token_name(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "wlt_", "x" * 53, "wlt_" + "0" * 48, "wlt_" + "é" * 49, "wlt_" + "0" * 10_000])
def test_noise_is_no_token(text: str) -> None:
    """Of whatever length."""
    assert token_name(text) is None
