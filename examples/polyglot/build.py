"""Owns building the Go and the TypeScript example, each by its own tools, stubs first."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from examples.polyglot.toolchain import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GO: Final = ROOT / "examples" / "polyglot" / "go"
TYPESCRIPT: Final = ROOT / "examples" / "polyglot" / "typescript"

_GO_STEPS: Final = (
    # One after the other: buf runs both plugins at once, and each would compile what they share.
    ("go", "tool", "protoc-gen-go", "--version"),
    ("go", "tool", "protoc-gen-go-grpc", "--version"),
    ("go", "generate", "."),
    ("go", "vet", "./..."),
    ("go", "build", "-o", "bin/", "./cmd/..."),
)
_TYPESCRIPT_PACKAGES: Final = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
_TYPESCRIPT_STEPS: Final = (("npm", "run", "build"),)


class BuildFailed(Exception):
    """A step of a build failed; the message has what it said."""


def build_all(environment: Mapping[str, str]) -> dict[str, float]:
    """Build both at the same time; gives the seconds that each took. Raises BuildFailed."""
    with ThreadPoolExecutor() as pool:
        go = pool.submit(_build_go, environment)
        typescript = pool.submit(_build_typescript, environment)
        return {"go": go.result(), "typescript": typescript.result()}


def _build_go(environment: Mapping[str, str]) -> float:
    sources = [str(path.relative_to(GO)) for path in [*GO.glob("*.go"), *GO.glob("cmd/*/*.go")]]
    if unformatted := _step(["gofmt", "-l", *sources], GO, environment):
        raise BuildFailed(f"gofmt would write these otherwise:\n{unformatted}")
    return _build(_GO_STEPS, GO, environment)


def _build_typescript(environment: Mapping[str, str]) -> float:
    installed, wanted = TYPESCRIPT / "node_modules" / ".package-lock.json", TYPESCRIPT / "package-lock.json"
    is_there = installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime
    steps = _TYPESCRIPT_STEPS if is_there else (_TYPESCRIPT_PACKAGES, *_TYPESCRIPT_STEPS)
    return _build(steps, TYPESCRIPT, environment)


def _build(steps: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    for step in steps:
        _step(step, folder, environment)
    return time.monotonic() - began


def _step(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    ended = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise BuildFailed(f"{' '.join(command)} (in {folder.relative_to(ROOT)})\n{ended.stdout}{ended.stderr}")
    return ended.stdout
