"""Owns the last resort against a peer: its connection is shut down below gRPC, with all calls on it.

gRPC ends a call with a status, which waits behind what the peer has not read. It has no way to give up
a call whose peer keeps its connection alive and never reads.
"""

import os
import socket
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from urllib.parse import unquote

_DESCRIPTORS = Path("/dev/fd")


def cut_off(peer: str) -> bool:
    """Shuts the connection of a `context.peer()` down. Returns whether it was found.

    One on a unix socket has no name of its own and is never found.
    """
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return False
    host, _, port = unquote(rest).rpartition(":")
    wanted = (_plain(host.strip("[]")), int(port))
    for descriptor in _DESCRIPTORS.iterdir():
        connection = _socket_of(int(descriptor.name))
        if connection is None:
            continue
        with connection:
            if _peer_of(connection) == wanted:
                connection.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _socket_of(descriptor: int) -> socket.socket | None:
    """A socket of one's own on the same connection; None where the descriptor is something else."""
    try:
        own = os.dup(descriptor)
    except OSError:  # closed meanwhile
        return None
    try:
        return socket.socket(fileno=own)
    except OSError:
        os.close(own)
        return None


def _peer_of(connection: socket.socket) -> tuple[str, int] | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    try:
        host, port, *_ = connection.getpeername()
    except OSError:  # it listens, or has just been closed
        return None
    return _plain(host), port


def _plain(host: str) -> str:
    """An address in one spelling: IPv4 is not shown as IPv6."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
