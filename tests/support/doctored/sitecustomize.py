"""Takes fences out of the store's scripts, in processes that have this folder on their PYTHONPATH.

For negative controls only: without the fence, the history checker must fail. What to replace comes
as JSON in DOCTORED_SCRIPTS: script → list of [text, replacement]; each text must be there.
"""

from __future__ import annotations

import json
import os
from functools import cache

from windlass_core.store import scripts

_CHANGES: dict[str, list[tuple[str, str]]] = json.loads(os.environ["DOCTORED_SCRIPTS"])
_sound_text = scripts.script_text


@cache
def _doctored_text(name: str) -> str:
    text = _sound_text(name)
    for sound, broken in _CHANGES.get(name, ()):
        if sound not in text:
            raise LookupError(f"{name}.lua has no {sound!r} to take out")
        text = text.replace(sound, broken)
    return text


scripts.script_text = _doctored_text
