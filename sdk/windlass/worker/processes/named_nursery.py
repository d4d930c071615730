"""A nursery that imports its crew: `python -m windlass.worker.processes.named_nursery DESCRIPTOR SUPERVISOR`."""

from __future__ import annotations

import socket
import sys
import traceback
from typing import Any

from windlass.exceptions import WindlassError
from windlass.worker.log_lines import show_log_lines
from windlass.worker.processes import nursery
from windlass.worker.processes.crew_name import CrewName
from windlass.worker.processes.served import Served, write


def main(descriptor: int, supervisor: int) -> None:
    """Import what the supervisor names, say whether that went well, and serve."""
    nursery.end_with(supervisor)
    control = socket.socket(fileno=descriptor)
    name = CrewName.from_json(_read(control))
    try:
        crew = name.find()
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything
        if not isinstance(error, WindlassError):
            traceback.print_exc()
        _write(control, {"error": f"{type(error).__name__}: {error}"})
        return
    show_log_lines(crew.app.config.log_level)
    _write(control, Served.of(crew).to_json())
    nursery.serve(control, crew, supervisor)


def _read(control: socket.socket) -> bytes:
    with control.makefile("rb") as file:
        size = nursery.SIZE.unpack(file.read(nursery.SIZE.size))[0]
        return file.read(size)


def _write(control: socket.socket, told: dict[str, Any]) -> None:
    body = write(told)
    control.sendall(nursery.SIZE.pack(len(body)) + body)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
