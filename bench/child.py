"""The entry of each process that the benchmark starts: `python -m bench.child ROLE SYSTEM TARGET`.

Runs in the venv of the system concerned: standard library only, until the system's own module.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys

from bench.client import answer_questions

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Be the process that the command line names."""
    role, system, target = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    # Ends with the benchmark, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    answers = os.fdopen(os.dup(1), "w")
    # Whatever the system prints goes to the log.
    os.dup2(2, 1)
    sys.argv = [sys.argv[0]]
    module = importlib.import_module(f"bench.systems.{system}")
    if role == "client":
        answer_questions(module.open_client(**target), sys.stdin, answers)
    else:
        getattr(module, f"run_{role}")(**target)


if __name__ == "__main__":
    main()
