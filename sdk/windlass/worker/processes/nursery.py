"""The process that children are forked from. It has the user's code and no thread, and executes nothing.

A supervisor has threads and gRPC, which do not survive a fork: so it forks this process before it has
either, or starts it by name, and this one forks the children. It ends when the supervisor does, and its
children with it.

    supervisor → nursery   one byte and a descriptor: fork a child with this end of a pipe
    nursery → supervisor   BORN pid, ENDED pid and status as waitpid has it
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import select
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from windlass.transport.io_thread import io_thread
from windlass.worker.processes.child import run_child

if TYPE_CHECKING:
    from types import FrameType

    from windlass.worker.processes.crew import Crew

NEWS: Final = struct.Struct("!cqi")
BORN: Final = b"b"
ENDED: Final = b"e"
FORK: Final = b"f"
#: Before the name that a named nursery is sent, and before its answer: what is served, or what went wrong.
SIZE: Final = struct.Struct("!I")

_PR_SET_PDEATHSIG: Final = 1


def serve(control: socket.socket, crew: Crew, supervisor: int) -> NoReturn:
    """Fork children until the supervisor, a process id, is gone. Called in a process of its own, with one thread."""
    end_with(supervisor)
    mine = os.getpid()
    _leave_signals_to_the_supervisor()
    waker, wakened = socket.socketpair()
    for each in (waker, wakened):
        each.setblocking(False)
    signal.set_wakeup_fd(wakened.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it shares with this process
    children: set[int] = set()
    try:
        while True:
            select.select([control, waker], [], [])
            _drain(waker)
            _reap(control, children)
            if select.select([control], [], [], 0)[0]:
                order, ends, _, _ = socket.recv_fds(control, 1, 1)
                if not order:
                    break
                child = os.fork()
                if child == 0:
                    for each in (control, waker, wakened):
                        each.close()
                    _be_child(socket.socket(fileno=ends[0]), crew, mine)
                os.close(ends[0])
                children.add(child)
                control.sendall(NEWS.pack(BORN, child, 0))
    except (BrokenPipeError, ConnectionResetError):
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)


def end_with(parent: int) -> None:
    """Have the kernel end this process with its parent, where it can; else the pipe's end has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _be_child(end: socket.socket, crew: Crew, nursery: int) -> NoReturn:
    """Execute attempts; nothing of what the parent would do on its way out is done here."""
    code = 1
    try:
        end_with(nursery)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _leave_signals_to_the_supervisor()
        gc.unfreeze()
        atexit._clear()  # noqa: SLF001 - what was registered before is the parent's to do
        run_child(end, crew)
        atexit._run_exitfuncs()  # noqa: SLF001 - os._exit does not
        io_thread().stop()
        code = 0
    except SystemExit as stray:
        code = stray.code if isinstance(stray.code, int) else 1
    except BaseException:  # noqa: BLE001 - the last frame of the process
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(code)


def _leave_signals_to_the_supervisor() -> None:
    """Pass over what a terminal or a process manager sends to all: the supervisor decides what follows.

    Handlers, and not SIG_IGN, which programs that tasks start would inherit.
    """
    mine = os.getpid()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != mine:  # a process that a task has forked may be ended
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Only the wake-up counts."""


def _drain(waker: socket.socket) -> None:
    try:
        waker.recv(1024)
    except BlockingIOError:
        return


def _reap(control: socket.socket, children: set[int]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        children.discard(child)
        control.sendall(NEWS.pack(ENDED, child, status))
