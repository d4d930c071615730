"""How a client finds its api, what it says of one that is none, and how it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.sdk_tasks import Number, Tasks
from windlass.exceptions import (
    ApiUnreachable,
    ClientClosed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_api import FakeApi


def test_no_api_is_told_at_the_call() -> None:
    """With the address and what to check."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with Tasks(address, connect_timeout=0.2).app as app:
        with pytest.raises(ApiUnreachable, match=f"{address}.*WINDLASS_API_ADDRESS") as away:
            app.enqueue("x")
        assert away.value.address == address
        with pytest.raises(ApiUnreachable, match=address):
            app.runs.get("x")


def test_a_port_where_nothing_answers_is_told_at_the_call() -> None:
    """A listener that takes connections and keeps silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Tasks(address, connect_timeout=0.3).app as app, pytest.raises(ApiUnreachable, match=address):
            app.enqueue("x")


def test_a_grpc_server_that_is_no_api_is_told_at_the_call() -> None:
    """A dispatcher's port, mostly."""
    import grpc.aio

    from windlass.transport.io_thread import io_thread

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = io_thread().run(start()).result(10)
    try:
        with Tasks(f"127.0.0.1:{port}").app as app, pytest.raises(ApiUnreachable, match=r"no Windlass api .*7071"):
            app.enqueue("x")
    finally:
        io_thread().run(server.stop(None)).result(10)


def test_the_token_is_sent(api: FakeApi) -> None:
    """As a bearer."""
    with Tasks(api.address, token="abc").app as app:  # noqa: S106 - no secret
        app.enqueue("x", {})
    assert api.metadata["authorization"] == "Bearer abc"


def test_a_closed_client_says_so(api: FakeApi) -> None:
    """Closing twice is harmless."""
    tasks = Tasks(api.address)
    tasks.plain.run(1)
    tasks.app.close()
    tasks.app.close()
    with pytest.raises(ClientClosed):
        tasks.plain.run(1)


async def test_aio_close_ends_what_waits(api: FakeApi) -> None:
    """With the reason."""
    api.complete = False
    tasks = Tasks(api.address)
    async with tasks.app:
        waiting = asyncio.ensure_future(tasks.model.aio_run(Number(i=1)))
        await asyncio.to_thread(api.wait_until, lambda: bool(api.submitted))
    with pytest.raises(ClientClosed):
        await waiting


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_use_after_fork_is_a_clear_error(api: FakeApi, tmp_path: Path) -> None:
    """In the child; the parent goes on."""
    script = tmp_path / "forks.py"
    script.write_text(
        "import os, sys\n"
        "from windlass import ClientConfig, ForkedClient, Windlass\n"
        "app = Windlass(config=ClientConfig(api_address=sys.argv[1]))\n"
        "app.enqueue('x', {})\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try:\n"
        "        app.enqueue('x', {})\n"
        "    except ForkedClient:\n"
        "        os._exit(7)\n"
        "    os._exit(1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
        "app.enqueue('x', {})\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script), api.address], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(api.submitted) == 2


def test_a_script_that_never_closes_ends_quietly(api: FakeApi, tmp_path: Path) -> None:
    """Nothing hangs, nothing is printed."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from windlass import ClientConfig, Windlass\n"
        "app = Windlass(config=ClientConfig(api_address=sys.argv[1]))\n"
        "print(app.enqueue('x', {'a': 1}, wait_for_result=True))\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script), api.address], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'a': 1}\n", "")
