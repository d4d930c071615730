"""Owns the containers' health checks: whether a service is ready, or a worker connected.

    healthy.py ready PORT       asks the service's HTTP door, and shows what it answers
    healthy.py connected PORT   looks for an open connection to a dispatcher

Exits with 0 or 1. It runs every few seconds in every container: so it imports next to nothing.
"""

import socket
import sys
from pathlib import Path

_PATIENCE_S = 3.0
_ESTABLISHED = "01"


def ready(port: int) -> bool:
    """Tell whether /health/ready answers 200."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        connection.sendall(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode(errors="replace"))
    return head.split(b" ", 2)[1] == b"200"


def connected(port: int) -> bool:
    """Tell whether the kernel has an open TCP connection to that port, wherever it leads."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _slot, _local, remote, state = line.split()[:4]
            if state == _ESTABLISHED and int(remote.rpartition(":")[2], 16) == port:
                return True
    print(f"no connection to port {port}")
    return False


if __name__ == "__main__":
    question = {"ready": ready, "connected": connected}[sys.argv[1]]
    try:
        healthy = question(int(sys.argv[2]))
    except OSError as error:
        print(error)
        healthy = False
    sys.exit(not healthy)
