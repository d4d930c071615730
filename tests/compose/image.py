"""Owns what is asked of the image and the containers made of it: who they run as, what is not in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tests.compose.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compose.stack import Stack

_PROGRAM: Final = """
import importlib.metadata, json, os, pathlib, shutil
def can_write(folder):
    try:
        (pathlib.Path(folder) / 'x').write_text('')
    except OSError:
        return False
    return True
print(json.dumps({
    'uid': os.getuid(),
    'capabilities': [l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap') and 'Bnd' not in l],
    'no_new_privileges': 'NoNewPrivs:\\t1' in open('/proc/self/status').read(),
    'tools': [t for t in ('cc', 'gcc', 'g++', 'make', 'ld', 'pip', 'uv', 'git', 'curl') if shutil.which(t)],
    'writable': [f for f in ('/', '/app', '/opt/windlass', '/tmp') if can_write(f)],
    'installed': {d.name: d.version for d in importlib.metadata.distributions()},
}))
"""


def check_image(stack: Stack, say: Callable[[str], None]) -> None:
    """Look from within, under the settings of the compose file. Raises AssertionError."""
    found = json.loads(
        stack.compose("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "python", "scheduler", "-c", _PROGRAM)
    )
    assert found["uid"] == 10001, found
    assert all(int(mask, 16) == 0 for mask in found["capabilities"]), found
    assert found["no_new_privileges"], found
    assert not found["tools"], found
    assert not found["writable"], found
    unpinned = {name: version for name, version in found["installed"].items() if not _is_pinned(name, version)}
    assert unpinned == {"windlass": "0.1.0", "windlass-engine": "0.1.0"}, unpinned
    size = stack.size("windlass-engine:0.1.0")
    say(f"image: {size / 1e6:.0f} MB, {len(found['installed'])} distributions, all pinned; user 10001, writes nowhere")


def _is_pinned(name: str, version: str) -> bool:
    return _normal(name) + "==" + version in _pins()


def _pins() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {line.partition(";")[0].strip() for line in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
