"""Who may ask: addresses of this machine always, others where they lie in the networks that are allowed. No I/O."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
"""The networks of homes, studios and stages, and the addresses that machines give themselves (link-local)."""


class Guests:
    """The hosts that are answered. networks are addresses or networks as text; ValueError names what is neither."""

    def __init__(self, networks: Iterable[str]):
        self._networks = tuple(read_network(each) for each in networks)
        self.admits = lru_cache(maxsize=1024)(self._admits)
        """Whether a host may ask: looked up once, so that a flood from elsewhere costs next to nothing."""

    def _admits(self, host: str) -> bool:
        address = _address(host)
        return address is not None and (
            address.is_loopback or any(address in network for network in self._networks)
        )


def read_network(text: str) -> Network:
    """One address or network; ValueError says what is accepted."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"takes addresses and networks such as 192.168.1.5 or 10.0.0.0/8, not {text!r}") from None


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, without its scope, as IPv4 where that is mapped into IPv6; None for what is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
