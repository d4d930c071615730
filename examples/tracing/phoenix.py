"""Owns Arize Phoenix, a back end for traces: its own venv, its process, its REST API.

It comes from PyPI, with some 600 MB of what it needs, and is no dependency of Windlass.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = "20.26.1"
_FOLDER = Path(".cache/phoenix")
_START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Span:
    """A span as Phoenix has it. It keeps no resources: the service is an attribute of ours."""

    name: str
    service: str
    span_id: str
    parent_id: str
    is_error: bool
    attempt: int | None
    began: str

    @classmethod
    def read(cls, told: dict[str, Any]) -> Span:
        """Read it from the REST API's answer."""
        attributes = told["attributes"]
        return cls(
            name=told["name"],
            service=attributes.get("windlass.service", ""),
            span_id=told["context"]["span_id"],
            parent_id=told["parent_id"] or "",
            is_error=told["status_code"] == "ERROR",
            attempt=attributes.get("windlass.attempt"),
            began=told["start_time"],
        )


@dataclass(frozen=True, slots=True)
class Phoenix:
    """One that runs."""

    url: str
    otlp_endpoint: str

    def trace(self, trace_id: str) -> list[Span]:
        """Ask it for all spans of a trace, in the order in which they began."""
        url = f"{self.url}/v1/projects/default/spans?trace_id={trace_id}&limit=1000"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http to ourselves
            spans = [Span.read(told) for told in json.loads(answer.read())["data"]]
        return sorted(spans, key=lambda span: span.began)


@contextmanager
def phoenix() -> Iterator[Phoenix]:
    """Run one for the length of a block, on free ports of the loopback interface, with an empty database."""
    program = _install()
    data = _FOLDER / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    http_port, grpc_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(data.resolve()),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http_port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with (_FOLDER / "phoenix.log").open("wb") as log:
        process = subprocess.Popen([program, "serve"], env=environment, stdout=log, stderr=log)
    try:
        running = Phoenix(f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{grpc_port}")
        _wait_until_it_answers(running, process)
        yield running
    finally:
        process.terminate()
        process.wait()


def _install() -> str:
    venv = _FOLDER / _VERSION
    program = venv / "bin" / "phoenix"
    if not program.exists():
        print(f"installing arize-phoenix {_VERSION} into {venv}, which takes a few minutes the first time")
        python = str(venv / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"arize-phoenix=={_VERSION}"], check=True)
    return str(program)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _wait_until_it_answers(running: Phoenix, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            running.trace("0" * 32)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Phoenix did not start; see {_FOLDER / 'phoenix.log'}") from None
            time.sleep(0.2)
        else:
            return
