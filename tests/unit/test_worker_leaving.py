"""A worker that is told to stop while it connects leaves at once, whoever does not answer it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from windlass import Windlass
from windlass.config import ClientConfig
from windlass.transport.io_thread import io_thread, new_loop
from windlass.worker.hello import boot_clock, make_hello
from windlass.worker.offer import Offer
from windlass.worker.runner import Runner
from windlass.worker.session import WorkerSession
from windlass.worker.stream import Stream
from windlass.worker_labels import WorkerLabels

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_dispatcher import FakeDispatcher

#: Far beyond what a test waits: who leaves only when this has passed has not left at once.
_PATIENCE = 300.0
_LEAVES_WITHIN = 15.0


class Deaf:
    """Takes connections, and never says or reads a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.reached = threading.Event()
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Let go of all."""
        # Closing alone would leave the thread in its accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for taken in self._taken:
            taken.close()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(self._listener.accept()[0])
                self.reached.set()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    """Give a peer that never answers."""
    each = Deaf()
    yield each
    each.close()


@contextlib.contextmanager
def connecting(config: ClientConfig) -> Iterator[None]:
    """Run a worker for the length of a block, at whose end it must leave at once."""
    app = Windlass(config=config)

    @app.task
    def nothing() -> None: ...

    worker = app.worker("leaving")
    thread = threading.Thread(target=worker.start)
    thread.start()
    yield
    worker.stop(grace=0, timeout=_LEAVES_WITHIN)
    thread.join(_LEAVES_WITHIN)
    assert not thread.is_alive()


def test_an_api_that_never_answers_is_not_waited_for(deaf: Deaf) -> None:
    """It was being asked for a dispatcher."""
    with connecting(ClientConfig(api_address=deaf.address, connect_timeout=_PATIENCE)):
        assert deaf.reached.wait(10)


def test_a_dispatcher_that_never_answers_is_not_waited_for(deaf: Deaf) -> None:
    """There is no connection on which to take leave."""
    with connecting(
        ClientConfig(api_address="127.0.0.1:1", dispatcher_address=deaf.address, connect_timeout=_PATIENCE)
    ):
        assert deaf.reached.wait(10)


def test_a_dispatcher_that_never_welcomes_is_not_waited_for(dispatcher: FakeDispatcher) -> None:
    """It has the worker's Hello."""
    dispatcher.script.welcomes = False
    with connecting(ClientConfig(api_address=dispatcher.address, connect_timeout=_PATIENCE)):
        dispatcher.wait_until(lambda: len(dispatcher.hellos) == 1)


def test_a_dispatcher_that_refuses_is_not_tried_on(caplog: pytest.LogCaptureFixture) -> None:
    """Between two tries the worker sleeps."""
    told = threading.Event()

    def notice(record: logging.LogRecord) -> bool:
        if "can't be reached" in record.getMessage():
            told.set()
        return True

    caplog.handler.addFilter(notice)
    with connecting(ClientConfig(api_address="127.0.0.1:1", dispatcher_address="127.0.0.1:1")):
        assert told.wait(10)


def test_a_drain_that_comes_before_the_run_ends_it(dispatcher: FakeDispatcher) -> None:
    """As a signal does that comes while the worker is being started."""
    app = Windlass(config=dispatcher.config())

    @app.task
    def nothing() -> None: ...

    worker = app.worker("early")
    session = WorkerSession(make_hello(worker.id, "early", [nothing.definition()], Offer(1, {}, {}, [])), boot_clock)
    stream = Stream(session, app.config, lambda: None)
    io_thread().run(stream.drain(0)).result(_LEAVES_WITHIN)
    loop = new_loop()
    runner = Runner({("nothing", "nothing"): nothing}, 1, worker.id, WorkerLabels({}), loop, stream)
    io_thread().run(stream.run(runner)).result(_LEAVES_WITHIN)
    loop.close()
    assert dispatcher.hellos == []


def test_a_process_that_connects_ends_on_sigterm(deaf: Deaf, tmp_path: Path) -> None:
    """The whole of it: signal, drain, exit code."""
    program = """
        from windlass import Windlass
        app = Windlass()

        @app.task
        def nothing() -> None: ...

        app.worker("process").start()
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    process = subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "WINDLASS_API_ADDRESS": deaf.address, "WINDLASS_CONNECT_TIMEOUT": str(_PATIENCE)},
    )
    try:
        assert deaf.reached.wait(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(_LEAVES_WITHIN) == 0
    finally:
        process.kill()
        process.wait(10)
