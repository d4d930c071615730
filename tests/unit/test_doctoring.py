"""The fences that negative controls take out stand where they are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.doctoring import FENCES
from windlass_core.store.scripts import script_text

if TYPE_CHECKING:
    from tests.support.doctoring import Fence


@pytest.mark.parametrize("fence", FENCES.values(), ids=FENCES)
def test_a_fence_stands_in_its_script(fence: Fence) -> None:
    """One that has moved would let its negative control fail for the wrong reason, or not start."""
    for script, changes in fence.items():
        for sound, broken in changes:
            assert script_text(script).count(sound) == 1
            assert sound != broken
