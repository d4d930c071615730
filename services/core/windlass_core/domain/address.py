"""Owns what an address to listen on means. Listens on none."""

from ipaddress import ip_address


def is_local(listen: str) -> bool:
    """Whether only this machine can reach a host:port or a Unix socket."""
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name may lead anywhere
        return False
