"""The worker: takes attempts from a dispatcher, executes them, reports what became of them.

worker      the life of the whole: start, drain, stop
stream      stays connected: reconnects for ever, timers, drain        (I/O thread)
connection  one stream to one dispatcher                               (I/O thread)
session     what is held and what is to be said, without I/O           (I/O thread)
children    who executes what, and what follows when one dies          (I/O thread)
nursery     what children are forked from                              (a process of its own)
child       the life of a child: a runner that reports to a pipe       (a process each)
runner      executes attempts                                          (user's loop, threads)
"""

from windlass.worker.worker import Worker

__all__ = ["Worker"]
