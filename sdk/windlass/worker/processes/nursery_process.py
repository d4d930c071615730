"""The supervisor's end of a nursery: asks for children and hears how they end. On the I/O thread."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from windlass.worker.processes import nursery
from windlass.worker.processes.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable

    from windlass.worker.processes.crew import Crew
    from windlass.worker.processes.crew_name import CrewName


class NurseryLost(Exception):
    """The nursery has ended, whyever: there will be no more children."""


_ENDED: Final = "the process that children are forked from has ended"


class NurseryProcess:
    """One running nursery."""

    def __init__(self, name: CrewName | None = None, pid: int = 0, control: socket.socket | None = None) -> None:
        """Take one that has been forked, or prepare one that imports `name`. `open` begins."""
        self._name = name
        self._pid = pid
        self._control = control
        self._started: subprocess.Popen[bytes] | None = None
        self._heard = b""
        self._births: deque[asyncio.Future[int]] = deque()
        self._on_ended: Callable[[int, int], None] | None = None
        self._on_lost: Callable[[], None] | None = None

    @classmethod
    def fork(cls, crew: Crew) -> Self:
        """Fork this very process, which has connected to nobody, into one: whatever is imported is there."""
        ours, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        mine = os.getpid()
        with warnings.catch_warnings():
            # Python warns of threads; those that the program started before are not in the children.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                nursery.serve(theirs, crew, mine)
            finally:  # whatever happens: the program behind start() is the supervisor's
                os._exit(1)
        theirs.close()
        return cls(pid=pid, control=ours)

    async def open(self, on_ended: Callable[[int, int], None], on_lost: Callable[[], None]) -> None:
        """Listen: `on_ended` is told of a child's id and status, `on_lost` of the nursery's own end.

        Raises:
            NurseryLost: it could not import what it is named.

        """
        if self._control is None:
            await self.load()
        assert self._control is not None  # noqa: S101 - of one that was forked
        self._control.setblocking(False)
        self._on_ended = on_ended
        self._on_lost = on_lost
        asyncio.get_running_loop().add_reader(self._control, self._on_news)

    async def load(self) -> Served:
        """Have it import what it is named. Raises NurseryLost where it can't."""
        assert self._name is not None  # noqa: S101 - one that was forked has imported it
        self._control = self._start()
        try:
            return await self._introduce(self._control, self._name)
        except BaseException:
            self.close()
            raise

    def _start(self) -> socket.socket:
        """Start a program, on the I/O thread: the kernel ends a child with its parent's thread."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            command = [
                sys.executable,
                "-m",
                "windlass.worker.processes.named_nursery",
                str(theirs.fileno()),
                str(os.getpid()),
            ]
            self._started = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
        self._pid = self._started.pid
        return ours

    async def _introduce(self, control: socket.socket, name: CrewName) -> Served:
        loop = asyncio.get_running_loop()
        order = name.to_json()
        await loop.sock_sendall(control, nursery.SIZE.pack(len(order)) + order)
        answer = b""
        size = nursery.SIZE.size
        while len(answer) < size or len(answer) < size + nursery.SIZE.unpack_from(answer)[0]:
            data = await loop.sock_recv(control, 64 * 1024)
            if not data:
                raise NurseryLost(f"the process that was to import {name.app} has ended")
            answer += data
        told = json.loads(answer[size:])
        if "error" in told:
            raise NurseryLost(told["error"])
        return Served.from_json(told)

    async def child(self) -> tuple[int, socket.socket]:
        """Have a child forked.

        Returns:
            Its process id, and our end of the pipe to it.

        Raises:
            NurseryLost: there is no nursery any more.

        """
        if self._control is None:
            raise NurseryLost(_ENDED)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        born: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        try:
            with theirs:
                socket.send_fds(self._control, [nursery.FORK], [theirs.fileno()])
            self._births.append(born)
            return await born, ours
        except OSError as error:
            ours.close()
            raise NurseryLost(str(error)) from None
        except BaseException:
            ours.close()
            raise

    def close(self) -> None:
        """End it, and with it every child that is left. Repeatable."""
        if self._control is None:
            return
        self._forget()
        # It ends by itself once the pipe is closed, unless it is stopped.
        os.kill(self._pid, signal.SIGCONT)
        self._reap()

    def _on_news(self) -> None:
        assert self._control is not None  # noqa: S101 - what there is news of
        try:
            data = self._control.recv(64 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget()
            self._reap()
            if self._on_lost is not None:
                self._on_lost()
            return
        data = self._heard + data
        size = nursery.NEWS.size
        whole = len(data) - len(data) % size
        self._heard = data[whole:]
        for kind, pid, status in nursery.NEWS.iter_unpack(data[:whole]):
            if kind == nursery.BORN:
                born = self._births.popleft()
                if not born.done():
                    born.set_result(pid)
            elif self._on_ended is not None:
                self._on_ended(pid, status)

    def _reap(self) -> None:
        if self._started is not None:
            self._started.wait()
        else:
            os.waitpid(self._pid, 0)

    def _forget(self) -> None:
        if self._control is None:
            return
        if self._on_ended is not None:
            asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        while self._births:
            born = self._births.popleft()
            if not born.done():
                born.set_exception(NurseryLost(_ENDED))
