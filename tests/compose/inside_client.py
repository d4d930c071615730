"""A client within the network, which knows the apis by their common name. Calls until its input is closed.

Prints its addresses first; at the end how many calls it made, and which of them failed.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

from windlass import Windlass, WindlassError


def main() -> None:
    """Look at the workers, again and again."""
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    calls, failures = 0, list[str]()
    with Windlass() as app:
        print(json.dumps([found[4][0] for found in socket.getaddrinfo(socket.gethostname(), 0)]), flush=True)
        while not over.wait(0.05):
            calls += 1
            try:
                app.workers.list()
            except WindlassError as error:
                failures.append(repr(error))
    print(json.dumps({"calls": calls, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
