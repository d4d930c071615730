"""The worker: takes attempts from a dispatcher, executes them, reports what became of them.

worker      the life of the whole: start, signals, drain, stop
stream      stays connected: reconnects for ever, timers, drain        (I/O thread)
connection  one stream to one dispatcher                               (I/O thread)
session     what is held and what is to be said, without I/O           (I/O thread)
runner      executes attempts                                          (user's loop, threads)
invocation  calls a function inside what stands round it               (user's loop, threads)
time_limits an attempt's timers; interruptible raises in a coroutine   (user's loop)
"""

from windlass.worker.worker import Worker

__all__ = ["Worker"]
