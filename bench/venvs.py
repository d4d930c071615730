"""Owns the virtual environments of the peers: one for each set of pinned packages, kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench.processes import ROOT

CACHE = ROOT / ".bench"


def python_with(requirements: tuple[str, ...]) -> Path:
    """The interpreter of a venv that has exactly these packages; made at the first call."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    digest = hashlib.sha256("\n".join((version, *requirements)).encode()).hexdigest()[:12]
    folder = CACHE / "venvs" / digest
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if complete.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *requirements)
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
    complete.touch()
    return python


def versions_in(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The installed versions of distributions in that interpreter's environment."""
    code = "import importlib.metadata as m, json, sys;print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    output = subprocess.run([str(python), "-c", code, *names], check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = json.loads(output)
    return found


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
