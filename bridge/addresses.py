"""The UDP addresses of IPv4 and IPv6: found by name, shown to people."""

import socket
from typing import Any

Address = tuple[str, int]
"""A host and a port."""

LOOPBACK = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
"""Where a daemon that listens on all addresses of a family is reached on this machine."""


def resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """The family and address of a socket for a host, IPv4 where it has both; OSError if there is no such host."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_DGRAM)
    except (UnicodeError, ValueError) as error:  # a name that no host can have
        raise OSError(socket.EAI_NONAME, "Name or service not known") from error
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def shown_address(host: str, port: int) -> str:
    """HOST:PORT, or [HOST]:PORT."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
